package sandbox_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/meeting/sandbox"
)

type object = map[string]any

// epoch is noon of a day in Beijing, so that a test's hours stay within the day.
var epoch = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: epoch} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// peer is a client of the test's own: nothing in it is the sandbox's code.
type peer struct {
	t     *testing.T
	s     *sandbox.Server
	clock *clock
	http  *http.Client
}

func start(t *testing.T, cfg sandbox.Config) peer {
	t.Helper()
	c := newClock()
	if cfg.Now == nil {
		cfg.Now = c.Now
	}
	s, err := sandbox.Start(t.Context(), "127.0.0.1:0", cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return peer{t: t, s: s, clock: c, http: &http.Client{
		Transport:     transport,
		Timeout:       20 * time.Second, // only against hangs
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (p peer) do(req *http.Request) (*http.Response, []byte, error) {
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func (p peer) request(method, target, contentType string, body []byte) *http.Request {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, target, bytes.NewReader(body))
	require.NoError(p.t, err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return req
}

// form adds the credentials to name-value pairs.
func (p peer) form(pairs ...string) url.Values {
	cfg := p.s.Config()
	form := url.Values{"api_key": {cfg.SystecKey}, "api_secret": {cfg.SystecSecret.Reveal()}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

func (p peer) systecRequest(op string, form url.Values) *http.Request {
	return p.request(http.MethodPost, p.s.SystecURL()+op, "application/x-www-form-urlencoded", []byte(form.Encode()))
}

// systec calls and returns the answer, whatever it says.
func (p peer) systec(op string, pairs ...string) object {
	p.t.Helper()
	_, body, err := p.do(p.systecRequest(op, p.form(pairs...)))
	require.NoError(p.t, err)
	var answer object
	require.NoError(p.t, json.Unmarshal(body, &answer), "%s", body)
	return answer
}

// instant makes a SYSTEC meeting and returns the answer's data.
func (p peer) instant(pairs ...string) object {
	p.t.Helper()
	answer := p.systec("/share/instant", append([]string{"topic", "周会", "meeting_capacity", "25"}, pairs...)...)
	require.EqualValues(p.t, 200, answer["status"], "%v", answer)
	return answer["data"].(object)
}

var nonce atomic.Uint64

// sign computes the signature again, from the prose: the HMAC's hex digits in base64.
func sign(secret, method, key, nonce, timestamp, uri string, body []byte) string {
	h := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(h, "%s\nX-TC-Key=%s&X-TC-Nonce=%s&X-TC-Timestamp=%s\n%s\n%s", method, key, nonce, timestamp, uri, body)
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%x", h.Sum(nil)))
}

func (p peer) tencentRequest(method, uri string, body []byte) *http.Request {
	p.t.Helper()
	cfg := p.s.Config()
	req := p.request(method, p.s.TencentURL()+uri, "application/json", body)
	n, ts := strconv.FormatUint(nonce.Add(1), 10), strconv.FormatInt(cfg.Now().Unix(), 10)
	req.Header["X-TC-Key"] = []string{cfg.TencentSecretID}
	req.Header["X-TC-Nonce"] = []string{n}
	req.Header["X-TC-Timestamp"] = []string{ts}
	req.Header["X-TC-Signature"] = []string{sign(cfg.TencentSecretKey.Reveal(), method, cfg.TencentSecretID, n, ts, uri, body)}
	req.Header["X-TC-Registered"] = []string{"1"}
	req.Header["AppId"] = []string{cfg.TencentAppID}
	if cfg.TencentSDKID != "" {
		req.Header["SdkId"] = []string{cfg.TencentSDKID}
	}
	return req
}

// send performs a Tencent request and returns HTTP status and decoded body, nil if empty.
func (p peer) send(req *http.Request) (int, object) {
	p.t.Helper()
	resp, body, err := p.do(req)
	require.NoError(p.t, err)
	assert.NotEmpty(p.t, resp.Header.Get("X-TC-Trace"))
	if len(body) == 0 {
		return resp.StatusCode, nil
	}
	var answer object
	require.NoError(p.t, json.Unmarshal(body, &answer), "%s", body)
	return resp.StatusCode, answer
}

func (p peer) tencent(method, uri string, body any) (int, object) {
	p.t.Helper()
	var b []byte
	if body != nil {
		var err error
		b, err = json.Marshal(body)
		require.NoError(p.t, err)
	}
	return p.send(p.tencentRequest(method, uri, b))
}

// code is the error_code of an answer, zero for none.
func code(answer object) int {
	info, _ := answer["error_info"].(object)
	n, _ := info["error_code"].(float64)
	return int(n)
}

func createBody(p peer) object {
	now := p.clock.Now().Unix()
	return object{
		"userid": sandbox.DefaultUser, "instanceid": 1, "subject": "作战室", "type": 1,
		"start_time": strconv.FormatInt(now, 10), "end_time": strconv.FormatInt(now+3600, 10),
	}
}

// create makes a Tencent meeting from createBody with changes, and returns its info.
func (p peer) create(changes object) object {
	p.t.Helper()
	body := createBody(p)
	for k, v := range changes {
		body[k] = v
	}
	status, answer := p.tencent(http.MethodPost, "/v1/meetings", body)
	require.Equal(p.t, http.StatusOK, status, "%v", answer)
	return answer["meeting_info_list"].([]any)[0].(object)
}

func TestStartListensOnLoopbackOnly(t *testing.T) {
	for _, addr := range []string{":0", "0.0.0.0:0", "192.0.2.1:0", "example.com:0", "127.0.0.1"} {
		_, err := sandbox.Start(t.Context(), addr, sandbox.Config{})
		require.Error(t, err, addr)
	}
}

func TestZeroConfigHasItsOwnRandomCredentials(t *testing.T) {
	a, b := sandbox.New(sandbox.Config{}).Config(), sandbox.New(sandbox.Config{}).Config()
	assert.NotEmpty(t, a.SystecSecret.Reveal())
	assert.NotEqual(t, a.SystecSecret.Reveal(), b.SystecSecret.Reveal())
	assert.NotEqual(t, a.TencentSecretKey.Reveal(), b.TencentSecretKey.Reveal())
	assert.Equal(t, sandbox.DefaultUser, a.Users[0].ID)
	for _, secret := range []string{a.SystecSecret.Reveal(), a.TencentSecretKey.Reveal()} {
		assert.NotContains(t, fmt.Sprintf("%+v %#v", a, a), secret)
	}
}

func TestCloseEndsListening(t *testing.T) {
	p := start(t, sandbox.Config{})
	addr := p.s.TencentURL()[len("http://"):]
	require.NoError(t, p.s.Close())
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		_ = conn.Close()
	}
	require.Error(t, err)
	require.NoError(t, p.s.Close(), "twice is fine")
}

func TestTheContextEndsListening(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := sandbox.Start(ctx, "127.0.0.1:0", sandbox.Config{})
	require.NoError(t, err)
	cancel()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", s.TencentURL()[len("http://"):])
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, 10*time.Second, time.Millisecond)
	require.NoError(t, s.Close())
}

func TestBodiesAreBounded(t *testing.T) {
	p := start(t, sandbox.Config{})
	resp, _, err := p.do(p.systecRequest("/share/instant", p.form("topic", string(make([]byte, 1<<20)))))
	if err == nil { // the server may also have closed the connection under the upload
		assert.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
	}
	assert.Empty(t, p.s.Meetings())
}

func TestConcurrentUse(t *testing.T) {
	p := start(t, sandbox.Config{Quirks: sandbox.Quirks{CallsPerMinute: -1}})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 5 {
				form := p.form("topic", "t", "meeting_capacity", "25", "user_key", strconv.Itoa(i))
				_, _, err := p.do(p.systecRequest("/share/instant", form))
				assert.NoError(t, err)
				for _, m := range p.s.Meetings() {
					_ = p.s.Join(m.ID, "u")
				}
				p.s.SetQuirks(sandbox.Quirks{CallsPerMinute: -1, SystecSwapNumbers: i%2 == 0})
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 40, p.s.Created("t"))
	assert.Equal(t, 5, p.s.Created("3"))
	assert.Equal(t, 40, p.s.Calls(sandbox.SystecInstant))
}

func TestDateHeaderIsOfTheServersClock(t *testing.T) {
	p := start(t, sandbox.Config{})
	p.clock.Advance(time.Hour)
	resp, _, err := p.do(p.systecRequest("/licensing", p.form()))
	require.NoError(t, err)
	assert.Equal(t, epoch.Add(time.Hour).Format(http.TimeFormat), resp.Header.Get("Date"))
}
