package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"meetbot/bot/adapters/discord"
	"meetbot/bot/adapters/slack"
	"meetbot/bot/chat"
	"meetbot/bot/commands"
	"meetbot/bot/ops"
	"meetbot/config"
	"meetbot/meeting"
	"meetbot/meeting/tencent"
)

const networkFix = "check the network, and HTTPS_PROXY if there is one"

// slack asks Slack who the bot is and what it may do.
func (d *doctor) slack(ctx context.Context) []finding {
	if !d.cfg.Slack.On() {
		return nil
	}
	c := d.cfg.Slack
	a, err := slack.New(slack.Config{
		BotToken: c.BotToken, AppToken: c.AppToken, SigningSecret: c.SigningSecret, APIURL: c.ApiURL,
		MeetCommand: c.MeetCommand, LivepushCommand: c.LivepushCommand, Locale: d.cfg.Locale, HTTPClient: d.client("Slack"),
	}, nil, silentLog())
	if err != nil {
		return []finding{fault("the settings do not fit: "+d.text(err), "correct SLACK_*")}
	}
	var all []finding
	switch err := a.Check(ctx); {
	case errors.Is(err, slack.ErrTokenRefused):
		all = append(all, fault("SLACK_BOT_TOKEN is refused: "+d.text(err), "copy the Bot User OAuth Token again, and reinstall the app if it was removed"))
	case err != nil:
		all = append(all, fault("Slack does not answer: "+d.text(err), networkFix))
	default:
		all = append(all, ok("SLACK_BOT_TOKEN is accepted"))
		all = append(all, d.scopes(a.Scopes())...)
	}
	switch err := a.CheckSocket(ctx); {
	case c.AppToken.IsZero():
		all = append(all, noted("HTTP mode: the signing secret and the request addresses cannot be asked for; bot manifest slack --url prints them"))
	case errors.Is(err, slack.ErrTokenRefused):
		all = append(all, fault("SLACK_APP_TOKEN is refused: "+d.text(err), "make an app-level token with the scope connections:write"))
	case err != nil:
		all = append(all, fault("no Socket Mode connection is given out: "+d.text(err), "turn Socket Mode on for the app; if it is, "+networkFix))
	default:
		all = append(all, ok("SLACK_APP_TOKEN is accepted: Socket Mode"))
	}
	all = append(all, noted("the commands are %s and %s; Slack cannot be asked which ones the app has: compare with bot manifest slack", c.MeetCommand, c.LivepushCommand))
	if channel, ok := d.sendTo("slack"); ok && d.sendable() == nil {
		all = append(all, d.roundTrip(ctx, a, chat.Slack, channel)...)
	}
	return all
}

func (d *doctor) scopes(granted []string) []finding {
	const fix = "add it under OAuth & Permissions, and reinstall the app"
	var all []finding
	var optional []string
	for _, s := range slack.AllScopes() {
		switch {
		case slices.Contains(granted, s.Name):
		case s.Required:
			all = append(all, fault(fmt.Sprintf("the scope %s is missing: %s", s.Name, s.Without), fix))
		case s.Name == "usergroups:read" && d.namesGroups():
			all = append(all, fault("the scope usergroups:read is missing, and an allow-list names a user group: nobody gets in by it", fix))
		default:
			optional = append(optional, s.Name)
		}
	}
	if len(optional) > 0 {
		all = append(all, noted("scopes that were not asked for: %s; bot manifest slack says what each is for", strings.Join(optional, ", ")))
	}
	return all
}

func (d *doctor) namesGroups() bool {
	return slices.ContainsFunc(slices.Concat(d.cfg.MeetAllow, d.cfg.LivepushAllow, d.cfg.Admins), func(p config.Principal) bool {
		return p.Platform == "slack" && p.Kind == "group"
	})
}

// discord asks Discord who the bot is, how it may connect, and what is registered.
func (d *doctor) discord(ctx context.Context) []finding {
	if !d.cfg.Discord.On() {
		return nil
	}
	c := d.cfg.Discord
	a, err := discord.New(discord.Config{
		BotToken: c.BotToken, ApplicationID: c.ApplicationID, PublicKey: c.PublicKey, GuildID: c.GuildID, APIURL: c.ApiURL,
		Listed: listed(d.cfg), Locale: d.cfg.Locale, HTTPClient: d.client("Discord"),
	}, nil, silentLog())
	if err != nil {
		return []finding{fault("the settings do not fit: "+d.text(err), "correct DISCORD_*")}
	}
	found, err := a.Check(ctx)
	var all []finding
	if errors.Is(err, discord.ErrTokenRefused) {
		return []finding{fault("DISCORD_BOT_TOKEN is refused", "reset the token on the application's Bot page, and set the new one")}
	}
	if found.Name == "" {
		return []finding{fault("Discord does not answer: "+d.text(err), networkFix)}
	}
	all = append(all, ok("DISCORD_BOT_TOKEN is accepted"))
	if found.OtherApplication {
		all = append(all, fault("DISCORD_APPLICATION_ID is not the application of the token", "copy both from the same application's pages"))
	}
	if found.OtherKey {
		all = append(all, fault("DISCORD_PUBLIC_KEY is not the application's", "copy it from the General Information page: every request is refused with another one"))
	}
	switch http := c.PublicKey != ""; {
	case http && !found.EndpointSet:
		all = append(all, fault("DISCORD_PUBLIC_KEY is set, but the application has no interactions endpoint", "set it to PUBLIC_URL/discord/interactions on the General Information page, or unset DISCORD_PUBLIC_KEY to use the gateway"))
	case !http && found.EndpointSet:
		all = append(all, fault("the application has an interactions endpoint, so nothing comes over the gateway", "clear it on the General Information page, or set DISCORD_PUBLIC_KEY"))
	case !http && found.Shards > 0 && found.Starts < 10*found.Shards:
		all = append(all, warn(fmt.Sprintf("only %d sessions may still be started today", found.Starts), "find out what restarts so often: Discord resets the token at none"))
	case !http && found.Shards > 0:
		all = append(all, ok("the gateway takes the bot; no intent is needed"))
	}
	if err != nil {
		return append(all, fault("not everything could be asked: "+d.text(err), "check DISCORD_APPLICATION_ID and DISCORD_GUILD_ID, and that the bot was added with the scope applications.commands"))
	}
	all = append(all, d.guilds(found)...)
	switch {
	case found.OtherApplication:
	case found.Registered:
		all = append(all, ok("the registered commands are the declared ones"))
	case d.running:
		all = append(all, fault("the registered commands are not the declared ones, although the bot runs", "restart the bot, which registers them, and look for \"commands not registered\" in its log"))
	default:
		all = append(all, warn("the registered commands are not the declared ones", "start the bot, which registers them"))
	}
	if channel, ok := d.sendTo("discord"); ok && d.sendable() == nil {
		all = append(all, d.roundTrip(ctx, a, chat.Discord, channel)...)
	}
	return all
}

func (d *doctor) guilds(found discord.Checked) []finding {
	const invite = "add it with the address that bot manifest discord --invite prints"
	var all []finding
	member := false
	for _, g := range found.Guilds {
		if d.cfg.Discord.GuildID != "" && g.ID != d.cfg.Discord.GuildID {
			continue
		}
		member = true
		if len(g.Missing) > 0 {
			all = append(all, warn(fmt.Sprintf("in server %s the bot lacks %s", g.ID, strings.Join(g.Missing, ", ")),
				"give them to the bot's role, or "+invite))
		} else {
			all = append(all, ok("in server %s the bot has its permissions; a channel may still take some away", g.ID))
		}
	}
	switch {
	case !member && d.cfg.Discord.GuildID != "":
		all = append(all, fault("the bot is not in the server DISCORD_GUILD_ID", invite))
	case !member:
		all = append(all, fault("the bot is in no server", invite))
	}
	return all
}

// pinger is a provider's client, of which the doctor needs no more.
type pinger interface {
	Ping(ctx context.Context) (time.Time, error)
}

func (d *doctor) systec(ctx context.Context) []finding {
	if !d.cfg.Systec.On() || d.cfg.Sandbox() {
		return nil
	}
	only := d.cfg
	only.Tencent = config.Tencent{}
	found, _ := d.ping(ctx, only, meeting.Systec)
	return found
}

func (d *doctor) tencent(ctx context.Context) []finding {
	if !d.cfg.Tencent.On() || d.cfg.Sandbox() {
		return nil
	}
	only := d.cfg
	only.Systec = config.Systec{}
	people := slices.Sorted(maps.Keys(only.Tencent.Users))
	if only.Tencent.UserID == "" && len(people) > 0 {
		only.Tencent.UserID = only.Tencent.Users[people[0]]
	}
	all, client := d.ping(ctx, only, meeting.Tencent)
	if client == nil {
		return all
	}
	for i, who := range people {
		if i == maxAccounts {
			all = append(all, noted("only the first %d entries of TENCENT_USERS were tried", maxAccounts))
			break
		}
		_, err := client.List(ctx, only.Tencent.Users[who], "")
		if err != nil {
			all = append(all, fault(fmt.Sprintf("the account of %s in TENCENT_USERS cannot act: %s", who, d.text(err)), "correct the account: the userid of a registered member"))
		}
	}
	return all
}

const maxAccounts = 20

// ping asks a provider for nothing. The client is returned if it was let in.
func (d *doctor) ping(ctx context.Context, cfg config.Config, which meeting.Provider) ([]finding, commands.Provider) {
	name := map[meeting.Provider]string{meeting.Systec: "SYSTEC", meeting.Tencent: "Tencent Meeting"}[which]
	variables := map[meeting.Provider]string{meeting.Systec: "SYSTEC_API_KEY and SYSTEC_API_SECRET", meeting.Tencent: "TENCENT_APP_ID, TENCENT_SECRET_ID and TENCENT_SECRET_KEY"}[which]
	all, _, err := providers(cfg)
	if err != nil {
		return []finding{fault("the settings do not fit: "+d.text(err), "correct "+variables)}, nil
	}
	client := all[which]
	asked := time.Now()
	at, err := client.(pinger).Ping(ctx)
	d.clocks.saw(name, at, asked, time.Now())
	var api *meeting.APIError
	reason := meeting.ReasonNone
	if errors.As(err, &api) {
		reason = api.Reason
	}
	says, fix := "", ""
	switch {
	case err == nil:
		return []finding{ok("the credentials are accepted")}, client
	case reason == meeting.ReasonClock:
		says, fix = "it refuses calls because of this machine's clock", "set the clock by NTP"
	case reason == meeting.ReasonUnknownSecretID:
		says, fix = "TENCENT_SECRET_ID is not known there", "copy the application's SecretId again"
	case reason == meeting.ReasonSignature:
		says, fix = "the signature is refused", "copy the application's SecretKey again to TENCENT_SECRET_KEY"
	case reason == meeting.ReasonAccount:
		says, fix = "the account that acts is not registered", "set TENCENT_USER_ID to the userid of a registered member"
	case errors.Is(err, meeting.ErrCredentials):
		says, fix = "the credentials are refused", "copy "+variables+" again"
	case errors.Is(err, meeting.ErrNotPermitted):
		says, fix = "the account that acts may not list meetings", "give TENCENT_USER_ID the right, and the application the interface"
	case errors.Is(err, meeting.ErrUnavailable):
		says, fix = "it cannot be reached", networkFix
	default:
		says, fix = "it does not answer as expected", "check the base URL; its support can look the trace up"
	}
	return []finding{fault(says+": "+d.text(err), fix)}, nil
}

var _ pinger = (*tencent.Client)(nil)

// sendTo returns the channel to post to on a platform.
func (d *doctor) sendTo(platform string) (string, bool) {
	where, channel, found := strings.Cut(d.send, ":")
	if !found { // then only one platform is on
		return d.send, d.send != ""
	}
	return channel, where == platform
}

// sendable says what is wrong with --send.
func (d *doctor) sendable() []finding {
	on := map[string]bool{"slack": d.cfg.Slack.On(), "discord": d.cfg.Discord.On()}
	where, channel, found := strings.Cut(d.send, ":")
	switch {
	case d.send == "":
		return nil
	case !on["slack"] && !on["discord"]:
		return []finding{fault("--send cannot post: no chat platform is configured", "leave it out, or configure one")}
	case !found && on["slack"] && on["discord"]:
		return []finding{fault("--send does not say on which platform the channel is", "write slack:C123 or discord:123")}
	case found && (!on[where] || channel == ""):
		return []finding{fault("--send cannot post: it names no channel of a platform that is configured", "write slack:C123 or discord:123")}
	}
	return nil
}

var (
	greeting = map[string]string{"en": "Round trip", "zh-CN": "往返测试"}
	answer   = map[string]string{
		"en":    "`bot doctor --send` posted this, and this thread. If you can read both, messages arrive.",
		"zh-CN": "这条消息和这个讨论串由 `bot doctor --send` 发出。两者都能看到，说明消息能送达。",
	}
)

// roundTrip posts a message, and a reply in its thread.
func (d *doctor) roundTrip(ctx context.Context, p chat.Poster, platform chat.Platform, channel string) []finding {
	const fix = "invite the bot to the channel, and check the channel's ID"
	post := chat.Post{
		Key: "doctor" + rand.Text()[:16], Slot: chat.SlotRoot, Asked: time.Now(),
		Place: chat.Place{Platform: platform, Channel: channel}, Reply: chat.Reply{Tone: chat.Good, Title: greeting[d.cfg.Locale]},
	}
	root, err := p.Post(ctx, post)
	if err != nil {
		return []finding{fault("--send could not post to the channel: "+d.text(err), fix)}
	}
	post.Key, post.Slot, post.Root = "doctor"+rand.Text()[:16], chat.SlotThread, &root
	post.Reply = chat.Reply{Text: answer[d.cfg.Locale]}
	if _, err := p.Post(ctx, post); err != nil {
		return []finding{fault("--send posted to the channel, but not into a thread: "+d.text(err), fix)}
	}
	if root.InPlace {
		return []finding{warn("--send posted to the channel, where no thread can be opened", "allow threads there, and give the bot the permission")}
	}
	return []finding{ok("--send posted a message and a reply in its thread")}
}

// traces asks the collector of traces. Commands do not depend on it.
func (d *doctor) traces(ctx context.Context) []finding {
	where := d.cfg.OTEL.TracesURL()
	if where == "" {
		return nil
	}
	var all []finding
	switch err := ops.CheckTraces(ctx, d.cfg.OTEL); {
	case errors.Is(err, ops.ErrCollector):
		all = append(all, warn("the collector cannot be used, and traces are lost: "+d.text(err),
			"check OTEL_EXPORTER_OTLP_ENDPOINT, which has to take OTLP over HTTP, and OTEL_EXPORTER_OTLP_HEADERS"))
	case err != nil:
		all = append(all, fault("the settings do not fit: "+d.text(err), "correct OTEL_*"))
	default:
		all = append(all, ok("the collector takes traces"))
	}
	if !d.cfg.OTEL.ExporterOTLPHeaders.IsZero() && strings.HasPrefix(where, "http:") {
		all = append(all, warn("OTEL_EXPORTER_OTLP_HEADERS are sent unencrypted", "use https:// in the collector's address if they have credentials"))
	}
	return all
}
