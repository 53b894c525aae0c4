// Package policy says who may do what: by an allow-list, or by what the platform itself lets
// a person do. What the request alone tells is decided at once ([Policy.Judge]); groups,
// roles and rights that did not come with it are looked up, and a look-up that fails refuses.
package policy

import (
	"context"
	"fmt"
	"meetbot/bot/chat"
	"slices"
)

// Policy says who may do what. An unset list leaves it to what the platform itself lets
// a person do ([chat.Rights]); a set one replaces that, and any match permits.
type Policy struct {
	Platforms chat.Kinds
	Meet      []Entry // who may use /meet
	Push      []Entry // who may use /livepush
	Settings  []Entry // who may change what is set for a channel; unset is nobody but admins
	Admins    []Entry // who may do everything, for others too; unset is nobody
}

// Entry is one line of an allow-list.
type Entry struct {
	Platform chat.Platform
	Kind     chat.EntryKind
	ID       string
	Team     string // where the ID is of; empty: of the only team that there is
}

// At reports whether an entry is about a place.
func (e Entry) At(place chat.Place) bool {
	return e.Platform == place.Platform && (e.Team == "" || e.Team == place.Team)
}

// String is what [ParseEntry] reads.
func (e Entry) String() string {
	if e.Kind == chat.EveryEntry {
		return string(e.Platform)
	}
	id := e.ID
	if e.Team != "" {
		id = e.Team + "/" + id
	}
	return string(e.Platform) + ":" + string(e.Kind) + ":" + id
}

// verdict is what is known without a look-up.
type verdict int

const (
	No verdict = iota
	Yes
	LookUp // a group, or roles and rights that did not come with the event
)

// Judge decides as far as the request itself tells.
func (p Policy) Judge(place chat.Place, u chat.User, right chat.Rights) verdict {
	if p.Admin(place, u) == Yes {
		return Yes
	}
	list := p.list(right)
	if list == nil {
		switch {
		case u.Rights&right != 0:
			return Yes
		case u.Rights&chat.RightsKnown == 0:
			return LookUp
		}
		return No
	}
	return match(list, place, u)
}

func (p Policy) list(right chat.Rights) []Entry {
	switch right {
	case chat.RightMeet:
		return p.Meet
	case chat.RightPush:
		return p.Push
	case chat.RightSettings:
		if p.Settings != nil {
			return p.Settings
		}
	}
	return []Entry{} // no right at all: nobody is named
}

// Unlisted reports whether no list says who has a right: what the platform lets people do
// decides.
func (p Policy) Unlisted(right chat.Rights) bool { return p.list(right) == nil }

// People are the IDs of those at a place whom the list for a right, or that of the admins, has
// by name.
func (p Policy) People(at chat.Place, right chat.Rights) []string {
	var ids []string
	for _, e := range slices.Concat(p.list(right), p.Admins) {
		if e.At(at) && e.Kind == chat.UserEntry {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// Admin judges whether a person is one. Whoever sits at the operator's own terminal holds
// the credentials anyway.
func (p Policy) Admin(place chat.Place, u chat.User) verdict {
	if p.Platforms.Of(place.Platform).Local {
		return Yes
	}
	return match(p.Admins, place, u)
}

func match(list []Entry, place chat.Place, u chat.User) verdict {
	v := No
	for _, e := range list {
		if !e.At(place) {
			continue
		}
		switch e.Kind {
		case chat.EveryEntry:
			return Yes
		case chat.UserEntry:
			if e.ID == u.ID {
				return Yes
			}
		case chat.RoleEntry:
			if slices.Contains(u.Roles, e.ID) {
				return Yes
			}
			if u.Roles == nil && u.Rights&chat.RightsKnown == 0 { // not an event's word: not known
				v = LookUp
			}
		case chat.ChannelEntry:
			if e.ID == place.Channel {
				return Yes
			}
		case chat.TeamEntry, chat.GuildEntry:
			if e.ID == place.Team && e.ID != "" {
				return Yes
			}
		case chat.GroupEntry:
			v = LookUp
		}
	}
	return v
}

// Nearness is how closely one of a list's entries names a place: 0 for not at all, more for a
// team than for a platform, and most for a channel. Entries that name people say nothing of it.
func Nearness(list []Entry, place chat.Place) int {
	nearest := 0
	for _, e := range list {
		if !e.At(place) {
			continue
		}
		n := 0
		switch e.Kind {
		case chat.EveryEntry:
			n = 1
		case chat.TeamEntry, chat.GuildEntry:
			if e.ID == place.Team && e.ID != "" {
				n = 2
			}
		case chat.ChannelEntry:
			if e.ID == place.Channel && e.ID != "" {
				n = 3
			}
		}
		nearest = max(nearest, n)
	}
	return nearest
}

// Permits decides whether a person has a right, looking up what has to be. A look-up
// that fails refuses, with its error.
func (p Policy) Permits(ctx context.Context, dir chat.Directory, place chat.Place, u chat.User, right chat.Rights) (bool, error) {
	switch p.Judge(place, u, right) {
	case Yes:
		return true, nil
	case No:
		return p.IsAdmin(ctx, dir, place, u) // an admin by user group is not yet known
	}
	if admin, err := p.IsAdmin(ctx, dir, place, u); admin {
		return true, err
	}
	if dir == nil {
		return false, nil
	}
	list := p.list(right)
	if list == nil {
		profile, err := dir.Profile(ctx, place, u.ID)
		return err == nil && profile.Rights&right != 0, err
	}
	return inGroup(ctx, dir, list, place, u)
}

// IsAdmin decides whether a person is one, looking up what has to be.
func (p Policy) IsAdmin(ctx context.Context, dir chat.Directory, place chat.Place, u chat.User) (bool, error) {
	switch p.Admin(place, u) {
	case Yes:
		return true, nil
	case LookUp:
		return inGroup(ctx, dir, p.Admins, place, u)
	}
	return false, nil
}

// Named reports whether a person, not only the place or the platform's own rights, is on
// the list for a right.
func (p Policy) Named(ctx context.Context, dir chat.Directory, place chat.Place, u chat.User, right chat.Rights) (bool, error) {
	people := slices.DeleteFunc(slices.Clone(p.list(right)), func(e Entry) bool { return e.Kind.Place() && e.Kind != chat.EveryEntry })
	switch match(people, place, u) {
	case Yes:
		return true, nil
	case LookUp:
		return inGroup(ctx, dir, people, place, u)
	}
	return false, nil
}

// List narrows, for one place, what a [Policy] permits: a deny beats an allow, and with an
// allow nobody else may. It gives nobody a right, and does not bind admins.
type List struct{ Allow, Deny []Entry }

// Empty reports whether l says nothing.
func (l List) Empty() bool { return len(l.Allow)+len(l.Deny) == 0 }

// Judge decides as far as the request itself tells.
func (l List) Judge(place chat.Place, u chat.User) verdict {
	allowed := Yes
	if len(l.Allow) > 0 {
		allowed = match(l.Allow, place, u)
	}
	switch denied := match(l.Deny, place, u); {
	case denied == Yes, allowed == No:
		return No
	case denied == LookUp, allowed == LookUp:
		return LookUp
	}
	return Yes
}

// Permits decides, looking up what has to be. A look-up that fails refuses, with its error.
func (l List) Permits(ctx context.Context, dir chat.Directory, place chat.Place, u chat.User) (bool, error) {
	if v := l.Judge(place, u); v != LookUp || dir == nil {
		return v == Yes, nil
	}
	if denied, err := inGroup(ctx, dir, l.Deny, place, u); denied || err != nil {
		return false, err
	}
	if len(l.Allow) == 0 || match(l.Allow, place, u) == Yes {
		return true, nil
	}
	return inGroup(ctx, dir, l.Allow, place, u)
}

func inGroup(ctx context.Context, dir chat.Directory, list []Entry, place chat.Place, u chat.User) (bool, error) {
	if dir == nil {
		return false, nil
	}
	var failed error
	for _, e := range list {
		if e.Kind != chat.GroupEntry && e.Kind != chat.RoleEntry || !e.At(place) {
			continue
		}
		in, err := dir.InGroup(ctx, place, u.ID, e.ID)
		if in {
			return true, nil
		}
		if err != nil {
			failed = fmt.Errorf("look up group %s: %w", e.ID, err)
		}
	}
	return false, failed
}
