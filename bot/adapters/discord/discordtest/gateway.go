package discordtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// gateway is https://docs.discord.com/developers/events/gateway.
type gateway struct {
	s *Server

	mu         sync.Mutex
	shards     int
	remaining  int
	interval   time.Duration
	sessions   map[string]*session
	conns      map[*conn]bool
	identifies []Identify
	resumes    int
	beats      int
	refuse     int    // close code for the next to identify
	silent     bool   // heartbeats are not answered
	wanted     any    // in place of the interval
	url, again string // in place of the gateway's addresses
}

// Identify is what a client started a session with.
type Identify struct {
	Shard   [2]int
	Intents int
}

type session struct {
	id     string
	shard  [2]int
	events []json.RawMessage // sent, in order: the first has sequence number 1
	conn   *conn             // nil while disconnected
}

type conn struct {
	ws *websocket.Conn
	mu sync.Mutex
}

func (c *conn) send(v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.ws.WriteJSON(v)
}

func (c *conn) close(code int) {
	_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(time.Second))
	_ = c.ws.Close()
}

func (g *gateway) init(s *Server) {
	g.s, g.shards, g.remaining, g.interval = s, 1, 1000, 40*time.Second
	g.sessions, g.conns = map[string]*session{}, map[*conn]bool{}
}

func (g *gateway) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		c.close(websocket.CloseGoingAway)
	}
}

func (g *gateway) info() any {
	g.mu.Lock()
	defer g.mu.Unlock()
	return map[string]any{
		"url": cmp.Or(g.url, strings.Replace(g.s.http.URL, "http", "ws", 1)+"/gateway"), "shards": g.shards,
		"session_start_limit": map[string]int{"total": 1000, "remaining": g.remaining, "reset_after": 100, "max_concurrency": 16},
	}
}

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

func (g *gateway) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("v") != "9" || r.URL.Query().Get("encoding") != "json" {
		g.s.problem("gateway opened with %q", r.URL.RawQuery)
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &conn{ws: ws}
	g.mu.Lock()
	g.conns[c] = true
	var interval any = g.interval.Milliseconds()
	if g.wanted != nil {
		interval = g.wanted
	}
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.conns, c)
		for _, s := range g.sessions {
			if s.conn == c {
				s.conn = nil
			}
		}
		g.mu.Unlock()
		_ = ws.Close()
	}()
	c.send(map[string]any{"op": 10, "d": map[string]any{"heartbeat_interval": interval}})
	for {
		var e struct {
			Op   int             `json:"op"`
			Data json.RawMessage `json:"d"`
		}
		if ws.ReadJSON(&e) != nil {
			return
		}
		switch e.Op {
		case 1:
			g.mu.Lock()
			g.beats++
			silent := g.silent
			g.mu.Unlock()
			if !silent {
				c.send(map[string]any{"op": 11})
			}
		case 2:
			g.identify(c, e.Data)
		case 6:
			if !strings.HasSuffix(r.URL.Path, "/resume") {
				g.s.problem("resumed at %s instead of resume_gateway_url", r.URL.Path)
			}
			g.resume(c, e.Data)
		default:
			g.s.problem("gateway opcode %d", e.Op)
		}
	}
}

func (g *gateway) identify(c *conn, data json.RawMessage) {
	var id struct {
		Token   string `json:"token"`
		Shard   [2]int `json:"shard"`
		Intents int    `json:"intents"`
	}
	_ = json.Unmarshal(data, &id)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.identifies = append(g.identifies, Identify{id.Shard, id.Intents})
	switch {
	case g.refuse != 0:
		c.close(g.refuse)
		return
	case id.Token != Token:
		c.close(4004)
		return
	case id.Shard[1] < g.shards:
		c.close(4011)
		return
	}
	s := &session{id: fmt.Sprintf("session-%d", len(g.identifies)), shard: id.Shard, conn: c}
	g.sessions[s.id] = s
	s.send("READY", map[string]any{
		"v": 9, "session_id": s.id, "resume_gateway_url": cmp.Or(g.again, strings.Replace(g.s.http.URL, "http", "ws", 1)+"/gateway/resume"),
		"user": map[string]any{"id": ApplicationID, "bot": true}, "guilds": []any{}, "shard": id.Shard,
	})
}

func (g *gateway) resume(c *conn, data json.RawMessage) {
	var r struct {
		Token   string `json:"token"`
		Session string `json:"session_id"`
		Seq     int    `json:"seq"`
	}
	_ = json.Unmarshal(data, &r)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.resumes++
	s := g.sessions[r.Session]
	if s == nil || r.Token != Token || r.Seq > len(s.events) {
		c.send(map[string]any{"op": 9, "d": false})
		return
	}
	s.conn = c
	for _, e := range s.events[r.Seq:] {
		c.send(e)
	}
	s.send("RESUMED", map[string]any{})
}

// send delivers an event, or keeps it until the session is resumed.
func (s *session) send(kind string, data any) {
	e, _ := json.Marshal(map[string]any{"op": 0, "t": kind, "s": len(s.events) + 1, "d": data})
	s.events = append(s.events, e)
	if s.conn != nil {
		s.conn.send(json.RawMessage(e))
	}
}

// Send delivers an interaction over the gateway: to every session of the first shard, as
// Discord does while one process takes over from another.
func (s *Server) Send(in *Interaction) *Interaction {
	g := &s.gateway
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, session := range g.sessions {
		if session.shard[0] == 0 {
			session.send("INTERACTION_CREATE", json.RawMessage(in.Payload))
		}
	}
	return in
}

// Connected counts the sessions that are connected.
func (s *Server) Connected() int {
	g := &s.gateway
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, session := range g.sessions {
		if session.conn != nil {
			n++
		}
	}
	return n
}

// Shards sets how many shards Discord wants.
func (s *Server) Shards(n int) { s.gateway.set(func(g *gateway) { g.shards = n }) }

// Heartbeat sets how often clients have to send one.
func (s *Server) Heartbeat(d time.Duration) { s.gateway.set(func(g *gateway) { g.interval = d }) }

// Silence stops answering heartbeats, and starts again.
func (s *Server) Silence(on bool) { s.gateway.set(func(g *gateway) { g.silent = on }) }

// Hello sends this in place of the heartbeat's interval; nil: the interval.
func (s *Server) Hello(interval any) { s.gateway.set(func(g *gateway) { g.wanted = interval }) }

// Addresses are told in place of the gateway's own, where they are not empty.
func (s *Server) Addresses(first, resume string) {
	s.gateway.set(func(g *gateway) { g.url, g.again = first, resume })
}

// Refuse closes the connection of whoever identifies, with this code; 0 does not.
func (s *Server) Refuse(code int) { s.gateway.set(func(g *gateway) { g.refuse = code }) }

// InvalidateSessions lets every session be unknown from now on.
func (s *Server) InvalidateSessions() { s.gateway.set(func(g *gateway) { clear(g.sessions) }) }

func (g *gateway) set(change func(*gateway)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(g)
}

// Disconnect closes every connection.
func (s *Server) Disconnect(code int) {
	s.gateway.each(func(c *conn) { c.close(code) })
}

// AskReconnect asks every client to connect again.
func (s *Server) AskReconnect() {
	s.gateway.each(func(c *conn) { c.send(map[string]any{"op": 7, "d": nil}) })
}

// AskHeartbeat asks every client for a heartbeat.
func (s *Server) AskHeartbeat() {
	s.gateway.each(func(c *conn) { c.send(map[string]any{"op": 1, "d": nil}) })
}

func (g *gateway) each(f func(*conn)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		f(c)
	}
}

// Identifies returns how sessions were started, Resumes how often one was resumed, and
// Heartbeats how many came.
func (s *Server) Identifies() []Identify {
	g := &s.gateway
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]Identify(nil), g.identifies...)
}

// Resumes counts the tries to resume a session.
func (s *Server) Resumes() int {
	g := &s.gateway
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.resumes
}

// Heartbeats counts the heartbeats that came.
func (s *Server) Heartbeats() int {
	g := &s.gateway
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.beats
}

// Inject sends a frame as it is on every connection.
func (s *Server) Inject(kind int, frame []byte) {
	s.gateway.each(func(c *conn) {
		c.mu.Lock()
		defer c.mu.Unlock()
		_ = c.ws.WriteMessage(kind, frame) // it may be closed already
	})
}
