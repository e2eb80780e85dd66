package repeater_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/redistest"
)

func aKey(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) }

func TestEncryptedRoundTrip(t *testing.T) {
	t.Parallel()
	codec := repeater.EncryptedCodec(repeater.BinaryCodec{}, aKey(1))
	first, err := codec.Encode(codecKey, sampleRequest())
	if err != nil {
		t.Fatal(err)
	}
	second, err := codec.Encode(codecKey, sampleRequest())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(first, second) {
		t.Error("the same request is encrypted twice to the same bytes")
	}
	for _, clear := range []string{"POST", "in.example", "application/json", "the body", codecKey.ID} {
		if bytes.Contains(first, []byte(clear)) {
			t.Errorf("%q can be read in what is stored", clear)
		}
	}
	got, err := codec.Decode(codecKey, first)
	if err != nil {
		t.Fatal(err)
	}
	if diff := diffRequests(sampleRequest(), got); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
}

// TestEncryptedIsBound: nothing of a record can be changed, nor can the record be put elsewhere.
func TestEncryptedIsBound(t *testing.T) {
	t.Parallel()
	codec := repeater.EncryptedCodec(repeater.BinaryCodec{}, aKey(1), aKey(2))
	data, err := codec.Encode(codecKey, sampleRequest())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []repeater.Key{{ID: codecKey.ID, Dest: 4}, {ID: "x", Dest: 3}, {}} {
		if _, err := codec.Decode(key, data); err == nil || !strings.Contains(err.Error(), key.String()) {
			t.Errorf("decoded as %v: %v, want an error that names it", key, err)
		}
	}
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 1
		if _, err := codec.Decode(codecKey, changed); err == nil {
			t.Errorf("byte %d changed: no error", i)
		}
		if _, err := codec.Decode(codecKey, data[:i]); err == nil {
			t.Errorf("cut to %d bytes: no error", i)
		}
	}
}

func TestEncryptKeys(t *testing.T) {
	t.Parallel()
	one, two, three := aKey(1), aKey(2), aKey(3)
	for _, tt := range []struct {
		name            string
		stored, read    []string // nil: without Encrypt
		want            string   // in the error; "" for none
		storedEncrypted bool
	}{
		{"same key", []string{one}, []string{one}, "", true},
		{"only the first encrypts", []string{one, two}, []string{one}, "", true},
		{"new key before it", []string{one}, []string{two, one}, "", true},
		{"new key behind it", []string{one}, []string{one, two}, "", true},
		{"key gone", []string{one}, []string{two, three}, "does not name", true},
		{"only behind", []string{one, two}, []string{two}, "does not name", true},
		{"encryption turned on", nil, []string{one}, "not encrypted, and Encrypt", false},
		{"encryption turned on, backlog still read", nil, []string{one, "plain"}, "", false},
		{"encryption turned off", []string{one}, nil, "Encrypt is not set", true},
		{"encryption turned off, backlog still read", []string{one}, []string{"plain", one}, "", true},
		{"plain first stores plainly", []string{"plain", one}, nil, "", false},
		{"a key with a line end", []string{one + "\n"}, []string{one}, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			codec := func(keys []string) repeater.Codec {
				if keys == nil {
					return repeater.BinaryCodec{}
				}
				return repeater.EncryptedCodec(repeater.BinaryCodec{}, keys...)
			}
			data, err := codec(tt.stored).Encode(codecKey, sampleRequest())
			if err != nil {
				t.Fatal(err)
			}
			if encrypted := !bytes.Contains(data, []byte("the body")); encrypted != tt.storedEncrypted {
				t.Errorf("stored encrypted: %v, want %v", encrypted, tt.storedEncrypted)
			}
			got, err := codec(tt.read).Decode(codecKey, data)
			switch {
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("decoded with %v, want an error with %q", err, tt.want)
			case tt.want == "" && err != nil:
				t.Errorf("cannot decode: %v", err)
			case tt.want == "":
				if diff := diffRequests(sampleRequest(), got); diff != "" {
					t.Errorf("decoded (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestEncryptInAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "encrypted.db")
	encrypted(t, repeater.WithFile(file), func() []byte {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return data
	})
}

func TestEncryptInRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	encrypted(t, repeater.WithRedis(server.Client(t)), func() []byte {
		ctx, node := context.Background(), server.Node(t)
		var all []byte
		for _, key := range node.Keys(ctx, "*").Val() {
			dump, err := node.Dump(ctx, key).Result()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, dump...)
		}
		return all
	})
}

// encrypted stores a request, looks at what the store holds, and has it delivered.
func encrypted(t *testing.T, store repeater.Option, stored func() []byte) {
	dest := newDestination(t, answerOK)
	rp := repeater.New(store, repeater.WithLogger(discard()), repeater.Encrypt(aKey(7)), repeater.Route("/", dest.url("/in"), repeater.KeepPath(), repeater.Name("named")))
	if got := sendRaw(t, listen(t, rp), secretPost()); got.status != 200 {
		t.Fatalf("got %d, want 200", got.status)
	}
	data := stored()
	if !bytes.Contains(data, []byte("named")) {
		t.Error("what is stored does not even name its route: this test looks in the wrong place")
	}
	for _, c := range canaries {
		if bytes.Contains(data, []byte(c)) {
			t.Errorf("%q can be read in the store", c)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- rp.Run(ctx) }()
	got := dest.next(t)
	if got.target() != "/in/canary-path?canary-query" || string(got.body) != "canary-body" || got.value("X-Token") != "canary-header" {
		t.Errorf("delivered %+v", got)
	}
	stop()
	if err := receive(t, ran, "Run to end"); err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := rp.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func FuzzEncryptedDecode(f *testing.F) {
	codec := repeater.EncryptedCodec(repeater.BinaryCodec{}, aKey(1), "plain")
	data, err := codec.Encode(codecKey, sampleRequest())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:8])
	f.Add(data[:20])
	f.Add([]byte("\xffWR1"))
	f.Add(encode(f, sampleRequest()))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		got, err := codec.Decode(codecKey, data)
		if !bytes.Equal(before, data) {
			t.Fatal("Decode changed its input")
		}
		if (got == nil) != (err != nil) {
			t.Fatalf("decoded to %v with %v", got, err)
		}
	})
}

// TestKeyComesBack: what no key decrypts becomes a dead letter that says so, and once its key is back a replay delivers
// all of it, in order.
func TestKeyComesBack(t *testing.T) {
	t.Parallel()
	one, two := aKey(1), aKey(2)
	for _, tt := range []struct {
		name   string
		wrong  []string
		reason string
	}{
		{"another key", []string{two}, "encrypted with a key that Encrypt does not name; once that is back"},
		{"no key", nil, "encrypted, and Encrypt is not set; once it is"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bubble) {
				keys := func(keys ...string) {
					b.opts = []repeater.Option{repeater.Route("/", "http://a.example")}
					if keys != nil {
						b.opts = append(b.opts, repeater.Encrypt(keys...))
					}
					b.restart()
				}
				keys(one)
				b.replies(func(sent) reply { return status(503) })
				b.accept("/", "1", "2", "3")
				b.pass(time.Second)
				b.replies(func(sent) reply { return status(200) })
				b.seen()
				keys(tt.wrong...)
				b.pass(time.Minute)
				dead := b.dead(laneA)
				if got := b.seen(); len(got) != 0 || len(dead) != 3 || !strings.Contains(dead[0].Reason, tt.reason) {
					t.Fatalf("without the key: attempts %v, dead letters %+v", names(got), dead)
				}
				keys(two, one)
				if _, err := b.rp.DeadLetters().Replay(context.Background(), repeater.DeadFilter{}); err != nil {
					t.Fatal(err)
				}
				b.pass(time.Minute)
				var bodies []string
				for _, tr := range b.seen() {
					bodies = append(bodies, tr.body)
				}
				if diff := cmp.Diff([]string{"1", "2", "3"}, bodies); diff != "" {
					t.Errorf("delivered with the key (-want +got):\n%s", diff)
				}
			}, repeater.Route("/", "http://a.example"))
		})
	}
}
