package admin

import "time"

// Key makes and checks cookies.
type Key struct{ k key }

// NewKey is that of a token, at a time of the test's.
func NewKey(token string, now func() time.Time) Key {
	k := newKey(token)
	k.now = now
	return Key{k}
}

// Seal returns a cookie as a login at this time gives it.
func (k Key) Seal() string { return k.k.seal(k.k.now().Add(cookieFor)) }

// Opens tells that a cookie lets in.
func (k Key) Opens(cookie string) bool { return k.k.opens(cookie) }
