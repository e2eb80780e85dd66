package repeater

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Encrypt encrypts stored requests (headers, body, path, query) with AES-256-GCM, each bound to its
// [Key]: a record that was changed, or put in another's place, becomes a dead letter. Names of
// lanes and routes, ids, times, sizes, order keys, dedupe values and the answers of destinations
// are not encrypted.
//
// Each key is 32 random bytes in base64, as printed by "openssl rand -base64 32"; an empty list is
// a mistake. The first key encrypts, and all of them decrypt; a record names its key. To change
// keys put the new one first and leave the old one until nothing that was stored before is left,
// dead letters included: what no key here decrypts becomes a dead letter, which can be replayed once its key
// is back. Where several processes share a store, add the new key to all of them before any of them
// has it first. Change keys at the latest after 4 billion messages.
//
// The word "plain" in the place of a key stands for no encryption: Encrypt(key, "plain") still
// reads what was stored before Encrypt was added, and Encrypt("plain", key) is the way back. As
// long as it is there, whoever can write to the store can forge requests.
//
// It wraps the codec of [WithCodec]. The last one holds.
func Encrypt(keys ...string) Option {
	return func(c *config) {
		c.sealing = nil
		if len(keys) == 0 {
			c.fail("Encrypt names no key")
		}
		for _, text := range keys {
			k, err := newSealingKey(text)
			if err != nil {
				c.fail("Encrypt: %w", err)
				continue
			}
			c.sealing = append(c.sealing, k)
		}
	}
}

const (
	sealMagic = "\xffWR1" // no record of BinaryCodec begins so
	keyIDSize = 4
	noKey     = "plain"
)

// sealingKey is a key of Encrypt, or, without aead, its word for none.
type sealingKey struct {
	id   [keyIDSize]byte
	aead cipher.AEAD
}

// newSealingKey never quotes the key in its error.
func newSealingKey(text string) (sealingKey, error) {
	if text == noKey {
		return sealingKey{}, nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) != 32 {
		return sealingKey{}, errors.New("a key is not 32 bytes in base64")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealingKey{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return sealingKey{}, err
	}
	sum := sha256.Sum256(append([]byte("webhook-repeater key id "), key...))
	return sealingKey{id: [keyIDSize]byte(sum[:]), aead: aead}, nil
}

// sealedCodec encrypts what another codec makes: magic, the key's id, then nonce,
// ciphertext and tag.
type sealedCodec struct {
	inner Codec
	keys  []sealingKey // at least one
}

func (c sealedCodec) Encode(key Key, r *Request) ([]byte, error) {
	plain, err := c.inner.Encode(key, r)
	k := c.keys[0]
	if err != nil || k.aead == nil {
		return plain, err
	}
	head := append([]byte(sealMagic), k.id[:]...)
	out := make([]byte, len(head), len(head)+len(plain)+k.aead.Overhead())
	copy(out, head)
	return k.aead.Seal(out, nil, plain, sealedFor(head, key)), nil // #nosec G407 -- this AEAD makes a random nonce itself
}

func (c sealedCodec) Decode(key Key, data []byte) (*Request, error) {
	const head = len(sealMagic) + keyIDSize
	if len(data) < head || !bytes.HasPrefix(data, []byte(sealMagic)) {
		if !c.readsPlain() {
			return nil, fmt.Errorf("message %v: not encrypted, and Encrypt does not name %q", key, noKey)
		}
		return c.inner.Decode(key, data)
	}
	known := false
	for _, k := range c.keys {
		if k.aead == nil || string(k.id[:]) != string(data[len(sealMagic):head]) {
			continue
		}
		known = true
		if plain, err := k.aead.Open(nil, nil, data[head:], sealedFor(data[:head], key)); err == nil {
			return c.inner.Decode(key, plain)
		}
	}
	if !known {
		return nil, fmt.Errorf("message %v: encrypted with a key that Encrypt does not name; once that is back, behind the others, it can be replayed", key)
	}
	return nil, fmt.Errorf("message %v: cannot be decrypted: its record was changed, or is another's", key)
}

func (c sealedCodec) readsPlain() bool {
	for _, k := range c.keys {
		if k.aead == nil {
			return true
		}
	}
	return false
}

// sealedFor is what a record is bound to besides its key.
func sealedFor(head []byte, key Key) []byte {
	return append(append(make([]byte, 0, 64), head...), key.String()...)
}
