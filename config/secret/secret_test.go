package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
)

const canary = "canary-5f1c"

type holder struct {
	Public  secret.String
	private secret.String
	Nested  struct{ inner *secret.String }
}

func TestStringIsNeverPrinted(t *testing.T) {
	s := secret.New(canary)
	h := holder{Public: s, private: s}
	h.Nested.inner = &s

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb, s, h, &h)
	}
	b, err := json.Marshal(h)
	require.NoError(t, err)
	out.Write(b)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "s", s, "h", h, "p", &h)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "s", s, "h", h, "p", &h)

	assert.NotContains(t, out.String(), canary)
	assert.NotContains(t, out.String(), fmt.Sprintf("%x", canary))
	assert.Contains(t, out.String(), secret.Redacted)
}

func TestStringSurvivesTheRecordEncoding(t *testing.T) {
	b, err := cbor.Marshal(holder{Public: secret.New(canary)})
	require.NoError(t, err)
	var got holder
	require.NoError(t, cbor.Unmarshal(b, &got))
	assert.Equal(t, canary, got.Public.Reveal())
	assert.True(t, secret.New("").IsZero())
}
