// Package settings keeps what is set for places: for a channel with its threads, and for all
// channels of a team.
//
// What is set for one place is one document under settings/TEAM/CHANNEL, both hashed. It is
// never removed by age. A change names the revision that it was decided on, and the document
// has the last changes with their jobs: a job that is carried out again after a crash finds
// there what it has done, and does not put it on top of what came later.
package settings

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/bot/policy"
	"meetbot/bot/records"
)

// Record is what is set for one place.
type Record struct {
	Platform chat.Platform
	Team     string
	Channel  string // empty: every channel of the team
	// Values are what is set, by the name of the setting. What is not set is not in it.
	Values map[string]string
	By     string // who changed it last: [chat.Place.UserKey]
	At     time.Time
	Last   []Change // the newest first

	Revision uint64 `cbor:"-"` // 0: nothing was ever set
}

// Change is what one job has changed.
type Change struct {
	Job string
	Of  []Value
}

// Value is one setting that was changed; empty: not set.
type Value struct{ Name, From, To string }

// maxLast is how many changes a record remembers.
const maxLast = 32

// Place is the place that r is for.
func (r Record) Place() chat.Place {
	return chat.Place{Platform: r.Platform, Team: r.Team, Channel: r.Channel}
}

// ChangedBy returns what a job has changed of r; ok is false if it has not.
func (r Record) ChangedBy(job string) (of []Value, ok bool) {
	i := slices.IndexFunc(r.Last, func(c Change) bool { return c.Job == job })
	if i < 0 {
		return nil, false
	}
	return r.Last[i].Of, true
}

// list is the setting of r that says who may, and who may not.
func (r Record) list() policy.List {
	return policy.List{Allow: r.entries("allow"), Deny: r.entries("deny")}
}

func (r Record) entries(name string) []policy.Entry {
	var all []policy.Entry
	for _, s := range List(r.Values[name]) {
		kind, id, _ := strings.Cut(s, ":")
		all = append(all, policy.Entry{Platform: r.Platform, Kind: chat.EntryKind(kind), ID: id})
	}
	return all
}

// List is a value that has several, with commas between.
func List(value string) []string {
	if value == "" {
		return nil
	}
	return strings.Split(value, ",")
}

// Source says where a value comes from.
type Source int

const (
	Unset Source = iota
	Channel
	Team
)

// Here is what is set for a channel, and for every channel of its team.
type Here struct{ Channel, Team Record }

// Get returns the value of a setting, the channel's before the team's, and where it is from.
func (h Here) Get(name string) (string, Source) {
	if v := h.Channel.Values[name]; v != "" {
		return v, Channel
	}
	if v := h.Team.Values[name]; v != "" {
		return v, Team
	}
	return "", Unset
}

// Lists say who may, and who may not. All of them count: who may change a channel's must not
// undo what was said of all.
func (h Here) Lists() []policy.List {
	return slices.DeleteFunc([]policy.List{h.Team.list(), h.Channel.list()}, policy.List.Empty)
}

// Settings keeps records.
type Settings struct{ store records.Store }

// New returns the settings in a store.
func New(store records.Store) Settings { return Settings{store} }

const settingsKey = "settings"

func key(p chat.Place) []string {
	return []string{settingsKey, records.ShortHash("team", string(p.Platform), p.Team), records.ShortHash("channel", p.Channel)}
}

// Of returns what is set for a channel or, without one, for every channel of a team. Where
// nothing ever was, the record has no revision.
func (s Settings) Of(ctx context.Context, p chat.Place) (Record, error) {
	none := Record{Platform: p.Platform, Team: p.Team, Channel: p.Channel}
	doc, err := s.store.Doc(ctx, key(p)...)
	if errors.Is(err, jobs.ErrNotFound) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("read settings: %w", err)
	}
	return read(doc)
}

func read(doc jobs.Doc) (Record, error) {
	r, err := records.Decode[Record](doc.Value)
	r.Revision = doc.Revision
	return r, err
}

// Here returns what is set for a place. Outside of every team only the channel counts.
func (s Settings) Here(ctx context.Context, p chat.Place) (Here, error) {
	channel, err := s.Of(ctx, p)
	if err != nil || p.Team == "" {
		return Here{Channel: channel}, err
	}
	p.Channel = ""
	team, err := s.Of(ctx, p)
	return Here{channel, team}, err
}

// Change changes r as a job wants it, and writes it in the place of the revision that it was
// read at. It returns [jobs.ErrConflict] if that has changed.
func (s Settings) Change(ctx context.Context, r Record, by string, at time.Time, c Change) error {
	values := map[string]string{}
	maps.Copy(values, r.Values)
	for _, v := range c.Of {
		values[v.Name] = v.To
		if v.To == "" {
			delete(values, v.Name)
		}
	}
	r.Values, r.By, r.At = values, by, at
	r.Last = append([]Change{c}, r.Last...)
	r.Last = r.Last[:min(len(r.Last), maxLast)]
	value, err := records.Encode(r)
	if err != nil {
		return err
	}
	if _, err = s.store.PutDoc(ctx, jobs.Doc{Key: key(r.Place()), Value: value, Revision: r.Revision}); err != nil {
		return fmt.Errorf("save settings: %w", err)
	}
	return nil
}

// All returns every record with something set, by place.
func (s Settings) All(ctx context.Context) ([]Record, error) {
	docs, err := s.store.Docs(ctx, 0, settingsKey)
	if err != nil {
		return nil, fmt.Errorf("list settings: %w", err)
	}
	var all []Record
	for _, doc := range docs {
		r, err := read(doc)
		if err != nil {
			return nil, err
		}
		if len(r.Values) > 0 {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b Record) int { return strings.Compare(a.Place().Key(), b.Place().Key()) })
	return all, nil
}
