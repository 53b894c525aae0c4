package meeting

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Kinds are the providers that there are. Their order decides nothing but the order of
// lists.
type Kinds []Kind

// Check returns an error if two kinds cannot be told apart, or if one lacks what every
// provider has to say.
func (ks Kinds) Check() error {
	seen := map[string]Provider{}
	for _, k := range ks {
		switch {
		case k.ID == "" || strings.ContainsAny(string(k.ID), "@: "):
			return fmt.Errorf("provider %q: not a name", k.ID)
		case k.Name.EN == "" || k.Name.ZH == "" || k.Product.EN == "" || k.Product.ZH == "" || k.IsCode == nil || k.IsID == nil || k.Link == nil || k.Prepare == nil || k.Same == nil:
			return fmt.Errorf("provider %s: incomplete", k.ID)
		case len(k.Parameters) == 0:
			return fmt.Errorf("provider %s: takes no fields", k.ID)
		}
		for _, w := range k.words() {
			if other, ok := seen[w]; ok && other != k.ID {
				return fmt.Errorf("providers %s and %s: both called %q", other, k.ID, w)
			}
			seen[w] = k.ID
		}
	}
	if len(seen) == 0 {
		return errors.New("no providers")
	}
	return nil
}

// words are what people may call it, in lower case.
func (k Kind) words() []string {
	words := []string{string(k.ID)}
	for _, w := range []string{k.Name.EN, k.Name.ZH, k.Product.EN, k.Product.ZH} {
		words = append(words, strings.ToLower(w))
	}
	return append(words, k.Aliases...)
}

// Kind returns the provider with that ID. Of an account it is what is true of the provider,
// with the account's ID and name.
func (ks Kinds) Kind(id Provider) (Kind, bool) {
	account := id.Account()
	i := slices.IndexFunc(ks, func(k Kind) bool { return k.ID == id.Kind() })
	if i < 0 || id != id.Kind().At(account) || account != "" && !IsAccount(account) {
		return Kind{}, false
	}
	k := ks[i]
	if k.ID = id; account != "" {
		for _, w := range []*Words{&k.Name, &k.Product} {
			w.EN, w.ZH = w.EN+" ("+account+")", w.ZH+"（"+account+"）"
		}
	}
	return k, true
}

// Word returns the provider that people mean by a word: its ID, its name in either
// language, or another that it goes by.
func (ks Kinds) Word(s string) (Provider, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	for _, k := range ks {
		if slices.Contains(k.words(), s) {
			return k.ID, true
		}
	}
	return "", false
}

// ParseRef is the inverse of [Ref.String], for the providers that there are.
func (ks Kinds) ParseRef(s string) (Ref, bool) {
	p, id, _ := strings.Cut(s, ":")
	_, ok := ks.Kind(Provider(p))
	return Ref{Provider(p), id}, ok && id != ""
}

// Target is what people's words say of a meeting. Of Code, ID and Link exactly one is set.
type Target struct {
	Provider Provider // empty: not said; without an account: any of its
	Code     string   // the number people type to join
	ID       string
	Link     string // a link that does not tell the number: only who saw it made knows
}

// maxTarget bounds what is read, in bytes.
const maxTarget = 2048

// Read reads a meeting as people write it, and as the providers' clients copy it: a number
// with blanks or dashes, an ID, either after the name of a provider
// ("#腾讯会议：806-146-667", "systec:1591620888"), or a link. It reports whether s is one
// of them; any link may be one.
func (ks Kinds) Read(s string) (Target, bool) {
	s = strings.TrimSpace(s)
	if len(s) > maxTarget {
		return Target{}, false
	}
	if digits, ok := Digits(s); ok {
		return ks.number(digits)
	}
	if name, number, ok := cutName(s); ok {
		k, known := ks.Kind(Provider(strings.ToLower(name))) // also an account
		if p, word := ks.Word(name); word {
			k, known = ks.Kind(p)
		}
		digits, isNumber := Digits(number)
		if known && isNumber {
			return k.target(digits)
		}
	}
	return ks.link(s)
}

// cutName splits what stands before a number from it: "#腾讯会议：806", "systec:1".
func cutName(s string) (name, rest string, ok bool) {
	s = strings.TrimLeft(s, "#＃")
	i := strings.IndexAny(s, ":：")
	if i < 0 {
		return "", "", false
	}
	_, colon := utf8.DecodeRuneInString(s[i:])
	return s[:i], strings.TrimSpace(s[i+colon:]), true
}

// target says what a number is to this provider.
func (k Kind) target(digits string) (Target, bool) {
	switch {
	case digits == "":
	case k.CodeIsID && k.IsID(digits):
		return Target{Provider: k.ID, ID: digits}, true
	case k.IsCode(digits):
		return Target{Provider: k.ID, Code: digits}, true
	case k.IsID(digits):
		return Target{Provider: k.ID, ID: digits}, true
	}
	return Target{}, false
}

// number says whose a number is, or that it can be several's.
func (ks Kinds) number(digits string) (Target, bool) {
	var of []Kind
	for _, k := range ks {
		if k.IsCode(digits) {
			of = append(of, k)
		}
	}
	if len(of) > 1 {
		return Target{Code: digits}, true
	}
	for _, k := range ks {
		if len(of) == 0 && !k.CodeIsID && k.IsID(digits) {
			of = append(of, k)
		}
	}
	if len(of) != 1 {
		return Target{}, false
	}
	return of[0].target(digits)
}

func (ks Kinds) link(s string) (Target, bool) {
	s = HalfWidth(s)
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" {
		u, err = url.Parse("https://" + s) // clients and people leave it out
		if err != nil || !slices.ContainsFunc(ks, func(k Kind) bool { return k.at(u.Hostname()) }) {
			return Target{}, false
		}
		s = "https://" + s
	}
	if u.Hostname() == "" || u.User != nil || strings.ContainsAny(s, " \"<>") {
		return Target{}, false
	}
	web := u.Scheme == "https" || u.Scheme == "http"
	for _, k := range ks {
		if web && k.at(u.Hostname()) || slices.Contains(k.Schemes, u.Scheme) {
			if digits, ok := k.Link(u); ok {
				return k.target(digits)
			}
			return Target{Provider: k.ID, Link: s}, true
		}
	}
	if !web {
		return Target{}, false
	}
	for _, k := range ks {
		if len(k.Hosts) > 0 {
			continue
		}
		if digits, ok := k.Link(u); ok {
			return k.target(digits)
		}
	}
	return Target{Link: s}, true
}

// at reports whether the provider's links live at a host.
func (k Kind) at(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return slices.ContainsFunc(k.Hosts, func(h string) bool { return host == h || strings.HasSuffix(host, "."+h) })
}

// Digits returns the digits of a number that people wrote with blanks, dashes or
// apostrophes, in whatever width.
func Digits(s string) (string, bool) {
	var b strings.Builder
	for _, r := range s {
		switch {
		case '0' <= r && r <= '9':
			b.WriteRune(r)
		case '０' <= r && r <= '９':
			b.WriteRune(r - '０' + '0')
		case r == ' ', r == '\t', r == '\u00a0', r == '\u3000', r == '-', r == '－', r == '\'', '\u2010' <= r && r <= '\u2015':
		default:
			return "", false
		}
	}
	return b.String(), b.Len() > 0
}

// asciiMarks has the marks of an address as input methods make them.
var asciiMarks = strings.NewReplacer("：", ":", "／", "/", "？", "?", "＝", "=", "＆", "&", "．", ".", "－", "-", "＿", "_", "＃", "#", "％", "%")

// HalfWidth undoes what input methods make of the marks in an address.
func HalfWidth(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return asciiMarks.Replace(s)
		}
	}
	return s
}
