package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSecretsElsewhere: secrets stand in the file, in the environment or in files of their own.
func TestSecretsElsewhere(t *testing.T) {
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(" from a file \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("REPEATER_TEST_SECRET", "from the environment")
	t.Setenv("REPEATER_TEST_URL", "redis://:p@redis.local:7000/1")
	s := parsed(t, "[store]\nredis_url = env:REPEATER_TEST_URL\n[app]\nsecret = file:"+name+"\n"+
		hook+"verify = github\nverify_secret = literal, with a comma\n  env:REPEATER_TEST_SECRET\n\n  file:"+name+"\n")
	if o := s.Redis(); o == nil || o.Addr != "redis.local:7000" || o.Password != "p" {
		t.Error("the Redis is not that of the environment")
	}
	h := s.Hooks[0]
	if h.Secret != "from a file" {
		t.Errorf("secret is %q", h.Secret)
	}
	want := []string{"literal, with a comma", "from the environment", "from a file"}
	if diff := cmp.Diff(want, h.VerifySecrets); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
