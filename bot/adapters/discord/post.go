package discord

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bwmarrin/discordgo"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/texts"
)

// Codes of Discord's errors: https://docs.discord.com/developers/topics/opcodes-and-status-codes#json
const (
	codeUnknownChannel = discordgo.ErrCodeUnknownChannel
	codeUnknownMessage = discordgo.ErrCodeUnknownMessage
	codeUnknownWebhook = discordgo.ErrCodeUnknownWebhook
	codeAcknowledged   = discordgo.ErrCodeInteractionHasAlreadyBeenAcknowledged
	codeMissingAccess  = discordgo.ErrCodeMissingAccess
	codeMissingPermits = discordgo.ErrCodeMissingPermissions
	codeNotTheAuthor   = discordgo.ErrCodeCannotEditFromAnotherUser // it is another application's
	codeInvalidToken   = discordgo.ErrCodeInvalidWebhookTokenProvided
	codeThreadExists   = discordgo.ErrCodeThreadAlreadyCreatedForThisMessage
	codeThreadArchived = 50083
	codeThreadLocked   = 160005
)

// Post implements [chat.Poster].
func (a *Adapter) Post(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	d := delivery{a: a, p: p}
	if len(p.Origin) > 0 && json.Unmarshal(p.Origin, &d.o) != nil {
		d.o = origin{} // of another version: what can be done without it is
	}
	if d.o.ID != "" {
		a.acks.wait(ctx, d.o.ID)
	}
	r, err := d.post(ctx)
	if refused(err) && !errors.Is(err, chat.ErrSkip) && !errors.Is(err, chat.ErrLost) && !errors.Is(err, chat.ErrGone) {
		err = fmt.Errorf("%w: %w", chat.ErrLost, err) // what comes after it must not wait
	}
	return r, err
}

// forbidden are the codes of a 403 that says what is not allowed. Any other 403 may be a
// proxy's, or an accident of Discord's, and is tried again.
var forbidden = []int{
	codeMissingAccess, codeMissingPermits, codeThreadArchived, codeThreadLocked,
	discordgo.ErrCodeCannotSendMessagesToThisUser, discordgo.ErrCodeCannotSendMessagesInVoiceChannel,
	discordgo.ErrCodeCannotExecuteActionOnThisChannelType,
	50009,  // the channel wants a higher level of verification
	20009,  // explicit content cannot be sent to the recipient
	40002,  // the account has to be verified
	40006,  // this feature is off
	40007,  // the user is banned from the server
	50278,  // the user shares no server with the bot
	200000, // the server's AutoMod blocks the message
	200001, // and the title
}

// refused reports whether Discord will not take the same call later either.
func refused(err error) bool {
	return !isRetry(err) && (isStatus(err, http.StatusBadRequest) || isStatus(err, http.StatusRequestEntityTooLarge) ||
		isStatus(err, http.StatusForbidden) && isCode(err, forbidden...))
}

func (d delivery) post(ctx context.Context) (chat.Receipt, error) {
	switch {
	case d.o.ID == "", d.o.Public:
	case d.p.Slot == chat.SlotProgress, d.p.Slot == chat.SlotPrivate, d.p.Slot == chat.SlotSettle:
		leave, err := d.a.turns.take(ctx, d.o.ID)
		if err != nil {
			return chat.Receipt{}, err
		}
		defer leave()
	}
	switch d.p.Slot {
	case chat.SlotRoot:
		return d.root(ctx)
	case chat.SlotThread:
		return d.inThread(ctx)
	case chat.SlotThreadPrivate:
		return chat.Receipt{}, chat.ErrSkip // an ephemeral message cannot be in another place than its command
	case chat.SlotPrivate:
		return d.private(ctx)
	case chat.SlotProgress:
		return d.progress(ctx)
	case chat.SlotDirect:
		return d.direct(ctx)
	case chat.SlotEdit:
		return d.edit(ctx)
	case chat.SlotSettle:
		return d.settle(ctx)
	}
	return chat.Receipt{}, fmt.Errorf("%w: slot %q", chat.ErrSkip, d.p.Slot)
}

// turns has what may replace an interaction's private placeholder posted one after the other. That
// it takes longer is said where nothing stands yet, and would replace an answer that came between
// the look and the edit.
type turns struct {
	mu sync.Mutex
	by map[string]*turn
}

type turn struct {
	taken chan struct{}
	here  int // who has it, and who waits
}

// take waits for the turn. The error is that of ctx.
func (t *turns) take(ctx context.Context, id string) (leave func(), err error) {
	t.mu.Lock()
	if t.by == nil {
		t.by = map[string]*turn{}
	}
	mine := t.by[id]
	if mine == nil {
		mine = &turn{taken: make(chan struct{}, 1)}
		t.by[id] = mine
	}
	mine.here++
	t.mu.Unlock()
	gone := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.here--; mine.here == 0 {
			delete(t.by, id)
		}
	}
	select {
	case mine.taken <- struct{}{}:
		return func() { <-mine.taken; gone() }, nil
	case <-ctx.Done():
		gone()
		return nil, ctx.Err()
	}
}

// delivery is one post on its way.
type delivery struct {
	a *Adapter
	p chat.Post
	o origin
}

// alive reports whether the interaction's token can still be used.
func (d delivery) alive() bool {
	return d.o.Token != "" && d.a.theirs.Now().Before(snowflakeTime(d.o.ID).Add(tokenLife))
}

// ackGrace is how long an interaction that Discord does not know may just not be
// acknowledged yet: by another process, since this one waits for its own.
const ackGrace = 5 * time.Second

// tokenGone reports whether an answer means that the interaction's token is of no use.
func tokenGone(err error) bool {
	return isCode(err, codeUnknownWebhook, codeInvalidToken) || isStatus(err, http.StatusUnauthorized) ||
		isCode(err, codeUnknownMessage) // the first response was deleted
}

// early turns an error about a token that may not be known yet into a pause.
func (d delivery) early(err error) error {
	if tokenGone(err) && d.a.theirs.Now().Before(snowflakeTime(d.o.ID).Add(ackGrace)) {
		return &chat.RetryAfter{After: time.Second, Err: err}
	}
	return err
}

func (d delivery) message(ctx context.Context, private bool, note string) message {
	m, lost := render(d.p.Reply, look{Key: d.p.Key, Note: note})
	if len(lost) > 0 {
		d.a.log.WarnContext(ctx, "message shortened", "slot", d.p.Slot, "parts", lost)
	}
	if private {
		m.Flags |= discordgo.MessageFlagsEphemeral
	}
	return m
}

// where is the channel, or the thread, of the place.
func where(p chat.Place) string {
	if p.Thread != "" {
		return p.Thread
	}
	return p.Channel
}

// rootPatience is how long the first try may take to show what everybody sees.
const rootPatience = 5 * time.Second

// root shows the message that everybody sees and opens a thread from it.
func (d delivery) root(ctx context.Context) (chat.Receipt, error) {
	place := d.p.Place
	if !d.p.Tried { // the person's own answer comes next, and a repeat does no harm
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, rootPatience)
		defer cancel()
	}
	missing, threads := d.threads()
	t := texts.For(d.p.User.Locale, d.a.cfg.Locale)
	note := ""
	if missing != "" {
		note = t.T("discord.no_thread", "Permission", t.T("discord.permission."+missing))
	}
	m := d.message(ctx, false, note)
	s, err := d.public(ctx, where(place), m, d.o.Public)
	if err != nil {
		return chat.Receipt{}, err
	}
	receipt := chat.Receipt{Place: place, Message: s.ID}
	switch {
	case place.Thread != "":
		return receipt, nil
	case !threads:
		receipt.InPlace = true
		return receipt, nil
	}
	err = d.a.startThread(ctx, place.Channel, s.ID, threadName(d.p.Reply, t))
	switch {
	case err == nil, isCode(err, codeThreadExists): // by an earlier try
		receipt.Place.Thread = s.ID
		return receipt, nil
	case refused(err), // no permission, no threads here, too many of them, a name that a filter blocks
		isCode(err, codeUnknownMessage, codeUnknownChannel): // whoever deleted it would delete another as well
		d.a.log.WarnContext(ctx, "thread not opened", "err", err)
		receipt.InPlace = true
		return receipt, nil
	}
	return chat.Receipt{}, err
}

// threads reports whether a thread can be opened here, and if not for want of a
// permission, of which. Without an origin it is tried.
func (d delivery) threads() (missing string, ok bool) {
	switch {
	case d.p.Place.Kind != chat.InChannel, d.p.Place.Thread != "", d.p.Flat:
		return "", false
	case d.o.ID == "":
		return "", true
	case d.o.Channel != discordgo.ChannelTypeGuildText && d.o.Channel != discordgo.ChannelTypeGuildNews:
		return "", false // a voice channel, for instance
	case d.may(discordgo.PermissionCreatePublicThreads | discordgo.PermissionSendMessagesInThreads | discordgo.PermissionViewChannel):
		return "", true
	}
	for _, p := range permissions {
		if p.forThread && !d.may(p.bit) {
			return p.id, false
		}
	}
	return "", false // unreachable
}

func (d delivery) may(bits int64) bool {
	return d.o.App&discordgo.PermissionAdministrator != 0 || d.o.App&bits == bits
}

// public shows a message to everybody in a channel: in place of the deferred response
// if original is set, else with the bot's token, else, where the bot may not write, as a
// follow-up.
func (d delivery) public(ctx context.Context, channel string, m message, original bool) (sent, error) {
	var ways []kit.Way[sent]
	if original && d.alive() {
		ways = append(ways, func() (sent, error) { return d.replaceOriginal(ctx, m) })
	}
	byBot := func(channel string) (sent, error) {
		s, err := d.byBot(ctx, channel, m)
		if d.p.Reply.QR != "" && isCode(err, codeMissingPermits) { // perhaps only to attach files
			m = d.withoutImage().message(ctx, false, "")
			s, err = d.byBot(ctx, channel, m)
		}
		if isCode(err, codeMissingAccess, codeMissingPermits, codeUnknownChannel, codeThreadArchived, codeThreadLocked) {
			err = kit.Closed(err)
		}
		return s, err
	}
	ways = append(ways, func() (sent, error) { return byBot(channel) })
	// A thread that takes nothing is as good as none: beside the root it can be read. A private one
	// has its root within it.
	beside := d.p.Slot == chat.SlotThread && d.p.Root != nil && !d.p.Root.Place.Private && d.p.Root.Place.Channel == d.p.Place.Channel && channel != d.p.Place.Channel
	if d.alive() && (channel == where(d.p.Place) || beside) { // a follow-up is shown where the command ran, and only there
		ways = append(ways, func() (sent, error) { return d.followUp(ctx, m) })
	}
	if beside {
		ways = append(ways, func() (sent, error) { return byBot(d.p.Place.Channel) })
	}
	return kit.Deliver(false, ways...)
}

// replaceOriginal shows a message in place of the deferred response.
func (d delivery) replaceOriginal(ctx context.Context, m message) (sent, error) {
	s, err := d.a.editOriginal(ctx, d.o, m)
	err = d.early(err)
	switch {
	case err == nil && s.Flags&discordgo.MessageFlagsEphemeral != 0:
		// Another process answered a second delivery privately; only one person sees it.
		return s, kit.ErrClosed
	case tokenGone(err) && !isRetry(err):
		return s, kit.Closed(err)
	}
	return s, err
}

// followUp shows a message to everybody by the interaction's token. The first one after an
// ephemeral placeholder would replace it, for one person to see.
func (d delivery) followUp(ctx context.Context, m message) (sent, error) {
	if !d.o.Public {
		first, err := d.a.getOriginal(ctx, d.o)
		if err == nil && first.Flags&discordgo.MessageFlagsLoading != 0 {
			err = d.answered(ctx)
		}
		if err != nil && !tokenGone(err) {
			return sent{}, err
		}
	}
	s, err := d.a.followUp(ctx, d.o, m)
	if tokenGone(err) {
		err = kit.Closed(err)
	}
	return s, err
}

func isRetry(err error) bool {
	_, ok := errors.AsType[*chat.RetryAfter](err)
	return ok
}

// withoutImage shows what the QR code says as a link.
func (d delivery) withoutImage() delivery {
	r := &d.p.Reply
	r.Links = append(slices.Clone(r.Links), chat.Link{Label: cmp.Or(r.QRCaption, "QR"), URL: r.QR})
	r.QR = ""
	return d
}

// byBot posts with the bot's token. The nonce makes a repeat within some minutes
// harmless; later the channel is searched for the message first.
func (d delivery) byBot(ctx context.Context, channel string, m message) (sent, error) {
	if d.p.Tried && d.p.Key != "" {
		if s, err := d.find(ctx, channel); err != nil || s.ID != "" {
			return s, err
		}
	}
	nonce := d.p.Key
	if len(nonce) > maxNonce { // unreachable unless program bug
		nonce = nonce[:maxNonce]
	}
	return d.a.createMessage(ctx, channel, nonce, m)
}

// maxPages is how much of a busy channel's history is searched, in [maxHistory]s.
const maxPages = 5

// find looks for our own message from an earlier try; its ID is empty if it is not there.
// Not being allowed to look is no fault: then the nonce is all there is. Where Discord does
// not say, nothing is posted yet.
func (d delivery) find(ctx context.Context, channel string) (sent, error) {
	after := snowflakeAt(d.a.theirs.There(d.p.Asked).Add(-time.Minute))
	for range maxPages {
		messages, err := d.a.history(ctx, channel, after)
		switch {
		case err == nil:
		case isRetry(err) || transient(err):
			return sent{}, err
		default:
			d.a.log.WarnContext(ctx, "earlier message not looked for", "err", err)
			return sent{}, nil
		}
		for _, s := range messages {
			if s.Author.Bot && s.key() == mark(d.p.Key) {
				return s, nil
			}
			if len(s.ID) > len(after) || len(s.ID) == len(after) && s.ID > after {
				after = s.ID
			}
		}
		if len(messages) < maxHistory {
			break
		}
	}
	return sent{}, nil
}

// inThread replies in the root's thread, or beside the root where it has none.
func (d delivery) inThread(ctx context.Context) (chat.Receipt, error) {
	place := d.p.Place
	if d.p.Root != nil {
		place = d.p.Root.Place
	}
	s, err := d.public(ctx, where(place), d.message(ctx, false, ""), false)
	if err != nil {
		return chat.Receipt{}, err
	}
	if s.ChannelID != "" && s.ChannelID != place.Thread { // beside the root after all
		place.Thread = ""
	}
	return chat.Receipt{Place: place, Message: s.ID, InPlace: place.Thread == ""}, nil
}

// private tells the requester alone: where the command ran as long as the interaction's
// token lives, by direct message after that. It is never shown in the channel; where no
// private way is left, that says to the person that there is an answer.
func (d delivery) private(ctx context.Context) (chat.Receipt, error) {
	ways := []kit.Way[chat.Receipt]{func() (chat.Receipt, error) { return d.direct(ctx) }}
	if d.alive() {
		ways = slices.Insert(ways, 0, func() (chat.Receipt, error) {
			s, err := d.ephemeral(ctx, d.message(ctx, true, ""))
			if err = d.early(err); !isRetry(err) && (tokenGone(err) || refused(err)) {
				err = kit.Closed(err)
			}
			return chat.Receipt{Place: d.p.Place, Message: s.ID, InPlace: true}, err
		})
	}
	r, err := kit.Deliver(false, ways...)
	if errors.Is(err, chat.ErrLost) && d.p.Place.Kind == chat.InChannel {
		return d.inTheOpen(ctx, err)
	}
	return r, err
}

// inTheOpen says in the channel that there is an answer.
func (d delivery) inTheOpen(ctx context.Context, lost error) (chat.Receipt, error) {
	t := texts.For(d.p.User.Locale, d.a.cfg.Locale)
	d.p.Reply = chat.Reply{Text: t.T("alone.closed"), Mentions: []chat.User{d.p.User}}
	s, err := d.public(ctx, where(d.p.Place), d.message(ctx, false, ""), false)
	if errors.Is(err, kit.ErrClosed) || refused(err) {
		return chat.Receipt{}, errors.Join(lost, err)
	}
	return chat.Receipt{Place: d.p.Place, Message: s.ID, InPlace: true}, err
}

// ephemeral answers by the interaction's token. The first answer to an ephemeral
// placeholder has to replace it. A public placeholder has to be replaced before: Discord
// would put the first follow-up in its place, for everybody to see.
func (d delivery) ephemeral(ctx context.Context, m message) (sent, error) {
	if d.o.Public && d.p.Root != nil {
		return d.a.followUp(ctx, d.o, m)
	}
	first, err := d.a.getOriginal(ctx, d.o)
	if err != nil {
		return sent{}, err
	}
	waiting := first.Flags&discordgo.MessageFlagsLoading != 0
	switch {
	case !d.o.Public && (waiting || first.key() == mark(d.p.Key) || first.key() == mark(progressKey(d.o))):
		s, err := d.a.editOriginal(ctx, d.o, m)
		if err == nil && waiting && d.a.theirs.Now().After(snowflakeTime(d.o.ID).Add(noticeFrom)) {
			return d.stands(ctx, m, s)
		}
		return s, err
	case d.o.Public && waiting:
		if err := d.answered(ctx); err != nil {
			return sent{}, err
		}
	}
	return d.a.followUp(ctx, d.o, m)
}

// After noticeFrom, another replica may say that it takes longer, if it has not heard that this
// one answers. What it saw before the answer it replaces within noticeWithin.
const (
	noticeFrom   = 5 * time.Second
	noticeWithin = time.Second
)

// stands answers again if the answer was replaced by that it takes longer: turns are taken within
// one process.
func (d delivery) stands(ctx context.Context, m message, s sent) (sent, error) {
	select {
	case <-time.After(noticeWithin):
	case <-ctx.Done():
		return s, nil // the answer was accepted
	}
	first, err := d.a.getOriginal(ctx, d.o)
	if err != nil || first.key() != mark(progressKey(d.o)) {
		return s, nil
	}
	return d.a.editOriginal(ctx, d.o, m)
}

// answered replaces the placeholder by saying that the answer is another message.
func (d delivery) answered(ctx context.Context) error {
	id := "discord.settled"
	if !d.o.Public {
		id = "discord.answered"
	}
	m, _ := render(chat.Reply{Text: texts.For(d.p.User.Locale, d.a.cfg.Locale).T(id)}, look{})
	_, err := d.a.editOriginal(ctx, d.o, m)
	return err
}

func progressKey(o origin) string { return "progress" + o.ID }

// progress replaces an ephemeral placeholder, and is replaced by the answer. Below a
// public one, which says that the bot is at it, it would stay: there it is left out.
func (d delivery) progress(ctx context.Context) (chat.Receipt, error) {
	if d.o.Public || !d.alive() {
		return chat.Receipt{}, chat.ErrSkip
	}
	first, err := d.a.getOriginal(ctx, d.o)
	if err != nil || first.Flags&discordgo.MessageFlagsLoading == 0 {
		return chat.Receipt{}, chat.ErrSkip
	}
	d.p.Key = progressKey(d.o)
	s, err := d.a.editOriginal(ctx, d.o, d.message(ctx, true, ""))
	return chat.Receipt{Place: d.p.Place, Message: s.ID, InPlace: true}, err
}

// direct tells a person by direct message.
func (d delivery) direct(ctx context.Context) (chat.Receipt, error) {
	channel, err := d.a.directChannel(ctx, d.p.User.ID)
	if err == nil {
		var s sent
		s, err = d.byBot(ctx, channel, d.message(ctx, false, ""))
		if err == nil {
			place := chat.Place{Platform: Platform, Channel: channel, Kind: chat.InDirect}
			return chat.Receipt{Place: place, Message: s.ID, InPlace: true}, nil
		}
	}
	if refused(err) || isStatus(err, http.StatusNotFound) {
		return chat.Receipt{}, fmt.Errorf("%w: %w", chat.ErrLost, err)
	}
	return chat.Receipt{}, err
}

// edit replaces a message of ours.
func (d delivery) edit(ctx context.Context) (chat.Receipt, error) {
	r := d.p.Edit
	if r == nil {
		return chat.Receipt{}, chat.ErrSkip
	}
	channel := where(r.Place)
	if r.Place.Thread == r.Message { // the thread was opened from the message, which is above it
		channel = r.Place.Channel
	}
	err := d.a.edits.Do(ctx, r.Message, func() error {
		return d.a.editMessage(ctx, channel, r.Message, d.message(ctx, false, ""))
	})
	if isCode(err, codeUnknownMessage, codeUnknownChannel, codeNotTheAuthor) {
		return chat.Receipt{}, fmt.Errorf("%w: %w", chat.ErrGone, err)
	}
	return *r, err
}

// settle replaces the placeholder that everybody sees.
func (d delivery) settle(ctx context.Context) (chat.Receipt, error) {
	if !d.o.Public || !d.alive() {
		return chat.Receipt{}, chat.ErrSkip
	}
	s, err := d.a.editOriginal(ctx, d.o, d.message(ctx, false, ""))
	if err = d.early(err); err != nil && tokenGone(err) && !isRetry(err) {
		return chat.Receipt{}, fmt.Errorf("%w: %w", chat.ErrSkip, err)
	}
	return chat.Receipt{Place: d.p.Place, Message: s.ID, InPlace: true}, err
}

// threadName is what a thread is called: as the meeting is.
func threadName(r chat.Reply, t texts.Text) string {
	for _, s := range []string{r.Title, r.Text, t.T("discord.thread")} {
		if s = oneLine(s); s != "" {
			s, _ = kit.Cut(s, maxThreadName)
			return strings.TrimSpace(s)
		}
	}
	return "meeting" // unreachable: the text is not empty
}
