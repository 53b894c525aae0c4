package discord

import (
	"context"
	"errors"
	"meetbot/bot/chat"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/bwmarrin/discordgo"
)

// Profile implements [chat.Directory]. It is asked where no permissions came with
// the event: in a direct message. There a person may what the servers that the bot serves
// let them do.
func (a *Adapter) Profile(ctx context.Context, place chat.Place, userID string) (chat.Profile, error) {
	p := chat.Profile{Rights: chat.RightsKnown}
	guilds, err := a.guilds(ctx, place)
	if err != nil {
		return chat.Profile{}, err
	}
	for _, guild := range guilds {
		m, err := a.membership(ctx, guild, userID)
		if err != nil {
			return chat.Profile{}, err
		}
		if !m.member {
			continue
		}
		p.Rights |= rights(m.permissions)
		if p.Name == "" {
			p.Name = m.name
		}
	}
	return p, nil
}

// InGroup implements [chat.Directory]: it reports whether the person has the role.
func (a *Adapter) InGroup(ctx context.Context, place chat.Place, userID, roleID string) (bool, error) {
	guilds, err := a.guilds(ctx, place)
	if err != nil {
		return false, err
	}
	for _, guild := range guilds {
		m, err := a.membership(ctx, guild, userID)
		if err != nil {
			return false, err
		}
		if slices.Contains(m.roles, roleID) {
			return true, nil
		}
	}
	return false, nil
}

// maxGuilds is how many servers are looked through for a person in a direct message. A
// bot in more has to be asked in the server.
const maxGuilds = 20

// guilds are the servers that a person in this place may have permissions in.
//
// https://docs.discord.com/developers/resources/user#get-current-user-guilds
func (a *Adapter) guilds(ctx context.Context, place chat.Place) ([]string, error) {
	switch {
	case place.Team != "" && !a.served.serves(place.Team): // nobody may anything there
		return nil, nil
	case place.Team != "":
		return []string{place.Team}, nil
	case len(a.served) > 0:
		return a.served, nil
	}
	var all []struct {
		ID string `json:"id"`
	}
	err := a.rest.do(ctx, call{
		Method: http.MethodGet, Route: "/users/@me/guilds", Query: url.Values{"limit": {strconv.Itoa(maxGuilds + 1)}}, Out: &all,
	})
	if err != nil {
		return nil, err
	}
	if len(all) > maxGuilds {
		return nil, errors.New("the bot is in too many servers to look the person up in all")
	}
	var ids []string
	for _, g := range all {
		ids = append(ids, g.ID)
	}
	return ids, nil
}

// membership is what a server lets a person do.
type membership struct {
	member      bool
	name        string
	roles       []string
	permissions int64
}

const (
	memberLife = time.Minute
	maxMembers = 10_000
)

// membership asks Discord, at most once a minute for the same person.
func (a *Adapter) membership(ctx context.Context, guild, user string) (membership, error) {
	return a.members.Fetch(ctx, guild+":"+user, func(ctx context.Context) (membership, error) {
		return a.askMembership(ctx, guild, user)
	})
}

// https://docs.discord.com/developers/resources/guild#get-guild-member
func (a *Adapter) askMembership(ctx context.Context, guild, user string) (m membership, err error) {
	var who member
	err = a.rest.do(ctx, call{
		Method: http.MethodGet, Route: "/guilds/{guild_id}/members/{user_id}", Args: []string{guild, user}, Major: guild, Out: &who,
	})
	if isStatus(err, http.StatusNotFound) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	var g struct {
		OwnerID string `json:"owner_id"`
		Roles   []struct {
			ID          string `json:"id"`
			Permissions string `json:"permissions"`
		} `json:"roles"`
	}
	if err := a.rest.do(ctx, call{Method: http.MethodGet, Route: "/guilds/{guild_id}", Args: []string{guild}, Major: guild, Out: &g}); err != nil {
		return m, err
	}
	m.member, m.name, m.roles = true, who.User.name(who.Nick), who.Roles
	if g.OwnerID == user {
		m.permissions = discordgo.PermissionAdministrator
	}
	for _, r := range g.Roles {
		// The role of everybody has the server's own ID.
		if r.ID == guild || slices.Contains(who.Roles, r.ID) {
			bits := parsePermissions(r.Permissions)
			m.permissions |= bits
		}
	}
	return m, nil
}
