package livepush

import (
	"net/url"
	"strings"

	"golang.org/x/text/unicode/norm"

	"meetbot/meeting"
)

// SameStream reports whether what is pushed to a arrives where b's does, however the two
// are written. The name of a stream, which is the secret of most services, is what stands
// before the query; services ignore parameters that they do not know, and RTMP servers do
// not agree on where the address ends and the key begins. Whatever is in doubt is the same:
// it costs an approval.
func SameStream(a, b meeting.PushTarget) bool {
	if a.Key.IsZero() || b.Key.IsZero() {
		return false
	}
	keyA, queryA := stem(a.Key.Reveal())
	keyB, queryB := stem(b.Key.Reveal())
	if keyA == "" && keyB == "" { // Bilibili's begin with a question mark
		return shareSecret(queryA, queryB)
	}
	return keyA == keyB || foldAddress(a.URL)+"/"+keyA == foldAddress(b.URL)+"/"+keyB
}

// stem cuts a key before its query, and drops what does not tell two keys apart.
func stem(key string) (name, query string) {
	key = norm.NFKC.String(key)
	if i := strings.IndexAny(key, "?&#"); i >= 0 {
		key, query = key[:i], key[i+1:]
	}
	if plain, err := url.PathUnescape(key); err == nil {
		key = plain
	}
	return strings.Trim(key, "/ "), query
}

// shareSecret reports whether two queries have a value in common that is long enough to
// belong to one stream alone.
func shareSecret(a, b string) bool {
	const least = 8
	values, _ := url.ParseQuery(a) // what can be read of it
	others, _ := url.ParseQuery(b)
	for name, all := range values {
		for _, v := range all {
			if len(v) >= least && others.Get(name) == v {
				return true
			}
		}
	}
	return a == b
}

// foldAddress writes an address the one way: without the scheme, in small letters to the
// end of the host, without the port that goes without saying, and without a query.
func foldAddress(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	host, path, _ := strings.Cut(rest, "/")
	port := ":1935"
	if strings.EqualFold(scheme, "rtmps") {
		port = ":443"
	}
	host = strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(host), port), ".")
	return host + "/" + strings.Join(strings.FieldsFunc(path, func(r rune) bool { return r == '/' }), "/")
}
