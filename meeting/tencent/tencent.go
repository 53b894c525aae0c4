// Package tencent is a client for the Tencent Meeting REST API of an enterprise's own
// application, signed with its secret id and key (AK/SK), and a receiver of its events.
//
// A call failed if its answer holds an error_info, whatever the HTTP status, which is 500
// for most refusals. What kind of failure it was follows from the error_code alone: a code
// is Tencent's word that it refused, but for the few that say the contrary. An answer
// without an error_info, other than a success, may come from a proxy or a gateway; after a
// call that changes something it leaves the outcome open. Operations that return nothing
// succeed with an empty body or with {}. Meeting ids are decimal but too large for an
// int64, and stay text.
//
// API docs: https://cloud.tencent.com/document/product/1095/42413
package tencent

import (
	"bytes"
	"cmp"
	"context"
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

// DefaultBaseURL is where Tencent serves the API.
const DefaultBaseURL = "https://api.meeting.qq.com"

// DefaultInstanceID says that a call is made for a user at a PC.
const DefaultInstanceID = 1

// Config is what a [Client] needs.
type Config struct {
	AppID      string // the enterprise's id
	SDKID      string // empty if none was assigned
	SecretID   string
	SecretKey  secret.String
	UserID     string        // acts where a call names no account
	Users      []string      // the others that calls will name; only checked
	InstanceID int           // kind of terminal, of the documented ones; zero for [DefaultInstanceID]
	BaseURL    string        // https, or http to loopback; empty for [DefaultBaseURL]
	Timeout    time.Duration // of one call; zero for 15 seconds
	// HTTPClient is optional. Its redirect policy and cookies are not used.
	HTTPClient *http.Client
	Now        func() time.Time // optional: Tencent's clock as its answers tell it
	// Nonce returns a new positive number each time. Optional; the default is random.
	Nonce func() uint64
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
	if cfg.InstanceID == 0 {
		cfg.InstanceID = DefaultInstanceID
	}
	if cfg.Nonce == nil {
		cfg.Nonce = randomNonce
	}
	hc, err := oneshot.New(Kind.ID, cfg.BaseURL, cfg.HTTPClient, cfg.Timeout)
	if err == nil && cfg.Now == nil {
		cfg.Now = hc.Clock().Now // what is signed is judged by Tencent's
	}
	switch {
	case err != nil:
	case !oneshot.Printable(cfg.AppID) || cfg.AppID == "":
		err = errors.New("app id: missing, or has characters that no header can carry")
	case !oneshot.Printable(cfg.SDKID):
		err = errors.New("SDK id: has characters that no header can carry")
	case !oneshot.Printable(cfg.SecretID) || cfg.SecretID == "":
		err = errors.New("secret id: missing, or has characters that no header can carry")
	case cfg.SecretKey.IsZero():
		err = errors.New("secret key: missing")
	case !instanceIDs[cfg.InstanceID]:
		err = errors.New("instance id: not one of the documented kinds of terminal; 1 is a PC")
	default:
		for _, id := range append([]string{cfg.UserID}, cfg.Users...) {
			err = cmp.Or(err, checkUserID(id))
		}
	}
	if err != nil {
		return nil, errors.New("tencent: " + err.Error())
	}
	return &Client{cfg: cfg, http: hc}, nil
}

// instanceIDs are the kinds of terminals, from
// https://cloud.tencent.com/document/product/1095/42417.
var instanceIDs = map[int]bool{
	1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true, 9: true, 10: true, 12: true,
	20: true, 21: true, 22: true, 30: true, 32: true, 33: true, 81: true, 82: true, 83: true, 84: true, 86: true,
}

// checkUserID returns why a userid cannot work.
func checkUserID(id string) error {
	switch {
	case strings.TrimSpace(id) == "":
		return errors.New("user id: missing")
	case id == "1":
		return errors.New("user id: must not be 1, with which Tencent's calls fail at random")
	case strings.TrimSpace(id) != id:
		return errors.New("user id: begins or ends with a blank")
	}
	return nil
}

// Clock is Tencent's, as far as its answers tell.
func (c *Client) Clock() *clock.Theirs { return c.http.Clock() }

// The operations, as errors name them.
const (
	opCreate  = "POST /v1/meetings"
	opGet     = "GET /v1/meetings/{id}"
	opByCode  = "GET /v1/meetings?meeting_code"
	opList    = "GET /v1/meetings"
	opDismiss = "POST /v1/meetings/{id}/dismiss"
	opCancel  = "POST /v1/meetings/{id}/cancel"
	opSetPush = "POST /v1/meetings/{id}/live_play/live-stream-address"
	opPushes  = "GET /v1/meetings/{id}/live-play/push-stream-info"
	opViewers = "GET /v1/meetings/{id}/live_play/live-view-info"
	opReplays = "GET /v1/meetings/{id}/live_play/replays"
	opRecords = "GET /v1/records"
	opRecord  = "GET /v1/addresses"
	opPeople  = "GET /v1/meetings/{id}/participants"
)

// request prepares a call of op on the meeting id, which may be empty.
func (c *Client) request(op, id string, query url.Values, body any) oneshot.Request {
	method, path, _ := strings.Cut(op, " ")
	path, _, _ = strings.Cut(path, "?")
	r := oneshot.Request{
		Op: op, Method: method, Path: strings.Replace(path, "{id}", id, 1), Query: query,
		Mutates: method != http.MethodGet,
		// The documentation warns that names are case-sensitive, so they are spelled its
		// way and not Go's. X-TC-Registered makes meetings show up for their users.
		Header: http.Header{
			"Content-Type":    {"application/json"},
			"Accept":          {"application/json"},
			"AppId":           {c.cfg.AppID},
			"X-TC-Registered": {"1"},
		},
		Sign: c.sign,
	}
	// "Do not send SdkId if none was assigned", says the text of error 190303.
	if c.cfg.SDKID != "" {
		r.Header["SdkId"] = []string{c.cfg.SDKID}
	}
	if body != nil {
		r.Body = oneshot.JSON(body) // these bytes are both signed and sent
	}
	return r
}

// do sends r and returns its answer, of which it is known that it is no failure. The body
// of an operation that returns something is left to the caller.
func (c *Client) do(ctx context.Context, r oneshot.Request) (oneshot.Answer, error) {
	signed := c.cfg.Now()
	a, err := c.once(ctx, r)
	var refused *meeting.APIError
	if errors.As(err, &refused) && refused.Reason == meeting.ReasonClock && c.cfg.Now().Sub(signed).Abs() > time.Minute {
		return c.once(ctx, r) // that answer told what the clock shows there, and that nothing was done
	}
	return a, err
}

func (c *Client) once(ctx context.Context, r oneshot.Request) (oneshot.Answer, error) {
	a, err := c.http.Do(ctx, r)
	if err != nil {
		return a, err
	}
	var w *struct {
		ErrorInfo *wireError `json:"error_info"`
		wireError            // people quote it also without what is around it
	}
	empty := len(bytes.TrimSpace(a.Body)) == 0
	if !empty && (a.Decode(&w) != nil || w == nil) {
		return a, c.http.Unusable(r, a)
	}
	if w != nil && w.ErrorInfo == nil && w.code() != 0 {
		w.ErrorInfo = &w.wireError
	}
	if w != nil && w.ErrorInfo != nil {
		e := c.http.Err(r, a)
		e.TraceID = traceID(a.Header)
		e.Message = r.Explanation(string(w.ErrorInfo.Message), c.cfg.SecretKey, secret.New(c.cfg.SecretID))
		w.ErrorInfo.classify(e, r.Mutates)
		return a, e
	}
	if a.Status != http.StatusOK || empty && !r.Mutates {
		return a, c.http.Unusable(r, a)
	}
	return a, nil
}

// meetings sends r and returns the meetings of its answer.
func (c *Client) meetings(ctx context.Context, r oneshot.Request) (wireMeetings, oneshot.Answer, error) {
	var w wireMeetings
	a, err := c.do(ctx, r)
	if err == nil && a.Decode(&w) != nil {
		err = c.http.Unusable(r, a)
	}
	return w, a, err
}

// account returns who acts.
func (c *Client) account(account string) string {
	if account == "" {
		return c.cfg.UserID
	}
	return account
}

// instance is the terminal as a query parameter.
func (c *Client) instance() string { return strconv.Itoa(c.cfg.InstanceID) }

// operator names who acts, in the newer of the two forms that the API has.
func (c *Client) operator(account string) url.Values {
	return url.Values{
		"operator_id":      {c.account(account)},
		"operator_id_type": {"1"}, // a userid
		"instanceid":       {c.instance()},
	}
}

// refuseID returns an error if id cannot be a meeting's. It goes into the path.
func (c *Client) refuseID(op, id string) error {
	if lenient.IsDigits(id, 1, 20) {
		return nil
	}
	return c.http.Refuse(op, meeting.ReasonField, "id")
}

// Create makes a quick meeting, with in.Account as its creator. Its watch URL is not in
// the answer; [Client.Get] has it.
//
// It returns [meeting.ErrInvalid] with the field's name, before anything is sent, for
// what Tencent's documented limits forbid or what it has no parameter for. After
// [meeting.ErrOutcomeUnknown] the meeting, if there is one, is among those of [Client.List]:
// see Kind.Same. Without in.Start the client's clock is used.
//
// API docs: https://cloud.tencent.com/document/product/1095/42417
func (c *Client) Create(ctx context.Context, in meeting.Instant) (meeting.Meeting, error) {
	if in.Start.IsZero() {
		in.Start = c.cfg.Now().Truncate(time.Second)
	}
	if in.Duration == 0 {
		in.Duration = defaultDuration
	}
	if reason, field := check(in); field != "" {
		return meeting.Meeting{}, c.http.Refuse(opCreate, reason, field)
	}
	r := c.request(opCreate, "", nil, c.quick(in))
	w, a, err := c.meetings(ctx, r)
	if err != nil {
		return meeting.Meeting{}, err
	}
	if len(w.List) != 1 {
		return meeting.Meeting{}, c.http.Unusable(r, a)
	}
	m, ok := w.List[0].meeting()
	if !ok {
		return meeting.Meeting{}, c.http.Unusable(r, a)
	}
	if m.State == meeting.StateUnknown {
		m.State = meeting.StateReady
	}
	if m.Topic == "" {
		m.Topic = in.Topic
	}
	if m.HostKey.IsZero() {
		m.HostKey = in.HostKey
	}
	if m.Start.IsZero() {
		m.Start, m.End = in.Start, in.Start.Add(in.Duration)
	}
	m.Live = m.Live || in.Live != nil && *in.Live
	m.Creator = c.account(in.Account)
	return m, nil
}

// Get returns the meeting with the given id, as account may see it. The watch URL is
// there for its creator only, and only if live was enabled.
//
// It returns [meeting.ErrNotFound] if there is none, which Tencent also says of a meeting
// that was ended, or that is more than an hour past its planned end.
//
// API docs: https://cloud.tencent.com/document/product/1095/42418
func (c *Client) Get(ctx context.Context, account, id string) (meeting.Meeting, error) {
	m, _, err := c.get(ctx, account, id)
	return m, err
}

func (c *Client) get(ctx context.Context, account, id string) (meeting.Meeting, wireMeeting, error) {
	if err := c.refuseID(opGet, id); err != nil {
		return meeting.Meeting{}, wireMeeting{}, err
	}
	return c.find(ctx, c.request(opGet, id, c.operator(account), nil),
		func(m meeting.Meeting) bool { return m.Ref.ID == id })
}

// ByCode returns the meeting with the number that people type to join: 9 to 11 digits,
// without blanks. It returns [meeting.ErrNotFound] also once Tencent has given the number
// to nobody or to somebody else.
//
// API docs: https://cloud.tencent.com/document/product/1095/42420
func (c *Client) ByCode(ctx context.Context, account, code string) (meeting.Meeting, error) {
	if !lenient.IsDigits(code, 9, 11) {
		return meeting.Meeting{}, c.http.Refuse(opByCode, meeting.ReasonField, "code")
	}
	q := url.Values{"meeting_code": {code}, "userid": {c.account(account)}, "instanceid": {c.instance()}}
	m, _, err := c.find(ctx, c.request(opByCode, "", q, nil),
		func(m meeting.Meeting) bool { return m.Code == code })
	return m, err
}

// find returns the meeting of the answer that is the one asked for.
func (c *Client) find(ctx context.Context, r oneshot.Request, same func(meeting.Meeting) bool) (meeting.Meeting, wireMeeting, error) {
	w, a, err := c.meetings(ctx, r)
	if err != nil {
		return meeting.Meeting{}, wireMeeting{}, err
	}
	for _, wm := range w.List {
		if m, ok := wm.meeting(); ok && same(m) {
			return m, wm, nil
		}
	}
	if len(w.List) > 0 {
		return meeting.Meeting{}, wireMeeting{}, c.http.Unusable(r, a)
	}
	e := c.http.Err(r, a)
	e.Err, e.Reason, e.TraceID = meeting.ErrNotFound, meeting.ReasonMeeting, traceID(a.Header)
	return meeting.Meeting{}, wireMeeting{}, e
}

const (
	maxPages = 15 // of 20 meetings
	// lookBack is how long before now the listed meetings began at the earliest. Left to
	// itself, the API begins at midnight in Beijing, and a meeting made a minute before
	// is lost from sight.
	lookBack = 24 * time.Hour
)

// List returns the account's meetings that are running or to come. If there are more than
// 300 it returns the first 300 together with [meeting.ErrLimit]: that a meeting is not
// among them then says nothing.
//
// API docs: https://cloud.tencent.com/document/product/1095/42421
func (c *Client) List(ctx context.Context, account string) ([]meeting.Meeting, error) {
	var out []meeting.Meeting
	seen := map[string]bool{} // meetings with the same start are on both pages
	pos, cursory := strconv.FormatInt(c.cfg.Now().Add(-lookBack).Unix(), 10), ""
	for range maxPages {
		q := url.Values{"userid": {c.account(account)}, "instanceid": {c.instance()}, "pos": {pos}}
		if cursory != "" {
			q.Set("cursory", cursory)
		}
		r := c.request(opList, "", q, nil)
		w, a, err := c.meetings(ctx, r)
		if err != nil {
			return nil, err
		}
		for _, wm := range w.List {
			m, ok := wm.meeting()
			if !ok {
				// Skipping it would let a caller conclude that it does not exist.
				return nil, c.http.Unusable(r, a)
			}
			if !seen[m.Ref.ID] {
				seen[m.Ref.ID] = true
				out = append(out, m)
			}
		}
		if w.Remaining.Int64() == 0 && !w.Remaining.AtLeast(1) {
			return out, nil
		}
		next, nextCursory := w.NextPos.Digits(), w.NextCursory.Digits()
		if next == "" || next == pos && nextCursory == cursory {
			return nil, c.http.Unusable(r, a) // more, but no way to it
		}
		pos, cursory = next, nextCursory
	}
	return out, &meeting.APIError{Provider: Kind.ID, Op: opList, Err: meeting.ErrLimit}
}

// Dismiss ends a running meeting for everybody in it. Its creator and its hosts may. A
// quick meeting gives up its number.
//
// API docs: https://cloud.tencent.com/document/product/1095/57955
func (c *Client) Dismiss(ctx context.Context, account, id string) error {
	if err := c.refuseID(opDismiss, id); err != nil {
		return err
	}
	_, err := c.do(ctx, c.request(opDismiss, id, nil, wireDismiss{
		OperatorID: c.account(account), OperatorIDType: 1, InstanceID: c.cfg.InstanceID, ReasonCode: reasonOther,
	}))
	return err
}

// Cancel calls off a meeting that has not begun. Only its creator may.
//
// API docs: https://cloud.tencent.com/document/product/1095/42422
func (c *Client) Cancel(ctx context.Context, account, id string) error {
	if err := c.refuseID(opCancel, id); err != nil {
		return err
	}
	_, err := c.do(ctx, c.request(opCancel, id, nil, wireCancel{
		UserID: c.account(account), InstanceID: c.cfg.InstanceID, ReasonCode: reasonOther,
	}))
	return err
}

// SetPush gives the meeting one more live push address. Before the meeting its creator
// may, during it its host. It does not start the live: no API does.
//
// There is no documented way to change or remove an address. [meeting.ReasonPushAddress]
// is also the answer to one that is already set.
//
// API docs: https://cloud.tencent.com/document/product/1095/58214
func (c *Client) SetPush(ctx context.Context, account, id string, p meeting.PushTarget) error {
	if err := c.refuseID(opSetPush, id); err != nil {
		return err
	}
	if field := checkPush(p); field != "" {
		return c.http.Refuse(opSetPush, meeting.ReasonField, field)
	}
	_, err := c.do(ctx, c.request(opSetPush, id, nil, wireSetPush{
		UserID: c.account(account), InstanceID: c.cfg.InstanceID, PushStreamInfo: []wirePush{pushToWire(p)},
	}))
	return err
}

// Pushes returns the meeting's live push addresses, with their keys. The same accounts
// may ask as may set.
//
// API docs: https://cloud.tencent.com/document/product/1095/71338
func (c *Client) Pushes(ctx context.Context, account, id string) ([]meeting.PushTarget, error) {
	if err := c.refuseID(opPushes, id); err != nil {
		return nil, err
	}
	r := c.request(opPushes, id, c.operator(account), nil)
	a, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	var w wirePushes
	if a.Decode(&w) != nil {
		return nil, c.http.Unusable(r, a)
	}
	out := make([]meeting.PushTarget, len(w.PushStreamInfo))
	for i, p := range w.PushStreamInfo {
		out[i] = p.target()
	}
	return out, nil
}

const maxViewers = 2_000_000_000 // more is no count, and would stay the peak

// Viewers returns how many people watch the meeting's live now or, once it is over, how many
// did. Its creator and the enterprise's administrators may ask.
//
// It returns [meeting.ErrInvalid] with [meeting.ReasonNoLive] if there was none.
//
// API docs: https://cloud.tencent.com/document/product/1095/58215
func (c *Client) Viewers(ctx context.Context, account, id string) (int, error) {
	if err := c.refuseID(opViewers, id); err != nil {
		return 0, err
	}
	r := c.request(opViewers, id, url.Values{"userid": {c.account(account)}, "instanceid": {c.instance()}}, nil)
	a, err := c.do(ctx, r)
	if err != nil {
		return 0, err
	}
	var w struct {
		Viewers lenient.Text `json:"live_viewers_num"`
	}
	if a.Decode(&w) != nil || w.Viewers.Digits() == "" || w.Viewers.AtLeast(maxViewers+1) {
		return 0, c.http.Unusable(r, a)
	}
	return w.Viewers.Int(), nil
}

// Ping checks that the API answers and accepts the credentials, by listing the meetings
// of the configured user, and returns the provider's clock: zero if it gave none. The
// clock may be known even if there is an error.
func (c *Client) Ping(ctx context.Context) (time.Time, error) {
	q := url.Values{"userid": {c.cfg.UserID}, "instanceid": {c.instance()}}
	a, err := c.do(ctx, c.request(opList, "", q, nil))
	return a.Date(), err
}

// Provider is a [Client] with the calls as all providers have them, here without texts that
// mark meetings.
type Provider struct{ *Client }

// List is [Client.List].
func (p Provider) List(ctx context.Context, account, _ string) ([]meeting.Meeting, error) {
	return p.Client.List(ctx, account)
}
