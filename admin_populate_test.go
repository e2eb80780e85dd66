package repeater_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
)

// populated is a Repeater with something in each of the states an operator may find.
type populated struct {
	admin    adminClient
	up, down string   // lanes
	ids      []string // that wait for down
	dead     string   // that up has refused
}

func populate(t *testing.T, opts ...repeater.Option) populated {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("canary-body"))
	}))
	t.Cleanup(up.Close)
	down := reserve(t)
	opts = append([]repeater.Option{repeater.WithQueue(memqueue.New()), repeater.WithLogger(discard()), repeater.WithBackoff(time.Hour, time.Hour),
		repeater.Route("/up", up.URL, repeater.Name("up")),
		repeater.Route("/{x}", secretTarget(down), append(secretOptions(), repeater.KeepPath(), repeater.Name("down"))...)}, opts...)
	rp := run(t, opts...)
	p := populated{admin: serveAdmin(t, rp, repeater.ShowPayloads()), up: up.URL, down: "http://" + down}
	addr := listen(t, rp)
	send := func(raw string) string {
		t.Helper()
		got := sendRaw(t, addr, raw)
		if got.status != http.StatusOK {
			t.Fatalf("answered %d", got.status)
		}
		return got.header.Get("Repeater-Id")
	}
	p.dead = send(post("/up", "refused"))
	for range 3 {
		p.ids = append(p.ids, send(secretPost()))
	}
	p.admin.await(p.up, "one with a dead letter", func(l adminLane) bool { return l.Dead == 1 })
	p.admin.await(p.down, "unwell", func(l adminLane) bool { return l.State == "unwell" && l.LastError != "" })
	return p
}

// TestAdminTellsNoSecrets: whatever is asked, the answers hold no secret, unless it is a request, and
// that is to be shown; and even of that, not what is a credential.
func TestAdminTellsNoSecrets(t *testing.T) {
	t.Parallel()
	p := populate(t)
	lane := strings.NewReplacer(":", "%3A", "/", "%2F").Replace(p.down)
	order := `{"lane":"` + p.down + `"}`
	hidden := serveAdmin(t, p.admin.rp)
	for _, tt := range []struct{ method, path, body string }{
		{"GET", "/api/v1/lanes", ""},
		{"GET", "/api/v1/lane?lane=" + lane, ""},
		{"GET", "/api/v1/messages?lane=" + lane, ""},
		{"GET", "/api/v1/messages/" + p.ids[0], ""},
		{"GET", "/api/v1/messages/" + p.dead, ""},
		{"GET", "/api/v1/request?id=" + p.ids[0] + "&lane=" + lane, ""},
		{"GET", "/api/v1/dead?lane=" + strings.ReplaceAll(p.up, ":", "%3A"), ""},
		{"GET", "/api/v1/config", ""},
		{"GET", "/api/v1/health", ""},
		{"GET", "/api/v1/openapi.json", ""},
		{"GET", "/healthz", ""},
		{"GET", "/readyz", ""},
		{"GET", "/", ""},
		{"POST", "/api/v1/lane/pause", order},
		{"POST", "/api/v1/lane/resume", order},
		{"POST", "/api/v1/lane/retry-now", order},
		{"POST", "/api/v1/lane/drop-refused", order},
		{"POST", "/api/v1/dead/replay", `{"keys":["canary.0"]}`},
		{"POST", "/api/v1/dead/drop", `{"keys":["canary.0"]}`},
	} {
		_, answer := hidden.do(tt.method, tt.path, tt.body)
		for _, secret := range append([]string{adminToken, secretKey()}, canaries...) {
			if strings.Contains(strings.ToLower(string(answer)), strings.ToLower(secret)) {
				t.Errorf("%s %s tells %q: %s", tt.method, tt.path, secret, answer)
			}
		}
	}
	status, answer := p.admin.do("GET", "/api/v1/request?id="+p.ids[0]+"&lane="+lane, "")
	if status != http.StatusOK || !strings.Contains(string(answer), `"path":"/canary-path?canary-query"`) {
		t.Errorf("where it is to be shown: %d %s", status, answer)
	}
	for _, secret := range []string{"canary-header", "canary-cookie", "canary-token"} {
		if strings.Contains(string(answer), secret) {
			t.Errorf("a shown request tells %q: %s", secret, answer)
		}
	}
}
