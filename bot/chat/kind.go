package chat

import (
	"slices"
	"strings"
	"unicode"
)

// Kind is what a chat platform is like, as far as anybody but its adapter has to know. The
// adapter declares it.
type Kind struct {
	Name  Platform
	Title string // as an operator reads it: "Slack"
	// Local says that it is the operator's own terminal: whoever sits there holds the
	// credentials, and types where nobody else and no chat platform reads along.
	Local bool
	// Alone says that nobody but the person who asks is there: nobody else can approve.
	Alone bool
	// Typed says that commands have typed options there, and not a line of text.
	Typed bool
	// Confirms says that what a button's [Confirm] asks is asked there, before the bot is told
	// that it was pressed.
	Confirms bool
	// Aside says that a person can be told something alone before everybody is told what the
	// command has for them. Elsewhere the first thing that is told takes the place of what
	// everybody sees of the command meanwhile.
	Aside bool
	// OneID says that a person has the same ID in every team there. Elsewhere the same ID in
	// another team is somebody else.
	OneID bool
	// IsTeam reports whether s can be the ID of a team, where the bot serves several that share
	// nothing: the operator's lists name a person, a group and a channel with the team there, as
	// TEAM/ID. nil: they need not.
	IsTeam func(s string) bool
	// Commands are the names that commands have there, with their slash, by the declared
	// name. One that is left out is called what it is declared.
	Commands map[string]string
	// IsID reports whether s can be there the ID of a person or a channel; nil: anything
	// without a blank can.
	IsID func(s string) bool
	// Entries are what an allow-list can name there.
	Entries []Entry
	// Link returns the address of a place, by which a browser or the client opens it; empty
	// for one that has none. nil: no place has.
	Link func(Place) string
	// Members says for an operator who may use what a right guards where no allow-list is set.
	Members map[Rights]string
}

// Entry is something that an allow-list can name.
type Entry struct {
	Kind    EntryKind
	Example string // an ID
	IsID    func(s string) bool
	People  string // what "bot policy" calls those whom it lets in, before the ID: "members of user group"
}

// EntryKind says what an [Entry] names.
type EntryKind string

const (
	EveryEntry   EntryKind = ""        // everybody on the platform
	UserEntry    EntryKind = "user"    //
	GroupEntry   EntryKind = "group"   // people whom the platform has to be asked for
	RoleEntry    EntryKind = "role"    // likewise, but mostly they come with the event
	ChannelEntry EntryKind = "channel" // everybody in the channel
	TeamEntry    EntryKind = "team"    // everybody in what [Place.Team] names
	GuildEntry   EntryKind = "guild"   // likewise, where it is called so
)

// Place reports whether an entry names where something is asked, not who asks it.
func (k EntryKind) Place() bool {
	return k == EveryEntry || k == ChannelEntry || k == TeamEntry || k == GuildEntry
}

// Kinds are the platforms that there are.
type Kinds []Kind

// Of returns the platform with that name. One that is not there is a platform of which
// nothing is known.
func (k Kinds) Of(name Platform) Kind {
	if i := slices.IndexFunc(k, func(k Kind) bool { return k.Name == name }); i >= 0 {
		return k[i]
	}
	return Kind{Name: name, Title: string(name)}
}

// Same reports whether two people, each seen at a place, are one.
func (k Kinds) Same(a Place, u string, b Place, v string) bool {
	return a.Platform == b.Platform && u == v && u != "" && (a.Team == b.Team || k.Of(a.Platform).OneID)
}

// Called returns the name that a declared command has on the platform, with its slash.
func (k Kind) Called(command string) string {
	if name := k.Commands[command]; name != "" {
		return name
	}
	return "/" + command
}

// Named is how settings name a person who was seen at a place: "slack:U123", and where the operator
// names the team "slack:T1/U123".
func (k Kind) Named(p Place, u User) string {
	if k.IsTeam != nil {
		u.ID = p.Team + "/" + u.ID
	}
	return p.UserKey(u)
}

// LinkTo returns the address of a place; empty for one that has none.
func (k Kind) LinkTo(p Place) string {
	if k.Link == nil || p.Channel == "" {
		return ""
	}
	return k.Link(p)
}

// maxID bounds the ID of a person or a channel, in bytes.
const maxID = 64

// HasID reports whether s can be the platform's ID of a person or a channel.
func (k Kind) HasID(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	if k.IsID != nil {
		return k.IsID(s)
	}
	return !strings.ContainsFunc(s, unicode.IsSpace)
}
