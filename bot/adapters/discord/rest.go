package discord

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bwmarrin/discordgo"

	"meetbot/bot/adapters/kit"
	"meetbot/config/secret"
)

const (
	defaultAPIURL = "https://discord.com/api"
	apiVersion    = "v9" // the version that discordgo's types are made for
	userAgent     = "DiscordBot (meetbot, 1)"
)

// ErrTokenRefused is returned when Discord has refused the bot's token. No further call is made
// with it: every one would count towards a ban of the address.
var ErrTokenRefused = kit.Refused("Discord refuses the bot token (DISCORD_BOT_TOKEN)")

// apiError is an answer of Discord that is no success. It has no URL in it: an
// interaction's token is part of those.
type apiError struct {
	Route   string // method and path template
	Status  int
	Code    int    // https://docs.discord.com/developers/topics/opcodes-and-status-codes#json
	Invalid string // where a body was refused and as what: "data.components.0.label BASE_TYPE_BAD_LENGTH"
}

func (e *apiError) Error() string {
	s := fmt.Sprintf("%s: HTTP %d", e.Route, e.Status)
	if e.Code != 0 {
		s += ", code " + strconv.Itoa(e.Code)
	}
	if e.Invalid != "" {
		s += ": " + e.Invalid
	}
	return s
}

func isCode(err error, codes ...int) bool {
	e, ok := errors.AsType[*apiError](err)
	return ok && slices.Contains(codes, e.Code)
}

func isStatus(err error, status int) bool {
	e, ok := errors.AsType[*apiError](err)
	return ok && e.Status == status
}

// transient reports whether a later try may succeed: no answer came, or a 5xx. A 429 is a
// *chat.RetryAfter and not asked about here.
func transient(err error) bool {
	e, ok := errors.AsType[*apiError](err)
	return !ok && !errors.Is(err, ErrTokenRefused) || ok && e.Status >= 500
}

// rest calls Discord's REST API. A call is tried once; retrying is the job layer's.
//
// discordgo's session is not used for it: its limiter sleeps whatever the context says
// and keeps every interaction's token for good as the name of a bucket.
type rest struct {
	base    string // with the version
	token   secret.String
	http    *http.Client
	limits  *limiter
	observe kit.Observer
}

// call is one REST call.
type call struct {
	Method string
	Route  string // path template; parameters in braces
	Args   []string
	Query  url.Values
	// Major tells buckets of the same route apart: a channel's, a guild's or an
	// interaction's ID.
	Major string
	// Interaction says that the path has an interaction's token, which is all the
	// authorization there is. The bot's global rate limit does not count it.
	Interaction bool
	Body        any
	Files       []file
	Out         any
}

type file struct {
	Name string
	Type string
	Data []byte
}

func (c call) path() string {
	path := c.Route
	for _, a := range c.Args {
		open, end := strings.IndexByte(path, '{'), strings.IndexByte(path, '}')
		path = path[:open] + url.PathEscape(a) + path[end+1:]
	}
	if len(c.Query) > 0 {
		path += "?" + c.Query.Encode()
	}
	return path
}

func (c call) name() string { return c.Method + " " + c.Route }

// do makes a call. It returns an [apiError], a *chat.RetryAfter when Discord or the
// limiter wants a pause, [ErrTokenRefused] once the bot's token was refused, and what the
// transport says otherwise.
func (r *rest) do(ctx context.Context, c call) error {
	body, contentType, err := c.encode()
	if err != nil {
		return fmt.Errorf("%s: %w", c.name(), err)
	}
	if err := r.limits.wait(ctx, c); err != nil {
		return fmt.Errorf("%s: %w", c.name(), err)
	}
	req, err := http.NewRequestWithContext(ctx, c.Method, r.base+c.path(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", c.name(), kit.Scrub(err))
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("User-Agent", userAgent)
	if !c.Interaction {
		req.Header.Set("Authorization", "Bot "+r.token.Reveal())
	}
	resp, err := r.http.Do(req)
	if err != nil {
		r.observe.Failed(c.name(), "transport")
		return fmt.Errorf("%s: %w", c.name(), kit.Scrub(err))
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode/100 != 2 {
		r.observe.Failed(c.name(), "http_"+strconv.Itoa(resp.StatusCode))
	}
	if err := r.limits.answered(c, resp, answer); err != nil {
		return err
	}
	if resp.StatusCode == http.StatusUnauthorized && !c.Interaction && r.refused(ctx, c) {
		r.limits.refuse()
		return fmt.Errorf("%s: %w", c.name(), ErrTokenRefused)
	}
	if resp.StatusCode/100 != 2 {
		return newAPIError(c.name(), resp.StatusCode, answer)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.name(), err)
	}
	if c.Out != nil && len(answer) > 0 {
		if err := json.Unmarshal(answer, c.Out); err != nil {
			return fmt.Errorf("%s: the answer cannot be read", c.name()) // err may quote it
		}
	}
	return nil
}

// whoAmI asks nothing but whether the token is accepted.
//
// https://docs.discord.com/developers/resources/user#get-current-user
var whoAmI = call{Method: http.MethodGet, Route: "/users/@me"}

// refused reports whether a 401 means that the token is refused: one may be an accident, and
// is asked about.
func (r *rest) refused(ctx context.Context, c call) bool {
	if c.Route == whoAmI.Route {
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Is(r.do(ctx, whoAmI), ErrTokenRefused)
}

func (c call) encode() (body []byte, contentType string, err error) {
	if c.Body == nil {
		return nil, "", nil
	}
	payload, err := json.Marshal(c.Body)
	if err != nil || len(c.Files) == 0 {
		return payload, "application/json", err
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part := func(name, filename, contentType string, data []byte) {
		h := textproto.MIMEHeader{"Content-Type": {contentType}}
		disposition := fmt.Sprintf(`form-data; name=%q`, name)
		if filename != "" {
			disposition += fmt.Sprintf(`; filename=%q`, filename)
		}
		h.Set("Content-Disposition", disposition)
		p, _ := w.CreatePart(h) // a bytes.Buffer does not fail
		_, _ = p.Write(data)
	}
	part("payload_json", "", "application/json", payload)
	for i, f := range c.Files {
		part(fmt.Sprintf("files[%d]", i), f.Name, f.Type, f.Data)
	}
	err = w.Close()
	return b.Bytes(), w.FormDataContentType(), err
}

func newAPIError(route string, status int, body []byte) error {
	e := &apiError{Route: route, Status: status}
	var answer struct {
		Code   int             `json:"code"`
		Errors json.RawMessage `json:"errors"`
	}
	if json.Unmarshal(body, &answer) == nil { // a proxy answers HTML
		e.Code = answer.Code
		if len(answer.Errors) <= maxErrors {
			e.Invalid = strings.Join(invalid("", answer.Errors, 0), ", ")
		}
	}
	return e
}

const (
	maxErrors  = 64 << 10 // bytes of an answer's errors that are looked through
	maxDepth   = 16       // of the path to a fault; every level is read again for the next
	mostFaults = 8        // that are named
)

// invalid lists where a body was refused and the code of the fault, without the text,
// which may quote what we sent.
func invalid(path string, b json.RawMessage, depth int) []string {
	var node map[string]json.RawMessage
	if len(b) == 0 || depth > maxDepth || json.Unmarshal(b, &node) != nil {
		return nil
	}
	var found []string
	for key, value := range node {
		if key == "_errors" {
			var faults []struct {
				Code string `json:"code"`
			}
			_ = json.Unmarshal(value, &faults)
			for _, f := range faults {
				found = append(found, strings.TrimPrefix(path, ".")+" "+kit.Code(f.Code))
			}
			continue
		}
		found = append(found, invalid(path+"."+kit.Code(key), value, depth+1)...)
	}
	slices.Sort(found)
	return found[:min(len(found), mostFaults)]
}

// The calls. Each names Discord's page of it.

// createResponse acknowledges an interaction.
//
// https://docs.discord.com/developers/interactions/receiving-and-responding#create-interaction-response
func (r *rest) createResponse(ctx context.Context, id, token string, c *callback) error {
	return r.do(ctx, call{
		Method: http.MethodPost, Route: "/interactions/{interaction_id}/{interaction_token}/callback",
		Args: []string{id, token}, Major: id, Interaction: true, Body: c, Files: c.files,
	})
}

// sent is what is read of a message.
type sent struct {
	ID         string                 `json:"id"`
	ChannelID  string                 `json:"channel_id"`
	Flags      discordgo.MessageFlags `json:"flags"`
	Components []struct {
		ID int `json:"id"`
	} `json:"components"`
	Author struct {
		Bot bool `json:"bot"`
	} `json:"author"`
}

// key returns the mark that [render] left in the message; 0 if there is none.
func (s sent) key() int {
	for _, c := range s.Components {
		if c.ID >= firstMark {
			return c.ID
		}
	}
	return 0
}

const original = "/webhooks/{application_id}/{interaction_token}/messages/{message_id}"

// getOriginal returns the interaction's first response.
//
// https://docs.discord.com/developers/interactions/receiving-and-responding#get-original-interaction-response
func (a *Adapter) getOriginal(ctx context.Context, o origin) (sent, error) {
	var m sent
	err := a.rest.do(ctx, call{
		Method: http.MethodGet, Route: original, Args: []string{a.cfg.ApplicationID, o.Token, "@original"},
		Major: o.ID, Interaction: true, Out: &m,
	})
	return m, err
}

// editOriginal replaces the interaction's first response, also one that is deferred.
//
// https://docs.discord.com/developers/interactions/receiving-and-responding#edit-original-interaction-response
func (a *Adapter) editOriginal(ctx context.Context, o origin, m message) (sent, error) {
	m.Flags &^= discordgo.MessageFlagsEphemeral // fixed by the first response
	var out sent
	err := a.rest.do(ctx, call{
		Method: http.MethodPatch, Route: original, Args: []string{a.cfg.ApplicationID, o.Token, "@original"},
		Major: o.ID, Interaction: true, Body: m, Files: m.files, Out: &out,
	})
	return out, err
}

// followUp adds a message to the interaction.
//
// https://docs.discord.com/developers/interactions/receiving-and-responding#create-followup-message
func (a *Adapter) followUp(ctx context.Context, o origin, m message) (sent, error) {
	var out sent
	err := a.rest.do(ctx, call{
		Method: http.MethodPost, Route: "/webhooks/{application_id}/{interaction_token}", Args: []string{a.cfg.ApplicationID, o.Token},
		Query: url.Values{"wait": {"true"}}, Major: o.ID, Interaction: true, Body: m, Files: m.files, Out: &out,
	})
	return out, err
}

// createMessage posts with the bot's token. With a nonce, a repeat within some minutes
// returns the first message.
//
// https://docs.discord.com/developers/resources/message#create-message
func (a *Adapter) createMessage(ctx context.Context, channel, nonce string, m message) (sent, error) {
	m.Flags &^= discordgo.MessageFlagsEphemeral // interactions only
	m.Nonce, m.EnforceNonce = nonce, nonce != ""
	var out sent
	err := a.rest.do(ctx, call{
		Method: http.MethodPost, Route: "/channels/{channel_id}/messages", Args: []string{channel},
		Major: channel, Body: m, Files: m.files, Out: &out,
	})
	return out, err
}

// editMessage replaces one of the bot's own messages.
//
// https://docs.discord.com/developers/resources/message#edit-message
func (a *Adapter) editMessage(ctx context.Context, channel, id string, m message) error {
	m.Flags &^= discordgo.MessageFlagsEphemeral
	return a.rest.do(ctx, call{
		Method: http.MethodPatch, Route: "/channels/{channel_id}/messages/{message_id}", Args: []string{channel, id},
		Major: channel, Body: m, Files: m.files,
	})
}

// history returns the first [maxHistory] of a channel's messages after the given one. It
// needs Read Message History.
//
// https://docs.discord.com/developers/resources/message#get-channel-messages
func (a *Adapter) history(ctx context.Context, channel, after string) ([]sent, error) {
	var out []sent
	err := a.rest.do(ctx, call{
		Method: http.MethodGet, Route: "/channels/{channel_id}/messages", Args: []string{channel}, Major: channel, Out: &out,
		Query: url.Values{"limit": {strconv.Itoa(maxHistory)}, "after": {after}},
	})
	return out, err
}

// startThread opens a thread from a message. The thread's ID is the message's.
//
// https://docs.discord.com/developers/resources/channel#start-thread-from-message
func (a *Adapter) startThread(ctx context.Context, channel, message, name string) error {
	return a.rest.do(ctx, call{
		Method: http.MethodPost, Route: "/channels/{channel_id}/messages/{message_id}/threads", Args: []string{channel, message}, Major: channel,
		Body: struct {
			Name                string `json:"name"`
			AutoArchiveDuration int    `json:"auto_archive_duration"`
		}{name, threadArchive},
	})
}

// directChannel returns the ID of the direct conversation with a person.
//
// https://docs.discord.com/developers/resources/user#create-dm
func (a *Adapter) directChannel(ctx context.Context, user string) (string, error) {
	var out struct {
		ID string `json:"id"`
	}
	err := a.rest.do(ctx, call{
		Method: http.MethodPost, Route: "/users/@me/channels", Out: &out,
		Body: struct {
			RecipientID string `json:"recipient_id"`
		}{user},
	})
	return out.ID, err
}
