package discord

import (
	"context"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/bwmarrin/discordgo"
)

// Checked is what [Adapter.Check] found.
type Checked struct {
	Name string // of the application
	// OtherApplication says that the token belongs to another application than the
	// configured one, OtherKey that its public key is another.
	OtherApplication, OtherKey bool
	// EndpointSet says that Discord sends interactions to an address over HTTP; then none
	// come over the gateway.
	EndpointSet bool

	Shards     int
	Starts     int // sessions that may still be started before ResetAfter
	Registered bool
	Guilds     []GuildCheck // the servers that the bot is in, at most 100
}

// GuildCheck is a server, and which of the permissions that the bot asks for it lacks
// there, as Discord's API names them. A channel's own settings may take more away.
type GuildCheck struct {
	ID, Name string
	Missing  []string
}

const maxGuildsChecked = 100

// Check asks Discord who the bot is, how it may connect, which commands are registered and
// what the bot may do in its servers. It changes nothing. The error is that of the first
// call which failed; what was found before is returned with it.
func (a *Adapter) Check(ctx context.Context) (Checked, error) {
	var c Checked
	var app struct {
		ID       string `json:"id"`
		Name     string `json:"name"`
		Key      string `json:"verify_key"`
		Endpoint string `json:"interactions_endpoint_url"`
	}
	// https://docs.discord.com/developers/resources/application#get-current-application
	if err := a.rest.do(ctx, call{Method: http.MethodGet, Route: "/applications/@me", Out: &app}); err != nil {
		return c, err
	}
	c.Name, c.OtherApplication, c.EndpointSet = app.Name, app.ID != a.cfg.ApplicationID, app.Endpoint != ""
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
		checked := GuildCheck{ID: g.ID, Name: g.Name}
		bits, _ := strconv.ParseInt(g.Permissions, 10, 64) // unreadable: none
		for _, p := range permissions {
			if bits&(p.bit|discordgo.PermissionAdministrator) == 0 {
				checked.Missing = append(checked.Missing, p.id)
			}
		}
		c.Guilds = append(c.Guilds, checked)
	}
	if c.OtherApplication { // its commands are none of this token's business
		return c, nil
	}
	var err error
	c.Registered, err = a.Registered(ctx)
	return c, err
}
