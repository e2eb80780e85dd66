package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writePair makes a certificate and its key, as files.
func writePair(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &priv.PublicKey, priv)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestTLS: what a hook says of its destination's TLS gets as far as the connection's settings,
// and what is dangerous is told.
func TestTLS(t *testing.T) {
	cert, key := writePair(t, t.TempDir(), "x")
	s := parsed(t, "[server]\ntls_cert = "+cert+"\ntls_key = "+key+"\n"+
		hook+"dst_tls_ca = "+cert+"\ndst_tls_cert = "+cert+"\ndst_tls_key = "+key+"\n"+
		"[hook:b]\nsrc_path = /b\ndst_host = https://h\ndst_tls_insecure = yes\n"+
		"[hook:c]\nsrc_path = /c\ndst_host = https://h\n")
	if a := s.Hooks[0].tls; a == nil || a.RootCAs == nil || len(a.Certificates) != 1 || a.InsecureSkipVerify {
		t.Errorf("a: %+v", a)
	}
	if b := s.Hooks[1].tls; b == nil || b.RootCAs != nil || len(b.Certificates) != 0 || !b.InsecureSkipVerify {
		t.Errorf("b: %+v", b)
	}
	if c := s.Hooks[2].tls; c != nil {
		t.Errorf("c: %+v, want the default", c)
	}
	if len(s.Notices) != 1 || !strings.HasPrefix(s.Notices[0], "config.ini:13: [hook:b] dst_tls_insecure ") {
		t.Errorf("notices %q, want one about b", s.Notices)
	}
}
