package commands

import (
	"context"
	"fmt"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/livepush"
	"meetbot/bot/texts"
	"meetbot/config/secret"
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
	l := keyLink{Request: r.w.Request, Locale: r.t.Locale, Ask: r.w.Ask}
	l.Request.Origin = nil // worn out by the time the key is there
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
	r.endAs(outcomeAsked)
	reply := chat.Reply{
		Title: r.t.T("keylink.title"), Text: r.t.T("keylink.text"),
		Secrets: []chat.SecretField{{Name: r.t.T("keylink.open"), Value: secret.New(h.url + token.Reveal()), Link: true}},
	}
	if r.keySeen() {
		reply.Text = texts.Paragraphs(reply.Text, r.t.T("push.key_typed"))
	}
	r.tell(reply)
	return jobs.Deliver(), nil
}

// keySeen reports whether a chat platform has seen the key.
func (r *run) keySeen() bool { return r.w.Ask.KeyTyped && !r.local }

// offer adds a link to the key-entry page for every destination that was not
// sent because it needs a new key. What is entered there is kept and sent to the meeting.
func (h keyPage) offer(ctx context.Context, r *run, reply *chat.Reply) error {
	if h.url == "" {
		return nil
	}
	for _, s := range r.w.Steps {
		if s.Fault == nil || s.Fault.ID != "dest.fresh_key" && s.Fault.ID != "dest.no_key" {
			continue
		}
		d, err := h.dests.ByID(ctx, s.Destination)
		if err != nil {
			return err
		}
		l := keyLink{Request: r.w.Request, Locale: r.t.Locale, Meeting: r.w.Ref.ID, Destination: d.ID, Ask: grammar.Ask{
			Verb: grammar.VerbPush, Meeting: r.w.Ref.String(), Names: []string{d.Name}, Preset: d.Preset, Push: d.Target(),
		}}
		l.Request.Origin = nil
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
	allowed, err := h.people.policy.Permits(ctx, dir, l.Request.Place, l.Request.User, chat.RightPush)
	if err != nil {
		return KeyResult{}, fmt.Errorf("look up whether the person still may: %w", err)
	}
	if !allowed {
		return KeyResult{}, ErrLinkRefused
	}
	err = h.links.use(ctx, token, func(ctx context.Context, l keyLink) error {
		if dir != nil {
			l.Request.User.Rights, l.Request.User.Roles = 0, nil
		}
		r, ask := l.wish(e, split, h.links.now())
		j, err := newJob(r, ask, h.links.now())
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
