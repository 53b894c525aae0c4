package discordtest

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"
)

// Kinds of channels: https://docs.discord.com/developers/resources/channel#channel-object-channel-types
const (
	Text         = 0
	Direct       = 1
	Voice        = 2
	PublicThread = 11
)

// Permissions: https://docs.discord.com/developers/topics/permissions
const (
	ManageGuild  = 1 << 5
	ManageEvents = 1 << 33
	CreateEvents = 1 << 44
	// Invited is what the bot has after an invitation.
	Invited = 1<<10 | 1<<11 | 1<<15 | 1<<16 | 1<<35 | 1<<38
)

// Where is where somebody does something.
type Where struct {
	Channel     string
	Kind        int
	Parent      string // of a thread: the channel
	Guild       string // empty: [GuildID]
	App         int64  // what the bot may do there
	Permissions int64  // what the person may do there
}

// Interaction is something that somebody did, and what became of it.
type Interaction struct {
	ID, Token string
	Payload   json.RawMessage
	User      string
	Where     Where
	// Ack is the first response; its type is 0 before there is one.
	Ack Ack

	created time.Time
	message string // the first response, once it is a message
	kind    int
}

// Ack is a first response.
type Ack struct {
	Type int             `json:"type"`
	Data json.RawMessage `json:"data"`
}

// Flags of the response's message.
func (a Ack) Flags() int {
	var d struct {
		Flags int `json:"flags"`
	}
	_ = json.Unmarshal(a.Data, &d)
	return d.Flags
}

// InGuild is a text channel of [GuildID] where everybody may do everything.
func InGuild(channel string) Where {
	return Where{Channel: channel, Kind: Text, App: Invited, Permissions: ManageEvents | ManageGuild}
}

// InThread is a thread of such a channel.
func InThread(thread, parent string) Where {
	w := InGuild(thread)
	w.Kind, w.Parent = PublicThread, parent
	return w
}

// InDirect is a direct conversation with the bot.
func InDirect(channel string) Where { return Where{Channel: channel, Kind: Direct} }

// Option is a typed option that was given. Value is a string, an int or a bool.
type Option struct {
	Name    string
	Value   any
	Focused bool
}

// Command makes a person's command. A sub-command follows the name after a blank.
func (s *Server) Command(user string, w Where, locale, name string, options ...Option) *Interaction {
	return s.command(2, user, w, locale, name, options)
}

// Complete makes an interaction of somebody typing an option.
func (s *Server) Complete(user string, w Where, name string, options ...Option) *Interaction {
	return s.command(4, user, w, "en-US", name, options)
}

func (s *Server) command(kind int, user string, w Where, locale, line string, options []Option) *Interaction {
	name, sub := line, ""
	for i := range line {
		if line[i] == ' ' {
			name, sub = line[:i], line[i+1:]
			break
		}
	}
	given := []any{}
	for _, o := range options {
		t := 3
		switch o.Value.(type) {
		case int:
			t = 4
		case bool:
			t = 5
		}
		v := map[string]any{"name": o.Name, "type": t, "value": o.Value}
		if o.Focused {
			v["focused"] = true
		}
		given = append(given, v)
	}
	if sub != "" {
		given = []any{map[string]any{"name": sub, "type": 1, "options": given}}
	}
	return s.interaction(kind, user, w, locale, nil, map[string]any{"id": "1", "name": name, "type": 1, "options": given})
}

// Click makes the press of a button on a message.
func (s *Server) Click(user string, w Where, message, customID string) *Interaction {
	s.mu.Lock()
	m := Message{ID: message, Channel: w.Channel}
	if found := s.messages[message]; found != nil {
		m = *found
	}
	s.mu.Unlock()
	return s.interaction(3, user, w, "en-US", m.wire(), map[string]any{"custom_id": customID, "component_type": 2})
}

// Submit makes the sending of a form. A value that is a []string was chosen.
func (s *Server) Submit(user string, w Where, customID string, fields map[string]any) *Interaction {
	rows := []any{}
	for name, v := range fields {
		input := map[string]any{"type": 4, "custom_id": name, "value": v}
		if chosen, ok := v.([]string); ok {
			input = map[string]any{"type": 3, "custom_id": name, "values": chosen}
		}
		rows = append(rows, map[string]any{"type": 18, "component": input})
	}
	return s.interaction(5, user, w, "en-US", nil, map[string]any{"custom_id": customID, "components": rows})
}

func (s *Server) interaction(kind int, user string, w Where, locale string, message, data map[string]any) *Interaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := &Interaction{ID: s.id(), User: user, Where: w, created: s.now(), kind: kind}
	in.Token = "canary-interaction-token-" + in.ID
	person := map[string]any{"id": user, "username": "user" + user, "global_name": "Person " + user}
	channel := map[string]any{"id": w.Channel, "type": w.Kind}
	if w.Parent != "" {
		channel["parent_id"] = w.Parent
	}
	payload := map[string]any{
		"id": in.ID, "application_id": ApplicationID, "type": kind, "token": in.Token, "version": 1, "locale": locale,
		"channel_id": w.Channel, "channel": channel, "data": data, "app_permissions": strconv.FormatInt(w.App, 10), "entitlements": []any{},
	}
	if w.Kind == Direct {
		payload["user"], payload["context"] = person, 1
		s.direct[user] = w.Channel
	} else {
		payload["guild_id"], payload["context"] = cmp.Or(w.Guild, GuildID), 0
		payload["member"] = map[string]any{"user": person, "nick": nil, "roles": []string{"77"}, "permissions": strconv.FormatInt(w.Permissions, 10)}
	}
	if message != nil {
		payload["message"] = message
	}
	in.Payload, _ = json.Marshal(payload)
	s.interactions[in.ID] = in
	return in
}

// AckNow returns the first response, and does not wait for it: its type is 0 before there
// is one.
func (s *Server) AckNow(in *Interaction) Ack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return in.Ack
}

// Acked waits for the first response and returns it.
func (s *Server) Acked(in *Interaction) Ack {
	s.t.Helper()
	var ack Ack
	s.Until("acknowledgement of "+in.ID, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		ack = in.Ack
		return ack.Type != 0
	})
	return ack
}

// callback takes a first response over REST.
func (s *Server) callback(w http.ResponseWriter, c Call) {
	in := s.interactions[c.Args[0]]
	if in == nil || in.Token != c.Args[1] || s.now().Sub(in.created) > 3*time.Second {
		fail(w, http.StatusNotFound, 10062)
		return
	}
	if in.Ack.Type != 0 {
		fail(w, http.StatusBadRequest, 40060)
		return
	}
	if fault := s.acknowledge(in, c); fault != "" {
		s.problemLocked("%s: %s", c, fault)
		fail(w, http.StatusBadRequest, 50035)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) acknowledge(in *Interaction, c Call) string {
	var ack Ack
	if json.Unmarshal(c.Body, &ack) != nil {
		return "unreadable"
	}
	if fault := checkCallback(in.kind, ack, c); fault != "" {
		return fault
	}
	in.Ack = ack
	if ack.Type == 4 || ack.Type == 5 {
		m := &Message{Channel: in.Where.Channel, Flags: ack.Flags() & Ephemeral, Body: ack.Data, Files: c.Files}
		if m.Ephemeral() || in.Where.Kind == Direct {
			m.User = in.User
		}
		if ack.Type == 5 {
			m.Flags |= Loading
		}
		in.message = s.add(m).ID
	}
	return ""
}

// byToken finds the interaction of a call that is made with its token.
func (s *Server) byToken(w http.ResponseWriter, c Call) *Interaction {
	for _, in := range s.interactions {
		if in.Token != c.Args[1] {
			continue
		}
		switch {
		case in.Ack.Type == 0:
			fail(w, http.StatusNotFound, 10015)
			return nil
		case s.now().Sub(in.created) > 15*time.Minute:
			fail(w, http.StatusUnauthorized, 50027)
			return nil
		}
		return in
	}
	fail(w, http.StatusNotFound, 10015)
	return nil
}

func (s *Server) original(w http.ResponseWriter, c Call) *Message {
	in := s.byToken(w, c)
	if in == nil {
		return nil
	}
	id := in.message
	if c.Args[2] != "@original" {
		id = c.Args[2]
	}
	m := s.messages[id]
	if m == nil {
		fail(w, http.StatusNotFound, 10008)
	}
	return m
}

// followUp adds a message, except that the first one after a deferred response replaces
// the placeholder, whoever sees that.
func (s *Server) followUp(w http.ResponseWriter, c Call) {
	in := s.byToken(w, c)
	if in == nil {
		return
	}
	if m := s.messages[in.message]; m != nil && m.Loading() {
		s.problemLocked("%s: a follow-up in place of a placeholder", c)
		if s.put(w, m, c) {
			m.Flags &^= Loading
			answer(w, m.wire())
		}
		return
	}
	var body struct {
		Flags int `json:"flags"`
	}
	_ = json.Unmarshal(c.Body, &body)
	m := &Message{Channel: in.Where.Channel, Flags: body.Flags & Ephemeral}
	if m.Ephemeral() || in.Where.Kind == Direct {
		m.User = in.User
	}
	if !s.put(w, m, c) {
		return
	}
	m.Edits, m.edited = 0, ""
	s.add(m)
	answer(w, m.wire())
}

// Sign returns a signed request of an interaction, or of anything else.
func (s *Server) Sign(url string, body []byte, at time.Time) *http.Request {
	r := httptest.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	r.RequestURI = ""
	timestamp := strconv.FormatInt(at.Unix(), 10)
	signature := ed25519.Sign(s.private, append([]byte(timestamp), body...))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Signature-Timestamp", timestamp)
	r.Header.Set("X-Signature-Ed25519", fmt.Sprintf("%x", signature))
	return r
}

// Post sends an interaction over HTTP and takes the answer as its first response. It
// returns the status.
func (s *Server) Post(client *http.Client, url string, in *Interaction) int {
	s.t.Helper()
	resp, err := client.Do(s.Sign(url, in.Payload, s.now()))
	if err != nil {
		s.t.Error(err)
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Error(err)
	}
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode
	}
	r := &http.Request{Header: resp.Header, Body: io.NopCloser(bytes.NewReader(b)), ContentLength: int64(len(b))}
	c := Call{Method: http.MethodPost, Route: "/interactions/{interaction_id}/{interaction_token}/callback", Args: []string{in.ID, in.Token}}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.touch()
	if !c.read(r) {
		s.problemLocked("HTTP answer: body cannot be read")
	} else if in.Ack.Type == 0 {
		s.calls = append(s.calls, c)
		if fault := s.acknowledge(in, c); fault != "" {
			s.problemLocked("HTTP answer: %s", fault)
		}
	}
	return resp.StatusCode
}
