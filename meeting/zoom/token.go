package zoom

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
	"meetbot/meeting/internal/oneshot"
)

const opToken = "POST /oauth/token"

const (
	// renewBefore is how long before its end a token is taken for worn out: calls are under
	// way for some seconds, and clocks differ.
	renewBefore = 2 * time.Minute
	// leastLife is how long a token is used at least: one that says that it ends at once
	// must not have every call ask for another.
	leastLife = 30 * time.Second
)

// tokens keeps the access token, and renews it once for all who wait for it.
type tokens struct {
	mu    sync.Mutex
	value secret.String
	until time.Time
	// renewing is closed when the renewal that is under way is over, and renewed has how it
	// ended; nil: none is under way.
	renewing chan struct{}
	renewed  error
}

// tokenRequest is a read: it changes nothing at Zoom but that one more token is valid.
func (c *Client) tokenRequest() oneshot.Request {
	form := url.Values{"grant_type": {"account_credentials"}, "account_id": {c.cfg.AccountID}}
	basic := base64.StdEncoding.EncodeToString([]byte(c.cfg.ClientID + ":" + c.cfg.ClientSecret.Reveal()))
	return oneshot.Request{
		Op: opToken, Method: http.MethodPost, Body: []byte(form.Encode()),
		Header: http.Header{
			"Authorization": {"Basic " + basic}, "Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"},
		},
	}
}

// token returns an access token that is not old. Of several callers one asks for a new one,
// and the others wait for what it gets. worn is a token that Zoom has just refused.
//
// Its errors say that nothing was done: no call is made without a token.
func (c *Client) token(ctx context.Context, worn secret.String) (secret.String, error) {
	t := &c.tokens
	for {
		t.mu.Lock()
		if !t.value.IsZero() && !t.value.Equal(worn) && c.cfg.Now().Before(t.until) {
			value := t.value
			t.mu.Unlock()
			return value, nil
		}
		if wait := t.renewing; wait != nil {
			t.mu.Unlock()
			select {
			case <-wait:
			case <-ctx.Done():
				return secret.String{}, &meeting.APIError{Provider: Kind.ID, Op: opToken, Err: meeting.ErrUnavailable, Cause: ctx.Err()}
			}
			t.mu.Lock()
			err := t.renewed
			t.mu.Unlock()
			if err != nil {
				return secret.String{}, err
			}
			worn = secret.String{} // what there is now is newer
			continue
		}
		done := make(chan struct{})
		t.renewing = done
		t.mu.Unlock()

		// Others wait for it as well, so that it does not end with whoever asked first.
		value, life, err := c.fetchToken(context.WithoutCancel(ctx))
		t.mu.Lock()
		if t.renewing, t.renewed = nil, err; err == nil {
			t.value, t.until = value, c.cfg.Now().Add(max(life-renewBefore, leastLife))
		}
		close(done)
		t.mu.Unlock()
		return value, err
	}
}

// wireToken is the answer with a token: https://developers.zoom.us/docs/internal-apps/s2s-oauth/.
type wireToken struct {
	AccessToken lenient.Text `json:"access_token"`
	ExpiresIn   lenient.Text `json:"expires_in"` // seconds
	Scope       lenient.Text `json:"scope"`      // separated by blanks
}

func (c *Client) fetchToken(ctx context.Context) (value secret.String, life time.Duration, err error) {
	w, err := c.grant(ctx)
	return secret.New(string(w.AccessToken)), time.Duration(min(w.ExpiresIn.Int(), 3600)) * time.Second, err
}

// grant asks for a new token.
func (c *Client) grant(ctx context.Context) (wireToken, error) {
	r := c.tokenRequest()
	a, err := c.oauth.Do(ctx, r)
	if err != nil {
		return wireToken{}, err
	}
	var w struct {
		wireToken
		wireError
	}
	if a.Decode(&w) == nil {
		if token := string(w.AccessToken); a.Status == http.StatusOK && printable(token) {
			return w.wireToken, nil
		}
		// "invalid_client", "invalid_request", "unsupported_grant_type": the application's
		// settings are wrong, or it is not activated.
		if w.Error != "" && w.Reason != "" && (a.Status == http.StatusBadRequest || a.Status == http.StatusUnauthorized) {
			e := c.oauth.Err(r, a)
			e.Err, e.TraceID = meeting.ErrCredentials, traceID(a.Header)
			e.Message = r.Explanation(string(w.Reason), c.held()...)
			return wireToken{}, e
		}
	}
	return wireToken{}, c.oauth.Unusable(r, a)
}

// printable reports whether s can stand in a header.
func printable(s string) bool {
	return s != "" && len(s) <= maxToken && oneshot.Printable(s)
}

const maxToken = 16 << 10 // bytes; Zoom's have some hundred

// neededScopes are what the application has to have, for what: a granular scope each, and the
// older one that covers it. https://developers.zoom.us/docs/integrations/oauth-scopes-granular/
var neededScopes = []struct{ granular, classic string }{
	{"meeting:write:meeting:admin", "meeting:write:admin"},
	{"meeting:read:meeting:admin", "meeting:read:admin"},
	{"meeting:read:list_meetings:admin", "meeting:read:admin"},
	{"meeting:update:status:admin", "meeting:write:admin"},
	{"meeting:delete:meeting:admin", "meeting:write:admin"},
	{"meeting:read:livestream:admin", "meeting:read:admin"},
	{"meeting:update:livestream:admin", "meeting:write:admin"},
	{"meeting:update:livestream_status:admin", "meeting:write:admin"},
}

// Scopes returns the scopes that the application needs, in the granular form.
func Scopes() []string {
	var all []string
	for _, s := range neededScopes {
		all = append(all, s.granular)
	}
	return all
}

// MissingScopes asks Zoom for a token and returns which of [Scopes] it does not have.
func (c *Client) MissingScopes(ctx context.Context) ([]string, error) {
	w, err := c.grant(ctx)
	if err != nil {
		return nil, err
	}
	has := strings.FieldsFunc(string(w.Scope), func(r rune) bool { return r == ' ' || r == ',' })
	var missing []string
	for _, s := range neededScopes {
		if !slices.Contains(has, s.granular) && !slices.Contains(has, s.classic) {
			missing = append(missing, s.granular)
		}
	}
	return missing, nil
}
