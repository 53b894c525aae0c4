// Package livepush knows where live streams go: the catalogue of services with the shapes of
// their addresses and keys ([Preset]), what is wrong with an address ([Finding]), and the
// destinations that people save ([Destination]).
//
// A destination is one document under destination/SCOPE/NAME, both hashed; names are unique
// in a scope, whatever their case and width. It is never removed by age.
package livepush

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/bot/texts"
	"meetbot/config/secret"
	"meetbot/meeting"
)

// Destination is a saved place to push a live stream to, or, with Members, a named set
// of such places. It belongs to a team and is never removed by age.
type Destination struct {
	ID       string `cbor:"-"` // made from the team and the name
	Name     string // 1 to [meeting.MaxPushName] characters
	Preset   string // [Preset.ID]
	Platform meeting.PushPlatform
	URL      string
	Key      secret.String // empty: to be asked for
	KeySet   time.Time
	Page     string // for viewers
	// Moved is when URL last became another one, From the host it had before, and Vouched
	// when a second person last saw where it leads.
	Moved   time.Time
	From    string
	Vouched time.Time

	Owner     string // [chat.User.ID]
	OwnerName string
	People    []string // IDs of users who may use it
	Channels  []string // IDs of channels in which everybody may
	Protected bool     // a change needs the approval of a second person

	// Members are the names of a set's destinations; with them nothing above from Preset
	// to Page is set.
	Members []string

	Saved    time.Time
	revision uint64
}

// IsSet reports whether d is a named set.
func (d Destination) IsSet() bool { return len(d.Members) > 0 }

// Target is d as a push address.
func (d Destination) Target() meeting.PushTarget {
	return meeting.PushTarget{Name: d.Name, Platform: d.Platform, URL: d.URL, Key: d.Key, Enabled: true, Page: d.Page}
}

// MayUse reports whether a person may push to d from a place: its owner, those it was
// shared with, everybody in a channel it was shared with, and admins.
func (d Destination) MayUse(userID string, place chat.Place, admin bool) bool {
	return d.MayChange(userID, admin) || slices.Contains(d.People, userID) || slices.Contains(d.Channels, place.Channel)
}

// MayChange reports whether a person may replace, share or remove d.
func (d Destination) MayChange(userID string, admin bool) bool { return admin || d.Owner == userID }

// RevokeArg is the argument of the button that revokes the key d has now, and no later one.
func (d Destination) RevokeArg() string {
	return d.ID + "." + strconv.FormatInt(d.KeySet.Unix(), 36)
}

// ForgetArg is the argument of the button that forgets d as it is now, and no later one.
func (d Destination) ForgetArg() string { return d.ID + "." + strconv.FormatUint(d.revision, 36) }

var (
	ErrNoDestination   = errors.New("no such destination")
	ErrNotOwner        = errors.New("somebody else's destination")
	ErrKeyReplaced     = errors.New("the key was replaced meanwhile")
	errDestinationBusy = errors.New("the destination is being changed by others") // a retry may help
)

// Destinations keeps them. Names are unique in a scope; case and width do not count.
type Destinations struct {
	store records.Store
	now   func() time.Time
}

// NewDestinations returns the destinations in a store.
func NewDestinations(store records.Store, now func() time.Time) Destinations {
	return Destinations{store, now}
}

const destinationKey = "destination"

// Scope is whom a destination belongs to: the team, or the person where a conversation of
// few is outside of every team.
func Scope(place chat.Place, userID string) string {
	if place.Team == "" && place.Kind != chat.InChannel {
		return place.UserKey(chat.User{ID: userID})
	}
	return string(place.Platform) + ":" + place.Team
}

// destinationID is made from scope and name, so that no two can have the same name.
func destinationID(scope, name string) string {
	return records.ShortHash("scope", scope) + "-" + records.ShortHash("destination", Fold(name))
}

// InScope reports whether an ID is that of a destination of the scope.
func InScope(id, scope string) bool {
	return strings.HasPrefix(id, records.ShortHash("scope", scope)+"-")
}

// ByName returns [ErrNoDestination] for a name that is not saved.
func (s Destinations) ByName(ctx context.Context, scope, name string) (Destination, error) {
	return s.ByID(ctx, destinationID(scope, name))
}

// ByID returns [ErrNoDestination] for an ID that nothing is saved under.
func (s Destinations) ByID(ctx context.Context, id string) (Destination, error) {
	group, name, ok := strings.Cut(id, "-")
	if !ok || group == "" || name == "" {
		return Destination{}, ErrNoDestination
	}
	doc, err := s.store.Doc(ctx, destinationKey, group, name)
	if errors.Is(err, jobs.ErrNotFound) {
		return Destination{}, ErrNoDestination
	}
	if err != nil {
		return Destination{}, fmt.Errorf("read destination: %w", err)
	}
	return readDestination(doc)
}

func readDestination(doc jobs.Doc) (Destination, error) {
	d, err := records.Decode[Destination](doc.Value)
	d.ID, d.revision = strings.Join(doc.Key[1:], "-"), doc.Revision
	return d, err
}

// All returns the destinations of a scope, by name.
func (s Destinations) All(ctx context.Context, scope string) ([]Destination, error) {
	docs, err := s.store.Docs(ctx, 0, destinationKey, records.ShortHash("scope", scope))
	if err != nil {
		return nil, fmt.Errorf("list destinations: %w", err)
	}
	all := make([]Destination, 0, len(docs))
	for _, doc := range docs {
		d, err := readDestination(doc)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b Destination) int { return strings.Compare(Fold(a.Name), Fold(b.Name)) })
	return all, nil
}

// DestinationNames returns the names of destinations, in their order.
func DestinationNames(all []Destination) []string {
	names := make([]string, len(all))
	for i, d := range all {
		names[i] = d.Name
	}
	return names
}

// Usable returns what a person may use from a place.
func (s Destinations) Usable(ctx context.Context, place chat.Place, userID string, admin bool) ([]Destination, error) {
	all, err := s.All(ctx, Scope(place, userID))
	return slices.DeleteFunc(all, func(d Destination) bool { return !d.MayUse(userID, place, admin) }), err
}

// Resolve turns names into destinations, each once and in the order of the names; a set
// becomes its members. missing are the names that nothing is saved under.
func (s Destinations) Resolve(ctx context.Context, scope string, names []string) (found []Destination, missing []string, err error) {
	seen := map[string]bool{}
	var add func(names []string, nested bool) error
	add = func(names []string, nested bool) error {
		for _, name := range names {
			id := destinationID(scope, name)
			if seen[id] {
				continue
			}
			seen[id] = true
			d, err := s.ByID(ctx, id)
			switch {
			case errors.Is(err, ErrNoDestination), err == nil && nested && d.IsSet():
				missing = append(missing, name)
			case err != nil:
				return err
			case d.IsSet():
				if err := add(d.Members, true); err != nil {
					return err
				}
			default:
				found = append(found, d)
			}
		}
		return nil
	}
	err = add(names, false)
	return found, missing, err
}

// Save stores d for a person under d.Name. What is saved under that name already is
// replaced if the person may change it, and [ErrNotOwner] is returned with it if not; it
// keeps its owner, and its key where d has none and the address is the same.
func (s Destinations) Save(ctx context.Context, scope string, d Destination, by chat.User, admin bool) (Destination, error) {
	d.ID = destinationID(scope, d.Name)
	return s.change(ctx, d.ID, func(old *Destination) error {
		d := d
		now := s.now()
		d.revision, d.Saved = old.revision, now
		d.Owner, d.OwnerName = by.ID, by.Name
		if old.revision != 0 {
			if !old.MayChange(by.ID, admin) {
				return ErrNotOwner
			}
			d.Owner, d.OwnerName = old.Owner, old.OwnerName
			d.Protected = d.Protected || old.Protected // a new key must not take the second person away
			d.Moved, d.From, d.Vouched = old.Moved, old.From, old.Vouched
			d.moved(old.URL, now)
		}
		switch {
		case d.IsSet():
			d.Key = secret.String{}
		case d.Key.IsZero() && d.URL == old.URL:
			d.Key = old.Key
		}
		switch {
		case d.Key.IsZero():
			d.KeySet = time.Time{}
		case d.Key.Equal(old.Key):
			d.KeySet = old.KeySet
		default:
			d.KeySet = now
		}
		*old = d
		return nil
	})
}

// SetKey gives a saved destination a new key, and a new address unless that is empty.
func (s Destinations) SetKey(ctx context.Context, id, address string, key secret.String) (Destination, error) {
	return s.change(ctx, id, func(d *Destination) error {
		if d.revision == 0 {
			return ErrNoDestination
		}
		if address != "" {
			was := d.URL
			d.URL = address
			d.moved(was, s.now())
		}
		if !key.Equal(d.Key) {
			d.Key, d.KeySet = key, s.now()
		}
		return nil
	})
}

// moved takes down that the address was another one before.
func (d *Destination) moved(was string, now time.Time) {
	if was != "" && !meeting.SamePushAddress(was, d.URL) {
		d.Moved, d.From = now, Host(was)
	}
}

// Vouch takes down that a second person has seen where a destination leads, if that is the
// given address. It returns [ErrNoDestination].
func (s Destinations) Vouch(ctx context.Context, id, address string) error {
	_, err := s.change(ctx, id, func(d *Destination) error {
		if d.revision == 0 {
			return ErrNoDestination
		}
		if d.URL == address {
			d.Vouched = s.now()
		}
		return nil
	})
	return err
}

// Revoke removes the key that a button was made for. The destination stays and asks for a
// new key. It returns [ErrKeyReplaced] if there is another key by now, and [ErrNotOwner].
func (s Destinations) Revoke(ctx context.Context, arg, userID string, admin bool) (Destination, error) {
	id, _, _ := strings.Cut(arg, ".")
	return s.change(ctx, id, func(d *Destination) error {
		switch {
		case d.revision == 0:
			return ErrNoDestination
		case !d.MayChange(userID, admin):
			return ErrNotOwner
		case d.Key.IsZero(): // done before
			return nil
		case d.RevokeArg() != arg:
			return ErrKeyReplaced
		}
		d.Key, d.KeySet = secret.String{}, time.Time{}
		return nil
	})
}

// Forget removes a destination. One that is gone already is no error.
func (s Destinations) Forget(ctx context.Context, d Destination) error {
	group, name, _ := strings.Cut(d.ID, "-")
	err := s.store.DeleteDoc(ctx, d.revision, destinationKey, group, name)
	if errors.Is(err, jobs.ErrConflict) {
		if _, err := s.ByID(ctx, d.ID); errors.Is(err, ErrNoDestination) {
			return nil
		}
		return errDestinationBusy
	}
	if err != nil {
		return fmt.Errorf("remove destination: %w", err)
	}
	return nil
}

// change reads the destination (the zero one if there is none), changes it and writes it,
// again as long as others write in between.
func (s Destinations) change(ctx context.Context, id string, change func(*Destination) error) (Destination, error) {
	const tries = 5
	group, name, ok := strings.Cut(id, "-")
	if !ok || group == "" || name == "" {
		return Destination{}, ErrNoDestination
	}
	for range tries {
		d, err := s.ByID(ctx, id)
		if err != nil && !errors.Is(err, ErrNoDestination) {
			return Destination{}, err
		}
		d.ID = id
		if err := change(&d); err != nil {
			return d, err
		}
		d.ID = id
		value, err := records.Encode(d)
		if err != nil {
			return Destination{}, err
		}
		rev, err := s.store.PutDoc(ctx, jobs.Doc{Key: []string{destinationKey, group, name}, Value: value, Revision: d.revision})
		if errors.Is(err, jobs.ErrConflict) {
			continue
		}
		if err != nil {
			return Destination{}, fmt.Errorf("save destination: %w", err)
		}
		d.revision = rev
		return d, nil
	}
	return Destination{}, errDestinationBusy
}

// Fingerprint is a short text that is the same for the same key, by which two people can
// compare what they hold; empty for no key.
func (s Destinations) Fingerprint(key secret.String) string {
	if key.IsZero() {
		return ""
	}
	return s.store.Fingerprint([]byte(key.Reveal()))
}

// KeyAge says how old the key of d is.
func (d Destination) KeyAge(t texts.Text, now time.Time) string {
	if d.Key.IsZero() {
		return t.T("key.none")
	}
	switch days := int(now.Sub(d.KeySet).Hours() / 24); {
	case days < 1:
		return t.T("key.age.today")
	case days == 1:
		return t.T("key.age.day")
	default:
		return t.T("key.age.days", "Days", days)
	}
}

// IDs of findings that callers treat apart.
const (
	FindingKeyInAddress = "finding.push." + string(meeting.PushWarnKeyInAddress)
	FindingExpired      = "finding.push." + string(meeting.PushWarnExpired)
)

// Host is the server of an address, with its port where one is given; empty if there is none.
func Host(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	if !ok || len(scheme) > 10 || strings.ContainsAny(host, "@?# ") {
		return ""
	}
	return host
}

// Address names one push address of a meeting: in the same word again for the same name and
// server, whatever its key.
func Address(t meeting.PushTarget) string { return records.ShortHash("address", t.Name, t.URL) }

// Root cuts an address behind its host, if it has one.
func Root(address string) string {
	scheme, _, _ := strings.Cut(address, "://")
	if host := Host(address); host != "" {
		return scheme + "://" + host + "/"
	}
	return ""
}
