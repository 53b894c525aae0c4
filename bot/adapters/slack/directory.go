package slack

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	slackapi "github.com/slack-go/slack"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
)

// How long what Slack says about people is believed. A role taken away works on for so
// long.
const (
	userLife  = 5 * time.Minute
	groupLife = time.Minute
	maxKept   = 10_000
)

// people is what Slack says about the people of a workspace, remembered for a while.
type people struct {
	team   string
	web    *web
	users  *kit.Cache[person]
	groups *kit.Cache[[]string] // members, by user group
}

// person is what the bot has to know of what Slack says of one: that is two KiB.
type person struct {
	name, locale     string
	team, enterprise string
	outside          bool // a guest, a bot, or deactivated
}

func personOf(u *slackapi.User) person {
	return person{
		name: cmp.Or(u.Profile.DisplayName, u.RealName, u.Name), locale: u.Locale, team: u.TeamID, enterprise: u.Enterprise.EnterpriseID,
		outside: u.Deleted || u.IsBot || u.IsStranger || u.IsRestricted || u.IsUltraRestricted || u.IsInvitedUser,
	}
}

func newPeople(team string, w *web, now func() time.Time) *people {
	return &people{team, w, kit.NewCache[person](userLife, maxKept, now), kit.NewCache[[]string](groupLife, maxKept, now)}
}

// profile looks a person up. Full members of the workspace, or of its organisation, may use
// everything where no list says otherwise; guests, bots, deactivated people and people of
// other organisations nothing.
func (p *people) profile(ctx context.Context, userID string) (chat.Profile, error) {
	u, err := p.users.Fetch(ctx, userID, func(ctx context.Context) (u person, err error) {
		err = p.web.call(ctx, "users.info", "", func() error {
			found, err := p.web.api().GetUserInfoContext(ctx, userID)
			if err == nil {
				u = personOf(found)
			}
			return err
		})
		return u, err
	})
	if err != nil {
		return chat.Profile{}, fmt.Errorf("look up a person: %w", err)
	}
	profile := chat.Profile{Name: u.name, Locale: u.locale, Rights: chat.RightsKnown}
	if p.isMember(u) {
		profile.Rights |= chat.RightMeet | chat.RightPush
	}
	return profile, nil
}

func (p *people) isMember(u person) bool {
	if u.outside {
		return false
	}
	self := p.web.self.Load()
	if self == nil {
		return false
	}
	return u.team == self.team || self.enterprise != "" && u.enterprise == self.enterprise
}

func (p *people) inGroup(ctx context.Context, userID, groupID string) (bool, error) {
	members, err := p.groups.Fetch(ctx, groupID, func(ctx context.Context) (members []string, err error) {
		err = p.web.call(ctx, "usergroups.users.list", "", func() (err error) {
			members, err = p.web.api().GetUserGroupMembersContext(ctx, groupID, p.which()...)
			return err
		})
		return members, err
	})
	if err != nil {
		return false, fmt.Errorf("look up user group %s: %w", groupID, err)
	}
	return slices.Contains(members, userID), nil
}

// which names the workspace, which Slack has to be told where the token is of several.
// https://docs.slack.dev/reference/methods/usergroups.users.list
func (p *people) which() []slackapi.GetUserGroupMembersOption {
	if self := p.web.self.Load(); self == nil || p.team == "" || p.team == self.team {
		return nil
	}
	return []slackapi.GetUserGroupMembersOption{slackapi.GetUserGroupMembersOptionTeamID(p.team)}
}

// localeOf returns a person's language if it is known already.
func (p *people) localeOf(userID string) string {
	u, _ := p.users.Get(userID)
	return u.locale
}
