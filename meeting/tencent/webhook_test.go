package tencent

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/signed"
	"meetbot/config/secret"
	"meetbot/meeting"
)

type webhookVector struct {
	AESKey    string `json:"encoding_aes_key"`
	Plaintext string
	Data      string
	Token     string
	Timestamp string
	Nonce     string
	Signature string
}

// webhookVectors returns the signature that Tencent published, and one computed with
// openssl for encrypted data.
func webhookVectors(t testing.TB) (published, encrypted webhookVector) {
	t.Helper()
	b, err := os.ReadFile("testdata/tencent-webhook.json")
	require.NoError(t, err)
	var file struct {
		Published webhookVector `json:"published_signature_vector"`
		Computed  webhookVector `json:"computed_aes_vector"`
	}
	require.NoError(t, json.Unmarshal(b, &file))
	require.NotEmpty(t, file.Published.Signature)
	require.NotEmpty(t, file.Computed.Signature)
	return file.Published, file.Computed
}

func (v webhookVector) time(t testing.TB) time.Time {
	t.Helper()
	ms, err := strconv.ParseInt(v.Timestamp, 10, 64)
	require.NoError(t, err)
	return time.UnixMilli(ms)
}

func (v webhookVector) headers() http.Header {
	return http.Header{"Timestamp": {v.Timestamp}, "Nonce": {v.Nonce}, "Signature": {v.Signature}}
}

// receiver returns a handler at the vector's time that keeps what it receives.
func receiver(t testing.TB, v webhookVector, events *[]Event, result error) http.Handler {
	t.Helper()
	h, err := NewWebhook(WebhookConfig{
		Token: secret.New(v.Token), AESKey: secret.New(v.AESKey), Now: func() time.Time { return v.time(t) },
		Handle: func(_ context.Context, e Event) error { *events = append(*events, e); return result },
	})
	require.NoError(t, err)
	return h
}

func post(h http.Handler, header http.Header, data string) *httptest.ResponseRecorder {
	body, _ := json.Marshal(map[string]string{"data": data})
	r := httptest.NewRequest(http.MethodPost, "/tencent/events", bytes.NewReader(body))
	r.Header = header
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func TestWebhookVectors(t *testing.T) {
	published, encrypted := webhookVectors(t)
	for _, tt := range []struct {
		name string
		v    webhookVector
		want Event
	}{
		{"Published", published, Event{
			Kind: EventCreated, Name: "meeting.created", TraceID: "f20096ee-8ac8-4df2-a7de-0574649f211b",
			At:  time.Date(2020, 12, 29, 17, 41, 6, 0, beijing),
			Ref: meeting.Ref{Provider: "tencent", ID: "6058890385480921052"}, Code: "530812452", Topic: "media tester meeting",
			EndType: EndTypeNotGiven, Account: "tester00006ba5bab339858c13c930cca95684",
		}},
		{"Encrypted", encrypted, Event{
			Kind: EventLiveStart, Name: "meeting.live-started", TraceID: "e7aa65dd-f7e6-4b62-912c-2035173b34a9",
			At: time.UnixMilli(1609313201465), Ref: meeting.Ref{Provider: "tencent", ID: meetingID}, Code: "445999969", Topic: "作战室",
			EndType: EndTypeNotGiven,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.v.Signature, callbackSignature(tt.v.Token, tt.v.Timestamp, tt.v.Nonce, tt.v.Data))
			var got []Event
			rec := post(receiver(t, tt.v, &got, nil), tt.v.headers(), tt.v.Data)
			assert.Equal(t, 200, rec.Code)
			assert.Equal(t, "successfully received callback", rec.Body.String())
			assert.Equal(t, []Event{tt.want}, got)
		})
	}
}

func TestCheckStrIsAnsweredWithItsPlaintext(t *testing.T) {
	published, encrypted := webhookVectors(t)
	plain, err := base64.RawStdEncoding.DecodeString(published.Data)
	require.NoError(t, err)
	for want, v := range map[string]webhookVector{string(plain): published, encrypted.Plaintext: encrypted} {
		var events []Event
		h := receiver(t, v, &events, nil)
		get := func(header http.Header, data string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodGet, "/tencent/events?check_str="+url.QueryEscape(data), nil)
			r.Header = header
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			return rec
		}
		rec := get(v.headers(), v.Data)
		assert.Equal(t, 200, rec.Code)
		assert.Equal(t, want, rec.Body.String())

		rec = get(v.headers(), v.Data+"A")
		assert.Equal(t, 401, rec.Code)
		assert.Empty(t, rec.Body.String())
		rec = get(http.Header{}, v.Data)
		assert.Equal(t, 401, rec.Code)
		assert.Empty(t, events)
	}
}

func TestWebhookRefuses(t *testing.T) {
	_, v := webhookVectors(t)
	change := func(name, value string) http.Header {
		h := v.headers()
		h.Set(name, value)
		return h
	}
	resigned := func(timestamp, data string) http.Header {
		return http.Header{"Timestamp": {timestamp}, "Nonce": {v.Nonce}, "Signature": {callbackSignature(v.Token, timestamp, v.Nonce, data)}}
	}
	at := func(d time.Duration) string { return strconv.FormatInt(v.time(t).Add(d).UnixMilli(), 10) }
	for _, tt := range []struct {
		name   string
		header http.Header
		data   string
		want   int
	}{
		{"NoHeaders", http.Header{}, v.Data, 401},
		{"WrongSignature", change("signature", strings.Repeat("0", 40)), v.Data, 401},
		{"EmptySignature", change("signature", ""), v.Data, 401},
		{"OtherNonce", change("nonce", "1"), v.Data, 401},
		{"OtherData", v.headers(), "A" + v.Data, 401},
		{"NoData", resigned(v.Timestamp, ""), "", 401},
		{"TimestampNotANumber", resigned("now", v.Data), v.Data, 401},
		{"FiveMinutesOld", resigned(at(-5*time.Minute), v.Data), v.Data, 200},
		{"TheThirdRepeatOfAnOldSignature", resigned(at(-10*time.Minute-15*time.Second), v.Data), v.Data, 200},
		{"FifteenMinutesOld", resigned(at(-15*time.Minute), v.Data), v.Data, 200},
		{"OlderThanFifteenMinutes", resigned(at(-15*time.Minute-time.Millisecond), v.Data), v.Data, 401},
		{"FromTheFuture", resigned(at(5*time.Minute+time.Millisecond), v.Data), v.Data, 401},
		{"SignedButNotEncrypted", resigned(v.Timestamp, "e30="), "e30=", 401},
		{"SignedButNotBase64", resigned(v.Timestamp, "***"), "***", 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var events []Event
			rec := post(receiver(t, v, &events, nil), tt.header, tt.data)
			assert.Equal(t, tt.want, rec.Code)
			if tt.want != 200 {
				assert.Empty(t, rec.Body.String())
				assert.Empty(t, events)
			}
		})
	}
	t.Run("TooLong", func(t *testing.T) {
		var events []Event
		rec := post(receiver(t, v, &events, nil), v.headers(), strings.Repeat("A", signed.MaxBody))
		assert.Equal(t, 413, rec.Code)
	})
	t.Run("OtherMethods", func(t *testing.T) {
		var events []Event
		rec := httptest.NewRecorder()
		receiver(t, v, &events, nil).ServeHTTP(rec, httptest.NewRequest(http.MethodPut, "/", nil))
		assert.Equal(t, 405, rec.Code)
	})
}

// unread fails the test if a body is looked at.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body of a request that cannot be Tencent's is read")
	return 0, io.EOF
}

func TestWhatCannotBeTencentsIsNotReadAndLeavesATrace(t *testing.T) {
	_, v := webhookVectors(t)
	var log strings.Builder
	counted := map[signed.Reason]int{}
	h, err := NewWebhook(WebhookConfig{
		Token: secret.New(v.Token), AESKey: secret.New(v.AESKey), Now: func() time.Time { return v.time(t).Add(20 * time.Minute) },
		Handle: func(context.Context, Event) error { t.Error("handled"); return nil }, Refused: func(r signed.Reason) { counted[r]++ },
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, err)
	for _, header := range []http.Header{{}, v.headers(), {"Timestamp": {v.Timestamp}, "Nonce": {"1"}, "Signature": {"canary"}}} {
		r := httptest.NewRequest(http.MethodPost, "/tencent/events", unread{t})
		r.Header = header
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		assert.Equal(t, 401, rec.Code)
		assert.Empty(t, rec.Body.String())
	}
	assert.Equal(t, map[signed.Reason]int{signed.Unsigned: 2, signed.Stale: 1}, counted)
	assert.Contains(t, log.String(), "reason=stale count=1 age=20m0s")
	assert.NotContains(t, log.String(), "canary")
}

func TestAnEventThatWasNotTakenIsSentAgain(t *testing.T) {
	_, v := webhookVectors(t)
	var events []Event
	rec := post(receiver(t, v, &events, errors.New("canary")), v.headers(), v.Data)
	assert.Equal(t, 500, rec.Code)
	assert.Empty(t, rec.Body.String())
	assert.Len(t, events, 1)
}

func TestEvents(t *testing.T) {
	for _, tt := range []struct {
		name string
		kind EventKind
	}{
		{"meeting.created", EventCreated}, {"meeting.updated", EventUpdated}, {"meeting.canceled", EventCancelled}, {"meeting.started", EventStarted},
		{"meeting.end", EventEnded}, {"meeting.participant-joined", EventJoined}, {"meeting.participant-left", EventLeft},
		{"meeting.live-started", EventLiveStart}, {"meeting.live-config-update", EventLiveConfig},
		{"meeting.live-stopped", EventLiveEnd}, {"meeting.live-something", EventOther},
		{"recording.completed", EventRecorded}, {"", EventOther},
	} {
		got, err := parseEvents([]byte(`{"event":"` + tt.name + `","trace_id":"t","payload":[{"meeting_info":{"meeting_id":"1"}}]}`))
		require.NoError(t, err)
		require.Len(t, got, 1)
		assert.Equal(t, tt.kind, got[0].Kind, tt.name)
		assert.Equal(t, tt.name, got[0].Name)
	}
}

// TestWhatAnEventSaysOfAMeeting in the words that all providers have.
func TestWhatAnEventSaysOfAMeeting(t *testing.T) {
	for _, tt := range []struct {
		event, end string
		state      meeting.State
		live       meeting.Live
		silent     bool
	}{
		{event: "meeting.started", state: meeting.StateRunning},
		{event: "meeting.participant-joined", state: meeting.StateRunning},
		{event: "meeting.live-started", live: meeting.LiveOn},
		{event: "meeting.live-stopped", live: meeting.LiveOff},
		{event: "meeting.canceled", state: meeting.StateCancelled},
		{event: "meeting.end", state: meeting.StateEnded},
		{event: "meeting.end", end: `"meeting_end_type":0,`, state: meeting.StateEnded},
		{event: "meeting.end", end: `"meeting_end_type":"1",`, state: meeting.StateEnded},
		{event: "meeting.end", end: `"meeting_end_type":3,`, state: meeting.StateEmpty},
		{event: "meeting.participant-left", silent: true},
		{event: "meeting.created", silent: true},
		{event: "meeting.updated", silent: true},
		{event: "meeting.live-config-update", silent: true},
		{event: "meeting.something", silent: true},
	} {
		got, err := parseEvents([]byte(`{"event":"` + tt.event + `","trace_id":"t","payload":[{` + tt.end + `"operate_time":1700000000000,"meeting_info":{"meeting_id":"1"}}]}`))
		require.NoError(t, err)
		require.Len(t, got, 1)
		said, ok := got[0].Neutral()
		assert.Equal(t, !tt.silent, ok, tt.event)
		if ok {
			assert.Equal(t, meeting.Event{ID: "t:" + tt.event + ":1", At: time.UnixMilli(1700000000000), Ref: meeting.Ref{Provider: Kind.ID, ID: "1"}, State: tt.state, Live: tt.live}, said)
		}
	}
}

// What is made of a meeting is told by its files, never by where those are.
func TestWhatIsMadeOfAMeeting(t *testing.T) {
	for event, made := range map[string]meeting.Made{
		"recording.completed": meeting.MadeRecording, "smart.transcripts": meeting.MadeTranscript, "smart.fullsummary": meeting.MadeSummary, "smart.minutes": meeting.MadeSummary,
	} {
		got, err := parseEvents([]byte(`{"event":"` + event + `","trace_id":"t","payload":[{"operate_time":1700000000,"meeting_info":{"meeting_id":"1"},
			"recording_files":[{"record_file_id":"2005979751095140353","lang":"zh","download_address":"https://x/canary"},{"record_file_id":7},{"record_file_id":""},{"record_file_id":"` + strings.Repeat("9", maxFileID+1) + `"}]}]}`))
		require.NoError(t, err)
		require.Len(t, got, 1)
		said, ok := got[0].Neutral()
		require.True(t, ok)
		assert.Equal(t, meeting.Event{
			ID: "t:" + event + ":1", At: time.Unix(1700000000, 0), Ref: meeting.Ref{Provider: Kind.ID, ID: "1"}, Made: made, Files: []string{"2005979751095140353", "7"},
		}, said)
	}
	got, err := parseEvents([]byte(`{"event":"recording.completed","payload":[{"meeting_info":{"meeting_id":"1"},"recording_files":"none"}]}`))
	require.NoError(t, err)
	assert.Empty(t, got[0].Files)
}

// Two recordings of one meeting in one callback would be one event to whoever takes each TraceID
// and Ref once.
func TestSeveralRecordingsOfAMeetingInOneCallback(t *testing.T) {
	one := func(id, file string) string {
		return `{"operate_time":1700000000,"meeting_info":{"meeting_id":"` + id + `"},"recording_files":[{"record_file_id":"` + file + `"}]}`
	}
	got, err := parseEvents([]byte(`{"event":"recording.completed","trace_id":"t","payload":[` + one("1", "a") + `,` + one("2", "b") + `,` + one("1", "c") + `,` + one("1", "a") + `]}`))
	require.NoError(t, err)
	files := map[string][]string{}
	for _, e := range got {
		said, ok := e.Neutral()
		require.True(t, ok)
		require.NotContains(t, files, said.ID)
		files[said.ID] = said.Files
	}
	assert.Equal(t, map[string][]string{"t:recording.completed:1": {"a", "c"}, "t:recording.completed:2": {"b"}}, files)

	var many []string
	for i := range 2 * maxFiles {
		many = append(many, one("1", strconv.Itoa(i)))
	}
	got, err = parseEvents([]byte(`{"event":"recording.completed","trace_id":"t","payload":[` + strings.Join(many, ",") + `]}`))
	require.NoError(t, err)
	require.Len(t, got, 1)
	assert.Len(t, got[0].Files, maxFiles)
}

func TestWhyAMeetingEnded(t *testing.T) {
	for payload, want := range map[string]EndType{
		`{"meeting_end_type":0,"meeting_info":{"meeting_id":"1"}}`:   EndByHost,
		`{"meeting_info":{"meeting_id":"1","meeting_end_type":"3"}}`: EndEmptyEarly,
		`{"meeting_info":{"meeting_id":"1"}}`:                        EndTypeNotGiven,
	} {
		got, err := parseEvents([]byte(`{"event":"meeting.end","payload":[` + payload + `]}`))
		require.NoError(t, err)
		require.Len(t, got, 1)
		assert.Equal(t, want, got[0].EndType)
	}
}

func TestSeveralMeetingsInOneCallback(t *testing.T) {
	got, err := parseEvents([]byte(`{"event":"meeting.started","payload":[{"meeting_info":{"meeting_id":1}},{"other":1},{"meeting_info":{"meeting_id":"2"}}]}`))
	require.NoError(t, err)
	require.Len(t, got, 2)
	assert.Equal(t, "2", got[1].Ref.ID)
}

func TestNewWebhookRefusesWhatCannotWork(t *testing.T) {
	handle := func(context.Context, Event) error { return nil }
	for _, tt := range []struct{ token, key string }{{"", ""}, {"t", "short"}, {"t", strings.Repeat("*", 43)}, {"t", strings.Repeat("A", 44)}} {
		_, err := NewWebhook(WebhookConfig{Token: secret.New(tt.token), AESKey: secret.New(tt.key), Handle: handle})
		require.Error(t, err)
	}
	_, err := NewWebhook(WebhookConfig{Token: secret.New("t")})
	require.Error(t, err)
}

// FuzzWebhook signs whatever it is given, and changes it afterwards.
func FuzzWebhook(f *testing.F) {
	f.Add([]byte(`{"event":"meeting.started","payload":[{"meeting_info":{"meeting_id":"1"}}]}`), int64(0), byte(16), false)
	f.Add([]byte(`{"event":1}`), int64(-300), byte(32), true)
	f.Add([]byte("\x10\x10\x10\x10\x10\x10\x10\x10\x10\x10\x10\x10\x10\x10\x10\x10"), int64(301), byte(1), true)
	_, v := webhookVectors(f)
	key, err := base64.RawStdEncoding.DecodeString(v.AESKey)
	require.NoError(f, err)
	block, err := aes.NewCipher(key)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, plain []byte, skew int64, pad byte, padded bool) {
		if padded {
			n := int(pad)%32 + 1
			plain = append(bytes.Clone(plain), bytes.Repeat([]byte{byte(n)}, n)...)
		}
		plain = append(bytes.Clone(plain), make([]byte, (16-len(plain)%16)%16)...)
		cipher.NewCBCEncrypter(block, key[:16]).CryptBlocks(plain, plain)
		data := base64.StdEncoding.EncodeToString(plain)
		skew %= 2000
		timestamp := strconv.FormatInt(v.time(t).Add(time.Duration(skew)*time.Second).UnixMilli(), 10)
		header := func(data string) http.Header {
			return http.Header{"Timestamp": {timestamp}, "Nonce": {"7"}, "Signature": {callbackSignature(v.Token, timestamp, "7", data)}}
		}
		var events []Event
		h := receiver(t, v, &events, nil)
		code := post(h, header(data), data).Code
		if d := time.Duration(skew) * time.Second; d < -maxAge || d > maxAhead {
			require.Equal(t, 401, code)
		}
		require.Contains(t, []int{200, 400, 401}, code)
		require.Equal(t, 401, post(h, header(data), data+"A").Code)
		require.Equal(t, 401, post(h, header(data+"A"), data).Code)
	})
}
