// Package acme is an adapter for the chat of Acme, which does not exist: it posts events
// to us as signed JSON, and takes messages the same way.
package acme

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/config/secret"
)

// Platform is a constant of package commands in the real thing.
const Platform chat.Platform = "acme"

// Limits of Acme's messages, in UTF-16 units. https://acme.example/docs/limits
const maxText = 2000

// Bot is the part of [commands.Bot] that the adapter needs.
type Bot interface {
	Parse(r chat.Request) chat.Decision
	Accept(ctx context.Context, d chat.Decision) chat.Acceptance
}

// Adapter brings Acme's chat to the bot. It is a [chat.Poster].
type Adapter struct {
	bot    Bot
	api    string
	secret secret.String
	http   *http.Client
	log    *slog.Logger
	pulse  *kit.Pulse
}

// New returns an adapter that posts to api. It sends nothing yet.
func New(bot Bot, api string, key secret.String, log *slog.Logger) *Adapter {
	return &Adapter{bot, api, key, &http.Client{Timeout: 10 * time.Second}, log, kit.NewPulse(time.Now)}
}

// Run returns when ctx is done. An adapter with a connection of its own keeps it here.
func (a *Adapter) Run(ctx context.Context) error {
	a.pulse.Set(kit.Running)
	<-ctx.Done()
	return nil
}

// Health is the adapter's part of /readyz.
func (a *Adapter) Health() kit.Health { return a.pulse.Health() }

// wireEvent is something that a person did.
type wireEvent struct {
	ID      string `json:"id"`
	Time    int64  `json:"time"` // Unix seconds
	Channel string `json:"channel"`
	User    struct{ ID, Name, Locale string }
	Command string `json:"command"`
	Text    string `json:"text"`
}

// ServeHTTP takes an event. What it answers is shown to the person alone.
func (a *Adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kit.NewSigned(
		func(h http.Header) bool { return len(h.Get("X-Acme-Signature")) == hex.EncodedLen(sha256.Size) },
		func(h http.Header, body []byte) bool { return a.signed(h.Get("X-Acme-Signature"), body) },
		func() {},
	).Handler(a.take)(w, r)
}

func (a *Adapter) take(w http.ResponseWriter, r *http.Request, body []byte, _ time.Time) {
	var e wireEvent
	if json.Unmarshal(body, &e) != nil || e.ID == "" || time.Since(time.Unix(e.Time, 0)).Abs() > 5*time.Minute {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	d := a.bot.Parse(chat.Request{
		ID: string(Platform) + ":" + e.ID, At: time.Unix(e.Time, 0),
		User:    chat.User{ID: e.User.ID, Name: e.User.Name, Locale: e.User.Locale, Rights: chat.RightsKnown | chat.RightMeet},
		Place:   chat.Place{Platform: Platform, Channel: e.Channel},
		Command: e.Command, Text: e.Text,
	})
	reply := d.Reply
	if d.Ask != nil {
		ctx, cancel := context.WithTimeout(r.Context(), kit.AckTimeout)
		defer cancel()
		reply = a.bot.Accept(ctx, d).Reply // nil: it is on disk, and will be heard of
	}
	if reply != nil {
		fmt.Fprint(w, render(*reply)) //nolint:errcheck // whoever asked is gone
	}
}

func (a *Adapter) signed(signature string, body []byte) bool {
	got, err := hex.DecodeString(signature)
	mac := hmac.New(sha256.New, []byte(a.secret.Reveal()))
	mac.Write(body)
	return err == nil && hmac.Equal(got, mac.Sum(nil))
}

// Post delivers one message. What the platform cannot do is [chat.ErrSkip]; what may
// work later is any other error, and is tried again.
func (a *Adapter) Post(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	to := map[string]string{"channel": p.Place.Channel}
	switch p.Slot {
	case chat.SlotRoot, chat.SlotThread:
	case chat.SlotPrivate, chat.SlotDirect:
		to = map[string]string{"user": p.User.ID}
	default: // no threads for one person, no edits, no placeholders
		return chat.Receipt{}, chat.ErrSkip
	}
	to["text"] = render(p.Reply)
	body, err := json.Marshal(to)
	if err != nil {
		return chat.Receipt{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.api+"/messages", bytes.NewReader(body))
	if err != nil {
		return chat.Receipt{}, kit.Scrub(err)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		a.pulse.Failed(kit.Scrub(err))
		return chat.Receipt{}, kit.Scrub(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		return chat.Receipt{}, &chat.RetryAfter{After: time.Second, Err: fmt.Errorf("acme: rate limited")}
	case resp.StatusCode == http.StatusForbidden:
		return chat.Receipt{}, fmt.Errorf("acme: not allowed to post there: %w", chat.ErrLost)
	case resp.StatusCode != http.StatusOK:
		return chat.Receipt{}, fmt.Errorf("acme: %s", resp.Status)
	}
	var made struct{ ID string }
	err = json.NewDecoder(http.MaxBytesReader(nil, resp.Body, kit.MaxBody)).Decode(&made)
	return chat.Receipt{Place: p.Place, Message: made.ID, InPlace: true}, err
}

// render is a reply as Acme's plain text. It is pure, so that golden files can test it.
func render(r chat.Reply) string {
	lines := []string{r.Title, r.Text}
	for _, f := range r.Fields {
		value := f.Value
		if f.User != nil {
			value = f.User.Name
		}
		lines = append(lines, f.Name+": "+value)
	}
	for _, s := range r.Secrets { // there only when the reply is for the one person they are for
		lines = append(lines, s.Name+": "+s.Value.Reveal())
	}
	for _, l := range r.Links {
		lines = append(lines, l.Label+": "+l.URL)
	}
	text, _ := kit.Cut(strings.Join(lines, "\n"), maxText)
	return text
}
