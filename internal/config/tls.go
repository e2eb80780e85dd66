package config

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// checkTLS reads certificates now, so that what is wrong with them is told before anything runs.
func (r *reader) checkTLS() {
	if r.TLSCert != "" || r.TLSKey != "" {
		if _, err := loadPair(r.TLSCert, r.TLSKey); err != nil {
			r.fail(cmp.Or(r.lines["server.tls_cert"], r.lines["server.tls_key"]), "[server] tls_cert and tls_key %v", err)
		}
	}
	for i := range r.Hooks {
		h := &r.Hooks[i]
		r.checkHookTLS(h)
		if h.TLSInsecure {
			r.notice(r.lineOf(h, "dst_tls_insecure"), "[hook:%s] dst_tls_insecure lets anybody on the way read and answer what is delivered", h.Name)
		}
	}
}

func (r *reader) checkHookTLS(h *Hook) {
	if h.TLSCA == "" && h.TLSCert == "" && h.TLSKey == "" && !h.TLSInsecure {
		return
	}
	h.tls = &tls.Config{InsecureSkipVerify: h.TLSInsecure} // #nosec G402 -- only where the file says so, and loudly
	if h.TLSCert != "" || h.TLSKey != "" {
		pair, err := loadPair(h.TLSCert, h.TLSKey)
		if err != nil {
			r.fail(r.lineOf(h, "dst_tls_cert", "dst_tls_key"), "[hook:%s] dst_tls_cert and dst_tls_key %v", h.Name, err)
		}
		h.tls.Certificates = []tls.Certificate{pair}
	}
	if h.TLSCA != "" {
		h.tls.RootCAs = x509.NewCertPool()
		if err := addAuthorities(h.tls.RootCAs, h.TLSCA); err != nil {
			r.fail(r.lineOf(h, "dst_tls_ca"), "[hook:%s] dst_tls_ca %v", h.Name, err)
		}
	}
}

func loadPair(cert, key string) (tls.Certificate, error) {
	if cert == "" || key == "" {
		return tls.Certificate{}, errors.New("belong together; write both")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return pair, fmt.Errorf("cannot be used: %w; write two files in PEM form", err)
	}
	return pair, nil
}

func addAuthorities(pool *x509.CertPool, path string) error {
	text, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s cannot be read: %w", quote(path), err)
	case !pool.AppendCertsFromPEM(text):
		return fmt.Errorf("%s has no certificate in PEM form", quote(path))
	}
	return nil
}
