package slacktest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Ack is how an event was acknowledged.
type Ack struct {
	Status  int    // over HTTP
	Payload []byte // empty for an empty acknowledgement
	Took    time.Duration
}

// Transport brings events to the bot.
type Transport interface {
	deliver(ctx context.Context, kind string, form url.Values, payload any, again int) (Ack, error)
}

// Event kinds, as Socket Mode calls them.
const (
	slashKind       = "slash_commands"
	interactiveKind = "interactive"
	eventKind       = "events_api"
)

// HTTP is a transport that signs requests to the bot's endpoints.
type HTTP struct {
	Base   string // of the bot: "http://127.0.0.1:1234"
	Secret string
	Client *http.Client
}

// Sign sets the headers with which Slack signs a body.
func Sign(h http.Header, secret string, at time.Time, body []byte) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	h.Set("X-Slack-Request-Timestamp", stamp)
	h.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
}

func (t HTTP) deliver(ctx context.Context, kind string, form url.Values, payload any, again int) (Ack, error) {
	path, content, body := Act{kind, form, payload}.Request()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.Base+path, bytes.NewReader(body))
	if err != nil {
		return Ack{}, err
	}
	req.Header.Set("Content-Type", content)
	if again > 0 {
		req.Header.Set("X-Slack-Retry-Num", strconv.Itoa(again))
	}
	Sign(req.Header, t.Secret, time.Now(), body)
	client := t.Client
	if client == nil {
		client = http.DefaultClient
	}
	start := time.Now()
	res, err := client.Do(req)
	if err != nil {
		return Ack{}, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return Ack{Status: res.StatusCode, Payload: b, Took: time.Since(start)}, err
}

// Socket returns the transport over the open Socket Mode connections.
func (s *Server) Socket() Transport { return socket{s} }

type socket struct{ s *Server }

func (t socket) deliver(ctx context.Context, kind string, _ url.Values, payload any, again int) (Ack, error) {
	open := t.s.open()
	if len(open) == 0 {
		return Ack{}, errors.New("no connection is open")
	}
	ch := make(chan []byte, 1)
	var id string
	t.s.change(func() {
		id = t.s.next("E")
		t.s.acks[id] = ch
	})
	start := time.Now()
	err := open[0].send(reply{"type": kind, "envelope_id": id, "payload": payload, "accepts_response_payload": kind != eventKind, "retry_attempt": again})
	if err != nil {
		return Ack{}, err
	}
	select {
	case payload := <-ch:
		return Ack{Status: http.StatusOK, Payload: payload, Took: time.Since(start)}, nil
	case <-ctx.Done():
		return Ack{}, ctx.Err()
	}
}

// Act is one thing that a person does. Delivering it twice is what Slack does when it
// thinks that the first try failed.
type Act struct {
	kind    string
	form    url.Values
	payload any
}

// From is the act as it is done in another workspace, which may be one of an organisation.
func (a Act) From(team, enterprise string) Act {
	out := Act{kind: a.kind}
	if a.form != nil {
		out.form = url.Values{}
		for k, v := range a.form {
			out.form[k] = v
		}
		out.form.Set("team_id", team)
		if enterprise != "" {
			out.form.Set("enterprise_id", enterprise)
		}
	}
	raw, _ := json.Marshal(a.payload) // maps and strings can always be encoded
	var p reply
	_ = json.Unmarshal(raw, &p)
	switch a.kind {
	case interactiveKind:
		p["team"] = reply{"id": team}
		if u, ok := p["user"].(map[string]any); ok {
			u["team_id"] = team
		}
		if v, ok := p["view"].(map[string]any); ok {
			v["team_id"] = team
		}
		if enterprise != "" {
			p["enterprise"] = reply{"id": enterprise, "name": "Org"}
		}
	case eventKind:
		p["team_id"] = team
		p["authorizations"] = []reply{{"team_id": team, "enterprise_id": enterprise, "is_bot": true}}
	default:
		p["team_id"] = team
		if enterprise != "" {
			p["enterprise_id"] = enterprise
		}
	}
	out.payload = p
	return out
}

// Shared is a mention in a channel that organisations share, by a person of another one than the
// workspace whose installation sees it.
func (a Act) Shared(theirs, sees string) Act {
	out := a.From(theirs, "")
	p, _ := out.payload.(reply)
	p["is_ext_shared_channel"] = true
	p["authorizations"] = []reply{{"team_id": sees, "enterprise_id": nil, "is_bot": true, "is_enterprise_install": false}}
	return out
}

// Request is the act as Slack sends it over HTTP.
func (a Act) Request() (path, contentType string, body []byte) {
	const form = "application/x-www-form-urlencoded"
	raw, _ := json.Marshal(a.payload) // maps and strings can always be encoded
	switch a.kind {
	case interactiveKind:
		return "/slack/interactions", form, []byte(url.Values{"payload": {string(raw)}}.Encode())
	case eventKind:
		return "/slack/events", "application/json", raw
	}
	return "/slack/commands", form, []byte(a.form.Encode())
}

// Frame is the act as Slack sends it over a socket.
func (a Act) Frame(envelope string) []byte {
	raw, _ := json.Marshal(reply{"type": a.kind, "envelope_id": envelope, "payload": a.payload, "accepts_response_payload": a.kind != eventKind})
	return raw
}

// Deliver brings an act to the bot; again counts Slack's earlier tries.
func (s *Server) Deliver(ctx context.Context, t Transport, a Act, again int) (Ack, error) {
	return t.deliver(ctx, a.kind, a.form, a.payload, again)
}

// trigger makes a single-use trigger_id and a response_url.
func (s *Server) trigger(channel, user string) (trigger, hookURL string) {
	s.change(func() {
		trigger = s.next("1337.42.canary")
		s.triggers[trigger] = user
		id := s.next("hook-canary-")
		s.hooks[id] = &hook{channel: channel, user: user}
		hookURL = s.URL + "/hook/" + id
	})
	return trigger, hookURL
}

func channelName(channel string) string {
	switch {
	case strings.HasPrefix(channel, "D"):
		return "directmessage"
	case strings.HasPrefix(channel, "G"):
		return "mpdm-a--b--c-1"
	}
	return "general"
}

// Slash types a slash command: Slash("C1", "U1", "/meet", "weekly").
func (s *Server) Slash(channel, user, command, text string) Act {
	trigger, hookURL := s.trigger(channel, user)
	fields := map[string]string{
		"token": "canary-verification-token", "team_id": Team, "team_domain": "team", "channel_id": channel, "channel_name": channelName(channel),
		"user_id": user, "user_name": s.name(user), "command": command, "text": text,
		"api_app_id": "A0APP", "is_enterprise_install": "false", "response_url": hookURL, "trigger_id": trigger,
	}
	form := url.Values{}
	payload := map[string]any{}
	for k, v := range fields {
		form.Set(k, v)
		payload[k] = v
	}
	return Act{slashKind, form, payload}
}

// SetResponseURL makes a slash command say another response_url than Slack's.
func (a Act) SetResponseURL(u string) {
	a.form.Set("response_url", u)
	a.payload.(map[string]any)["response_url"] = u
}

// Mention writes a message in which the bot is mentioned. Thread is empty outside of one.
func (s *Server) Mention(channel, thread, user, text string) (act Act, ts string) {
	s.change(func() { ts = s.ts() })
	event := reply{"type": "app_mention", "user": user, "text": text, "ts": ts, "channel": channel, "event_ts": ts}
	if thread != "" {
		event["thread_ts"] = thread
		s.change(func() { s.replied[channel+" "+thread] = true })
	}
	return Act{eventKind, nil, reply{
		"type": "event_callback", "team_id": Team, "api_app_id": "A0APP", "event_id": "Ev" + ts, "event_time": time.Now().Unix(), "event": event,
	}}, ts
}

// Shortcut uses the message shortcut on a message.
func (s *Server) Shortcut(channel, ts, thread, user, text string) Act {
	trigger, hookURL := s.trigger(channel, user)
	message := reply{"type": "message", "user": "U0OTHER", "ts": ts, "text": text}
	if thread != "" {
		message["thread_ts"] = thread
		s.change(func() { s.replied[channel+" "+thread] = true })
	}
	return Act{interactiveKind, nil, reply{
		"type": "message_action", "callback_id": "meet_about", "trigger_id": trigger, "response_url": hookURL, "message_ts": ts,
		"team": reply{"id": Team}, "user": reply{"id": user, "name": s.name(user), "team_id": Team},
		"channel": reply{"id": channel, "name": channelName(channel)}, "message": message,
	}}
}

// Click presses the button of m whose value contains the given text.
func (s *Server) Click(m Message, user, value string) (Act, error) {
	button, ok := findButton(m.Blocks, value)
	if !ok {
		return Act{}, fmt.Errorf("no button %q in %s", value, m.Blocks)
	}
	trigger, hookURL := s.trigger(m.Channel, user)
	container := reply{"type": "message", "message_ts": m.TS, "channel_id": m.Channel, "is_ephemeral": m.To != ""}
	message := reply{"type": "message", "ts": m.TS, "text": m.Text}
	if m.Team != "" {
		message["team"] = m.Team
	}
	if m.Thread != "" {
		container["thread_ts"], message["thread_ts"] = m.Thread, m.Thread
	}
	if m.Edits > 0 {
		message["edited"] = reply{"user": BotUser, "ts": fmt.Sprintf("%d.000000", m.Edits)}
	}
	button["action_ts"] = "1.1"
	return Act{interactiveKind, nil, reply{
		"type": "block_actions", "trigger_id": trigger, "response_url": hookURL, "container": container, "message": message,
		"team": reply{"id": Team}, "user": reply{"id": user, "username": s.name(user), "team_id": Team},
		"channel": reply{"id": m.Channel, "name": channelName(m.Channel)}, "actions": []any{button}, "state": reply{"values": reply{}},
	}}, nil
}

func findButton(blocks json.RawMessage, value string) (map[string]any, bool) {
	var all []struct {
		Type     string           `json:"type"`
		BlockID  string           `json:"block_id"`
		Elements []map[string]any `json:"elements"`
	}
	_ = json.Unmarshal(blocks, &all)
	for _, b := range all {
		if b.Type != "actions" {
			continue
		}
		for _, e := range b.Elements {
			if v, _ := e["value"].(string); v != "" && strings.Contains(v, value) {
				return map[string]any{"type": "button", "action_id": e["action_id"], "block_id": b.BlockID, "value": v, "text": e["text"]}, true
			}
		}
	}
	return nil, false
}

// Submit sends a form with the given values of its fields, by block_id. A field that is
// not given is sent as it was opened.
func (s *Server) Submit(v View, user string, values map[string]string) (Act, error) {
	var view map[string]any
	if err := json.Unmarshal(v.Payload, &view); err != nil {
		return Act{}, err
	}
	state := reply{}
	blocks, _ := view["blocks"].([]any)
	for _, raw := range blocks {
		b, _ := raw.(map[string]any)
		if b["type"] != "input" {
			continue
		}
		name, _ := b["block_id"].(string)
		e, _ := b["element"].(map[string]any)
		action, _ := e["action_id"].(string)
		given, ok := values[name]
		filled := reply{"type": e["type"]}
		switch e["type"] {
		case "static_select":
			selected, _ := e["initial_option"].(map[string]any)
			if ok {
				selected = map[string]any{"value": given, "text": reply{"type": "plain_text", "text": given}}
			}
			filled["selected_option"] = selected
		case "multi_static_select":
			all := []reply{}
			for _, v := range strings.FieldsFunc(given, func(r rune) bool { return r == ',' }) {
				all = append(all, reply{"value": v, "text": reply{"type": "plain_text", "text": v}})
			}
			filled["selected_options"] = all
		case "users_select":
			filled["selected_user"] = e["initial_user"]
			if ok {
				filled["selected_user"] = given
			}
		default:
			filled["value"] = e["initial_value"]
			if ok {
				filled["value"] = given
			}
		}
		state[name] = reply{action: filled}
	}
	view["id"], view["team_id"], view["state"] = v.ID, Team, reply{"values": state}
	trigger, _ := s.trigger("", user)
	return Act{interactiveKind, nil, reply{
		"type": "view_submission", "trigger_id": trigger, "team": reply{"id": Team},
		"user": reply{"id": user, "name": s.name(user), "team_id": Team}, "view": view,
	}}, nil
}
