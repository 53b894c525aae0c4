package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"time"
)

// hostUser is who acts on a SYSTEC meeting through its start link.
const hostUser = "host"

// joinURL has the shape of the provider's own: SYSTEC's and Zoom's show the number, Tencent's
// is short.
func (r *record) joinURL() string {
	switch r.Provider {
	case Systec:
		return r.base + "/j/" + r.ID + "?pwd=" + r.joinSlug
	case Zoom: // as the web client's: it shows the number that people type
		return r.base + "/wc/" + r.Code + "/join?pwd=" + r.joinSlug
	}
	return r.base + "/dm/" + r.joinSlug
}

func (r *record) watchURL() string {
	if !r.LiveEnabled {
		return ""
	}
	return r.base + "/l/" + r.watchSlug
}

func (r *record) playURL() string { return r.base + "/hls/" + r.watchSlug + "/live.m3u8" }

// startURL returns a fresh start link. As at SYSTEC, its zak is a signed token of
// which the claims say when it ends; whoever holds it is the host until then.
func (s *Server) startURL(r *record) string {
	now := s.now()
	claims := startClaims{Audience: "client", Issuer: "web", Meeting: r.ID, IssuedAt: now.Unix(), Expires: now.Add(startLinkLife).Unix(), ID: slug()}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err) // strings and integers only
	}
	token := segment([]byte(`{"zm_skm":"zm_o2m","alg":"HS256"}`)) + "." + segment(payload)
	return r.base + "/s/" + r.ID + "?zak=" + token + "." + segment(s.signStart(token))
}

type startClaims struct {
	Audience string `json:"aud"`
	Issuer   string `json:"iss"`
	Meeting  string `json:"mid"`
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
	ID       string `json:"jti"`
}

func (s *Server) signStart(token string) []byte {
	mac := hmac.New(sha256.New, s.startKey)
	mac.Write([]byte(token))
	return mac.Sum(nil)
}

// startLink checks a start link: whether it is one of ours for the meeting, and
// whether it has expired.
func (s *Server) startLink(id string, query url.Values) (valid, expired bool) {
	token := query.Get("zak")
	i := strings.LastIndexByte(token, '.')
	if i < 0 {
		return false, false
	}
	token, signature := token[:i], token[i+1:]
	if !hmac.Equal([]byte(segment(s.signStart(token))), []byte(signature)) {
		return false, false
	}
	_, payload, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return false, false
	}
	var claims startClaims
	if json.Unmarshal(b, &claims) != nil || claims.Meeting != id {
		return false, false
	}
	return true, !s.now().Before(time.Unix(claims.Expires, 0))
}

func segment(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
