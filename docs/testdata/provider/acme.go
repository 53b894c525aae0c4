// Package acme is a client for the meeting API of Acme, which does not exist.
package acme

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
	"meetbot/meeting/internal/oneshot"
)

// Kind is what is true of Acme: all that the rest of the bot has to know of it.
var Kind = meeting.Kind{
	ID:      "acme",
	Name:    meeting.Words{EN: "Acme", ZH: "Acme"},
	Product: meeting.Words{EN: "Acme Rooms", ZH: "Acme 会议室"},

	Can:        meeting.Capabilities{StartURL: true},
	Parameters: map[string]string{"topic": "topic", "user_key": "note"},

	// The API knows a meeting by the number that people type. https://acme.example/docs/numbers
	IsCode: isNumber, IsID: isNumber, CodeIsID: true,
	Hosts: []string{"acme.example"},
	Link: func(u *url.URL) (string, bool) {
		number := strings.TrimPrefix(u.Path, "/m/")
		return number, isNumber(number)
	},

	// A note goes with a meeting, and the list tells it.
	Prepare: func(in *meeting.Instant, o meeting.Origin) { in.UserKey = o.Mark },
	Same: func(want meeting.Instant, _ time.Time, got meeting.Meeting) bool {
		return got.UserKey != "" && got.UserKey == want.UserKey
	},

	StartLinkLife: time.Hour,
}

func isNumber(digits string) bool { return lenient.IsDigits(digits, 6, 6) }

// Client calls the API. Each call is tried once: repeating is not for it to decide.
type Client struct {
	token secret.String
	http  *oneshot.Client
}

// New checks its arguments and sends nothing. hc is optional.
func New(base string, token secret.String, hc *http.Client) (*Client, error) {
	if token.IsZero() {
		return nil, errors.New("acme: token: missing")
	}
	client, err := oneshot.New(Kind.ID, base, hc, 0)
	if err != nil {
		return nil, err
	}
	return &Client{token, client}, nil
}

// wireMeeting is a meeting as the API writes it.
type wireMeeting struct {
	ID    lenient.Text `json:"id"`
	Topic lenient.Text `json:"topic"`
	Note  lenient.Text `json:"note"`
	Join  lenient.Text `json:"join_url"`
	Host  lenient.Text `json:"host_url"` // only when it was made, or asked for
	State lenient.Text `json:"state"`
}

func (w wireMeeting) meeting() meeting.Meeting {
	m := meeting.Meeting{
		Ref: meeting.Ref{Provider: Kind.ID, ID: string(w.ID)}, Code: string(w.ID),
		Topic: string(w.Topic), JoinURL: string(w.Join), UserKey: string(w.Note),
	}
	if w.Host != "" {
		m.StartURL = secret.New(string(w.Host))
	}
	switch w.State {
	case "waiting":
		m.State = meeting.StateReady
	case "on":
		m.State = meeting.StateRunning
	case "over":
		m.State = meeting.StateEnded
	} // any other says nothing
	return m
}

// do sends one request and decodes its answer into out.
func (c *Client) do(ctx context.Context, op, method, path string, mutates bool, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r := oneshot.Request{
		Op: op, Method: method, Path: path, Body: body, Mutates: mutates,
		Header: http.Header{"Authorization": {"Bearer " + c.token.Reveal()}, "Content-Type": {"application/json"}},
	}
	a, err := c.http.Do(ctx, r)
	if err != nil {
		return err // says whether the request may have arrived
	}
	switch {
	case a.Status >= 500: // it may have been carried out all the same
		return c.http.Unusable(r, a)
	case a.Status >= 400:
		e := c.http.Err(r, a)
		switch a.Status {
		case http.StatusNotFound:
			e.Err, e.Reason = meeting.ErrNotFound, meeting.ReasonMeeting
		case http.StatusUnauthorized:
			e.Err = meeting.ErrCredentials
		case http.StatusForbidden:
			e.Err = meeting.ErrNotPermitted
		default:
			e.Err = meeting.ErrInvalid
		}
		return e
	}
	if json.Unmarshal(a.Body, out) != nil {
		return c.http.Unusable(r, a) // a proxy's page, perhaps
	}
	return nil
}

// Create makes a meeting that starts now.
//
// It returns [meeting.ErrInvalid] for what Acme has no parameter for.
func (c *Client) Create(ctx context.Context, want meeting.Instant) (meeting.Meeting, error) {
	const op = "POST /meetings"
	if field := want.Unsupported(Kind.Parameters); field != "" {
		return meeting.Meeting{}, c.http.Refuse(op, meeting.ReasonUnsupported, field)
	}
	var w wireMeeting
	err := c.do(ctx, op, http.MethodPost, "/meetings", true, map[string]any{"topic": want.Topic, "note": want.UserKey}, &w)
	return w.meeting(), err
}

// Get returns the meeting with the given ID.
func (c *Client) Get(ctx context.Context, _, id string) (meeting.Meeting, error) {
	const op = "GET /meetings/{id}"
	if !isNumber(id) { // it goes into the path
		return meeting.Meeting{}, c.http.Refuse(op, meeting.ReasonField, "id")
	}
	var w wireMeeting
	err := c.do(ctx, op, http.MethodGet, "/meetings/"+id, false, nil, &w)
	return w.meeting(), err
}

// List returns the meetings that are not over. It is how a meeting is found whose
// creation was not answered.
func (c *Client) List(ctx context.Context, _, _ string) ([]meeting.Meeting, error) {
	var page struct {
		Meetings []wireMeeting `json:"meetings"`
	}
	err := c.do(ctx, "GET /meetings", http.MethodGet, "/meetings", false, nil, &page)
	var all []meeting.Meeting
	for _, w := range page.Meetings {
		all = append(all, w.meeting())
	}
	return all, err
}

// End ends the meeting for everybody in it.
func (c *Client) End(ctx context.Context, _, id string) error {
	const op = "POST /meetings/{id}/end"
	if !isNumber(id) {
		return c.http.Refuse(op, meeting.ReasonField, "id")
	}
	return c.do(ctx, op, http.MethodPost, "/meetings/"+id+"/end", true, struct{}{}, &struct{}{})
}

// StartURL returns a fresh start link.
func (c *Client) StartURL(ctx context.Context, id string) (secret.String, error) {
	const op = "GET /meetings/{id}/host"
	if !isNumber(id) {
		return secret.String{}, c.http.Refuse(op, meeting.ReasonField, "id")
	}
	var w wireMeeting
	err := c.do(ctx, op, http.MethodGet, "/meetings/"+id+"/host", false, nil, &w)
	return w.meeting().StartURL, err
}
