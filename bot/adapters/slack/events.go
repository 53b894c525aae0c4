package slack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	slackapi "github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
)

// event is one thing that Slack delivered and that a person asked.
type event struct {
	kind    string // for metrics: "command", "action", "form", "mention", "shortcut"
	req     chat.Request
	trigger string         // opens a form, for three seconds
	view    *slackapi.View // a form that was sent
	hook    string         // the response_url
	refusal string         // the text that says why nothing is done
	at      *workspace     // where it was asked; nil: nowhere that is served
	lone    bool           // nobody has replied yet to the message whose thread is the place
}

// origin is how to answer a request later. It is stored encrypted.
type origin struct {
	Hook string    `json:"hook,omitempty"` // the response_url
	User string    `json:"user,omitempty"` // who sees what is private there
	At   time.Time `json:"at,omitzero"`    // when it was given, by Slack's clock
	// Lone says that the thread of the place is not there yet.
	Lone bool `json:"lone,omitempty"`
	// Team is where it was asked, of an app that several workspaces install.
	Team string `json:"team,omitempty"`
}

func (o origin) encode() []byte {
	b, _ := json.Marshal(o) // strings and a time can always be encoded
	return b
}

func decodeOrigin(b []byte) origin {
	var o origin
	if json.Unmarshal(b, &o) != nil {
		return origin{}
	}
	return o
}

// errNotForUs is returned for an event that asks nothing of the bot.
var errNotForUs = errors.New("nothing is asked")

const shortcutID = "meet_about" // the message shortcut "Start a meeting about this"

// Names that a slash command arrives under, as the declarations call them.
const (
	meetCommand     = "meet"
	livepushCommand = "livepush"
)

func requestID(parts ...string) string {
	id := string(Platform) + ":" + strings.Join(parts, ":")
	if len(id) > 200 {
		id = id[:200]
	}
	return id
}

func kindOf(channel, name string) chat.PlaceKind {
	switch {
	case strings.HasPrefix(channel, "D"):
		return chat.InDirect
	case strings.HasPrefix(name, "mpdm-"):
		return chat.InGroup
	}
	return chat.InChannel
}

// command turns a slash command into a request.
// https://docs.slack.dev/interactivity/implementing-slash-commands#app_command_handling
func (a *Adapter) command(c slackapi.SlashCommand) (event, error) {
	at := a.served(origins{c.TeamID, c.EnterpriseID})
	if at == nil {
		return event{}, errNotForUs
	}
	var name string
	switch c.Command {
	case a.cfg.MeetCommand:
		name = meetCommand
	case a.cfg.LivepushCommand:
		name = livepushCommand
	default:
		command := c.Command
		if !commandName.MatchString(command) {
			command = "other" // not what Slack calls a command: it may be anything
		}
		a.log.Warn("unknown slash command: the names in the Slack app and in the bot's settings differ", "command", command)
		name, c.Text = meetCommand, "help"
	}
	if c.TriggerID == "" || c.UserID == "" || c.ChannelID == "" {
		return event{}, errors.New("a slash command without trigger, user or channel")
	}
	return a.stamp(event{kind: "command", at: at, trigger: c.TriggerID, hook: c.ResponseURL, req: chat.Request{
		ID:      requestID(c.TeamID, c.TriggerID),
		User:    chat.User{ID: c.UserID, Name: c.UserName},
		Place:   chat.Place{Platform: Platform, Team: c.TeamID, Channel: c.ChannelID, Kind: kindOf(c.ChannelID, c.ChannelName)},
		Command: name, Text: c.Text,
	}}, a.now()), nil
}

// stamp fills in when it was asked and how to answer.
func (a *Adapter) stamp(e event, at time.Time) event {
	if e.hook != "" && !a.isSlacks(e.hook) {
		a.log.Warn("response_url is not Slack's, ignoring it", "kind", e.kind)
		e.hook = ""
	}
	e.req.At = at
	e.req.Origin = origin{Hook: e.hook, User: e.req.User.ID, At: a.theirs.There(at), Lone: e.lone, Team: a.install(e.at)}.encode()
	return e
}

// isSlacks reports whether a response_url is one of Slack's, or on the host of the
// configured Web API. Links that only one person may see are sent there.
func (a *Adapter) isSlacks(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.Host == "" {
		return false
	}
	if u.Scheme == "https" && (u.Host == "hooks.slack.com" || u.Host == "hooks.slack-gov.com") {
		return true
	}
	api, err := url.Parse(a.cfg.APIURL)
	return err == nil && u.Scheme == api.Scheme && u.Host == api.Host
}

// interaction turns a pressed button, a sent form or a used shortcut into a request.
// https://docs.slack.dev/reference/interaction-payloads
func (a *Adapter) interaction(c interaction) (event, error) {
	from := origins{cmp.Or(c.Team.ID, c.User.TeamID), cmp.Or(c.Enterprise.ID, c.Team.EnterpriseID)}
	user := chat.User{ID: c.User.ID, Name: c.User.Name}
	if user.ID == "" {
		return event{}, errors.New("an interaction without a user")
	}
	if c.Type == slackapi.InteractionTypeViewSubmission {
		return a.submission(c, from, user)
	}
	at, team := a.served(from), from.team
	if at == nil {
		return event{}, errNotForUs
	}
	channel := cmp.Or(c.Channel.ID, c.Container.ChannelID)
	place := chat.Place{Platform: Platform, Team: team, Channel: channel, Kind: kindOf(channel, c.Channel.Name)}
	switch c.Type {
	case slackapi.InteractionTypeBlockActions:
		return a.click(c, at, user, place)
	case slackapi.InteractionTypeMessageAction:
		if c.CallbackID != shortcutID {
			return event{}, errNotForUs
		}
		place.Thread = cmp.Or(c.Message.ThreadTimestamp, c.Message.Timestamp)
		return a.stamp(event{kind: "shortcut", at: at, trigger: c.TriggerID, hook: c.ResponseURL, lone: c.Message.ThreadTimestamp == "", req: chat.Request{
			ID: requestID(team, c.TriggerID), User: user, Place: place,
			Command: meetCommand, About: plain(c.Message.Text),
		}}, a.now()), nil
	}
	return event{}, errNotForUs
}

// interaction is what Slack sends of one.
type interaction struct {
	slackapi.InteractionCallback
	author string // the workspace of whoever posted the message with the button
}

func (a *Adapter) click(c interaction, at *workspace, user chat.User, place chat.Place) (event, error) {
	for _, pressed := range c.ActionCallback.BlockActions {
		if pressed == nil {
			continue
		}
		action, ok := chat.ParseAction(pressed.Value)
		if !ok {
			continue // a link button: Slack reports it as well
		}
		if place.Channel == "" || c.TriggerID == "" {
			return event{}, errors.New("a button without a place or a trigger")
		}
		place.Thread = cmp.Or(c.Container.ThreadTs, c.Message.ThreadTimestamp)
		message := cmp.Or(c.Container.MessageTs, c.Message.Timestamp)
		if place.Thread == message {
			place.Thread = "" // the card is the thread's root, and was pressed in the channel
		}
		id := requestID(place.Team, c.TriggerID)
		if grammar.Once(action) {
			revision := "0"
			if c.Message.Edited != nil {
				revision = c.Message.Edited.Timestamp
			}
			id = requestID(place.Team, place.Channel, message, revision, action.String(), user.ID)
		}
		e := event{kind: "action", at: at, trigger: c.TriggerID, hook: c.ResponseURL, req: chat.Request{
			ID: id, User: user, Place: place, Action: &action,
		}}
		if c.author != "" && !a.together(c.author, at) {
			a.log.Warn("button pressed on another workspace's message, refusing it", "team", kit.Code(at.id), "of", kit.Code(c.author))
			e.refusal = "slack.foreign_card"
		}
		return a.stamp(e, a.now()), nil
	}
	return event{}, errNotForUs
}

// mention turns "@bot meet …" into a request.
// https://docs.slack.dev/reference/events/app_mention
func (a *Adapter) mention(from origins, m slackevents.AppMentionEvent) (event, error) {
	if m.BotID != "" || m.User == "" || m.Channel == "" || m.TimeStamp == "" {
		return event{}, errNotForUs
	}
	ws, team := a.served(from), from.team
	if ws == nil {
		return event{}, errNotForUs
	}
	self := ws.web.self.Load()
	if self != nil && m.User == self.userID {
		return event{}, errNotForUs
	}
	name, text := a.spoken(self, m.Text)
	now := a.now()
	at := now
	// Slack repeats an event for an hour; the message's own time says how old the wish is.
	if seconds, err := strconv.ParseFloat(m.TimeStamp, 64); err == nil {
		if t := a.theirs.Here(time.Unix(int64(seconds), 0)); t.Before(now.Add(-unnoticed)) {
			at = t
		}
	}
	return a.stamp(event{kind: "mention", at: ws, lone: m.ThreadTimeStamp == "", req: chat.Request{
		ID:      requestID(team, m.Channel, m.TimeStamp),
		User:    chat.User{ID: m.User},
		Place:   chat.Place{Platform: Platform, Team: team, Channel: m.Channel, Thread: cmp.Or(m.ThreadTimeStamp, m.TimeStamp), Kind: kindOf(m.Channel, "")},
		Command: name, Text: text, InTheOpen: true,
	}}, at), nil
}

// unnoticed is by how much a message may seem to be old that is not: clocks are known to about
// that.
const unnoticed = 10 * time.Second

var leadingMention = regexp.MustCompile(`^\s*<@([UW][A-Z0-9]+)(?:\|[^>]*)?>`)

// spoken splits a line in which the bot is mentioned into a command and its text. A line
// that is none asks for help.
func (a *Adapter) spoken(self *identity, line string) (name, text string) {
	if self != nil {
		if mention := self.mention.FindStringIndex(line); mention != nil {
			line = line[mention[1]:]
		}
	} else {
		line = leadingMention.ReplaceAllString(line, "")
	}
	// The ideographic space is what a Chinese keyboard types.
	line = strings.TrimLeft(line, " \t\r\n\u00a0\u3000,，:：")
	word, rest := line, ""
	if i := strings.IndexFunc(line, func(r rune) bool { return r == ' ' || r == '\n' || r == '\t' || r == '\u00a0' || r == '\u3000' }); i >= 0 {
		word, rest = line[:i], line[i:]
	}
	word = strings.TrimPrefix(strings.ToLower(word), "/")
	switch word {
	case meetCommand, strings.TrimPrefix(a.cfg.MeetCommand, "/"):
		return meetCommand, strings.TrimSpace(rest)
	case livepushCommand, strings.TrimPrefix(a.cfg.LivepushCommand, "/"):
		return livepushCommand, strings.TrimSpace(rest)
	}
	return meetCommand, "help"
}

var markup = regexp.MustCompile(`<([^<>|]*)(?:\|([^<>]*))?>`)

var unescape = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// plain is what a person reads of a message's text.
// https://docs.slack.dev/messaging/formatting-message-text#retrieving-messages
func plain(text string) string {
	text = markup.ReplaceAllStringFunc(text, func(m string) string {
		part := markup.FindStringSubmatch(m)
		target, label := part[1], part[2]
		switch {
		case strings.HasPrefix(target, "@"):
			return "@" + strings.TrimPrefix(cmp.Or(label, target[1:]), "@")
		case strings.HasPrefix(target, "#"):
			return "#" + cmp.Or(label, target[1:])
		case strings.HasPrefix(target, "!"):
			return "@" + strings.TrimPrefix(cmp.Or(label, target[1:]), "@")
		}
		return cmp.Or(label, target)
	})
	return strings.TrimSpace(unescape.Replace(text))
}

// take serves one event that came over a socket. It returns what the acknowledgement says,
// and what is to be told once it was sent.
func (a *Adapter) take(ctx context.Context, env envelope, arrived time.Time) (answer any, acked func()) {
	var e event
	var err error
	switch env.Type {
	case "slash_commands":
		var c slackapi.SlashCommand
		if json.Unmarshal(env.Payload, &c) != nil { // its error may quote the payload
			err = errors.New("not a slash command")
		} else {
			e, err = a.command(c)
		}
	case "interactive":
		e, err = a.parseInteraction(env.Payload)
	case "events_api":
		var o outer
		if json.Unmarshal(env.Payload, &o) != nil {
			err = errors.New("not an event")
		} else {
			e, err = a.parseEvent(o)
		}
	default:
		err = errNotForUs
	}
	if err != nil {
		if !errors.Is(err, errNotForUs) {
			a.log.WarnContext(ctx, "event not understood", "type", kit.Code(env.Type), "err", err)
		}
		return nil, func() {}
	}
	return a.serve(ctx, e), func() { a.acked(e.kind, arrived) }
}

// serve decides about an event and returns what the acknowledgement says: nil for
// nothing. When it returns, the event may be acknowledged.
func (a *Adapter) serve(ctx context.Context, e event) any {
	if e.at != nil {
		e.req.User.Locale = e.at.people.localeOf(e.req.User.ID)
	}
	if e.refusal != "" {
		return a.refuse(ctx, e)
	}
	d := a.bot.Parse(e.req)
	switch {
	case d.Ask != nil:
		return a.accept(ctx, e, d)
	case d.Faults != nil && e.view != nil:
		return faults(*e.view, a.inLanguage(ctx, e, d).Faults)
	case d.Form != nil && e.view != nil:
		if d = a.ready(ctx, a.inLanguage(ctx, e, d)); d.Form == nil {
			return faults(*e.view, map[string]string{"": d.Reply.Text})
		}
		return slackapi.NewUpdateViewSubmissionResponse(new(a.modal(*d.Form, e.req)))
	case d.Form != nil && a.seen.First(e.req.ID):
		return a.later(ctx, e, func(ctx context.Context) { a.open(ctx, e, d) })
	case d.Reply != nil && (e.view != nil || a.seen.First(e.req.ID)):
		return a.later(ctx, e, func(ctx context.Context) {
			if reply := a.inLanguage(ctx, e, d).Reply; reply != nil {
				a.tell(ctx, e.req, *reply)
			}
		})
	}
	return nil
}

// refuse says why nothing is done: on the form that was sent, or to the person alone.
func (a *Adapter) refuse(ctx context.Context, e event) any {
	if e.view != nil {
		return faults(*e.view, map[string]string{"": a.text(e.req).T(e.refusal)})
	}
	return a.later(ctx, e, func(ctx context.Context) {
		a.tell(ctx, e.req, chat.Reply{Tone: chat.Bad, Text: a.text(e.req).T(e.refusal)})
	})
}

func (a *Adapter) accept(ctx context.Context, e event, d chat.Decision) any {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), kit.AckTimeout)
	defer cancel()
	accepted := a.bot.Accept(ctx, d)
	if accepted.Reply == nil {
		return nil
	}
	if e.view != nil {
		// The form stays open with what was typed; it can be sent again.
		return faults(*e.view, map[string]string{"": strings.TrimSpace(accepted.Reply.Title + " " + accepted.Reply.Text)})
	}
	return a.later(ctx, e, func(ctx context.Context) { a.tell(ctx, e.req, *accepted.Reply) })
}

// languageTimeout bounds looking up a person's language while a form waits to be opened.
const languageTimeout = 700 * time.Millisecond

// inLanguage returns the decision in the person's own language, if that can be found out
// in time. A decision in the fallback language is as good for everything but reading.
func (a *Adapter) inLanguage(ctx context.Context, e event, d chat.Decision) chat.Decision {
	if e.req.User.Locale != "" {
		return d
	}
	ctx, cancel := context.WithTimeout(ctx, languageTimeout)
	defer cancel()
	profile, err := a.Profile(ctx, e.req.Place, e.req.User.ID)
	if err != nil || profile.Locale == "" {
		return d
	}
	e.req.User.Locale = profile.Locale
	again := a.bot.Parse(e.req)
	if (again.Form == nil) != (d.Form == nil) || (again.Reply == nil) != (d.Reply == nil) || (again.Faults == nil) != (d.Faults == nil) {
		return d
	}
	return again
}

const (
	// laterTimeout bounds what follows an acknowledgement without being a job.
	laterTimeout = 20 * time.Second
	// maxLater is how much of that goes on side by side.
	maxLater = 256
)

// later does something after the acknowledgement, and returns what that says. If too much is
// being done already, whoever typed a command is told so by the acknowledgement, and anybody
// else waits a moment for a place.
func (a *Adapter) later(ctx context.Context, e event, f func(context.Context)) any {
	select {
	case a.follow <- struct{}{}:
	default:
		if e.kind == "command" {
			return map[string]string{"response_type": slackapi.ResponseTypeEphemeral, "text": a.text(e.req).T("accept.busy")}
		}
		select {
		case a.follow <- struct{}{}:
		case <-time.After(kit.AckTimeout):
			a.log.ErrorContext(ctx, "too many answers wait for Slack, dropping one", "kind", e.kind)
			return nil
		}
	}
	a.busy.more()
	go func() {
		defer func() { <-a.follow }()
		defer a.busy.end()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), laterTimeout)
		defer cancel()
		defer context.AfterFunc(a.over, cancel)()
		kit.Contain(ctx, a.log, "answer", func() { f(ctx) })
	}()
	return nil
}

// tell gives a private answer at once; it is not a job and is not kept.
func (a *Adapter) tell(ctx context.Context, r chat.Request, reply chat.Reply) {
	p := chat.Post{Slot: chat.SlotPrivate, Place: r.Place, User: r.User, Origin: r.Origin, Asked: r.At, Reply: reply}
	err := kit.Retry(ctx, kit.Pauses{First: time.Second, Longest: laterTimeout}, func(ctx context.Context) (kit.Verdict, error) {
		_, err := a.Post(ctx, p)
		if errors.Is(err, chat.ErrSkip) || errors.Is(err, chat.ErrLost) {
			return kit.Stop, err
		}
		return kit.Again, err
	}, nil)
	if err != nil && !errors.Is(err, chat.ErrSkip) {
		a.log.WarnContext(ctx, "private answer not sent", "request", r.ID, "err", err)
	}
}

// triggerLife is how long a form can be opened after what it answers, less its way to Slack.
// https://docs.slack.dev/interactivity/handling-user-interaction#modal_responses
const triggerLife = 2800 * time.Millisecond

// readyTimeout bounds what is looked up for a form that waits to be opened.
const readyTimeout = 700 * time.Millisecond

func (a *Adapter) ready(ctx context.Context, d chat.Decision) chat.Decision {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return a.bot.Ready(ctx, d)
}

// open opens a form, trying as long as Slack lets it.
func (a *Adapter) open(ctx context.Context, e event, d chat.Decision) {
	if d = a.ready(ctx, a.inLanguage(ctx, e, d)); d.Reply != nil {
		a.tell(ctx, e.req, *d.Reply)
		return
	}
	form := *d.Form
	opening, cancel := context.WithTimeout(ctx, triggerLife-a.now().Sub(e.req.At))
	defer cancel()
	err := kit.Retry(opening, kit.Pauses{First: 100 * time.Millisecond, Longest: 400 * time.Millisecond}, func(ctx context.Context) (kit.Verdict, error) {
		err := e.at.web.call(ctx, "views.open", "", func() error {
			_, err := e.at.web.api().OpenViewContext(ctx, e.trigger, a.modal(form, e.req))
			return err
		})
		if errors.Is(err, errClosed) || errors.Is(err, ErrTokenRefused) {
			return kit.Stop, err
		}
		return kit.Again, err
	}, nil)
	if err == nil {
		return
	}
	a.log.WarnContext(ctx, "form not opened", "form", form.ID, "err", err)
	why := "slack.form_failed.refused"
	if failed, ok := errors.AsType[*APIError](err); errors.Is(err, context.DeadlineExceeded) || ok && strings.HasSuffix(failed.Kind, "_trigger_id") {
		why = "slack.form_failed"
	}
	t := a.text(e.req)
	a.tell(ctx, e.req, chat.Reply{Tone: chat.Bad, Text: t.T(why)})
}

// faults puts what is wrong with a form on its fields. What belongs to no field that is
// there is said on the first.
func faults(v slackapi.View, wrong map[string]string) *slackapi.ViewSubmissionResponse {
	var names []string
	for _, b := range v.Blocks.BlockSet {
		if input, ok := b.(*slackapi.InputBlock); ok {
			names = append(names, input.BlockID)
		}
	}
	if len(names) == 0 && v.State != nil { // a payload without its blocks
		for name := range v.State.Values {
			names = append(names, name)
		}
		slices.Sort(names)
	}
	on := map[string]string{}
	var rest []string
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		if slices.Contains(names, name) {
			on[name] = wrong[name]
		} else {
			rest = append(rest, wrong[name])
		}
	}
	if len(rest) > 0 && len(names) > 0 {
		on[names[0]] = strings.TrimSpace(strings.Join(append(rest, on[names[0]]), " "))
	}
	for name := range on {
		on[name], _ = kit.Cut(on[name], maxHint)
	}
	return slackapi.NewErrorsViewSubmissionResponse(on)
}
