// Package hostile attacks the bot as it is shipped: a process of its own, over every way in that
// it has, with requests that are unsigned, signed and broken, and with platforms and providers
// that answer anything. Its tests say what must hold meanwhile and afterwards.
//
//	go test ./bench/hostile -duration 1m
package hostile

import (
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
)

// texts are what stands where a text belongs.
var texts = []string{
	"", " ", "\x00", "\x1b]0;PWNED\x07", "\u009b31m", "\u202etxt.exe", "\u200b", "\ufeff", "\u2028", "<!channel>", "<@U1>", "@everyone",
	"../../../etc/passwd", "javascript:alert(1)", "'\"><script>", "{{.}}", "%s%n%00", "v1:approve:", "v1:end:systec:1", "v2:x:y", "-1", "1e999", "NaN",
	"rtmp://live.twitch.tv/app/live_1234_abcdef", "--key", "--", "to", "save", "off", "help", "form", "狗", "𝕳", "\U000e0041", strings.Repeat("长", 40_000), strings.Repeat("a ", 20_000),
}

// scalars are what stands where anything else belongs, beside what is nested.
var scalars = []any{
	nil, true, false, 0, -1, json.Number("1e999"), json.Number("99999999999999999999999"), json.Number("-0.0"), json.Number("9223372036854775807"),
}

func deep(n int) any {
	var v any = "x"
	for i := range n {
		if i%2 == 0 {
			v = []any{v}
		} else {
			v = map[string]any{"a": v}
		}
	}
	return v
}

// Value returns something that nobody expects.
func Value(r *rand.Rand) any {
	if r.IntN(3) > 0 {
		return texts[r.IntN(len(texts))]
	}
	switch r.IntN(12) { // each is a new one, which is changed in turn
	case 0:
		return []any{}
	case 1:
		return map[string]any{}
	case 2:
		return []any{nil}
	case 3:
		return map[string]any{"": ""}
	case 4:
		return deep(200)
	case 5:
		return deep(5000)
	}
	return scalars[r.IntN(len(scalars))]
}

// JSON returns a document with some of its values, names or bytes changed. What is no JSON
// changes by its bytes alone.
func JSON(r *rand.Rand, raw []byte) []byte {
	var doc any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if d.Decode(&doc) == nil && r.IntN(8) > 0 {
		for range 1 + r.IntN(4) {
			doc = change(r, doc)
		}
		if out, err := json.Marshal(doc); err == nil {
			raw = out
		}
		if r.IntN(8) > 0 {
			return raw
		}
	}
	return Bytes(r, raw)
}

// change changes one value at a random place of a document.
func change(r *rand.Rand, v any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 || r.IntN(12) == 0 {
			return Value(r)
		}
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names) // so that a seed says what happens
		name := names[r.IntN(len(names))]
		switch r.IntN(6) {
		case 0:
			delete(v, name)
		case 1:
			v[texts[r.IntN(len(texts))]] = v[name]
		default:
			v[name] = change(r, v[name])
		}
		return v
	case []any:
		if len(v) == 0 || r.IntN(12) == 0 {
			return Value(r)
		}
		i := r.IntN(len(v))
		switch r.IntN(6) {
		case 0:
			return slices.Delete(v, i, i+1)
		case 1:
			return append(v, v[i])
		}
		v[i] = change(r, v[i])
		return v
	}
	return Value(r)
}

// Bytes returns a copy of raw with some bytes changed, cut or repeated.
func Bytes(r *rand.Rand, raw []byte) []byte {
	out := slices.Clone(raw)
	for range 1 + r.IntN(8) {
		if len(out) == 0 {
			return []byte{byte(r.IntN(256))}
		}
		i := r.IntN(len(out))
		switch r.IntN(4) {
		case 0:
			out[i] = byte(r.IntN(256))
		case 1:
			out = out[:i]
		case 2:
			out = slices.Insert(out, i, out[:min(i, 64)]...)
		default:
			out = slices.Insert(out, i, []byte(texts[r.IntN(len(texts)-2)])...)
		}
	}
	return out
}

// Form returns a form with some of its fields changed. A field that has JSON is changed as such.
func Form(r *rand.Rand, raw []byte) []byte {
	form, err := url.ParseQuery(string(raw))
	if err != nil || len(form) == 0 || r.IntN(8) == 0 {
		return Bytes(r, raw)
	}
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for range 1 + r.IntN(3) {
		name := names[r.IntN(len(names))]
		switch {
		case strings.HasPrefix(form.Get(name), "{"):
			form.Set(name, string(JSON(r, []byte(form.Get(name)))))
		case r.IntN(6) == 0:
			form.Del(name)
		case r.IntN(6) == 0:
			form.Add(name, texts[r.IntN(len(texts))])
		default:
			form.Set(name, texts[r.IntN(len(texts))])
		}
	}
	return []byte(form.Encode())
}
