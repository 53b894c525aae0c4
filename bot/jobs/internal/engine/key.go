package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const hexDigits = "0123456789ABCDEF"

// escape appends s as one segment of a key, which is also one token of a NATS subject:
// letters, digits, `-` and `_` stand for themselves, other bytes are %XX.
func escape(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			dst = append(dst, c)
		default:
			dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return dst
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", errors.New("cut-off key")
		}
		hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
		if hi < 0 || lo < 0 {
			return "", errors.New("bad key")
		}
		b = append(b, byte(hi<<4|lo))
		i += 2
	}
	return string(b), nil
}

// JoinKey makes a key of a kind and segments.
func JoinKey(kind string, segments ...string) string {
	b := make([]byte, 0, 64)
	b = append(b, kind...)
	for _, s := range segments {
		b = append(b, '.')
		b = escape(b, s)
	}
	return string(b)
}

// SplitKey is the inverse of JoinKey.
func SplitKey(key string) (kind string, segments []string, err error) {
	parts := strings.Split(key, ".")
	for i, p := range parts[1:] {
		if parts[i+1], err = unescape(p); err != nil {
			return "", nil, fmt.Errorf("key %q: %w", key, err)
		}
	}
	return parts[0], parts[1:], nil
}

// CompareKeys orders keys segment by segment, as the texts that they stand for.
func CompareKeys(a, b string) int {
	if !strings.Contains(a, "%") && !strings.Contains(b, "%") {
		// '.' sorts before every byte that a segment can begin with, except '-'.
		if !strings.Contains(a, "-") && !strings.Contains(b, "-") {
			return strings.Compare(a, b)
		}
	}
	_, as, errA := SplitKey(a)
	_, bs, errB := SplitKey(b)
	if errA != nil || errB != nil {
		return strings.Compare(a, b)
	}
	return slices.Compare(as, bs)
}
