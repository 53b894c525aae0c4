// Package installs keeps which workspaces of a chat platform have installed the bot, with the
// tokens that they gave it.
//
// An installation is one document under install/PLATFORM/ID, where the ID is that of a workspace
// or of an organisation. Like every document it is encrypted, and each change is one
// compare-and-set write: of two replicas that change it, one finds out and reads again. What an
// installation page was opened with is used once: a document under install-state/HASH says so
// until it is too old to be used anyway. Between that write and the installation's, which names the
// state, a crash loses the token: whoever opens the page again is told that nothing came of it.
package installs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/config/secret"
)

// Installation is the bot in one workspace, or in an organisation and its workspaces.
type Installation struct {
	ID         string `cbor:"-"`
	Name       string
	Org        bool   // the token is an organisation's and serves its workspaces
	Enterprise string // the organisation that it belongs to; empty: none
	BotUser    string // [chat.User.ID] of the bot there
	BotName    string
	Scopes     []string
	Token      secret.String
	// Refresh gets the next token, once; empty: Token does not expire.
	Refresh secret.String
	Expires time.Time
	By      string // who installed it
	At      time.Time
	// Teams are the workspaces of the organisation that the bot has heard of.
	Teams []string
	// Claimed is until when one replica alone asks for the next token.
	Claimed time.Time
	// Refused is why the platform gave no next token, in its own code; empty: it did.
	Refused string
	// Reported is when the platform said that the app was removed. Whether that is so is looked into.
	Reported time.Time
	// Began is the hash of the state that it was begun with.
	Began    string
	Revision uint64 `cbor:"-"`
}

// Serves reports whether the installation is that of a workspace.
func (in Installation) Serves(team string) bool {
	return in.ID == team || in.Org && slices.Contains(in.Teams, team)
}

var (
	// ErrNone says that there is no such installation.
	ErrNone = errors.New("no such installation")
	// ErrChanged says that the installation was changed since it was read.
	ErrChanged = errors.New("the installation was changed meanwhile")
)

const (
	installKey = "install"
	stateKey   = "install-state"
)

// Store keeps the installations of one platform.
type Store struct {
	store    records.Store
	platform string
}

// New returns those of a platform.
func New(store records.Store, platform string) *Store { return &Store{store, platform} }

// All returns every installation, by its ID.
func (s *Store) All(ctx context.Context) ([]Installation, error) {
	docs, err := s.store.Docs(ctx, 0, installKey, s.platform)
	if err != nil {
		return nil, fmt.Errorf("list installations: %w", err)
	}
	all := make([]Installation, 0, len(docs))
	for _, doc := range docs {
		in, err := read(doc)
		if err != nil {
			return nil, err
		}
		all = append(all, in)
	}
	return all, nil
}

// Get returns [ErrNone] for an ID that has not installed the bot.
func (s *Store) Get(ctx context.Context, id string) (Installation, error) {
	if id == "" {
		return Installation{}, ErrNone
	}
	doc, err := s.store.Doc(ctx, installKey, s.platform, id)
	switch {
	case errors.Is(err, jobs.ErrNotFound):
		return Installation{}, ErrNone
	case err != nil:
		return Installation{}, fmt.Errorf("read installation: %w", err)
	}
	return read(doc)
}

func read(doc jobs.Doc) (Installation, error) {
	in, err := records.Decode[Installation](doc.Value)
	in.ID, in.Revision = doc.Key[len(doc.Key)-1], doc.Revision
	return in, err
}

// Save stores an installation in place of the one that was read, and returns it with its new
// revision. It returns [ErrChanged] if another one is there by now, or none.
func (s *Store) Save(ctx context.Context, in Installation) (Installation, error) {
	value, err := records.Encode(in)
	if err != nil {
		return in, err
	}
	rev, err := s.store.PutDoc(ctx, jobs.Doc{Key: []string{installKey, s.platform, in.ID}, Value: value, Revision: in.Revision})
	switch {
	case errors.Is(err, jobs.ErrConflict):
		return in, ErrChanged
	case err != nil:
		return in, fmt.Errorf("save installation: %w", err)
	}
	in.Revision = rev
	return in, nil
}

// Replace stores an installation that was begun with a state, whatever is there.
func (s *Store) Replace(ctx context.Context, in Installation, state string) (Installation, error) {
	in.Began = s.hash(state)
	for {
		there, err := s.Get(ctx, in.ID)
		if err != nil && !errors.Is(err, ErrNone) && !errors.Is(err, records.ErrUnreadable) {
			return in, err
		}
		in.Revision = there.Revision
		saved, err := s.Save(ctx, in)
		if !errors.Is(err, ErrChanged) || ctx.Err() != nil {
			return saved, err
		}
	}
}

// Remove removes an installation as it was read. It returns [ErrChanged] if another one is there
// by now, or none.
func (s *Store) Remove(ctx context.Context, in Installation) error {
	err := s.store.DeleteDoc(ctx, in.Revision, installKey, s.platform, in.ID)
	switch {
	case errors.Is(err, jobs.ErrConflict), errors.Is(err, jobs.ErrNotFound):
		return ErrChanged
	case err != nil:
		return fmt.Errorf("remove installation: %w", err)
	}
	return nil
}

// Use reports whether state is used for the first time, on any replica. It is remembered until
// the given time.
func (s *Store) Use(ctx context.Context, state string, until time.Time) (bool, error) {
	_, err := s.store.PutDoc(ctx, jobs.Doc{Key: []string{stateKey, s.hash(state)}, Value: []byte{0}, Expires: until})
	switch {
	case errors.Is(err, jobs.ErrConflict):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("use a state: %w", err)
	}
	return true, nil
}

// Begun returns the installation that was begun with a state, or [ErrNone].
func (s *Store) Begun(ctx context.Context, state string) (Installation, error) {
	all, err := s.All(ctx)
	if err != nil {
		return Installation{}, err
	}
	if i := slices.IndexFunc(all, func(in Installation) bool { return in.Began == s.hash(state) }); i >= 0 {
		return all[i], nil
	}
	return Installation{}, ErrNone
}

func (s *Store) hash(state string) string {
	return records.ShortHash("install state", s.platform, state)
}
