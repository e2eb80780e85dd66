package repeater_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
)

// apiDescription is the OpenAPI document as it is served.
type apiDescription struct {
	Paths map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Responses   map[string]json.RawMessage
	}
	compiler *jsonschema.Compiler
}

func describedAPI(t *testing.T) *apiDescription {
	t.Helper()
	text, err := os.ReadFile("internal/admin/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var d apiDescription
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	d.compiler = jsonschema.NewCompiler()
	d.compiler.DefaultDraft(jsonschema.Draft2020) // which OpenAPI 3.1 means
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	return &d
}

// check holds an answer against the schema that is described for it.
func (d *apiDescription) check(t *testing.T, method, path string, status int, answer []byte) {
	t.Helper()
	escape := strings.NewReplacer("~", "~0", "/", "~1").Replace
	at := fmt.Sprintf("openapi.json#/paths/%s/%s/responses/%d", url.PathEscape(escape(path)), strings.ToLower(method), status)
	op := d.Paths[path][strings.ToLower(method)]
	raw, ok := op.Responses[fmt.Sprint(status)]
	if !ok {
		t.Errorf("%s %s answers %d, which is not described: %s", method, path, status, answer)
		return
	}
	var ref struct {
		Ref string `json:"$ref"`
	}
	if json.Unmarshal(raw, &ref) == nil && ref.Ref != "" {
		at = "openapi.json" + ref.Ref
	}
	schema, err := d.compiler.Compile(at + "/content/application~1json/schema")
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(answer))
	if err != nil {
		t.Errorf("%s %s answers %s: %v", method, path, answer, err)
		return
	}
	if err := schema.Validate(v); err != nil {
		t.Errorf("%s %s answers %d %s\nwhich is not as described: %v", method, path, status, answer, err)
	}
}

// TestAdminIsAsDescribed asks for all that is described, and for all that can go wrong, and
// finds each answer as its schema has it.
func TestAdminIsAsDescribed(t *testing.T) {
	t.Parallel()
	d, p := describedAPI(t), populate(t)
	lane, id := url.QueryEscape(p.down), p.ids[0]
	laneJSON := fmt.Sprintf(`{"lane":%q}`, p.down)
	asked := make(map[string]bool)
	for _, tt := range []struct {
		method, path, query, body string
		status                    int
	}{
		{"GET", "/api/v1/lanes", "", "", 200},
		{"GET", "/api/v1/lane", "?lane=" + lane, "", 200},
		{"GET", "/api/v1/lane", "", "", 400},
		{"GET", "/api/v1/lane", "?lane=none", "", 404},
		{"GET", "/api/v1/messages", "?max=2&lane=" + lane, "", 200},
		{"GET", "/api/v1/messages", "?max=1001&lane=" + lane, "", 400},
		{"GET", "/api/v1/messages", "?cursor=x&lane=" + lane, "", 400},
		{"GET", "/api/v1/messages", "?lane=none", "", 404},
		{"GET", "/api/v1/messages/{id}", id, "", 200},
		{"GET", "/api/v1/messages/{id}", p.dead, "", 200},
		{"GET", "/api/v1/messages/{id}", "none", "", 404},
		{"GET", "/api/v1/request", "?id=" + id + "&lane=" + lane, "", 200},
		{"GET", "/api/v1/request", "?id=none&lane=" + lane, "", 404},
		{"GET", "/api/v1/request", "?dest=-1&id=" + id + "&lane=" + lane, "", 400},
		{"GET", "/api/v1/dead", "?status=404&lane=" + url.QueryEscape(p.up), "", 200},
		{"GET", "/api/v1/dead", "?from=yesterday&lane=" + lane, "", 400},
		{"GET", "/api/v1/dead", "", "", 400},
		{"GET", "/api/v1/config", "", "", 200},
		{"GET", "/api/v1/health", "", "", 200},
		{"GET", "/api/v1/backup", "", "", 403},
		{"GET", "/api/v1/openapi.json", "", "", 200},
		{"GET", "/healthz", "", "", 200},
		{"GET", "/readyz", "", "", 200},
		{"POST", "/api/v1/lane/pause", "", laneJSON, 200},
		{"POST", "/api/v1/lane/pause", "", `{"lane":"none"}`, 404},
		{"POST", "/api/v1/lane/pause", "", `{"line":"x"}`, 400},
		{"POST", "/api/v1/lane/resume", "", laneJSON, 200},
		{"POST", "/api/v1/lane/retry-now", "", laneJSON, 200},
		{"POST", "/api/v1/lane/drop-refused", "", laneJSON, 200},
		{"POST", "/api/v1/dead/replay", "", `{"keys":["none.0"],"max":1}`, 200},
		{"POST", "/api/v1/dead/replay", "", `{"keys":["none"]}`, 400},
		{"POST", "/api/v1/dead/replay", "", `{"keys":[]}`, 400},
		{"POST", "/api/v1/dead/replay", "", `{"max":10001}`, 400},
		{"POST", "/api/v1/dead/drop", "", `{"status":404,"max":1}`, 200},
	} {
		path := tt.path + tt.query
		if before, _, ok := strings.Cut(tt.path, "{"); ok {
			path = before + tt.query
		}
		status, answer := p.admin.do(tt.method, path, tt.body)
		if status != tt.status {
			t.Errorf("%s %s: %d %s, want %d", tt.method, path, status, answer, tt.status)
			continue
		}
		asked[tt.method+" "+tt.path] = true
		d.check(t, tt.method, tt.path, status, answer)
	}
	var described []string
	for path, operations := range d.Paths {
		for method := range operations {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(described)
	for _, op := range described {
		if !asked[op] {
			t.Errorf("%s is described, but not tried here", op)
		}
	}
}

// TestAdminErrorsAreAsDescribed: who may not come in, and what a store cannot tell.
func TestAdminErrorsAreAsDescribed(t *testing.T) {
	t.Parallel()
	d := describedAPI(t)
	plain := struct{ repeater.Queue }{memqueue.New()} // a third party's, that is no InspectQueue
	rp := repeater.New(repeater.WithQueue(plain), repeater.WithLogger(discard()), repeater.Route("/in", "http://127.0.0.1:1"))
	c := serveAdmin(t, rp)
	for _, tt := range []struct {
		path   string
		status int
	}{
		{"/api/v1/messages?lane=http://127.0.0.1:1", 501},
		{"/api/v1/messages/x", 501},
		{"/api/v1/request?lane=http://127.0.0.1:1&id=x", 403},
		{"/readyz", 503},
	} {
		status, answer := c.do("GET", tt.path, "")
		if status != tt.status {
			t.Errorf("%s: %d, want %d", tt.path, status, tt.status)
		}
		path, _, _ := strings.Cut(tt.path, "?")
		d.check(t, "GET", strings.Replace(path, "/messages/x", "/messages/{id}", 1), status, answer)
	}
	for path, operations := range d.Paths {
		if !strings.HasPrefix(path, "/api/") {
			continue
		}
		for method := range operations {
			req := httptest.NewRequest(strings.ToUpper(method), strings.Replace(path, "{id}", "x", 1), strings.NewReader("{}"))
			w := httptest.NewRecorder()
			rp.Admin(repeater.AdminToken(adminToken)).ServeHTTP(w, req)
			if w.Code != http.StatusUnauthorized {
				t.Errorf("%s %s without the token: %d", method, path, w.Code)
			}
			d.check(t, method, path, w.Code, w.Body.Bytes())
		}
	}
}

// TestAdminOperations: what there is and what is described is the same.
func TestAdminOperations(t *testing.T) {
	t.Parallel()
	d := describedAPI(t)
	var described, ids []string
	for path, operations := range d.Paths {
		for method, op := range operations {
			described = append(described, strings.ToUpper(method)+" "+path)
			ids = append(ids, op.OperationID)
		}
	}
	slices.Sort(described)
	if diff := cmp.Diff(repeater.AdminOperations(), described); diff != "" {
		t.Errorf("operations (-served +described):\n%s", diff)
	}
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != len(described) || ids[0] == "" {
		t.Errorf("%d operations have %d ids", len(described), n)
	}
}
