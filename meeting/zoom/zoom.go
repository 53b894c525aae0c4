// Package zoom is a client for the Zoom API with a Server-to-Server OAuth application of the
// account's own, and a receiver of its events.
//
// A call failed if its status says so, and Zoom said it itself if the body has a code of
// Zoom's; any other answer may come from a proxy or a gateway, and leaves the outcome of a
// call that changes something open.
//
// The application may act on every meeting of the account, whoever asks. A call that is made
// for one of the account's users is therefore checked here: its host and its alternative
// hosts may, as they may in the client.
//
// API docs: https://developers.zoom.us/docs/api/meetings/
package zoom

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"meetbot/config/clock"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/internal/oneshot"
)

// Where Zoom serves the API, and tokens for it.
const (
	DefaultBaseURL  = "https://api.zoom.us/v2"
	DefaultOAuthURL = "https://zoom.us/oauth/token"
)

// Config is what a [Client] needs.
type Config struct {
	AccountID    string
	ClientID     string
	ClientSecret secret.String
	UserID       string        // hosts where a call names no account: an ID or an address
	Users        []string      // the others that calls will name; only checked
	BaseURL      string        // https, or http to loopback; empty for [DefaultBaseURL]
	OAuthURL     string        // where tokens are given out; empty for [DefaultOAuthURL]
	Timeout      time.Duration // of one call; zero for 15 seconds
	// HTTPClient is optional. Its redirect policy and cookies are not used.
	HTTPClient *http.Client
	Now        func() time.Time // optional: Zoom's clock as its answers tell it
}

// Client calls the API. It is safe for concurrent use. It tries every call once, but for one
// that Zoom refused for a token that had run out, which is certain to have done nothing.
type Client struct {
	cfg    Config
	http   *oneshot.Client
	oauth  *oneshot.Client
	tokens tokens
}

// New checks cfg. It sends nothing.
func New(cfg Config) (*Client, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = DefaultBaseURL
	}
	if cfg.OAuthURL == "" {
		cfg.OAuthURL = DefaultOAuthURL
	}
	api, err := oneshot.New(Kind.ID, cfg.BaseURL, cfg.HTTPClient, cfg.Timeout)
	if err == nil && cfg.Now == nil {
		cfg.Now = api.Clock().Now
	}
	var oauth *oneshot.Client
	if err == nil {
		oauth, err = oneshot.New(Kind.ID, cfg.OAuthURL, cfg.HTTPClient, cfg.Timeout)
	}
	switch {
	case err != nil:
	case !printable(cfg.AccountID):
		err = errors.New("account id: missing, or has characters that it cannot have")
	case !printable(cfg.ClientID) || strings.Contains(cfg.ClientID, ":"):
		err = errors.New("client id: missing, or has characters that it cannot have")
	case cfg.ClientSecret.IsZero():
		err = errors.New("client secret: missing")
	default:
		for _, id := range append([]string{cfg.UserID}, cfg.Users...) {
			if !validUser(id) {
				err = errors.New("user: must be the ID or the address of a user of the account")
			}
		}
	}
	if err != nil {
		return nil, errors.New("zoom: " + err.Error())
	}
	return &Client{cfg: cfg, http: api, oauth: oauth}, nil
}

// Clock is Zoom's, as far as its answers tell.
func (c *Client) Clock() *clock.Theirs { return c.http.Clock() }

// The operations, as errors name them.
const (
	opCreate  = "POST /users/{userId}/meetings"
	opList    = "GET /users/{userId}/meetings"
	opGet     = "GET /meetings/{id}"
	opDelete  = "DELETE /meetings/{id}"
	opEnd     = "PUT /meetings/{id}/status"
	opSetPush = "PATCH /meetings/{id}/livestream"
	opPushes  = "GET /meetings/{id}/livestream"
	opStatus  = "PATCH /meetings/{id}/livestream/status"
)

// request prepares a call of op, whose path is about a user or a meeting.
func (c *Client) request(op, about string, query url.Values, body any) oneshot.Request {
	method, path, _ := strings.Cut(op, " ")
	r := oneshot.Request{
		Op: op, Method: method, Query: query, Mutates: method != http.MethodGet,
		Path:   strings.NewReplacer("{userId}", about, "{id}", about).Replace(path),
		Header: http.Header{"Accept": {"application/json"}},
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
		r.Body = oneshot.JSON(body)
	}
	return r
}

// held are the secrets that no explanation may repeat, besides what was sent.
func (c *Client) held() []secret.String {
	return []secret.String{c.cfg.ClientSecret, secret.New(c.cfg.ClientID), secret.New(c.cfg.AccountID)}
}

// do sends r and decodes its answer into out, nil where a success has none.
func (c *Client) do(ctx context.Context, r oneshot.Request, out any) (oneshot.Answer, error) {
	token, err := c.token(ctx, secret.String{})
	if err != nil {
		return oneshot.Answer{}, named(err, r.Op)
	}
	a, err := c.try(ctx, r, token, out)
	if e, ok := errors.AsType[*meeting.APIError](err); !ok || e.Code != codeToken {
		return a, err
	}
	// The token has run out, by Zoom's word: nothing was done.
	if token, err = c.token(ctx, token); err != nil {
		return oneshot.Answer{}, named(err, r.Op)
	}
	return c.try(ctx, r, token, out)
}

// named says for which operation a token was wanted. The error may be others' as well.
func named(err error, op string) error {
	e, ok := errors.AsType[*meeting.APIError](err)
	if !ok {
		return err
	}
	own := *e
	own.Op = op + ": " + e.Op
	return &own
}

func (c *Client) try(ctx context.Context, r oneshot.Request, token secret.String, out any) (oneshot.Answer, error) {
	r.Header = r.Header.Clone()
	r.Header.Set("Authorization", "Bearer "+token.Reveal())
	a, err := c.http.Do(ctx, r)
	if err != nil {
		return a, err
	}
	empty := len(bytes.TrimSpace(a.Body)) == 0
	switch {
	case a.Status >= 200 && a.Status < 300 && out == nil && (empty || a.Decode(new(struct{})) == nil):
		return a, nil
	case (a.Status == http.StatusOK || a.Status == http.StatusCreated) && out != nil && !empty && a.Decode(out) == nil:
		return a, nil
	}
	var w wireError
	if empty || a.Decode(&w) != nil || !w.said(a.Status) {
		return a, c.http.Unusable(r, a)
	}
	e := c.http.Err(r, a)
	e.TraceID = traceID(a.Header)
	said := string(w.Message)
	for _, f := range w.Errors {
		said += " " + string(f.Field) + ": " + string(f.Message)
	}
	e.Message = r.Explanation(said, append(c.held(), token)...)
	w.classify(e, a.Header)
	return a, e
}

// account returns who hosts.
func (c *Client) account(account string) string {
	if account == "" {
		return c.cfg.UserID
	}
	return account
}

// refuseID returns an error if id cannot be a meeting's. It goes into the path.
func (c *Client) refuseID(op, id string) error {
	if isNumber(id) {
		return nil
	}
	return c.http.Refuse(op, meeting.ReasonField, "id")
}

// Create makes a meeting that starts now, with in.Account as its host: an instant one, which
// is gone once it has ended, or where in asks for a length or lets people join before the
// host, a scheduled one that begins now and can be entered again for 30 days unless
// [Client.End] ends it.
//
// It returns [meeting.ErrInvalid] with the field's name, before anything is sent, for
// what Zoom's documented limits forbid or what it has no parameter for. After
// [meeting.ErrOutcomeUnknown] the meeting is found only if Zoom lists it: see [Client.List].
//
// API docs: https://developers.zoom.us/docs/api/meetings/#tag/meetings/POST/users/{userId}/meetings
func (c *Client) Create(ctx context.Context, in meeting.Instant) (meeting.Meeting, error) {
	if scheduled(in) {
		if in.Duration == 0 {
			in.Duration = defaultDuration
		}
		if in.Start.IsZero() {
			in.Start = c.cfg.Now().Truncate(time.Second)
		}
	}
	if reason, field := check(in); field != "" {
		return meeting.Meeting{}, c.http.Refuse(opCreate, reason, field)
	}
	host := c.account(in.Account)
	m, _, _, err := c.one(ctx, c.request(opCreate, host, nil, newMeeting(in)))
	if err != nil {
		return meeting.Meeting{}, err
	}
	if m.State == meeting.StateUnknown {
		m.State = meeting.StateReady
	}
	if m.Topic == "" {
		m.Topic = in.Topic
	}
	if m.Start.IsZero() {
		m.Start = c.cfg.Now()
	}
	m.Creator = host
	return m, nil
}

// one sends r, whose answer is a meeting.
func (c *Client) one(ctx context.Context, r oneshot.Request) (m meeting.Meeting, w wireMeeting, a oneshot.Answer, err error) {
	a, err = c.do(ctx, r, &w)
	if err != nil {
		return m, w, a, err
	}
	m, ok := w.meeting()
	if !ok {
		return m, w, a, c.http.Unusable(r, a)
	}
	return m, w, a, nil
}

// Get returns the meeting with the given number. For an account other than none it has to be
// a host's or an alternative host's: else Zoom's answer is [meeting.ErrNotFound].
//
// It returns [meeting.ErrNotFound] also for one that is over.
//
// API docs: https://developers.zoom.us/docs/api/meetings/#tag/meetings/GET/meetings/{meetingId}
func (c *Client) Get(ctx context.Context, account, id string) (meeting.Meeting, error) {
	m, _, err := c.get(ctx, account, id)
	return m, err
}

func (c *Client) get(ctx context.Context, account, id string) (meeting.Meeting, wireMeeting, error) {
	if err := c.refuseID(opGet, id); err != nil {
		return meeting.Meeting{}, wireMeeting{}, err
	}
	r := c.request(opGet, id, nil, nil)
	m, w, a, err := c.one(ctx, r)
	if err != nil {
		return meeting.Meeting{}, w, err
	}
	if account != "" && !slices.ContainsFunc(m.Hosts, func(h string) bool { return strings.EqualFold(h, account) }) {
		e := c.http.Err(r, a)
		e.Err, e.Reason = meeting.ErrNotPermitted, meeting.ReasonNotHost
		return meeting.Meeting{}, w, e
	}
	return m, w, nil
}

// ByCode returns the meeting with the number that people type to join.
func (c *Client) ByCode(ctx context.Context, account, code string) (meeting.Meeting, error) {
	return c.Get(ctx, account, code)
}

// may reports whether the account may act on a meeting. Nobody but a host or an alternative
// host may, and the bot for an administrator, who names no account.
func (c *Client) may(ctx context.Context, op, account, id string) error {
	if err := c.refuseID(op, id); err != nil || account == "" {
		return err
	}
	_, err := c.Get(ctx, account, id)
	return err
}

const maxPages = 10 // of 300 meetings

// List returns the account's meetings that run, and those that are scheduled. If there are
// more than 3,000 it returns the first of them together with [meeting.ErrLimit].
//
// Of instant meetings it may say nothing: "This API only supports scheduled meetings". That
// one is not among them is therefore no word on it. With a userKey only those are returned
// whose agenda it is.
//
// API docs: https://developers.zoom.us/docs/api/meetings/#tag/meetings/GET/users/{userId}/meetings
func (c *Client) List(ctx context.Context, account, userKey string) ([]meeting.Meeting, error) {
	var out []meeting.Meeting
	seen := map[string]bool{}
	for _, which := range []string{"live", "scheduled"} {
		page := ""
		for n := range maxPages + 1 {
			if n == maxPages {
				return out, &meeting.APIError{Provider: Kind.ID, Op: opList, Err: meeting.ErrLimit}
			}
			q := url.Values{"type": {which}, "page_size": {"300"}}
			if page != "" {
				q.Set("next_page_token", page)
			}
			r := c.request(opList, c.account(account), q, nil)
			var w wireList
			a, err := c.do(ctx, r, &w)
			if err != nil {
				return nil, err
			}
			for _, wm := range w.Meetings {
				m, ok := wm.meeting()
				if !ok { // skipping it would let a caller conclude that it does not exist
					return nil, c.http.Unusable(r, a)
				}
				if which == "live" && m.State == meeting.StateUnknown {
					m.State = meeting.StateRunning
				}
				if !seen[m.Ref.ID] && (userKey == "" || m.UserKey == userKey) {
					seen[m.Ref.ID] = true
					out = append(out, m)
				}
			}
			next := string(w.NextPage)
			if next == "" {
				break
			}
			if next == page {
				return nil, c.http.Unusable(r, a) // more, but no way to it
			}
			page = next
		}
	}
	return out, nil
}

// StartURL returns a fresh start link, which lets any holder start the meeting as its host
// for two hours.
//
// API docs: https://developers.zoom.us/docs/api/meetings/#tag/meetings/GET/meetings/{meetingId}
func (c *Client) StartURL(ctx context.Context, id string) (secret.String, error) {
	m, err := c.Get(ctx, "", id)
	return m.StartURL, err
}

// End ends a meeting for everybody: one that runs is ended, and one that nobody is in is
// deleted, so that nobody enters it any more. It returns the errors of [Client.Get].
//
// A series and somebody's personal room are never deleted: with them would go every time that is
// to come. While nobody is in one of them there is nothing to end, and the error is
// [meeting.ErrInvalid] with [meeting.ReasonState].
//
// API docs: https://developers.zoom.us/docs/api/meetings/#tag/meetings/PUT/meetings/{meetingId}/status
func (c *Client) End(ctx context.Context, account, id string) error {
	if err := c.refuseID(opEnd, id); err != nil {
		return err
	}
	m, w, err := c.get(ctx, account, id)
	if err != nil {
		return err
	}
	if w.lasts() && m.State == meeting.StateReady {
		return c.http.Refuse(opEnd, meeting.ReasonState, "")
	}
	remove := func() error {
		_, err := c.do(ctx, c.request(opDelete, id, url.Values{"schedule_for_reminder": {"false"}}, nil), nil)
		return err
	}
	if m.State == meeting.StateReady {
		err := remove()
		// Somebody has entered in between.
		if e, ok := errors.AsType[*meeting.APIError](err); !ok || e.Code != codeUnderWay {
			return err
		}
	}
	if _, err := c.do(ctx, c.request(opEnd, id, nil, wireStatus{Action: "end"}), nil); err != nil || m.End.IsZero() || w.lasts() {
		return err
	}
	// A scheduled one could be started again. That Zoom keeps it is no reason to say that it
	// was not ended.
	err = remove()
	if e, ok := errors.AsType[*meeting.APIError](err); ok && e.Code != 0 {
		return nil
	}
	return err
}

// SetPush sets where the meeting is streamed to, in the place of what was set before: a
// meeting has one such address. It does not start the live. Without a page for viewers, which
// Zoom asks for, it is the link to join.
//
// API docs: https://developers.zoom.us/docs/api/meetings/#tag/meetings/PATCH/meetings/{meetingId}/livestream
func (c *Client) SetPush(ctx context.Context, account, id string, p meeting.PushTarget) error {
	if err := c.refuseID(opSetPush, id); err != nil {
		return err
	}
	if field := checkPush(p); field != "" {
		reason := meeting.ReasonField
		if field == "enabled" { // no address can be switched off, or removed
			reason = meeting.ReasonUnsupported
		}
		return c.http.Refuse(opSetPush, reason, field)
	}
	if account != "" || p.Page == "" {
		m, err := c.Get(ctx, account, id)
		if err != nil {
			return err
		}
		if p.Page == "" {
			p.Page = m.JoinURL
		}
	}
	body := map[string]string{"stream_url": p.URL, "stream_key": p.Key.Reveal(), "page_url": p.Page}
	_, err := c.do(ctx, c.request(opSetPush, id, nil, body), nil)
	return err
}

// Pushes returns where the meeting is streamed to, with the key: one address, or none. Zoom
// keeps no name for it.
//
// API docs: https://developers.zoom.us/docs/api/meetings/#tag/meetings/GET/meetings/{meetingId}/livestream
func (c *Client) Pushes(ctx context.Context, account, id string) ([]meeting.PushTarget, error) {
	if err := c.may(ctx, opPushes, account, id); err != nil {
		return nil, err
	}
	var w wireLive
	if _, err := c.do(ctx, c.request(opPushes, id, nil, nil), &w); err != nil {
		return nil, err
	}
	if w.StreamURL == "" {
		return nil, nil
	}
	return []meeting.PushTarget{{
		Platform: meeting.PushThirdParty, URL: string(w.StreamURL), Key: secret.New(string(w.StreamKey)), Page: w.PageURL.Link(), Enabled: true,
	}}, nil
}

// StartLive asks Zoom to start streaming a running meeting to where [Client.SetPush] has set.
// That it took the request is no word that the stream is on air: an event is.
//
// It returns [meeting.ErrRateLimited] with [meeting.ReasonStarting] if somebody asked less than
// 30 seconds ago.
//
// API docs: https://developers.zoom.us/docs/api/meetings/#tag/meetings/PATCH/meetings/{meetingId}/livestream/status
func (c *Client) StartLive(ctx context.Context, account, id, name string) error {
	runes := []rune(name)
	body := wireLiveStatus{Action: "start", Settings: &wireLiveSettings{DisplayName: string(runes[:min(len(runes), maxLiveName)])}}
	return c.live(ctx, account, id, body)
}

// StopLive asks Zoom to stop the stream. The address stays set.
func (c *Client) StopLive(ctx context.Context, account, id string) error {
	return c.live(ctx, account, id, wireLiveStatus{Action: "stop"})
}

func (c *Client) live(ctx context.Context, account, id string, body wireLiveStatus) error {
	if err := c.may(ctx, opStatus, account, id); err != nil {
		return err
	}
	_, err := c.do(ctx, c.request(opStatus, id, nil, body), nil)
	return err
}

// Ping checks that the API answers and accepts the credentials, by listing the meetings
// of the configured user, and returns the provider's clock: zero if it gave none.
func (c *Client) Ping(ctx context.Context) (time.Time, error) {
	q := url.Values{"type": {"live"}, "page_size": {"30"}}
	a, err := c.do(ctx, c.request(opList, c.cfg.UserID, q, nil), &wireList{})
	return a.Date(), err
}

func numberOf(link string) string {
	if link == "" {
		return ""
	}
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	number, _ := joinNumber(u)
	return number
}
