package discord

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/bwmarrin/discordgo"

	"meetbot/bot/adapters/kit"
)

// checked is what [Adapter.check] found.
type checked struct {
	Name string // of the application
	// OtherApplication says that the token belongs to another application than the
	// configured one, OtherKey that its public key is another.
	OtherApplication, OtherKey bool
	// EndpointSet says that Discord sends interactions to an address over HTTP; then none
	// come over the gateway.
	EndpointSet bool
	// Public says that anybody may add the bot to a server; nil: Discord did not say.
	Public *bool

	Shards     int
	Starts     int // sessions that may still be started before ResetAfter
	Registered bool
	Guilds     []guildCheck // the servers that the bot is in, at most 100
}

// guildCheck is a server, and which of the permissions that the bot asks for it lacks
// there, as Discord's API names them. A channel's own settings may take more away.
type guildCheck struct {
	ID, Name string
	Missing  []string
}

const maxGuildsChecked = 100

// check asks Discord who the bot is, how it may connect, which commands are registered and
// what the bot may do in its servers. It changes nothing. The error is that of the first
// call which failed; what was found before is returned with it.
func (a *Adapter) check(ctx context.Context) (checked, error) {
	var c checked
	var app struct {
		ID       string `json:"id"`
		Name     string `json:"name"`
		Key      string `json:"verify_key"`
		Endpoint string `json:"interactions_endpoint_url"`
		Public   *bool  `json:"bot_public"`
	}
	// https://docs.discord.com/developers/resources/application#get-current-application
	if err := a.rest.do(ctx, call{Method: http.MethodGet, Route: "/applications/@me", Out: &app}); err != nil {
		return c, err
	}
	c.Name, c.OtherApplication, c.EndpointSet, c.Public = app.Name, app.ID != a.cfg.ApplicationID, app.Endpoint != "", app.Public
	c.OtherKey = a.key != nil && !strings.EqualFold(app.Key, hex.EncodeToString(a.key))

	var gateway gatewayInfo
	if err := a.rest.do(ctx, call{Method: http.MethodGet, Route: "/gateway/bot", Out: &gateway}); err != nil {
		return c, err
	}
	c.Shards, c.Starts = gateway.Shards, gateway.Limit.Remaining

	var guilds []struct {
		ID          string `json:"id"`
		Name        string `json:"name"`
		Permissions string `json:"permissions"`
	}
	// https://docs.discord.com/developers/resources/user#get-current-user-guilds
	if err := a.rest.do(ctx, call{
		Method: http.MethodGet, Route: "/users/@me/guilds", Query: url.Values{"limit": {strconv.Itoa(maxGuildsChecked)}}, Out: &guilds,
	}); err != nil {
		return c, err
	}
	for _, g := range guilds {
		in := guildCheck{ID: g.ID, Name: g.Name}
		bits := parsePermissions(g.Permissions)
		for _, p := range permissions {
			if bits&(p.bit|discordgo.PermissionAdministrator) == 0 {
				in.Missing = append(in.Missing, p.id)
			}
		}
		c.Guilds = append(c.Guilds, in)
	}
	if c.OtherApplication { // its commands are none of this token's business
		return c, nil
	}
	var err error
	c.Registered, err = a.Registered(ctx)
	return c, err
}

// Examine asks Discord who the bot is, how it may connect, and what is registered.
func (a *Adapter) Examine(ctx context.Context, c kit.Circumstances) []kit.Finding {
	found, err := a.check(ctx)
	if errors.Is(err, ErrTokenRefused) {
		return []kit.Finding{kit.Faulty("DISCORD_BOT_TOKEN is refused", "reset the token on the application's Bot page, and set the new one")}
	}
	if found.Name == "" {
		return []kit.Finding{kit.Faulty("Discord does not answer", kit.NetworkFix).Because(err)}
	}
	all := []kit.Finding{kit.OK("DISCORD_BOT_TOKEN is accepted")}
	if found.OtherApplication {
		all = append(all, kit.Faulty("DISCORD_APPLICATION_ID and DISCORD_BOT_TOKEN belong to different applications", "copy both from the pages of one application"))
	}
	if found.OtherKey {
		all = append(all, kit.Faulty("DISCORD_PUBLIC_KEY is not the application's", "copy it from the General Information page; with a wrong key the bot refuses every request"))
	}
	switch http := a.key != nil; {
	case http && !found.EndpointSet:
		all = append(all, kit.Faulty("DISCORD_PUBLIC_KEY is set, but the application has no interactions endpoint", "set it to PUBLIC_URL/discord/interactions on the General Information page, or unset DISCORD_PUBLIC_KEY to use the gateway"))
	case !http && found.EndpointSet:
		all = append(all, kit.Faulty("the application has an interactions endpoint, so nothing comes over the gateway", "clear it on the General Information page, or set DISCORD_PUBLIC_KEY"))
	case !http && found.Shards > 0 && found.Starts < 10*found.Shards:
		all = append(all, kit.Warn(fmt.Sprintf("Discord allows only %d more sessions today", found.Starts), "find out what restarts so often; when none are left, Discord resets the token"))
	case !http && found.Shards > 0:
		all = append(all, kit.OK("the gateway accepts the bot; it needs no intents"))
	}
	if err != nil {
		return append(all, kit.Faulty("Discord did not answer every question", "check DISCORD_APPLICATION_ID and DISCORD_GUILD_ID, and that the bot was added with the scope applications.commands").Because(err))
	}
	all = append(all, a.examinePublic(found)...)
	all = append(all, a.examineGuilds(found)...)
	switch {
	case found.OtherApplication:
	case found.Registered:
		all = append(all, kit.OK("the registered commands are up to date"))
	case c.Running:
		all = append(all, kit.Faulty("the registered commands are out of date, although the bot runs", "restart the bot, which registers them, and look for \"commands not registered\" in its log"))
	default:
		all = append(all, kit.Warn("the registered commands are out of date", "start the bot, which registers them"))
	}
	return all
}

func (a *Adapter) examineGuilds(found checked) []kit.Finding {
	const invite = "add it with the link that bot manifest discord --invite prints"
	var all []kit.Finding
	missing := slices.Clone(a.served) // servers that are to be served
	for _, g := range found.Guilds {
		if !a.served.serves(g.ID) {
			all = append(all, kit.Noted("the bot is in server %s, which it does not serve: it refuses everybody there", g.ID))
			continue
		}
		missing = slices.DeleteFunc(missing, func(id string) bool { return id == g.ID })
		if len(g.Missing) > 0 {
			all = append(all, kit.Warn(fmt.Sprintf("in server %s the bot lacks %s", g.ID, strings.Join(g.Missing, ", ")),
				"give them to the bot's role, or "+invite))
		} else {
			all = append(all, kit.OK("in server %s the bot has its permissions; a channel may still take some away", g.ID))
		}
	}
	switch {
	case len(found.Guilds) == 0:
		all = append(all, kit.Faulty("the bot is in no server", invite))
	case len(missing) > 0 && len(found.Guilds) < maxGuildsChecked:
		all = append(all, kit.Faulty("the bot is not in the server "+strings.Join(missing, ", ")+", which DISCORD_GUILDS or DISCORD_GUILD_ID names", invite))
	}
	return all
}

// examinePublic says who may add the bot to a server, and what follows.
func (a *Adapter) examinePublic(found checked) []kit.Finding {
	switch open := len(a.served) == 0; {
	case found.Public == nil:
		return []kit.Finding{kit.Noted("Discord does not say whether anybody may add the bot to a server")}
	case *found.Public && open:
		return []kit.Finding{kit.Warn("anybody may add the bot to a server of their own, and everybody who manages events there can then make meetings with your account",
			"name your servers in DISCORD_GUILDS; or set Installation > Install Link to None, then turn Bot > Public Bot off")}
	case *found.Public:
		return []kit.Finding{kit.Noted("anybody may add the bot to a server; it serves only those that DISCORD_GUILDS or DISCORD_GUILD_ID names")}
	}
	return []kit.Finding{kit.OK("only the application's owner may add the bot to a server")}
}
