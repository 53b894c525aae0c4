package discord

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// commandName is what Discord takes as a name; the letters are to be in lower case.
//
// https://docs.discord.com/developers/interactions/application-commands#application-command-object-application-command-naming
var commandName = regexp.MustCompile(`^[-_'\p{Ll}\p{Lm}\p{Lo}\p{N}]{1,32}$`)

// Register replaces the registered commands if they differ from ours, which it reports:
// Discord takes 200 creations a day.
//
// https://docs.discord.com/developers/interactions/application-commands#bulk-overwrite-global-application-commands
func (a *Adapter) Register(ctx context.Context) (changed bool, err error) {
	ours, registered, err := a.compare(ctx)
	if err != nil || registered {
		return false, err
	}
	put := a.commandsCall(http.MethodPut)
	put.Body = ours
	return true, a.rest.do(ctx, put)
}

// Registered reports whether Discord has our commands as they are. It changes nothing.
func (a *Adapter) Registered(ctx context.Context) (bool, error) {
	_, registered, err := a.compare(ctx)
	return registered, err
}

func (a *Adapter) compare(ctx context.Context) (ours []Command, registered bool, err error) {
	if ours, err = Commands(a.cfg.Listed, a.cfg.Commands); err != nil {
		return nil, false, err
	}
	var theirs []Command
	get := a.commandsCall(http.MethodGet)
	get.Query, get.Out = url.Values{"with_localizations": {"true"}}, &theirs
	if err := a.rest.do(ctx, get); err != nil {
		return nil, false, err
	}
	return ours, same(ours, theirs), nil
}

func (a *Adapter) commandsCall(method string) call {
	if a.cfg.GuildID != "" {
		return call{
			Method: method, Route: "/applications/{application_id}/guilds/{guild_id}/commands",
			Args: []string{a.cfg.ApplicationID, a.cfg.GuildID}, Major: a.cfg.GuildID,
		}
	}
	return call{Method: method, Route: "/applications/{application_id}/commands", Args: []string{a.cfg.ApplicationID}}
}

// same compares in one normal form: what Discord adds is not read into a [Command], and
// what it leaves out when it is the default is left out by us.
func same(a, b []Command) bool {
	x, errX := json.Marshal(sorted(a))
	y, errY := json.Marshal(sorted(b))
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func sorted(all []Command) []Command {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Command) int { return strings.Compare(a.Name, b.Name) })
	for i := range all {
		slices.Sort(all[i].Contexts)
		slices.Sort(all[i].Integrations)
	}
	return all
}
