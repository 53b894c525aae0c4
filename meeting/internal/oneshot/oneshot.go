// Package oneshot sends one HTTP request to a provider, once, and says what can be
// said about it afterwards.
//
// No provider can tell a repeated wish from a new one, so the question that
// matters when no answer comes is whether the request may have arrived. A request that
// changes something is sent on a connection of its own with a body that cannot be
// rewound, which keeps net/http from sending it a second time by itself; and it counts
// as sent from the moment it has a connection.
//
// No redirect is followed: credentials travel in the body or in a signature over the
// path, and no API documents one.
package oneshot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"meetbot/config/clock"
	"meetbot/meeting"
)

// MaxBody is how much of an answer is read. More is an answer that cannot be used.
const MaxBody = 1 << 20

// DefaultTimeout bounds a call from its start to the last byte of its answer.
const DefaultTimeout = 15 * time.Second

// Client sends requests to one provider. It is safe for concurrent use.
type Client struct {
	provider      meeting.Provider
	base          *url.URL
	reads, writes *http.Client
	timeout       time.Duration
	clock         *clock.Theirs
}

// Clock is the provider's, as far as its answers tell.
func (c *Client) Clock() *clock.Theirs { return c.clock }

// JSON encodes the body of a request, a plain struct of strings and numbers. Stream keys are
// full of &, which stays as it is.
func JSON(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("request body: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Printable reports whether s is ASCII that may stand in a header, without blanks. An empty
// text is.
func Printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// New checks base, which must be https, or http to a loopback address. It sends nothing.
// A nil hc means a client like [http.DefaultClient]; hc itself is not changed. A timeout
// of zero means [DefaultTimeout].
func New(p meeting.Provider, base string, hc *http.Client, timeout time.Duration) (*Client, error) {
	u, err := parseBase(base)
	if err != nil {
		return nil, err
	}
	if timeout < 0 {
		return nil, errors.New("timeout: must not be negative")
	}
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	if hc == nil {
		hc = &http.Client{}
	}
	reads, writes := *hc, *hc
	rt := hc.Transport
	if rt == nil {
		rt = http.DefaultTransport
	}
	// Any other RoundTripper is used as it is.
	if t, ok := rt.(*http.Transport); ok {
		own := t.Clone()
		own.DisableKeepAlives = true
		writes.Transport = own
	}
	for _, c := range []*http.Client{&reads, &writes} {
		c.Jar = nil
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return &Client{provider: p, base: u, reads: &reads, writes: &writes, timeout: timeout, clock: clock.New(nil)}, nil
}

func parseBase(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return nil, errors.New("base URL: cannot be parsed") // err quotes it, perhaps with a password
	case u.Host == "" || u.Hostname() == "":
		return nil, errors.New("base URL: has no host")
	case u.User != nil:
		return nil, errors.New("base URL: must not hold a user name or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("base URL: must not have a query or a fragment")
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(u.Hostname()):
	default:
		return nil, errors.New("base URL: must be https (plain http is for loopback addresses only)")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Request is one call.
type Request struct {
	Op     string // for errors: method and path template
	Method string
	Path   string // below the base URL, starting with a slash, its segments already safe
	Query  url.Values
	Header http.Header // keys are sent as spelled
	Body   []byte
	// Mutates says that the call changes something, so that it must not be repeated when
	// its outcome is not known.
	Mutates bool
	// Sign, if set, adds headers computed over what will be sent: the method, the path
	// with its query as on the wire, and the body.
	Sign func(h http.Header, method, uri string, body []byte)
}

// Answer is what came back, whatever its status.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Date returns the provider's clock, or zero if it did not send one.
func (a Answer) Date() time.Time {
	t, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t
}

// Do sends r once. Its error is a [*meeting.APIError] with [meeting.ErrUnavailable] if
// nothing can have been changed, else [meeting.ErrOutcomeUnknown].
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	// Set by the transport's goroutine. Either sign is enough: a RoundTripper that does
	// not know traces still has to read the body.
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	fail := func(status int, cause error) error {
		err := &meeting.APIError{Provider: c.provider, Op: r.Op, Status: status, Err: meeting.ErrUnavailable, Cause: safeCause(cause)}
		if r.Mutates && sent.Load() {
			err.Err = meeting.ErrOutcomeUnknown
		}
		return err
	}

	u := *c.base
	u.Path, u.RawPath = c.base.Path+r.Path, ""
	u.RawQuery = r.Query.Encode()
	req := &http.Request{
		Method: r.Method, URL: &u, Host: u.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.Header.Clone(),
	}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header["User-Agent"] = []string{"meetbot"}
	if len(r.Body) > 0 {
		req.ContentLength = int64(len(r.Body))
		req.Body = &watchedBody{Reader: bytes.NewReader(r.Body), read: &sent}
		if !r.Mutates {
			// A read that met a connection just closed for idleness goes out again. The
			// empty list tells net/http so and is not sent.
			req.Header["Idempotency-Key"] = nil
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
		}
	}
	if r.Sign != nil {
		r.Sign(req.Header, req.Method, u.RequestURI(), r.Body)
	}

	hc := c.reads
	if r.Mutates {
		hc = c.writes
	}
	asked := time.Now()
	res, err := hc.Do(req.WithContext(ctx))
	if err != nil {
		return Answer{}, fail(0, err)
	}
	c.clock.Saw(res.Header, asked, time.Now())
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, MaxBody+1))
	if err != nil {
		return Answer{Status: res.StatusCode, Header: res.Header}, fail(res.StatusCode, err)
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: body}, nil
}

// watchedBody notes that its content has begun to leave.
type watchedBody struct {
	io.Reader
	read *atomic.Bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	return b.Reader.Read(p)
}

func (*watchedBody) Close() error { return nil }

// Unusable is the error for an answer that is not in the provider's documented form: a
// proxy's page, a gateway's own error, a cut-off body. What stands between may answer with
// any status after the provider has done its work, so that a call that changes something
// is open. For one that only reads the HTTP status tells what to do about it.
func (c *Client) Unusable(r Request, a Answer) *meeting.APIError {
	e := c.Err(r, a)
	e.Reason = meeting.ReasonAnswer
	switch {
	case r.Mutates:
		e.Err = meeting.ErrOutcomeUnknown
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden:
		e.Err, e.Reason = meeting.ErrCredentials, meeting.ReasonNone
	case a.Status == http.StatusTooManyRequests:
		e.Err, e.Reason = meeting.ErrRateLimited, meeting.ReasonNone
	default:
		e.Err = meeting.ErrUnavailable
	}
	return e
}

// Err is an error about a that lacks its kind.
func (c *Client) Err(r Request, a Answer) *meeting.APIError {
	return &meeting.APIError{Provider: c.provider, Op: r.Op, Status: a.Status, RetryAfter: retryAfter(a)}
}

// Refuse is the error for a call that was not made, since field cannot be sent.
func (c *Client) Refuse(op string, reason meeting.Reason, field string) error {
	return &meeting.APIError{Provider: c.provider, Op: op, Err: meeting.ErrInvalid, Reason: reason, Field: field}
}

// Decode reads a as JSON into v. It goes by what was sent, not by what it was called:
// providers and proxies label JSON as text/plain and text/html. A body that was longer than
// [MaxBody] is not read.
func (a Answer) Decode(v any) error {
	if len(a.Body) > MaxBody {
		return errors.New("answer: too long")
	}
	return json.Unmarshal(bytes.TrimPrefix(a.Body, byteOrderMark), v)
}

// byteOrderMark begins the texts of some servers, and is no JSON.
var byteOrderMark = []byte("\xef\xbb\xbf")

// maxRetryAfter bounds what is believed of a Retry-After.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads the header in both of its forms, and in a third that Zoom has; a date is
// taken relative to the provider's own clock.
func retryAfter(a Answer) time.Duration {
	v := strings.TrimSpace(a.Header.Get("Retry-After"))
	if n, err := strconv.ParseUint(v, 10, 32); err == nil {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(v)
	if err != nil {
		at, err = time.Parse(time.RFC3339, v)
	}
	now := a.Date()
	if err != nil || now.IsZero() || !at.After(now) {
		return 0
	}
	return min(at.Sub(now), maxRetryAfter)
}

// safeCause keeps of err what helps an operator and cannot hold a URL, a credential, or
// bytes from the wire: net/http quotes malformed answers and proxy settings in its errors.
func safeCause(err error) error {
	for _, known := range []error{
		context.Canceled, context.DeadlineExceeded, io.ErrUnexpectedEOF, io.EOF,
		http.ErrSchemeMismatch, net.ErrClosed,
	} {
		if errors.Is(err, known) {
			return known
		}
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		if e.IsNotFound {
			return fmt.Errorf("look up %s: no such host", e.Name)
		}
		return fmt.Errorf("look up %s: no answer", e.Name)
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		inner := errors.New("failed")
		if e.Err != nil {
			inner = e.Err
		}
		return fmt.Errorf("%s: %w", e.Op, inner)
	}
	if tlsFault(err) {
		return errors.New("TLS: the server's certificate or handshake was not accepted")
	}
	return errors.New("transport failed")
}
