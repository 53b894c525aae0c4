package meeting

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Services sign what they receive streams under, and the signature runs out. Which
// parameter says when, and how it is written, differs from one to the next:
//
//   - Tencent Cloud txTime, hexadecimal: https://cloud.tencent.com/document/product/267/32735
//   - Alibaba Cloud auth_key=TIME-RAND-UID-MD5: https://help.aliyun.com/zh/live/user-guide/url-signing
//   - Huawei Cloud hwTime, hexadecimal, the time of the signature: https://support.huaweicloud.com/iLive-live/live_01_0049.html
//   - Volcengine volcTime: https://www.volcengine.com/docs/6469/1274178
//   - pre-signed URLs, a date and a duration: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
//   - JWT, exp: https://www.rfc-editor.org/rfc/rfc7519#section-4.1.4
//
// and most others have an "expires" of some spelling.

// huaweiValidity is the longest that Huawei Cloud accepts a signature for: hwTime says
// when it was made, not when it ends.
const huaweiValidity = 30 * 24 * time.Hour

// expiryNames are the parameters, in small letters, whose value is an expiry, besides
// those that have "expir" or "deadline" in their name.
var expiryNames = map[string]bool{
	"exp": true, "e": true, "se": true, "txtime": true, "wstime": true, "wsabstime": true, "volctime": true, "validto": true, "valid_to": true, "valid_until": true,
}

var (
	// signedTime is the time that a signature begins with: TIME-RAND-UID-MD5, or TIME_HMAC.
	signedTime = regexp.MustCompile(`^(\d{10})(?:-[^-]*-[^-]*-[0-9A-Fa-f]+|_(?:0x)?[0-9A-Fa-f]{32,})$`)
	// claimedExpiry is the expiry in the JSON of a token or of a signed policy.
	claimedExpiry = regexp.MustCompile(`"(?:exp|(?:[a-z]+_)?expires?|DateLessThan"\s*:\s*\{\s*"AWS:EpochTime)"\s*:\s*(\d{10,13})\b`)
)

// hasExpired reports whether a signature in query, or in a key with a query, has run out.
// What cannot be read has not.
func hasExpired(query string, now time.Time) bool {
	values := map[string]string{}
	for _, pair := range strings.FieldsFunc(query, func(r rune) bool { return strings.ContainsRune("?&;~", r) }) {
		name, value, named := strings.Cut(pair, "=")
		if !named {
			value = name // the key itself may be a token
		}
		if inner, v, nested := strings.Cut(value, "="); nested && isName(inner) && v != "" { // hdnts=st=…
			name, value = inner, v
		}
		if plain, err := url.PathUnescape(value); err == nil { // a "+" is one: it is base64's
			value = plain
		}
		values[strings.ToLower(name)] = value
	}
	past := func(at time.Time, ok bool) bool { return ok && at.Before(now) }
	for name, value := range values {
		switch {
		case strings.Contains(name, "expir"), strings.Contains(name, "deadline"), strings.HasSuffix(name, "endtime"), expiryNames[name]:
			if past(readTime(value)) {
				return true
			}
		case name == "hwtime":
			if at, ok := readTime(value); past(at.Add(huaweiValidity), ok) {
				return true
			}
		case name == "t" && values["k"] != "": // UCloud; elsewhere it is any time
			if past(readTime(value)) {
				return true
			}
		case strings.HasSuffix(name, "-date"): // X-Amz-Date and its kin
			at, ok := readTime(value)
			seconds, err := strconv.ParseUint(values[strings.TrimSuffix(name, "date")+"expires"], 10, 31)
			if past(at.Add(time.Duration(seconds)*time.Second), ok && err == nil) {
				return true
			}
		}
		if m := signedTime.FindStringSubmatch(value); m != nil && past(readTime(m[1])) {
			return true
		}
		if past(claimed(value)) {
			return true
		}
	}
	return false
}

func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' })
}

// claimed returns the expiry in a JWT, or in a policy that is base64 of JSON.
func claimed(value string) (time.Time, bool) {
	if parts := strings.Split(value, "."); len(parts) == 3 {
		value = parts[1]
	}
	if len(value) < 16 { // too short for any
		return time.Time{}, false
	}
	value = strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(value), "=_")
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || !strings.HasPrefix(strings.TrimSpace(string(raw)), "{") {
		return time.Time{}, false
	}
	m := claimedExpiry.FindSubmatch(raw)
	if m == nil {
		return time.Time{}, false
	}
	return readTime(string(m[1]))
}

// readTime reads an instant in the ways that signatures have it. Unix time is told by its
// length: 8 digits are hexadecimal seconds, 10 are seconds, 13 milliseconds. Anything that
// is not of this century is no time.
func readTime(s string) (time.Time, bool) {
	var at time.Time
	hex := strings.TrimPrefix(s, "0x")
	switch n, err := strconv.ParseInt(s, 10, 64); {
	case len(hex) == 8:
		n, err := strconv.ParseInt(hex, 16, 64)
		if err != nil {
			return at, false
		}
		at = time.Unix(n, 0)
	case err == nil && len(s) == 10:
		at = time.Unix(n, 0)
	case err == nil && len(s) == 13:
		at = time.UnixMilli(n)
	default:
		for _, layout := range []string{time.RFC3339, "20060102T150405Z", "2006-01-02T15:04Z", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
			if t, err := time.Parse(layout, s); err == nil {
				at = t
				if !strings.HasSuffix(layout, "Z") && layout != time.RFC3339 {
					at = at.Add(14 * time.Hour) // of a zone that nobody names: past in all of them
				}
				break
			}
		}
	}
	return at, at.Year() >= 2002 && at.Year() < 2100
}
