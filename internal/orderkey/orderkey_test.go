package orderkey

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const body = `{"other": [1, {"issue": {"key": "wrong"}}, "x"], "issue": {"id": 12345678901234567890, "key": "PRJ-1", "done": true,
	"none": null, "list": ["a", ["b"], {"c": 1.50}], "a/b": "slash", "m~n": "tilde", "": "empty"}, "issue": {"key": "second"}, "after`

func TestJSON(t *testing.T) {
	for pointer, want := range map[string]string{
		"/issue/key":      "PRJ-1",
		"/issue/id":       "12345678901234567890",
		"/issue/done":     "true",
		"/issue/list/0":   "a",
		"/issue/list/1/0": "b",
		"/issue/list/2/c": "1.50",
		"/issue/a~1b":     "slash",
		"/issue/m~0n":     "tilde",
		"/issue/":         "empty",

		"/issue/none":     "",
		"/issue/list":     "",
		"/issue":          "",
		"/missing":        "",
		"/issue/missing":  "",
		"/issue/key/more": "",
		"/issue/list/3":   "",
		"/issue/list/01":  "",
		"/issue/list/-":   "",
		"/issue/list/+1":  "",
	} {
		if got := find1(t, "json:"+pointer, body); got != want {
			t.Errorf("%s: %q, want %q", pointer, got, want)
		}
	}
	for _, text := range []string{"", "[]", "[", "{", `"issue"`, "no JSON", `{"issue": {"key": `, `{"issue" "key"}`, `{"a": [}, "issue": {"key": "x"}}`} {
		if got := find1(t, "json:/issue/key", text); got != "" {
			t.Errorf("in %q it finds %q", text, got)
		}
	}
	if got := find1(t, "json:/1/a", `[0, {"a": "b"}]`); got != "b" {
		t.Errorf("in an array it finds %q, want b", got)
	}
}

func find1(t *testing.T, text, body string) string {
	t.Helper()
	key, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return key(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
}

func TestHeader(t *testing.T) {
	key, err := Parse("header:x-issue-key")
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	if got := key(r); got != "" {
		t.Errorf("without the header the key is %q", got)
	}
	r.Header.Set("X-Issue-Key", "PRJ-1")
	if got := key(r); got != "PRJ-1" {
		t.Errorf("the key is %q, want PRJ-1", got)
	}
}

func TestParseMistakes(t *testing.T) {
	for _, text := range []string{
		"", "X-Issue-Key", "header", "header:", "header:a b", "header:a:b", "json", "json:", "json:/", "json:issue", "json:/a~2b", "json:/a~", "body:/a", "Header:x",
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is no mistake", text)
		}
	}
}

// FuzzFind: nothing panics, and nothing that is not JSON hangs.
func FuzzFind(f *testing.F) {
	f.Add("json:/issue/key", body)
	f.Add("json:/1/a", `[0, {"a": "b"}]`)
	f.Add("json:/a/b", `{"a": {"b": [`)
	f.Fuzz(func(t *testing.T, text, body string) {
		if key, err := Parse(text); err == nil {
			key(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
		}
	})
}
