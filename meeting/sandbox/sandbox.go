// Package sandbox serves the wire protocols of SYSTEC umeeting, Tencent Meeting and Zoom
// on the loopback interface, so that the bot can be tried and tested without an
// account at any.
//
// It is written from the providers' documents and shares no code with the clients:
// a signature that both sides compute with one function would prove nothing. What
// the documents demand is checked strictly (encoding, required and unknown
// parameters, types, limits, credentials, signature, clock, replay, rights), and what
// they promise is answered, down to their error codes. What they leave open is a
// switch in [Quirks], each with the readings that a client has to survive.
//
// A request is handled in this order: the body is read (bounded), a [Fault] may
// strike, the caller is authenticated, the parameters are checked, the state changes,
// a fault may swallow the answer. State lives in memory and is gone with the Server.
// Time is [Config.Now], so that expiry and deletion can be tested without waiting;
// only delays and hangs run on the real clock.
//
// The links in the answers open small pages on which a person plays the other side:
// enters, starts the live, ends the meeting. Opening a link changes nothing, only
// the buttons do, since chat programs fetch links to preview them.
//
// Tests ask for the truth with [Server.Meetings], [Server.Created], [Server.Pushes]
// and [Server.Calls], and move it with [Server.Join], [Server.StartLive] and
// [Server.End].
package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"meetbot/config/secret"
)

// DefaultUser is the registered Tencent Meeting and Zoom user of a Config without Users.
const DefaultUser = "operator"

// maxBody bounds a request's body, in bytes. No documented request comes near it.
const maxBody = 64 << 10

// Config says what the sandbox is and how it behaves. The zero value works: it has
// random credentials, which [Server.Config] tells.
type Config struct {
	SystecKey    string        // api_key
	SystecSecret secret.String // api_secret

	TencentAppID     string // AppId, the enterprise
	TencentSDKID     string // SdkId; empty: not assigned, and a request that carries one is refused
	TencentSecretID  string // SecretId, sent as X-TC-Key
	TencentSecretKey secret.String

	ZoomAccountID    string
	ZoomClientID     string
	ZoomClientSecret secret.String
	// ZoomScopes are the application's. Nil: all that its calls need.
	ZoomScopes []string

	// Users are the enterprise's registered Tencent Meeting users and the users of the
	// Zoom account; anyone else is error 190001, or 1001. Empty: [DefaultUser], alice and bob.
	Users []User

	// Capacity is how many SYSTEC meetings of each size (meeting_capacity) may exist
	// at once; a size that is not in it, or has none, is refused. Nil: plenty of all
	// documented sizes but 500, of which there are none.
	Capacity map[int]int

	// SystecExpires is when SYSTEC's licence ends. Zero: never.
	SystecExpires time.Time

	Quirks  Quirks
	Webhook Webhook

	// RecordingAfter is how long after its end a meeting's recording is there, if it was asked
	// for, on the real clock; after twice as long its transcript and summary. Zero: never.
	RecordingAfter time.Duration

	// Encoder pushes what is live. Nil: nothing is pushed anywhere.
	Encoder *Encoder

	// PublicURL is the start of the links in answers, without a final slash. Empty:
	// the address that the request came to.
	PublicURL string

	// Now tells the time. Nil: time.Now.
	Now func() time.Time
}

// User is a registered user. The zero rights are an ordinary user's.
type User struct {
	ID         string
	Admin      bool // administrator of the enterprise: may cancel and inspect others' meetings
	NoSchedule bool // may not create meetings: error 9100, Zoom's 3161
	NoLive     bool // lacks 开启官方直播间权限: no push address on a meeting with live enabled, error 500014; or a plan of Zoom's with live streams, 200
}

// Server is a sandbox of the providers: an [http.Handler] with its state. It is
// safe for concurrent use.
type Server struct {
	cfg      Config
	users    map[string]User
	startKey []byte // signs start links

	url    string // of [Start]
	http   *http.Server
	served chan struct{} // closed once nothing is accepted any more

	ctx    context.Context // done when closed: ends hangs and webhooks
	cancel context.CancelFunc

	mu         sync.Mutex
	byID       map[string]*record
	byCode     map[string]*record // of meetings that are not over
	pmi        string             // SYSTEC: the account's personal meeting number, once it was used
	byLink     map[string]*record // by the slugs of the join and watch links
	order      []*record          // by creation
	unattended []*record          // of SYSTEC, by creation; may hold meetings that were entered since
	inUse      map[int]int        // meetings that are not over, by capacity
	modified   int64              // the last modification time handed out, in ms
	calls      map[Endpoint]int
	faults     []*Fault
	nonces     nonceWindow
	rates      rates
	webhook    webhookQueue
	zoomTokens map[string]time.Time // until when they are valid
	zoomPMI    map[string]string    // the personal numbers of users
	streams    streams
}

// New returns a Server that does not listen anywhere yet.
func New(cfg Config) *Server {
	if cfg.SystecKey == "" {
		cfg.SystecKey = "sandbox-" + randomHex(8)
	}
	if cfg.SystecSecret.IsZero() {
		cfg.SystecSecret = secret.New(randomHex(16))
	}
	if cfg.TencentAppID == "" {
		cfg.TencentAppID = "200000001"
	}
	if cfg.TencentSecretID == "" {
		cfg.TencentSecretID = "sandbox" + randomHex(12)
	}
	if cfg.TencentSecretKey.IsZero() {
		cfg.TencentSecretKey = secret.New(randomHex(16))
	}
	if cfg.ZoomAccountID == "" {
		cfg.ZoomAccountID = "sandbox" + randomHex(8)
	}
	if cfg.ZoomClientID == "" {
		cfg.ZoomClientID = "sandbox" + randomHex(8)
	}
	if cfg.ZoomClientSecret.IsZero() {
		cfg.ZoomClientSecret = secret.New(randomHex(16))
	}
	if cfg.ZoomScopes == nil {
		for _, s := range zoomScopes {
			cfg.ZoomScopes = append(cfg.ZoomScopes, s[0])
		}
	}
	if len(cfg.Users) == 0 {
		cfg.Users = []User{{ID: DefaultUser}, {ID: "alice"}, {ID: "bob"}}
	}
	if cfg.Capacity == nil {
		cfg.Capacity = map[int]int{10: 1e6, 25: 1e6, 50: 1e6, 100: 1e6, 200: 1e6, 300: 1e6, 500: 0}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	cfg.Quirks.setDefaults()

	s := &Server{
		cfg:      cfg,
		users:    make(map[string]User, len(cfg.Users)),
		startKey: make([]byte, 32),
		byID:     make(map[string]*record),
		byCode:   make(map[string]*record),
		byLink:   make(map[string]*record),
		inUse:    make(map[int]int),
		calls:    make(map[Endpoint]int),
	}
	for _, u := range cfg.Users {
		s.users[u.ID] = u
	}
	_, _ = rand.Read(s.startKey) // never fails
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.webhook.to = map[Provider]Webhook{cfg.Webhook.provider(): cfg.Webhook}
	return s
}

// Start returns a Server that listens on addr, which must be on the loopback
// interface ("127.0.0.1:0" picks a free port), until ctx is done or it is closed.
func Start(ctx context.Context, addr string, cfg Config) (*Server, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("sandbox address: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("sandbox address %q: not a loopback address", addr)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	s := New(cfg)
	s.url = "http://" + ln.Addr().String()
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		_ = s.http.Serve(ln) // returns, and closes ln, only once s is closed
	}()
	unhook := context.AfterFunc(ctx, s.cancel)
	context.AfterFunc(s.ctx, func() {
		unhook()
		_ = s.http.Close()
	})
	return s, nil
}

// Close ends listening, open requests, hangs, streams and webhooks. The state stays readable.
func (s *Server) Close() error {
	s.cancel()
	var err error
	if s.http != nil {
		err = s.http.Close()
		<-s.served
	}
	_ = s.WaitWebhooks(context.Background()) // the one being sent has been cancelled
	s.mu.Lock()                              // whoever starts a stream is through, or sees that none is to be
	defer s.mu.Unlock()
	s.streams.ended.Wait()
	return err
}

// Config returns the configuration in effect, with what New filled in.
func (s *Server) Config() Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	cfg := s.cfg
	cfg.Users = append([]User(nil), cfg.Users...)
	cfg.Capacity = maps.Clone(cfg.Capacity)
	cfg.Webhook = s.webhook.to[s.cfg.Webhook.provider()]
	return cfg
}

// SetQuirks changes the quirks of a running server.
func (s *Server) SetQuirks(q Quirks) {
	q.setDefaults()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.Quirks = q
}

// SystecURL is the base URL of the umeeting API. It needs [Start].
func (s *Server) SystecURL() string { return s.url + systecPrefix }

// TencentURL is the base URL of the Tencent Meeting API. It needs [Start].
func (s *Server) TencentURL() string { return s.url }

// ZoomURL is the base URL of the Zoom API. It needs [Start].
func (s *Server) ZoomURL() string { return s.url + zoomPrefix }

// ZoomOAuthURL is where tokens for the Zoom API are given out. It needs [Start].
func (s *Server) ZoomOAuthURL() string { return s.url + zoomOAuth }

// ServeHTTP serves the APIs and the pages.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat)) // of the same clock as the check of timestamps
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "request body too large or broken off", http.StatusRequestEntityTooLarge)
		return
	}
	c := call{endpoint: route(r), request: r, body: body, base: s.cfg.PublicURL}
	if c.base == "" {
		c.base = "http://" + r.Host
	}
	s.mu.Lock()
	s.calls[c.endpoint]++
	fault := s.strike(c.endpoint)
	s.mu.Unlock()
	s.withFault(fault, w, c, func(w http.ResponseWriter) { s.serve(w, c) })
}

// Pages serves the links' pages and none of the APIs, for people who reach them by
// [Config.PublicURL].
func (s *Server) Pages() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if route(r) != Page {
			http.NotFound(w, r)
			return
		}
		s.ServeHTTP(w, r)
	})
}

// call is one request, its body read.
type call struct {
	endpoint Endpoint
	request  *http.Request
	body     []byte
	base     string // of links
}

func (s *Server) serve(w http.ResponseWriter, c call) {
	switch c.endpoint.Provider() {
	case Systec:
		s.serveSystec(w, c)
	case Tencent:
		s.serveTencent(w, c)
	case Zoom:
		s.serveZoom(w, c)
	default:
		s.servePage(w, c)
	}
}

func (s *Server) now() time.Time { return s.cfg.Now() }

// randomHex returns n random bytes in hex.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
