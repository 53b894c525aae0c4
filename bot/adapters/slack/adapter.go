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
	"strings"
	"sync"
	"time"

	slackapi "github.com/slack-go/slack"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/installs"
	"meetbot/bot/signed"
	"meetbot/bot/texts"
	"meetbot/config/clock"
	"meetbot/config/secret"
)

// Config is what an [Adapter] needs to know.
type Config struct {
	BotToken secret.String // xoxb-…
	// AppToken turns Socket Mode on, SigningSecret the HTTP endpoints; at least one is
	// needed.
	AppToken      secret.String // xapp-…
	SigningSecret secret.String

	// ClientID and ClientSecret let workspaces install the app, instead of BotToken: those, and the
	// workspaces of those organisations, whose IDs are in Teams. PublicURL is where people reach
	// [PathInstall], Scopes are what an installation asks for besides the required ones, and Installs
	// keeps the installations.
	ClientID     string
	ClientSecret secret.String
	Teams        []string
	PublicURL    string
	Scopes       []string
	Installs     *installs.Store

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
	// Alone reports that no other process shares the store; nil: that is not known.
	Alone   func() bool
	Observe kit.Observer
}

// ErrTokenRefused is returned by [Adapter.Run] when Slack does not accept a token.
var ErrTokenRefused = kit.Refused("the token is refused by Slack")

// Adapter is the bot in Slack. It implements [chat.Poster] and
// [chat.Directory].
type Adapter struct {
	cfg    Config
	bot    chat.Bot
	log    *slog.Logger
	now    func() time.Time
	theirs *clock.Theirs // Slack's clock
	pulse  *kit.Pulse
	gate   *signed.Gate
	seen   *kit.Seen
	// strangers are other workspaces that the log has named lately.
	strangers *kit.Seen

	web        *web       // calls to Slack with the tokens that were configured
	installed  *installed // nil: the configured token is the only one
	workspaces workspaces
	sockets    *sockets // Socket Mode

	busy   busy
	follow chan struct{}   // what follows acknowledgements, see [Adapter.later]
	over   context.Context // ends when the adapter no longer waits for what is under way
	end    context.CancelFunc
}

var _ interface {
	kit.Adapter
	kit.Receiver
	kit.Examined
	kit.Clocked
	chat.Directory
	chat.Claimer
} = (*Adapter)(nil)

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
	var theirs *clock.Theirs
	cfg.HTTPClient, theirs = kit.Dated(kit.PlatformClient(Platform, cfg.HTTPClient), cfg.Now)
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var faults []error
	if cfg.ClientID != "" {
		faults = cfg.installable()
	} else if !strings.HasPrefix(cfg.BotToken.Reveal(), "xoxb-") {
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

	pulse := kit.NewPulse(cfg.Now)
	a := &Adapter{follow: make(chan struct{}, maxLater), cfg: cfg, bot: bot, log: log, now: cfg.Now, theirs: theirs, pulse: pulse, seen: kit.NewSeen(time.Hour, 10_000), strangers: kit.NewSeen(time.Minute, 1000), web: newWeb(cfg, pulse, log)}
	a.gate = signed.New(scheme(cfg.SigningSecret), theirs.Now, cfg.Observe.Rejected, log)
	if cfg.ClientID != "" {
		a.installed = newInstalled(cfg, a.web, log)
	}
	a.workspaces.make = func(id string, w *web) *workspace {
		s := &workspace{id: id, web: w, people: newPeople(id, w, cfg.Now)}
		s.poster = newPoster(cfg, w, s.people, theirs, log)
		return s
	}
	a.sockets = &sockets{web: a.web, pulse: pulse, log: log, busy: &a.busy, take: a.take, slots: make(chan struct{}, maxConcurrent), connections: cfg.Connections, alone: cfg.Alone, apiURL: cfg.APIURL, backoff: time.Second}
	a.over, a.end = context.WithCancel(context.Background())
	return a, nil
}

// Post implements [chat.Poster].
func (a *Adapter) Post(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	at, err := a.reached(ctx, p.Place.Team)
	if errors.Is(err, chat.ErrLost) && p.Slot == chat.SlotEdit {
		err = fmt.Errorf("%w: %w", chat.ErrGone, err)
	}
	if err != nil {
		return chat.Receipt{}, err
	}
	return at.poster.post(ctx, p)
}

// Profile implements [chat.Directory]: see [people.profile].
func (a *Adapter) Profile(ctx context.Context, place chat.Place, userID string) (chat.Profile, error) {
	at, err := a.reached(ctx, place.Team)
	if err != nil {
		return chat.Profile{}, err
	}
	return at.people.profile(ctx, userID)
}

// InGroup implements [chat.Directory]. It needs the scope usergroups:read.
func (a *Adapter) InGroup(ctx context.Context, place chat.Place, userID, groupID string) (bool, error) {
	at, err := a.reached(ctx, place.Team)
	if err != nil {
		return false, err
	}
	return at.people.inGroup(ctx, userID, groupID)
}

// Health returns how the adapter is.
func (a *Adapter) Health() kit.Health {
	h := a.pulse.Health()
	if a.installed != nil {
		h.Workspaces = a.installed.health()
	}
	return h
}

// Clock implements [kit.Clocked].
func (a *Adapter) Clock() *clock.Theirs { return a.theirs }

// Run connects, and returns nil when ctx is done and what is under way is acknowledged. It
// returns an error that matches [ErrTokenRefused] once a token is refused: nothing more is
// taken or sent then.
func (a *Adapter) Run(ctx context.Context) error {
	if a.installed != nil {
		var kept sync.WaitGroup
		kept.Go(func() { a.installed.run(ctx) })
		defer kept.Wait()
	} else if err := a.web.identify(ctx, a.sockets.backoff); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if a.cfg.AppToken.IsZero() {
		a.pulse.Set(kit.Running)
		select {
		case <-ctx.Done():
		case <-a.web.stopped:
		}
	} else if err := a.sockets.run(ctx); err != nil {
		return err
	}
	a.busy.drain(drainTimeout)
	a.end()
	if a.web.isStopped() {
		return ErrTokenRefused
	}
	return nil
}

// Probe implements [kit.Probed].
func (a *Adapter) Probe(ctx context.Context) error {
	if a.installed == nil {
		if err := a.web.whoAmI(ctx); err != nil {
			return err
		}
	}
	if a.cfg.AppToken.IsZero() {
		return nil
	}
	_, err := a.sockets.open(ctx)
	return err
}

// drainTimeout bounds what is left to do when the process stops.
const drainTimeout = 5 * time.Second

// text is the language of a person, as far as it is known.
func (a *Adapter) text(r chat.Request) texts.Text {
	known := ""
	if at := a.at(r.Place.Team); at != nil {
		known = at.people.localeOf(r.User.ID)
	}
	return texts.For(r.User.Locale, known, a.cfg.Locale)
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
