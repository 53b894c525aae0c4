package jobs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kinds of records: the first segment of every key.
const (
	kindJob   = "job"
	kindDoc   = "doc"
	kindTimer = "timer"
	kindMeta  = "meta"
)

const (
	maxID     = 200 // bytes
	maxDocKey = 300 // bytes, all segments together
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

// joinKey makes a key of a kind and segments.
func joinKey(kind string, segments ...string) string {
	b := make([]byte, 0, 64)
	b = append(b, kind...)
	for _, s := range segments {
		b = append(b, '.')
		b = escape(b, s)
	}
	return string(b)
}

// splitKey is the inverse of joinKey.
func splitKey(key string) (kind string, segments []string, err error) {
	parts := strings.Split(key, ".")
	for i, p := range parts[1:] {
		if parts[i+1], err = unescape(p); err != nil {
			return "", nil, fmt.Errorf("key %q: %w", key, err)
		}
	}
	return parts[0], parts[1:], nil
}

func jobKey(id string) (string, error) {
	if id == "" || len(id) > maxID {
		return "", fmt.Errorf("a job's ID has 1 to %d bytes, not %d", maxID, len(id))
	}
	return joinKey(kindJob, id), nil
}

func docKey(segments []string) (string, error) {
	n := 0
	for _, s := range segments {
		if s == "" {
			return "", errors.New("a document's key has no empty segment")
		}
		n += len(s)
	}
	if len(segments) == 0 || n > maxDocKey {
		return "", fmt.Errorf("a document's key has 1 to %d bytes, not %d", maxDocKey, n)
	}
	return joinKey(kindDoc, segments...), nil
}

func timerKey(key string) (string, error) {
	if key == "" || len(key) > maxDocKey {
		return "", fmt.Errorf("a timer's key has 1 to %d bytes, not %d", maxDocKey, len(key))
	}
	return joinKey(kindTimer, key), nil
}

// compareKeys orders keys segment by segment, as the texts that they stand for.
func compareKeys(a, b string) int {
	if !strings.Contains(a, "%") && !strings.Contains(b, "%") {
		// '.' sorts before every byte that a segment can begin with, except '-'.
		if !strings.Contains(a, "-") && !strings.Contains(b, "-") {
			return strings.Compare(a, b)
		}
	}
	_, as, errA := splitKey(a)
	_, bs, errB := splitKey(b)
	if errA != nil || errB != nil {
		return strings.Compare(a, b)
	}
	return slices.Compare(as, bs)
}
