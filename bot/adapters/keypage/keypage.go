// Package keypage serves the page on which a stream key is typed, so that the key goes
// from the browser to the bot and never through a chat platform.
//
// A link works for one submission, within minutes. Fetching the page changes nothing:
// previews and scanners fetch whatever they see. What a link is for, whether it still
// works, and what becomes of the key is decided by [Links]; here are the page, its
// defences, and nothing that is kept: a typed key is handed on once and never written
// into a page again.
//
// The page needs no script and loads nothing. It works with a keyboard alone and on a
// phone, in light and dark, in the languages of [texts.Locales].
package keypage

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/text/language"

	"meetbot/bot/commands"
	"meetbot/bot/texts"
	"meetbot/bot/webpage"
	"meetbot/config/secret"
)

// Path is where the page is served: the token of a link is appended to it.
const Path = "/k/"

const (
	maxBody  = 16 << 10        // bytes of a submitted form
	maxToken = 128             // bytes
	slots    = 16              // requests carried out at once
	patience = 2 * time.Second // for a slot
)

// Links is the part of the bot that the page needs. The errors are [commands.ErrLinkGone],
// [commands.ErrLinkUsed], [commands.ErrLinkRefused], a *[commands.KeyFaults] for an entry
// that is to be corrected, or anything else for a failure.
type Links interface {
	// LookKey says what a link is for, without using it up.
	LookKey(ctx context.Context, token string) (commands.KeyForm, error)
	// SubmitKey uses a link up.
	SubmitKey(ctx context.Context, token string, entry commands.KeyEntry) (commands.KeyResult, error)
}

// Config is what the page needs.
type Config struct {
	Links Links
	// PublicURL is the address under which people reach the page, without [Path].
	PublicURL string
	Locale    string // for browsers that name no language
	Log       *slog.Logger
	Now       func() time.Time
}

type page struct {
	cfg   Config
	cross *http.CrossOriginProtection
	slots chan struct{}
}

// New returns the handler of [Path]. It fails if PublicURL is not the URL of a site.
func New(cfg Config) (http.Handler, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	p := &page{cfg: cfg, cross: http.NewCrossOriginProtection(), slots: make(chan struct{}, slots)}
	if cfg.PublicURL != "" {
		u, err := url.Parse(cfg.PublicURL)
		if err != nil {
			return nil, fmt.Errorf("public URL of the key-entry page: %w", err)
		}
		// A proxy may change Host: browsers that send only Origin are compared with this.
		if err := p.cross.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
			return nil, fmt.Errorf("public URL of the key-entry page: %w", err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path+"{token}", p.show)
	mux.HandleFunc("POST "+Path+"{token}", p.submit)
	return p.defend(mux), nil
}

// defend sets what every answer has, and bounds every request in time and number.
func (p *page) defend(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		webpage.Defend(w, contentSecurityPolicy)
		ctx, cancel := context.WithTimeout(r.Context(), webpage.Deadline)
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// enter waits for one of the slots, so that many requests at once cost a bounded amount
// of work. It reports whether it got one; leave gives it back.
func (p *page) enter(ctx context.Context) (leave func(), ok bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots }, true
	case <-ctx.Done():
		return nil, false
	}
}

// token returns the path's token if it can be one.
func token(r *http.Request) (string, bool) {
	t := r.PathValue("token")
	return t, t != "" && len(t) <= maxToken && !strings.ContainsFunc(t, func(c rune) bool {
		return (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}

// show serves the form. HEAD comes here as well.
func (p *page) show(w http.ResponseWriter, r *http.Request) {
	t := p.text(r, "")
	tok, ok := token(r)
	if !ok {
		p.notice(w, t, noticeGone)
		return
	}
	leave, ok := p.enter(r.Context())
	if !ok {
		p.notice(w, t, noticeBusy)
		return
	}
	defer leave()
	form, err := p.cfg.Links.LookKey(r.Context(), tok)
	if err != nil {
		p.fail(w, r, p.text(r, form.Locale), err)
		return
	}
	t = p.text(r, form.Locale)
	p.render(w, http.StatusOK, p.formView(t, tok, form, commands.KeyEntry{Preset: form.Preset, Name: form.Name, URL: form.URL}, nil))
}

// submit takes what was typed.
func (p *page) submit(w http.ResponseWriter, r *http.Request) {
	t := p.text(r, "")
	tok, ok := token(r)
	if !ok {
		p.notice(w, t, noticeGone)
		return
	}
	if err := p.cross.Check(r); err != nil && !unsaid(r) {
		p.notice(w, t, noticeForeign)
		return
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
		p.notice(w, t, noticeForeign)
		return
	}
	if err := r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			p.notice(w, t, noticeLarge)
		} else {
			p.notice(w, t, noticeForeign)
		}
		return
	}
	if subtle.ConstantTimeCompare([]byte(r.PostForm.Get("form")), []byte(formToken(tok))) != 1 {
		p.notice(w, t, noticeForeign)
		return
	}
	leave, ok := p.enter(r.Context())
	if !ok {
		p.notice(w, t, noticeBusy)
		return
	}
	defer leave()

	form, err := p.cfg.Links.LookKey(r.Context(), tok)
	t = p.text(r, form.Locale)
	if err != nil {
		p.fail(w, r, t, err)
		return
	}
	result, err := p.cfg.Links.SubmitKey(r.Context(), tok, commands.KeyEntry{
		Preset: r.PostForm.Get("preset"), Name: r.PostForm.Get("name"), URL: r.PostForm.Get("url"),
		Key: secret.New(r.PostForm.Get("key")), Override: r.PostForm.Get("override") != "",
	})
	var faults *commands.KeyFaults
	switch {
	case errors.As(err, &faults):
		p.render(w, http.StatusUnprocessableEntity, p.formView(t, tok, form, faults.Entry, faults.Findings))
	case err != nil:
		p.fail(w, r, t, err)
	default:
		p.render(w, http.StatusOK, doneView(t, result))
	}
}

// unsaid reports whether the browser does not say where the form came from: an older one
// has no Sec-Fetch-Site, and sends "null" as the origin of a page without a referrer.
// What is left then is the form's token.
func unsaid(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "null"
}

// formToken goes with the form that is served for a link: a request without it was not
// made by that form. It is derived, so that every replica knows it.
func formToken(token string) string {
	m := hmac.New(sha256.New, []byte(token))
	m.Write([]byte("key-entry form"))
	return hex.EncodeToString(m.Sum(nil))
}

// text speaks the link's language, else the browser's.
func (p *page) text(r *http.Request, locale string) texts.Text {
	if locale != "" {
		return texts.For(locale)
	}
	header := r.Header.Get("Accept-Language")
	if tags, _, err := language.ParseAcceptLanguage(header[:min(len(header), 200)]); err == nil && len(tags) > 0 {
		return texts.For(tags[0].String())
	}
	return texts.For(p.cfg.Locale)
}

// fail answers for a link that does not work. An unknown and an expired one look alike.
func (p *page) fail(w http.ResponseWriter, r *http.Request, t texts.Text, err error) {
	switch {
	case errors.Is(err, commands.ErrLinkGone):
		p.notice(w, t, noticeGone)
	case errors.Is(err, commands.ErrLinkUsed):
		p.notice(w, t, noticeUsed)
	case errors.Is(err, commands.ErrLinkRefused):
		p.notice(w, t, noticeRefused)
	default:
		p.cfg.Log.ErrorContext(r.Context(), "key-entry page failed", "method", r.Method, "err", err)
		p.notice(w, t, noticeInternal)
	}
}

// notice is a page that only says why there is no form.
type notice struct {
	id     string
	status int
}

var (
	noticeGone     = notice{"gone", http.StatusNotFound}
	noticeUsed     = notice{"used", http.StatusNotFound}
	noticeRefused  = notice{"refused", http.StatusForbidden}
	noticeForeign  = notice{"foreign", http.StatusForbidden}
	noticeLarge    = notice{"large", http.StatusRequestEntityTooLarge}
	noticeBusy     = notice{"busy", http.StatusServiceUnavailable}
	noticeInternal = notice{"internal", http.StatusInternalServerError}
)

func (p *page) notice(w http.ResponseWriter, t texts.Text, n notice) {
	if n == noticeBusy {
		w.Header().Set("Retry-After", "5")
	}
	p.render(w, n.status, noticeView(t, n))
}

func (p *page) render(w http.ResponseWriter, status int, v view) {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, v); err != nil {
		p.cfg.Log.Error("key-entry page not rendered", "err", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", v.Lang)
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the browser has gone away
}
