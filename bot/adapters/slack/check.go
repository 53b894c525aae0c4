package slack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
)

// Examine asks Slack once whether it takes the tokens, and what the app may do. It opens no
// connection and changes nothing.
func (a *Adapter) Examine(ctx context.Context, c kit.Circumstances) []kit.Finding {
	all, many := a.examineInstallable()
	switch err := a.whoAmI(ctx); {
	case many:
	case errors.Is(err, ErrTokenRefused):
		all = append(all, kit.Faulty("SLACK_BOT_TOKEN is refused", "copy the Bot User OAuth Token again, and reinstall the app if it was removed").Because(err))
	case err != nil:
		all = append(all, kit.Faulty("Slack does not answer", kit.NetworkFix).Because(err))
	default:
		all = append(all, kit.OK("SLACK_BOT_TOKEN is accepted"))
		all = append(all, a.examineScopes(c)...)
	}
	switch err := a.checkSocket(ctx); {
	case a.cfg.AppToken.IsZero():
		all = append(all, kit.Noted("HTTP mode: the doctor cannot check the signing secret and the request URLs; bot manifest slack --url prints the URLs"))
	case errors.Is(err, ErrTokenRefused):
		all = append(all, kit.Faulty("SLACK_APP_TOKEN is refused", "make an app-level token with the scope connections:write").Because(err))
	case err != nil:
		all = append(all, kit.Faulty("Slack opens no Socket Mode connection", "turn Socket Mode on for the app; if it is on, "+kit.NetworkFix).Because(err))
	default:
		all = append(all, kit.OK("SLACK_APP_TOKEN is accepted: Socket Mode"))
	}
	return append(all, kit.Noted("the bot expects the commands %s and %s; check that the app has them, since Slack does not say: bot manifest slack lists them",
		a.cfg.MeetCommand, a.cfg.LivepushCommand))
}

func (a *Adapter) whoAmI(ctx context.Context) error {
	if a.installed != nil {
		return nil
	}
	return a.web.whoAmI(ctx)
}

// examineInstallable says what is to be known of an app that workspaces install. Which have, and
// how each is, the running bot says.
func (a *Adapter) examineInstallable() (all []kit.Finding, many bool) {
	if a.installed == nil {
		return nil, false
	}
	all = append(all, kit.OK("workspaces install the app at %s%s; the redirect URL in the app has to be %s", strings.TrimRight(a.cfg.PublicURL, "/"), PathInstall, a.installed.redirectURI()))
	if len(a.cfg.Teams) == 0 {
		all = append(all, kit.Warn("SLACK_TEAMS is not set: no workspace may install the app", "set it to the IDs of those that may"))
	}
	return append(all, kit.Noted("bot workspaces lists the installations")), true
}

// checkSocket asks Slack once whether it takes the app-level token and lets the app
// connect. Without such a token there is nothing to check.
func (a *Adapter) checkSocket(ctx context.Context) error {
	if a.cfg.AppToken.IsZero() {
		return nil
	}
	_, err := a.sockets.open(ctx)
	return err
}

func (a *Adapter) examineScopes(c kit.Circumstances) []kit.Finding {
	const fix = "add it under OAuth & Permissions, and reinstall the app"
	var all []kit.Finding
	var optional []string
	for _, s := range scopes {
		switch {
		case a.web.self.Load().has(s.Name):
		case s.Required:
			all = append(all, kit.Faulty(fmt.Sprintf("the scope %s is missing: %s", s.Name, s.Without), fix))
		case s.Name == "usergroups:read" && slices.Contains(c.Named, chat.GroupEntry):
			all = append(all, kit.Faulty("the scope usergroups:read is missing, and an allow-list names a user group: it admits nobody", fix))
		default:
			optional = append(optional, s.Name)
		}
	}
	if len(optional) > 0 {
		all = append(all, kit.Noted("optional scopes that the app does not have: %s; bot manifest slack says what each is for", strings.Join(optional, ", ")))
	}
	return all
}
