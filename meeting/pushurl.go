package meeting

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"meetbot/config/secret"
)

// Bounds of what is accepted as a push address and as a stream key, in bytes. They are
// ours: the longest keys in use, with signatures in them, have a few hundred.
const (
	MaxPushURL = 1024
	MaxPushKey = 2048
)

// MinPushKeyStem is how long a key has to be, before its query, to be looked for in other texts:
// shorter ones are in many.
const MinPushKeyStem = 8

// PushAddress is an RTMP ingest, taken apart into what Tencent Meeting asks for.
type PushAddress struct {
	URL string // as given, a trailing slash included: whether the provider adds one is not documented
	Key secret.String
	// Split says that both came out of one pasted URL. URL is then worth showing, so that
	// the person sees where it was cut.
	Split bool
}

// PushFault is something that makes a push address impossible to use.
type PushFault string

const (
	PushFaultMissing       PushFault = "missing"        // no address at all
	PushFaultScheme        PushFault = "scheme"         // not rtmp:// or rtmps://
	PushFaultHost          PushFault = "host"           // none, or not a host's name
	PushFaultPrivateHost   PushFault = "private_host"   // loopback or a private network: the provider cannot reach it
	PushFaultUserInfo      PushFault = "userinfo"       // user:password@
	PushFaultPort          PushFault = "port"           // not 1 to 65535
	PushFaultFragment      PushFault = "fragment"       // has a #
	PushFaultCharacters    PushFault = "characters"     // the address has blanks, line breaks, or what no URL has
	PushFaultLong          PushFault = "long"           // over MaxPushURL
	PushFaultKeyMissing    PushFault = "key_missing"    // none given and none in the address
	PushFaultKeyCharacters PushFault = "key_characters" // blanks, line breaks or control characters in the key
	PushFaultKeyLong       PushFault = "key_long"       // over MaxPushKey
	PushFaultFacebookRTMP  PushFault = "facebook_rtmp"  // Facebook takes rtmps:// only, since 2019-11-04
)

// PushFaults are all faults of an address, each once, in the order of the constants. It
// matches [ErrInvalid], and its text has nothing of the address in it.
type PushFaults []PushFault

func (f PushFaults) Error() string {
	s := make([]string, len(f))
	for i, fault := range f {
		s[i] = string(fault)
	}
	return "push address: " + strings.Join(s, ", ")
}

// Unwrap makes [errors.Is] find [ErrInvalid].
func (PushFaults) Unwrap() error { return ErrInvalid }

// Has reports whether fault is among f.
func (f PushFaults) Has(fault PushFault) bool { return slices.Contains(f, fault) }

// PushWarning is something about a push address that hardly can be meant.
type PushWarning string

const (
	PushWarnBandwidthTest PushWarning = "bandwidth_test" // Twitch's bandwidthtest=true never goes live
	PushWarnExpired       PushWarning = "expired"        // the signature in the key has run out
	PushWarnNoApp         PushWarning = "no_app"         // no path: nearly every ingest has an application name there
	PushWarnKeyInAddress  PushWarning = "key_in_address" // the address, which is shown, has a key in it as well
)

// SplitPush checks a push address and, if key is empty, takes the key out of it. Blanks
// around both are dropped; nothing else is changed, and URL and Key put together are
// what was given. An address without a key in it is given back in URL, with
// [PushFaultKeyMissing]. The error is of type [PushFaults].
//
// The cut is where the ingests of the services in use have it: before a query that
// follows a slash (Bilibili's keys begin with a question mark), else before the last path
// segment if there is one more than the application needs. A query after the
// application's name belongs to the address (YouTube's backup).
func SplitPush(raw string, key secret.String) (PushAddress, error) {
	raw = strings.TrimFunc(raw, isBlank)
	given := strings.TrimFunc(key.Reveal(), isBlank)
	p := takeApart(raw)

	a := PushAddress{URL: raw, Key: secret.New(given)}
	if given == "" && raw != "" {
		if at := p.keyAt(); at > 0 {
			a = PushAddress{URL: raw[:at], Key: secret.New(raw[at:]), Split: true}
		}
	}
	if faults := p.faults(a); len(faults) > 0 {
		return a, faults
	}
	return a, nil
}

// isBlank is true of what people paste around an address without seeing it.
func isBlank(r rune) bool {
	if ' ' < r && r < 0x7f { // nearly all of every address and key
		return false
	}
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// pushURL is an address in its parts. It is not parsed with net/url, which stops at the
// first fault and quotes the address in it.
type pushURL struct {
	raw, scheme           string
	hasScheme, hasUser    bool
	hasPort               bool
	host, port, path      string
	query                 string
	hasQuery, hasFragment bool
	pathAt                int // where path begins in raw
}

func takeApart(raw string) pushURL {
	p := pushURL{raw: raw}
	scheme, rest, ok := strings.Cut(raw, "://")
	if p.hasScheme = ok; ok {
		p.scheme = scheme
	} else {
		rest = raw
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, rest = rest[:i], rest[i:]
	} else {
		rest = ""
	}
	p.pathAt = len(raw) - len(rest)
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		p.hasUser, authority = true, authority[i+1:]
	}
	p.host = authority
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && !strings.HasSuffix(authority, "]") {
		p.host, p.port, p.hasPort = authority[:i], authority[i+1:], true
	}
	rest, _, p.hasFragment = strings.Cut(rest, "#")
	p.path, p.query, p.hasQuery = strings.Cut(rest, "?")
	return p
}

// appSegments is how many path segments the applications of a domain have, where it is
// not one.
var appSegments = map[string]int{
	"millicast.com": 2, // /v2/pub
	"nicovideo.jp":  2, // /live/input
	"shareplay.tv":  0,
}

// keyAt returns where the key begins in p.raw, or 0 if there is none.
func (p pushURL) keyAt() int {
	if p.hasFragment { // a fault anyway, and nobody knows what it is part of
		return 0
	}
	if strings.HasSuffix(p.path, "/") {
		if p.query != "" {
			return p.pathAt + len(p.path)
		}
		return 0
	}
	app := 1
	for domain, n := range appSegments {
		if p.inDomain(domain) {
			app = n
		}
	}
	if p.segments() <= app {
		return 0
	}
	return p.pathAt + strings.LastIndexByte(p.path, '/') + 1
}

// segments counts the parts of the path that are not empty.
func (p pushURL) segments() int {
	return len(strings.FieldsFunc(p.path, func(r rune) bool { return r == '/' }))
}

func (p pushURL) inDomain(domain string) bool {
	host := strings.ToLower(strings.TrimSuffix(p.host, "."))
	return host == domain || strings.HasSuffix(host, "."+domain)
}

func (p pushURL) faults(a PushAddress) PushFaults {
	var f PushFaults
	add := func(wrong bool, fault PushFault) {
		if wrong && !f.Has(fault) {
			f = append(f, fault)
		}
	}
	rtmp, rtmps := strings.EqualFold(p.scheme, "rtmp"), strings.EqualFold(p.scheme, "rtmps")
	key := a.Key.Reveal()
	if p.raw == "" {
		add(true, PushFaultMissing)
	} else {
		host, private := checkHost(p.host)
		port, err := strconv.ParseUint(p.port, 10, 16)
		add(!rtmp && !rtmps, PushFaultScheme)
		add(!host, PushFaultHost)
		add(private, PushFaultPrivateHost)
		add(p.hasUser, PushFaultUserInfo)
		add(p.hasPort && (err != nil || port == 0), PushFaultPort)
		add(p.hasFragment, PushFaultFragment)
		add(strings.ContainsFunc(a.URL, func(r rune) bool { return r <= ' ' || r > '~' || strings.IndexByte("<>\"\\^`{|}", byte(r)) >= 0 }), PushFaultCharacters)
		add(len(a.URL) > MaxPushURL, PushFaultLong)
	}
	add(key == "", PushFaultKeyMissing)
	add(!utf8.ValidString(key) || strings.ContainsFunc(key, isBlank), PushFaultKeyCharacters)
	add(len(key) > MaxPushKey, PushFaultKeyLong)
	add(rtmp && p.inDomain("facebook.com"), PushFaultFacebookRTMP)
	return f
}

// checkHost reports whether host can be one, and whether it is one that only its own
// network can reach. The provider connects to it, not we: this catches mistakes.
func checkHost(host string) (ok, private bool) {
	if inner, found := strings.CutPrefix(host, "["); found {
		ip, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && ip.Zone() == "" && strings.HasSuffix(inner, "]"), err == nil && isPrivate(ip)
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "" || len(name) > 253 {
		return false, false
	}
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || strings.HasSuffix(name, ".local") {
		return true, true
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.Is4(), isPrivate(ip)
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return false, false
		}
	}
	// A name that ends in a number is read as an IPv4 address, and is not a valid one.
	last := labels[len(labels)-1]
	if last[0] < '0' || last[0] > '9' {
		return true, false
	}
	_, err := strconv.ParseUint(strings.TrimPrefix(last, "0x"), 16, 64)
	return err != nil, false
}

var sharedAddressSpace = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

func isPrivate(ip netip.Addr) bool {
	ip = ip.Unmap()
	return !ip.IsGlobalUnicast() || ip.IsPrivate() || sharedAddressSpace.Contains(ip)
}

// Warnings returns what is probably a mistake in a, each once.
func (a PushAddress) Warnings(now time.Time) []PushWarning {
	var w []PushWarning
	p, key := takeApart(a.URL), a.Key.Reveal()
	_, keyQuery, _ := strings.Cut(key, "?")
	test := false
	for _, q := range []string{p.query, keyQuery} {
		values, _ := url.ParseQuery(q) // what can be read of it
		test = test || strings.EqualFold(values.Get("bandwidthtest"), "true")
	}
	if test {
		w = append(w, PushWarnBandwidthTest)
	}
	if hasExpired(p.query, now) || hasExpired(key, now) {
		w = append(w, PushWarnExpired)
	}
	if p.segments() == 0 && !p.inDomain("shareplay.tv") {
		w = append(w, PushWarnNoApp)
	}
	if p.hasSecret(key) {
		w = append(w, PushWarnKeyInAddress)
	}
	return w
}

// hasSecret reports whether the address has in it the key or a parameter that signs.
func (p pushURL) hasSecret(key string) bool {
	values, _ := url.ParseQuery(p.query)
	for _, name := range []string{"txSecret", "wsSecret", "auth_key", "sign", "key", "streamname"} {
		if values.Has(name) {
			return true
		}
	}
	stem, _, _ := strings.Cut(key, "?")
	return len(stem) >= MinPushKeyStem && strings.Contains(p.raw, stem)
}

// Shown is the address as it may be shown to people who must not know the key: without
// its query, where keys end up by mistake.
func (a PushAddress) Shown() string {
	shown, _, cut := strings.Cut(a.URL, "?")
	if i := strings.Index(shown, "@"); i >= 0 {
		return ""
	}
	if cut {
		shown += "?…"
	}
	return shown
}

// SamePushAddress reports whether two addresses are the same to whoever connects to them: the
// case of scheme and host, a dot after the host, the scheme's own port and a slash at the end make
// no difference.
func SamePushAddress(a, b string) bool { return a == b || plainAddress(a) == plainAddress(b) }

func plainAddress(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return s
	}
	u.Scheme = strings.ToLower(u.Scheme)
	host, port := strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), u.Port()
	if strings.Contains(host, ":") { // IPv6
		host = "[" + host + "]"
	}
	if port != "" && port != map[string]string{"rtmp": "1935", "rtmps": "443"}[u.Scheme] {
		host += ":" + port
	}
	u.Host = host
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u.String()
}
