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
// record's key. A sealed value starts with "v1:", the ID of the encryption key and ":".
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

const sealPrefix = "v1:"

// seal encrypts plain for the record at key.
func (s *sealer) seal(key string, plain []byte) []byte {
	aead := s.aeads[s.newest]
	head := len(sealPrefix) + keyIDLen + 1
	out := make([]byte, head+aead.NonceSize(), head+aead.NonceSize()+len(plain)+aead.Overhead())
	copy(out, sealPrefix)
	copy(out[len(sealPrefix):], s.newest)
	out[head-1] = ':'
	nonce := out[head:]
	_, _ = rand.Read(nonce) // never fails
	return aead.Seal(out, nonce, plain, []byte(key))
}

// open is the inverse of seal. It returns ErrWrongKey if no key opens the value.
func (s *sealer) open(key string, sealed []byte) ([]byte, error) {
	id := sealedWith(sealed)
	aead := s.aeads[id]
	if aead == nil {
		return nil, fmt.Errorf("record %s needs key %q: %w", key, id, ErrWrongKey)
	}
	rest := sealed[len(sealPrefix)+keyIDLen+1:]
	if len(rest) < aead.NonceSize() {
		return nil, fmt.Errorf("record %s is cut off", key)
	}
	plain, err := aead.Open(nil, rest[:aead.NonceSize()], rest[aead.NonceSize():], []byte(key))
	if err != nil {
		return nil, fmt.Errorf("record %s was damaged or belongs elsewhere: %w", key, err)
	}
	return plain, nil
}

// sealedWith returns the ID of the key that sealed a value, or "".
func sealedWith(sealed []byte) string {
	rest, ok := bytes.CutPrefix(sealed, []byte(sealPrefix))
	if !ok || len(rest) <= keyIDLen || rest[keyIDLen] != ':' {
		return ""
	}
	return string(rest[:keyIDLen])
}
