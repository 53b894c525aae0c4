package slack

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
)

// workspace is the bot in one workspace. What it remembers of the people there, how fast it
// posts, and the addresses that it was given to answer at are that workspace's alone: the same
// ID in another one is somebody else's. Workspaces of one organisation share the token.
type workspace struct {
	id     string
	web    *web    // calls to Slack
	people *people // who they are and what they may
	poster *poster // messages
}

// maxWorkspaces bounds what is remembered at once. What is dropped is made again.
const maxWorkspaces = 10_000

// workspaces are those that the bot is in.
type workspaces struct {
	mu   sync.Mutex
	made map[string]*workspace
	make func(id string, w *web) *workspace
}

// of returns the workspace with that ID, which is reached with w.
func (ws *workspaces) of(id string, w *web) *workspace {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if s := ws.made[id]; s != nil && s.web == w {
		return s
	}
	if ws.made == nil || len(ws.made) >= maxWorkspaces {
		ws.made = make(map[string]*workspace)
	}
	s := ws.make(id, w)
	ws.made[id] = s
	return s
}

// origins are the workspace and the organisation that an event names.
type origins struct{ team, enterprise string }

// at returns where something is posted or looked up; nil: nothing serves that workspace.
func (a *Adapter) at(team string) *workspace {
	if a.installed == nil {
		return a.workspaces.of(team, a.web)
	}
	if i := a.installed.at(team); i != nil {
		return a.workspaces.of(team, i.web)
	}
	return nil
}

// reached is at once it is known who has installed the app. The error for a workspace that has not
// matches [chat.ErrLost].
func (a *Adapter) reached(ctx context.Context, team string) (*workspace, error) {
	if a.installed != nil {
		select {
		case <-a.installed.loaded:
		case <-time.After(postPatience):
			return nil, &chat.RetryAfter{After: postPatience, Err: errNotRead}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if at := a.at(team); at != nil {
		return at, nil
	}
	return nil, errNotInstalled
}

var (
	errNotRead      = errors.New("the installations were not read yet")
	errNotInstalled = fmt.Errorf("the workspace has not installed the app: %w", chat.ErrLost)
)

// served returns where an event is from; nil for a workspace that the bot's tokens are not of:
// whoever installs a distributed app has its events signed with the same secret. A token serves
// all workspaces of its organisation.
func (a *Adapter) served(from origins) *workspace {
	at := a.serving(from)
	if at == nil && a.strangers.First(from.team) {
		a.log.Warn("event of another workspace, ignoring it", "team", kit.Code(from.team))
	}
	return at
}

// serving is [Adapter.served] without a word of those that are not.
func (a *Adapter) serving(from origins) *workspace {
	if a.installed != nil {
		if i := a.installed.of(from); i != nil {
			return a.workspaces.of(from.team, i.web)
		}
	} else if self := a.web.self.Load(); self == nil || from.team == self.team || self.enterprise != "" && from.enterprise == self.enterprise {
		return a.workspaces.of(from.team, a.web)
	}
	return nil
}

// together reports whether what team posted may be acted on in a workspace: it is that one, or of
// the same organisation.
func (a *Adapter) together(team string, at *workspace) bool {
	if team == at.id {
		return true
	}
	if a.installed != nil {
		i := a.installed.at(team)
		return i != nil && i.web == at.web
	}
	self := at.web.self.Load()
	return self == nil || self.enterprise != ""
}

// install names the workspace of an app that several install.
func (a *Adapter) install(at *workspace) string {
	if a.installed == nil || at == nil {
		return ""
	}
	return at.id
}

// Claim implements [chat.Claimer]: what was asked in a workspace that has removed the app since is
// nobody's to carry out.
func (a *Adapter) Claim(ctx context.Context, raw []byte) error {
	if a.installed == nil {
		return nil
	}
	team := decodeOrigin(raw).Team
	if team == "" {
		return nil
	}
	if _, err := a.reached(ctx, team); errors.Is(err, chat.ErrLost) {
		a.log.WarnContext(ctx, "a command's workspace has the app no more: not carrying it out", "team", kit.Code(team))
		return fmt.Errorf("%w: %w", chat.ErrTaken, err)
	}
	return nil
}
