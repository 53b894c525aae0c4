package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"meetbot/config/secret"
)

// Tencent Meeting's webhooks, from https://cloud.tencent.com/document/product/1095/51608
// (verification), /51612 (signature), /54658 (encryption) and the pages of the events; and
// Zoom's, from https://developers.zoom.us/docs/api/webhooks/.

const (
	// checkTimeout is how long the callback has to answer a check_str.
	checkTimeout = 3 * time.Second
	// eventTimeout is how long it has to answer an event.
	eventTimeout = 5 * time.Second
	// eventAnswer is the only answer that stops an event from being repeated.
	eventAnswer = "successfully received callback"
)

// repeatAfter is when an event is repeated that was not answered as it has to be, each time
// from the attempt before.
var repeatAfter = map[Provider][]time.Duration{
	Tencent: {time.Minute, 3 * time.Minute, 6 * time.Minute},
	Zoom:    {5 * time.Minute, 20 * time.Minute, time.Hour},
}

// Webhook is where a provider's events are sent. An empty URL sends none.
type Webhook struct {
	Provider Provider // empty for [Tencent]
	URL      string
	Token    secret.String
	// AESKey is Tencent Meeting's EncodingAESKey, 43 characters; empty sends events unencrypted.
	AESKey secret.String
	// RepeatAfter is when an event is repeated that was not answered with HTTP 200 and, by
	// Tencent Meeting's, the documented words, on the real clock, each from the attempt
	// before. Nil: as documented; empty: never.
	RepeatAfter []time.Duration
}

func (to Webhook) provider() Provider { return cmp.Or(to.Provider, Tencent) }

// Delivery is an event that was sent, and how that went.
type Delivery struct {
	Provider Provider
	Event    string
	TraceID  string
	Payload  json.RawMessage // the event as JSON, before encryption
	Attempt  int             // 0 is the first
	Status   int             // of the answer; zero if there was none
	Err      error

	timestamp, nonce string // of the signature
}

// webhookQueue sends events one after another, in the order they happened. The
// Server's mutex guards it.
type webhookQueue struct {
	to      map[Provider]Webhook
	pending []Delivery
	done    []Delivery
	idle    chan struct{} // closed once nothing is pending; nil: nothing is
}

// SetWebhook changes where a provider's events are sent from now on.
func (s *Server) SetWebhook(to Webhook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.webhook.to[to.provider()] = to
}

// Deliveries returns the events sent so far, oldest first.
func (s *Server) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.webhook.done)
}

// WaitWebhooks returns once all events so far are sent.
func (s *Server) WaitWebhooks(ctx context.Context) error {
	s.mu.Lock()
	idle := s.webhook.idle
	s.mu.Unlock()
	if idle == nil {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Redeliver sends an event again as it was, under its trace_id, signed as
// [Quirks.WebhookSignedOnce] says.
func (s *Server) Redeliver(d Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repeat(d)
}

// VerifyWebhook asks the callbacks to prove themselves, as the providers do when a URL
// is saved.
func (s *Server) VerifyWebhook(ctx context.Context) error {
	s.mu.Lock()
	all := maps.Clone(s.webhook.to)
	s.mu.Unlock()
	for p, to := range all {
		verify := s.verifyTencent
		if p == Zoom {
			verify = s.verifyZoom
		}
		if to.URL == "" {
			continue
		}
		if err := verify(ctx, to); err != nil {
			return err
		}
	}
	return nil
}

// verifyZoom sends an event with a plainToken, to be answered with it and its HMAC.
func (s *Server) verifyZoom(ctx context.Context, to Webhook) error {
	plain := "plain-" + randomHex(12)
	body, err := json.Marshal(object{"event": "endpoint.url_validation", "event_ts": s.now().UnixMilli(), "payload": object{"plainToken": plain}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	status, answer, err := s.sendZoom(req, to, body, strconv.FormatInt(s.now().Unix(), 10))
	if err != nil {
		return err
	}
	var got struct{ PlainToken, EncryptedToken string }
	mac := hmac.New(sha256.New, []byte(to.Token.Reveal()))
	mac.Write([]byte(plain))
	if status != http.StatusOK || json.Unmarshal(answer, &got) != nil || got.PlainToken != plain || got.EncryptedToken != hex.EncodeToString(mac.Sum(nil)) {
		return fmt.Errorf("webhook validation: answer %d of %d bytes does not prove anything", status, len(answer))
	}
	return nil
}

// sendZoom signs and sends an event. The callback may not redirect.
func (s *Server) sendZoom(req *http.Request, to Webhook, body []byte, timestamp string) (int, []byte, error) {
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Zm-Request-Timestamp", timestamp)
	req.Header.Set("X-Zm-Signature", signZoom(to.Token.Reveal(), timestamp, body))
	return exchange(req, checkTimeout)
}

// verifyTencent sends a check_str, to be answered by its plain text and nothing else.
func (s *Server) verifyTencent(ctx context.Context, to Webhook) error {
	plain := "check-" + randomHex(12)
	data, err := to.seal([]byte(plain), true)
	if err != nil {
		return err
	}
	u, err := url.Parse(to.URL)
	if err != nil {
		return fmt.Errorf("webhook URL: %w", err)
	}
	query := u.Query()
	query.Set("check_str", data)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return err
	}
	status, body, err := s.sendWebhook(req, to, data, strconv.FormatInt(s.now().UnixMilli(), 10), newNonce(), checkTimeout)
	if err != nil {
		return err
	}
	if status != http.StatusOK || string(body) != plain {
		return fmt.Errorf("webhook verification: answer %d of %d bytes is not the plain check_str", status, len(body))
	}
	return nil
}

// notify queues an event of a meeting. It is called with s.mu held.
func (s *Server) notify(r *record, event, operator string, extra object) {
	if s.webhook.to[r.Provider].URL == "" {
		return
	}
	if r.Provider == Zoom {
		name, body := s.zoomEvent(r, event, operator)
		s.enqueue(Delivery{Provider: Zoom, Event: name, TraceID: randomHex(16), Payload: body})
		return
	}
	person := func(id string) object {
		return object{
			"userid": id, "uuid": "uuid-" + id, "user_name": id, "instance_id": "1", "ms_open_id": "ms-" + id,
		}
	}
	hosts := []object{}
	for _, h := range r.Hosts {
		hosts = append(hosts, person(h))
	}
	mode := 0
	if r.quick {
		mode = 1
	}
	entry := object{
		"operate_time": s.now().UnixMilli(), // ms, while the meeting's times are seconds
		"operator":     person(operator),
		"meeting_info": object{
			"meeting_id": r.ID, "meeting_code": r.Code, "subject": r.Topic, "creator": person(r.Creator), "hosts": hosts,
			"meeting_type": 0, "start_time": r.Start.Unix(), "end_time": r.End.Unix(), "meeting_create_mode": mode, "meeting_create_from": 6,
		},
	}
	maps.Copy(entry, extra)
	trace := randomHex(16)
	payload, err := json.Marshal(object{"event": event, "trace_id": trace, "payload": []object{entry}})
	if err != nil {
		panic(err) // strings and integers only
	}
	s.enqueue(Delivery{Provider: r.Provider, Event: event, TraceID: trace, Payload: payload})
}

// repeat queues an event once more. It is called with s.mu held.
func (s *Server) repeat(d Delivery) {
	again := Delivery{Provider: d.Provider, Event: d.Event, TraceID: d.TraceID, Payload: d.Payload, Attempt: d.Attempt + 1}
	if s.cfg.Quirks.WebhookSignedOnce {
		again.timestamp, again.nonce = d.timestamp, d.nonce
	}
	s.enqueue(again)
}

func (s *Server) enqueue(d Delivery) {
	if s.ctx.Err() != nil {
		return
	}
	s.webhook.pending = append(s.webhook.pending, d)
	if s.webhook.idle == nil {
		s.webhook.idle = make(chan struct{})
		go s.sendPending()
	}
}

func (s *Server) sendPending() {
	for {
		s.mu.Lock()
		if len(s.webhook.pending) == 0 || s.ctx.Err() != nil {
			close(s.webhook.idle)
			s.webhook.idle = nil
			s.mu.Unlock()
			return
		}
		d, padded := s.webhook.pending[0], s.cfg.Quirks.WebhookPadded
		to := s.webhook.to[d.Provider]
		s.webhook.pending = s.webhook.pending[1:]
		s.mu.Unlock()

		if d.timestamp == "" {
			d.timestamp, d.nonce = strconv.FormatInt(s.now().UnixMilli(), 10), newNonce()
			if d.Provider == Zoom {
				d.timestamp = strconv.FormatInt(s.now().Unix(), 10)
			}
		}
		d.Status, d.Err = s.post(to, d, padded)
		s.mu.Lock()
		s.webhook.done = append(s.webhook.done, d)
		s.mu.Unlock()
		if d.Err != nil {
			s.repeatLater(to, d)
		}
	}
}

// repeatLater has a failed delivery repeated when its time comes, unless it was the last.
func (s *Server) repeatLater(to Webhook, d Delivery) {
	after := to.RepeatAfter
	if after == nil {
		after = repeatAfter[d.Provider]
	}
	if d.Attempt >= len(after) {
		return
	}
	timer := time.AfterFunc(after[d.Attempt], func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.repeat(d)
	})
	context.AfterFunc(s.ctx, func() { timer.Stop() })
}

func (s *Server) post(to Webhook, d Delivery, padded bool) (int, error) {
	if d.Provider == Zoom {
		req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, to.URL, bytes.NewReader(d.Payload))
		if err != nil {
			return 0, err
		}
		status, _, err := s.sendZoom(req, to, d.Payload, d.timestamp)
		if err == nil && status != http.StatusOK && status != http.StatusNoContent {
			err = fmt.Errorf("webhook answered %d", status)
		}
		return status, err
	}
	data, err := to.seal(d.Payload, padded)
	if err != nil {
		return 0, err
	}
	body, err := json.Marshal(object{"data": data})
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, to.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	status, answer, err := s.sendWebhook(req, to, data, d.timestamp, d.nonce, eventTimeout)
	if err == nil && (status != http.StatusOK || string(answer) != eventAnswer) {
		err = fmt.Errorf("webhook answered %d and %d bytes", status, len(answer))
	}
	return status, err
}

// sendWebhook signs and sends. The callback may not redirect.
func (s *Server) sendWebhook(req *http.Request, to Webhook, data, timestamp, nonce string, timeout time.Duration) (int, []byte, error) {
	// The names are lower case on the wire, as the document has them.
	req.Header["timestamp"] = []string{timestamp}
	req.Header["nonce"] = []string{nonce}
	req.Header["signature"] = []string{signWebhook(to.Token.Reveal(), timestamp, nonce, data)}
	return exchange(req, timeout)
}

func exchange(req *http.Request, timeout time.Duration) (int, []byte, error) {
	client := &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return resp.StatusCode, body, err
}

// signWebhook is the SHA-1 of the four values, sorted and joined.
func signWebhook(token, timestamp, nonce, data string) string {
	values := []string{token, timestamp, nonce, data}
	slices.Sort(values)
	sum := sha1.Sum([]byte(strings.Join(values, "")))
	return hex.EncodeToString(sum[:])
}

// seal encodes data for the wire: base64, of AES-256-CBC with a key.
func (to Webhook) seal(plain []byte, padded bool) (string, error) {
	if to.AESKey.IsZero() {
		if padded {
			return base64.StdEncoding.EncodeToString(plain), nil
		}
		return base64.RawStdEncoding.EncodeToString(plain), nil
	}
	key, err := base64.StdEncoding.DecodeString(to.AESKey.Reveal() + "=")
	if err != nil || len(key) != 32 {
		return "", errors.New("webhook AES key: not 43 characters of base64")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	fill := aes.BlockSize - len(plain)%aes.BlockSize
	buf := append(slices.Clone(plain), bytes.Repeat([]byte{byte(fill)}, fill)...)
	cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(buf, buf)
	return base64.StdEncoding.EncodeToString(buf), nil
}

// newNonce returns a random number of eight digits.
func newNonce() string {
	n, err := rand.Int(rand.Reader, big.NewInt(9e7))
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	return strconv.FormatInt(1e7+n.Int64(), 10)
}
