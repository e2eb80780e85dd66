package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority is a certificate of its own making, in files.
type authority struct {
	cert, key string
	pool      *x509.CertPool
}

// newAuthority writes name.crt and name.key, over what may be there.
func newAuthority(t *testing.T, dir, name string) authority {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &priv.PublicKey, priv)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"), x509.NewCertPool()}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	a.pool.AppendCertsFromPEM(certPEM)
	for path, text := range map[string][]byte{a.cert: certPEM, a.key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// TestHTTPS serves TLS, and HTTP/2 over it, and takes a renewed certificate without a restart.
func TestHTTPS(t *testing.T) {
	t.Parallel()
	dest := newDestination(t)
	dir := t.TempDir()
	old := newAuthority(t, dir, "door")
	text := "[server]\nhost = 127.0.0.1\nport = 0\ntls_cert = door.crt\ntls_key = door.key\n[hook:a]\nsrc_path = /a\ndst_host = " + dest.URL + "\n"
	if err := os.WriteFile(filepath.Join(dir, "config.ini"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := serve(t, dir)
	p.url = strings.Replace(p.url, "http:", "https:", 1)
	resp, err := p.postTLS(old)
	if err != nil || resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
		t.Fatalf("answered %v, %v, want 200 over HTTP/2", resp, err)
	}
	if got := dest.next(t); got.Header.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("X-Forwarded-Proto is %q, want https", got.Header.Get("X-Forwarded-Proto"))
	}
	renewed := newAuthority(t, dir, "door")
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if _, err = p.postTLS(renewed); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the renewed certificate is not served: %v", err)
		}
	}
	p.Signal(t, os.Interrupt)
	p.ends(t, 0)
}

// postTLS sends over a connection of its own, and trusts one authority.
func (p program) postTLS(a authority) (*http.Response, error) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.pool}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Post(p.url+"/a", "text/plain", strings.NewReader("hello"))
	if err == nil {
		resp.Body.Close()
	}
	return resp, err
}

// TestTLSToDestination trusts an authority of one's own, and shows a certificate.
func TestTLSToDestination(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	theirs, ours := newAuthority(t, dir, "theirs"), newAuthority(t, dir, "ours")
	pair, err := tls.LoadX509KeyPair(theirs.cert, theirs.key)
	if err != nil {
		t.Fatal(err)
	}
	arrived := make(chan string, 10)
	dest := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- r.URL.Path + " from " + r.TLS.PeerCertificates[0].Subject.CommonName
	}))
	dest.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ours.pool}
	dest.Config.ErrorLog = log.New(io.Discard, "", 0) // a handshake is to fail
	dest.StartTLS()
	defer dest.Close()
	text := "[server]\nhost = 127.0.0.1\nport = 0\n[app]\ndst_tls_cert = ours.crt\ndst_tls_key = ours.key\n" +
		"[hook:distrustful]\nsrc_path = /distrustful\nlane = distrustful\ndst_host = " + dest.URL + "\n" +
		"[hook:trusting]\nsrc_path = /trusting\ndst_host = " + dest.URL + "\ndst_tls_ca = theirs.crt\n"
	if err := os.WriteFile(filepath.Join(dir, "config.ini"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := serve(t, dir)
	p.accepts(t, "/distrustful", "", "")
	p.Stderr.Await(t, "a failed attempt", func(text string) bool { return strings.Contains(text, "not delivered") })
	p.accepts(t, "/trusting", "", "")
	if got := <-arrived; got != "/trusting from ours" {
		t.Errorf("%s arrived, want /trusting from ours", got)
	}
	p.Signal(t, os.Interrupt)
	p.ends(t, 0)
}
