package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	slackapi "github.com/slack-go/slack"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/config/secret"
)

// web is Slack's Web API under one token, and what it says of the bot. Every call goes
// through [web.call], which holds it back as Slack says and notices a token that is refused.
type web struct {
	current atomic.Pointer[slackapi.Client]
	cfg     Config
	// whose says whose token it is that ends nothing but its own calls; empty: it ends the adapter.
	whose   string
	client  *http.Client // for response_urls
	methods *kit.Pace    // held as Retry-After says
	pulse   *kit.Pulse
	observe kit.Observer
	log     *slog.Logger

	self  atomic.Pointer[identity] // nil until auth.test has answered
	known chan struct{}            // closed then

	asking   sync.Mutex
	stopOnce sync.Once
	stopped  chan struct{} // closed when a token is refused
}

func newWeb(cfg Config, pulse *kit.Pulse, log *slog.Logger) *web {
	w := &web{
		cfg: cfg, client: cfg.HTTPClient, methods: kit.NewPace(0, 0, cfg.Observe.Waited), pulse: pulse, observe: cfg.Observe, log: log,
		known: make(chan struct{}), stopped: make(chan struct{}),
	}
	w.use(cfg.BotToken)
	return w
}

// use has the following calls made with another token.
func (w *web) use(token secret.String) {
	w.current.Store(slackapi.New(token.Reveal(),
		slackapi.OptionAPIURL(w.cfg.APIURL),
		slackapi.OptionAppLevelToken(w.cfg.AppToken.Reveal()),
		slackapi.OptionHTTPClient(bounded{w.cfg.HTTPClient}),
		slackapi.OptionLog(silent{}),
	))
}

func (w *web) api() *slackapi.Client { return w.current.Load() }

// know takes what is known of the bot.
func (w *web) know(id *identity) {
	if w.self.Swap(id) == nil {
		close(w.known)
	}
}

// mentionOf matches a mention of the bot.
func mentionOf(userID string) *regexp.Regexp {
	return regexp.MustCompile("<@" + regexp.QuoteMeta(userID) + `(?:\|[^<>]*)?>`)
}

// scopeName is what a scope looks like.
var scopeName = regexp.MustCompile(`^[a-z_.:]{1,64}$`)

// identity is what auth.test says about the bot.
type identity struct {
	userID, userName string
	mention          *regexp.Regexp
	team, teamName   string
	enterprise       string
	scopes           []string
}

func (i *identity) has(scope string) bool { return i != nil && slices.Contains(i.scopes, scope) }

// silent is the library's logger: what it has to say may hold tokens and messages.
type silent struct{}

func (silent) Output(int, string) error { return nil }

const maxBackoff = time.Minute

// identify asks Slack who the bot is and what it may do, until it gets an answer.
func (w *web) identify(ctx context.Context, backoff time.Duration) error {
	return kit.Retry(ctx, kit.Pauses{First: backoff, Longest: maxBackoff}, func(ctx context.Context) (kit.Verdict, error) {
		err := w.whoAmI(ctx)
		if errors.Is(err, ErrTokenRefused) {
			return kit.Stop, err
		}
		return kit.Again, err
	}, func(err error, pause time.Duration) {
		w.pulse.Failed(err)
		w.log.WarnContext(ctx, "Slack cannot be reached, trying again", "in", pause, "err", err)
	})
}

func (w *web) whoAmI(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	res, err := w.api().AuthTestContext(ctx)
	if err != nil {
		return w.fault("auth.test", "", err)
	}
	id := &identity{
		mention: mentionOf(res.UserID),
		userID:  res.UserID, userName: res.User, team: res.TeamID, teamName: res.Team, enterprise: res.EnterpriseID,
	}
	id.scopes = scopesIn(res.Header.Get("X-Oauth-Scopes"))
	w.know(id)
	w.log.InfoContext(ctx, "signed in to Slack", "team", kit.Code(id.team), "bot", kit.Code(id.userID), "scopes", id.scopes)
	for _, s := range scopes {
		if s.Required && !id.has(s.Name) {
			w.log.ErrorContext(ctx, "the Slack app lacks a required scope: add it under OAuth & Permissions and reinstall the app", "scope", s.Name, "without", s.Without)
		}
	}
	return nil
}

// stop ends all calls for good, and with the configured token the adapter.
func (w *web) stop(method string, err error) {
	w.stopOnce.Do(func() {
		w.pulse.Failed(err)
		w.pulse.Set(kit.Stopped)
		if w.whose != "" {
			w.log.Error("Slack no longer accepts a workspace's token: its messages wait, the other workspaces go on. If the app was removed there, it has to be installed again",
				"team", w.whose, "method", method, "err", err)
			close(w.stopped)
			return
		}
		w.log.Error("Slack no longer accepts the token: the Slack adapter has stopped. Reinstall the app, or set a new token and restart the bot",
			"method", method, "err", err)
		close(w.stopped)
	})
}

func (w *web) isStopped() bool {
	select {
	case <-w.stopped:
		return true
	default:
		return false
	}
}

// APIError is a call to Slack that failed. Its text has no URL, no token and nothing that
// people wrote.
type APIError struct {
	Method string // "chat.postMessage"; "response_url" for a message response
	Kind   string // Slack's error code, "http_503", "transport"
	Err    error  // errClosed, [ErrTokenRefused], a context's error; may be nil
}

func (e *APIError) Error() string {
	if e.Err == nil || errors.Is(e.Err, errClosed) {
		return fmt.Sprintf("%s: %s", e.Method, e.Kind)
	}
	return fmt.Sprintf("%s: %s: %v", e.Method, e.Kind, e.Err)
}

func (e *APIError) Unwrap() error { return e.Err }

// errClosed is [kit.ErrClosed], which every answer is that says "not this way".
var errClosed = kit.ErrClosed

// tokenCodes are the answers after which no call will succeed any more.
// https://docs.slack.dev/reference/methods/auth.test#errors
var tokenCodes = map[string]bool{
	"invalid_auth": true, "not_authed": true, "account_inactive": true, "token_revoked": true,
	"token_expired": true, "not_allowed_token_type": true,
}

// passingCodes are the answers after which the same call may succeed later.
var passingCodes = map[string]bool{
	"internal_error": true, "fatal_error": true, "service_unavailable": true, "request_timeout": true,
	"ratelimited": true, "rate_limited": true, "accesslimited": true, "team_added_to_org": true,
	"access_denied_temporarily": true, "update_failed": true, "message_limit_exceeded": true,
}

// maxHold bounds what is believed of a Retry-After: Slack asks for a minute at most.
const maxHold = time.Hour

// fault turns what a call returned into what a [chat.Poster] returns, and holds the
// method back if Slack said so. The scope is what the limit counts by, besides the method.
func (w *web) fault(method, scope string, err error) error {
	if err == nil {
		return nil
	}
	failed := &APIError{Method: method}
	var after time.Duration
	if limited, ok := errors.AsType[*slackapi.RateLimitedError](err); ok {
		failed.Kind, after = "ratelimited", min(max(limited.RetryAfter, time.Second), maxHold)
	} else if answer, ok := errors.AsType[slackapi.SlackErrorResponse](err); ok {
		failed.Kind = kit.Code(answer.Err)
		switch {
		case tokenCodes[answer.Err]:
			failed.Err = ErrTokenRefused
		case answer.Err == "ratelimited" || answer.Err == "rate_limited":
			after = time.Minute
		case !passingCodes[answer.Err]:
			failed.Err = errClosed
		}
	} else if status, ok := errors.AsType[slackapi.StatusCodeError](err); ok {
		failed.Kind = fmt.Sprintf("http_%d", status.Code)
		if status.Code == http.StatusTooManyRequests {
			after = time.Minute
		}
	} else {
		failed.Kind = "transport"
		// Other errors of the library may quote a URL or an answer.
		if _, ok := errors.AsType[*url.Error](err); ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			failed.Err = kit.Scrub(err)
		}
	}
	w.observe.Failed(method, failed.Kind)
	if after > 0 {
		w.methods.Hold(method+scope, after)
		return &chat.RetryAfter{After: after, Err: failed}
	}
	return failed
}

// call makes one call to Slack when its turn has come.
func (w *web) call(ctx context.Context, method, scope string, f func() error) error {
	if w.isStopped() {
		return &chat.RetryAfter{After: time.Minute, Err: &APIError{Method: method, Kind: "stopped", Err: ErrTokenRefused}}
	}
	if err := w.methods.Wait(ctx, method+scope); err != nil {
		return err
	}
	err := w.fault(method, scope, f())
	if !errors.Is(err, ErrTokenRefused) || method == openMethod { // the app-level token is another
		return err
	}
	if !w.refused(ctx) {
		return &APIError{Method: method, Kind: "not refused", Err: errors.New("Slack refused the token and then took it")} //nolint:staticcheck // a name
	}
	w.stop(method, err)
	return err
}

// openMethod opens a Socket Mode connection, with the app-level token.
const openMethod = "apps.connections.open"

// refused asks Slack about the token: one call that was refused may be an accident.
func (w *web) refused(ctx context.Context) bool {
	w.asking.Lock()
	defer w.asking.Unlock()
	if w.isStopped() {
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := w.api().AuthTestContext(ctx)
	return errors.Is(w.fault("auth.test", "", err), ErrTokenRefused)
}

// maxAnswer bounds an answer of Slack's.
const maxAnswer = 8 << 20

// bounded is an HTTP client whose answers end.
type bounded struct{ client *http.Client }

func (b bounded) Do(r *http.Request) (*http.Response, error) {
	res, err := b.client.Do(r)
	if err != nil {
		return nil, err
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(res.Body, maxAnswer), res.Body}
	return res, nil
}
