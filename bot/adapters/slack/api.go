package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	slackapi "github.com/slack-go/slack"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
)

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

// errClosed says that this way to the person will not open by itself: the next is tried.
var errClosed = errors.New("closed")

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

// fault turns what a call returned into what a [chat.Poster] returns, and holds the
// method back if Slack said so. The scope is what the limit counts by, besides the method.
func (a *Adapter) fault(method, scope string, err error) error {
	if err == nil {
		return nil
	}
	failed := &APIError{Method: method}
	var after time.Duration
	if limited, ok := errors.AsType[*slackapi.RateLimitedError](err); ok {
		failed.Kind, after = "ratelimited", max(limited.RetryAfter, time.Second)
	} else if answer, ok := errors.AsType[slackapi.SlackErrorResponse](err); ok {
		failed.Kind = answer.Err
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
	a.cfg.Observe.Failed(method, failed.Kind)
	switch {
	case failed.Err == ErrTokenRefused:
		// At the start it is Run that fails; the app-level token is connect's.
		if a.self.Load() != nil && method != "apps.connections.open" {
			a.stop(method, failed)
		}
	case after > 0:
		a.methods.Hold(method+scope, after)
		return &chat.RetryAfter{After: after, Err: failed}
	}
	return failed
}

// call makes one call to Slack when its turn has come.
func (a *Adapter) call(ctx context.Context, method, scope string, f func() error) error {
	if a.isStopped() {
		return &chat.RetryAfter{After: time.Minute, Err: &APIError{Method: method, Kind: "stopped", Err: ErrTokenRefused}}
	}
	if err := a.methods.Wait(ctx, method+scope); err != nil {
		return err
	}
	return a.fault(method, scope, f())
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
