// Package records is how the command layer keeps things in the store: documents under a key
// of segments, their encoding, and short names that cannot be guessed back.
//
// A document is one compare-and-set write. Where one thing is several documents, its room
// says which of them is written first and what a crash between two writes leaves.
package records

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"meetbot/bot/jobs"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

// Store keeps documents: values under a key of segments, each with a revision that the
// next write of it has to name, and removed at its time.
type Store interface {
	// Doc returns [jobs.ErrNotFound] for a key without a document.
	Doc(ctx context.Context, key ...string) (jobs.Doc, error)
	// PutDoc returns [jobs.ErrConflict] when the document is not at d.Revision; 0 is none.
	PutDoc(ctx context.Context, d jobs.Doc) (uint64, error)
	DeleteDoc(ctx context.Context, rev uint64, key ...string) error
	// Docs returns the documents whose keys begin with prefix; limit 0 is all of them.
	Docs(ctx context.Context, limit int, prefix ...string) ([]jobs.Doc, error)
	// Fingerprint is short, the same for the same bytes, and not to be guessed back.
	Fingerprint(b []byte) string
}

// The record encoding. CBOR is the one encoding in which a secret keeps its value.
var (
	encoding, _ = cbor.EncOptions{Time: cbor.TimeRFC3339Nano}.EncMode()
	decoding, _ = cbor.DecOptions{}.DecMode()
)

// Encode returns the record of v.
func Encode(v any) ([]byte, error) {
	b, err := encoding.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return b, nil
}

// errUnreadable: written by another version of the program. A repeat reads the same.
var ErrUnreadable = errors.New("record cannot be read")

// Decode returns what [Encode] has made a record of, or [ErrUnreadable].
func Decode[T any](b []byte) (T, error) {
	var v T
	if err := decoding.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("decode %T: %w: %w", v, ErrUnreadable, err)
	}
	return v, nil
}

// ShortHash is a name for s that is short, safe in every wire format, and not to be
// guessed back: 24 characters, 120 bits.
func ShortHash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:15]))
}
