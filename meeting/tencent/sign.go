package tencent

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"strconv"
)

// sign adds the signature headers. Nonce and timestamp are new for every try: the API
// refuses a pair it has seen within five minutes.
func (c *Client) sign(h http.Header, method, uri string, body []byte) {
	nonce := strconv.FormatUint(c.cfg.Nonce(), 10)
	timestamp := strconv.FormatInt(c.cfg.Now().Unix(), 10)
	h["X-TC-Key"] = []string{c.cfg.SecretID}
	h["X-TC-Nonce"] = []string{nonce}
	h["X-TC-Timestamp"] = []string{timestamp}
	h["X-TC-Signature"] = []string{signature(c.cfg.SecretID, c.cfg.SecretKey.Reveal(), method, uri, nonce, timestamp, body)}
}

// signature is the base64 form of the 64 hexadecimal digits of the HMAC, not of its 32
// bytes. The uri is the path with its query as sent.
//
// API docs: https://cloud.tencent.com/document/product/1095/42413
func signature(secretID, secretKey, method, uri, nonce, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secretKey))
	mac.Write([]byte(method + "\nX-TC-Key=" + secretID + "&X-TC-Nonce=" + nonce + "&X-TC-Timestamp=" + timestamp + "\n" + uri + "\n"))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(mac.Sum(nil))))
}

// randomNonce returns a random positive number that fits an int64, in case the server
// reads it as one.
func randomNonce() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])>>1 | 1
}
