package repeater

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // what receivers of the original program check
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
)

const headerMD5 = "X-Repeater-Sig"

// signMD5 makes the signature of the original webhook-repeater.
func signMD5(secret []byte, h http.Header, body []byte) string {
	contentType, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	mac := hmac.New(md5.New, secret)
	mac.Write([]byte(contentType))
	mac.Write(strconv.AppendInt(nil, int64(len(body)), 10))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
