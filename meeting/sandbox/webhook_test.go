package sandbox_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting/sandbox"
)

const (
	hookToken = "bVPU6F8Htxl5XkAbp3jGV2xWp"
	hookKey   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
)

// hookSignature is the document's rule again: the values sorted, joined, hashed.
func hookSignature(values ...string) string {
	sort.Strings(values)
	sum := sha1.Sum([]byte(strings.Join(values, "")))
	return hex.EncodeToString(sum[:])
}

// hookOpen decodes data by the document's rule.
func hookOpen(key, data string) ([]byte, error) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(data, "="))
	if err != nil || key == "" {
		return b, err
	}
	k, err := base64.StdEncoding.DecodeString(key + "=")
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, err
	}
	cipher.NewCBCDecrypter(block, k[:16]).CryptBlocks(b, b)
	return b[:len(b)-int(b[len(b)-1])], nil
}

type hookEvent struct {
	Event   string   `json:"event"`
	TraceID string   `json:"trace_id"`
	Payload []object `json:"payload"`
}

// callback is a webhook receiver that checks what it gets.
type callback struct {
	*httptest.Server
	mu     sync.Mutex
	events []hookEvent
	data   []string
	nonces map[string]bool
	again  bool // nonces may return
	fails  int  // how many events are answered with 500 first
	stamps []string
}

func newCallback(t *testing.T, key string, status int) *callback {
	c := &callback{nonces: map[string]bool{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data := r.URL.Query().Get("check_str")
		if r.Method == http.MethodPost {
			b, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			var body struct{ Data string }
			assert.NoError(t, json.Unmarshal(b, &body))
			data = body.Data
		}
		timestamp, nonce := r.Header.Get("timestamp"), r.Header.Get("nonce")
		assert.Equal(t, hookSignature(hookToken, timestamp, nonce, data), r.Header.Get("signature"))
		assert.Len(t, timestamp, 13, "milliseconds")
		plain, err := hookOpen(key, data)
		assert.NoError(t, err)
		if r.Method == http.MethodGet {
			_, _ = w.Write(plain)
			return
		}
		var e hookEvent
		assert.NoError(t, json.Unmarshal(plain, &e), "%s", plain)
		c.mu.Lock()
		defer c.mu.Unlock()
		assert.False(t, c.nonces[nonce] && !c.again, "a nonce returned")
		c.stamps = append(c.stamps, timestamp)
		c.nonces[nonce] = true
		c.events = append(c.events, e)
		c.data = append(c.data, data)
		if c.fails > 0 {
			c.fails--
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "successfully received callback")
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *callback) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, e := range c.events {
		out = append(out, e.Event)
	}
	return out
}

// The test's own receiver agrees with what Tencent published, so it can judge the sender.
func TestTheReceiverAgreesWithThePublishedVectors(t *testing.T) {
	b, err := os.ReadFile("testdata/tencent-webhook.json")
	require.NoError(t, err)
	var v struct {
		Published struct{ Token, Timestamp, Nonce, Data, Signature string } `json:"published_signature_vector"`
		AES       struct {
			Key       string `json:"encoding_aes_key"`
			Plaintext string
			Token     string
			Timestamp string
			Nonce     string
			Data      string
			Signature string
		} `json:"computed_aes_vector"`
	}
	require.NoError(t, json.Unmarshal(b, &v))
	p := v.Published
	assert.Equal(t, p.Signature, hookSignature(p.Token, p.Timestamp, p.Nonce, p.Data))
	assert.Equal(t, v.AES.Signature, hookSignature(v.AES.Token, v.AES.Timestamp, v.AES.Nonce, v.AES.Data))
	plain, err := hookOpen(v.AES.Key, v.AES.Data)
	require.NoError(t, err)
	assert.Equal(t, v.AES.Plaintext, string(plain))
}

func waitHooks(t *testing.T, s *sandbox.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, s.WaitWebhooks(ctx))
}

func TestEventsFollowAMeetingsLife(t *testing.T) {
	for name, key := range map[string]string{"Plain": "", "Encrypted": hookKey} {
		t.Run(name, func(t *testing.T) {
			hook := newCallback(t, key, http.StatusOK)
			p := start(t, sandbox.Config{Webhook: sandbox.Webhook{URL: hook.URL, Token: secret.New(hookToken), AESKey: secret.New(key)}})
			require.NoError(t, p.s.VerifyWebhook(t.Context()))

			p.instant() // SYSTEC has no webhooks
			info := p.create(object{"enable_live": true})
			id := info["meeting_id"].(string)
			require.NoError(t, p.s.Join(id, "guest"))
			require.NoError(t, p.s.Join(id, "operator"))
			require.NoError(t, p.s.StartLive(id))
			require.NoError(t, p.s.Leave(id, "guest"))
			require.NoError(t, p.s.StopLive(id))
			require.NoError(t, p.s.StartLive(id))
			require.NoError(t, p.s.End(id))
			waitHooks(t, p.s)

			assert.Equal(t, []string{
				"meeting.created", "meeting.participant-joined", "meeting.started", "meeting.participant-joined", "meeting.live-started",
				"meeting.participant-left", "meeting.live-stopped", "meeting.live-started", "meeting.live-stopped", "meeting.end",
			}, hook.names())
			live := hook.events[4].Payload[0]
			assert.EqualValues(t, epoch.UnixMilli(), live["operate_time"], "milliseconds")
			m := live["meeting_info"].(object)
			assert.Equal(t, id, m["meeting_id"])
			assert.Equal(t, info["meeting_code"], m["meeting_code"])
			assert.EqualValues(t, epoch.Unix(), m["start_time"], "a number of seconds, a string in the REST answers")
			assert.EqualValues(t, 1, m["meeting_create_mode"])
			assert.Equal(t, "operator", live["operator"].(object)["userid"])
			assert.EqualValues(t, 0, hook.events[9].Payload[0]["meeting_end_type"])

			traces := map[string]bool{}
			for i, d := range p.s.Deliveries() {
				require.NoError(t, d.Err)
				assert.Equal(t, http.StatusOK, d.Status)
				assert.Equal(t, hook.events[i].TraceID, d.TraceID)
				traces[d.TraceID] = true
			}
			assert.Len(t, traces, 10)

			p.s.Redeliver(p.s.Deliveries()[4])
			waitHooks(t, p.s)
			require.Len(t, hook.events, 11)
			assert.Equal(t, hook.events[4], hook.events[10], "the same event, signed anew")
		})
	}
}

func TestWebhookQuirks(t *testing.T) {
	for _, padded := range []bool{false, true} {
		hook := newCallback(t, "", http.StatusOK)
		p := start(t, sandbox.Config{Quirks: sandbox.Quirks{WebhookPadded: padded}})
		p.s.SetWebhook(sandbox.Webhook{URL: hook.URL, Token: secret.New(hookToken)})
		for range 3 { // of three lengths in a row, two need padding
			info := p.create(object{"enable_live": true, "subject": strings.Repeat("s", len(p.s.Meetings())+1)})
			require.NoError(t, p.s.Join(info["meeting_id"].(string), "operator"))
			require.NoError(t, p.s.StartLive(info["meeting_id"].(string)))
			require.NoError(t, p.s.StopLive(info["meeting_id"].(string)))
		}
		waitHooks(t, p.s)
		assert.Contains(t, hook.names(), "meeting.live-stopped")
		assert.Equal(t, padded, strings.Contains(strings.Join(hook.data, ""), "="))
	}
}

func TestWebhookFailuresAreRecorded(t *testing.T) {
	hook := newCallback(t, "", http.StatusInternalServerError)
	p := start(t, sandbox.Config{Webhook: sandbox.Webhook{URL: hook.URL, Token: secret.New(hookToken)}})
	p.create(nil)
	waitHooks(t, p.s)
	require.Len(t, p.s.Deliveries(), 1)
	assert.Equal(t, 500, p.s.Deliveries()[0].Status)
	require.Error(t, p.s.Deliveries()[0].Err)

	redirect := httptest.NewServer(http.RedirectHandler(hook.URL, http.StatusFound))
	t.Cleanup(redirect.Close)
	p.s.SetWebhook(sandbox.Webhook{URL: redirect.URL, Token: secret.New(hookToken)})
	require.Error(t, p.s.VerifyWebhook(t.Context()), "the callback may not redirect")
	p.s.SetWebhook(sandbox.Webhook{URL: hook.URL, Token: secret.New(hookToken), AESKey: secret.New("short")})
	require.Error(t, p.s.VerifyWebhook(t.Context()))
}

func TestAnUnansweredEventIsRepeated(t *testing.T) {
	for once, stamps := range map[bool]int{false: 3, true: 1} {
		hook := newCallback(t, "", http.StatusOK)
		hook.fails, hook.again = 2, once
		var now atomic.Int64
		now.Store(epoch.UnixMilli())
		p := start(t, sandbox.Config{
			Now:    func() time.Time { return time.UnixMilli(now.Add(1)) },
			Quirks: sandbox.Quirks{WebhookSignedOnce: once},
			Webhook: sandbox.Webhook{
				URL: hook.URL, Token: secret.New(hookToken), RepeatAfter: []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond},
			},
		})
		p.create(nil)
		require.Eventually(t, func() bool { return len(p.s.Deliveries()) == 3 }, 20*time.Second, time.Millisecond)
		waitHooks(t, p.s)
		hook.mu.Lock()
		assert.Equal(t, hook.events[0], hook.events[2], "the same event, under its trace_id")
		assert.Len(t, slices.Compact(slices.Sorted(slices.Values(hook.stamps))), stamps)
		hook.mu.Unlock()
		for i, d := range p.s.Deliveries() {
			assert.Equal(t, i, d.Attempt)
			assert.Equal(t, i == 2, d.Err == nil)
		}
	}
}

func TestCancelledMeetingsAreAnnounced(t *testing.T) {
	hook := newCallback(t, "", http.StatusOK)
	p := start(t, sandbox.Config{Webhook: sandbox.Webhook{URL: hook.URL, Token: secret.New(hookToken)}})
	id := p.create(nil)["meeting_id"].(string)
	_, answer := p.tencent(http.MethodPost, "/v1/meetings/"+id+"/cancel", object{"userid": "operator", "instanceid": 1, "reason_code": 1})
	require.Zero(t, code(answer))
	waitHooks(t, p.s)
	assert.Equal(t, []string{"meeting.created", "meeting.canceled"}, hook.names())
}
