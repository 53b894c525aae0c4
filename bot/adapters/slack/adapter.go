// Package slack brings the commands to Slack.
//
// An event arrives over Socket Mode or over signed HTTP; behind the transport there is one
// way. It is turned into a [chat.Request] and parsed without any call to Slack. What
// is to be done is written down by [chat.Bot] first and acknowledged after, with an
// empty answer; a form is opened and an immediate private answer is given right after the
// acknowledgement. Everything else is posted later, by the job, through [Adapter.Post].
//
// Slack has no idempotent posting: a crash between Slack's taking a message and our record
// of it shows that message twice, unless the bot may read the history and finds its own
// message by its metadata.
package slack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	slackapi "github.com/slack-go/slack"
	"golang.org/x/sync/singleflight"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/texts"
	"meetbot/config/secret"
)

// Config is what an [Adapter] needs to know.
type Config struct {
	BotToken secret.String // xoxb-…
	// AppToken turns Socket Mode on, SigningSecret the HTTP endpoints; at least one is
	// needed.
	AppToken      secret.String // xapp-…
	SigningSecret secret.String

	APIURL string // base of the Web API; empty: Slack's
	// MeetCommand and LivepushCommand are the names in Slack, with their slash; empty:
	// "/meet" and "/livepush".
	MeetCommand     string
	LivepushCommand string
	Locale          string // where the person's own is not known
	// Connections is how many Socket Mode connections are kept; 0: two, so that one that
	// Slack refreshes leaves no gap.
	Connections int

	HTTPClient *http.Client // nil: one with the environment's proxy and a time limit
	Now        func() time.Time
	Observe    kit.Observer
}

// ErrTokenRefused is returned by [Adapter.Run] when Slack does not accept a token.
var ErrTokenRefused = kit.Refused("the token is refused by Slack")

// Adapter is the bot in one Slack workspace. It implements [chat.Poster] and
// [chat.Directory].
type Adapter struct {
	cfg Config
	bot chat.Bot
	log *slog.Logger
	now func() time.Time

	api    *slackapi.Client
	client *http.Client

	pulse    *kit.Pulse
	channels *kit.Pace // one post a second and channel
	methods  *kit.Pace // held as Retry-After says
	edits    *kit.Pace
	seen     *kit.Seen
	hooks    hooks
	users    cache[slackapi.User]
	groups   cache[[]string]
	flights  singleflight.Group
	pending  kit.Newest // edits by message
	backoff  time.Duration

	self  atomic.Pointer[identity] // nil until auth.test has answered
	known chan struct{}            // closed then

	stopOnce sync.Once
	stopped  chan struct{} // closed when a token is refused
	busy     busy
	over     context.Context // ends when the adapter no longer waits for what is under way
	end      context.CancelFunc
	leaving  sync.WaitGroup // connections that are replaced
}

// identity is what auth.test says about the bot.
type identity struct {
	userID, userName string
	mention          *regexp.Regexp
	team, teamName   string
	enterprise       string
	scopes           []string
}

func (i *identity) has(scope string) bool { return i != nil && slices.Contains(i.scopes, scope) }

var commandName = regexp.MustCompile(`^/[^\s/A-Z]{1,31}$`)

// New returns an adapter. It sends nothing.
func New(cfg Config, bot chat.Bot, log *slog.Logger) (*Adapter, error) {
	cfg.MeetCommand = cmp.Or(cfg.MeetCommand, "/meet")
	cfg.LivepushCommand = cmp.Or(cfg.LivepushCommand, "/livepush")
	cfg.APIURL = cmp.Or(cfg.APIURL, slackapi.APIURL)
	cfg.Observe = cfg.Observe.Complete()
	if cfg.Connections == 0 {
		cfg.Connections = defaultConnections
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.HTTPClient = kit.HTTPClient(cfg.HTTPClient)
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var faults []error
	if !strings.HasPrefix(cfg.BotToken.Reveal(), "xoxb-") {
		faults = append(faults, errors.New("the bot token is missing or is not one (it begins with xoxb-)"))
	}
	if !cfg.AppToken.IsZero() && !strings.HasPrefix(cfg.AppToken.Reveal(), "xapp-") {
		faults = append(faults, errors.New("the app-level token is not one (it begins with xapp-)"))
	}
	if cfg.AppToken.IsZero() && cfg.SigningSecret.IsZero() {
		faults = append(faults, errors.New("neither an app-level token (Socket Mode) nor a signing secret (HTTP) is given"))
	}
	if cfg.Connections < 1 || cfg.Connections > maxConnections {
		faults = append(faults, fmt.Errorf("%d connections: Slack takes 1 to %d", cfg.Connections, maxConnections))
	}
	for _, name := range []string{cfg.MeetCommand, cfg.LivepushCommand} {
		if !commandName.MatchString(name) {
			faults = append(faults, fmt.Errorf("%q cannot be a slash command: it begins with a slash and has no capitals and no blanks", name))
		}
	}
	if cfg.MeetCommand == cfg.LivepushCommand {
		faults = append(faults, fmt.Errorf("both commands are called %q", cfg.MeetCommand))
	}
	if u, err := url.Parse(cfg.APIURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		faults = append(faults, errors.New("the API URL is not an http or https URL"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	cfg.APIURL = strings.TrimSuffix(cfg.APIURL, "/") + "/"

	a := &Adapter{
		cfg: cfg, bot: bot, log: log, now: cfg.Now,
		client:   cfg.HTTPClient,
		pulse:    kit.NewPulse(cfg.Now),
		channels: kit.NewPace(postInterval, postPatience, cfg.Observe.Waited),
		methods:  kit.NewPace(0, 0, cfg.Observe.Waited),
		edits:    kit.NewPace(postInterval, postPatience, cfg.Observe.Waited),
		seen:     kit.NewSeen(time.Hour, 10_000),
		known:    make(chan struct{}),
		stopped:  make(chan struct{}),
		backoff:  time.Second,
	}
	a.over, a.end = context.WithCancel(context.Background())
	a.api = slackapi.New(cfg.BotToken.Reveal(),
		slackapi.OptionAPIURL(cfg.APIURL),
		slackapi.OptionAppLevelToken(cfg.AppToken.Reveal()),
		slackapi.OptionHTTPClient(bounded{cfg.HTTPClient}),
		slackapi.OptionLog(silent{}),
	)
	return a, nil
}

// silent is the library's logger: what it has to say may hold tokens and messages.
type silent struct{}

func (silent) Output(int, string) error { return nil }

// Health returns how the adapter is.
func (a *Adapter) Health() kit.Health { return a.pulse.Health() }

// Run connects, and returns nil when ctx is done and what is under way is acknowledged.
// It returns an error that matches [ErrTokenRefused] if a token is refused at the start. A
// token that is refused later stops the adapter: it says so once, takes nothing more, and
// stays unhealthy until the process is started with another token.
func (a *Adapter) Run(ctx context.Context) error {
	if err := a.identify(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	var sockets sync.WaitGroup
	refused := make(chan error, a.cfg.Connections)
	if a.cfg.AppToken.IsZero() {
		a.pulse.Set(kit.Running)
	} else {
		var live atomic.Int32
		for range a.cfg.Connections {
			sockets.Go(func() {
				if err := a.connect(ctx, &live); err != nil {
					refused <- err
				}
			})
		}
	}
	select {
	case err := <-refused: // only before the first connection
		a.stop("apps.connections.open", err)
		sockets.Wait()
		return err
	case <-ctx.Done():
	case <-a.stopped:
		<-ctx.Done()
	}
	sockets.Wait()
	a.leaving.Wait()
	a.busy.drain(drainTimeout)
	a.end()
	return nil
}

// drainTimeout bounds what is left to do when the process stops.
const drainTimeout = 5 * time.Second

const maxBackoff = time.Minute

// identify asks Slack who the bot is and what it may do, until it gets an answer.
func (a *Adapter) identify(ctx context.Context) error {
	for wait := a.backoff; ; wait = min(2*wait, maxBackoff) {
		err := a.whoAmI(ctx)
		if err == nil || errors.Is(err, ErrTokenRefused) {
			return err
		}
		pause := wait
		if limited, ok := errors.AsType[*chat.RetryAfter](err); ok {
			pause = max(pause, limited.After)
		}
		if ctx.Err() == nil {
			a.pulse.Failed(err)
			a.log.WarnContext(ctx, "Slack cannot be reached, trying again", "in", pause, "err", err)
		}
		if !kit.Sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

func (a *Adapter) whoAmI(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	res, err := a.api.AuthTestContext(ctx)
	if err != nil {
		return a.fault("auth.test", "", err)
	}
	id := &identity{
		mention: regexp.MustCompile("<@" + regexp.QuoteMeta(res.UserID) + `(?:\|[^<>]*)?>`),
		userID:  res.UserID, userName: res.User, team: res.TeamID, teamName: res.Team, enterprise: res.EnterpriseID,
	}
	for scope := range strings.SplitSeq(res.Header.Get("X-Oauth-Scopes"), ",") {
		if scope = strings.TrimSpace(scope); scope != "" {
			id.scopes = append(id.scopes, scope)
		}
	}
	if a.self.Swap(id) == nil {
		close(a.known)
	}
	a.log.InfoContext(ctx, "signed in to Slack", "team", id.team, "bot", id.userID, "scopes", id.scopes)
	for _, s := range scopes {
		if s.Required && !id.has(s.Name) {
			a.log.ErrorContext(ctx, "the Slack app lacks a required scope: add it under OAuth & Permissions and reinstall the app", "scope", s.Name, "without", s.Without)
		}
	}
	return nil
}

// stop ends the adapter for good.
func (a *Adapter) stop(method string, err error) {
	a.stopOnce.Do(func() {
		a.pulse.Failed(err)
		a.pulse.Set(kit.Stopped)
		a.log.Error("Slack no longer accepts the token: the Slack adapter has stopped. Reinstall the app or set a new token, then restart the bot",
			"method", method, "err", err)
		close(a.stopped)
	})
}

func (a *Adapter) isStopped() bool {
	select {
	case <-a.stopped:
		return true
	default:
		return false
	}
}

func (a *Adapter) text(locales ...string) texts.Text {
	return texts.For(append(locales, a.cfg.Locale)...)
}

// busy counts what is under way, so that a stopping process can wait for it.
type busy struct {
	mu     sync.RWMutex
	closed bool
	wg     sync.WaitGroup
}

// begin reports whether something new may begin; then end must be called.
func (b *busy) begin() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return false
	}
	b.wg.Add(1)
	return true
}

// more counts something that follows from what is under way.
func (b *busy) more() { b.wg.Add(1) }

func (b *busy) end() { b.wg.Done() }

func (b *busy) drain(limit time.Duration) {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	done := make(chan struct{})
	go func() { b.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(limit):
	}
}
