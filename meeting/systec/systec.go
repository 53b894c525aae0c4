// Package systec is a client for the SYSTEC umeeting API.
//
// Every call is a POST with an HTML form that carries the API key and secret, and every
// answer is a JSON object {status, message, data}. The call succeeded if and only if
// that status is 200, whatever the HTTP status was. SYSTEC publishes no error codes:
// of a refusal only the number and a sentence for humans are known, so that most
// refusals are [meeting.ErrInvalid] without a reason. A refusal that a gateway or a server
// in trouble may have written is none: after a call that changes something it leaves the
// outcome open.
//
// API docs: https://github.com/SYSTECdev/Umeeting-Share-Rooms-API
package systec

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"meetbot/config/clock"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
	"meetbot/meeting/internal/oneshot"
)

// DefaultBaseURL is where SYSTEC serves the API.
const DefaultBaseURL = "https://api.systeccloud.com/umeeting"

// Config is what a [Client] needs.
type Config struct {
	Key      secret.String // api_key
	Secret   secret.String // api_secret
	BaseURL  string        // https, or http to loopback; empty for [DefaultBaseURL]
	Capacity int           // meeting_capacity of a meeting that names none; at least 1
	Timeout  time.Duration // of one call; zero for 15 seconds
	// HTTPClient is optional. Its redirect policy and cookies are not used.
	HTTPClient *http.Client
}

// Client calls the API. It is safe for concurrent use and tries every call once.
type Client struct {
	cfg  Config
	http *oneshot.Client
}

// New checks cfg. It sends nothing.
func New(cfg Config) (*Client, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = DefaultBaseURL
	}
	hc, err := oneshot.New(Kind.ID, cfg.BaseURL, cfg.HTTPClient, cfg.Timeout)
	switch {
	case err != nil:
	case cfg.Key.IsZero():
		err = errors.New("API key: missing")
	case cfg.Secret.IsZero():
		err = errors.New("API secret: missing")
	case cfg.Capacity < 1:
		err = errors.New("capacity: must be at least 1")
	}
	if err != nil {
		return nil, errors.New("systec: " + err.Error())
	}
	return &Client{cfg: cfg, http: hc}, nil
}

// Clock is SYSTEC's, as far as its answers tell.
func (c *Client) Clock() *clock.Theirs { return c.http.Clock() }

// The operations, as errors name them.
const (
	opInstant   = "POST /share/instant"
	opGet       = "POST /share/get"
	opList      = "POST /share/list"
	opHistory   = "POST /share/history"
	opEnd       = "POST /share/end"
	opStartURL  = "POST /share/getStartUrl"
	opLicence   = "POST /licensing"
	opFreeRooms = "POST /share/freeRooms"
)

// do sends form to op and returns the answer's data, which may be empty.
func (c *Client) do(ctx context.Context, op string, form url.Values, mutates bool) (json.RawMessage, oneshot.Answer, error) {
	if form == nil {
		form = url.Values{}
	}
	form.Set("api_key", c.cfg.Key.Reveal())
	form.Set("api_secret", c.cfg.Secret.Reveal())
	r := oneshot.Request{
		Op: op, Method: http.MethodPost, Path: strings.TrimPrefix(op, "POST "), Mutates: mutates,
		Header: http.Header{
			"Content-Type": {"application/x-www-form-urlencoded"},
			"Accept":       {"application/json"},
		},
		Body: []byte(form.Encode()),
	}
	a, err := c.http.Do(ctx, r)
	if err != nil {
		return nil, a, err
	}
	env, ok := decode(a)
	if !ok {
		return nil, a, c.http.Unusable(r, a)
	}
	if env.Status.Int() == http.StatusOK {
		return env.Data, a, nil
	}
	var e *meeting.APIError
	if env.certain(a.Status, mutates) {
		e = c.http.Err(r, a)
		e.Code = env.Status.Int()
		env.classify(e, form.Has("id") || form.Has("meeting_id"))
	} else {
		e = c.http.Unusable(r, a)
		e.Code = env.Status.Int()
	}
	e.Message = r.Explanation(string(env.Message), c.cfg.Key, c.cfg.Secret)
	return nil, a, e
}

// answered is the error for a success that lacks what was asked for.
func (c *Client) answered(op string, a oneshot.Answer, mutates bool) error {
	return c.http.Unusable(oneshot.Request{Op: op, Mutates: mutates}, a)
}

// Create makes a meeting that starts now. SYSTEC deletes it again if nobody has joined
// within 30 minutes.
//
// It returns [meeting.ErrInvalid] with the field's name for what SYSTEC's documented
// limits forbid, before anything is sent. After [meeting.ErrOutcomeUnknown] the meeting,
// if there is one, is among those of [Client.List] with the UserKey of the wish: see Kind.Same.
//
// API docs: https://github.com/SYSTECdev/Umeeting-Share-Rooms-API (即时会议接口)
func (c *Client) Create(ctx context.Context, in meeting.Instant) (meeting.Meeting, error) {
	if in.Capacity == 0 {
		in.Capacity = c.cfg.Capacity
	}
	if reason, field := check(in); field != "" {
		return meeting.Meeting{}, c.http.Refuse(opInstant, reason, field)
	}
	data, a, err := c.do(ctx, opInstant, instantForm(in), true)
	if err != nil {
		return meeting.Meeting{}, err
	}
	var w wireMeeting
	if json.Unmarshal(data, &w) != nil {
		return meeting.Meeting{}, c.answered(opInstant, a, true)
	}
	m, ok := w.meeting()
	if !ok {
		return meeting.Meeting{}, c.answered(opInstant, a, true)
	}
	m.State = meeting.StateReady
	m.Topic, m.Capacity, m.UserKey = in.Topic, in.Capacity, in.UserKey
	m.Live = in.Live != nil && *in.Live
	if in.Duration != 0 && !m.Start.IsZero() {
		m.End = m.Start.Add(in.Duration)
	}
	return m, nil
}

// Get returns the meeting with the given ID, which is its number too.
//
// It returns [meeting.ErrNotFound] if SYSTEC says so, or answers without a meeting.
//
// API docs: https://github.com/SYSTECdev/Umeeting-Share-Rooms-API (获取会议信息)
func (c *Client) Get(ctx context.Context, id string) (meeting.Meeting, error) {
	if !lenient.IsDigits(id, 1, 20) {
		return meeting.Meeting{}, c.http.Refuse(opGet, meeting.ReasonField, "id")
	}
	data, a, err := c.do(ctx, opGet, url.Values{"meeting_id": {id}}, false)
	if err != nil {
		return meeting.Meeting{}, err
	}
	if isNothing(data) {
		e := c.http.Err(oneshot.Request{Op: opGet}, a)
		e.Err, e.Reason = meeting.ErrNotFound, meeting.ReasonMeeting
		return meeting.Meeting{}, e
	}
	var w wireMeeting
	if json.Unmarshal(data, &w) != nil {
		return meeting.Meeting{}, c.answered(opGet, a, false)
	}
	if w.ID == "" && w.MeetingID == "" {
		w.ID = lenient.Text(id) // documented in the answer, but what was asked for is known
	}
	m, ok := w.meeting()
	if !ok {
		return meeting.Meeting{}, c.answered(opGet, a, false)
	}
	return m, nil
}

// ListOptions says which meetings to list.
type ListOptions struct {
	UserKey string // only meetings created with it, if the server heeds it; empty for all
	Over    bool   // those that are over instead of those that are not
}

// What a page holds, and how many are fetched at most.
const (
	pageSize = 30
	maxPages = 10
)

// List returns the meetings that are reserved or running or, with Over, those that were
// cancelled or have ended. If there are more than 300 it returns the first 300 together
// with [meeting.ErrLimit]: that a meeting is not among them then says nothing.
//
// API docs: https://github.com/SYSTECdev/Umeeting-Share-Rooms-API (获取会议列表, 历史会议列表)
func (c *Client) List(ctx context.Context, opt ListOptions) ([]meeting.Meeting, error) {
	op := opList
	if opt.Over {
		op = opHistory
	}
	if len(opt.UserKey) > maxUserKey {
		return nil, c.http.Refuse(op, meeting.ReasonField, "user_key")
	}
	var out []meeting.Meeting
	seen := map[string]bool{}
	for page := 1; page <= maxPages; page++ {
		form := url.Values{"page_size": {strconv.Itoa(pageSize)}, "page_number": {strconv.Itoa(page)}}
		if opt.UserKey != "" {
			form.Set("user_key", opt.UserKey)
		}
		data, a, err := c.do(ctx, op, form, false)
		if err != nil {
			return nil, err
		}
		if isNothing(data) {
			return out, nil
		}
		var w wirePage
		if json.Unmarshal(data, &w) != nil {
			return nil, c.answered(op, a, false)
		}
		for _, wm := range w.Meetings {
			m, ok := wm.meeting()
			if !ok {
				// Skipping it would let a caller conclude that it does not exist.
				return nil, c.answered(op, a, false)
			}
			if !seen[m.Ref.ID] {
				seen[m.Ref.ID] = true
				out = append(out, m)
			}
		}
		if len(w.Meetings) == 0 || !w.more(page) {
			return out, nil
		}
	}
	return out, &meeting.APIError{Provider: Kind.ID, Op: op, Err: meeting.ErrLimit}
}

// End ends a running meeting for everybody in it.
//
// API docs: https://github.com/SYSTECdev/Umeeting-Share-Rooms-API (结束会议)
func (c *Client) End(ctx context.Context, id string) error {
	if !lenient.IsDigits(id, 1, 20) {
		return c.http.Refuse(opEnd, meeting.ReasonField, "id")
	}
	_, _, err := c.do(ctx, opEnd, url.Values{"id": {id}}, true)
	return err
}

// StartURL fetches a new start URL, with which any holder becomes the host for about two
// hours. SYSTEC gives one only in the time in which the meeting can be entered.
//
// API docs: https://github.com/SYSTECdev/Umeeting-Share-Rooms-API (获取 start_url)
func (c *Client) StartURL(ctx context.Context, id string) (secret.String, error) {
	if !lenient.IsDigits(id, 1, 20) {
		return secret.String{}, c.http.Refuse(opStartURL, meeting.ReasonField, "id")
	}
	data, a, err := c.do(ctx, opStartURL, url.Values{"id": {id}}, false)
	if err != nil {
		return secret.String{}, err
	}
	var w struct {
		StartURL lenient.Text `json:"start_url"`
	}
	if json.Unmarshal(data, &w) != nil || w.StartURL.Link() == "" {
		return secret.String{}, c.answered(opStartURL, a, false)
	}
	return secret.New(w.StartURL.Link()), nil
}

// Ping checks that the API answers and accepts the credentials, by asking what the
// account is licensed for, and returns the provider's clock: zero if it gave none. The
// clock may be known even if there is an error.
//
// API docs: https://github.com/SYSTECdev/Umeeting-Share-Rooms-API (licensing)
func (c *Client) Ping(ctx context.Context) (time.Time, error) {
	_, a, err := c.do(ctx, opLicence, nil, false)
	// The call has no parameters but the credentials, so a refusal is about them.
	if e, ok := errors.AsType[*meeting.APIError](err); ok && errors.Is(err, meeting.ErrInvalid) {
		e.Err = meeting.ErrCredentials
	}
	return a.Date(), err
}

// Provider is a [Client] with the calls as all providers have them, here without accounts.
type Provider struct{ *Client }

// Get is [Client.Get].
func (p Provider) Get(ctx context.Context, _, id string) (meeting.Meeting, error) {
	return p.Client.Get(ctx, id)
}

// List is [Client.List] of the meetings that are not over.
func (p Provider) List(ctx context.Context, _, userKey string) ([]meeting.Meeting, error) {
	return p.Client.List(ctx, ListOptions{UserKey: userKey})
}

// End is [Client.End].
func (p Provider) End(ctx context.Context, _, id string) error { return p.Client.End(ctx, id) }
