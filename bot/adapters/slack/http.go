package slack

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	slackapi "github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"

	"meetbot/bot/signed"
	"meetbot/config/secret"
)

const (
	headerSignature = "X-Slack-Signature"
	headerTimestamp = "X-Slack-Request-Timestamp"
)

// Paths of the endpoints that [Adapter.Handler] serves.
const (
	PathCommands     = "/slack/commands"
	PathInteractions = "/slack/interactions"
	PathEvents       = "/slack/events"
)

// scheme is how Slack signs requests: over the raw body with the shared secret, at most five
// minutes ago or ahead.
// https://docs.slack.dev/authentication/verifying-requests-from-slack
func scheme(key secret.String) signed.Scheme {
	return signed.Scheme{Sent: sent, Old: maxSkew, Ahead: maxSkew, Valid: func(r *http.Request, body []byte) bool {
		return signedBy(key, r.Header, body)
	}}
}

// sent reads when a request was signed, if it has something that looks like a signature.
func sent(h http.Header) (time.Time, bool) {
	seconds, err := strconv.ParseInt(h.Get(headerTimestamp), 10, 64)
	mac, ok := strings.CutPrefix(h.Get(headerSignature), "v0=")
	return time.Unix(seconds, 0), err == nil && ok && len(mac) == hex.EncodedLen(sha256.Size)
}

func signedBy(key secret.String, h http.Header, body []byte) bool {
	got, err := hex.DecodeString(strings.TrimPrefix(h.Get(headerSignature), "v0="))
	if err != nil || key.IsZero() {
		return false
	}
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write([]byte("v0:" + h.Get(headerTimestamp) + ":"))
	mac.Write(body)
	return hmac.Equal(got, mac.Sum(nil))
}

// Endpoint implements [kit.Receiver].
func (a *Adapter) Endpoint() (string, http.Handler) {
	if a.cfg.SigningSecret.IsZero() && a.installed == nil {
		return "", nil
	}
	return "/slack/", a.Handler()
}

// Handler serves Slack's requests under [PathCommands], [PathInteractions] and
// [PathEvents]. Without a signing secret it rejects them all.
func (a *Adapter) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+PathCommands, a.handle(a.serveCommand))
	mux.HandleFunc("POST "+PathInteractions, a.handle(a.serveInteraction))
	mux.HandleFunc("POST "+PathEvents, a.handle(a.serveEvent))
	if a.installed != nil {
		mux.HandleFunc("GET "+PathInstall, a.installed.begin)
		mux.HandleFunc("GET "+PathOAuth, a.finish)
	}
	return mux
}

// handle hands a signed request on. What f returns is the answer: nil for an empty one.
func (a *Adapter) handle(f func(r *http.Request, body []byte, arrived time.Time) (any, error)) http.HandlerFunc {
	return a.gate.Handler(func(w http.ResponseWriter, r *http.Request, body []byte, arrived time.Time) {
		if a.web.isStopped() || !a.busy.begin() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		defer a.busy.end()
		answer, err := f(r, body, arrived)
		if err != nil {
			a.log.WarnContext(r.Context(), "signed request not understood", "path", r.URL.Path, "err", err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if answer == nil {
			w.WriteHeader(http.StatusOK)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		// Slack has gone if this fails; the job is written down.
		_ = json.NewEncoder(w).Encode(answer)
	})
}

func (a *Adapter) serveCommand(r *http.Request, body []byte, arrived time.Time) (any, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errors.New("not a form")
	}
	if form.Get("ssl_check") == "1" {
		return nil, nil
	}
	e, err := a.command(slackapi.SlashCommand{
		TeamID: form.Get("team_id"), EnterpriseID: form.Get("enterprise_id"), ChannelID: form.Get("channel_id"), ChannelName: form.Get("channel_name"),
		UserID: form.Get("user_id"), UserName: form.Get("user_name"),
		Command: form.Get("command"), Text: form.Get("text"),
		ResponseURL: form.Get("response_url"), TriggerID: form.Get("trigger_id"),
	})
	return a.answer(r, e, err, arrived)
}

func (a *Adapter) serveInteraction(r *http.Request, body []byte, arrived time.Time) (any, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errors.New("not a form")
	}
	if form.Get("ssl_check") == "1" {
		return nil, nil
	}
	e, err := a.parseInteraction([]byte(form.Get("payload")))
	return a.answer(r, e, err, arrived)
}

func (a *Adapter) parseInteraction(payload []byte) (event, error) {
	var c interaction
	var posted struct {
		Message struct {
			Team string `json:"team"`
		} `json:"message"`
	}
	if json.Unmarshal(payload, &c.InteractionCallback) != nil || json.Unmarshal(payload, &posted) != nil {
		return event{}, errors.New("not an interaction payload")
	}
	c.author = posted.Message.Team
	return a.interaction(c)
}

// outer is the envelope of an event.
// https://docs.slack.dev/apis/events-api/#callback-field
type outer struct {
	Type         string          `json:"type"`
	Challenge    string          `json:"challenge"`
	TeamID       string          `json:"team_id"`
	EnterpriseID string          `json:"enterprise_id"`
	Event        json.RawMessage `json:"event"`
	// Authorizations has one of the installations that the event is for.
	Authorizations []struct {
		TeamID       string `json:"team_id"`
		EnterpriseID string `json:"enterprise_id"`
	} `json:"authorizations"`
}

func (o outer) from() origins {
	for _, of := range o.Authorizations {
		o.EnterpriseID = cmp.Or(o.EnterpriseID, of.EnterpriseID)
	}
	return origins{o.TeamID, o.EnterpriseID}
}

// visibleTo is where what people write is taken: in the workspace that the event names or, in a
// channel that several organisations share, where that may be another's, in the one whose
// installation sees it.
// https://docs.slack.dev/apis/events-api/#authorizations
func (a *Adapter) visibleTo(o outer) origins {
	from := o.from()
	if a.serving(from) != nil {
		return from
	}
	for _, of := range o.Authorizations {
		if sees := (origins{of.TeamID, of.EnterpriseID}); sees.team != "" && a.serving(sees) != nil {
			return sees
		}
	}
	return from
}

func (a *Adapter) parseEvent(o outer) (event, error) {
	if o.Type != "event_callback" {
		return event{}, errNotForUs
	}
	var m slackevents.AppMentionEvent
	if json.Unmarshal(o.Event, &struct {
		Type *string `json:"type"`
	}{&m.Type}) != nil {
		return event{}, errors.New("not an event")
	}
	switch m.Type {
	case "app_mention":
	case "app_uninstalled", "tokens_revoked":
		return event{}, a.revoked(o)
	default:
		return event{}, errNotForUs
	}
	if json.Unmarshal(o.Event, &m) != nil {
		return event{}, errors.New("not an app_mention event")
	}
	return a.mention(a.visibleTo(o), m)
}

// revoked takes the report that the app was removed, or that its tokens were revoked. It asks
// nothing of the bot but to find out.
// https://docs.slack.dev/reference/events/app_uninstalled
func (a *Adapter) revoked(o outer) error {
	var e slackevents.TokensRevokedEvent
	if json.Unmarshal(o.Event, &e) != nil {
		return errors.New("not a tokens_revoked event")
	}
	if a.installed != nil && (e.Type != "tokens_revoked" || len(e.Tokens.Bot) > 0) { // else people's own
		if err := a.installed.removed(o.from()); err != nil {
			return err // Slack reports it again
		}
	}
	return errNotForUs
}

func (a *Adapter) serveEvent(r *http.Request, body []byte, arrived time.Time) (any, error) {
	var o outer
	if json.Unmarshal(body, &o) != nil {
		return nil, errors.New("not an event")
	}
	if o.Type == "url_verification" {
		return map[string]string{"challenge": o.Challenge}, nil
	}
	e, err := a.parseEvent(o)
	return a.answer(r, e, err, arrived)
}

// answer serves an event, and tells how long it took until its acknowledgement.
func (a *Adapter) answer(r *http.Request, e event, err error, arrived time.Time) (any, error) {
	if errors.Is(err, errNotForUs) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	answer := a.serve(r.Context(), e)
	a.acked(e.kind, arrived)
	return answer, nil
}

func (a *Adapter) acked(kind string, arrived time.Time) {
	a.cfg.Observe.Acked(kind, time.Since(arrived))
}
