package repeater

import (
	"crypto/hmac"
	"crypto/md5" // #nosec G501 -- what receivers of the original program check
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	headerMD5 = "X-Repeater-Sig"

	headerSignedID = "Webhook-Id"
	headerSignedAt = "Webhook-Timestamp"
	headerSigned   = "Webhook-Signature"
)

// minSigningKey is the shortest key that Standard Webhooks allows, in bytes.
const minSigningKey = 24

// Sign signs each attempt afresh, as Standard Webhooks specifies: Webhook-Id (which is the
// Repeater-Id), Webhook-Timestamp and Webhook-Signature, over id, time and body. So a destination
// can verify that a message came through this Repeater, and not long ago, however late it is
// delivered. Path, query and other headers are not signed. Headers of these names in the request
// are replaced.
//
// A secret is 24 to 64 random bytes in base64, usually after "whsec_". With several there are as
// many signatures, so that destinations can change to a new one at any time. No secret at all is a
// mistake, and so is one of fewer than 24 bytes.
func Sign(secrets ...string) RouteOption {
	return func(rt *route) {
		rt.sign = make([][]byte, len(secrets))
		if len(secrets) == 0 {
			rt.fail("Sign names no secret")
		}
		for i, text := range secrets {
			key, err := signingKey(text)
			if err == nil && len(key) < minSigningKey {
				err = fmt.Errorf("a secret has %d bytes, fewer than %d", len(key), minSigningKey)
			}
			if err != nil {
				rt.fail("Sign: %w", err)
			}
			rt.sign[i] = key
		}
	}
}

// sign adds the signatures of an attempt that starts now.
func sign(h http.Header, keys [][]byte, id string, now time.Time, body []byte) {
	at := strconv.FormatInt(now.Unix(), 10)
	var list strings.Builder
	for i, key := range keys {
		if i > 0 {
			list.WriteByte(' ')
		}
		list.WriteString("v1,")
		list.WriteString(base64.StdEncoding.EncodeToString(
			signature(sha256.New, key, []byte(id), []byte("."), []byte(at), []byte("."), body)))
	}
	h[headerSignedID] = []string{id}
	h[headerSignedAt] = []string{at}
	h[headerSigned] = []string{list.String()}
}

// signMD5 makes the signature of the original webhook-repeater.
func signMD5(secret []byte, h http.Header, body []byte) string {
	contentType, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	mac := hmac.New(md5.New, secret)
	mac.Write([]byte(contentType))
	mac.Write(strconv.AppendInt(nil, int64(len(body)), 10))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
