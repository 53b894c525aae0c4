package jobs

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// KeySize is the length of an encryption key in bytes.
const KeySize = chacha20poly1305.KeySize

// keyIDLen is how many hex digits name a key.
const keyIDLen = 8

// sealer encrypts what is private in a record with XChaCha20-Poly1305, bound to the
// record's key and to what of it is in clear: whoever has no encryption key can neither
// read nor change a record, nor move it. A sealed value starts with "v2:", the ID of the
// encryption key and ":".
type sealer struct {
	newest string
	aeads  map[string]cipher.AEAD
}

// newSealer takes the keys newest first: the first one seals, all open.
func newSealer(keys [][]byte) (*sealer, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("no encryption key")
	}
	s := &sealer{newest: keyID(keys[0]), aeads: make(map[string]cipher.AEAD, len(keys))}
	for i, key := range keys {
		aead, err := chacha20poly1305.NewX(key)
		if err != nil {
			return nil, fmt.Errorf("encryption key %d has %d bytes, not %d", i+1, len(key), KeySize)
		}
		s.aeads[keyID(key)] = aead
	}
	return s, nil
}

// keyID names a key without telling anything about it.
func keyID(key []byte) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("key id"))
	return hex.EncodeToString(m.Sum(nil)[:keyIDLen/2])
}

const (
	sealPrefix  = "v2:"
	firstPrefix = "v1:" // of the first format, which did not bind what is in clear
)

// bound is what a sealed value is bound to. A key holds no zero byte.
func bound(key string, clear []byte) []byte {
	b := make([]byte, 0, len(key)+1+len(clear))
	b = append(b, key...)
	b = append(b, 0)
	return append(b, clear...)
}

// seal encrypts plain for the record at key, of which clear is not encrypted.
func (s *sealer) seal(key string, clear, plain []byte) []byte {
	aead := s.aeads[s.newest]
	head := len(sealPrefix) + keyIDLen + 1
	out := make([]byte, head+aead.NonceSize(), head+aead.NonceSize()+len(plain)+aead.Overhead())
	copy(out, sealPrefix)
	copy(out[len(sealPrefix):], s.newest)
	out[head-1] = ':'
	nonce := out[head:]
	_, _ = rand.Read(nonce) // never fails
	return aead.Seal(out, nonce, plain, bound(key, clear))
}

// open is the inverse of seal. It returns ErrWrongKey if no key opens the value, and
// ErrUnreadable if it is not what was sealed for this record.
func (s *sealer) open(key string, clear, sealed []byte) ([]byte, error) {
	return s.openAs(sealPrefix, key, sealed, bound(key, clear))
}

// openFirst opens a value of the first format.
func (s *sealer) openFirst(key string, sealed []byte) ([]byte, error) {
	return s.openAs(firstPrefix, key, sealed, []byte(key))
}

func (s *sealer) openAs(prefix, key string, sealed, bound []byte) ([]byte, error) {
	id := sealedAs(prefix, sealed)
	if id == "" {
		return nil, fmt.Errorf("%w: %s is not sealed", ErrUnreadable, key)
	}
	aead := s.aeads[id]
	if aead == nil {
		return nil, fmt.Errorf("%w: %s needs key %q: %w", ErrUnreadable, key, id, ErrWrongKey)
	}
	rest := sealed[len(prefix)+keyIDLen+1:]
	if len(rest) < aead.NonceSize() {
		return nil, fmt.Errorf("%w: %s is cut off", ErrUnreadable, key)
	}
	plain, err := aead.Open(nil, rest[:aead.NonceSize()], rest[aead.NonceSize():], bound)
	if err != nil {
		return nil, fmt.Errorf("%w: %s was changed, damaged or moved: %w", ErrUnreadable, key, err)
	}
	return plain, nil
}

// sealedWith returns the ID of the key that sealed a value, or "".
func sealedWith(sealed []byte) string { return sealedAs(sealPrefix, sealed) }

func sealedAs(prefix string, sealed []byte) string {
	rest, ok := bytes.CutPrefix(sealed, []byte(prefix))
	if !ok || len(rest) <= keyIDLen || rest[keyIDLen] != ':' {
		return ""
	}
	return string(rest[:keyIDLen])
}
