package slack

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	slackapi "github.com/slack-go/slack"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/texts"
	"meetbot/config/clock"
)

// poster delivers messages.
//
// What everybody sees goes to the channel with the bot's token, and through the
// response_url where the bot is not in the channel. What one person sees goes through the
// response_url while that lasts, then as an ephemeral message, then by direct message; where
// all of that is closed, the channel hears that there is an answer and not what it says.
type poster struct {
	web    *web
	people *people
	log    *slog.Logger
	locale string // where the person's own is not known

	channels *kit.Pace // one post a second and channel
	edits    *kit.Edits
	theirs   *clock.Theirs
	hooks    *hooks
}

func newPoster(cfg Config, w *web, p *people, theirs *clock.Theirs, log *slog.Logger) *poster {
	return &poster{
		web: w, people: p, log: log, locale: cfg.Locale, hooks: newHooks(theirs.Now), theirs: theirs,
		channels: kit.NewPace(postInterval, postPatience, cfg.Observe.Waited),
		edits:    kit.NewEdits(postInterval, postPatience, cfg.Observe.Waited),
	}
}

// ways are how a post can reach its readers, the best first.
var ways = map[chat.Slot][]func(*poster, context.Context, chat.Post) (chat.Receipt, error){
	chat.SlotRoot:          {(*poster).inChannel, (*poster).byHook, (*poster).direct},
	chat.SlotThread:        {(*poster).inThread, (*poster).byHook, (*poster).direct},
	chat.SlotThreadPrivate: {(*poster).asideInThread},
	chat.SlotPrivate:       {(*poster).asideInThread, (*poster).byHookAlone, (*poster).asideInChannel, (*poster).direct},
	chat.SlotProgress:      {(*poster).byUnusedHook, (*poster).asideInThread, (*poster).asideInChannel, (*poster).direct},
	chat.SlotDirect:        {(*poster).direct},
	chat.SlotEdit:          {(*poster).edit},
}

func (po *poster) post(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	// Before Slack has said what the bot may do, an earlier try could not be looked for.
	select {
	case <-po.web.known:
	case <-time.After(postPatience):
		return chat.Receipt{}, &chat.RetryAfter{After: postPatience, Err: errNotSignedIn}
	case <-ctx.Done():
		return chat.Receipt{}, ctx.Err()
	}
	if ways[p.Slot] == nil { // an empty acknowledgement leaves nothing to settle
		return chat.Receipt{}, fmt.Errorf("%w: slot %q", chat.ErrSkip, p.Slot)
	}
	if p.Reply.QR != "" && p.Slot != chat.SlotEdit && p.Slot != chat.SlotProgress {
		r, err := po.image(ctx, p)
		if !errors.Is(err, errClosed) {
			return r, err
		}
		p.Reply.Links = append(p.Reply.Links[:len(p.Reply.Links):len(p.Reply.Links)], chat.Link{Label: p.Reply.QRCaption, URL: p.Reply.QR})
	}
	var open []kit.Way[chat.Receipt]
	for _, way := range ways[p.Slot] {
		open = append(open, func() (chat.Receipt, error) {
			if p.Slot != chat.SlotProgress {
				return way(po, ctx, p)
			}
			// It is tried once, and twice is better than not at all.
			ctx, cancel := context.WithTimeout(ctx, progressPatience)
			defer cancel()
			return way(po, ctx, p)
		})
	}
	// The same private way again is better than two answers.
	r, err := kit.Deliver(p.Slot == chat.SlotProgress || p.Slot == chat.SlotPrivate && p.Tried, open...)
	switch {
	case p.Slot == chat.SlotPrivate && errors.Is(err, chat.ErrLost):
		return po.inTheOpen(ctx, p, err)
	case p.Slot == chat.SlotProgress && err != nil, p.Slot == chat.SlotThreadPrivate && errors.Is(err, chat.ErrLost):
		err = fmt.Errorf("%w: %w", chat.ErrSkip, err)
	}
	return r, err
}

// progressPatience is how long one way is tried to say that it takes longer.
const progressPatience = 3 * time.Second

// inTheOpen says in the channel, to a person whom no private way reaches, that there is an
// answer. It shows nothing of that.
func (po *poster) inTheOpen(ctx context.Context, p chat.Post, lost error) (chat.Receipt, error) {
	if p.Place.Kind == chat.InDirect || p.User.ID == "" {
		return chat.Receipt{}, lost
	}
	t := texts.For(p.User.Locale, po.people.localeOf(p.User.ID), po.locale)
	p.Slot, p.Reply = chat.SlotThread, chat.Reply{Text: t.T("alone.closed"), Mentions: []chat.User{p.User}}
	r, err := po.inThread(ctx, p)
	if errors.Is(err, errClosed) {
		return r, errors.Join(lost, err)
	}
	return r, err
}

var errNotSignedIn = errors.New("not signed in to Slack yet")

// inChannel posts where the command was given.
func (po *poster) inChannel(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	r, err := po.public(ctx, p, p.Place.Channel, p.Place.Thread)
	if errors.Is(err, errClosed) {
		po.log.InfoContext(ctx, "no access to the channel", "channel", p.Place.Channel, "err", err)
	}
	return r, err
}

// invitation says how to have a thread, where the bot can be invited.
func (po *poster) invitation(p chat.Post) []string {
	if p.Slot != chat.SlotRoot || p.Place.Kind != chat.InChannel {
		return nil
	}
	t := texts.For(p.User.Locale, po.people.localeOf(p.User.ID), po.locale)
	name := "meetbot"
	if self := po.web.self.Load(); self != nil && self.userName != "" {
		name = self.userName
	}
	return []string{t.T("slack.invite", "Bot", name)}
}

// inThread replies to the root, where that has a thread.
func (po *poster) inThread(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	switch {
	case p.Root == nil:
		return po.public(ctx, p, p.Place.Channel, p.Place.Thread)
	case p.Root.InPlace:
		return chat.Receipt{}, errClosed
	}
	return po.public(ctx, p, p.Root.Place.Channel, p.Root.Place.Thread)
}

// threadOf is the thread in which the person alone is told something; empty where there is
// none. "Ephemeral messages in threads are only shown if there is already an active thread":
// until the root is in it, the thread of a message that nobody has replied to is not there.
// https://docs.slack.dev/reference/methods/chat.postEphemeral
func threadOf(p chat.Post) chat.Place {
	place := p.Place
	switch {
	case p.Slot == chat.SlotThreadPrivate && p.Root != nil:
		place = p.Root.Place
		if p.Root.InPlace {
			place.Thread = ""
		}
	case p.Slot != chat.SlotThreadPrivate && p.Root == nil && decodeOrigin(p.Origin).Lone:
		place.Thread = ""
	}
	return place
}

func (po *poster) asideInThread(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	place := threadOf(p)
	if place.Thread == "" || p.Slot == chat.SlotThreadPrivate && p.Place.Thread == place.Thread { // there the private answer comes
		return chat.Receipt{}, errClosed
	}
	return po.ephemeral(ctx, p, place)
}

func (po *poster) asideInChannel(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	place := threadOf(p)
	if place.Thread != "" { // tried
		return chat.Receipt{}, errClosed
	}
	return po.ephemeral(ctx, p, place)
}

// byUnusedHook takes nothing that the answer itself will need.
func (po *poster) byUnusedHook(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	if threadOf(p).Thread != "" || po.hooks.used(decodeOrigin(p.Origin)) != 0 {
		return chat.Receipt{}, errClosed
	}
	return po.byHookAlone(ctx, p)
}

// byHook tells everybody through the response_url.
func (po *poster) byHook(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	return po.throughHook(ctx, p, slackapi.ResponseTypeInChannel)
}

// byHookAlone tells the person alone through the response_url, which cannot be in a thread.
func (po *poster) byHookAlone(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	p.Place = threadOf(p)
	return po.throughHook(ctx, p, slackapi.ResponseTypeEphemeral)
}

// metadataType marks the bot's own messages, with the post's key.
// https://docs.slack.dev/messaging/message-metadata
const metadataType = "meetbot_post"

// options are what every message has.
func (po *poster) options(m message, p chat.Post) []slackapi.MsgOption {
	if m.cut {
		po.log.Warn("message shortened", "slot", p.Slot)
	}
	options := []slackapi.MsgOption{slackapi.MsgOptionText(m.text, false)} // escaped already
	if m.blocks != nil {
		options = append(options, slackapi.MsgOptionBlocks(m.blocks...))
	}
	return options
}

// blockCodes are the answers that mean the blocks. Slack has given them for valid ones, for
// hours.
var blockCodes = []string{"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"}

// orPlain sends a post, and as plain text where Slack takes no blocks.
func (po *poster) orPlain(p chat.Post, how look, send func(message) error) error {
	err := send(render(p.Reply, how))
	if failed, ok := errors.AsType[*APIError](err); ok && slices.Contains(blockCodes, failed.Kind) {
		po.log.Error("Slack refuses the message's blocks, sending plain text without buttons", "slot", p.Slot, "code", failed.Kind)
		return send(textAlone(p.Reply, how))
	}
	return err
}

func (po *poster) look(card bool, notes ...string) look {
	return look{card: card, files: po.web.self.Load().has("files:write"), notes: notes}
}

// public posts with the bot's token.
func (po *poster) public(ctx context.Context, p chat.Post, channel, thread string, notes ...string) (chat.Receipt, error) {
	if channel == "" {
		return chat.Receipt{}, errClosed
	}
	if err := po.channels.Wait(ctx, channel); err != nil { // first: in a crowd looking costs as much as posting
		return chat.Receipt{}, err
	}
	if p.Tried {
		if ts, err := po.find(ctx, p, channel, thread); err != nil || ts != "" {
			return po.receipt(p, channel, thread, ts), err
		}
	}
	var at, ts string
	err := po.orPlain(p, po.look(p.Slot == chat.SlotRoot, notes...), func(m message) error {
		options := append(po.options(m, p), slackapi.MsgOptionDisableLinkUnfurl(), slackapi.MsgOptionDisableMediaUnfurl())
		if thread != "" {
			options = append(options, slackapi.MsgOptionTS(thread))
		}
		if p.Key != "" {
			options = append(options, slackapi.MsgOptionMetadata(slackapi.SlackMetadata{
				EventType: metadataType, EventPayload: map[string]any{"key": p.Key},
			}))
		}
		return po.web.call(ctx, "chat.postMessage", channel, func() (err error) {
			at, ts, err = po.web.api().PostMessageContext(ctx, channel, options...)
			return err
		})
	})
	if err != nil {
		return chat.Receipt{}, err
	}
	return po.receipt(p, cmp.Or(at, channel), thread, ts), nil
}

func (po *poster) receipt(p chat.Post, channel, thread, ts string) chat.Receipt {
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
func (po *poster) find(ctx context.Context, p chat.Post, channel, thread string) (string, error) {
	self := po.web.self.Load()
	if p.Key == "" || !self.has("channels:history") && !self.has("groups:history") && !self.has("im:history") && !self.has("mpim:history") {
		return "", nil
	}
	oldest := ""
	if !p.Asked.IsZero() {
		oldest = strconv.FormatInt(po.theirs.There(p.Asked).Add(-time.Minute).Unix(), 10)
	}
	method := "conversations.history"
	if thread != "" {
		method = "conversations.replies"
	}
	for cursor, page := "", 0; page < 5; page++ {
		var found []slackapi.Message
		err := po.web.call(ctx, method, "", func() (err error) {
			if thread != "" {
				found, _, cursor, err = po.web.api().GetConversationRepliesContext(ctx, &slackapi.GetConversationRepliesParameters{
					ChannelID: channel, Timestamp: thread, Oldest: oldest, Cursor: cursor, Limit: historyPage, IncludeAllMetadata: true,
				})
				return err
			}
			h, err := po.web.api().GetConversationHistoryContext(ctx, &slackapi.GetConversationHistoryParameters{
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
func (po *poster) ephemeral(ctx context.Context, p chat.Post, place chat.Place) (chat.Receipt, error) {
	if place.Channel == "" || p.User.ID == "" {
		return chat.Receipt{}, errClosed
	}
	err := po.orPlain(p, po.look(false), func(m message) error {
		options := po.options(m, p)
		if place.Thread != "" {
			options = append(options, slackapi.MsgOptionTS(place.Thread))
		}
		return po.web.call(ctx, "chat.postEphemeral", "", func() error {
			_, err := po.web.api().PostEphemeralContext(ctx, place.Channel, p.User.ID, options...)
			return err
		})
	})
	// An ephemeral message has no ID that anything could be done with.
	return chat.Receipt{Place: place}, err
}

// direct posts to the person alone, in the conversation between them and the bot.
func (po *poster) direct(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	if p.User.ID == "" {
		return chat.Receipt{}, errClosed
	}
	channel := ""
	err := po.web.call(ctx, "conversations.open", "", func() error {
		c, _, _, err := po.web.api().OpenConversationContext(ctx, &slackapi.OpenConversationParameters{Users: []string{p.User.ID}})
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
	return po.public(ctx, p, channel, thread, po.invitation(p)...)
}

// throughHook posts through the request's response_url: for everybody in the channel, or
// for the person alone.
// https://docs.slack.dev/interactivity/handling-user-interaction#message_responses
func (po *poster) throughHook(ctx context.Context, p chat.Post, to string) (r chat.Receipt, err error) {
	err = po.orPlain(p, po.look(p.Slot == chat.SlotRoot, po.invitation(p)...), func(m message) error {
		r, err = po.sendThroughHook(ctx, p, to, m)
		return err
	})
	return r, err
}

func (po *poster) sendThroughHook(ctx context.Context, p chat.Post, to string, m message) (chat.Receipt, error) {
	const method = "response_url"
	public := to == slackapi.ResponseTypeInChannel
	o := decodeOrigin(p.Origin)
	if !public && o.User != p.User.ID || po.hooks.used(o) >= hookUses {
		return chat.Receipt{}, errClosed
	}
	if err := po.web.methods.Wait(ctx, method); err != nil {
		return chat.Receipt{}, err
	}
	if !po.hooks.take(o) {
		return chat.Receipt{}, errClosed
	}
	no := false
	post := slackapi.WebhookMessage{Text: m.text, ResponseType: to, UnfurlLinks: &no, UnfurlMedia: &no}
	if m.blocks != nil {
		post.Blocks = &slackapi.Blocks{BlockSet: m.blocks}
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
	res, err := bounded{po.web.client}.Do(req)
	if err != nil {
		return chat.Receipt{}, po.web.fault(method, "", err)
	}
	defer func() { _ = res.Body.Close() }()
	// Slack says "ok", or {"ok":false,"error":"…"}, in a 200 as well.
	answer, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
	switch {
	case res.StatusCode == http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return chat.Receipt{}, po.web.fault(method, "", &slackapi.RateLimitedError{RetryAfter: time.Duration(min(seconds, int(maxHold/time.Second))) * time.Second})
	case res.StatusCode >= 500:
		return chat.Receipt{}, po.web.fault(method, "", slackapi.StatusCodeError{Code: res.StatusCode})
	case res.StatusCode != http.StatusOK:
		po.hooks.exhaust(o)
		return chat.Receipt{}, po.web.fault(method, "", slackapi.SlackErrorResponse{Err: "http_" + strconv.Itoa(res.StatusCode)})
	}
	var refusal struct {
		OK    *bool  `json:"ok"`
		Error string `json:"error"`
	}
	if json.Unmarshal(answer, &refusal) == nil && refusal.OK != nil && !*refusal.OK {
		return chat.Receipt{}, po.web.fault(method, "", slackapi.SlackErrorResponse{Err: cmp.Or(refusal.Error, "unknown")})
	}
	return chat.Receipt{Place: p.Place, InPlace: true}, nil
}

// edit replaces a message.
func (po *poster) edit(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	if p.Edit == nil || p.Edit.Message == "" {
		return chat.Receipt{}, chat.ErrGone // posted where it cannot be edited
	}
	channel, ts := p.Edit.Place.Channel, p.Edit.Message
	err := po.edits.Do(ctx, channel+":"+ts, func() error {
		return po.orPlain(p, po.look(true), func(m message) error {
			options := po.options(m, p)
			if m.blocks == nil { // else Slack keeps those that are there, which say something else
				options = append(options, slackapi.MsgOptionBlocks([]slackapi.Block{}...))
			}
			return po.web.call(ctx, "chat.update", "", func() error {
				_, _, _, err := po.web.api().UpdateMessageContext(ctx, channel, ts, options...)
				return err
			})
		})
	})
	if errors.Is(err, errClosed) { // there is no other way
		why := chat.ErrLost
		if failed, ok := errors.AsType[*APIError](err); ok && slices.Contains(goneCodes, failed.Kind) {
			why = chat.ErrGone
		}
		err = fmt.Errorf("%w: %s", why, err.Error())
	}
	return *p.Edit, err
}

// goneCodes are the answers after which a message will not be edited any more. Any other refusal
// may be of this edit alone.
// https://docs.slack.dev/reference/methods/chat.update#errors
var goneCodes = []string{
	"message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found", "is_inactive", "is_archived", "not_in_channel",
}

// image uploads a QR code: a file that everybody in the thread sees, or the person alone.
func (po *poster) image(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	if !po.web.self.Load().has("files:write") {
		return chat.Receipt{}, errClosed
	}
	png, err := kit.QR(p.Reply.QR)
	if err != nil {
		po.log.WarnContext(ctx, "QR code not posted", "err", err)
		return chat.Receipt{}, errClosed
	}
	place := p.Place
	if p.Root != nil {
		place = p.Root.Place
	}
	if p.Slot.Private() { // a file has no ephemeral form
		err := po.web.call(ctx, "conversations.open", "", func() error {
			c, _, _, err := po.web.api().OpenConversationContext(ctx, &slackapi.OpenConversationParameters{Users: []string{p.User.ID}})
			if err == nil && c != nil {
				place = chat.Place{Platform: Platform, Team: p.Place.Team, Channel: c.ID, Kind: chat.InDirect}
			}
			return err
		})
		if err != nil {
			return chat.Receipt{}, err
		}
	}
	if err := po.channels.Wait(ctx, place.Channel); err != nil {
		return chat.Receipt{}, err
	}
	caption := fallback(chat.Reply{Title: p.Reply.Title, Text: p.Reply.QRCaption})
	title, _ := kit.Cut(p.Reply.QRCaption, maxHint)
	err = po.web.call(ctx, "files.upload", "", func() error {
		_, err := po.web.api().UploadFileContext(ctx, slackapi.UploadFileParameters{
			Reader: bytes.NewReader(png), FileSize: len(png), Filename: "qr.png", Title: title, AltTxt: title,
			InitialComment: caption, Channel: place.Channel, ThreadTimestamp: place.Thread,
		})
		return err
	})
	return chat.Receipt{Place: place}, err
}
