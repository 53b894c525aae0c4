// Package slacktest is a Slack workspace that runs inside a test: the Web API, Socket
// Mode, response_urls, file uploads, and people who type commands, press buttons and send
// forms over either transport.
//
// It is strict where Slack is: tokens, scopes, membership, the uses of a response_url and
// of a trigger_id, the limits of Block Kit. Faults can be put in the way of every method.
// It shares no code with the adapter.
package slacktest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// Tokens that a new [Server] knows.
const (
	BotToken      = "xoxb-canary-bot-token"
	AppToken      = "xapp-canary-app-token"
	SigningSecret = "canary-signing-secret"
	ClientID      = "1337.42"
	ClientSecret  = "canary-client-secret"

	Team    = "T0TEAM"
	BotUser = "U0BOT"
	BotName = "meetbot"
)

// Message is something that was posted.
type Message struct {
	Team    string // of the token that it was posted with
	Channel string
	TS      string
	Thread  string // thread_ts; empty for a message in the channel
	To      string // the one person who sees it; empty: everybody
	Hook    bool   // posted through a response_url
	Text    string
	Blocks  json.RawMessage
	Key     string // of its metadata
	Edits   int
	File    string // ID of an uploaded file
}

// View is a form that was opened.
type View struct {
	ID      string
	User    string
	Payload json.RawMessage
}

// Upload is a file that was shared.
type Upload struct {
	ID, Name, Channel, Thread, Comment string
	Content                            []byte
}

// User is a person.
type User struct {
	ID, Name, Locale, Team string // Team empty: the workspace's own
	Guest, Stranger, Bot   bool
	Enterprise             string
}

// Fault is what happens to a call instead of, or besides, its work.
type Fault struct {
	Error      string        // Slack's error code
	Status     int           // an HTTP status with an HTML body
	RetryAfter int           // seconds, with status 429
	Lost       bool          // the work is done, and the connection is cut before the answer
	Delay      time.Duration // before anything else
}

// Call is a request to the Web API or a response_url.
type Call struct {
	Method string
	Form   url.Values
	Body   []byte // of a JSON request
}

type hook struct {
	channel, user string
	uses          int
	expired       bool
}

// Server is the workspace. Its fields are set before it is used.
type Server struct {
	*httptest.Server

	mu       sync.Mutex
	changed  chan struct{}
	scopes   []string
	revoked  bool
	tokens   map[string]*grant // by bot token
	codes    map[string]Install
	refresh  map[string]*grant // by refresh token
	grace    bool              // a refresh token that was used works once more
	absent   map[string]bool   // channels that the bot is not in, by workspace
	users    map[string]User
	groups   map[string][]string
	messages []Message
	views    []View
	uploads  []Upload
	calls    []Call
	faults   map[string][]Fault
	replied  map[string]bool // channel and ts of messages that people have replied to
	hooks    map[string]*hook
	triggers map[string]string // trigger_id → user; single use
	files    map[string]*Upload
	conns    map[*conn]bool
	acks     map[string]chan []byte
	serial   int

	strangers atomic.Int64
}

// Strangers has Slack count connections that others have opened for the app.
func (s *Server) Strangers(n int) { s.strangers.Store(int64(n)) }

// New starts a workspace in which the app has the given scopes.
func New(scopes ...string) *Server {
	s := &Server{
		changed: make(chan struct{}), scopes: scopes,
		absent: map[string]bool{}, users: map[string]User{}, groups: map[string][]string{}, faults: map[string][]Fault{},
		replied: map[string]bool{}, hooks: map[string]*hook{}, triggers: map[string]string{}, files: map[string]*Upload{},
		conns: map[*conn]bool{}, acks: map[string]chan []byte{},
	}
	s.tokens = map[string]*grant{BotToken: {Install: Install{Team: Team, Name: "Team"}, user: BotUser}}
	s.codes, s.refresh = map[string]Install{}, map[string]*grant{}
	mux := http.NewServeMux()
	mux.HandleFunc("/api/{method}", s.serveAPI)
	mux.HandleFunc("/hook/{id}", s.serveHook)
	mux.HandleFunc("/upload/{id}", s.serveUpload)
	mux.HandleFunc("/socket", s.serveSocket)
	s.Server = httptest.NewServer(mux)
	return s
}

// DefaultScopes are the ones that the bot cannot do without.
var DefaultScopes = []string{"commands", "chat:write", "im:write", "users:read"}

// APIURL is the base of the Web API.
func (s *Server) APIURL() string { return s.URL + "/api/" }

// Close ends all connections.
func (s *Server) Close() {
	s.DropConnections()
	s.CloseClientConnections()
	s.Server.Close()
}

func (s *Server) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Wait returns when done reports true, which is asked after every change.
func (s *Server) Wait(ctx context.Context, done func() bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if done() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Revoke makes Slack refuse the tokens from now on.
func (s *Server) Revoke() { s.change(func() { s.revoked = true }) }

// Leave takes the bot out of a channel.
func (s *Server) Leave(channel string) { s.change(func() { s.absent[in(Team, channel)] = true }) }

// SetUser adds a person. Everybody else is a full member whose locale is en-US.
func (s *Server) SetUser(u User) { s.SetUserIn(Team, u) }

// name is what somebody is called in the bot's own workspace.
func (s *Server) name(user string) (name string) {
	s.change(func() { name = s.user(Team, user).Name })
	return name
}

func (s *Server) user(team, id string) User {
	if u, ok := s.users[in(team, id)]; ok {
		return u
	}
	return User{ID: id, Name: strings.ToLower(id), Locale: "en-US"}
}

// SetUserIn adds a person to another workspace.
func (s *Server) SetUserIn(team string, u User) { s.change(func() { s.users[in(team, u.ID)] = u }) }

// SetGroup sets the members of a user group.
func (s *Server) SetGroup(id string, members ...string) {
	s.SetGroupIn(Team, id, members...)
}

// SetGroupIn sets the members of a user group of another workspace.
func (s *Server) SetGroupIn(team, id string, members ...string) {
	s.change(func() { s.groups[in(team, id)] = members })
}

// Fail puts faults in the way of the next calls of a method, in their order. The method
// "response_url" is every response_url.
func (s *Server) Fail(method string, faults ...Fault) {
	s.change(func() { s.faults[method] = append(s.faults[method], faults...) })
}

// Messages returns what was posted so far, in order.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Views returns the forms that were opened.
func (s *Server) Views() []View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.views)
}

// Uploads returns the files that were shared.
func (s *Server) Uploads() []Upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.uploads)
}

// Calls returns the requests of a method; an empty method: all.
func (s *Server) Calls(method string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var calls []Call
	for _, c := range s.calls {
		if method == "" || c.Method == method {
			calls = append(calls, c)
		}
	}
	return calls
}

// ExpireHooks ends the life of every response_url given out so far.
func (s *Server) ExpireHooks() {
	s.change(func() {
		for _, h := range s.hooks {
			h.expired = true
		}
	})
}

func (s *Server) next(prefix string) string {
	s.serial++
	return prefix + strconv.Itoa(s.serial)
}

func (s *Server) ts() string {
	s.serial++
	return fmt.Sprintf("%d.%06d", time.Now().Unix(), s.serial)
}

func (s *Server) fault(method string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults[method]) == 0 {
		return Fault{}
	}
	f := s.faults[method][0]
	s.faults[method] = s.faults[method][1:]
	return f
}

type reply map[string]any

func refuse(code string) reply { return reply{"ok": false, "error": code} }

func answer(w http.ResponseWriter, r reply) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(r)
}

// hang reports whether the fault has already answered.
func (f Fault) before(w http.ResponseWriter, r *http.Request) bool {
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
			return true
		}
	}
	switch {
	case f.RetryAfter > 0:
		w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	case f.Status > 0:
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, "<html>not today</html>")
		return true
	case f.Error != "":
		answer(w, refuse(f.Error))
		return true
	}
	return false
}

func cutConnection(w http.ResponseWriter) {
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = c.Close()
	}
}

// needs are the scopes of the methods, one of which is enough.
var needs = map[string][]string{
	"chat.postMessage": {"chat:write"}, "chat.postEphemeral": {"chat:write"}, "chat.update": {"chat:write"},
	"conversations.open": {"im:write"}, "users.info": {"users:read"}, "usergroups.users.list": {"usergroups:read"},
	"files.getUploadURLExternal": {"files:write"}, "files.completeUploadExternal": {"files:write"},
	"conversations.history": {"channels:history", "groups:history", "im:history", "mpim:history"},
	"conversations.replies": {"channels:history", "groups:history", "im:history", "mpim:history"},
}

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	method := r.PathValue("method")
	body, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return
	}
	form := url.Values{}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, _ = url.ParseQuery(string(body))
		if t := form.Get("token"); t != "" {
			token = t
		}
	}
	s.change(func() { s.calls = append(s.calls, Call{method, form, body}) })
	if method == "oauth.v2.access" {
		s.serveOAuth(w, r, form)
		return
	}
	s.mu.Lock()
	revoked, scopes, of := s.revoked, s.scopes, s.tokens[token]
	if of != nil && of.team() == Team { // the only one where nothing else is said
		revoked = revoked || of.revoked
	} else if of != nil {
		revoked = of.revoked
	}
	expired := of != nil && of.expires != (time.Time{}) && time.Now().After(of.expires)
	s.mu.Unlock()
	refused := of == nil
	if method == "apps.connections.open" {
		refused = token != AppToken
	}
	w.Header().Set("X-OAuth-Scopes", strings.Join(scopes, ","))
	if need := needs[method]; refused || revoked || expired {
		code := "invalid_auth"
		if expired {
			code = "token_expired"
		}
		if revoked {
			code = "token_revoked"
		}
		answer(w, refuse(code))
		return
	} else if need != nil && !slices.ContainsFunc(need, func(n string) bool { return slices.Contains(scopes, n) }) {
		answer(w, reply{"ok": false, "error": "missing_scope", "needed": need[0], "provided": strings.Join(scopes, ",")})
		return
	}
	f := s.fault(method)
	if f.before(w, r) {
		return
	}
	var out reply
	s.change(func() { out = s.method(of, method, form, body) })
	if f.Lost {
		cutConnection(w)
		return
	}
	answer(w, out)
}

func (s *Server) method(of *grant, method string, form url.Values, body []byte) reply {
	switch method {
	case "auth.test":
		r := reply{"ok": true, "url": s.URL, "team": of.Name, "team_id": of.team(), "user": BotName, "user_id": of.user, "bot_id": "B0BOT"}
		if of.Enterprise != "" {
			r["enterprise_id"] = of.Enterprise
		}
		return r
	case "apps.uninstall":
		if form.Get("client_id") != ClientID || form.Get("client_secret") != ClientSecret {
			return refuse("invalid_client_id")
		}
		s.revokeAll(of.team())
		return reply{"ok": true}
	case "apps.connections.open":
		return reply{"ok": true, "url": "ws" + strings.TrimPrefix(s.URL, "http") + "/socket?ticket=canary-ticket-" + rand.Text()}
	case "chat.postMessage", "chat.postEphemeral":
		return s.post(of, method, form)
	case "chat.update":
		return s.update(of, form)
	case "conversations.open":
		return reply{"ok": true, "channel": reply{"id": "D" + of.suffix() + form.Get("users")}}
	case "users.info":
		return s.userInfo(of, form.Get("user"))
	case "usergroups.users.list":
		team := of.Team
		if team == "" { // an organisation's token is of several workspaces
			if team = form.Get("team_id"); team == "" {
				return refuse("missing_argument")
			}
		}
		members, ok := s.groups[in(team, form.Get("usergroup"))]
		if !ok {
			return refuse("no_such_subteam")
		}
		return reply{"ok": true, "users": members}
	case "views.open":
		return s.openView(body)
	case "conversations.history", "conversations.replies":
		return s.history(of, method, form)
	case "files.getUploadURLExternal":
		id := s.next("F")
		s.files[id] = &Upload{ID: id, Name: form.Get("filename")}
		return reply{"ok": true, "file_id": id, "upload_url": s.URL + "/upload/" + id}
	case "files.completeUploadExternal":
		return s.completeUpload(of, form)
	}
	return refuse("unknown_method")
}

// closed says why the bot may not post to a channel; empty if it may.
func (s *Server) closed(of *grant, channel string, ephemeral bool) string {
	absent := s.absent[in(of.team(), channel)]
	switch {
	case channel == "":
		return "channel_not_found"
	case absent && strings.HasPrefix(channel, "C") && (ephemeral || !slices.Contains(s.scopes, "chat:write.public")):
		return "not_in_channel"
	case absent && !strings.HasPrefix(channel, "C"):
		return "channel_not_found"
	}
	return ""
}

func (s *Server) post(of *grant, method string, form url.Values) reply {
	m := Message{Team: of.team(), Channel: form.Get("channel"), Thread: form.Get("thread_ts"), Text: form.Get("text"), Blocks: json.RawMessage(form.Get("blocks"))}
	ephemeral := method == "chat.postEphemeral"
	if code := s.closed(of, m.Channel, ephemeral); code != "" {
		return refuse(code)
	}
	if fault := CheckMessage(m.Text, m.Blocks); fault != "" {
		return reply{"ok": false, "error": "invalid_blocks", "response_metadata": reply{"messages": []string{fault}}}
	}
	if form.Get("unfurl_links") != "false" && method == "chat.postMessage" {
		return refuse("test_unfurls_links")
	}
	if form.Has("unfurl_links") && method != "chat.postMessage" { // no other method has it
		return refuse("test_unknown_argument")
	}
	var meta struct {
		Payload struct {
			Key string `json:"key"`
		} `json:"event_payload"`
	}
	_ = json.Unmarshal([]byte(form.Get("metadata")), &meta)
	m.Key, m.TS = meta.Payload.Key, s.ts()
	if ephemeral {
		if m.To = form.Get("user"); m.To == "" {
			return refuse("user_not_in_channel")
		}
		// "Ephemeral messages in threads are only shown if there is already an active thread."
		if m.Thread == "" || s.activeThread(m.Channel, m.Thread) {
			s.messages = append(s.messages, m)
		}
		return reply{"ok": true, "message_ts": m.TS}
	}
	s.messages = append(s.messages, m)
	return reply{"ok": true, "channel": m.Channel, "ts": m.TS}
}

// activeThread reports whether somebody has replied to a message.
func (s *Server) activeThread(channel, ts string) bool {
	return s.replied[channel+" "+ts] || slices.ContainsFunc(s.messages, func(m Message) bool {
		return m.Channel == channel && m.Thread == ts && m.To == ""
	})
}

func (s *Server) update(of *grant, form url.Values) reply {
	for i := range s.messages {
		m := &s.messages[i]
		if m.Team == of.team() && m.Channel == form.Get("channel") && m.TS == form.Get("ts") && m.To == "" && !m.Hook {
			if fault := CheckMessage(form.Get("text"), json.RawMessage(form.Get("blocks"))); fault != "" {
				return reply{"ok": false, "error": "invalid_blocks", "response_metadata": reply{"messages": []string{fault}}}
			}
			m.Text, m.Blocks = form.Get("text"), json.RawMessage(form.Get("blocks"))
			m.Edits++
			return reply{"ok": true, "channel": m.Channel, "ts": m.TS}
		}
	}
	return refuse("message_not_found")
}

func (s *Server) userInfo(of *grant, id string) reply {
	u := s.user(of.team(), id)
	team := u.Team
	if team == "" {
		team = of.team()
	}
	if u.Enterprise == "" {
		u.Enterprise = of.Enterprise
	}
	return reply{"ok": true, "user": reply{
		"id": u.ID, "team_id": team, "name": u.Name, "locale": u.Locale, "is_restricted": u.Guest, "is_stranger": u.Stranger, "is_bot": u.Bot,
		"profile": reply{"display_name": u.Name}, "enterprise_user": reply{"enterprise_id": u.Enterprise},
	}}
}

func (s *Server) openView(body []byte) reply {
	var in struct {
		TriggerID string          `json:"trigger_id"`
		View      json.RawMessage `json:"view"`
	}
	if json.Unmarshal(body, &in) != nil {
		return refuse("invalid_arguments")
	}
	user, ok := s.triggers[in.TriggerID]
	if !ok {
		return refuse("expired_trigger_id")
	}
	delete(s.triggers, in.TriggerID)
	if fault := CheckView(in.View); fault != "" {
		return reply{"ok": false, "error": "invalid_arguments", "response_metadata": reply{"messages": []string{fault}}}
	}
	v := View{ID: s.next("V"), User: user, Payload: in.View}
	s.views = append(s.views, v)
	return reply{"ok": true, "view": reply{"id": v.ID}}
}

func (s *Server) history(of *grant, method string, form url.Values) reply {
	var found []reply
	for _, m := range s.messages {
		inThread := method == "conversations.replies" && m.Thread == form.Get("ts")
		inChannel := method == "conversations.history" && m.Thread == ""
		if m.Team != of.team() || m.Channel != form.Get("channel") || m.To != "" || m.Hook || !inThread && !inChannel {
			continue
		}
		r := reply{"type": "message", "ts": m.TS, "text": m.Text, "bot_id": "B0BOT"}
		if m.Key != "" && form.Get("include_all_metadata") == "1" {
			r["metadata"] = reply{"event_type": "meetbot_post", "event_payload": reply{"key": m.Key}}
		}
		found = append(found, r)
	}
	return reply{"ok": true, "messages": found, "has_more": false}
}

func (s *Server) completeUpload(of *grant, form url.Values) reply {
	var files []struct{ ID, Title string }
	if json.Unmarshal([]byte(form.Get("files")), &files) != nil || len(files) != 1 || s.files[files[0].ID] == nil {
		return refuse("file_not_found")
	}
	if code := s.closed(of, form.Get("channel_id"), false); code != "" {
		return refuse(code)
	}
	u := *s.files[files[0].ID]
	u.Channel, u.Thread, u.Comment = form.Get("channel_id"), form.Get("thread_ts"), form.Get("initial_comment")
	s.uploads = append(s.uploads, u)
	s.messages = append(s.messages, Message{Team: of.team(), Channel: u.Channel, Thread: u.Thread, TS: s.ts(), Text: u.Comment, File: u.ID})
	return reply{"ok": true, "files": []reply{{"id": u.ID, "title": files[0].Title}}}
}

func (s *Server) serveUpload(w http.ResponseWriter, r *http.Request) {
	file, _, err := r.FormFile("file")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	content, err := io.ReadAll(file)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.change(func() {
		if u := s.files[r.PathValue("id")]; u != nil {
			u.Content = content
		}
	})
	_, _ = io.WriteString(w, "OK")
}

func (s *Server) serveHook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	s.change(func() { s.calls = append(s.calls, Call{Method: "response_url", Body: body}) })
	f := s.fault("response_url")
	if f.before(w, r) {
		return
	}
	var in struct {
		Text            string          `json:"text"`
		Blocks          json.RawMessage `json:"blocks"`
		ResponseType    string          `json:"response_type"`
		ReplaceOriginal bool            `json:"replace_original"`
		Thread          string          `json:"thread_ts"`
	}
	if json.Unmarshal(body, &in) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	status, text := http.StatusOK, "ok"
	s.change(func() {
		h := s.hooks[r.PathValue("id")]
		switch {
		case h == nil, h.expired:
			status, text = http.StatusNotFound, `{"ok":false,"error":"expired_url"}`
			return
		case h.uses >= 5:
			status, text = http.StatusNotFound, `{"ok":false,"error":"used_url"}`
			return
		case in.ReplaceOriginal:
			status, text = http.StatusBadRequest, `{"ok":false,"error":"test_replaces_original"}`
			return
		}
		if fault := CheckMessage(in.Text, in.Blocks); fault != "" {
			text = `{"ok":false,"error":"invalid_blocks"}`
			return
		}
		h.uses++
		m := Message{Channel: h.channel, Hook: true, TS: s.ts(), Text: in.Text, Blocks: in.Blocks}
		if in.ResponseType == "in_channel" {
			m.Thread = in.Thread
		} else {
			m.To = h.user
		}
		s.messages = append(s.messages, m)
	})
	if f.Lost {
		cutConnection(w)
		return
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// conn is a Socket Mode connection.
type conn struct {
	ws *websocket.Conn
	mu sync.Mutex
}

func (c *conn) send(v any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ws.WriteJSON(v)
}

func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &conn{ws: ws}
	if c.send(reply{"type": "hello", "num_connections": s.strangers.Load() + int64(s.Connections()) + 1}) != nil {
		return
	}
	s.change(func() { s.conns[c] = true })
	for {
		_, frame, err := ws.ReadMessage()
		if err != nil {
			break
		}
		var ack struct {
			EnvelopeID string          `json:"envelope_id"`
			Payload    json.RawMessage `json:"payload"`
		}
		if json.Unmarshal(frame, &ack) != nil {
			continue
		}
		s.change(func() {
			if ch := s.acks[ack.EnvelopeID]; ch != nil {
				ch <- ack.Payload
				delete(s.acks, ack.EnvelopeID)
			}
		})
	}
	s.change(func() { delete(s.conns, c) })
	_ = ws.Close()
}

// Connections returns how many Socket Mode connections are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Refresh asks every connection to be replaced, as Slack does every few hours.
func (s *Server) Refresh() {
	for _, c := range s.open() {
		_ = c.send(reply{"type": "disconnect", "reason": "warning"})
	}
}

// Ping shows every connection that it is alive, as Slack does every few seconds.
func (s *Server) Ping() {
	for _, c := range s.open() {
		c.mu.Lock()
		_ = c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)) // it may be closed already
		c.mu.Unlock()
	}
}

// DropConnections cuts every connection without a word.
func (s *Server) DropConnections() {
	for _, c := range s.open() {
		_ = c.ws.Close()
	}
}

// Inject sends a frame as it is on every connection.
func (s *Server) Inject(kind int, frame []byte) {
	for _, c := range s.open() {
		c.mu.Lock()
		_ = c.ws.WriteMessage(kind, frame) // it may be closed already
		c.mu.Unlock()
	}
}

func (s *Server) open() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*conn
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}
