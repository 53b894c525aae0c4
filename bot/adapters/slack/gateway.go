package slack

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/signed"
)

// The library's own Socket Mode client drops what it is about to acknowledge when Slack
// asks it to reconnect, and cannot wait for what is under way when the process stops.
// Both would make a person see a failure of a command that was taken.

const (
	silence      = time.Minute // without a ping of Slack's, which comes every few seconds
	dialTimeout  = 15 * time.Second
	writeTimeout = 5 * time.Second
	maxFrame     = signed.MaxBody
	// How long a connection must have lasted for the next to be opened without a wait.
	steady = 10 * time.Second
	// An answer must fit into one frame: Slack drops what is larger or split.
	maxAckFrame = 20 << 10
)

// envelope is one message of Slack's over a socket.
// https://docs.slack.dev/apis/events-api/using-socket-mode#events
type envelope struct {
	Type       string `json:"type"`
	EnvelopeID string `json:"envelope_id"`
	Reason     string `json:"reason"`
	// Connections is, with "hello", how many the app has, whoever opened them.
	Connections int             `json:"num_connections"`
	Payload     json.RawMessage `json:"payload"`
}

// errRefresh says that Slack will close a connection soon and a new one is wanted.
var errRefresh = errors.New("a new connection is wanted")

// sockets are the Socket Mode connections. They take events and acknowledge them.
type sockets struct {
	web         *web
	pulse       *kit.Pulse
	log         *slog.Logger
	busy        *busy
	take        func(context.Context, envelope, time.Time) (answer any, acked func())
	slots       chan struct{} // events being acknowledged, on all connections
	connections int
	alone       func() bool // see [Config]
	apiURL      string
	backoff     time.Duration // the first pause after a failure

	live    atomic.Int32   // connections that are open
	leaving sync.WaitGroup // connections that are replaced
}

// run keeps the connections until ctx is done and what arrived on them is acknowledged. It
// returns an error only if the app-level token is refused before any connection was there.
func (ss *sockets) run(ctx context.Context) error {
	var kept sync.WaitGroup
	refused := make(chan error, ss.connections)
	for range ss.connections {
		kept.Go(func() {
			if err := ss.keep(ctx); err != nil {
				refused <- err
			}
		})
	}
	select {
	case err := <-refused:
		ss.web.stop(openMethod, err)
		kept.Wait()
		return err
	case <-ctx.Done():
	case <-ss.web.stopped:
	}
	kept.Wait()
	ss.leaving.Wait()
	return nil
}

// keep keeps one connection.
func (ss *sockets) keep(ctx context.Context) error {
	err := kit.Retry(ctx, kit.Pauses{First: ss.backoff, Longest: maxBackoff, Jitter: true}, func(ctx context.Context) (kit.Verdict, error) {
		started := time.Now()
		err := kit.Guard(ctx, ss.log, "socket", ss.web.observe, func() error { return ss.session(ctx) })
		lasted := time.Since(started) > steady
		switch {
		case ctx.Err() != nil || ss.web.isStopped():
			return kit.Stop, nil
		case errors.Is(err, ErrTokenRefused):
			if ss.pulse.Health().State == kit.Starting {
				return kit.Stop, err
			}
			ss.web.stop(openMethod, err)
			return kit.Stop, nil
		case errors.Is(err, errRefresh) && lasted:
			return kit.AtOnce, err
		case lasted:
			return kit.Anew, err
		}
		return kit.Again, err
	}, func(err error, pause time.Duration) {
		if !errors.Is(err, errRefresh) {
			ss.pulse.Failed(err)
			ss.log.WarnContext(ctx, "Slack connection lost, trying again", "in", pause, "open", ss.live.Load(), "err", err)
		}
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// session opens a connection and serves it until it ends. When Slack announces its end
// the session returns at once, so that the next can be opened, and what is under way is
// finished on the old connection.
func (ss *sockets) session(ctx context.Context) error {
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	address, err := ss.open(dialCtx)
	if err != nil {
		return err
	}
	dialer, err := kit.Websocket(websocket.Dialer{HandshakeTimeout: dialTimeout, WriteBufferSize: maxAckFrame + 1024}, address, nil)
	if err != nil {
		return dialError(nil, err)
	}
	conn, res, err := dialer.DialContext(dialCtx, address, nil)
	if err != nil {
		return dialError(res, err)
	}
	s := &socket{sockets: ss, conn: conn, hello: make(chan struct{}), refresh: make(chan struct{}), ended: make(chan struct{}), err: kit.ErrPanic}
	conn.SetReadLimit(maxFrame)
	s.alive()
	conn.SetPingHandler(func(data string) error {
		s.alive()
		return conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(writeTimeout))
	})
	go func() {
		_ = kit.Guard(ctx, ss.log, "socket", ss.web.observe, func() error { s.read(context.WithoutCancel(ctx)); return nil }) // s.err has it
	}()

	select {
	case <-s.hello:
	case <-s.ended:
		s.finish()
		return s.err
	case <-dialCtx.Done():
		s.finish()
		return &APIError{Method: "socket", Kind: "no hello"}
	}
	ss.live.Add(1)
	ss.pulse.Set(kit.Running)
	finish := func() {
		s.finish()
		if ss.live.Add(-1) == 0 && ctx.Err() == nil {
			ss.pulse.Set(kit.Degraded)
		}
	}
	select {
	case <-s.refresh:
		// The old connection serves on while the new one is opened.
		ss.leaving.Go(func() {
			select {
			case <-s.ended:
			case <-ctx.Done():
			case <-ss.web.stopped:
			case <-time.After(overlap):
			}
			finish()
		})
		return errRefresh
	case <-s.ended:
		finish()
		return s.err
	case <-ctx.Done():
		finish()
		return ctx.Err()
	case <-ss.web.stopped:
		finish()
		return ErrTokenRefused
	}
}

// open returns an address to connect to, once. It has a ticket in it.
func (ss *sockets) open(ctx context.Context) (address string, err error) {
	err = ss.web.call(ctx, openMethod, "", func() (err error) {
		_, address, err = ss.web.api().StartSocketModeContext(ctx)
		return err
	})
	if err == nil && !ss.trusts(address) {
		return "", &APIError{Method: openMethod, Kind: "its address is not Slack's"}
	}
	return address, err
}

// trusts reports whether events from an address are Slack's: over TLS from its own domain, or
// from the host that the Web API was configured to be at.
func (ss *sockets) trusts(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Hostname() == "" {
		return false
	}
	api, err := url.Parse(ss.apiURL)
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	switch u.Scheme {
	case "wss":
		return strings.HasSuffix(host, ".slack.com") || strings.HasSuffix(host, ".slack-gov.com") || host == strings.ToLower(api.Hostname())
	case "ws": // to a stand-in on this machine
		return api.Scheme == "http" && host == strings.ToLower(api.Hostname())
	}
	return false
}

// dialError says what is known to have no part of the address, which has a ticket in it.
func dialError(res *http.Response, err error) error {
	if res != nil {
		return &APIError{Method: "socket", Kind: "http_" + strconv.Itoa(res.StatusCode)}
	}
	return &APIError{Method: "socket", Kind: "dial", Err: kit.Unquoted(err)}
}

// overlap is how long a connection that Slack wants replaced is still read.
const overlap = 15 * time.Second

// socket is one connection.
type socket struct {
	sockets        *sockets
	conn           *websocket.Conn
	hello, refresh chan struct{} // closed when Slack said so
	ended          chan struct{} // closed when nothing is read any more; err says why
	err            error
	under          sync.WaitGroup // what is being served

	mu       sync.Mutex // writing, and draining
	draining bool
}

// alive gives the connection time until the next sign of life.
func (s *socket) alive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.draining {
		_ = s.conn.SetReadDeadline(time.Now().Add(silence)) // fails only on a closed one
	}
}

// count compares how many connections the app has with this bot's own. Slack gives each event
// to one of them, so another bot that does not share the store has its part of them.
func (ss *sockets) count(ctx context.Context, all int) {
	own := ss.connections + 1 // one may be replaced just now
	if all <= own || ss.alone == nil || !ss.alone() {
		return
	}
	ss.pulse.Failed(kit.ErrOtherBot)
	ss.log.ErrorContext(ctx, "another bot seems to use this Slack token with a store of its own: stop one of the two, or let both use one store (NATS_URL)",
		"connections", all, "own", own)
}

// finish reads no more, and closes the connection when what arrived on it is
// acknowledged. What Slack sends from now on it gives to another connection.
func (s *socket) finish() {
	s.mu.Lock()
	s.draining = true
	_ = s.conn.SetReadDeadline(time.Now()) // fails only on a closed one
	s.mu.Unlock()
	<-s.ended
	s.under.Wait()
	_ = s.conn.Close()
}

// read serves what arrives until the connection ends.
func (s *socket) read(ctx context.Context) {
	defer close(s.ended)
	greeted, leaving := false, false
	for {
		_, frame, err := s.conn.ReadMessage()
		if err != nil {
			s.err = &APIError{Method: "socket", Kind: closeReason(err)}
			return
		}
		s.alive()
		arrived := time.Now()
		var env envelope
		if json.Unmarshal(frame, &env) != nil {
			s.sockets.log.WarnContext(ctx, "frame is not JSON", "bytes", len(frame))
			continue
		}
		switch env.Type {
		case "hello":
			if !greeted {
				greeted = true
				close(s.hello)
				s.sockets.count(ctx, env.Connections)
			}
		case "disconnect":
			if env.Reason == "link_disabled" { // Socket Mode was turned off in the app's settings
				s.err = &APIError{Method: "socket", Kind: env.Reason}
				return
			}
			if !leaving {
				leaving = true
				close(s.refresh)
			}
		default:
			s.sockets.slots <- struct{}{} // else no more is read until something is acknowledged
			if !s.sockets.busy.begin() {
				<-s.sockets.slots
			} else {
				s.under.Go(func() {
					defer func() { <-s.sockets.slots }()
					defer s.sockets.busy.end()
					kit.Contain(ctx, s.sockets.log, "event", func() { s.serve(ctx, env, arrived) })
				})
			}
		}
	}
}

func closeReason(err error) string {
	if e, ok := errors.AsType[*websocket.CloseError](err); ok {
		return "closed with code " + strconv.Itoa(e.Code)
	}
	return "connection lost"
}

// serve has one envelope taken, and acknowledges it after.
func (s *socket) serve(ctx context.Context, env envelope, arrived time.Time) {
	answer, acked := s.sockets.take(ctx, env, arrived)
	s.ack(ctx, env.EnvelopeID, answer)
	acked()
}

func (s *socket) ack(ctx context.Context, id string, payload any) {
	if id == "" {
		return
	}
	b, err := json.Marshal(struct {
		EnvelopeID string `json:"envelope_id"`
		Payload    any    `json:"payload,omitempty"`
	}{id, payload})
	if err == nil && len(b) >= maxAckFrame {
		err = errors.New("larger than Slack takes")
	}
	if err == nil {
		s.mu.Lock()
		_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		err = s.conn.WriteMessage(websocket.TextMessage, b)
		s.mu.Unlock()
	}
	if err != nil {
		// Slack delivers it again, and its job is known by its ID.
		s.sockets.log.WarnContext(ctx, "acknowledgement not sent", "bytes", len(b))
	}
}
