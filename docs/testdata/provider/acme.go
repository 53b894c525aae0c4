// Package acme is a client for the meeting API of Acme, which does not exist.
package acme

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
	"meetbot/meeting/internal/oneshot"
)

// Provider is how a meeting says that it is Acme's. In the real thing it is a constant of
// package meeting, with its Capabilities.
const Provider meeting.Provider = "acme"

// Client calls the API. Each call is tried once: repeating is not for it to decide.
type Client struct {
	token secret.String
	http  *oneshot.Client
}

// New checks its arguments and sends nothing.
func New(base string, token secret.String) (*Client, error) {
	if token.IsZero() {
		return nil, errors.New("acme: token: missing")
	}
	hc, err := oneshot.New(Provider, base, nil, 0)
	if err != nil {
		return nil, err
	}
	return &Client{token, hc}, nil
}

// wireMeeting is a meeting as the API writes it.
type wireMeeting struct {
	ID    lenient.Text `json:"id"`
	Topic lenient.Text `json:"topic"`
	Join  lenient.Text `json:"join_url"`
	Ended bool         `json:"ended"`
}

func (w wireMeeting) meeting() meeting.Meeting {
	m := meeting.Meeting{
		Ref: meeting.Ref{Provider: Provider, ID: string(w.ID)}, Code: string(w.ID),
		Topic: string(w.Topic), JoinURL: string(w.Join), State: meeting.StateReady,
	}
	if w.Ended {
		m.State = meeting.StateEnded
	}
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
	if want.Capacity != 0 {
		return meeting.Meeting{}, c.http.Refuse(op, meeting.ReasonUnsupported, "capacity")
	}
	var w wireMeeting
	err := c.do(ctx, op, http.MethodPost, "/meetings", true, map[string]any{"topic": want.Topic}, &w)
	return w.meeting(), err
}

// Get returns the meeting with the given ID.
func (c *Client) Get(ctx context.Context, _, id string) (meeting.Meeting, error) {
	const op = "GET /meetings/{id}"
	if !lenient.IsDigits(id, 1, 20) { // it goes into the path
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
	if !lenient.IsDigits(id, 1, 20) {
		return c.http.Refuse(op, meeting.ReasonField, "id")
	}
	return c.do(ctx, op, http.MethodPost, "/meetings/"+id+"/end", true, struct{}{}, &struct{}{})
}
