package commands

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/livepush"
	"meetbot/bot/records"
	"meetbot/bot/texts"
	"meetbot/config/secret"
	"meetbot/meeting"
)

// keyPage lets people enter a stream key on a page of the bot's own. See [keyLink].
type keyPage struct {
	url    string // to which a token is appended; empty where there is no page
	links  keyLinks
	dests  livepush.Destinations
	people people
	queue  queue
}

// give answers with a link to the key-entry page, where the command goes on.
func (h keyPage) give(ctx context.Context, r *run, t target) (jobs.Next, error) {
	if h.url == "" {
		return jobs.Next{}, texts.NewMessage("key.missing")
	}
	l := keyLink{Request: r.w.Request, Locale: r.t.Locale, Ask: r.w.Ask, Provider: r.kind(t.ref.Provider).Name}
	if !t.ref.IsZero() {
		l.Ask.Meeting, l.Meeting = t.ref.String(), t.ref.ID
	}
	if t.reg != nil {
		l.Meeting = t.reg.Meeting.Topic
	}
	token, err := h.links.create(ctx, l)
	if err != nil {
		return jobs.Next{}, err
	}
	title, open := r.t.T("keylink.title"), r.t.T("keylink.open")
	if name := l.Ask.Push.Name; name != "" { // several of them look alike otherwise
		title, open = r.t.T("keylink.title.name", "Name", name), r.t.T("keylink.open.name", "Name", name)
	}
	reply := chat.Reply{
		Title: title, Text: r.t.T("keylink.text"),
		Secrets: []chat.SecretField{{Name: open, Value: secret.New(h.url + token.Reveal()), Link: true}},
	}
	if l.Meeting != "" {
		reply.Fields = []chat.Field{{Name: r.t.T("field.meeting"), Value: l.Meeting}}
	}
	if r.keySeen() {
		reply.Text = texts.Paragraphs(reply.Text, r.t.T("push.key_typed"))
	}
	return r.answer(outcomeAsked, reply)
}

// keySeen reports whether a chat platform has seen the key.
func (r *run) keySeen() bool { return r.w.Ask.KeyTyped && !r.platform.Local }

// offer adds a link to the key-entry page for every destination that was not
// sent because it needs a new key. What is entered there is kept and sent to the meeting.
func (h keyPage) offer(ctx context.Context, r *run, reply *chat.Reply) error {
	if h.url == "" {
		return nil
	}
	for _, s := range r.w.Calls {
		if s.Fault == nil || s.Fault.ID != "dest.fresh_key" && s.Fault.ID != "dest.no_key" {
			continue
		}
		d, err := h.dests.ByID(ctx, s.Destination)
		if err != nil {
			return err
		}
		l := keyLink{Request: r.w.Request, Locale: r.t.Locale, Meeting: r.w.Ref.ID, Provider: r.kind(r.w.Ref.Provider).Name, Destination: d.ID, Ask: grammar.Ask{
			Verb: grammar.VerbPush, Meeting: r.w.Ref.String(), Names: []string{d.Name}, Preset: d.Preset, Push: d.Target(), Standby: r.w.Ask.Standby,
		}}
		token, err := h.links.create(ctx, l)
		if err != nil {
			return err
		}
		reply.Secrets = append(reply.Secrets, chat.SecretField{
			Name: r.t.T("keylink.for", "Name", d.Name), Value: secret.New(h.url + token.Reveal()), Link: true,
		})
	}
	return nil
}

// look returns what a key-entry link is for, without using it up.
func (h keyPage) look(ctx context.Context, token string) (KeyForm, error) {
	l, err := h.links.look(ctx, token)
	if err != nil { // a used link still answers in its own language
		return KeyForm{Locale: l.Locale}, err
	}
	return l.form(), nil
}

// submit takes what was typed into the key-entry page, once, if the person may still
// do what the link is for. The error is a *[KeyFaults] where the entry is not good enough.
func (h keyPage) submit(ctx context.Context, token string, e KeyEntry) (KeyResult, error) {
	l, err := h.links.look(ctx, token)
	if err != nil {
		return KeyResult{}, err
	}
	form := l.form()
	e, split, err := form.judge(e, h.links.now())
	if err != nil {
		return KeyResult{}, err
	}
	dir := h.people.directory(l.Request.Place.Platform)
	if dir != nil { // what came with the command is some minutes old
		l.Request.User.Rights, l.Request.User.Roles = 0, nil
	}
	here, err := h.people.settings.Here(ctx, l.Request.Place)
	if err == nil {
		err = h.people.may(chat.Afresh(ctx), l.Request.Place, l.Request.User, chat.RightPush, here.Lists())
	}
	switch {
	case isDenied(err):
		return KeyResult{}, ErrLinkRefused
	case err != nil:
		return KeyResult{}, fmt.Errorf("look up whether the person still may: %w", err)
	}
	err = h.links.use(ctx, token, func(ctx context.Context, l keyLink) error {
		if dir != nil {
			l.Request.User.Rights, l.Request.User.Roles = 0, nil
		}
		r, ask := l.wish(e, split, h.links.now())
		j, err := newJob(r, ask, here, h.links.now())
		if err == nil {
			_, err = h.queue.store.Enqueue(ctx, j)
		}
		return err
	})
	if err != nil {
		return KeyResult{}, err
	}
	return KeyResult{Form: form, Name: e.Name, Preset: e.Preset, URL: e.URL, Split: split, Fingerprint: h.dests.Fingerprint(e.Key)}, nil
}

// A stream key never has to pass through a chat platform: the person gets, privately, a
// link to a page that the bot serves itself, and types the key there. The link is good
// for one submission within [keyLinkFor]. Fetching the page does not use it up, since
// previews and scanners fetch whatever they see. Only a hash of its token is stored.

const (
	keyLinkKey = "keylink"
	keyLinkFor = 10 * time.Minute
	// keyLinkKept is how long a used link is remembered, to tell "used" from "unknown".
	keyLinkKept = 24 * time.Hour
	// keyLinkClaim is how long a submission may take. The next one may take over after it:
	// the process that was at it is gone, and the wish has the same job ID.
	keyLinkClaim = 30 * time.Second
)

// What the key-entry page is told of a link that does not work. Whoever does not hold a
// link that was made learns nothing but [ErrLinkGone].
var (
	ErrLinkGone    = errors.New("no such link, or it is too old")
	ErrLinkUsed    = errors.New("the link was used before")
	ErrLinkRefused = errors.New("the person may not do this any more")
)

// KeyForm is what the key-entry page shows of a link.
type KeyForm struct {
	Locale  string
	Place   chat.Place   // where the link was asked for, and where the answer goes
	Back    string       // the address of that place; empty where it has none
	Person  string       // whom it was made for
	Verb    grammar.Verb // [grammar.VerbPushSave]: the key is stored; anything else: it is set at Meeting
	Meeting string       // what people call it; empty with VerbPushSave
	// Provider is the name of the meeting's provider; empty with VerbPushSave.
	Provider meeting.Words
	Until    time.Time

	Preset string // [livepush.Preset.ID]
	Name   string
	URL    string
	// Fixed says that preset and name belong to a saved destination and cannot be changed here.
	Fixed bool
	// NameFixed says that the name was given with the command.
	NameFixed bool
}

// KeyEntry is what was typed into the page.
type KeyEntry struct {
	Preset   string // [livepush.Preset.ID]; empty: told from the address
	Name     string
	URL      string // may be a combined one, with the key at its end
	Key      secret.String
	Override bool // go on in spite of warnings
}

// KeyResult is what the page says when the entry was accepted.
type KeyResult struct {
	Form        KeyForm
	Name        string
	Preset      string
	URL         string
	Split       bool // address and key were told apart by the bot
	Fingerprint string
}

// KeyFaults is the error for an entry that was not accepted, and did not use the link up.
type KeyFaults struct {
	Findings []livepush.Finding
	// Entry is what to show again: as it was typed, without the key.
	Entry KeyEntry
}

func (e *KeyFaults) Error() string { return fmt.Sprintf("%d faults in the entry", len(e.Findings)) }

// keyLink is what a link is for: who asked for what, to be continued with the key.
type keyLink struct {
	Request chat.Request
	Locale  string
	Ask     grammar.Ask // Push without its key
	Meeting string      // what people call the meeting
	// Provider is the name of the meeting's; empty with no meeting.
	Provider meeting.Words
	// Destination is the ID of the saved destination that the key is for; empty: none yet.
	Destination string
	Until       time.Time
	Claimed     time.Time // since when a submission is being carried out
	Used        bool

	hash     string
	revision uint64
}

type keyLinks struct {
	store Store
	now   func() time.Time
}

// create stores a link for l's person and wish, and returns its token.
func (k keyLinks) create(ctx context.Context, l keyLink) (secret.String, error) {
	token := rand.Text() // 130 bits
	l.Until, l.hash = k.now().Add(keyLinkFor), keyLinkHash(token)
	l.Claimed, l.Used, l.Ask.Push.Key = time.Time{}, false, secret.String{}
	if err := k.put(ctx, &l); err != nil {
		return secret.String{}, fmt.Errorf("store key-entry link: %w", err)
	}
	return secret.New(token), nil
}

func keyLinkHash(token string) string {
	sum := sha256.Sum256([]byte("key-entry link\x00" + token))
	return hex.EncodeToString(sum[:])
}

func (k keyLinks) put(ctx context.Context, l *keyLink) error {
	value, err := records.Encode(*l)
	if err != nil {
		return err
	}
	l.revision, err = k.store.PutDoc(ctx, jobs.Doc{
		Key: []string{keyLinkKey, l.hash}, Value: value, Revision: l.revision, Expires: l.Until.Add(keyLinkKept),
	})
	return err
}

// look returns what a link is for, without using it up: [ErrLinkGone] or [ErrLinkUsed]
// if it does not work any more.
func (k keyLinks) look(ctx context.Context, token string) (keyLink, error) {
	hash := keyLinkHash(token)
	doc, err := k.store.Doc(ctx, keyLinkKey, hash)
	switch {
	case errors.Is(err, jobs.ErrNotFound):
		return keyLink{}, ErrLinkGone
	case err != nil:
		return keyLink{}, fmt.Errorf("read key-entry link: %w", err)
	}
	l, err := records.Decode[keyLink](doc.Value)
	if err != nil {
		return keyLink{}, err
	}
	l.hash, l.revision = hash, doc.Revision
	now := k.now()
	switch {
	case l.Used, now.Before(l.Claimed.Add(keyLinkClaim)):
		return l, ErrLinkUsed
	case !now.Before(l.Until):
		return keyLink{}, ErrLinkGone
	}
	return l, nil
}

// use uses a link up, once across all replicas: accept carries the wish out and must do so
// once for one [keyLink.requestID], returning [jobs.ErrDuplicate] when it was accepted
// before. After any other error of accept the link works again.
func (k keyLinks) use(ctx context.Context, token string, accept func(context.Context, keyLink) error) error {
	l, err := k.look(ctx, token)
	if err != nil {
		return err
	}
	l.Claimed = k.now()
	if err := k.put(ctx, &l); errors.Is(err, jobs.ErrConflict) {
		return ErrLinkUsed
	} else if err != nil {
		return fmt.Errorf("claim key-entry link: %w", err)
	}

	err = accept(ctx, l)
	// What is written now must not depend on the browser's patience.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err != nil && !errors.Is(err, jobs.ErrDuplicate) {
		l.Claimed = time.Time{}
		return errors.Join(err, k.put(ctx, &l))
	}
	// Should this write fail, the wish is accepted all the same, and a second submission
	// meets its job.
	_ = k.put(ctx, &keyLink{hash: l.hash, revision: l.revision, Locale: l.Locale, Until: l.Until, Used: true})
	if err != nil {
		return ErrLinkUsed
	}
	return nil
}

// requestID names the wish that a link carries, however often it is submitted.
func (l keyLink) requestID() string {
	return string(l.Request.Place.Platform) + ":" + keyLinkKey + ":" + l.hash
}

// wish is what the link is for, complete with what was typed into the page.
func (l keyLink) wish(e KeyEntry, split bool, now time.Time) (chat.Request, grammar.Ask) {
	ask, r := l.Ask, l.Request
	p := livepush.PresetByID(e.Preset)
	ask.Preset, ask.Split, ask.KeyTyped, ask.Override = p.ID, split, false, e.Override
	ask.Push = meeting.PushTarget{Name: e.Name, Platform: p.Platform, URL: e.URL, Key: e.Key, Enabled: true}
	r.ID, r.At = l.requestID(), now
	return r, ask
}

// form is what the page shows of l.
func (l keyLink) form() KeyForm {
	p := livepush.PresetByID(l.Ask.Preset)
	switch {
	case l.Ask.Preset != "":
	case l.Ask.Push.Platform == meeting.PushWeChat: // said with --wechat, or told by the address
		p = livepush.PresetByID("wechat")
	case l.Ask.Push.URL != "":
		p = livepush.Detect(l.Ask.Push.URL)
	default: // "save youtube"
		p = livepush.Guess(l.Ask.Push.Name)
	}
	return KeyForm{
		Locale: l.Locale, Place: l.Request.Place, Person: l.Request.User.Name,
		Verb: l.Ask.Verb, Meeting: l.Meeting, Provider: l.Provider, Until: l.Until,
		Preset: p.ID, Name: l.Ask.Push.Name, URL: l.Ask.Push.URL,
		Fixed: l.Destination != "", NameFixed: l.Ask.Push.Name != "",
	}
}

// judge makes an entry out of what was typed: what cannot be changed comes from the form,
// the preset's own address is used where none was given, and a combined address is taken
// apart, whichever field it is in. The error is a *[KeyFaults] if the entry is not good
// enough. split says that the bot told address and key apart.
func (f KeyForm) judge(e KeyEntry, now time.Time) (_ KeyEntry, split bool, _ error) {
	e.Name, e.URL = grammar.CleanName(e.Name), meeting.HalfWidth(strings.TrimSpace(e.URL))
	e.Key = secret.New(meeting.HalfWidth(e.Key.Reveal()))
	if f.Fixed || f.NameFixed {
		e.Name = f.Name
	}
	if f.Fixed {
		e.Preset = f.Preset
	}
	var misplaced []livepush.Finding
	if key := e.Key.Reveal(); grammar.IsPushURL(strings.TrimSpace(key)) {
		if a, _ := meeting.SplitPush(key, secret.String{}); a.Split {
			e.URL, e.Key, split = a.URL, a.Key, true
		} else {
			misplaced, e.Key = []livepush.Finding{livepush.NewLimit("key", "key.address")}, secret.String{}
		}
	}
	switch {
	case e.Preset == "" && e.URL == "":
		e.Preset = f.Preset
	case e.Preset == "", e.Preset == livepush.GenericPreset: // what nobody chose: the address knows better
		e.Preset = livepush.Detect(e.URL).ID
	}
	p := livepush.PresetByID(e.Preset)
	e.Preset = p.ID
	if e.URL == "" {
		e.URL = p.Ingest
	}
	a, fs := p.Check(e.URL, e.Key, now)
	if misplaced != nil {
		fs = slices.DeleteFunc(fs, func(f livepush.Finding) bool { return f.Field == "key" })
	}
	fs = slices.Concat(grammar.CheckName(f.Verb, e.Name), fs, misplaced)
	e.URL, e.Key, split = a.URL, a.Key, split || a.Split
	if len(fs) == 0 || e.Override && !livepush.Limits(fs) {
		return e, split, nil
	}
	shown := e
	shown.Key = secret.String{}
	if stem, _, _ := strings.Cut(e.Key.Reveal(), "?"); livepush.MayBeIngest(e.Name) || len(stem) >= meeting.MinPushKeyStem && strings.Contains(e.Name, stem) {
		shown.Name = "" // typed into the wrong field
	}
	for _, f := range fs {
		if f.Field == "url" && (f.Limit || f.Message.ID == livepush.FindingKeyInAddress) {
			// The key may be anywhere behind the host.
			shown.URL = livepush.Root(e.URL)
		}
	}
	return KeyEntry{}, false, &KeyFaults{Findings: fs, Entry: shown}
}
