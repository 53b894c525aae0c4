package slack

import (
	"sync"

	"meetbot/bot/adapters/kit"
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

// at returns where something is posted or looked up.
func (a *Adapter) at(team string) *workspace { return a.workspaces.of(team, a.web) }

// served returns where an event is from; nil for a workspace that the bot's token is not of:
// whoever installs a distributed app has its events signed with the same secret. A token serves
// all workspaces of its organisation.
func (a *Adapter) served(from origins) *workspace {
	self := a.web.self.Load()
	if self == nil || from.team == self.team || self.enterprise != "" && from.enterprise == self.enterprise {
		return a.workspaces.of(from.team, a.web)
	}
	if a.strangers.First(from.team) {
		a.log.Warn("event of another workspace, ignoring it", "team", kit.Code(from.team))
	}
	return nil
}

// together reports whether what team posted may be acted on in a workspace: it is that one, or of
// the same organisation.
func (a *Adapter) together(team string, at *workspace) bool {
	self := a.web.self.Load()
	return team == at.id || self == nil || self.enterprise != ""
}
