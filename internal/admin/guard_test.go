package admin_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater/internal/admin"
)

// ask sends a request with headers of the form "Name: value", of which Host is one.
func ask(t *testing.T, c *http.Client, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// TestWithoutToken lets in who is on this machine and says so in Host, and nobody else.
func TestWithoutToken(t *testing.T) {
	t.Parallel()
	at, c := serve(t, newStill(), admin.Options{})
	for host, want := range map[string]int{
		"": 200, "localhost": 200, "LOCALHOST:1": 200, "127.0.0.1": 200, "127.1.2.3:80": 200, "[::1]:80": 200, "[::1]": 200,
		"evil.example": 403, "evil.example:80": 403, "localhost.evil.example": 403, "10.0.0.1": 403, "0.0.0.0": 403, "127.0.0.1.evil.example": 403,
	} {
		headers := []string{}
		if host != "" {
			headers = append(headers, "Host: "+host)
		}
		for _, path := range []string{"/api/v1/lanes", "/"} {
			resp, text := ask(t, c, "GET", at+path, "", headers...)
			if got := resp.StatusCode; (got == 403) != (want == 403) {
				t.Errorf("Host %q: %s answers %d %s, want %d", host, path, got, text, want)
			}
		}
	}
	req := httptest.NewRequest("GET", "http://127.0.0.1/api/v1/lanes", nil) // which comes from 192.0.2.1
	w := httptest.NewRecorder()
	admin.New(newStill(), admin.Options{}).ServeHTTP(w, req)
	if w.Code != http.StatusForbidden {
		t.Errorf("from elsewhere: %d, want 403", w.Code)
	}
}

// TestToken opens by header, whatever the name and place, and nothing else does.
func TestToken(t *testing.T) {
	t.Parallel()
	at, c := serve(t, newStill(), admin.Options{Token: token})
	for _, tt := range []struct {
		header string
		want   int
	}{
		{"Authorization: Bearer " + token, 200},
		{"Authorization: bearer  " + token, 200},
		{"Authorization: Bearer " + token[1:], 401},
		{"Authorization: Bearer " + token + "0", 401},
		{"Authorization: Bearer ", 401},
		{"Authorization: Basic " + token, 401},
		{"Authorization: " + token, 401},
		{"Cookie: webhook-repeater-admin=" + token, 401},
		{"Cookie: webhook-repeater-admin=9999999999." + strings.Repeat("0", 64), 401},
		{"X-Nothing: ", 401},
	} {
		resp, text := ask(t, c, "GET", at+"/api/v1/lanes", "", tt.header, "Host: repeater.example")
		if resp.StatusCode != tt.want {
			t.Errorf("%s: %d %s, want %d", tt.header, resp.StatusCode, text, tt.want)
		}
		if tt.want == 401 && !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: WWW-Authenticate %q", tt.header, resp.Header.Get("WWW-Authenticate"))
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		resp, text := ask(t, c, "GET", at+path, "")
		if want := map[string]int{"/healthz": 200, "/readyz": 503}[path]; resp.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", path, resp.StatusCode, text, want)
		}
	}
}

// TestLogin gives a cookie that opens pages and API, and that is not the token.
func TestLogin(t *testing.T) {
	t.Parallel()
	src := newStill()
	at, c := serve(t, src, admin.Options{Token: token})
	for path, action := range map[string]string{"/": `action="login"`, "/lane": `action="login"`, "/lane/deep/er": `action="../../login"`} {
		resp, text := ask(t, c, "GET", at+path, "")
		if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(text, action) || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s before: %d %s", path, resp.StatusCode, text)
		}
	}
	form := func(token string) string { return url.Values{"token": {token}}.Encode() }
	const formType = "Content-Type: application/x-www-form-urlencoded"
	if resp, text := ask(t, c, "POST", at+"/login", form("wrong"), formType); resp.StatusCode != http.StatusUnauthorized || len(resp.Cookies()) > 0 ||
		!strings.Contains(text, "That is not the token.") {
		t.Errorf("a wrong token: %d %s", resp.StatusCode, text)
	}
	if resp, _ := ask(t, c, "GET", at+"/login?token="+token, ""); resp.StatusCode != http.StatusOK || len(resp.Cookies()) > 0 {
		t.Errorf("a token in an address: %d, cookies %v", resp.StatusCode, resp.Cookies())
	}
	resp, _ := ask(t, c, "POST", at+"/login", form(" "+token+"\n"), formType)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "./" || len(resp.Cookies()) != 1 {
		t.Fatalf("login: %d %v", resp.StatusCode, resp.Header)
	}
	cookie := resp.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || strings.Contains(cookie.Value, token) || cookie.Domain != "" ||
		cookie.MaxAge <= 0 || cookie.MaxAge > 24*60*60 {
		t.Errorf("cookie %v", cookie)
	}
	for _, path := range []string{"/api/v1/lanes", "/"} {
		if resp, text := ask(t, c, "GET", at+path, ""); resp.StatusCode == http.StatusUnauthorized {
			t.Errorf("%s after: %d %s", path, resp.StatusCode, text)
		}
	}
	if resp, text := ask(t, c, "POST", at+"/api/v1/lane/pause", `{"lane":"a"}`, "Content-Type: application/json", "Sec-Fetch-Site: same-origin"); resp.StatusCode != 200 || <-src.paused != "a" {
		t.Errorf("pause by cookie: %d %s", resp.StatusCode, text)
	}
	other, _ := serve(t, src, admin.Options{Token: token + "!"})
	if resp, _ := ask(t, http.DefaultClient, "GET", other+"/api/v1/lanes", "", "Cookie: "+cookie.Name+"="+cookie.Value); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("after the token has changed: %d", resp.StatusCode)
	}
	if resp, _ := ask(t, c, "POST", at+"/logout", ""); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("logout: %d", resp.StatusCode)
	}
	if resp, _ := ask(t, c, "GET", at+"/api/v1/lanes", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("after logout: %d", resp.StatusCode)
	}
}

// TestCookieEnds after half a day, also where a browser keeps it.
func TestCookieEnds(t *testing.T) {
	t.Parallel()
	now := time.Now()
	k := admin.NewKey(token, func() time.Time { return now })
	cookie := k.Seal()
	if !k.Opens(cookie) {
		t.Error("a fresh cookie does not open")
	}
	now = now.Add(13 * time.Hour)
	if k.Opens(cookie) {
		t.Error("an old cookie opens")
	}
	end, mac, _ := strings.Cut(cookie, ".")
	if k.Opens(end+"0."+mac) || k.Opens(mac) || k.Opens("") || admin.NewKey("", time.Now).Opens("9999999999.") {
		t.Error("what is no cookie of ours opens")
	}
}

// TestOtherSites cannot make a browser do anything.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	for _, o := range []admin.Options{{}, {Token: token}} {
		src := newStill()
		at, c := serve(t, src, o)
		const order, asJSON, auth = `{"lane":"a"}`, "Content-Type: application/json", "Authorization: Bearer " + token
		for _, tt := range []struct {
			header []string
			want   int
		}{
			{[]string{asJSON, auth}, 200}, // no browser
			{[]string{asJSON, auth, "Sec-Fetch-Site: same-origin"}, 200},
			{[]string{asJSON, auth, "Sec-Fetch-Site: cross-site"}, 403},
			{[]string{asJSON, auth, "Sec-Fetch-Site: same-site"}, 403},
			{[]string{asJSON, auth, "Origin: http://evil.example"}, 403},
			{[]string{asJSON, auth, "Origin: null"}, 403},
			{[]string{"Content-Type: text/plain", auth}, 415},
			{[]string{"Content-Type: application/x-www-form-urlencoded", auth}, 415},
		} {
			resp, text := ask(t, c, "POST", at+"/api/v1/lane/pause", order, tt.header...)
			if resp.StatusCode != tt.want {
				t.Errorf("%q: %d %s, want %d", tt.header, resp.StatusCode, text, tt.want)
			}
			if paused := len(src.paused) > 0; paused != (tt.want == 200) {
				t.Errorf("%q: paused is %v", tt.header, paused)
			}
			for len(src.paused) > 0 {
				<-src.paused
			}
		}
		for _, method := range []string{"GET", "HEAD", "PUT", "OPTIONS"} {
			resp, _ := ask(t, c, method, at+"/api/v1/lane/pause?lane=a", "", auth)
			if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "POST" || len(src.paused) > 0 {
				t.Errorf("%s: %d, Allow %q", method, resp.StatusCode, resp.Header.Get("Allow"))
			}
		}
	}
}

// TestEveryAnswerIsHardened, also those that turn away.
func TestEveryAnswerIsHardened(t *testing.T) {
	t.Parallel()
	at, c := serve(t, newStill(), admin.Options{Token: token})
	for _, path := range []string{"/", "/healthz", "/readyz", "/login", "/api/v1/lanes", "/api/v1/none", "/api/v1/openapi.json"} {
		for _, auth := range []string{"X-No: token", "Authorization: Bearer " + token} {
			resp, _ := ask(t, c, "GET", at+path, "", auth)
			got := map[string]string{}
			for _, h := range []string{"X-Content-Type-Options", "X-Frame-Options", "Cache-Control"} {
				got[h] = resp.Header.Get(h)
			}
			want := map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store"}
			if diff := cmp.Diff(want, got); diff != "" || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
				t.Errorf("%s %s: %s policy %q", path, auth, diff, resp.Header.Get("Content-Security-Policy"))
			}
		}
	}
}

// TestRequestsAreRedacted where they are shown at all.
func TestRequestsAreRedacted(t *testing.T) {
	t.Parallel()
	at, c := serve(t, newStill(), admin.Options{})
	if resp, text := ask(t, c, "GET", at+"/api/v1/request?lane=a&id=b", ""); resp.StatusCode != http.StatusForbidden || !strings.Contains(text, "show_payloads") {
		t.Errorf("not to be shown: %d %s", resp.StatusCode, text)
	}
	at, c = serve(t, newStill(), admin.Options{ShowPayloads: true})
	_, text := ask(t, c, "GET", at+"/api/v1/request?lane=a&id=b", "")
	var got admin.Request
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	gone := []string{"(redacted)"}
	want := admin.Request{Method: "POST", Path: "/x?y", Body: []byte("body"), Header: map[string][]string{
		"Authorization": gone, "Cookie": gone, "X-Hub-Signature-256": gone, "Stripe-Signature": gone, "X-Gitlab-Token": gone, "X-Api-Key": gone,
		"Proxy-Authorization": gone, "Set-Cookie": gone, "X-Shopify-Hmac-Sha256": gone, "X-Repeater-Sig": gone, "X-Session-Id": gone,
		"Content-Type": {"text/plain"}, "X-Github-Event": {"push"}, "Idempotency-Key": {"1"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestUnknown operations are told as such, in JSON.
func TestUnknown(t *testing.T) {
	t.Parallel()
	at, c := serve(t, newStill(), admin.Options{})
	for path, want := range map[string]string{
		"GET /api/v1/none":       `{"error":"there is no such operation; openapi.json lists them"}`,
		"GET /api/":              `{"error":"there is no such operation; openapi.json lists them"}`,
		"POST /api/v1/lanes":     `{"error":"use GET"}`,
		"DELETE /api/v1/lanes":   `{"error":"use GET"}`,
		"GET /api/v1/dead/drop":  `{"error":"use POST"}`,
		"GET /api/v1/lane":       `{"error":"name the lane, as ?lane=https://example.com:443"}`,
		"POST /api/v1/dead/drop": `{"error":"send JSON, with Content-Type: application/json"}`,
	} {
		method, path, _ := strings.Cut(path, " ")
		_, text := ask(t, c, method, at+path, "{}")
		if diff := cmp.Diff(want+"\n", text); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", method, path, diff)
		}
	}
}
