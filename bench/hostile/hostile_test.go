package hostile

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bench/internal/rig"
	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/adapters/slack/slacktest"
)

var (
	duration = flag.Duration("duration", 2*time.Second, "how long the hostile table runs")
	seed     = flag.Uint64("seed", uint64(time.Now().UnixNano()), "what the changes follow from")
)

const (
	// limit is the memory that every example of deploy/ gives the bot, heap what GOMEMLIMIT says there.
	limit = 512 << 20
	heap  = "GOMEMLIMIT=400MiB"

	typed        = "canary-typed" // what a person types, which is logged nowhere
	webhookToken = "canary-webhook-token"
	timeout      = 30 * time.Second
)

// world is a bot, and everything around it.
type world struct {
	*testing.T
	rig    *rig.Rig
	bot    *rig.Bot
	base   string
	client *http.Client
	n      atomic.Int64
	sent   atomic.Int64 // requests and frames
}

var (
	buildDir string
	built    = sync.OnceValues(func() (string, error) { return rig.Build(context.Background(), buildDir) })
)

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "hostile-*"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir) // it is the system's temporary directory
	os.Exit(code)
}

func newWorld(t *testing.T, o rig.Options) *world {
	t.Helper()
	dir := t.TempDir()
	binary, err := built()
	require.NoError(t, err)
	w := &world{T: t}
	w.rig, err = rig.New(o)
	require.NoError(t, err)
	t.Cleanup(w.rig.Close)
	w.bot, err = w.rig.NewBot(binary, dir)
	require.NoError(t, err)
	t.Cleanup(w.bot.Close)
	w.base = w.bot.HTTP().Base
	w.bot.Env = append(append(w.bot.Env, w.rig.Zoom()...), heap, "LOG_LEVEL=debug", "TENCENT_WEBHOOK_TOKEN="+webhookToken, "ZOOM_WEBHOOK_TOKEN="+webhookToken, "PUBLIC_URL="+w.base)
	require.NoError(t, w.bot.Start(t.Context()))
	w.client = &http.Client{Timeout: timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(w.client.CloseIdleConnections)
	return w
}

// send sends a request, and judges the answer: no status that says that something broke, and
// nothing secret.
func (w *world) send(r *http.Request) int {
	w.sent.Add(1)
	resp, err := w.client.Do(r)
	if err != nil {
		return 0 // what cannot be sent, and a connection that was ended
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable {
		w.Errorf("%s %s: %d", r.Method, r.URL.Path, resp.StatusCode)
	}
	for _, secret := range w.secrets() {
		if bytes.Contains(body, []byte(secret)) {
			w.Errorf("%s %s: the answer has %s in it", r.Method, r.URL.Path, secret)
		}
	}
	return resp.StatusCode
}

func (w *world) secrets() []string { return append(w.rig.Secrets(), webhookToken) }

func request(method, address string, body []byte) *http.Request {
	r, err := http.NewRequestWithContext(context.Background(), method, address, bytes.NewReader(body))
	if err != nil {
		panic(err) // unreachable: addresses are made here
	}
	return r
}

// acts are requests of Slack's.
func (w *world) acts() []slacktest.Act {
	n := w.n.Add(1)
	channel := fmt.Sprint("C", n)
	mention, _ := w.rig.Slack.Mention(channel, "", "U1", "<@U0BOT> livepush to x --key "+typed)
	return []slacktest.Act{
		w.rig.Slack.Slash(channel, "U1", "/meet", typed+" --duration 30 --live"),
		w.rig.Slack.Slash(channel, "U1", "/livepush", "save x --url rtmp://a.example/app --key "+typed),
		w.rig.Slack.Slash(channel, "U1", "/meet", "list"),
		w.rig.Slack.Slash(channel, "U1", "/livepush", "form"),
		w.rig.Slack.Shortcut(channel, "1.0", "", "U1", typed),
		mention,
	}
}

// interactions are requests of Discord's.
func (w *world) interactions() []*discordtest.Interaction {
	n := w.n.Add(1)
	there := discordtest.InGuild(fmt.Sprint(8000 + n))
	s := w.rig.Discord
	return []*discordtest.Interaction{
		s.Command("111", there, "en-US", "meet", discordtest.Option{Name: "topic", Value: typed}, discordtest.Option{Name: "duration", Value: 30}),
		s.Command("111", there, "zh-CN", "livepush", discordtest.Option{Name: "name", Value: "bili"}, discordtest.Option{Name: "key", Value: typed}),
		s.Command("111", there, "en-US", "meetings list"),
		s.Complete("111", there, "meetings end", discordtest.Option{Name: "meeting", Value: "1", Focused: true}),
		s.Click("111", there, "1", "v1:approve:0123456789abcdef"),
		s.Click("111", discordtest.InDirect("77"), "1", "v1:start:systec:1"),
		s.Submit("111", there, "v1:push:", map[string]any{"name": "x", "key": typed, "platform": []string{"other"}}),
	}
}

const event = `{"event":"meeting.started","trace_id":"t%d","payload":[{"operate_time":"%d","operator":{"userid":"alice"},"meeting_info":{"meeting_id":"%d","meeting_code":"123456789","subject":"canary-typed"}}]}`

func (w *world) event() []byte {
	n := w.n.Add(1)
	return fmt.Appendf(nil, event, n, time.Now().UnixMilli(), n)
}

// callback is a callback of the meeting provider's.
func (w *world) callback(plain []byte, token string, at time.Time) *http.Request {
	data := base64.StdEncoding.EncodeToString(plain)
	body, _ := json.Marshal(map[string]string{"data": data})
	r := request(http.MethodPost, w.base+"/tencent/events", body)
	stamp := strconv.FormatInt(at.UnixMilli(), 10)
	values := []string{token, stamp, "7", data}
	slices.Sort(values)
	sum := sha1.Sum([]byte(strings.Join(values, ""))) //nolint:gosec // the protocol's choice
	r.Header.Set("timestamp", stamp)
	r.Header.Set("nonce", "7")
	r.Header.Set("signature", hex.EncodeToString(sum[:]))
	return r
}

func (w *world) zoomEvent() []byte {
	return fmt.Appendf(nil, `{"event":"meeting.started","event_ts":%d,"payload":{"plainToken":"x","object":{"id":"8%010d","uuid":"u==","topic":"canary-typed","participant":{"user_id":"1"}}}}`, time.Now().UnixMilli(), w.n.Add(1))
}

// zoom is an event of the other provider's that has them.
func (w *world) zoom(body []byte, at time.Time) *http.Request {
	r := request(http.MethodPost, w.base+"/zoom/events", body)
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(webhookToken))
	_, _ = fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	r.Header.Set("X-Zm-Request-Timestamp", stamp)
	r.Header.Set("X-Zm-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	return r
}

// signed returns one request of each that may come in, as its sender signs it.
func (w *world) signed(r *mrand.Rand, change func(*mrand.Rand, []byte, string) []byte) []*http.Request {
	var all []*http.Request
	act := w.acts()[r.IntN(6)]
	path, kind, body := act.Request()
	body = change(r, body, kind)
	slack := request(http.MethodPost, w.base+path, body)
	slack.Header.Set("Content-Type", kind)
	slacktest.Sign(slack.Header, slacktest.SigningSecret, time.Now(), body)
	in := w.interactions()[r.IntN(7)]
	discord := w.rig.Discord.Sign(w.bot.DiscordURL(), change(r, in.Payload, "application/json"), time.Now())
	return append(all, slack, discord, w.callback(change(r, w.event(), "application/json"), webhookToken, time.Now()), w.zoom(change(r, w.zoomEvent(), "application/json"), time.Now()))
}

func unchanged(_ *mrand.Rand, b []byte, _ string) []byte { return b }

func changed(r *mrand.Rand, b []byte, kind string) []byte {
	if kind == "application/json" {
		return JSON(r, b)
	}
	return Form(r, b)
}

var signatures = []string{"X-Slack-Signature", "X-Slack-Request-Timestamp", "X-Signature-Ed25519", "X-Signature-Timestamp", "X-Zm-Signature", "X-Zm-Request-Timestamp", "timestamp", "nonce", "signature"}

// unsigned sends what nobody has signed: the signature, the time or the body is another one.
func (w *world) unsigned(r *mrand.Rand) {
	if r.IntN(3) == 0 {
		w.keyPage(r, rand.Text())
		return
	}
	for _, q := range w.signed(r, unchanged) {
		switch r.IntN(5) {
		case 0: // another body
			body, _ := io.ReadAll(q.Body)
			other := request(q.Method, q.URL.String(), append(body, '&'))
			other.Header = q.Header
			q = other
			if strings.HasPrefix(q.URL.Path, "/tencent/") { // its signature is over a value in the body
				q.Header.Set("signature", strings.Repeat("0", 40))
			}
		case 1:
			for _, h := range signatures {
				q.Header.Del(h)
			}
		default:
			h := signatures[r.IntN(len(signatures))]
			for q.Header.Get(h) == "" {
				h = signatures[r.IntN(len(signatures))]
			}
			if text := texts[r.IntN(28)]; strings.ContainsFunc(text, unicode.IsControl) || r.IntN(2) == 0 {
				was := []byte(q.Header.Get(h))
				was[len(was)-1] ^= 1
				q.Header.Set(h, string(was))
			} else {
				q.Header.Set(h, text)
			}
		}
		if code := w.send(q); code != 0 && !slices.Contains([]int{400, 401, 413, 431, 503}, code) {
			w.Errorf("%s without a signature: %d", q.URL.Path, code)
		}
	}
}

// keyPage tries a link.
func (w *world) keyPage(r *mrand.Rand, token string) {
	method := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodHead, http.MethodOptions, http.MethodDelete}[r.IntN(6)]
	form := url.Values{"key": {typed}, "name": {texts[r.IntN(len(texts))]}, "url": {texts[r.IntN(len(texts))]}, "preset": {"other"}, "form": {token}}
	q := request(method, w.base+"/k/"+url.PathEscape(token), Form(r, []byte(form.Encode())))
	q.Header.Set("Content-Type", []string{"application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=x", ""}[r.IntN(4)])
	q.Header.Set("Accept-Language", []string{"en", "zh-CN", strings.Repeat("a-", 9000), "*;q=9e9"}[r.IntN(4)])
	q.Header.Set("Sec-Fetch-Site", []string{"same-origin", "cross-site", "none"}[r.IntN(3)])
	if code := w.send(q); code == http.StatusOK {
		w.Errorf("%s /k/%s: a link that nobody was given works", method, token)
	}
}

// raw sends bytes that are hardly HTTP.
func (w *world) raw(r *mrand.Rand) {
	address := strings.TrimPrefix(w.base, "http://")
	conn, err := net.DialTimeout("tcp", address, timeout)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
	shapes := []string{
		"POST /slack/commands HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"POST /slack/commands HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"POST /slack/commands HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
		"GET /k/%00 HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /k/../../slack HTTP/0.9\r\n\r\n",
		"POST /discord/interactions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 100_000) + "\r\n\r\n",
	}
	_, _ = conn.Write(Bytes(r, []byte(shapes[r.IntN(len(shapes))])))
	w.sent.Add(1)
	line, _ := bufio.NewReader(conn).ReadString('\n')
	if code := strings.Fields(line + " 0 0")[1]; strings.HasPrefix(code, "5") && code != "501" && code != "503" && code != "505" {
		w.Errorf("bytes that are hardly HTTP: %q", line)
	}
}

// frames sends what is hardly an event over both sockets.
func (w *world) frames(r *mrand.Rand) {
	w.sent.Add(1)
	kind := 1 + r.IntN(2) // text, binary
	if r.IntN(20) > 0 {
		kind = 1
	}
	if r.IntN(2) == 0 {
		w.rig.Slack.Inject(kind, JSON(r, w.acts()[r.IntN(6)].Frame(rand.Text())))
		return
	}
	in := w.interactions()[r.IntN(7)]
	frame, _ := json.Marshal(map[string]any{"op": 0, "t": "INTERACTION_CREATE", "s": w.n.Load(), "d": json.RawMessage(JSON(r, in.Payload))})
	if r.IntN(10) == 0 { // what is not about interactions ends connections, each for some time
		frame = JSON(r, []byte([]string{
			`{"op":10,"d":{"heartbeat_interval":41250}}`, `{"op":7,"d":null}`, `{"op":9,"d":true}`, `{"op":1,"d":null}`,
			`{"op":0,"t":"READY","s":1,"d":{"session_id":"x","resume_gateway_url":"wss://evil.example"}}`,
		}[r.IntN(5)]))
	}
	if json.Valid(frame) || r.IntN(10) == 0 {
		w.rig.Discord.Inject(kind, frame)
	}
}

// answers makes everybody whom the bot asks answer something.
func (w *world) answers(r *mrand.Rand) rig.Hook {
	var mu sync.Mutex
	documents := [][]byte{
		[]byte(`{"status":200,"message":"ok","data":{"id":"123456789","meeting_id":123456789,"join_url":"https://x.example/j/1","start_url":"https://x.example/s/1?zak=1","password":"1","status":1}}`),
		[]byte(`{"meeting_number":1,"meeting_info_list":[{"meeting_id":"1","meeting_code":"123456789","subject":"x","join_url":"https://x.example"}]}`),
		[]byte(`{"error_info":{"error_code":190303,"message":"x"}}`), []byte(`{"ok":true,"ts":"1.0","channel":"C1","message":{"ts":"1.0"},"user":{"id":"U1"}}`),
		[]byte(`{"ok":false,"error":"not_in_channel"}`), []byte(`{"id":"1","channel_id":"2","flags":0}`), []byte(`{"code":50035,"errors":{"data":{"_errors":[{"code":"A"}]}}}`),
		[]byte(`<html>`), {}, bytes.Repeat([]byte("a"), 3<<20), bytes.Repeat([]byte(`{"a":`), 200_000), bytes.Repeat([]byte("["), 1<<20),
	}
	after := []string{"", "NaN", "-1", "1e99", "0", "99999999999999999999", "1", "Thu, 01 Jan 2099 00:00:00 GMT"}
	return func(q rig.Request) rig.Verdict {
		mu.Lock()
		defer mu.Unlock()
		if q.Moment != rig.Arrived || r.IntN(3) > 0 || strings.Contains(q.Route, "auth.test") || strings.Contains(q.Route, "@me") {
			return rig.Verdict{}
		}
		if q.Service == "slack" || q.Service == "discord" { // who is limited once is limited long: a rare answer
			if r.IntN(10) > 0 {
				return rig.Verdict{}
			}
			return rig.Verdict{Status: []int{200, 400, 403, 404, 500, 502}[r.IntN(6)], Header: http.Header{"X-Ratelimit-Bucket": {"b"}}, Body: JSON(r, documents[r.IntN(len(documents))])}
		}
		return rig.Verdict{
			Status: []int{200, 200, 200, 204, 302, 400, 401, 403, 404, 429, 500, 503}[r.IntN(12)],
			Header: http.Header{"Retry-After": {after[r.IntN(len(after))]}, "Location": {"http://127.0.0.1:1/"}, "Date": {"x"}, "X-Tc-Trace": {"\u202ex"}},
			Body:   JSON(r, documents[r.IntN(len(documents))]),
		}
	}
}

// real makes a meeting as people do, on one platform or the other, and waits for its card.
func (w *world) real(how string) {
	w.Helper()
	n := w.n.Add(1)
	topic := fmt.Sprint("Real ", n)
	ctx, cancel := context.WithTimeout(w.Context(), 2*time.Minute)
	defer cancel()
	shown := func() bool { return false }
	switch channel := fmt.Sprint(9_000_000 + n); how {
	case "slack":
		act := w.rig.Slack.Slash("C"+channel, "U1", "/meet", topic)
		ack, err := w.rig.Slack.Deliver(ctx, w.bot.HTTP(), act, 0)
		require.NoError(w, err)
		require.Equal(w, http.StatusOK, ack.Status)
		shown = func() bool {
			return slices.ContainsFunc(w.rig.Slack.Messages(), func(m slacktest.Message) bool { return m.Channel == "C"+channel && m.To == "" })
		}
	case "socket":
		act := w.rig.Slack.Slash("C"+channel, "U1", "/meet", topic)
		require.Eventually(w, func() bool {
			once, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			_, err := w.rig.Slack.Deliver(once, w.rig.Slack.Socket(), act, 0)
			return err == nil
		}, time.Minute, 100*time.Millisecond, "an event is acknowledged, perhaps on the next connection")
		shown = func() bool {
			return slices.ContainsFunc(w.rig.Slack.Messages(), func(m slacktest.Message) bool { return m.Channel == "C"+channel && m.To == "" })
		}
	case "discord", "gateway":
		in := w.rig.Discord.Command("111", discordtest.InGuild(channel), "en-US", "meet", discordtest.Option{Name: "topic", Value: topic})
		if how == "discord" {
			require.Equal(w, http.StatusOK, w.rig.Discord.Post(w.client, w.bot.DiscordURL(), in))
		} else {
			require.Eventually(w, func() bool { return w.rig.Discord.Connected() > 0 }, 2*time.Minute, 50*time.Millisecond, "the gateway is back")
			w.rig.Discord.Send(in)
		}
		shown = func() bool { return len(w.rig.Discord.In(channel)) > 0 }
	}
	require.Eventually(w, func() bool { return w.rig.Sandbox.Created(topic) == 1 && shown() }, 2*time.Minute, 50*time.Millisecond, "%s: a real command is carried out", how)
}

// metric returns the sum of a metric's series with a label.
func (w *world) metric(name string) (sum float64) {
	w.Helper()
	resp, err := w.client.Get(w.bot.Ops() + "/metrics")
	require.NoError(w, err)
	defer func() { _ = resp.Body.Close() }()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok {
			v, err := strconv.ParseFloat(rest[strings.LastIndex(rest, " ")+1:], 64)
			require.NoError(w, err)
			sum += v
		}
	}
	return sum
}

const jobsMade = `meetbot_job_enqueue_duration_seconds_count{result="ok"}`

// memory is the most that the process has had, in bytes.
func (w *world) memory() int {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(w.bot.PID()), "status"))
	if err != nil {
		w.Skip("memory is read from /proc")
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(b)
	require.NotNil(w, m)
	n, _ := strconv.Atoi(string(m[1]))
	return n << 10
}

// holds is what must be so, whatever was sent.
func (w *world) holds() {
	w.Helper()
	if runtime.GOOS == "linux" {
		w.Logf("%d requests and frames; at most %d MiB", w.sent.Load(), w.memory()>>20)
		assert.Less(w, w.memory(), limit, "the memory that deploy/ gives it")
	}
	select {
	case <-w.bot.Ended():
		require.Fail(w, "the bot has ended", w.bot.LogTail())
	default:
	}
	log, err := os.ReadFile(w.bot.LogPath())
	require.NoError(w, err)
	lines := strings.Split(strings.TrimSuffix(string(log), "\n"), "\n")
	refused := 0
	for _, line := range lines {
		var l struct{ Msg, Part, Reason string }
		if !assert.NoError(w, json.Unmarshal([]byte(line), &l), "a line of the log is JSON: %.200s", line) {
			break
		}
		assert.NotEqual(w, "panic", l.Msg, "%.2000s", line)
		assert.NotContains(w, line, "http: panic", "%.2000s", line)
		if l.Msg == "requests refused" {
			refused++
		}
	}
	assert.NotRegexp(w, `[\p{Cf}\p{Zl}\p{Zp}\x00-\x08\x0b-\x1f\x7f\x{80}-\x{9f}]`, string(log), "nothing acts on a terminal")
	for _, secret := range append(w.secrets(), typed) {
		if at := strings.Index(string(log), secret); at >= 0 {
			assert.Fail(w, "the log has something secret in it", "%s: %.300s", secret, log[max(0, at-150):])
		}
	}
	// Four senders and six reasons, once a minute.
	assert.LessOrEqual(w, refused, 4*6*int(2+duration.Minutes()))
	assert.Less(w, len(log), 256<<20)
}

// attack runs attackers side by side for a time, each at a pace.
func attack(d, pace time.Duration, attackers ...func(*mrand.Rand)) {
	var all sync.WaitGroup
	end := time.Now().Add(d)
	for i, f := range attackers {
		all.Go(func() {
			r := mrand.New(mrand.NewPCG(*seed, uint64(i))) //nolint:gosec // it is to be repeated
			for time.Now().Before(end) {
				f(r)
				time.Sleep(pace)
			}
		})
	}
	all.Wait()
}

// TestNothingFollowsFromWhatNobodySigned: over every HTTP way in.
func TestNothingFollowsFromWhatNobodySigned(t *testing.T) {
	t.Logf("-seed %d", *seed)
	w := newWorld(t, rig.Options{DiscordHTTP: true})
	require.Eventually(t, func() bool { return len(w.rig.Discord.Registered()) > 10 }, timeout, 10*time.Millisecond)
	var asked atomic.Int64
	w.rig.Hook(func(q rig.Request) rig.Verdict {
		if q.Moment == rig.Arrived {
			asked.Add(1)
		}
		return rig.Verdict{}
	})
	attack(*duration/4, time.Millisecond, w.unsigned, w.unsigned, w.unsigned, w.raw)
	assert.Zero(t, w.metric(jobsMade), "no job was made")
	assert.Zero(t, asked.Load(), "nobody was asked anything")
	assert.Positive(t, w.metric("meetbot_platform_rejected_requests_total"))
	assert.Positive(t, w.metric("meetbot_provider_rejected_requests_total"))
	w.real("slack")
	w.real("discord")
	assert.Equal(t, http.StatusOK, w.send(w.callback(w.event(), webhookToken, time.Now())))
	w.holds()
}

// TestWhatIsSignedAndHostileBreaksNothing: from the platforms and the provider over HTTP, while
// everybody answers anything, and on the key-entry page with a link that works.
func TestWhatIsSignedAndHostileBreaksNothing(t *testing.T) {
	t.Logf("-seed %d", *seed)
	w := newWorld(t, rig.Options{DiscordHTTP: true})
	answers := mrand.New(mrand.NewPCG(*seed, 99)) //nolint:gosec // it is to be repeated
	link := w.link()                              // before anybody says that it was posted, or cannot be
	w.rig.Hook(w.answers(answers))
	signed := func(r *mrand.Rand) {
		for _, q := range w.signed(r, changed) {
			if code := w.send(q); code != 0 && !slices.Contains([]int{200, 400, 401, 413, 503}, code) {
				w.Errorf("%s: %d", q.URL.Path, code)
			}
		}
	}
	page := func(r *mrand.Rand) { w.page(r, link) }
	attack(*duration/2, 20*time.Millisecond, signed, signed, page, w.raw)
	w.rig.Hook(nil)
	assert.Positive(t, w.metric(jobsMade), "some of it is taken")
	w.real("slack")
	w.real("discord")
	assert.Equal(t, http.StatusOK, w.send(w.callback(w.event(), webhookToken, time.Now())))
	w.submit(w.link())
	w.holds()
}

// TestHostileFramesBreakNothing: over Slack's socket and Discord's gateway.
func TestHostileFramesBreakNothing(t *testing.T) {
	t.Logf("-seed %d", *seed)
	w := newWorld(t, rig.Options{Socket: true})
	require.Eventually(t, func() bool { return w.rig.Slack.Connections() > 0 && w.rig.Discord.Connected() > 0 }, timeout, 10*time.Millisecond)
	attack(*duration/4, 10*time.Millisecond, w.frames, w.frames)
	assert.Positive(t, w.metric(jobsMade), "some of it is taken")
	w.real("socket")
	w.real("gateway")
	w.holds()
}

var linkPattern = regexp.MustCompile(`/k/([A-Za-z0-9_-]+)`)

// link asks for a link of the key-entry page, and returns its token.
func (w *world) link() (token string) {
	w.Helper()
	n := w.n.Add(1)
	channel := fmt.Sprint("CK", n)
	ctx, cancel := context.WithTimeout(w.Context(), timeout)
	defer cancel()
	ack, err := w.rig.Slack.Deliver(ctx, w.bot.HTTP(), w.rig.Slack.Slash(channel, "U1", "/livepush", fmt.Sprint("save dest", n)), 0)
	require.NoError(w, err)
	require.Equal(w, http.StatusOK, ack.Status)
	require.Eventually(w, func() bool {
		for _, m := range w.rig.Slack.Messages() {
			if m.Channel == channel {
				if found := linkPattern.FindStringSubmatch(string(m.Blocks) + m.Text); found != nil {
					token = found[1]
				}
			}
		}
		return token != ""
	}, 2*time.Minute, 20*time.Millisecond, "a link is given")
	return token
}

// page tries a link that works, with everything but what its own form sends.
func (w *world) page(r *mrand.Rand, token string) {
	get := request(http.MethodGet, w.base+"/k/"+token, nil)
	get.Header.Set("Accept-Language", texts[0]+"zh")
	if code := w.send(get); code != http.StatusOK {
		w.Errorf("a link that works is answered %d", code)
	}
	form := url.Values{"key": {typed}, "name": {"x"}, "url": {"rtmp://a.example/app"}, "preset": {"other"}, "form": {rand.Text()}}
	post := request(http.MethodPost, w.base+"/k/"+token, Form(r, []byte(form.Encode())))
	post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if code := w.send(post); code == http.StatusOK {
		w.Errorf("a form that the page has not served is taken")
	}
}

var hidden = regexp.MustCompile(`name="form" value="([^"]+)"`)

// submit enters a key as a person does.
func (w *world) submit(token string) {
	w.Helper()
	resp, err := w.client.Get(w.base + "/k/" + token)
	require.NoError(w, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(w, err)
	require.NoError(w, resp.Body.Close())
	found := hidden.FindSubmatch(body)
	require.NotNil(w, found, "%s", body)
	form := url.Values{"key": {typed + "-key"}, "name": {"home"}, "url": {"rtmp://a.example/app"}, "preset": {"other"}, "form": {string(found[1])}}
	post := request(http.MethodPost, w.base+"/k/"+token, []byte(form.Encode()))
	post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	post.Header.Set("Origin", w.base)
	assert.Equal(w, http.StatusOK, w.send(post))
}

// TestAThousandConnections: with a mebibyte each, of a sender who is nobody, and of one whose
// headers look right. The bot stays under the memory that deploy/ gives it, and answers.
func TestAThousandConnections(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory is read from /proc")
	}
	w := newWorld(t, rig.Options{DiscordHTTP: true})
	address := strings.TrimPrefix(w.base, "http://")
	body := bytes.Repeat([]byte("a"), 1<<20-1)
	for name, headers := range map[string]func() string{
		"NobodysHeaders": func() string { return "X-Slack-Signature: v0=00\r\nX-Slack-Request-Timestamp: 1\r\n" },
		"RightInShape": func() string {
			return "X-Slack-Signature: v0=" + strings.Repeat("0", 64) + "\r\nX-Slack-Request-Timestamp: " + strconv.FormatInt(time.Now().Unix(), 10) + "\r\n"
		},
		"Holders": func() string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			var open []net.Conn
			defer func() {
				for _, c := range open {
					_ = c.Close()
				}
			}()
			var sending sync.WaitGroup
			for range 1000 {
				c, err := net.DialTimeout("tcp", address, timeout)
				if err != nil {
					continue // refused: as good
				}
				open = append(open, c)
				sending.Go(func() {
					_ = c.SetDeadline(time.Now().Add(timeout))
					if h := headers(); h == "" {
						_, _ = c.Write([]byte("GET /k/x HTTP/1.1\r\nHost: x\r\n\r\n")) // and then idle
					} else if _, err := c.Write([]byte("POST /slack/commands HTTP/1.1\r\nHost: x\r\n" + h + "Content-Length: 1048576\r\n\r\n")); err == nil {
						_, _ = c.Write(body)
					}
				})
			}
			for range 20 { // meanwhile
				ack, err := w.rig.Slack.Deliver(t.Context(), w.bot.HTTP(), w.rig.Slack.Slash("C1", "U1", "/meet", "help"), 0)
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, ack.Status)
			}
			sending.Wait()
			assert.Less(t, w.memory(), limit)
		})
	}
	w.real("slack")
	w.holds()
}
