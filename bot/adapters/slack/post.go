package slack

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	slackapi "github.com/slack-go/slack"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
)

// Post implements [chat.Poster].
//
// What everybody sees goes to the channel with the bot's token, and through the
// response_url where the bot is not in the channel. What one person sees goes through the
// response_url while that lasts, then as an ephemeral message, then by direct message.
func (a *Adapter) Post(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	// Before Slack has said what the bot may do, an earlier try could not be looked for.
	select {
	case <-a.known:
	case <-time.After(postPatience):
		return chat.Receipt{}, &chat.RetryAfter{After: postPatience, Err: errNotSignedIn}
	case <-ctx.Done():
		return chat.Receipt{}, ctx.Err()
	}
	switch p.Slot {
	case chat.SlotSettle:
		return chat.Receipt{}, chat.ErrSkip // an empty acknowledgement leaves nothing to settle
	case chat.SlotEdit:
		return a.edit(ctx, p)
	case chat.SlotProgress:
		return a.progress(ctx, p)
	}
	if p.Reply.QR != "" {
		r, err := a.image(ctx, p)
		if !errors.Is(err, errClosed) {
			return r, err
		}
		p.Reply.Links = append(p.Reply.Links[:len(p.Reply.Links):len(p.Reply.Links)], chat.Link{Label: p.Reply.QRCaption, URL: p.Reply.QR})
	}
	switch p.Slot {
	case chat.SlotRoot:
		return a.root(ctx, p)
	case chat.SlotThread:
		return a.reply(ctx, p)
	case chat.SlotThreadPrivate:
		return a.replyPrivately(ctx, p)
	case chat.SlotDirect:
		return lost(a.direct(ctx, p))
	case chat.SlotPrivate:
		return a.private(ctx, p)
	}
	return chat.Receipt{}, fmt.Errorf("%w: unknown slot %q", chat.ErrSkip, p.Slot)
}

var errNotSignedIn = errors.New("not signed in to Slack yet")

// lost says that there was no way left.
func lost(r chat.Receipt, err error) (chat.Receipt, error) {
	if errors.Is(err, errClosed) {
		err = fmt.Errorf("%w: %w", chat.ErrLost, err)
	}
	return r, err
}

func (a *Adapter) root(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	r, err := a.public(ctx, p, p.Place.Channel, p.Place.Thread)
	if !errors.Is(err, errClosed) {
		return r, err
	}
	a.log.InfoContext(ctx, "no access to the channel", "channel", p.Place.Channel, "err", err)
	notes := a.invitation(p)
	r, err = a.throughHook(ctx, p, true, notes...)
	if !errors.Is(err, errClosed) {
		return r, err
	}
	return lost(a.direct(ctx, p, notes...))
}

// invitation says how to have a thread, where the bot can be invited.
func (a *Adapter) invitation(p chat.Post) []string {
	if p.Place.Kind != chat.InChannel {
		return nil
	}
	t := a.text(p.User.Locale, a.localeOf(p.User.ID))
	name := "meetbot"
	if self := a.self.Load(); self != nil && self.userName != "" {
		name = self.userName
	}
	return []string{t.T("slack.invite", "Bot", name)}
}

func (a *Adapter) reply(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	channel, thread := p.Place.Channel, p.Place.Thread
	if p.Root != nil {
		if p.Root.InPlace {
			r, err := a.throughHook(ctx, p, true)
			if errors.Is(err, errClosed) {
				return lost(a.direct(ctx, p))
			}
			return r, err
		}
		channel, thread = p.Root.Place.Channel, p.Root.Place.Thread
	}
	r, err := a.public(ctx, p, channel, thread)
	if !errors.Is(err, errClosed) {
		return r, err
	}
	if r, err = a.throughHook(ctx, p, true); !errors.Is(err, errClosed) {
		return r, err
	}
	return lost(a.direct(ctx, p))
}

func (a *Adapter) replyPrivately(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	place := p.Place
	if p.Root != nil {
		place = p.Root.Place
		if p.Root.InPlace {
			place.Thread = ""
		}
	}
	if place.Thread == "" {
		return chat.Receipt{}, chat.ErrSkip
	}
	r, err := a.ephemeral(ctx, p, place)
	if errors.Is(err, errClosed) {
		err = fmt.Errorf("%w: %w", chat.ErrSkip, err)
	}
	return r, err
}

// aside is where the person alone is told something. "Ephemeral messages in threads are
// only shown if there is already an active thread": until the root is in it, the thread of
// a message that nobody has replied to is not there.
// https://docs.slack.dev/reference/methods/chat.postEphemeral
func aside(p chat.Post) chat.Place {
	place := p.Place
	if p.Root == nil && decodeOrigin(p.Origin).Lone {
		place.Thread = ""
	}
	return place
}

func (a *Adapter) private(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	p.Place = aside(p)
	hook := func() (chat.Receipt, error) { return a.throughHook(ctx, p, false) }
	ephemeral := func() (chat.Receipt, error) { return a.ephemeral(ctx, p, p.Place) }
	direct := func() (chat.Receipt, error) { return a.direct(ctx, p) }
	ways := []func() (chat.Receipt, error){hook, ephemeral, direct}
	if p.Place.Thread != "" { // a private answer of a response_url cannot be in a thread
		ways = []func() (chat.Receipt, error){ephemeral, hook, direct}
	}
	var passing error
	for _, way := range ways {
		r, err := way()
		if err == nil {
			return r, nil
		}
		if errors.Is(err, errClosed) {
			continue
		}
		if passing == nil {
			passing = err
		}
		if !p.Tried { // the same way again is better than two answers
			break
		}
	}
	if passing != nil {
		return chat.Receipt{}, passing
	}
	return lost(chat.Receipt{}, errClosed)
}

// progress is tried once, and never takes what the answer itself will need.
func (a *Adapter) progress(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	p.Place = aside(p)
	err := errClosed
	var r chat.Receipt
	if p.Place.Thread == "" && a.hooks.used(decodeOrigin(p.Origin), a.now()) == 0 {
		r, err = a.throughHook(ctx, p, false)
	}
	if errors.Is(err, errClosed) {
		r, err = a.ephemeral(ctx, p, p.Place)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", chat.ErrSkip, err)
	}
	return r, err
}

// metadataType marks the bot's own messages, with the post's key.
// https://docs.slack.dev/messaging/message-metadata
const metadataType = "meetbot_post"

func (a *Adapter) options(m message, p chat.Post) []slackapi.MsgOption {
	if m.cut {
		a.log.Warn("message cut to Slack's limits", "slot", p.Slot)
	}
	return []slackapi.MsgOption{
		slackapi.MsgOptionText(m.text, false), // escaped already
		slackapi.MsgOptionBlocks(m.blocks...),
		slackapi.MsgOptionDisableLinkUnfurl(),
		slackapi.MsgOptionDisableMediaUnfurl(),
	}
}

func (a *Adapter) look(card bool, notes ...string) look {
	return look{card: card, files: a.self.Load().has("files:write"), notes: notes}
}

// public posts with the bot's token.
func (a *Adapter) public(ctx context.Context, p chat.Post, channel, thread string, notes ...string) (chat.Receipt, error) {
	if channel == "" {
		return chat.Receipt{}, errClosed
	}
	if p.Tried {
		if ts, err := a.find(ctx, p, channel, thread); err != nil || ts != "" {
			return a.receipt(p, channel, thread, ts), err
		}
	}
	if err := a.channels.Wait(ctx, channel); err != nil {
		return chat.Receipt{}, err
	}
	options := a.options(render(p.Reply, a.look(p.Slot == chat.SlotRoot, notes...)), p)
	if thread != "" {
		options = append(options, slackapi.MsgOptionTS(thread))
	}
	if p.Key != "" {
		options = append(options, slackapi.MsgOptionMetadata(slackapi.SlackMetadata{
			EventType: metadataType, EventPayload: map[string]any{"key": p.Key},
		}))
	}
	var at, ts string
	err := a.call(ctx, "chat.postMessage", channel, func() (err error) {
		at, ts, err = a.api.PostMessageContext(ctx, channel, options...)
		return err
	})
	if err != nil {
		return chat.Receipt{}, err
	}
	return a.receipt(p, cmp.Or(at, channel), thread, ts), nil
}

func (a *Adapter) receipt(p chat.Post, channel, thread, ts string) chat.Receipt {
	place := p.Place
	place.Channel, place.Thread = channel, cmp.Or(thread, ts)
	if strings.HasPrefix(channel, "D") {
		place.Kind = chat.InDirect
	}
	return chat.Receipt{Place: place, Message: ts}
}

const historyPage = 100

// find looks for the post that an earlier try may have left, by its metadata. It returns
// an empty ts if it is not there, or if the bot may not read the history.
func (a *Adapter) find(ctx context.Context, p chat.Post, channel, thread string) (string, error) {
	self := a.self.Load()
	if p.Key == "" || !self.has("channels:history") && !self.has("groups:history") && !self.has("im:history") && !self.has("mpim:history") {
		return "", nil
	}
	oldest := ""
	if !p.Asked.IsZero() {
		oldest = strconv.FormatInt(p.Asked.Add(-time.Minute).Unix(), 10)
	}
	method := "conversations.history"
	if thread != "" {
		method = "conversations.replies"
	}
	for cursor, page := "", 0; page < 5; page++ {
		var found []slackapi.Message
		err := a.call(ctx, method, "", func() (err error) {
			if thread != "" {
				found, _, cursor, err = a.api.GetConversationRepliesContext(ctx, &slackapi.GetConversationRepliesParameters{
					ChannelID: channel, Timestamp: thread, Oldest: oldest, Cursor: cursor, Limit: historyPage, IncludeAllMetadata: true,
				})
				return err
			}
			h, err := a.api.GetConversationHistoryContext(ctx, &slackapi.GetConversationHistoryParameters{
				ChannelID: channel, Oldest: oldest, Cursor: cursor, Limit: historyPage, IncludeAllMetadata: true,
			})
			if err == nil {
				found, cursor = h.Messages, h.ResponseMetaData.NextCursor
			}
			return err
		})
		if errors.Is(err, errClosed) {
			return "", nil // the scope is not for this kind of channel
		}
		if err != nil {
			return "", err
		}
		for _, m := range found {
			if m.Metadata.EventType == metadataType && m.Metadata.EventPayload["key"] == p.Key {
				return m.Timestamp, nil
			}
		}
		if cursor == "" {
			break
		}
	}
	return "", nil
}

// ephemeral posts for one person, in a place that both are in.
func (a *Adapter) ephemeral(ctx context.Context, p chat.Post, place chat.Place) (chat.Receipt, error) {
	if place.Channel == "" || p.User.ID == "" {
		return chat.Receipt{}, errClosed
	}
	options := a.options(render(p.Reply, a.look(false)), p)
	if place.Thread != "" {
		options = append(options, slackapi.MsgOptionTS(place.Thread))
	}
	err := a.call(ctx, "chat.postEphemeral", "", func() error {
		_, err := a.api.PostEphemeralContext(ctx, place.Channel, p.User.ID, options...)
		return err
	})
	// An ephemeral message has no ID that anything could be done with.
	return chat.Receipt{Place: place}, err
}

// direct posts to the person alone, in the conversation between them and the bot.
func (a *Adapter) direct(ctx context.Context, p chat.Post, notes ...string) (chat.Receipt, error) {
	if p.User.ID == "" {
		return chat.Receipt{}, errClosed
	}
	channel := ""
	err := a.call(ctx, "conversations.open", "", func() error {
		c, _, _, err := a.api.OpenConversationContext(ctx, &slackapi.OpenConversationParameters{Users: []string{p.User.ID}})
		if err == nil && c != nil {
			channel = c.ID
		}
		return err
	})
	if err != nil {
		return chat.Receipt{}, err
	}
	thread := ""
	if p.Root != nil && p.Root.Place.Channel == channel && !p.Root.InPlace {
		thread = p.Root.Place.Thread
	}
	return a.public(ctx, p, channel, thread, notes...)
}

// throughHook posts through the request's response_url: for everybody in the channel, or
// for the person alone.
// https://docs.slack.dev/interactivity/handling-user-interaction#message_responses
func (a *Adapter) throughHook(ctx context.Context, p chat.Post, public bool, notes ...string) (chat.Receipt, error) {
	const method = "response_url"
	o := decodeOrigin(p.Origin)
	if !public && o.User != p.User.ID || a.hooks.used(o, a.now()) >= hookUses {
		return chat.Receipt{}, errClosed
	}
	if err := a.methods.Wait(ctx, method); err != nil {
		return chat.Receipt{}, err
	}
	if !a.hooks.take(o, a.now()) {
		return chat.Receipt{}, errClosed
	}
	kind := slackapi.ResponseTypeEphemeral
	if public {
		kind = slackapi.ResponseTypeInChannel
	}
	m := render(p.Reply, a.look(p.Slot == chat.SlotRoot, notes...))
	no := false
	post := slackapi.WebhookMessage{
		Text: m.text, Blocks: &slackapi.Blocks{BlockSet: m.blocks}, ResponseType: kind, UnfurlLinks: &no, UnfurlMedia: &no,
	}
	if public { // what is private cannot be in a thread
		post.ThreadTimestamp = p.Place.Thread
	}
	body, err := json.Marshal(post)
	if err != nil {
		return chat.Receipt{}, fmt.Errorf("%s: %w", method, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.Hook, bytes.NewReader(body))
	if err != nil {
		return chat.Receipt{}, errClosed // not a URL; the error would quote it
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	res, err := bounded{a.client}.Do(req)
	if err != nil {
		return chat.Receipt{}, a.fault(method, "", err)
	}
	defer func() { _ = res.Body.Close() }()
	// Slack says "ok", or {"ok":false,"error":"…"}, in a 200 as well.
	answer, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
	switch {
	case res.StatusCode == http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return chat.Receipt{}, a.fault(method, "", &slackapi.RateLimitedError{RetryAfter: time.Duration(seconds) * time.Second})
	case res.StatusCode >= 500:
		return chat.Receipt{}, a.fault(method, "", slackapi.StatusCodeError{Code: res.StatusCode})
	case res.StatusCode != http.StatusOK:
		a.hooks.exhaust(o, a.now())
		return chat.Receipt{}, a.fault(method, "", slackapi.SlackErrorResponse{Err: "http_" + strconv.Itoa(res.StatusCode)})
	}
	var refusal struct {
		OK    *bool  `json:"ok"`
		Error string `json:"error"`
	}
	if json.Unmarshal(answer, &refusal) == nil && refusal.OK != nil && !*refusal.OK {
		return chat.Receipt{}, a.fault(method, "", slackapi.SlackErrorResponse{Err: cmp.Or(refusal.Error, "unknown")})
	}
	return chat.Receipt{Place: p.Place, InPlace: true}, nil
}

// edit replaces a message. Of several edits of one message that wait for their turn, only
// the newest is made: it shows the newest state.
func (a *Adapter) edit(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	if p.Edit == nil || p.Edit.Message == "" {
		return chat.Receipt{}, chat.ErrGone // posted where it cannot be edited
	}
	channel, ts := p.Edit.Place.Channel, p.Edit.Message
	key := channel + ":" + ts
	newest, leave := a.pending.Enter(key)
	defer leave()
	if err := a.edits.Wait(ctx, key); err != nil {
		return chat.Receipt{}, err
	}
	if !newest() {
		return *p.Edit, nil
	}
	err := a.call(ctx, "chat.update", "", func() error {
		_, _, _, err := a.api.UpdateMessageContext(ctx, channel, ts, a.options(render(p.Reply, a.look(true)), p)...)
		return err
	})
	if errors.Is(err, errClosed) {
		err = fmt.Errorf("%w: %w", chat.ErrGone, err)
	}
	return *p.Edit, err
}

// image uploads a QR code: a file that everybody in the thread sees, or the person alone.
func (a *Adapter) image(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	if !a.self.Load().has("files:write") {
		return chat.Receipt{}, errClosed
	}
	png, err := kit.QR(p.Reply.QR)
	if err != nil {
		a.log.WarnContext(ctx, "no QR code", "err", err)
		return chat.Receipt{}, errClosed
	}
	place := p.Place
	if p.Root != nil {
		place = p.Root.Place
	}
	if p.Slot.Private() { // a file has no ephemeral form
		err := a.call(ctx, "conversations.open", "", func() error {
			c, _, _, err := a.api.OpenConversationContext(ctx, &slackapi.OpenConversationParameters{Users: []string{p.User.ID}})
			if err == nil && c != nil {
				place = chat.Place{Platform: Platform, Team: p.Place.Team, Channel: c.ID, Kind: chat.InDirect}
			}
			return err
		})
		if err != nil {
			return chat.Receipt{}, err
		}
	}
	if err := a.channels.Wait(ctx, place.Channel); err != nil {
		return chat.Receipt{}, err
	}
	caption := fallback(chat.Reply{Title: p.Reply.Title, Text: p.Reply.QRCaption})
	title, _ := kit.Cut(p.Reply.QRCaption, maxHint)
	err = a.call(ctx, "files.upload", "", func() error {
		_, err := a.api.UploadFileContext(ctx, slackapi.UploadFileParameters{
			Reader: bytes.NewReader(png), FileSize: len(png), Filename: "qr.png", Title: title, AltTxt: title,
			InitialComment: caption, Channel: place.Channel, ThreadTimestamp: place.Thread,
		})
		return err
	})
	return chat.Receipt{Place: place}, err
}

// hooks counts the uses of response_urls, and finds one again for a form that was opened
// from it. What is lost with a restart is found out from Slack's answer.
type hooks struct {
	mu sync.Mutex
	m  map[string]*hook
}

type hook struct {
	origin origin
	uses   int
}

const maxHooks = 20_000

func hookID(url string) string {
	sum := sha256.Sum256([]byte(url))
	return hex.EncodeToString(sum[:8])
}

// open returns the record of a response_url that can still be used, or nil.
func (h *hooks) open(o origin, now time.Time) *hook {
	const margin = 10 * time.Second
	if o.Hook == "" || now.Sub(o.At) > hookLife-margin {
		return nil
	}
	id := hookID(o.Hook)
	if k := h.m[id]; k != nil {
		return k
	}
	if h.m == nil {
		h.m = map[string]*hook{}
	}
	if len(h.m) >= maxHooks {
		for id, k := range h.m {
			if now.Sub(k.origin.At) > hookLife {
				delete(h.m, id)
			}
		}
		if len(h.m) >= maxHooks {
			clear(h.m)
		}
	}
	k := &hook{origin: o}
	h.m[id] = k
	return k
}

// take reports whether a response_url can be used once more, and counts that.
func (h *hooks) take(o origin, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.open(o, now)
	if k == nil || k.uses >= hookUses {
		return false
	}
	k.uses++
	return true
}

func (h *hooks) used(o origin, now time.Time) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k := h.open(o, now); k != nil {
		return k.uses
	}
	return hookUses
}

func (h *hooks) exhaust(o origin, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k := h.open(o, now); k != nil {
		k.uses = hookUses
	}
}

// remember returns an ID under which [hooks.recall] finds the response_url; empty if it
// cannot be used.
func (h *hooks) remember(o origin, now time.Time) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open(o, now) == nil {
		return ""
	}
	return hookID(o.Hook)
}

func (h *hooks) recall(id string, now time.Time) origin {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k := h.m[id]; k != nil && now.Sub(k.origin.At) < hookLife {
		return k.origin
	}
	return origin{At: now}
}

var _ interface {
	chat.Poster
	chat.Directory
} = (*Adapter)(nil)
