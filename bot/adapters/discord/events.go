package discord

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bwmarrin/discordgo"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/texts"
)

// interaction is what is read of an event. discordgo's own type lacks the channel, and
// refuses a form with selects.
//
// https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-object
type interaction struct {
	ID            string                    `json:"id"`
	ApplicationID string                    `json:"application_id"`
	Type          discordgo.InteractionType `json:"type"`
	Token         string                    `json:"token"`
	GuildID       string                    `json:"guild_id"`
	ChannelID     string                    `json:"channel_id"`
	Channel       struct {
		Type     discordgo.ChannelType `json:"type"`
		ParentID string                `json:"parent_id"`
	} `json:"channel"`
	Context        *discordgo.InteractionContextType `json:"context"`
	Member         *member                           `json:"member"`
	User           *person                           `json:"user"`
	Locale         string                            `json:"locale"`
	AppPermissions string                            `json:"app_permissions"`
	Message        *struct {
		ID     string `json:"id"`
		Edited string `json:"edited_timestamp"`
	} `json:"message"`
	Data json.RawMessage `json:"data"`
}

type member struct {
	User        person   `json:"user"`
	Nick        string   `json:"nick"`
	Roles       []string `json:"roles"`
	Permissions string   `json:"permissions"`
}

type person struct {
	ID         string `json:"id"`
	Username   string `json:"username"`
	GlobalName string `json:"global_name"`
}

func (p person) name(nick string) string {
	switch {
	case nick != "":
		return nick
	case p.GlobalName != "":
		return p.GlobalName
	}
	return p.Username
}

// option is a typed option, or a sub-command with its options.
type option struct {
	Name    string                                 `json:"name"`
	Type    discordgo.ApplicationCommandOptionType `json:"type"`
	Value   json.RawMessage                        `json:"value"`
	Options []option                               `json:"options"`
	Focused bool                                   `json:"focused"`
}

// component is a component of a form that was sent: a row or a label with an input.
type component struct {
	CustomID   string      `json:"custom_id"`
	Value      string      `json:"value"`
	Values     []string    `json:"values"`
	Component  *component  `json:"component"`
	Components []component `json:"components"`
}

// fields collects the values of a form by the name of their field.
func (c component) fields(into map[string]string) {
	if c.CustomID != "" {
		into[c.CustomID] = c.Value + strings.Join(c.Values, ",") // an input has one or the other
	}
	if c.Component != nil {
		c.Component.fields(into)
	}
	for _, inner := range c.Components {
		inner.fields(into)
	}
}

// origin is how to answer an interaction. It is stored with the job, encrypted.
type origin struct {
	ID    string `json:"id"`
	Token string `json:"token"`
	// Public says that everybody sees the first response.
	Public  bool                  `json:"public,omitempty"`
	App     int64                 `json:"app,omitempty"` // what the bot may do in the channel
	Channel discordgo.ChannelType `json:"channel,omitempty"`
}

func (o origin) encode() []byte {
	b, _ := json.Marshal(o) // strings and numbers can always be encoded
	return b
}

// callback is a first response to an interaction.
type callback struct {
	Type discordgo.InteractionResponseType `json:"type"`
	Data any                               `json:"data,omitempty"`

	files []file
	kind  string // for metrics
	first bool   // of a request that was not known before
}

func parseInteraction(b []byte) (*interaction, error) {
	var in interaction
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, errors.New("the interaction cannot be read") // err may quote it
	}
	if in.Type == discordgo.InteractionPing {
		return &in, nil
	}
	if !isID(in.ID) || !isID(in.ChannelID) || in.Token == "" || in.Member == nil && in.User == nil || !isID(in.user().ID) || in.GuildID != "" && !isID(in.GuildID) {
		return nil, errors.New("the interaction is incomplete")
	}
	return &in, nil
}

func (in *interaction) user() person {
	if in.Member != nil {
		return in.Member.User
	}
	return *in.User
}

func isThread(t discordgo.ChannelType) bool {
	return t == discordgo.ChannelTypeGuildNewsThread || t == discordgo.ChannelTypeGuildPublicThread || t == discordgo.ChannelTypeGuildPrivateThread
}

func (in *interaction) place() chat.Place {
	p := chat.Place{Platform: Platform, Team: in.GuildID, Channel: in.ChannelID}
	switch {
	case in.GuildID == "" && in.Context != nil && *in.Context == discordgo.InteractionContextPrivateChannel:
		p.Kind = chat.InGroup
	case in.GuildID == "":
		p.Kind = chat.InDirect
	case isThread(in.Channel.Type) && isID(in.Channel.ParentID):
		p.Channel, p.Thread = in.Channel.ParentID, in.ChannelID
		p.Private = in.Channel.Type == discordgo.ChannelTypeGuildPrivateThread
	}
	return p
}

func (in *interaction) person() chat.User {
	p := in.user()
	u := chat.User{ID: p.ID, Name: p.name(""), Locale: in.Locale}
	if in.Member != nil {
		u.Name, u.Roles = p.name(in.Member.Nick), in.Member.Roles
		permissions := parsePermissions(in.Member.Permissions)
		u.Rights = rights(permissions)
	}
	return u
}

// rights translates Discord's permissions. In a direct message there are none, and
// [Adapter.Profile] looks them up.
func rights(permissions int64) chat.Rights {
	r := chat.RightsKnown
	if permissions&(discordgo.PermissionAdministrator|discordgo.PermissionManageEvents|discordgo.PermissionCreateEvents) != 0 {
		r |= chat.RightMeet
	}
	if permissions&(discordgo.PermissionAdministrator|discordgo.PermissionManageGuild) != 0 {
		r |= chat.RightPush
	}
	return r
}

// request is the neutral form of an interaction, without its origin. It also returns the
// option that the person is typing.
func (a *Adapter) request(in *interaction) (r chat.Request, focused option, err error) {
	r = chat.Request{ID: "discord:" + in.ID, At: a.typed(in.ID), User: in.person(), Place: in.place()}
	unreadable := errors.New("the interaction's data cannot be read")
	switch in.Type {
	case discordgo.InteractionApplicationCommand, discordgo.InteractionApplicationCommandAutocomplete:
		var data struct {
			Name    string   `json:"name"`
			Options []option `json:"options"`
		}
		if json.Unmarshal(in.Data, &data) != nil || data.Name == "" {
			return r, focused, unreadable
		}
		r.Command, r.Options = data.Name, map[string]string{}
		options := data.Options
		if len(options) > 0 && options[0].Type == discordgo.ApplicationCommandOptionSubCommand {
			r.Verb, options = options[0].Name, options[0].Options
		}
		for _, o := range options {
			r.Options[o.Name] = o.text()
			if o.Focused {
				focused = o
			}
		}
	case discordgo.InteractionMessageComponent:
		var data struct {
			CustomID string `json:"custom_id"`
		}
		if json.Unmarshal(in.Data, &data) != nil || in.Message == nil {
			return r, focused, unreadable
		}
		action, ok := chat.ParseAction(data.CustomID)
		if !ok {
			return r, focused, errors.New("not one of our buttons")
		}
		r.Action = &action
		if grammar.Once(action) {
			r.ID = strings.Join([]string{"discord", in.Message.ID, in.user().ID, in.Message.Edited, data.CustomID}, ":")
		}
	case discordgo.InteractionModalSubmit:
		var data struct {
			CustomID   string      `json:"custom_id"`
			Components []component `json:"components"`
		}
		if json.Unmarshal(in.Data, &data) != nil {
			return r, focused, unreadable
		}
		form, ok := chat.ParseAction(data.CustomID)
		if !ok {
			return r, focused, errors.New("not one of our forms")
		}
		r.Form = &chat.Submission{Form: form.Name, Arg: form.Arg, Fields: map[string]string{}}
		for _, c := range data.Components {
			c.fields(r.Form.Fields)
		}
	default:
		return r, focused, fmt.Errorf("interaction of unknown type %d", in.Type)
	}
	return r, focused, nil
}

// unnoticed is by how much an interaction may seem to be old that is not: clocks are known to
// about that.
const unnoticed = 10 * time.Second

// typed returns when an interaction was begun: now, unless Discord was long in delivering it.
func (a *Adapter) typed(id string) time.Time {
	now := a.cfg.Now()
	if _, known := a.theirs.Ahead(); !known {
		return now
	}
	if at := a.theirs.Here(snowflakeTime(id)); at.Before(now.Add(-unnoticed)) {
		return at
	}
	return now
}

// text is an option's value as people would type it.
func (o option) text() string {
	var s string
	if json.Unmarshal(o.Value, &s) == nil {
		return s
	}
	return string(o.Value) // a number or a boolean
}

// answer says what an interaction is acknowledged with, having accepted what it asks
// for. It returns nil if there is nothing to say.
func (a *Adapter) answer(ctx context.Context, in *interaction) *callback {
	if in.Type == discordgo.InteractionPing {
		return &callback{Type: discordgo.InteractionResponsePong, kind: "ping"}
	}
	if in.ApplicationID != "" && in.ApplicationID != a.cfg.ApplicationID {
		a.log.WarnContext(ctx, "interaction for another application", "application_id", kit.Code(in.ApplicationID))
		return nil
	}
	t := texts.For(in.Locale, a.cfg.Locale)
	if refusal := a.outside(ctx, in, t); refusal != nil {
		if in.Type == discordgo.InteractionApplicationCommandAutocomplete {
			return a.complete(ctx, chat.Request{}, option{})
		}
		return a.say(ctx, in, *refusal, kindOf(in.Type))
	}
	r, focused, err := a.request(in)
	if err != nil {
		a.log.WarnContext(ctx, "interaction not understood", "err", err)
		return a.say(ctx, in, chat.Reply{Tone: chat.Bad, Text: t.T("discord.outdated")}, kindOf(in.Type))
	}
	if in.Type == discordgo.InteractionApplicationCommandAutocomplete {
		return a.complete(ctx, r, focused)
	}
	c := a.decide(ctx, in, r, t)
	c.kind = kindOf(in.Type)
	return c
}

func kindOf(t discordgo.InteractionType) string {
	switch t {
	case discordgo.InteractionMessageComponent:
		return "button"
	case discordgo.InteractionModalSubmit:
		return "form"
	case discordgo.InteractionApplicationCommandAutocomplete:
		return "complete"
	}
	return "command"
}

func (a *Adapter) decide(ctx context.Context, in *interaction, r chat.Request, t texts.Text) *callback {
	if r.Action != nil && r.Action.Name == reopen {
		return a.reopen(ctx, in, r, t)
	}
	if r.Form != nil {
		a.completeForm(r)
	}
	d := a.bot.Ready(ctx, a.bot.Parse(r))
	switch {
	case d.Form != nil:
		return a.ask(ctx, in, r, *d.Form, t)
	case d.Faults != nil:
		return a.faults(ctx, in, r, d.Faults, t)
	case d.Reply != nil:
		return a.say(ctx, in, *d.Reply, "")
	case d.Ask == nil:
		a.log.ErrorContext(ctx, "nothing decided", "command", r.Command) // unreachable unless program bug
		return a.say(ctx, in, chat.Reply{Tone: chat.Bad, Text: t.T("discord.outdated")}, "")
	}
	// A public answer to a command shows its options, and those of /livepush have a key.
	public := d.Public && r.Command != "livepush"
	app := parsePermissions(in.AppPermissions)
	// The rest of the request stays as parsed: without what was typed, which may be a key.
	d.Request.Origin = origin{ID: in.ID, Token: in.Token, Public: public, App: app, Channel: in.Channel.Type}.encode()
	a.acks.begin(in.ID)
	accepted := a.bot.Accept(ctx, d)
	if accepted.Reply != nil {
		return a.say(ctx, in, *accepted.Reply, "")
	}
	if accepted.Duplicate {
		a.cfg.Observe.Duplicate()
		// The first to have it acknowledges at once, and this one comes too late, as it should:
		// if the first does too, another bot was there.
		kit.Sleep(ctx, time.Second)
		if grammar.Once(action(r)) { // or a second click
			return a.say(ctx, in, chat.Reply{Text: t.T("discord.already")}, "")
		}
	}
	c := &callback{Type: discordgo.InteractionResponseDeferredChannelMessageWithSource, first: !accepted.Duplicate}
	if !public {
		c.Data = struct {
			Flags discordgo.MessageFlags `json:"flags"`
		}{discordgo.MessageFlagsEphemeral}
	}
	return c
}

func action(r chat.Request) chat.Action {
	if r.Action == nil {
		return chat.Action{}
	}
	return *r.Action
}

// say answers at once, for the person alone.
func (a *Adapter) say(ctx context.Context, in *interaction, r chat.Reply, kind string) *callback {
	m, lost := render(r, look{})
	if len(lost) > 0 {
		a.log.WarnContext(ctx, "message shortened", "parts", lost)
	}
	m.Flags |= discordgo.MessageFlagsEphemeral
	return &callback{Type: discordgo.InteractionResponseChannelMessageWithSource, Data: m, files: m.files, kind: kind}
}

func (a *Adapter) complete(ctx context.Context, r chat.Request, focused option) *callback {
	type choice struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	choices := []choice{}
	if focused.Name != "" {
		for _, c := range a.bot.Complete(ctx, r, focused.Name, focused.text()) {
			name, _ := kit.Cut(c.Label, maxChoice)
			if name == "" || c.Value == "" || kit.Len(c.Value) > maxChoice {
				continue
			}
			if choices = append(choices, choice{name, c.Value}); len(choices) == maxChoices {
				break
			}
		}
	}
	return &callback{
		Type: discordgo.InteractionApplicationCommandAutocompleteResult, kind: "complete",
		Data: struct {
			Choices []choice `json:"choices"`
		}{choices},
	}
}

// acks lets a post wait for the acknowledgement of its interaction, without which
// Discord does not know the interaction's token yet.
type acks struct {
	mu   sync.Mutex
	open map[string]chan struct{}
}

func (a *acks) begin(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		a.open = map[string]chan struct{}{}
	}
	if a.open[id] == nil {
		a.open[id] = make(chan struct{})
	}
}

func (a *acks) end(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.open[id]; c != nil {
		close(c)
		delete(a.open, id)
	}
}

func (a *acks) wait(ctx context.Context, id string) {
	a.mu.Lock()
	c := a.open[id]
	a.mu.Unlock()
	if c == nil {
		return
	}
	select {
	case <-c:
	case <-ctx.Done():
	}
}

// discordEpoch is the first millisecond of the IDs' time:
// https://docs.discord.com/developers/reference#snowflakes
const discordEpoch = 1420070400000

// Claim implements [chat.Claimer]: it waits for the acknowledgement, if this process makes it.
func (a *Adapter) Claim(ctx context.Context, request []byte) error {
	var o origin
	if json.Unmarshal(request, &o) != nil || o.ID == "" {
		return nil //nolint:nilerr // no interaction
	}
	a.acks.wait(ctx, o.ID)
	if _, taken := a.taken.Get(o.ID); taken {
		return chat.ErrTaken
	}
	return nil
}

func snowflakeTime(id string) time.Time {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil { // n is then the largest there is, which never expires
		n = 0
	}
	return time.UnixMilli(int64(n>>22) + discordEpoch)
}

func snowflakeAt(t time.Time) string {
	return strconv.FormatInt(max(0, t.UnixMilli()-discordEpoch)<<22, 10)
}
