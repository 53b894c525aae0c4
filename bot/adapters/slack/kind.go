package slack

import (
	"net/url"
	"regexp"

	"meetbot/bot/chat"
)

// Platform is Slack's name in lists, metrics and addresses.
const Platform chat.Platform = "slack"

// What IDs look like. A channel's may also be that of a conversation of few.
// https://docs.slack.dev/reference/objects/user-object
var (
	anyID       = regexp.MustCompile(`^[UWCDG][A-Z0-9]*$`)
	personID    = regexp.MustCompile(`^[UW][A-Z0-9]+$`)
	groupID     = regexp.MustCompile(`^S[A-Z0-9]+$`)
	channelID   = regexp.MustCompile(`^[CGD][A-Z0-9]+$`)
	workspaceID = regexp.MustCompile(`^T[A-Z0-9]{1,30}$`)    // every event is from one, also where an organisation has installed the app
	teamID      = regexp.MustCompile(`^[TE][A-Z0-9]{1,30}$`) // of a workspace, or of an organisation
)

const fullMembers = "full members; no guests, no bots, nobody of another organisation"

// Kind returns what Slack is like. Its commands may have other names there, by their
// declared ones. With many, several workspaces install the app.
func Kind(commands map[string]string, many bool) chat.Kind {
	k := chat.Kind{
		Name: Platform, Title: "Slack", Confirms: true, Aside: true, Commands: commands, IsID: anyID.MatchString,
		Entries: []chat.Entry{
			{Kind: chat.UserEntry, Example: "U1", IsID: personID.MatchString, People: "person"},
			{Kind: chat.GroupEntry, Example: "S1", IsID: groupID.MatchString, People: "members of user group"},
			{Kind: chat.ChannelEntry, Example: "C1", IsID: channelID.MatchString, People: "everybody in channel"},
			{Kind: chat.TeamEntry, Example: "T1", IsID: workspaceID.MatchString, People: "everybody in workspace"},
		},
		Link:    link,
		Members: map[chat.Rights]string{chat.RightMeet: fullMembers, chat.RightPush: fullMembers},
	}
	if many {
		k.IsTeam = workspaceID.MatchString
	}
	return k
}

// ErrorKinds returns the answers of Slack that somebody can do something about, for metrics;
// see the method pages of https://docs.slack.dev/reference/methods.
func ErrorKinds() []string {
	return []string{
		"ratelimited", "rate_limited", "invalid_auth", "not_authed", "account_inactive", "token_revoked",
		"token_expired", "not_allowed_token_type", "missing_scope", "not_in_channel", "channel_not_found", "is_archived",
		"restricted_action", "msg_too_long", "invalid_blocks", "invalid_arguments", "no_text", "user_not_found", "user_not_in_channel",
		"cannot_dm_bot", "user_disabled", "message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found",
		"expired_trigger_id", "invalid_trigger_id", "exchanged_trigger_id", "no_such_subteam", "internal_error", "fatal_error",
		"service_unavailable", "request_timeout", "accesslimited", "access_denied_temporarily", "expired_url", "used_url",
		"messages_tab_disabled", "team_access_not_granted", "ekm_access_denied", "link_disabled",
	}
}

// link is the address of a channel.
// https://docs.slack.dev/interactivity/deep-linking
func link(p chat.Place) string {
	return "https://slack.com/app_redirect?" + url.Values{"team": {p.Team}, "channel": {p.Channel}}.Encode()
}
