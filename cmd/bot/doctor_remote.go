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

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/commands"
	"meetbot/bot/ops"
	"meetbot/config"
	"meetbot/meeting"
	"meetbot/meeting/systec"
	"meetbot/meeting/zoom"
)

// on are the chat platforms that are configured.
func (d *doctor) on() (all chat.Kinds) {
	for _, p := range platforms() {
		if k := p.kind(d.cfg); !k.Local && p.on(d.cfg) {
			all = append(all, k)
		}
	}
	return all
}

// platform looks at a chat platform's adapter, which is not run.
func (d *doctor) platform(ctx context.Context, p platform) []finding {
	k := p.kind(d.cfg)
	if k.Local || !p.on(d.cfg) {
		return nil
	}
	a, err := p.open(d.cfg, parts{log: silentLog(), http: d.client(k.Title)})
	if err != nil {
		return []finding{fault("the bot cannot use the settings: "+d.text(err), "correct "+strings.ToUpper(string(k.Name))+"_*")}
	}
	var all []finding
	if e, examined := a.(kit.Examined); examined {
		for _, f := range e.Examine(ctx, kit.Circumstances{Running: d.running, Named: d.named(k)}) {
			if f.Err != nil {
				f.Says += ": " + d.text(f.Err)
			}
			all = append(all, said(f))
		}
	}
	if channel, ok := d.sendTo(k.Name); ok && k.IsTeam != nil {
		all = append(all, warn("--send posts nowhere: the running bot has the tokens of the workspaces", "type a command in the channel"))
	} else if ok && d.sendable() == nil {
		all = append(all, d.roundTrip(ctx, a, k.Name, channel)...)
	}
	return all
}

// named are the kinds of entries that the allow-lists have on a platform.
func (d *doctor) named(k chat.Kind) (all []chat.EntryKind) {
	for _, p := range slices.Concat(d.cfg.MeetAllow, d.cfg.LivepushAllow, d.cfg.SettingsAllow, d.cfg.Admins) {
		if p.Platform == string(k.Name) {
			all = append(all, chat.EntryKind(p.Kind))
		}
	}
	return all
}

// pinger is a provider's client that can be asked for nothing, and tells its time.
type pinger interface {
	Ping(ctx context.Context) (time.Time, error)
}

// provider looks at a meeting provider.
func (d *doctor) provider(ctx context.Context, row providerRow) []finding {
	if !row.on(d.cfg) || d.cfg.Sandbox() {
		return nil
	}
	if row.examine != nil {
		return row.examine(ctx, d, d.cfg, row)
	}
	found, _ := d.ping(ctx, d.cfg, row)
	return found
}

// soonExpired is how long before a licence's end the doctor warns.
const soonExpired = 14 * 24 * time.Hour

// examineSystec reads what the account is licensed for as well.
func examineSystec(ctx context.Context, d *doctor, cfg config.Config, row providerRow) []finding {
	all, client := d.ping(ctx, cfg, row)
	api, isSystec := client.(systec.Provider)
	if !isSystec {
		return all
	}
	l, err := api.Licence(ctx)
	if err != nil {
		return append(all, warn("SYSTEC does not show the licence: "+d.text(err), "ask SYSTEC what the account has"))
	}
	var rooms []string
	for _, size := range slices.Sorted(maps.Keys(l.Rooms)) {
		rooms = append(rooms, fmt.Sprintf("%d of %d", l.Rooms[size], size))
	}
	if len(rooms) > 0 {
		all = append(all, noted("licensed rooms, by participants: %s", strings.Join(rooms, ", ")))
	}
	if l.Billing == systec.BillingRooms && l.Rooms[cfg.Systec.Capacity] == 0 {
		all = append(all, fault(fmt.Sprintf("the licence has no room for %d people, the size that SYSTEC_CAPACITY names", cfg.Systec.Capacity), "set SYSTEC_CAPACITY to a size that the licence has"))
	}
	const renew = "renew the licence at SYSTEC"
	switch left := time.Until(l.Expires); {
	case l.Expires.IsZero():
	case left <= 0:
		all = append(all, fault("the licence ended on "+l.Expires.UTC().Format(time.DateOnly), renew))
	case left < soonExpired:
		all = append(all, warn("the licence ends on "+l.Expires.UTC().Format(time.DateOnly), renew))
	default:
		all = append(all, ok("the licence runs until %s", l.Expires.UTC().Format(time.DateOnly)))
	}
	return all
}

// examineTencent asks as every account that people act as.
func examineTencent(ctx context.Context, d *doctor, cfg config.Config, row providerRow) []finding {
	people := slices.Sorted(maps.Keys(cfg.Tencent.Users))
	if cfg.Tencent.UserID == "" && len(people) > 0 {
		cfg.Tencent.UserID = cfg.Tencent.Users[people[0]]
	}
	all, client := d.ping(ctx, cfg, row)
	if client == nil {
		return all
	}
	// No call tells either: https://meeting.tencent.com/support/topic/1164
	all = append(all, noted("live push needs the edition 商业版 or 企业版; meetings made elsewhere need an enterprise-level application (企业级)"))
	// https://cloud.tencent.com/document/product/1095/51180
	all = append(all, noted("links of recordings: an application made since 2026-01-16 may need an STS token to read recordings; without it people hear that a recording is ready, and get no link"))
	return append(all, d.asPersons(ctx, client, "TENCENT_USERS", cfg.Tencent.Users, "correct the account: the userid of a registered member")...)
}

// examineZoom compares the application's scopes with what calls need, and asks as every user
// that people act as.
func examineZoom(ctx context.Context, d *doctor, cfg config.Config, row providerRow) []finding {
	all, client := d.ping(ctx, cfg, row)
	api, isZoom := client.(*zoom.Client)
	if !isZoom {
		opened, err := row.open(cfg)
		if err != nil {
			return all
		}
		api = opened.(*zoom.Client)
	}
	switch missing, err := api.MissingScopes(ctx); {
	case err != nil && client != nil:
		all = append(all, warn("Zoom does not show the application's scopes: "+d.text(err), "compare them with docs/zoom.md"))
	case err != nil: // it was said already
	case len(missing) > 0:
		all = append(all, fault("the application lacks scopes: "+strings.Join(missing, ", "), "add them to the application, on its page Scopes"))
	default:
		all = append(all, ok("the application has every scope that the bot needs"))
	}
	if client == nil {
		return all
	}
	// No call tells: https://support.zoom.com/hc/en/article?id=zm_kb&sysparm_article=KB0064210
	all = append(all, noted("live streams need a plan that includes them, and the setting Custom Live Streaming Service"))
	return append(all, d.asPersons(ctx, client, "ZOOM_USERS", cfg.Zoom.Users, "correct the user: the address of a user of the account")...)
}

const maxAccounts = 20

// asPersons asks for nothing as every account that people act as.
func (d *doctor) asPersons(ctx context.Context, client commands.Provider, variable string, users config.Users, fix string) (all []finding) {
	for i, who := range slices.Sorted(maps.Keys(users)) {
		if i == maxAccounts {
			return append(all, noted("the doctor tried only the first %d entries of %s", maxAccounts, variable))
		}
		if _, err := client.List(ctx, users[who], ""); err != nil {
			all = append(all, fault(fmt.Sprintf("the account of %s in %s cannot act: %s", who, variable, d.text(err)), fix))
		}
	}
	return all
}

// ping asks a provider for nothing. The client is returned if it was let in.
func (d *doctor) ping(ctx context.Context, cfg config.Config, row providerRow) ([]finding, commands.Provider) {
	variables := strings.Join(row.settings(cfg).Needs(), ", ")
	client, err := row.open(cfg)
	if err != nil {
		return []finding{fault("the bot cannot use the settings: "+d.text(err), "correct "+variables)}, nil
	}
	asked := time.Now()
	var at time.Time
	if p, ok := client.(pinger); ok {
		at, err = p.Ping(ctx)
	} else {
		_, err = client.List(ctx, "", "")
	}
	d.clocks.saw(row.kind.Name.EN, at, asked, time.Now())
	var api *meeting.APIError
	reason := meeting.ReasonNone
	if errors.As(err, &api) {
		reason = api.Reason
	}
	known, isKnown := row.refusals[reason]
	says, fix := known.says, known.fix
	switch {
	case err == nil:
		return []finding{ok("the credentials are accepted")}, client
	case isKnown:
	case reason == meeting.ReasonClock:
		says, fix = "it refuses calls because of this machine's clock", "set the clock by NTP"
	case errors.Is(err, meeting.ErrCredentials):
		says, fix = "the credentials are refused", "copy "+variables+" again"
	case errors.Is(err, meeting.ErrNotPermitted):
		says, fix = "the account that the bot acts as may not list meetings", "give the account that right, and the application that API"
	case errors.Is(err, meeting.ErrUnavailable):
		says, fix = "it is unavailable", kit.NetworkFix
	default:
		says, fix = "it does not answer as expected", "check the base URL; its support can look up the trace"
	}
	return []finding{fault(says+": "+d.text(err), fix)}, nil
}

// channelExamples are channels as --send takes them, one of every platform that has them.
func channelExamples() string {
	var all []string
	for _, k := range kinds(config.Config{}) {
		for _, e := range k.Entries {
			if e.Kind == chat.ChannelEntry {
				all = append(all, string(k.Name)+":"+e.Example)
			}
		}
	}
	return strings.Join(all, " or ")
}

// sendTo returns the channel to post to on a platform.
func (d *doctor) sendTo(platform chat.Platform) (string, bool) {
	where, channel, found := strings.Cut(d.send, ":")
	if !found { // then only one platform is on
		return d.send, d.send != ""
	}
	return channel, where == string(platform)
}

// sendable says what is wrong with --send.
func (d *doctor) sendable() []finding {
	on := d.on()
	where, channel, found := strings.Cut(d.send, ":")
	known := slices.ContainsFunc(on, func(k chat.Kind) bool { return string(k.Name) == where })
	switch {
	case d.send == "":
		return nil
	case len(on) == 0:
		return []finding{fault("--send cannot post: no chat platform is configured", "leave it out, or configure one")}
	case !found && len(on) > 1:
		return []finding{fault("--send names a channel without its platform", "write "+channelExamples())}
	case found && (!known || channel == ""):
		return []finding{fault("--send cannot post: it names no channel of a platform that is configured", "write "+channelExamples())}
	}
	return nil
}

var (
	greeting = map[string]string{"en": "Round trip", "zh-CN": "收发测试"}
	answer   = map[string]string{
		"en":    "`bot doctor --send` posted this reply and the message above it. If you can read both, messages arrive.",
		"zh-CN": "这条消息和上面的消息由 `bot doctor --send` 发出。如果两条都能看到，说明消息可以送达。",
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
		return []finding{warn("--send posted to the channel, but could not open a thread there", "allow threads there, and give the bot the permission")}
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
		all = append(all, warn("the bot cannot use the collector, and drops the traces: "+d.text(err),
			"check OTEL_EXPORTER_OTLP_ENDPOINT, which must take OTLP over HTTP, and OTEL_EXPORTER_OTLP_HEADERS"))
	case err != nil:
		all = append(all, fault("the bot cannot use the settings: "+d.text(err), "correct OTEL_*"))
	default:
		all = append(all, ok("the collector takes traces"))
	}
	if !d.cfg.OTEL.ExporterOTLPHeaders.IsZero() && strings.HasPrefix(where, "http:") {
		all = append(all, warn("the bot sends OTEL_EXPORTER_OTLP_HEADERS unencrypted", "if they contain credentials, use https:// in the collector's address"))
	}
	return all
}
