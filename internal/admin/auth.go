package admin

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	cookieName = "webhook-repeater-admin"
	cookieFor  = 12 * time.Hour
	maxLogin   = 4 << 10 // bytes of a login form
)

// key is what a token makes of itself, so that the token itself is compared with nothing.
type key struct {
	set bool
	sum [sha256.Size]byte
	now func() time.Time
}

func newKey(token string) key {
	return key{token != "", sha256.Sum256([]byte(token)), time.Now}
}

// is tells in constant time whether token is the one.
func (k key) is(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return k.set && subtle.ConstantTimeCompare(sum[:], k.sum[:]) == 1
}

// seal is what a cookie holds: when it ends, and an HMAC that only the token can make.
func (k key) seal(until time.Time) string {
	end := strconv.FormatInt(until.Unix(), 10)
	return end + "." + k.mac(end)
}

func (k key) mac(end string) string {
	h := hmac.New(sha256.New, k.sum[:])
	h.Write([]byte("webhook-repeater admin cookie " + end)) // never fails
	return hex.EncodeToString(h.Sum(nil))
}

func (k key) opens(cookie string) bool {
	end, mac, ok := strings.Cut(cookie, ".")
	seconds, err := strconv.ParseInt(end, 10, 64)
	return k.set && ok && err == nil && hmac.Equal([]byte(mac), []byte(k.mac(end))) && k.now().Before(time.Unix(seconds, 0))
}

// signedIn tells by header or cookie.
func (k key) signedIn(r *http.Request) bool {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return k.is(strings.TrimSpace(token))
	}
	c, err := r.Cookie(cookieName)
	return err == nil && k.opens(c.Value)
}

// withSession puts the login in front of pages.
func (g *guard) withSession(pages http.Handler) http.Handler {
	if !g.key.set {
		return pages
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", g.login)
	mux.HandleFunc("POST /logout", g.logout)
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { showLogin(w, r, http.StatusOK, false) })
	mux.Handle("/", pages)
	return mux
}

func (g *guard) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxLogin)
	if !g.key.is(strings.TrimSpace(r.PostFormValue("token"))) {
		showLogin(w, r, http.StatusUnauthorized, true)
		return
	}
	http.SetCookie(w, g.cookie(r, g.key.seal(g.key.now().Add(cookieFor)), int(cookieFor/time.Second)))
	// The browser resolves it: whatever prefix it sees stays.
	w.Header().Set("Location", "./")
	w.WriteHeader(http.StatusSeeOther)
}

func (g *guard) logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, g.cookie(r, "", -1))
	w.Header().Set("Location", "./")
	w.WriteHeader(http.StatusSeeOther)
}

// cookie has no path of its own: the browser takes that of the login, under whatever prefix.
func (g *guard) cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{ // #nosec G124 -- Secure where the connection is; loopback and tunnels have no TLS
		Name: cookieName, Value: value, MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	}
}

//go:embed login.html
var loginText string

var loginPage = template.Must(template.New("login").Parse(loginText))

// showLogin shows the form under any address, whose depth tells where the login is from there.
func showLogin(w http.ResponseWriter, r *http.Request, status int, failed bool) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	up := strings.Repeat("../", max(0, strings.Count(r.URL.EscapedPath(), "/")-1))
	_ = loginPage.Execute(w, struct { // the reader has gone away
		Up     string
		Failed bool
		Files  fileNames
	}{up, failed, files})
}
