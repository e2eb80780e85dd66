package config

import "testing"

// TestAdmin: where and for whom the pages are, as a file says.
func TestAdmin(t *testing.T) {
	t.Setenv("REPEATER_TEST_TOKEN", "0123456789abcdef")
	for _, tt := range []struct {
		text     string
		listen   string
		explicit bool
		token    string
	}{
		{"", "127.0.0.1:8101", false, ""},
		{"token = 0123456789abcdef\n", "127.0.0.1:8101", false, "0123456789abcdef"},
		{"listen = off\n", "", true, ""},
		{"listen = localhost:0\n", "localhost:0", true, ""},
		{"listen = [::1]:8101\n", "[::1]:8101", true, ""},
		{"listen = 127.0.0.2:8101\n", "127.0.0.2:8101", true, ""},
		{"listen = [::]:8101\ntoken = env:REPEATER_TEST_TOKEN\n", "[::]:8101", true, "0123456789abcdef"},
	} {
		s := parsed(t, "[admin]\n"+tt.text+hook)
		if s.AdminListen != tt.listen || s.AdminExplicit != tt.explicit || s.AdminToken != tt.token {
			t.Errorf("%q: %q, explicit %v, token %q", tt.text, s.AdminListen, s.AdminExplicit, s.AdminToken)
		}
	}
}
