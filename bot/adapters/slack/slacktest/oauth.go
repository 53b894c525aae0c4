package slacktest

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"net/url"
	"time"
)

// Install is the app in a workspace, or in an organisation.
type Install struct {
	Team, Name string // Team empty: it is the organisation's
	Enterprise string
	Life       time.Duration // of its tokens; 0: they do not end
	Next       time.Duration // of those that follow; 0: Life
}

// grant is a token that was given for an installation.
type grant struct {
	Install
	user    string // the bot's
	revoked bool
	expires time.Time
	used    int // its refresh token was
}

// team is whose the token is.
func (g *grant) team() string {
	if g.Team != "" {
		return g.Team
	}
	return g.Enterprise
}

// suffix keeps the conversations of other workspaces apart.
func (g *grant) suffix() string {
	if g.team() == Team {
		return ""
	}
	return g.team()
}

// in names something of a workspace's.
func in(team, id string) string { return team + "/" + id }

// Allow is what somebody does who is asked whether to install the app: it returns the code with
// which Slack sends the browser back.
func (s *Server) Allow(i Install) (code string) {
	code = "canary-code-" + rand.Text()
	s.change(func() { s.codes[code] = i })
	return code
}

// Installed installs the app without asking anybody, and returns its tokens.
func (s *Server) Installed(i Install) (token, refresh string) {
	s.change(func() { token, refresh, _ = s.give(i) })
	return token, refresh
}

func (s *Server) give(i Install) (token, refresh string, g *grant) {
	g = &grant{Install: i, user: "U0BOT" + i.Team + i.Enterprise}
	token = "xoxb-canary-" + rand.Text()
	if i.Life > 0 {
		token, refresh = "xoxe.xoxb-canary-"+rand.Text(), "xoxe-canary-"+rand.Text()
		g.expires = time.Now().Add(i.Life)
		s.refresh[refresh] = g
	}
	s.tokens[token] = g
	return token, refresh, g
}

// Uninstall removes the app from a workspace or an organisation. The acts are what Slack reports
// of it.
func (s *Server) Uninstall(team string) []Act {
	s.change(func() { s.revokeAll(team) })
	event := func(e reply) Act {
		return Act{eventKind, nil, reply{"type": "event_callback", "team_id": team, "api_app_id": "A0APP", "event_id": "Ev" + rand.Text(), "event_time": time.Now().Unix(), "event": e}}
	}
	return []Act{
		event(reply{"type": "tokens_revoked", "tokens": reply{"oauth": []string{}, "bot": []string{"U0BOT" + team}}}),
		event(reply{"type": "app_uninstalled"}),
	}
}

// Tokens are all that a workspace was ever given, those that get the next ones too.
func (s *Server) Tokens(team string) (all []string) {
	s.change(func() {
		for _, of := range []map[string]*grant{s.tokens, s.refresh} {
			for token, g := range of {
				if g.team() == team {
					all = append(all, token)
				}
			}
		}
	})
	return all
}

// RevokeTokens makes Slack refuse a workspace's tokens, without a word.
func (s *Server) RevokeTokens(team string) { s.change(func() { s.revokeAll(team) }) }

func (s *Server) revokeAll(team string) {
	for _, g := range s.tokens {
		if g.team() == team {
			g.revoked = true
		}
	}
}

// Restore has Slack take a workspace's tokens again.
func (s *Server) Restore(team string) {
	s.change(func() {
		for _, g := range s.tokens {
			if g.team() == team {
				g.revoked = false
			}
		}
	})
}

// Grace says whether a refresh token that was used works once more, as it does for a moment.
func (s *Server) Grace(yes bool) { s.change(func() { s.grace = yes }) }

// serveOAuth exchanges a code, or a refresh token.
func (s *Server) serveOAuth(w http.ResponseWriter, r *http.Request, form url.Values) {
	f := s.fault("oauth.v2.access")
	if f.before(w, r) {
		return
	}
	var out reply
	s.change(func() { out = s.exchange(form) })
	if f.Lost {
		cutConnection(w)
		return
	}
	answer(w, out)
}

func (s *Server) exchange(form url.Values) reply {
	if form.Get("client_id") != ClientID || form.Get("client_secret") != ClientSecret {
		return refuse("bad_client_secret")
	}
	var i Install
	if form.Get("grant_type") == "refresh_token" {
		g := s.refresh[form.Get("refresh_token")]
		if g == nil || g.revoked || g.used > 0 && !s.grace {
			return refuse("invalid_refresh_token")
		}
		g.used++
		i = g.Install
		i.Life = cmp.Or(i.Next, i.Life)
	} else {
		var ok bool
		if i, ok = s.codes[form.Get("code")]; !ok {
			return refuse("invalid_code")
		}
		delete(s.codes, form.Get("code"))
	}
	token, refresh, g := s.give(i)
	r := reply{
		"ok": true, "access_token": token, "token_type": "bot", "scope": "commands,chat:write,im:write,users:read", "bot_user_id": g.user, "app_id": "A0APP",
		"team": nil, "enterprise": nil, "is_enterprise_install": i.Team == "", "authed_user": reply{"id": "U0ADMIN"},
	}
	if i.Team != "" {
		r["team"] = reply{"id": i.Team, "name": i.Name}
	}
	if i.Enterprise != "" {
		r["enterprise"] = reply{"id": i.Enterprise, "name": i.Name}
	}
	if refresh != "" {
		r["refresh_token"], r["expires_in"] = refresh, int(i.Life/time.Second)
	}
	return r
}
