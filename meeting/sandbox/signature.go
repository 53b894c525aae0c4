package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"
)

// Tencent Meeting's AK/SK authentication, from
// https://cloud.tencent.com/document/product/1095/42413.

// clockSkew is how far X-TC-Timestamp may be off, and how long a nonce may not return.
const clockSkew = 5 * time.Minute

// signedHeaders must all be there; X-TC-Registered is always 1.
var signedHeaders = []string{
	"Content-Type", "X-TC-Key", "X-TC-Nonce", "X-TC-Timestamp", "X-TC-Signature", "AppId", "X-TC-Registered",
}

// sign computes X-TC-Signature: base64 of the hex digits of an HMAC-SHA256, over the
// method, the three headers in this order, path and query as on the wire, and the
// exact bytes of the body.
func sign(secretKey, method, key, nonce, timestamp, uri string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secretKey))
	mac.Write([]byte(method + "\nX-TC-Key=" + key + "&X-TC-Nonce=" + nonce + "&X-TC-Timestamp=" + timestamp + "\n" + uri + "\n"))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(mac.Sum(nil))))
}

// authenticate checks that a request comes from the configured application, now, and
// for the first time. It is called with s.mu held.
func (s *Server) authenticate(r *http.Request, body []byte) *tencentError {
	for _, name := range signedHeaders {
		if r.Header.Get(name) == "" {
			return failf(codeHeaderMissing, "required header %s is missing", name)
		}
		if len(r.Header.Values(name)) > 1 {
			return failf(codeBadParameter, "header %s is repeated", name)
		}
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		return failf(codeBadParameter, "Content-Type must be application/json")
	}
	if r.Header.Get("X-TC-Registered") != "1" {
		return failf(codeBadParameter, "X-TC-Registered must be 1")
	}
	key, nonce, timestamp := r.Header.Get("X-TC-Key"), r.Header.Get("X-TC-Nonce"), r.Header.Get("X-TC-Timestamp")
	if n, err := strconv.ParseUint(nonce, 10, 64); err != nil || n == 0 {
		return failf(codeBadParameter, "X-TC-Nonce must be a positive integer")
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || len(timestamp) > 11 {
		return failf(codeBadParameter, "X-TC-Timestamp must be in seconds")
	}
	now := s.now()
	if skew := now.Sub(time.Unix(seconds, 0)); skew > clockSkew || skew < -clockSkew {
		return failf(codeSkew, "X-TC-Timestamp 与服务器时间相差超过五分钟")
	}
	if key != s.cfg.TencentSecretID || r.Header.Get("AppId") != s.cfg.TencentAppID {
		return failf(codeUnknownKey, "鉴权失败：AppId 与 SecretId 不匹配")
	}
	if sdk, sent := r.Header["Sdkid"]; sent != (s.cfg.TencentSDKID != "") || sent && (len(sdk) != 1 || sdk[0] != s.cfg.TencentSDKID) {
		return failf(codeUnknownKey, "鉴权失败：字段 SdkId 如未分配不要携带")
	}
	want := sign(s.cfg.TencentSecretKey.Reveal(), r.Method, key, nonce, timestamp, r.RequestURI, body)
	if !hmac.Equal([]byte(want), []byte(r.Header.Get("X-TC-Signature"))) {
		return failf(codeSignature, "Signature failed!")
	}
	if !s.nonces.fresh(timestamp+"/"+nonce, now) {
		return failf(codeReplay, "请求重放错误：timestamp 和 nonce 不能与过去五分钟内的相同")
	}
	return nil
}

// nonceWindow remembers the pairs of timestamp and nonce for as long as their
// timestamp is acceptable.
type nonceWindow struct {
	seen  map[string]struct{}
	queue []seenNonce // by time
}

type seenNonce struct {
	pair string
	at   time.Time
}

// fresh records the pair and reports whether it is new.
func (n *nonceWindow) fresh(pair string, now time.Time) bool {
	if n.seen == nil {
		n.seen = make(map[string]struct{})
	}
	// A timestamp may be ahead of our clock by clockSkew, and live that much longer.
	for len(n.queue) > 0 && now.Sub(n.queue[0].at) > 2*clockSkew {
		delete(n.seen, n.queue[0].pair)
		n.queue = n.queue[1:]
	}
	if _, ok := n.seen[pair]; ok {
		return false
	}
	n.seen[pair] = struct{}{}
	n.queue = append(n.queue, seenNonce{pair, now})
	return true
}
