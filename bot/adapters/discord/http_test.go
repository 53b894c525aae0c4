package discord

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/signed"
)

// The key is that of RFC 8032, section 7.1, test 1; the signature over timestamp and body
// was made with OpenSSL.
const (
	vectorKey       = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
	vectorTimestamp = 1799999999
	vectorBody      = `{"type":1}`
	vectorSignature = "0f683aab6e60423cc7594aa9e8284942abf69ab29b0d9daa998a67c23da681a28dc8d7feb31221330a243ef8ae07a3fcd98d0ae94d0c49bd1d3a3d6244eabe0a"
)

func vectorHeader() http.Header {
	h := http.Header{}
	h.Set(headerTimestamp, strconv.Itoa(vectorTimestamp))
	h.Set(headerSignature, vectorSignature)
	return h
}

func TestVerify(t *testing.T) {
	key, err := hex.DecodeString(vectorKey)
	require.NoError(t, err)
	now := time.Unix(vectorTimestamp, 0)
	require.NoError(t, verify(key, vectorHeader(), []byte(vectorBody), now))
	for name, tt := range map[string]struct {
		spoil func(http.Header)
		body  string
		key   ed25519.PublicKey
		skew  time.Duration
	}{
		"OtherBody":        {body: `{"type":2}`},
		"LongerBody":       {body: vectorBody + " "},
		"NoBody":           {body: ""},
		"OtherTimestamp":   {spoil: func(h http.Header) { h.Set(headerTimestamp, "1800000000") }},
		"NoTimestamp":      {spoil: func(h http.Header) { h.Del(headerTimestamp) }},
		"PaddedTimestamp":  {spoil: func(h http.Header) { h.Set(headerTimestamp, "01799999999") }},
		"NoSignature":      {spoil: func(h http.Header) { h.Del(headerSignature) }},
		"ShortSignature":   {spoil: func(h http.Header) { h.Set(headerSignature, vectorSignature[:126]) }},
		"NoHexSignature":   {spoil: func(h http.Header) { h.Set(headerSignature, strings.Repeat("zz", 64)) }},
		"NoKey":            {key: ed25519.PublicKey{}},
		"OtherKey":         {key: bytes.Repeat([]byte{1}, 32)},
		"SixMinutesOld":    {skew: 6 * time.Minute},
		"SixMinutesFuture": {skew: -6 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			h, body, k := vectorHeader(), vectorBody, ed25519.PublicKey(key)
			if tt.spoil != nil {
				tt.spoil(h)
			}
			if tt.body != "" || name == "NoBody" {
				body = tt.body
			}
			if tt.key != nil {
				k = tt.key
			}
			err := verify(k, h, []byte(body), now.Add(tt.skew))
			require.EqualError(t, err, "rejected")
		})
	}
	require.NoError(t, verify(key, vectorHeader(), []byte(vectorBody), now.Add(5*time.Minute)))
	require.NoError(t, verify(key, vectorHeader(), []byte(vectorBody), now.Add(-5*time.Minute)))
}

// verify sends a request through the gate at a moment.
func verify(key ed25519.PublicKey, h http.Header, body []byte, now time.Time) error {
	gate := signed.New(scheme(key), func() time.Time { return now }, func(signed.Reason) {}, slog.New(slog.DiscardHandler))
	r := httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(body))
	r.Header = h
	taken := false
	gate.Handler(func(http.ResponseWriter, *http.Request, []byte, time.Time) { taken = true })(httptest.NewRecorder(), r)
	if !taken {
		return errors.New("rejected")
	}
	return nil
}

func FuzzVerify(f *testing.F) {
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(f, err)
	now := time.Unix(1800000000, 0)
	f.Add([]byte(`{"type":1}`), int64(0))
	f.Add([]byte(`{"type":2,"token":"x"}`), int64(300))
	f.Add([]byte(``), int64(-301))
	f.Add([]byte("0"), int64(1<<40))
	f.Fuzz(func(t *testing.T, body []byte, skew int64) {
		timestamp := strconv.FormatInt(now.Unix()+skew, 10)
		h := http.Header{}
		h.Set(headerTimestamp, timestamp)
		h.Set(headerSignature, hex.EncodeToString(ed25519.Sign(private, append([]byte(timestamp), body...))))
		fresh := -300 <= skew && skew <= 300
		require.Equal(t, fresh, verify(public, h, body, now) == nil)
		require.Error(t, verify(public, h, append(body[:len(body):len(body)], 0), now))
		h.Set(headerTimestamp, strconv.FormatInt((now.Unix()+skew)^1, 10)) // signed too
		require.Error(t, verify(public, h, body, now))
	})
}

func FuzzInteraction(f *testing.F) {
	server := discordtest.New(f, nil)
	for _, in := range []*discordtest.Interaction{
		server.Command(alice, discordtest.InGuild(channel), "zh-CN", "livepush", discordtest.Option{Name: "name", Value: "bili"}),
		server.Complete(alice, discordtest.InDirect(dm), "meetings end", discordtest.Option{Name: "meeting", Value: "1", Focused: true}),
		server.Click(alice, discordtest.InThread(thread, channel), "1", "v1:start:systec:1"),
		server.Submit(alice, discordtest.InGuild(channel), "v1:push:", map[string]any{"name": "x", "platform": []string{"other"}}),
	} {
		f.Add([]byte(in.Payload))
	}
	f.Add([]byte(`{"type":1}`))
	f.Add([]byte(`{"type":2,"id":"1","channel_id":"1","token":"t","user":{"id":"1"},"data":null}`))
	a := (&world{t: &testing.T{}, clock: &testClock{}, bot: newBot(), log: &adaptertest.Log{}, server: server}).adapter(overHTTP)
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := parseInteraction(body)
		if err != nil {
			return
		}
		c := a.answer(t.Context(), in)
		if c == nil {
			return
		}
		defer a.acks.end(in.ID)
		_, _, err = call{Body: c, Files: c.files}.encode()
		require.NoError(t, err)
		if c.Type == 5 && in.Type == 2 {
			require.True(t, isID(in.ID) && isID(in.user().ID))
		}
	})
}

func TestTheEndpoint(t *testing.T) {
	w := start(t, overHTTP)
	do := func(r *http.Request) (int, string) {
		t.Helper()
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		var b bytes.Buffer
		_, err = b.ReadFrom(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, b.String()
	}
	ping := []byte(`{"type":1,"id":"1","application_id":"` + discordtest.ApplicationID + `"}`)

	t.Run("PingOnlyAfterTheSignature", func(t *testing.T) {
		status, body := do(w.server.Sign(w.http, ping, w.clock.now()))
		assert.Equal(t, http.StatusOK, status)
		assert.JSONEq(t, `{"type":1}`, body)
		r := w.server.Sign(w.http, ping, w.clock.now().Add(time.Second))
		r.Header.Set(headerSignature, strings.Repeat("00", 64))
		status, body = do(r)
		assert.Equal(t, http.StatusUnauthorized, status)
		assert.Empty(t, body, "no hint")
	})
	t.Run("NotTwice", func(t *testing.T) {
		in := meetIn(w, discordtest.InGuild(channel))
		r := func() *http.Request { return w.server.Sign(w.http, in.Payload, time.Unix(w.clock.now().Unix(), 0)) }
		at := r()
		status, _ := do(at)
		assert.Equal(t, http.StatusOK, status)
		again := w.server.Sign(w.http, in.Payload, time.Now())
		again.Header = at.Header
		status, body := do(again)
		assert.Equal(t, http.StatusUnauthorized, status)
		assert.Empty(t, body)
		assert.Len(t, w.bot.jobs(), 1)
	})
	t.Run("NotTooLarge", func(t *testing.T) {
		status, body := do(w.server.Sign(w.http, bytes.Repeat([]byte(" "), signed.MaxBody+1), w.clock.now()))
		assert.Equal(t, http.StatusRequestEntityTooLarge, status)
		assert.Empty(t, body)
	})
	t.Run("NotUnreadable", func(t *testing.T) {
		for _, body := range []string{`{`, `{"type":2}`, `{"type":2,"id":"x","token":"t","channel_id":"1","user":{"id":"1"}}`, `[]`} {
			status, _ := do(w.server.Sign(w.http, []byte(body), w.clock.now()))
			assert.Equal(t, http.StatusBadRequest, status, body)
		}
	})
	t.Run("OnlyPosts", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.http, nil)
		require.NoError(t, err)
		status, _ := do(r)
		assert.Equal(t, http.StatusMethodNotAllowed, status)
	})
	t.Run("NotAnotherApplications", func(t *testing.T) {
		in := meetIn(w, discordtest.InGuild(channel))
		body := bytes.Replace(in.Payload, []byte(discordtest.ApplicationID), []byte("700000000000000009"), 1)
		status, _ := do(w.server.Sign(w.http, body, w.clock.now()))
		assert.Equal(t, http.StatusBadRequest, status)
	})
}

func TestWithoutAPublicKeyThereIsNoEndpoint(t *testing.T) {
	w := still(t, overGateway)
	r := httptest.NewRecorder()
	w.a.Handler().ServeHTTP(r, w.server.Sign(Path, []byte(vectorBody), time.Now()))
	assert.Equal(t, http.StatusNotFound, r.Code)
}

// unread fails the test if a body is looked at.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body of a request that cannot be Discord's is read")
	return 0, io.EOF
}

func TestWhatCannotBeDiscordsIsNotRead(t *testing.T) {
	t.Parallel()
	w := still(t, overHTTP)
	now := strconv.FormatInt(time.Now().Unix(), 10)
	for name, header := range map[string][2]string{
		"nothing": {"", ""}, "an old time": {"1", strings.Repeat("0", 128)}, "no time": {"now", strings.Repeat("0", 128)}, "a short signature": {now, "00"},
	} {
		r := httptest.NewRequest(http.MethodPost, Path, unread{t})
		r.Header.Set(headerTimestamp, header[0])
		r.Header.Set(headerSignature, header[1])
		rec := httptest.NewRecorder()
		w.a.Handler().ServeHTTP(rec, r)
		assert.Equal(t, http.StatusUnauthorized, rec.Code, name)
		assert.Empty(t, rec.Body.String(), name)
	}
}
