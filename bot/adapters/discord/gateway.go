package discord

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
)

// Gateway opcodes: https://docs.discord.com/developers/topics/opcodes-and-status-codes#gateway
const (
	opDispatch       = 0
	opHeartbeat      = 1
	opIdentify       = 2
	opResume         = 6
	opReconnect      = 7
	opInvalidSession = 9
	opHello          = 10
	opHeartbeatAck   = 11
)

// Close codes: https://docs.discord.com/developers/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes
const (
	closeAuthentication = 4004
	closeInvalidSeq     = 4007
	closeTimedOut       = 4009
	closeInvalidShard   = 4010
	closeSharding       = 4011
	closeVersion        = 4012
	closeIntents        = 4013
	closeIntentsDenied  = 4014
	closeZombie         = 4900 // ours; any code but 1000 and 1001 keeps the session
)

// Bounds of what the gateway says, far from what Discord has ever said: a broken or hostile
// one must not take the process down.
const (
	maxShards      = 1000
	leastHeartbeat = time.Second
	mostHeartbeat  = 10 * time.Minute
	mostIdentifies = 256 // side by side
	longestWait    = 24 * time.Hour
)

var (
	errReshard   = errors.New("another number of shards is wanted")
	errReconnect = errors.New("asked to reconnect")
	errInvalid   = errors.New("the session is invalid")
)

// gatewayInfo is https://docs.discord.com/developers/events/gateway#get-gateway-bot.
type gatewayInfo struct {
	URL    string `json:"url"`
	Shards int    `json:"shards"`
	Limit  struct {
		Remaining      int `json:"remaining"`
		ResetAfter     int `json:"reset_after"` // ms
		MaxConcurrency int `json:"max_concurrency"`
	} `json:"session_start_limit"`
}

// runGateway keeps one connection for each shard that Discord recommends, until ctx is
// done or Discord says that it makes no sense.
func (a *Adapter) runGateway(ctx context.Context) error {
	for {
		info, err := a.gateway(ctx)
		if err != nil || ctx.Err() != nil {
			return err
		}
		a.log.InfoContext(ctx, "connecting", "shards", info.Shards)
		shards, ctx := errgroup.WithContext(ctx)
		gate := &identifyGate{info: info, fetch: a.gateway}
		var up atomic.Int32
		for i := range info.Shards {
			s := &shard{a: a, index: i, gate: gate, up: &up, count: info.Shards}
			shards.Go(func() error { return s.run(ctx) })
		}
		if err := shards.Wait(); !errors.Is(err, errReshard) {
			return err
		}
		a.pulse.Set(kit.Degraded)
	}
}

// gateway asks how to connect, until Discord answers.
func (a *Adapter) gateway(ctx context.Context) (gatewayInfo, error) {
	var info gatewayInfo
	err := kit.Retry(ctx, kit.Pauses{First: time.Second, Longest: time.Minute, Jitter: true}, func(ctx context.Context) (kit.Verdict, error) {
		info = gatewayInfo{}
		err := a.rest.do(ctx, call{Method: http.MethodGet, Route: "/gateway/bot", Out: &info})
		if err == nil {
			err = a.judge(&info)
		}
		if errors.Is(err, ErrTokenRefused) {
			return kit.Stop, err
		}
		return kit.Again, err
	}, func(err error, _ time.Duration) {
		a.pulse.Failed(err)
		a.log.WarnContext(ctx, "gateway not found", "err", err)
	})
	info.Shards = max(1, info.Shards)
	return info, err
}

// judge bounds what Discord says about its gateway.
func (a *Adapter) judge(info *gatewayInfo) error {
	if !a.trusts(info.URL) {
		return errors.New("GET /gateway/bot: the answer has no address of Discord's gateway")
	}
	if info.Shards > maxShards {
		return fmt.Errorf("GET /gateway/bot: %d shards are wanted, and the bot opens %d at most", info.Shards, maxShards)
	}
	l := &info.Limit
	l.Remaining = max(0, l.Remaining)
	l.ResetAfter = min(max(0, l.ResetAfter), int(longestWait/time.Millisecond))
	l.MaxConcurrency = min(max(1, l.MaxConcurrency), mostIdentifies)
	return nil
}

// gatewayDomain is where Discord's gateways are.
const gatewayDomain = "discord.gg"

// trusts reports whether the bot's token may be sent to a gateway's address: Discord's own
// over TLS, or the host that the REST API was configured to be at.
func (a *Adapter) trusts(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Hostname() == "" {
		return false
	}
	api, err := url.Parse(a.cfg.APIURL)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "wss":
		return u.Hostname() == gatewayDomain || strings.HasSuffix(u.Hostname(), "."+gatewayDomain) || u.Hostname() == api.Hostname()
	case "ws": // to a stand-in on this machine
		return api.Scheme == "http" && u.Hostname() == api.Hostname()
	}
	return false
}

// identifyGate lets shards start sessions no faster than Discord allows: a few each five
// seconds, and a thousand a day, after which it resets the bot's token.
type identifyGate struct {
	fetch func(context.Context) (gatewayInfo, error)
	mu    sync.Mutex
	info  gatewayInfo
	used  bool      // info has served an identify
	ready time.Time // when the next may go
}

const identifyEvery = 5 * time.Second

// wait returns the gateway's address once a session may be started.
func (g *identifyGate) wait(ctx context.Context) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.used {
		info, err := g.fetch(ctx)
		if err != nil {
			return "", err
		}
		g.info.URL, g.info.Limit = info.URL, info.Limit
		if info.Shards > g.info.Shards {
			return "", errReshard
		}
	}
	pause := time.Until(g.ready)
	if g.info.Limit.Remaining <= 0 {
		pause = max(pause, time.Duration(g.info.Limit.ResetAfter)*time.Millisecond)
	}
	if pause > 0 && !kit.Sleep(ctx, pause) {
		return "", ctx.Err()
	}
	g.used = true
	g.info.Limit.Remaining--
	g.ready = time.Now().Add(identifyEvery / time.Duration(g.info.Limit.MaxConcurrency))
	return g.info.URL, nil
}

// shard keeps one session going.
type shard struct {
	a            *Adapter
	index, count int
	gate         *identifyGate
	up           *atomic.Int32 // shards that are connected

	session string // empty: none to resume
	resume  string // where to resume it
	misses  int    // tries to get there, in a row
	served  bool   // the last connection came as far as a session
	seq     atomic.Int64
}

const maxMisses = 3 // then a new session is started

// run keeps the session until ctx is done, or with the error that ends it for good.
func (s *shard) run(ctx context.Context) error {
	err := kit.Retry(ctx, kit.Pauses{First: firstPause, Longest: time.Minute, Jitter: true}, func(ctx context.Context) (kit.Verdict, error) {
		err := kit.Guard(ctx, s.a.log, "gateway", s.a.cfg.Observe, func() error { return s.connect(ctx) })
		if ctx.Err() != nil {
			return kit.Stop, ctx.Err()
		}
		return s.ended(ctx, err)
	}, nil)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// ended says what follows from the end of a connection.
func (s *shard) ended(ctx context.Context, err error) (kit.Verdict, error) {
	code := 0
	if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
		code = closed.Code
		err = fmt.Errorf("closed with code %d", code) // its own text is the other side's
	}
	switch code {
	case closeAuthentication:
		s.a.rest.limits.refuse()
		return kit.Stop, ErrTokenRefused
	case closeSharding:
		return kit.Stop, errReshard
	case closeInvalidShard, closeVersion, closeIntents, closeIntentsDenied:
		return kit.Stop, fmt.Errorf("the gateway is closed for good, code %d", code)
	case closeInvalidSeq, closeTimedOut:
		s.session = "" // it is over; after every other close it can be resumed
	}
	if errors.Is(err, errReshard) || errors.Is(err, ErrTokenRefused) {
		return kit.Stop, err
	}
	s.a.pulse.Failed(err)
	s.a.log.InfoContext(ctx, "gateway connection ended", "shard", s.index, "code", code, "err", err, "resumable", s.session != "")
	switch {
	case errors.Is(err, errReconnect) && s.session != "":
		return kit.AtOnce, err // asked for: no fault
	case errors.Is(err, errInvalid):
		return kit.Again, &chat.RetryAfter{After: time.Second, Err: err}
	case errors.Is(err, errReconnect), s.served:
		return kit.Anew, err
	}
	return kit.Again, err
}

const firstPause = 200 * time.Millisecond // after a connection that ended by itself

type event struct {
	Op   int             `json:"op"`
	Data json.RawMessage `json:"d"`
	Seq  *int64          `json:"s"`
	Type string          `json:"t"`
}

// connect makes one connection and serves it until it ends.
//
// https://docs.discord.com/developers/events/gateway#connection-lifecycle
func (s *shard) connect(ctx context.Context) error {
	s.served = false
	address := s.resume
	if s.session == "" {
		var err error
		if address, err = s.gate.wait(ctx); err != nil {
			return err
		}
	}
	u, err := url.Parse(address)
	if err != nil || !s.a.trusts(address) {
		s.session = ""
		return fmt.Errorf("%w: its address is not Discord's", errInvalid)
	}
	u.RawQuery = url.Values{"v": {apiVersion[1:]}, "encoding": {"json"}}.Encode()
	dialer, err := kit.Websocket(websocket.Dialer{HandshakeTimeout: 15 * time.Second}, u.String(), nil)
	if err != nil {
		return fmt.Errorf("connect to the gateway: %w", err)
	}
	ws, _, err := dialer.DialContext(ctx, u.String(), nil)
	if err != nil {
		if s.misses++; s.misses >= maxMisses {
			s.session = ""
		}
		return fmt.Errorf("connect to the gateway: %w", kit.Unquoted(err))
	}
	s.misses = 0
	ws.SetReadLimit(maxEvent)
	conn := &gatewayConn{ws: ws}
	stop := context.AfterFunc(ctx, func() { conn.close(websocket.CloseNormalClosure) })
	defer stop()
	defer conn.close(closeZombie)

	var hello struct {
		Interval int64 `json:"heartbeat_interval"` // ms
	}
	if e, err := conn.read(15 * time.Second); err != nil {
		return err
	} else if e.Op != opHello || json.Unmarshal(e.Data, &hello) != nil {
		return errors.New("the gateway did not say hello")
	}
	if hello.Interval < int64(leastHeartbeat/time.Millisecond) || hello.Interval > int64(mostHeartbeat/time.Millisecond) {
		return fmt.Errorf("the gateway wants a heartbeat every %d ms", hello.Interval)
	}
	if err := s.introduce(conn); err != nil {
		return err
	}
	interval := time.Duration(hello.Interval) * time.Millisecond
	beating, stopBeating := context.WithCancel(ctx)
	defer stopBeating()
	go func() {
		_ = kit.Guard(beating, s.a.log, "heartbeat", s.a.cfg.Observe, func() error { s.beat(beating, conn, interval); return nil })
		conn.close(closeZombie) // without heartbeats it is of no use; the reader sees it
	}()

	connected := false
	defer func() {
		if connected && s.up.Add(-1) == 0 {
			s.a.pulse.Set(kit.Degraded)
		}
	}()
	for {
		// Every heartbeat is answered. A connection on which nothing comes is dead.
		e, err := conn.read(interval + 10*time.Second)
		if err != nil {
			return err
		}
		if e.Seq != nil {
			s.seq.Store(*e.Seq)
		}
		switch e.Op {
		case opDispatch:
			if up := s.dispatch(ctx, e); up && !connected {
				connected, s.served = true, true
				s.up.Add(1)
				s.a.pulse.Set(kit.Running)
			}
		case opHeartbeat:
			if err := s.heartbeat(conn); err != nil {
				return err
			}
		case opHeartbeatAck:
			conn.acked.Store(true)
		case opReconnect:
			return errReconnect
		case opInvalidSession:
			var resumable bool
			if json.Unmarshal(e.Data, &resumable) != nil || !resumable {
				s.session = ""
			}
			return errInvalid
		}
	}
}

// introduce resumes the session, or starts one. No intent is asked for: interactions
// come without any.
func (s *shard) introduce(conn *gatewayConn) error {
	token := s.a.cfg.BotToken.Reveal()
	if s.session != "" {
		return conn.write(opResume, struct {
			Token   string `json:"token"`
			Session string `json:"session_id"`
			Seq     int64  `json:"seq"`
		}{token, s.session, s.seq.Load()})
	}
	s.seq.Store(0)
	return conn.write(opIdentify, struct {
		Token      string            `json:"token"`
		Properties map[string]string `json:"properties"`
		Shard      [2]int            `json:"shard"`
		Intents    int               `json:"intents"`
	}{token, map[string]string{"os": runtime.GOOS, "browser": "meetbot", "device": "meetbot"}, [2]int{s.index, s.count}, 0})
}

// beat sends heartbeats until ctx is done, one cannot be sent, or one was not answered: then
// the connection is dead although events may still come.
//
// https://docs.discord.com/developers/events/gateway#heartbeat-interval
func (s *shard) beat(ctx context.Context, conn *gatewayConn, interval time.Duration) {
	pause := rand.N(interval) // the first one, so that not all clients beat at once
	conn.acked.Store(true)
	for kit.Sleep(ctx, pause) {
		if !conn.acked.Swap(false) {
			s.a.log.WarnContext(ctx, "heartbeat not answered", "shard", s.index)
			return
		}
		if s.heartbeat(conn) != nil {
			return
		}
		pause = interval
	}
}

func (s *shard) heartbeat(conn *gatewayConn) error {
	if seq := s.seq.Load(); seq > 0 {
		return conn.write(opHeartbeat, seq)
	}
	return conn.write(opHeartbeat, nil)
}

// dispatch handles an event, and reports whether it says that the session is up.
func (s *shard) dispatch(ctx context.Context, e event) bool {
	switch e.Type {
	case "READY":
		var ready struct {
			Session string `json:"session_id"`
			Resume  string `json:"resume_gateway_url"`
		}
		if json.Unmarshal(e.Data, &ready) == nil {
			s.session, s.resume = ready.Session, ready.Resume
		}
		return true
	case "RESUMED":
		return true
	case "INTERACTION_CREATE":
		s.a.receive(ctx, e.Data, time.Now())
	}
	return false
}

// receive answers one interaction beside the reading of others. It ends by itself in time,
// also when ctx is done: somebody waits for the answer.
func (a *Adapter) receive(ctx context.Context, data []byte, received time.Time) {
	in, err := parseInteraction(data)
	if err != nil {
		a.log.WarnContext(ctx, "interaction not understood", "err", err)
		return
	}
	select {
	case a.slots <- struct{}{}:
	default:
		a.log.ErrorContext(ctx, "interaction dropped", "err", errBusy)
		return
	}
	ctx = context.WithoutCancel(ctx)
	a.busy.Go(func() {
		defer func() { <-a.slots }()
		defer a.acks.end(in.ID)
		working, cancel := context.WithDeadline(ctx, received.Add(kit.AckTimeout))
		defer cancel()
		kit.Contain(ctx, a.log, "interaction", func() {
			if c := a.answer(working, in); c != nil {
				a.acknowledge(ctx, in, c, received)
			}
		})
	})
}

// gatewayConn is a connection with one writer and one reader at a time.
type gatewayConn struct {
	ws    *websocket.Conn
	mu    sync.Mutex
	once  sync.Once
	acked atomic.Bool // the last heartbeat was answered
}

func (c *gatewayConn) read(within time.Duration) (event, error) {
	var e event
	if err := c.ws.SetReadDeadline(time.Now().Add(within)); err != nil {
		return e, err
	}
	kind, b, err := c.ws.ReadMessage()
	if err != nil {
		return e, err
	}
	if kind != websocket.TextMessage || json.Unmarshal(b, &e) != nil {
		return e, errors.New("the gateway sent something unreadable")
	}
	return e, nil
}

func (c *gatewayConn) write(op int, data any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ws.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	return c.ws.WriteJSON(struct {
		Op   int `json:"op"`
		Data any `json:"d"`
	}{op, data})
}

func (c *gatewayConn) close(code int) {
	c.once.Do(func() {
		_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(time.Second))
		_ = c.ws.Close()
	})
}

// acknowledge answers an interaction that came over the gateway. The answer may get lost
// on its way: then it is sent again, and that it was given already is as good.
func (a *Adapter) acknowledge(ctx context.Context, in *interaction, c *callback, received time.Time) {
	ctx, cancel := context.WithDeadline(ctx, received.Add(ackBefore))
	defer cancel()
	const pause = 100 * time.Millisecond
	tries := 0
	err := kit.Retry(ctx, kit.Pauses{First: pause, Longest: pause}, func(ctx context.Context) (kit.Verdict, error) {
		tries++
		err := a.rest.createResponse(ctx, in.ID, in.Token, c)
		if isCode(err, codeAcknowledged) || !isRetry(err) && !transient(err) {
			return kit.Stop, err
		}
		return kit.Again, err
	}, nil)
	switch {
	case err == nil:
		a.cfg.Observe.Acked(c.kind, time.Since(received))
	case isCode(err, codeAcknowledged):
		// By another process on this token, or by an earlier try.
		a.log.DebugContext(ctx, "acknowledged already", "kind", c.kind)
		a.cfg.Observe.Duplicate()
		if c.first && tries == 1 && a.cfg.Alone != nil && a.cfg.Alone() {
			a.taken.Put(in.ID, struct{}{})
			a.pulse.Failed(kit.ErrOtherBot)
			a.log.ErrorContext(ctx, "another bot uses this Discord token with a store of its own: stop one of the two, or let both use one store (NATS_URL)")
		}
	default:
		// If there is a job, its answer goes by the bot's token.
		a.log.WarnContext(ctx, "interaction not acknowledged", "kind", c.kind, "err", err)
	}
}
