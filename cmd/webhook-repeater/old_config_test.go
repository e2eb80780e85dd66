package main_test

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater/internal/testport"
)

// oldConfig has all that the original program read, as its operators wrote it.
const oldConfig = `## All values provided in this example are the defaults and may be omitted
## unless stated otherwise

[server]
host = 127.0.0.1
port = PORT

[app]
## In seconds
backoff_timeout = 1
backoff_max_timeout = 3600
timeout = 0
redis_host = REDIS_HOST
redis_port = REDIS_PORT
redis_db = 2
secret = s3;cr#t 100%

[hook:jira events]
src_path = jira/issue created; 100%
src_host = 10.0.0.0/8,  127.0.0.1 , ::1
dst_host = DESTINATION
dst_path = /intranet

[hook:bare]
src_path = /bare
src_host = 127.0.0.1
dst_host = DESTINATION
dst_path =

[hook:elsewhere]
src_path = /elsewhere
src_host = 192.0.2.1
dst_host = DESTINATION
dst_path =

[loggers]
keys = root

[handlers]
keys = console

[formatters]
keys = generic

[logger_root]
level = INFO
handlers = console

[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = generic

[formatter_generic]
format = %(asctime)s %(levelname)-5.5s [%(name)s][%(threadName)s] %(message)s
`

// TestOldConfig moves from the original program by pointing this one at its file.
func TestOldConfig(t *testing.T) {
	t.Parallel()
	dest := newDestination(t)
	redis := miniredis.RunT(t)
	port := strconv.Itoa(testport.Plain(t))
	text := strings.NewReplacer("DESTINATION", dest.URL, "REDIS_HOST", redis.Host(), "REDIS_PORT", redis.Port(), "PORT", port).Replace(oldConfig)
	dir := write(t, "config.ini", text)
	p := serve(t, dir)
	if want := "http://127.0.0.1:" + port; p.url != want {
		t.Errorf("it listens on %s, want %s", p.url, want)
	}

	binary := "ala\x00ma\xff\r\nkota"
	for _, tt := range []struct{ sent, arrives, contentType, body string }{
		{"/jira/issue%20created;%20100%25?issue=A-1;b=%zz&issue", "/intranet/jira/issue%20created;%20100%25?issue=A-1;b=%zz&issue",
			"application/json; charset=utf-8", `{"event": "zażółć"}`},
		{"/jira/issue%20created%3b%20100%25", "/intranet/jira/issue%20created%3b%20100%25", "application/octet-stream", binary},
		{"/bare?", "/bare?", "", ""},
		{"/bare", "/bare", "", "ala ma kota"},
	} {
		p.accepts(t, tt.sent, tt.contentType, tt.body)
		got := dest.next(t)
		want := []string{http.MethodPost, tt.arrives, tt.contentType, tt.body, oldSignature("s3;cr#t 100%", tt.contentType, tt.body)}
		seen := []string{got.Method, got.RequestURI, got.Header.Get("Content-Type"), got.body, got.Header.Get("X-REPEATER-SIG")}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.sent, diff)
		}
	}
	for uri, want := range map[string]int{
		"/elsewhere": http.StatusForbidden,
		"/bare/":     http.StatusNotFound, // paths are exact
		"/jira":      http.StatusNotFound,
	} {
		if resp := p.post(t, uri, "", ""); resp.StatusCode != want {
			t.Errorf("%s was answered with %s, want %d", uri, resp.Status, want)
		}
	}
	if got := p.spoof(t, "/elsewhere", "192.0.2.1"); got != http.StatusForbidden {
		t.Errorf("X-Forwarded-For opened the door: %d", got)
	}

	p.Signal(t, syscall.SIGTERM)
	_, log := p.ends(t, 0)
	notices := 0
	for _, l := range lines(t, log) {
		if l["level"] == "WARN" && strings.Contains(l["msg"].(string), "logging") {
			notices++
		}
	}
	if notices != 1 {
		t.Errorf("%d lines of notice about the logging sections, want 1:\n%s", notices, log)
	}
	for _, secret := range []string{"s3;cr#t", "issue created", "issue%20created"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log tells %q:\n%s", secret, log)
		}
	}
	if after, err := os.ReadFile(filepath.Join(dir, "config.ini")); err != nil || string(after) != text {
		t.Errorf("the file has changed: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "webhook-repeater.db")); !os.IsNotExist(err) {
		t.Errorf("there is a store file though the file names a Redis: %v", err)
	}
}

// spoof sends a request that claims to come from elsewhere, and returns the status.
func (p program) spoof(t *testing.T, uri, from string) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.url+uri, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", from)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// oldSignature is what receivers of the original program compute.
func oldSignature(secret, contentType, body string) string {
	contentType, _, _ = strings.Cut(contentType, ";")
	mac := hmac.New(md5.New, []byte(secret))
	mac.Write([]byte(contentType + strconv.Itoa(len(body)) + body))
	return hex.EncodeToString(mac.Sum(nil))
}

func TestOldSignature(t *testing.T) {
	const want = "65a415c101d8103bc3866bfe9d5dc818"
	if got := oldSignature("secret", "", "ala ma kota"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
