// Package secret holds values that must not be printed: API credentials, stream
// keys, start links, host keys.
//
// A [String] prints as [Redacted] under every verb of fmt, in encoding/json and in
// slog, also when it is a nested or an unexported field. [String.Reveal] gives the
// value, and is called only where it goes on the wire or to the one person it is for.
package secret

import "log/slog"

// Redacted is what a non-empty [String] prints as.
const Redacted = "[redacted]"

// String is a secret text. The zero value is the empty secret.
//
// The value sits behind a pointer: fmt calls no methods on unexported fields, and
// would print the text of a plain string there.
type String struct{ value *string }

// New returns s as a secret.
func New(s string) String {
	if s == "" {
		return String{}
	}
	return String{&s}
}

// Reveal returns the value.
func (s String) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether the secret is empty. encoding/json's omitzero uses it.
func (s String) IsZero() bool { return s.value == nil }

// Equal reports whether both hold the same value. It does not take constant time:
// for a signature or a token from outside, use crypto/subtle.
func (s String) Equal(other String) bool { return s.Reveal() == other.Reveal() }

// String implements [fmt.Stringer].
func (s String) String() string {
	if s.IsZero() {
		return ""
	}
	return Redacted
}

// GoString implements [fmt.GoStringer].
func (s String) GoString() string { return s.String() }

// LogValue implements [slog.LogValuer].
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements [encoding.TextMarshaler] with the redacted text, so that
// neither encoding/json nor a text log can leak the value.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalBinary implements [encoding.BinaryMarshaler]. It is the one encoding that
// keeps the value: CBOR uses it for records, which are encrypted right after.
func (s String) MarshalBinary() ([]byte, error) { return []byte(s.Reveal()), nil }

// UnmarshalBinary is the inverse of [String.MarshalBinary].
func (s *String) UnmarshalBinary(b []byte) error {
	*s = New(string(b))
	return nil
}

// Set implements envconfig's Setter.
func (s *String) Set(value string) error {
	*s = New(value)
	return nil
}
