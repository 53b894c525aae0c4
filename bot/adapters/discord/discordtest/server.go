// Package discordtest is a Discord for tests: the REST API, the gateway and the sender of
// signed HTTP interactions, as strict as the real one where it is known to be.
//
// It shares no code with the adapter. What it knows comes from Discord's documentation:
// who sees a message, that a first follow-up replaces a placeholder, that an interaction
// is acknowledged once, and the limits of what is sent.
package discordtest

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Flags of messages: https://docs.discord.com/developers/resources/message#message-object-message-flags
const (
	Ephemeral    = 1 << 6
	Loading      = 1 << 7
	ComponentsV2 = 1 << 15
)

// Token is the bot's token, ApplicationID its application and user.
const (
	Token         = "canary-bot-token-1f9a"
	ApplicationID = "700000000000000001"
	GuildID       = "600000000000000001"
)

// Server is one Discord.
type Server struct {
	// URL is the base of the REST API, without a version. It has a path, so that a client
	// that ignores it is found out.
	URL string
	// PublicKey, hex, is what interactions over HTTP are signed for.
	PublicKey string

	t       testing.TB
	private ed25519.PrivateKey
	now     func() time.Time
	http    *httptest.Server

	mu           sync.Mutex
	lastID       uint64
	messages     map[string]*Message
	order        []string
	threads      map[string]Thread
	interactions map[string]*Interaction
	nonces       map[string]string // channel, nonce: message
	direct       map[string]string // user: channel
	closed       map[string]bool   // users who take no direct messages
	denied       map[string]bool   // "POST /channels/{channel_id}/messages C1"
	commands     json.RawMessage
	members      map[string]Member
	app          Application
	guilds       []Guild
	calls        []Call
	fault        func(Call) *Fault
	problems     []string
	changed      chan struct{} // closed and replaced at every change

	gateway gateway
}

// Message is a message that people see.
type Message struct {
	ID, Channel string
	Flags       int
	User        string // of an ephemeral one: who sees it
	Body        json.RawMessage
	Nonce       string
	Files       []string
	Edits       int
	edited      string
}

// Ephemeral reports whether only one person sees it.
func (m Message) Ephemeral() bool { return m.Flags&Ephemeral != 0 }

// Loading reports whether it still says that the bot is thinking.
func (m Message) Loading() bool { return m.Flags&Loading != 0 }

// Text is everything that can be read or followed in the message.
func (m Message) Text() string {
	var all []string
	walk(m.Body, func(c map[string]any) {
		for _, key := range []string{"content", "label", "url", "custom_id", "description"} {
			if s, ok := c[key].(string); ok {
				all = append(all, s)
			}
		}
	})
	return strings.Join(all, "\n")
}

// Button returns the custom ID of the message's button with this label.
func (m Message) Button(label string) string {
	id := ""
	walk(m.Body, func(c map[string]any) {
		if s, ok := c["custom_id"].(string); ok && c["label"] == label {
			id = s
		}
	})
	return id
}

func walk(body json.RawMessage, visit func(map[string]any)) {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return
	}
	var each func(any)
	each = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			visit(v)
			for _, key := range []string{"components", "component", "accessory", "items", "media"} {
				each(v[key])
			}
		case []any:
			for _, inner := range v {
				each(inner)
			}
		}
	}
	each(v)
}

// Thread is a thread that was opened from a message; it has the message's ID.
type Thread struct{ ID, Parent, Name string }

// Member is a person's part in [GuildID].
type Member struct {
	Nick        string
	Permissions int64 // of the one role that the person has
}

// Application is what the token's application says of itself.
type Application struct {
	ID, Name, Key string
	Endpoint      string // where interactions are sent over HTTP; empty: over the gateway
	Private       bool   // nobody but its owner may add it to a server
}

// Guild is a server that the bot is in, and what it may do there.
type Guild struct {
	ID, Name    string
	Permissions int64
}

// Call is one REST call as it arrived.
type Call struct {
	Method string
	Route  string // with parameters in braces
	Path   string // as sent, escaped
	Args   []string
	Query  string
	Auth   string
	Body   json.RawMessage
	Files  []string
}

func (c Call) String() string { return c.Method + " " + c.Route }

// Fault replaces an answer, or loses it.
type Fault struct {
	Status int
	Code   int
	Header http.Header
	Body   string
	// Lose does what was asked and hangs up without an answer.
	Lose bool
	// Hold keeps the request until the channel is closed.
	Hold chan struct{}
}

// New starts a Server that stops with the test. A nil clock is the real one.
func New(t testing.TB, now func() time.Time) *Server {
	if now == nil {
		now = time.Now
	}
	public, private, err := ed25519.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		t: t, PublicKey: fmt.Sprintf("%x", []byte(public)), private: private, now: now,
		messages: map[string]*Message{}, threads: map[string]Thread{}, interactions: map[string]*Interaction{},
		nonces: map[string]string{}, direct: map[string]string{}, closed: map[string]bool{}, denied: map[string]bool{},
		members: map[string]Member{}, commands: json.RawMessage("[]"), changed: make(chan struct{}),
		app:    Application{ID: ApplicationID, Name: "meetbot", Key: fmt.Sprintf("%x", []byte(public))},
		guilds: []Guild{{GuildID, "Guild", 1<<40 - 1}},
	}
	s.gateway.init(s)
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	s.URL = s.http.URL + "/proxied/api"
	t.Cleanup(func() {
		s.gateway.close()
		s.http.CloseClientConnections()
		s.http.Close()
	})
	return s
}

// id makes the next snowflake.
func (s *Server) id() string {
	n := uint64(s.now().UnixMilli()-1420070400000) << 22
	s.lastID = max(s.lastID+1, n)
	return strconv.FormatUint(s.lastID, 10)
}

func (s *Server) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Until waits until the condition holds, and fails the test after ten seconds.
func (s *Server) Until(what string, holds func() bool) {
	s.t.Helper()
	limit := time.After(10 * time.Second)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Millisecond):
		case <-limit:
			s.t.Fatalf("%s: not within ten seconds", what)
		}
	}
}

// Fail decides, for each call, on a fault; nil goes through.
func (s *Server) Fail(f func(Call) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Deny lets calls of a route fail with Missing Permissions in one channel.
func (s *Server) Deny(route, channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[route+" "+channel] = true
}

// CloseDirect lets a person take no direct messages.
func (s *Server) CloseDirect(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed[user] = true
}

// Join makes somebody a member of [GuildID].
func (s *Server) Join(user string, m Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members[user] = m
}

// SetApplication changes what the application says of itself.
func (s *Server) SetApplication(change func(*Application)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.app)
}

// SetGuilds sets the servers that the bot is in.
func (s *Server) SetGuilds(guilds ...Guild) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guilds = guilds
}

// Calls returns what was called so far.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Called counts the calls of a route: "POST /channels/{channel_id}/messages".
func (s *Server) Called(route string) int {
	n := 0
	for _, c := range s.Calls() {
		if c.String() == route {
			n++
		}
	}
	return n
}

// Problems are requests that Discord would refuse or that should never be made.
func (s *Server) Problems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.problems)
}

// In returns what everybody sees in a channel or thread, oldest first.
func (s *Server) In(channel string) []Message {
	return s.list(func(m *Message) bool { return m.Channel == channel && !m.Ephemeral() })
}

// For returns what only this person sees: ephemeral messages, and direct messages.
func (s *Server) For(user string) []Message {
	return s.list(func(m *Message) bool { return m.User == user })
}

// All returns every message.
func (s *Server) All() []Message { return s.list(func(*Message) bool { return true }) }

// Message returns one message.
func (s *Server) Message(id string) Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.messages[id]; m != nil {
		return *m
	}
	return Message{}
}

func (s *Server) list(want func(*Message) bool) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Message
	for _, id := range s.order {
		if m := s.messages[id]; m != nil && want(m) {
			all = append(all, *m)
		}
	}
	return all
}

// Delete removes a message, as a moderator would.
func (s *Server) Delete(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.messages, id)
}

// Threads returns the threads of a channel.
func (s *Server) Threads(channel string) []Thread {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Thread
	for _, id := range s.order {
		if t, ok := s.threads[id]; ok && t.Parent == channel {
			all = append(all, t)
		}
	}
	return all
}

// Registered returns the registered commands.
func (s *Server) Registered() json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commands
}

var routes = []string{
	"POST /interactions/{interaction_id}/{interaction_token}/callback",
	"GET /webhooks/{application_id}/{interaction_token}/messages/{message_id}",
	"PATCH /webhooks/{application_id}/{interaction_token}/messages/{message_id}",
	"POST /webhooks/{application_id}/{interaction_token}",
	"POST /channels/{channel_id}/messages",
	"GET /channels/{channel_id}/messages",
	"PATCH /channels/{channel_id}/messages/{message_id}",
	"POST /channels/{channel_id}/messages/{message_id}/threads",
	"POST /users/@me/channels",
	"GET /users/@me/guilds",
	"GET /guilds/{guild_id}",
	"GET /guilds/{guild_id}/members/{user_id}",
	"GET /gateway/bot",
	"GET /users/@me",
	"GET /applications/@me",
	"GET /applications/{application_id}/commands",
	"PUT /applications/{application_id}/commands",
	"GET /applications/{application_id}/guilds/{guild_id}/commands",
	"PUT /applications/{application_id}/guilds/{guild_id}/commands",
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/gateway") {
		s.gateway.serve(w, r)
		return
	}
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/proxied/api/v9")
	if !ok {
		s.problem("call outside of the configured base: %s", r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	c := Call{Method: r.Method, Path: path, Query: r.URL.RawQuery, Auth: r.Header.Get("Authorization")}
	for _, route := range routes {
		method, template, _ := strings.Cut(route, " ")
		if args, ok := match(template, path); ok && method == r.Method {
			c.Route, c.Args = template, args
			break
		}
	}
	if c.Route == "" {
		s.problem("unknown call: %s %s", r.Method, path)
		fail(w, http.StatusNotFound, 0)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the bot has hung up, as it does when it stops
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if !c.read(r) {
		s.problem("%s: body cannot be read", c)
		fail(w, http.StatusBadRequest, 50109)
		return
	}
	byToken := strings.Contains(c.Route, "{interaction_token}")
	if byToken == (c.Auth != "") || !byToken && c.Auth != "Bot "+Token {
		s.problem("%s: wrong authorization", c)
		fail(w, http.StatusUnauthorized, 0)
		return
	}

	s.mu.Lock()
	s.calls = append(s.calls, c)
	fault := s.fault
	s.mu.Unlock()
	if fault != nil {
		if f := fault(c); f != nil {
			if f.Hold != nil {
				select {
				case <-f.Hold:
				case <-r.Context().Done():
				}
			}
			if f.Lose {
				s.handle(httptest.NewRecorder(), c)
				panic(http.ErrAbortHandler)
			}
			if f.Status != 0 {
				for k, v := range f.Header {
					w.Header()[k] = v
				}
				if f.Body != "" {
					w.WriteHeader(f.Status)
					_, _ = io.WriteString(w, f.Body)
					return
				}
				fail(w, f.Status, f.Code)
				return
			}
		}
	}
	s.handle(w, c)
}

func match(template, path string) ([]string, bool) {
	t, p := strings.Split(template, "/"), strings.Split(path, "/")
	if len(t) != len(p) {
		return nil, false
	}
	var args []string
	for i := range t {
		switch {
		case strings.HasPrefix(t[i], "{"):
			args = append(args, p[i])
		case t[i] != p[i]:
			return nil, false
		}
	}
	return args, true
}

// read takes the body out of JSON or a form with files.
func (c *Call) read(r *http.Request) bool {
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		b, err := io.ReadAll(r.Body)
		c.Body = b
		return err == nil && json.Valid(b)
	case "multipart/form-data":
		parts := multipart.NewReader(r.Body, params["boundary"])
		for {
			p, err := parts.NextPart()
			if err != nil {
				return err == io.EOF && json.Valid(c.Body)
			}
			b, err := io.ReadAll(p)
			if err != nil {
				return false
			}
			if p.FormName() == "payload_json" {
				c.Body = b
			} else {
				c.Files = append(c.Files, p.FileName())
			}
		}
	}
	return r.ContentLength == 0
}

func (s *Server) problem(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problemLocked(format, args...)
}

func (s *Server) problemLocked(format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

func fail(w http.ResponseWriter, status, code int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"message":"%s","code":%d}`, http.StatusText(status), code)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (s *Server) handle(w http.ResponseWriter, c Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.touch()
	if len(c.Args) > 0 && s.denied[c.String()+" "+c.Args[0]] {
		fail(w, http.StatusForbidden, 50013)
		return
	}
	switch c.String() {
	case "POST /interactions/{interaction_id}/{interaction_token}/callback":
		s.callback(w, c)
	case "GET /webhooks/{application_id}/{interaction_token}/messages/{message_id}":
		if m := s.original(w, c); m != nil {
			answer(w, m.wire())
		}
	case "PATCH /webhooks/{application_id}/{interaction_token}/messages/{message_id}":
		if m := s.original(w, c); m != nil && s.put(w, m, c) {
			m.Flags &^= Loading
			answer(w, m.wire())
		}
	case "POST /webhooks/{application_id}/{interaction_token}":
		s.followUp(w, c)
	case "POST /channels/{channel_id}/messages":
		s.create(w, c)
	case "GET /channels/{channel_id}/messages":
		answer(w, s.history(c))
	case "PATCH /channels/{channel_id}/messages/{message_id}":
		m := s.messages[c.Args[1]]
		if m == nil || m.Channel != c.Args[0] || m.Ephemeral() {
			fail(w, http.StatusNotFound, 10008)
		} else if s.put(w, m, c) {
			answer(w, m.wire())
		}
	case "POST /channels/{channel_id}/messages/{message_id}/threads":
		s.thread(w, c)
	case "POST /users/@me/channels":
		var body struct {
			Recipient string `json:"recipient_id"`
		}
		_ = json.Unmarshal(c.Body, &body)
		answer(w, map[string]string{"id": s.directChannel(body.Recipient)})
	case "GET /users/@me/guilds":
		all := []any{}
		for _, g := range s.guilds {
			all = append(all, map[string]string{"id": g.ID, "name": g.Name, "permissions": strconv.FormatInt(g.Permissions, 10)})
		}
		answer(w, all)
	case "GET /guilds/{guild_id}":
		roles := []any{map[string]string{"id": GuildID, "permissions": "1024"}}
		for user, m := range s.members {
			roles = append(roles, map[string]string{"id": user + "1", "permissions": strconv.FormatInt(m.Permissions, 10)})
		}
		answer(w, map[string]any{"id": GuildID, "owner_id": "1", "roles": roles})
	case "GET /guilds/{guild_id}/members/{user_id}":
		m, ok := s.members[c.Args[1]]
		if !ok {
			fail(w, http.StatusNotFound, 10007)
			return
		}
		answer(w, map[string]any{"nick": m.Nick, "roles": []string{c.Args[1] + "1"}, "user": map[string]string{"id": c.Args[1], "username": "user" + c.Args[1]}})
	case "GET /applications/@me":
		app := map[string]any{"id": s.app.ID, "name": s.app.Name, "verify_key": s.app.Key, "interactions_endpoint_url": nil, "bot_public": !s.app.Private}
		if s.app.Endpoint != "" {
			app["interactions_endpoint_url"] = s.app.Endpoint
		}
		answer(w, app)
	case "GET /users/@me":
		answer(w, map[string]any{"id": ApplicationID, "bot": true})
	case "GET /gateway/bot":
		answer(w, s.gateway.info())
	default: // registration
		if c.Method == http.MethodPut {
			s.commands = c.Body
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(s.commands)
	}
}

// history is what follows a message in a channel, newest first.
func (s *Server) history(c Call) []any {
	q, _ := url.ParseQuery(c.Query)
	after, _ := strconv.ParseUint(q.Get("after"), 10, 64)
	limit, _ := strconv.Atoi(q.Get("limit"))
	found := []any{}
	for _, id := range s.order {
		n, _ := strconv.ParseUint(id, 10, 64)
		if m := s.messages[id]; m != nil && m.Channel == c.Args[0] && !m.Ephemeral() && n > after && len(found) < limit {
			found = append(found, m.wire())
		}
	}
	slices.Reverse(found)
	return found
}

// Chat lets people write n messages into a channel.
func (s *Server) Chat(channel string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.add(&Message{Channel: channel, Body: json.RawMessage(`{}`)})
	}
}

func (s *Server) directChannel(user string) string {
	if s.direct[user] == "" {
		s.direct[user] = s.id()
	}
	return s.direct[user]
}

// wire is the message as Discord gives it out.
func (m Message) wire() map[string]any {
	out := map[string]any{
		"id": m.ID, "channel_id": m.Channel, "flags": m.Flags, "content": "",
		"author": map[string]any{"id": ApplicationID, "bot": true}, "application_id": ApplicationID,
	}
	if m.edited != "" {
		out["edited_timestamp"] = m.edited
	}
	var body map[string]json.RawMessage
	if json.Unmarshal(m.Body, &body) == nil && body["components"] != nil {
		out["components"] = body["components"]
	}
	return out
}

func (s *Server) add(m *Message) *Message {
	m.ID = s.id()
	s.messages[m.ID] = m
	s.order = append(s.order, m.ID)
	return m
}

// put replaces what a message shows. It reports whether Discord takes it.
func (s *Server) put(w http.ResponseWriter, m *Message, c Call) bool {
	if fault := CheckMessage(c.Body, c.Files); fault != "" {
		s.problemLocked("%s: %s", c, fault)
		fail(w, http.StatusBadRequest, 50035)
		return false
	}
	m.Body, m.Files = c.Body, c.Files
	m.Flags |= ComponentsV2
	m.Edits++
	m.edited = s.now().Add(time.Duration(m.Edits) * time.Millisecond).UTC().Format(time.RFC3339Nano)
	return true
}

func (s *Server) create(w http.ResponseWriter, c Call) {
	var body struct {
		Nonce   string `json:"nonce"`
		Enforce bool   `json:"enforce_nonce"`
	}
	_ = json.Unmarshal(c.Body, &body)
	channel := c.Args[0]
	user := ""
	for u, id := range s.direct {
		if id == channel {
			user = u
		}
	}
	if s.closed[user] {
		fail(w, http.StatusForbidden, 50007)
		return
	}
	key := channel + " " + body.Nonce
	if m := s.messages[s.nonces[key]]; m != nil && body.Enforce && body.Nonce != "" {
		answer(w, m.wire())
		return
	}
	if len(body.Nonce) > 25 {
		s.problemLocked("%s: nonce of %d characters", c, len(body.Nonce))
	}
	m := &Message{Channel: channel, Nonce: body.Nonce, User: user}
	if !s.put(w, m, c) {
		return
	}
	m.Edits, m.edited = 0, ""
	s.nonces[key] = s.add(m).ID
	answer(w, m.wire())
}

// ForgetNonces is the passing of the minutes for which Discord remembers them.
func (s *Server) ForgetNonces() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.nonces)
}

func (s *Server) thread(w http.ResponseWriter, c Call) {
	var body struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(c.Body, &body)
	m := s.messages[c.Args[1]]
	_, exists := s.threads[c.Args[1]]
	switch {
	case m == nil || m.Channel != c.Args[0]:
		fail(w, http.StatusNotFound, 10008)
	case m.Ephemeral():
		s.problemLocked("%s: from an ephemeral message", c)
		fail(w, http.StatusBadRequest, 50068)
	case exists:
		fail(w, http.StatusBadRequest, 160004)
	case body.Name == "" || len([]rune(body.Name)) > 100:
		s.problemLocked("%s: name of %d characters", c, len([]rune(body.Name)))
		fail(w, http.StatusBadRequest, 50035)
	default:
		s.threads[m.ID] = Thread{ID: m.ID, Parent: c.Args[0], Name: body.Name}
		answer(w, map[string]string{"id": m.ID})
	}
}
