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
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/signed"
	"meetbot/config/secret"
)

// Platform is Acme's name in lists, metrics and addresses.
const Platform chat.Platform = "acme"

// Limits of Acme's messages, in UTF-16 units. https://acme.example/docs/limits
const maxText = 2000

var (
	personID  = regexp.MustCompile(`^A[0-9]+$`)
	channelID = regexp.MustCompile(`^R[0-9]+$`)
)

// Kind returns what Acme is like: all that the rest of the bot has to know of it.
func Kind() chat.Kind {
	return chat.Kind{
		Name: Platform, Title: "Acme",
		IsID: func(s string) bool { return personID.MatchString(s) || channelID.MatchString(s) },
		Entries: []chat.Entry{
			{Kind: chat.UserEntry, Example: "A1", IsID: personID.MatchString, People: "person"},
			{Kind: chat.ChannelEntry, Example: "R1", IsID: channelID.MatchString, People: "everybody in channel"},
		},
		Members: map[chat.Rights]string{chat.RightMeet: "everybody", chat.RightPush: "everybody"},
	}
}

// ErrTokenRefused says that Acme does not know the secret.
var ErrTokenRefused = kit.Refused("Acme refuses ACME_SECRET")

// Config is what an [Adapter] needs.
type Config struct {
	Secret     secret.String // signs what either side sends
	APIURL     string
	Observe    kit.Observer
	HTTPClient *http.Client // nil: one with a time limit
}

// Adapter brings Acme's chat to the bot.
type Adapter struct {
	cfg   Config
	bot   chat.Bot
	log   *slog.Logger
	http  *http.Client
	pulse *kit.Pulse
	gate  *signed.Gate
}

var _ interface {
	kit.Adapter
	kit.Receiver
	kit.Examined
} = (*Adapter)(nil)

// New returns an adapter. It sends nothing yet.
func New(cfg Config, bot chat.Bot, log *slog.Logger) (*Adapter, error) {
	if cfg.Secret.IsZero() {
		return nil, errors.New("ACME_SECRET is not set")
	}
	cfg.Observe = cfg.Observe.Complete()
	a := &Adapter{cfg: cfg, bot: bot, log: log, http: kit.PlatformClient(Platform, cfg.HTTPClient), pulse: kit.NewPulse(time.Now)}
	a.gate = signed.New(signed.Scheme{
		Sent: func(h http.Header) (time.Time, bool) { // Acme does not say when
			return time.Time{}, len(h.Get("X-Acme-Signature")) == hex.EncodedLen(sha256.Size)
		},
		Valid: func(r *http.Request, body []byte) bool {
			got, err := hex.DecodeString(r.Header.Get("X-Acme-Signature"))
			return err == nil && hmac.Equal(got, a.sign(body))
		},
	}, time.Now, cfg.Observe.Rejected, log)
	return a, nil
}

func (a *Adapter) sign(body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(a.cfg.Secret.Reveal()))
	mac.Write(body)
	return mac.Sum(nil)
}

// Run returns when ctx is done. An adapter with a connection of its own keeps it here, with
// [kit.Retry].
func (a *Adapter) Run(ctx context.Context) error {
	a.pulse.Set(kit.Running)
	<-ctx.Done()
	return nil
}

// Health is the adapter's part of /readyz.
func (a *Adapter) Health() kit.Health { return a.pulse.Health() }

// Endpoint implements [kit.Receiver].
func (a *Adapter) Endpoint() (string, http.Handler) { return "/acme/", a.gate.Handler(a.take) }

// Examine implements [kit.Examined].
func (a *Adapter) Examine(ctx context.Context, _ kit.Circumstances) []kit.Finding {
	switch err := a.call(ctx, http.MethodGet, "/me", nil, nil); {
	case errors.Is(err, ErrTokenRefused):
		return []kit.Finding{kit.Faulty("ACME_SECRET is refused", "copy it from Acme's settings again")}
	case err != nil:
		return []kit.Finding{kit.Faulty("Acme does not answer", kit.NetworkFix).Because(err)}
	}
	return []kit.Finding{kit.OK("ACME_SECRET is accepted")}
}

// event is something that a person did: typed a command, pressed a button, or sent a form.
type event struct {
	ID      string                            `json:"id"`
	Time    int64                             `json:"time"` // Unix seconds
	Channel string                            `json:"channel"`
	User    struct{ ID, Name, Locale string } `json:"user"`

	Command string            `json:"command"`
	Text    string            `json:"text"`
	Button  string            `json:"button"`
	Message string            `json:"message"` // that has the button
	Form    string            `json:"form"`
	Fields  map[string]string `json:"fields"`
}

// answer is what Acme shows to the person alone, at once.
type answer struct {
	Text   string            `json:"text,omitempty"`
	Form   string            `json:"form,omitempty"` // to be given back
	Fields []string          `json:"fields,omitempty"`
	Faults map[string]string `json:"faults,omitempty"`
}

// take takes an event that Acme has signed.
func (a *Adapter) take(w http.ResponseWriter, req *http.Request, body []byte, arrived time.Time) {
	var e event
	if json.Unmarshal(body, &e) != nil || e.ID == "" || time.Since(time.Unix(e.Time, 0)).Abs() > 5*time.Minute {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r := chat.Request{
		ID: string(Platform) + ":" + e.ID, At: time.Unix(e.Time, 0),
		User:  chat.User{ID: e.User.ID, Name: e.User.Name, Locale: e.User.Locale, Rights: chat.RightsKnown | chat.RightMeet | chat.RightPush},
		Place: chat.Place{Platform: Platform, Team: "acme", Channel: e.Channel},
	}
	kind := "command"
	switch {
	case e.Button != "":
		kind = "button"
		action, ok := chat.ParseAction(e.Button)
		if !ok {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.Action = &action
		if grammar.Once(action) { // two clicks are one wish
			r.ID = string(Platform) + ":" + e.Message + ":" + e.User.ID + ":" + e.Button
		}
	case e.Form != "":
		kind = "form"
		form, _ := chat.ParseAction(e.Form)
		r.Form = &chat.Submission{Form: form.Name, Arg: form.Arg, Fields: e.Fields}
	default:
		r.Command, r.Text = e.Command, e.Text
	}
	d := a.bot.Ready(req.Context(), a.bot.Parse(r))
	out := answer{Faults: d.Faults}
	reply := d.Reply
	switch {
	case d.Form != nil:
		out.Form = chat.Action{Name: d.Form.ID, Arg: d.Form.Arg}.String()
		for _, f := range d.Form.Fields {
			out.Fields = append(out.Fields, f.Name)
		}
	case d.Ask != nil:
		ctx, cancel := context.WithTimeout(req.Context(), kit.AckTimeout)
		defer cancel()
		reply = a.bot.Accept(ctx, d).Reply // nil: it is on disk, and will be heard of
	}
	if reply != nil {
		out.Text, _ = render(*reply)
	}
	_ = json.NewEncoder(w).Encode(out) // whoever asked is gone
	a.cfg.Observe.Acked(kind, time.Since(arrived))
}

// message is a message as Acme takes it.
type message struct {
	Channel string   `json:"channel,omitempty"`
	User    string   `json:"user,omitempty"`
	Text    string   `json:"text"`
	Buttons []string `json:"buttons,omitempty"`
}

// Post implements [chat.Poster]. What Acme cannot do is [chat.ErrSkip].
func (a *Adapter) Post(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	m := message{Channel: p.Place.Channel}
	method, path := http.MethodPost, "/messages"
	switch p.Slot {
	case chat.SlotRoot, chat.SlotThread:
	case chat.SlotPrivate, chat.SlotDirect:
		m = message{User: p.User.ID}
	case chat.SlotEdit:
		method, path = http.MethodPut, "/messages/"+p.Edit.Message
	default: // no threads for one person, no placeholders
		return chat.Receipt{}, chat.ErrSkip
	}
	m.Text, m.Buttons = render(p.Reply)
	var made struct{ ID string }
	if err := a.call(ctx, method, path, m, &made); err != nil {
		return chat.Receipt{}, err
	}
	if p.Slot == chat.SlotEdit {
		return *p.Edit, nil
	}
	return chat.Receipt{Place: p.Place, Message: made.ID, InPlace: true}, nil
}

// call makes one signed call. What may work later is tried again by the jobs, not here.
func (a *Adapter) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, a.cfg.APIURL+path, bytes.NewReader(body))
	if err != nil {
		return kit.Scrub(err)
	}
	req.Header.Set("X-Acme-Signature", hex.EncodeToString(a.sign(body)))
	resp, err := a.http.Do(req)
	if err != nil {
		a.cfg.Observe.Failed("acme.messages", "transport")
		return kit.Scrub(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		a.cfg.Observe.Failed("acme.messages", fmt.Sprintf("http_%d", resp.StatusCode))
	}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		a.pulse.Failed(ErrTokenRefused)
		return ErrTokenRefused
	case http.StatusTooManyRequests:
		return &chat.RetryAfter{After: time.Second, Err: errors.New("acme: rate limited")}
	case http.StatusForbidden:
		return fmt.Errorf("acme: not allowed to post there: %w", chat.ErrLost)
	default:
		return fmt.Errorf("acme: %s", resp.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(http.MaxBytesReader(nil, resp.Body, signed.MaxBody)).Decode(out)
}

// render is a reply as Acme's plain text, and the buttons beneath it. It is pure, so that
// golden files can test it.
func render(r chat.Reply) (text string, buttons []string) {
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
	for _, b := range r.Buttons {
		buttons = append(buttons, b.Action.String())
	}
	text, _ = kit.Cut(strings.Join(append(lines, r.Note), "\n"), maxText)
	return text, buttons
}
