// Package discord is the bot's Discord adapter: slash commands with typed options,
// buttons, forms and threads, over the gateway or over HTTP interactions.
//
// An interaction is parsed, accepted (which writes the job to disk), and only then
// acknowledged, within 3 s. The acknowledgement fixes who sees the answer: a public
// deferred response becomes the root message, from which a thread is opened; everything
// else is ephemeral. A second process on the same token gets the same interactions, whose
// IDs make one job of them, and of two acknowledgements Discord refuses one.
//
// Answers go by the interaction's token for 15 minutes and by the bot's token after that:
// public ones into the channel, with a nonce, so that a repeat is not a second message;
// private ones by direct message, never into the channel.
//
// Of discordgo the package uses the vocabulary: components, permissions, codes. Its
// session is not used. Its gateway client does not resume at resume_gateway_url, cannot be
// cancelled and does not tell why Discord closed it, so that a refused token would be
// tried again until Discord resets it; its REST client cannot bound a wait.
package discord

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/signed"
	"meetbot/config/clock"
	"meetbot/config/secret"
)

// Config is what an [Adapter] needs.
type Config struct {
	BotToken      secret.String
	ApplicationID string
	// PublicKey, hex, turns HTTP interactions on instead of the gateway.
	PublicKey string
	// GuildID registers the commands in that server only, where they appear at once.
	GuildID string
	// Guilds are the servers that the bot serves, with GuildID. Neither: all that it is in.
	Guilds []string
	// APIURL is the base of the REST API without its version; empty: Discord's.
	APIURL string
	// Listed has the rights that an allow-list guards instead of Discord's permissions:
	// their commands are shown to everybody, since the list decides.
	Listed chat.Rights
	// Commands are what is registered; nil: without what depends on the meeting providers.
	Commands []grammar.TypedDecl
	Locale   string // where a person's own is not known
	Observe  kit.Observer

	HTTPClient *http.Client // nil: one that takes its proxy from the environment
	Now        func() time.Time
	// Alone reports that no other process shares the store; nil: that is not known.
	Alone func() bool
}

// Adapter connects a [chat.Bot] to Discord. It is a [chat.Poster] and a
// [chat.Directory].
type Adapter struct {
	cfg    Config
	key    ed25519.PublicKey
	bot    chat.Bot
	log    *slog.Logger
	rest   *rest
	theirs *clock.Theirs // Discord's, by which its IDs are made
	pulse  *kit.Pulse
	served servedGuilds
	seen   *kit.Seen // bodies of signed requests
	// strangers are servers that the bot does not serve and the log has named lately.
	strangers *kit.Seen
	acks      acks
	turns     turns
	drafts    *kit.Cache[chat.Form] // that a person has open, in this process only
	members   *kit.Cache[membership]
	taken     *kit.Cache[struct{}] // interactions that another bot has answered
	edits     *kit.Edits
	gate      *signed.Gate

	refused chan struct{} // closed when Discord has refused the bot's token
	busy    sync.WaitGroup
	slots   chan struct{}
}

var (
	_ chat.Poster    = (*Adapter)(nil)
	_ chat.Claimer   = (*Adapter)(nil)
	_ chat.Directory = (*Adapter)(nil)
)

const (
	maxConcurrent = 256     // interactions being acknowledged
	maxReplays    = 100_000 // signed requests remembered
)

// New returns an adapter, or every fault of its configuration. It sends nothing. A nil
// logger logs nothing.
func New(cfg Config, bot chat.Bot, log *slog.Logger) (*Adapter, error) {
	var faults []error
	if cfg.BotToken.IsZero() {
		faults = append(faults, errors.New("DISCORD_BOT_TOKEN is not set"))
	}
	if !isID(cfg.ApplicationID) {
		faults = append(faults, errors.New("DISCORD_APPLICATION_ID must be the number on the application's General Information page"))
	}
	if cfg.GuildID != "" && !isID(cfg.GuildID) {
		faults = append(faults, errors.New("DISCORD_GUILD_ID must be a server's ID, a number"))
	}
	served := servedGuilds(cfg.Guilds)
	if slices.ContainsFunc(served, func(id string) bool { return !isID(id) }) {
		faults = append(faults, errors.New("DISCORD_GUILDS must be servers' IDs, numbers"))
	}
	if cfg.GuildID != "" && !slices.Contains(served, cfg.GuildID) {
		served = append(slices.Clone(served), cfg.GuildID)
	}
	var key ed25519.PublicKey // nil: the gateway
	if cfg.PublicKey != "" {
		key, _ = hex.DecodeString(cfg.PublicKey)
	}
	if cfg.PublicKey != "" && len(key) != ed25519.PublicKeySize {
		faults = append(faults, errors.New("DISCORD_PUBLIC_KEY must be the 64 hexadecimal digits on the application's General Information page"))
	}
	if cfg.APIURL == "" {
		cfg.APIURL = defaultAPIURL
	}
	if u, err := url.Parse(cfg.APIURL); err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		faults = append(faults, errors.New("DISCORD_API_URL must be an http or https URL"))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	cfg.Observe = cfg.Observe.Complete()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	client, theirs := kit.Dated(kit.PlatformClient(Platform, cfg.HTTPClient), cfg.Now)
	a := &Adapter{
		cfg: cfg, theirs: theirs, key: key, bot: bot, log: log,
		served: served, strangers: kit.NewSeen(time.Minute, 1000),
		pulse: kit.NewPulse(cfg.Now), seen: kit.NewSeen(2*maxAge, maxReplays),
		edits:  kit.NewEdits(editInterval, maxRateWait, cfg.Observe.Waited),
		drafts: kit.NewCache[chat.Form](draftLife, maxDrafts, cfg.Now), members: kit.NewCache[membership](memberLife, maxMembers, cfg.Now),
		taken:   kit.NewCache[struct{}](tokenLife, maxDrafts, cfg.Now),
		refused: make(chan struct{}), slots: make(chan struct{}, maxConcurrent),
	}
	requests := scheme(key)
	requests.First = a.unseen
	a.gate = signed.New(requests, theirs.Now, cfg.Observe.Rejected, log)
	a.rest = &rest{
		base: strings.TrimSuffix(cfg.APIURL, "/") + "/" + apiVersion, token: cfg.BotToken, http: client, observe: cfg.Observe,
		limits: newLimiter(cfg.Now, cfg.Observe.Waited, func() {
			a.pulse.Failed(ErrTokenRefused)
			a.pulse.Set(kit.Stopped)
			close(a.refused)
		}),
	}
	return a, nil
}

// Clock implements [kit.Clocked].
func (a *Adapter) Clock() *clock.Theirs { return a.theirs }

// Health tells how the adapter is.
func (a *Adapter) Health() kit.Health { return a.pulse.Health() }

// Probe implements [kit.Probed].
func (a *Adapter) Probe(ctx context.Context) error { return a.rest.do(ctx, whoAmI) }

// Run registers the commands where they changed and takes interactions until ctx is
// done: over the gateway, or, with a public key, through [Adapter.Handler]. It returns
// [ErrTokenRefused] when Discord refuses the bot's token, since then no call would succeed.
// Interactions that are being acknowledged are finished first, within 3 s.
func (a *Adapter) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer a.busy.Wait()
	defer cancel(nil)
	go func() {
		select {
		case <-a.refused:
			cancel(ErrTokenRefused)
		case <-ctx.Done():
		}
	}()
	err := a.run(ctx)
	if cause := context.Cause(ctx); errors.Is(cause, ErrTokenRefused) {
		err = ErrTokenRefused
	}
	if err != nil && ctx.Err() != nil && !errors.Is(err, ErrTokenRefused) {
		err = nil
	}
	if err != nil {
		a.pulse.Failed(err)
		a.pulse.Set(kit.Stopped)
		a.log.ErrorContext(ctx, "adapter stopped", "err", err)
	}
	return err
}

func (a *Adapter) run(ctx context.Context) error {
	if a.key != nil {
		// Interactions arrive whether or not the commands could be registered again.
		a.pulse.Set(kit.Running)
		if err := a.keepRegistering(ctx); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return a.keepRegistering(ctx) })
	parts.Go(func() error { return a.runGateway(ctx) })
	return parts.Wait()
}

// keepRegistering registers the commands, again and again while Discord cannot be
// reached. An error is for good.
func (a *Adapter) keepRegistering(ctx context.Context) error {
	err := kit.Retry(ctx, kit.Pauses{First: time.Second, Longest: 5 * time.Minute}, func(ctx context.Context) (kit.Verdict, error) {
		changed, err := a.Register(ctx)
		if err == nil {
			a.log.InfoContext(ctx, "commands registered", "changed", changed, "guild_id", a.cfg.GuildID)
			return kit.Stop, nil
		}
		if errors.Is(err, ErrTokenRefused) || ctx.Err() != nil {
			return kit.Stop, err
		}
		a.pulse.Failed(err)
		a.log.WarnContext(ctx, "commands not registered", "err", err)
		if !isRetry(err) && !transient(err) && !isStatus(err, http.StatusUnauthorized) { // the token was asked about, and is accepted
			return kit.Stop, nil // the rest works; doctor and this line tell
		}
		return kit.Again, err
	}, nil)
	if errors.Is(err, ErrTokenRefused) {
		return err
	}
	return nil // registered, or told to stop
}

func isID(s string) bool {
	if len(s) < 1 || len(s) > 20 {
		return false
	}
	return digits(s)
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

var errBusy = fmt.Errorf("more than %d interactions at once", maxConcurrent)
