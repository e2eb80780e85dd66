package repeater

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/webhook-repeater/repeater/internal/bin"
)

// Request is a webhook as it came, and as it is forwarded.
type Request struct {
	Method     string
	Host       string      // the Host it was sent to
	Path       string      // raw: percent-encoded as sent
	Query      string      // raw, with its leading "?"; "" if there was none
	Header     http.Header // without hop-by-hop headers; with Via as it is to be sent on
	RemoteAddr string      // "host:port" of the other end of the connection it came on
	TLS        bool        // whether that connection was encrypted
	Body       []byte
	Trace      string // traceparent of the accepting span, or ""; see WithTracerProvider
}

// Codec turns a request into bytes for the store, and back. It knows nothing of lanes and time.
// Methods may be called concurrently.
//
// A store may keep bytes for years: a codec that changes its format must go on reading the old one.
// Key is the message's; a codec that encrypts can bind the bytes to it, so that they decode under
// no other.
type Codec interface {
	// Encode returns bytes that the caller owns. It must not keep or change r. If it returns an
	// error, the request is answered with 503. A panic is not recovered here: the request is not
	// stored, and net/http aborts it.
	Encode(key Key, r *Request) ([]byte, error)
	// Decode returns a request that may share memory with data, which neither side changes. An
	// error makes the message a dead letter. A panic in it ends the process.
	Decode(key Key, data []byte) (*Request, error)
}

// BinaryCodec is the default Codec: a version, length-prefixed fields, and the
// body as it came. It does not encrypt; [Encrypt] does.
type BinaryCodec struct{}

// A request with a trace is written as version 2, which has it behind the address of the sender.
const (
	codecVersion      = 1
	codecVersionTrace = 2
)

const flagTLS = 1

const (
	maxHeaderHint = 64
	addedHeaders  = 8 // by which an attempt makes the headers grow
)

// Encode never returns an error.
func (BinaryCodec) Encode(_ Key, r *Request) ([]byte, error) {
	b := make([]byte, 0, encodedSize(r))
	var flags uint64
	if r.TLS {
		flags |= flagTLS
	}
	version := byte(codecVersion)
	if r.Trace != "" {
		version = codecVersionTrace
	}
	b = append(b, version)
	b = bin.AppendUint(b, flags)
	for _, s := range [...]string{r.Method, r.Host, r.Path, r.Query, r.RemoteAddr} {
		b = bin.AppendString(b, s)
	}
	if r.Trace != "" {
		b = bin.AppendString(b, r.Trace)
	}
	b = bin.AppendUint(b, uint64(len(r.Header)))
	for name, values := range r.Header {
		b = bin.AppendString(b, name)
		b = bin.AppendUint(b, uint64(len(values)))
		for _, v := range values {
			b = bin.AppendString(b, v)
		}
	}
	return append(b, r.Body...), nil
}

// Decode reads what any version of Encode has written.
func (BinaryCodec) Decode(key Key, data []byte) (*Request, error) {
	if bytes.HasPrefix(data, []byte(sealMagic)) {
		return nil, fmt.Errorf("message %v: encrypted, and Encrypt is not set; once it is, it can be replayed", key)
	}
	if len(data) == 0 || data[0] != codecVersion && data[0] != codecVersionTrace {
		return nil, fmt.Errorf("message %v: not written by this codec, or by a newer version of it", key)
	}
	rd := bin.NewReader(data[1:])
	flags := rd.Uint()
	r := &Request{
		Method:     rd.String(),
		Host:       rd.String(),
		Path:       rd.String(),
		Query:      rd.String(),
		RemoteAddr: rd.String(),
		TLS:        flags&flagTLS != 0,
	}
	if data[0] == codecVersionTrace {
		r.Trace = rd.String()
	}
	r.Header = readHeader(rd)
	r.Body = rd.Rest()
	if err := rd.Err(); err != nil {
		return nil, fmt.Errorf("message %v: %w", key, err)
	}
	return r, nil
}

// readHeader has all values share one array. A lying count costs little: room is made
// for a sane number, and nothing is read after what is malformed.
func readHeader(rd *bin.Reader) http.Header {
	n := rd.Count()
	h := make(http.Header, min(n, maxHeaderHint)+addedHeaders)
	all := make([]string, 0, min(n, maxHeaderHint))
	for i := 0; i < n && rd.Err() == nil; i++ {
		name, first := rd.String(), len(all)
		for count := rd.Count(); count > 0 && rd.Err() == nil; count-- {
			all = append(all, rd.String())
		}
		h[name] = all[first:len(all):len(all)]
	}
	return h
}

// encodedSize is an upper bound, so that Encode allocates once.
func encodedSize(r *Request) int {
	const lengths = 10 // of a varint, at most
	n := 1 + 7*lengths + len(r.Method) + len(r.Host) + len(r.Path) + len(r.Query) + len(r.RemoteAddr) + len(r.Body)
	if r.Trace != "" {
		n += lengths + len(r.Trace)
	}
	for name, values := range r.Header {
		n += 2*lengths + len(name)
		for _, v := range values {
			n += lengths + len(v)
		}
	}
	return n
}
