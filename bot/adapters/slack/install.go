package slack

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	slackapi "github.com/slack-go/slack"
	"golang.org/x/text/language"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/installs"
	"meetbot/bot/texts"
	"meetbot/bot/webpage"
)

// Paths of the pages on which a workspace installs the app: the first sends the browser to Slack,
// Slack sends it back to the second.
// https://docs.slack.dev/authentication/installing-with-oauth
const (
	PathInstall = "/slack/install"
	PathOAuth   = "/slack/oauth"
)

const (
	// A state is of one browser: it is signed together with a cookie. It is used once, and soon.
	stateCookie = "__Host-meetbot-install"
	stateLife   = 10 * time.Minute
	maxState    = 200
	maxCode     = 512
	// installSlots is how many installations are carried out at once.
	installSlots = 4
	// installFor bounds one. A browser that has gone does not end it: Slack gives a token once.
	installFor = 25 * time.Second
)

// installable returns what is missing for workspaces to install the app.
func (c Config) installable() (faults []error) {
	if !c.BotToken.IsZero() {
		faults = append(faults, errors.New("there is a bot token, and a client ID with which workspaces install the app: use one"))
	}
	if c.ClientSecret.IsZero() {
		faults = append(faults, errors.New("the client secret is missing"))
	}
	if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		faults = append(faults, errors.New("the public URL is missing"))
	}
	for _, name := range c.Scopes {
		if !slices.ContainsFunc(scopes, func(s Scope) bool { return s.Name == name }) {
			faults = append(faults, errors.New("an optional scope is not one that the bot uses"))
		}
	}
	return faults
}

// signature binds a state to the browser that has the cookie.
func (s *installed) signature(state, cookie string) string {
	m := hmac.New(sha256.New, []byte(s.cfg.ClientSecret.Reveal()))
	m.Write([]byte("meetbot install\x00" + state + "\x00" + cookie))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// newState returns what goes to Slack and back, for the browser with that cookie.
func (s *installed) newState(cookie string) string {
	state := strconv.FormatInt(s.now().Unix(), 36) + "." + rand.Text()
	return state + "." + s.signature(state, cookie)
}

// fresh reports whether a state is one that was given to this browser lately.
func (s *installed) fresh(state, cookie string) bool {
	i := strings.LastIndexByte(state, '.')
	if len(state) > maxState || i < 0 || cookie == "" || len(cookie) > maxState {
		return false
	}
	if !hmac.Equal([]byte(state[i+1:]), []byte(s.signature(state[:i], cookie))) {
		return false
	}
	seconds, _, _ := strings.Cut(state, ".")
	at, err := strconv.ParseInt(seconds, 36, 64)
	age := s.now().Sub(time.Unix(at, 0))
	return err == nil && age < stateLife && age > -time.Minute
}

// authorizeURL is where Slack asks whoever installs the app.
func (s *installed) authorizeURL(state string) string {
	base := "https://slack.com/"
	if u, err := url.Parse(s.cfg.APIURL); err == nil && (u.Scheme == "http" || strings.HasSuffix(u.Hostname(), ".slack-gov.com") || u.Hostname() == "slack-gov.com") {
		base = u.Scheme + "://" + u.Host + "/"
	}
	var asked []string
	for _, scope := range scopes {
		if scope.Required || slices.Contains(s.cfg.Scopes, scope.Name) {
			asked = append(asked, scope.Name)
		}
	}
	return base + "oauth/v2/authorize?" + url.Values{
		"client_id": {s.cfg.ClientID}, "scope": {strings.Join(asked, ",")}, "state": {state}, "redirect_uri": {s.redirectURI()},
	}.Encode()
}

func (s *installed) redirectURI() string { return strings.TrimRight(s.cfg.PublicURL, "/") + PathOAuth }

// begin sends a browser to Slack. Nothing is kept of it here.
func (s *installed) begin(w http.ResponseWriter, r *http.Request) {
	cookie := rand.Text()
	webpage.Defend(w, installPolicy)
	http.SetCookie(w, &http.Cookie{
		Name: stateCookie, Value: cookie, Path: "/", MaxAge: int(stateLife / time.Second),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, s.authorizeURL(s.newState(cookie)), http.StatusFound)
}

// finish takes a browser that Slack sends back.
func (a *Adapter) finish(w http.ResponseWriter, r *http.Request) {
	s := a.installed
	t := s.language(r)
	webpage.Defend(w, installPolicy)
	if !a.busy.begin() {
		s.page(w, t, http.StatusServiceUnavailable, "slack.install.busy")
		return
	}
	defer a.busy.end()
	var given string
	if c, err := r.Cookie(stateCookie); err == nil {
		given = c.Value
	}
	over := func(status int, id string, values ...any) {
		http.SetCookie(w, &http.Cookie{Name: stateCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
		s.page(w, t, status, id, values...)
	}
	query := r.URL.Query()
	state, code := query.Get("state"), query.Get("code")
	if !s.fresh(state, given) {
		over(http.StatusForbidden, "slack.install.state")
		return
	}
	if code == "" || len(code) > maxCode { // whoever was asked said no
		over(http.StatusOK, "slack.install.declined")
		return
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		s.page(w, t, http.StatusServiceUnavailable, "slack.install.busy")
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), installFor)
	defer cancel()
	in, err := s.install(ctx, state, code)
	switch {
	case err == nil && in.Org:
		over(http.StatusOK, "slack.install.org", "Name", in.Name)
	case err == nil:
		over(http.StatusOK, "slack.install.done", "Name", in.Name, "Command", s.cfg.MeetCommand)
	case errors.Is(err, errUsed): // under way, or interrupted: a reload tells
		s.page(w, t, http.StatusConflict, "slack.install.used")
	case errors.Is(err, errUnlisted):
		s.log.WarnContext(ctx, "installation refused: SLACK_TEAMS does not name the workspace", "team", kit.Code(in.ID), "enterprise", kit.Code(in.Enterprise), "by", kit.Code(in.By))
		over(http.StatusForbidden, "slack.install.unlisted", "ID", in.ID)
	default:
		s.log.ErrorContext(ctx, "installation failed", "err", err)
		over(http.StatusBadGateway, "slack.install.failed")
	}
}

var (
	errUsed     = errors.New("the state was used before")
	errUnlisted = errors.New("the workspace is not one that may install the app")
)

// install gets the token that code stands for, and keeps it. Slack gives it once: nothing is done
// between its answer and the write.
func (s *installed) install(ctx context.Context, state, code string) (installs.Installation, error) {
	first, err := s.store.Use(ctx, state, s.now().Add(stateLife+time.Minute))
	if err != nil {
		return installs.Installation{}, err
	}
	if !first { // the same browser again: it may not have heard how it ended
		in, err := s.store.Begun(ctx, state)
		if errors.Is(err, installs.ErrNone) {
			err = errUsed
		}
		return in, err
	}
	in, err := s.exchange(ctx, func(ctx context.Context, client *http.Client) (*slackapi.OAuthV2Response, error) {
		return slackapi.GetOAuthV2ResponseContext(ctx, bounded{client}, s.cfg.ClientID, s.cfg.ClientSecret.Reveal(), code, s.redirectURI(), slackapi.OAuthOptionAPIURL(s.cfg.APIURL))
	})
	if err != nil {
		return in, err
	}
	if !s.listed(in) {
		if err := s.uninstall(ctx, in); err != nil {
			s.log.WarnContext(ctx, "app not removed from a workspace that may not install it", "team", kit.Code(in.ID), "err", err)
		}
		return in, errUnlisted
	}
	if old, err := s.store.Get(ctx, in.ID); err == nil && in.Org {
		in.Teams = old.Teams
	}
	err = kit.Retry(ctx, kit.Pauses{First: 100 * time.Millisecond, Longest: time.Second}, func(ctx context.Context) (_ kit.Verdict, err error) {
		in, err = s.store.Replace(ctx, in, state)
		return kit.Again, err
	}, nil)
	if err != nil {
		return in, err
	}
	s.add(in)
	s.hurry()
	s.log.InfoContext(ctx, "a workspace has installed the app", "team", kit.Code(in.ID), "by", kit.Code(in.By), "organisation", in.Org)
	return in, nil
}

// Uninstall has Slack remove the app from where it is installed. The error matches
// [ErrTokenRefused] where it is removed already.
func (a *Adapter) Uninstall(ctx context.Context, in installs.Installation) error {
	if a.installed == nil {
		return errors.New("the app is not one that workspaces install")
	}
	return a.installed.uninstall(ctx, in)
}

// uninstall has Slack remove the app from where it is installed, and its tokens with it.
// https://docs.slack.dev/reference/methods/apps.uninstall
func (s *installed) uninstall(ctx context.Context, in installs.Installation) error {
	err := s.client(in).UninstallAppContext(ctx, s.cfg.ClientID, s.cfg.ClientSecret.Reveal())
	return s.app.fault("apps.uninstall", in.ID, err)
}

// language is the browser's.
func (s *installed) language(r *http.Request) texts.Text {
	header := r.Header.Get("Accept-Language")
	if tags, _, err := language.ParseAcceptLanguage(header[:min(len(header), 200)]); err == nil && len(tags) > 0 {
		return texts.For(tags[0].String())
	}
	return texts.For(s.cfg.Locale)
}

//go:embed install.html
var installSource string

const installStyle = `body{font:1rem/1.5 system-ui,sans-serif;margin:0;padding:2rem 1rem}main{max-width:36rem;margin:0 auto}h1{font-size:1.4rem}`

var (
	installTemplate = template.Must(template.New("install").Parse(installSource))
	installPolicy   = func() string {
		sum := sha256.Sum256([]byte(installStyle))
		return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
	}()
)

// page says how it ended: the text of id, under that of id with ".title".
func (s *installed) page(w http.ResponseWriter, t texts.Text, status int, id string, values ...any) {
	type link struct{ URL, Label string }
	v := struct {
		Lang, Title, Text string
		Style             template.CSS
		Bad               bool
		Again             *link
	}{Lang: t.Locale, Title: t.T(id+".title", values...), Text: t.T(id, values...), Style: installStyle, Bad: status >= 400}
	if status != http.StatusOK || id == "slack.install.declined" {
		v.Again = &link{PathInstall, t.T("slack.install.again")}
	}
	var b bytes.Buffer
	if err := installTemplate.Execute(&b, v); err != nil {
		s.log.Error("installation page not rendered", "err", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", v.Lang)
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the browser has gone away
}
