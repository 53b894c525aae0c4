package tencent

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting/internal/oneshot"
)

// The vectors were computed by the official Go and Python SDKs, the documentation's Java
// sample and an implementation from its prose, which agree.
type signatureVector struct {
	Name, Method, URI, Body, Nonce, Timestamp, Signature string
	SecretID                                             string `json:"secret_id"`
	SecretKey                                            string `json:"secret_key"`
}

func signatureVectors(t *testing.T) []signatureVector {
	t.Helper()
	b, err := os.ReadFile("testdata/tencent-signature.json")
	require.NoError(t, err)
	var file struct{ Vectors []signatureVector }
	require.NoError(t, json.Unmarshal(b, &file))
	require.NotEmpty(t, file.Vectors)
	return append(file.Vectors, signatureVector{
		Name: "documented cancel with other credentials", Method: "POST",
		URI: "/v1/meetings/7567454748865986567/cancel", Nonce: "88080", Timestamp: "1572168600",
		SecretID: "AKIDEXAMPLE", SecretKey: "SECRETEXAMPLE",
		Body:      `{"userid":"test1","instanceid":1,"reason_code":1,"reason_detail":"取消会议"}`,
		Signature: "NDE4ZTVhMzQ4ODY0MzljOGMwMDRmNTI2NzNjOTg5NWY3MDc3MzIxNDJjNTI4ZWI0YzU5ZDI3OTNkMTE3ZGZjOQ==",
	})
}

func TestSignatureIsTheOfficialSDKs(t *testing.T) {
	for _, v := range signatureVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			got := signature(v.SecretID, v.SecretKey, v.Method, v.URI, v.Nonce, v.Timestamp, []byte(v.Body))
			assert.Equal(t, v.Signature, got)
		})
	}
}

// The signature has to be over what is on the wire, so the vectors are also sent, and
// compared with what arrives.
func TestRequestsAreSignedAsTheyArrive(t *testing.T) {
	for _, v := range signatureVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			type arrived struct{ method, uri, body, key, nonce, timestamp, signature string }
			var got arrived
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				got = arrived{
					r.Method, r.RequestURI, string(body), r.Header.Get("X-TC-Key"),
					r.Header.Get("X-TC-Nonce"), r.Header.Get("X-TC-Timestamp"), r.Header.Get("X-TC-Signature"),
				}
				_, _ = io.WriteString(w, "{}")
			}))
			defer srv.Close()
			nonce, err := strconv.ParseUint(v.Nonce, 10, 64)
			require.NoError(t, err)
			seconds, err := strconv.ParseInt(v.Timestamp, 10, 64)
			require.NoError(t, err)
			c, err := New(Config{
				AppID: "app", SecretID: v.SecretID, SecretKey: secret.New(v.SecretKey), UserID: "u", BaseURL: srv.URL,
				Now: func() time.Time { return time.Unix(seconds, 0) }, Nonce: func() uint64 { return nonce },
			})
			require.NoError(t, err)
			u, err := url.Parse(v.URI)
			require.NoError(t, err)

			r := oneshot.Request{Op: "test", Method: v.Method, Path: u.Path, Query: u.Query(), Body: []byte(v.Body), Sign: c.sign}
			_, err = c.http.Do(t.Context(), r)
			require.NoError(t, err)

			want := arrived{v.Method, v.URI, v.Body, v.SecretID, v.Nonce, v.Timestamp, v.Signature}
			if v.Method == http.MethodGet {
				// Query parameters are sent in order of their names, so the vector's own
				// order cannot arrive; its signature is checked above.
				want.uri = u.Path + "?" + u.Query().Encode()
				want.signature = signature(v.SecretID, v.SecretKey, v.Method, want.uri, v.Nonce, v.Timestamp, nil)
			}
			assert.Equal(t, want, got)
		})
	}
}

func TestNonceIsNewPositiveAndFitsAnInt64(t *testing.T) {
	seen := map[uint64]bool{}
	for range 1000 {
		n := randomNonce()
		require.NotZero(t, n)
		require.Less(t, n, uint64(1)<<63)
		require.False(t, seen[n])
		seen[n] = true
	}
}
