package slack

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	slackapi "github.com/slack-go/slack"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/installs"
	"meetbot/config/secret"
)

// installed are the workspaces and organisations that have installed the app. The store has them;
// every replica reads it again after some seconds, so that what another one did is known here.
type installed struct {
	cfg   Config
	store *installs.Store
	app   *web // no workspace's: for what the app itself asks
	log   *slog.Logger
	now   func() time.Time

	mu     sync.Mutex
	by     map[string]*installation
	teams  map[string]*installation // workspaces of organisations
	unlike map[string]bool          // the log has named them: they are installed and not listed
	looked time.Time                // when the store was read because of an event

	loaded chan struct{} // closed once the store was read
	once   sync.Once
	kick   chan struct{} // something is to be done at once
	slots  chan struct{} // installations that are carried out
}

// installation is the bot under one token.
type installation struct {
	in    installs.Installation // as it was read last; guarded by installed.mu
	web   *web
	asked time.Time // when Slack was asked last whether it takes the token again
}

const (
	readEvery = 10 * time.Second
	// refreshAhead is how long before its end a token is replaced. Slack's last twelve hours, and
	// the one before is accepted until its own end.
	// https://docs.slack.dev/authentication/using-token-rotation
	refreshAhead = 2 * time.Hour
	// claimFor is how long another replica leaves a refresh to the one that has begun it.
	claimFor = time.Minute
	// askTokenEvery is how often Slack is asked whether it takes a refused token again.
	askTokenEvery = time.Minute
	// askTokenFor is how long a removal that Slack has reported is looked into while it still takes
	// the token: the app was installed again then.
	askTokenFor = 2 * time.Minute
	callTimeout = 15 * time.Second
)

func newInstalled(cfg Config, app *web, log *slog.Logger) *installed {
	return &installed{
		cfg: cfg, store: cfg.Installs, app: app, log: log, now: cfg.Now,
		by: map[string]*installation{}, teams: map[string]*installation{}, unlike: map[string]bool{},
		loaded: make(chan struct{}), kick: make(chan struct{}, 1), slots: make(chan struct{}, installSlots),
	}
}

// listed reports whether an installation may be: its workspace or its organisation is named.
func (s *installed) listed(in installs.Installation) bool {
	return slices.Contains(s.cfg.Teams, in.ID) || in.Enterprise != "" && slices.Contains(s.cfg.Teams, in.Enterprise)
}

// identityOf is what an installation says of the bot.
func identityOf(in installs.Installation) *identity {
	return &identity{
		userID: in.BotUser, userName: in.BotName, mention: mentionOf(in.BotUser),
		team: in.ID, teamName: in.Name, enterprise: in.Enterprise, scopes: in.Scopes,
	}
}

// add takes an installation as it is in the store.
func (s *installed) add(in installs.Installation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.by[in.ID]
	if i != nil && in.Revision < i.in.Revision { // read before it was changed here
		return
	}
	if !s.listed(in) {
		s.drop(in.ID)
		if !s.unlike[in.ID] {
			s.unlike[in.ID] = true
			s.log.Warn("installed in a workspace that SLACK_TEAMS does not name, not serving it", "team", kit.Code(in.ID))
		}
		return
	}
	if i == nil || i.web.isStopped() && !i.in.Token.Equal(in.Token) {
		s.drop(in.ID)
		cfg := s.cfg
		cfg.BotToken, cfg.AppToken = in.Token, secret.String{}
		i = &installation{web: newWeb(cfg, kit.NewPulse(s.now), s.log)}
		i.web.whose = kit.Code(in.ID)
		i.web.pulse.Set(kit.Running)
		s.log.Info("serving a workspace", "team", i.web.whose, "scopes", in.Scopes)
	} else if !i.in.Token.Equal(in.Token) {
		i.web.use(in.Token)
	}
	i.in = in
	i.web.know(identityOf(in))
	s.by[in.ID] = i
	for _, team := range in.Teams {
		s.teams[team] = i
	}
}

// drop forgets an installation. The caller holds the lock.
func (s *installed) drop(id string) {
	i := s.by[id]
	delete(s.by, id)
	maps.DeleteFunc(s.teams, func(_ string, of *installation) bool { return of == i })
}

// read brings what is known up to date with the store.
func (s *installed) read(ctx context.Context) error {
	all, err := s.store.All(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, in := range all {
		there[in.ID] = true
		s.add(in)
	}
	s.mu.Lock()
	known := slices.Collect(maps.Keys(s.by))
	s.mu.Unlock()
	for _, id := range known {
		if there[id] {
			continue
		}
		// The list of a cluster may lack what was written just now.
		if _, err := s.store.Get(ctx, id); errors.Is(err, installs.ErrNone) {
			s.forget(ctx, id)
		}
	}
	s.once.Do(func() { close(s.loaded) })
	return nil
}

// forget stops serving an installation that is in the store no more.
func (s *installed) forget(ctx context.Context, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[id] == nil {
		return
	}
	s.drop(id)
	s.log.WarnContext(ctx, "a workspace has the app no more: its token is erased, and its jobs end without reaching anybody there", "team", kit.Code(id))
}

// at returns what serves a workspace that the bot has heard of; nil: nothing does.
func (s *installed) at(team string) *installation {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.by[team]; i != nil {
		return i
	}
	return s.teams[team]
}

// of returns what serves the sender of an event; nil: nothing does. A workspace of an organisation
// is noted, so that it can be answered after a restart.
func (s *installed) of(from origins) *installation {
	if i := s.at(from.team); i != nil {
		return i
	}
	org := s.org(from.enterprise)
	if org == nil && s.again() { // another replica may have installed it just now
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if s.read(ctx) == nil {
			if i := s.at(from.team); i != nil {
				return i
			}
			org = s.org(from.enterprise)
		}
	}
	if org == nil || from.team == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.note(ctx, from.enterprise, from.team); err != nil {
		s.log.WarnContext(ctx, "a workspace of an organisation cannot be noted, ignoring its event", "team", kit.Code(from.team), "err", err)
		return nil
	}
	return s.at(from.team)
}

func (s *installed) org(enterprise string) *installation {
	i := s.at(enterprise)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i == nil || !i.in.Org || i.in.ID != enterprise {
		return nil
	}
	return i
}

// again reports whether the store may be read because of an event: once a second.
func (s *installed) again() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.looked) > time.Second {
		s.looked = now
		return true
	}
	return false
}

// note remembers that a workspace is one of an organisation.
func (s *installed) note(ctx context.Context, org, team string) error {
	_, err := s.change(ctx, org, func(in *installs.Installation) bool {
		if len(in.Teams) >= maxWorkspaces || slices.Contains(in.Teams, team) {
			return false
		}
		in.Teams = append(in.Teams, team)
		return true
	})
	return err
}

// change changes an installation in the store, on the newest that is there, and here. With false
// from f nothing is changed.
func (s *installed) change(ctx context.Context, id string, f func(*installs.Installation) bool) (installs.Installation, error) {
	for {
		in, err := s.store.Get(ctx, id)
		if err != nil {
			return in, err
		}
		if f(&in) {
			if in, err = s.store.Save(ctx, in); errors.Is(err, installs.ErrChanged) && ctx.Err() == nil {
				continue
			} else if err != nil {
				return in, err
			}
		}
		s.add(in)
		return in, nil
	}
}

// run keeps the installations up to date until ctx is done.
func (s *installed) run(ctx context.Context) {
	for {
		if err := s.read(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "installations not read, trying again", "err", err)
		}
		for _, i := range s.all() {
			s.look(ctx, i)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
		case <-time.After(readEvery):
		}
	}
}

// all returns the installations that are served, by their ID.
func (s *installed) all() []*installation {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Collect(maps.Values(s.by))
	slices.SortFunc(all, func(a, b *installation) int { return strings.Compare(a.in.ID, b.in.ID) })
	return all
}

// health says how each installation is.
func (s *installed) health() map[string]kit.Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]kit.Health, len(s.by))
	for id, i := range s.by {
		h := i.web.pulse.Health()
		if i.in.Refused != "" { // by another replica too, or before a restart
			h.LastError = "Slack gives no next token (" + kit.Code(i.in.Refused) + "); this one ends at " + i.in.Expires.UTC().Format(time.RFC3339)
		}
		all[id] = h
	}
	return all
}

// hurry has the installations looked at now.
func (s *installed) hurry() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// removed is told that Slack has reported an app removed, or its token revoked. Slack promises no
// order, so that the report may be of before the app was installed again: the token tells. The
// report is written down first, so that it is looked into after a kill. The store says whether there
// is such an installation: this process may have started just now.
func (s *installed) removed(from origins) error {
	for _, id := range []string{from.team, from.enterprise} {
		ctx, cancel := context.WithTimeout(context.Background(), kit.AckTimeout)
		defer cancel()
		_, err := s.change(ctx, id, func(in *installs.Installation) bool {
			first := in.Reported.IsZero()
			if first {
				in.Reported = s.now()
			}
			return first
		})
		if errors.Is(err, installs.ErrNone) {
			continue
		}
		s.hurry()
		return err
	}
	return nil
}

// look does what is due for one installation.
func (s *installed) look(ctx context.Context, i *installation) {
	s.mu.Lock()
	in := i.in
	s.mu.Unlock()
	if !in.Reported.IsZero() {
		s.lookIntoRemoval(ctx, i, in)
		return
	}
	if err := s.refresh(ctx, i, in); err != nil && ctx.Err() == nil {
		i.web.pulse.Failed(err)
		s.log.WarnContext(ctx, "a workspace's token not replaced yet, trying again", "team", i.web.whose, "expires", in.Expires, "err", err)
	}
	if in.BotName == "" && !i.web.isStopped() {
		s.learnName(ctx, in)
	}
	if i.web.isStopped() && time.Since(i.asked) > askTokenEvery {
		i.asked = time.Now()
		if s.accepts(ctx, in) == nil { // it was an accident, or somebody has turned the app on again
			s.mu.Lock()
			s.drop(in.ID)
			s.mu.Unlock()
			s.add(in)
		}
	}
}

// learnName asks what the bot is called in a workspace, for an invitation.
func (s *installed) learnName(ctx context.Context, in installs.Installation) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := s.client(in).AuthTestContext(ctx)
	if err != nil || res.User == "" {
		return
	}
	_, err = s.change(ctx, in.ID, func(there *installs.Installation) bool {
		changed := there.BotUser == in.BotUser && there.BotName != res.User
		if changed {
			there.BotName = res.User
		}
		return changed
	})
	if err != nil && !errors.Is(err, installs.ErrNone) {
		s.log.WarnContext(ctx, "name of the bot in a workspace not saved, trying again", "team", kit.Code(in.ID), "err", err)
	}
}

// accepts asks Slack whether it takes an installation's token.
func (s *installed) accepts(ctx context.Context, in installs.Installation) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := s.client(in).AuthTestContext(ctx)
	return s.app.fault("auth.test", in.ID, err)
}

func (s *installed) client(in installs.Installation) *slackapi.Client {
	return slackapi.New(in.Token.Reveal(), slackapi.OptionAPIURL(s.cfg.APIURL), slackapi.OptionHTTPClient(bounded{s.cfg.HTTPClient}), slackapi.OptionLog(silent{}))
}

func (s *installed) lookIntoRemoval(ctx context.Context, i *installation, in installs.Installation) {
	err := s.accepts(ctx, in)
	switch {
	case errors.Is(err, ErrTokenRefused):
		i.web.pulse.Failed(err)
		switch err := s.store.Remove(ctx, in); {
		case err == nil:
			s.forget(ctx, in.ID)
		case !errors.Is(err, installs.ErrChanged): // what was installed meanwhile stays
			s.log.WarnContext(ctx, "token of a workspace that has removed the app not erased, trying again", "team", i.web.whose, "err", err)
		}
	case err == nil && s.now().Sub(in.Reported) > askTokenFor:
		_, err := s.change(ctx, in.ID, func(there *installs.Installation) bool {
			there.Reported = time.Time{}
			return true
		})
		s.log.InfoContext(ctx, "Slack reported the app removed and still takes the token: it was installed again", "team", i.web.whose, "err", err)
	}
}

// refresh replaces a token that ends soon, unless another replica is at it. Until it is replaced
// the old one is used. After a kill between Slack's answer and the write, Slack still takes the
// refresh token "for a short grace period"; the claim runs out after a minute.
func (s *installed) refresh(ctx context.Context, i *installation, in installs.Installation) error {
	now := s.now()
	if in.Refresh.IsZero() || now.Before(in.Expires.Add(-refreshAhead)) && !i.web.isStopped() || now.Before(in.Claimed) {
		return nil
	}
	in.Claimed = now.Add(claimFor)
	in, err := s.store.Save(ctx, in)
	if errors.Is(err, installs.ErrChanged) { // by who is at it, or by a new installation
		return nil
	}
	if err != nil {
		return err
	}
	s.add(in)
	next, err := s.exchange(ctx, func(ctx context.Context, client *http.Client) (*slackapi.OAuthV2Response, error) {
		return slackapi.RefreshOAuthV2TokenContext(ctx, bounded{client}, s.cfg.ClientID, s.cfg.ClientSecret.Reveal(), in.Refresh.Reveal(), slackapi.OAuthOptionAPIURL(s.cfg.APIURL))
	})
	if err == nil && next.ID != in.ID {
		err = errors.New("Slack's next token is another workspace's") //nolint:staticcheck // a name
	}
	if failed, ok := errors.AsType[*APIError](err); ok && (errors.Is(err, errClosed) || errors.Is(err, ErrTokenRefused)) {
		_, saveErr := s.change(ctx, in.ID, func(there *installs.Installation) bool {
			same := there.Refresh.Equal(in.Refresh)
			if same {
				there.Refused, there.Claimed = failed.Kind, s.now().Add(10*claimFor)
			}
			return same
		})
		return errors.Join(err, saveErr)
	}
	if err != nil {
		return err
	}
	// Slack gives it once: it is written however long that takes.
	ctx = context.WithoutCancel(ctx)
	return kit.Retry(ctx, kit.Pauses{First: 100 * time.Millisecond, Longest: claimFor / 4}, func(ctx context.Context) (kit.Verdict, error) {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		_, err := s.change(ctx, in.ID, func(there *installs.Installation) bool {
			if !there.Refresh.Equal(in.Refresh) { // installed anew meanwhile
				return false
			}
			there.Token, there.Refresh, there.Expires = next.Token, next.Refresh, next.Expires
			there.Claimed, there.Refused = time.Time{}, ""
			return true
		})
		switch {
		case errors.Is(err, installs.ErrNone): // removed meanwhile
			return kit.Stop, nil
		case err == nil:
			s.log.InfoContext(ctx, "a workspace's token was replaced", "team", i.web.whose, "until", next.Expires)
		}
		return kit.Again, err
	}, func(err error, _ time.Duration) {
		s.log.ErrorContext(ctx, "a workspace's next token cannot be written, trying again", "team", i.web.whose, "err", err)
	})
}

// botTokens are what a bot's token begins with; one that ends has the longer one.
var botTokens = []string{"xoxb-", "xoxe.xoxb-"}

// exchange asks Slack for a token, and makes an installation of the answer.
func (s *installed) exchange(ctx context.Context, ask func(context.Context, *http.Client) (*slackapi.OAuthV2Response, error)) (installs.Installation, error) {
	const method = "oauth.v2.access"
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	asked := s.now()
	res, err := ask(ctx, s.cfg.HTTPClient)
	if err := s.app.fault(method, "", err); err != nil {
		return installs.Installation{}, err
	}
	in := installs.Installation{
		ID: res.Team.ID, Name: res.Team.Name, Enterprise: res.Enterprise.ID, BotUser: res.BotUserID, By: res.AuthedUser.ID, At: asked,
		Token: secret.New(res.AccessToken), Refresh: secret.New(res.RefreshToken), Scopes: scopesIn(res.Scope),
	}
	if in.ID == "" && res.IsEnterpriseInstall || res.IsEnterpriseInstall && res.Enterprise.ID != "" {
		in.ID, in.Name, in.Org = res.Enterprise.ID, res.Enterprise.Name, true
	}
	if res.ExpiresIn > 0 {
		in.Expires = asked.Add(time.Duration(min(res.ExpiresIn, int(30*24*time.Hour/time.Second))) * time.Second)
	} else {
		in.Refresh = secret.String{}
	}
	known := slices.ContainsFunc(botTokens, func(p string) bool { return strings.HasPrefix(res.AccessToken, p) })
	if !known || !teamID.MatchString(in.ID) || !personID.MatchString(in.BotUser) || in.Enterprise != "" && !teamID.MatchString(in.Enterprise) || res.ExpiresIn > 0 && in.Refresh.IsZero() {
		return installs.Installation{}, &APIError{Method: method, Kind: "not an installation"}
	}
	return in, nil
}

func scopesIn(list string) (scopes []string) {
	for scope := range strings.SplitSeq(list, ",") {
		if scope = strings.TrimSpace(scope); scopeName.MatchString(scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}
