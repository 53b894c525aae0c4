package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"meetbot/bot/commands"
	"meetbot/config/secret"
	"meetbot/meeting"
)

const tryQuestion = `The doctor will make one real meeting at each configured provider, set push addresses that lead nowhere, turn
them off, and end the meeting. It invites nobody.
Go on? [yes/no] `

var errNotTried = errors.New("doctor: --try-provider makes real meetings, and nobody answered yes; it tried nothing")

// mayTry asks whoever sits there.
func mayTry(p process) error {
	if err := write(p.stderr, tryQuestion); err != nil {
		return err
	}
	answer, _ := bufio.NewReader(p.stdin).ReadString('\n') // the end of the input is no yes
	if strings.TrimSpace(answer) != "yes" {
		return errNotTried
	}
	return nil
}

// pushing is a provider's client whose meetings take push addresses.
type pushing interface {
	ByCode(ctx context.Context, account, code string) (meeting.Meeting, error)
	SetPush(ctx context.Context, account, id string, target meeting.PushTarget) error
	Pushes(ctx context.Context, account, id string) ([]meeting.PushTarget, error)
}

// starting is a provider's client that gives fresh start links.
type starting interface {
	StartURL(ctx context.Context, id string) (secret.String, error)
}

// tries are the calls of one provider by which docs/providers.md's guesses are tried.
type tries struct {
	d       *doctor
	row     providerRow
	client  commands.Provider
	account string
	all     []finding
}

// try settles at every provider what no document says, with one meeting that it ends again.
// What it finds is for the vendor's support as well: it has codes and traces, and no secrets.
func (d *doctor) try(ctx context.Context) []finding {
	var all []finding
	for _, row := range configuredRows(d.cfg) {
		if d.cfg.Sandbox() {
			continue
		}
		t := &tries{d: d, row: row}
		t.run(ctx)
		for i := range t.all {
			t.all[i].Part = string(row.kind.ID) + " try"
		}
		all = append(all, t.all...)
	}
	if all == nil {
		return []finding{{Level: noted("").Level, Part: "try", Says: "no provider is configured, so there is nothing to try"}}
	}
	return all
}

const tryFix = "docs/providers.md says what people then see; ask the provider's support if it should be otherwise"

// holds reports a guess: yes says whether it holds, unless there is an error. A refusal says that it
// does not; after any other error nobody knows.
func (t *tries) holds(guess string, yes bool, err error) {
	switch {
	case err != nil && !saidNo(err):
		t.undecided(guess, err)
	case err != nil:
		t.all = append(t.all, warn("not so here: "+guess+": "+t.d.text(err), tryFix))
	case yes:
		t.all = append(t.all, ok("confirmed: %s", guess))
	default:
		t.all = append(t.all, warn("not so here: "+guess, tryFix))
	}
}

func (t *tries) undecided(guess string, err error) {
	t.all = append(t.all, warn("undecided whether "+guess+": "+t.d.text(err), tryFix))
}

// saidNo reports whether the provider said no to what was tried.
func saidNo(err error) bool {
	return errors.Is(err, meeting.ErrInvalid) || errors.Is(err, meeting.ErrNotPermitted) || errors.Is(err, meeting.ErrNotFound) || errors.Is(err, meeting.ErrLimit)
}

func (t *tries) run(ctx context.Context) {
	client, err := t.row.open(t.d.cfg)
	if err != nil {
		t.all = append(t.all, fault("the bot cannot use the settings: "+t.d.text(err), "correct "+t.row.variables))
		return
	}
	bot, persons := t.row.settings(t.d.cfg).Accounts()
	if t.client, t.account = client, bot; bot == "" {
		for _, who := range slices.Sorted(maps.Keys(persons)) {
			t.account = persons[who]
			break
		}
	}
	wish := meeting.Instant{Topic: "meetbot doctor " + rand.Text()[:8]}
	mark := "meetbot:doctor:" + rand.Text()
	sent := time.Now()
	t.row.kind.Prepare(&wish, meeting.Origin{Mark: mark, Account: t.account, At: sent})
	m, err := client.Create(ctx, wish)
	if errors.Is(err, meeting.ErrOutcomeUnknown) {
		lost := err
		if m, err = t.find(ctx, wish, sent); err != nil {
			err = fmt.Errorf("%w; perhaps it made “%s”: look for that in the client, and end it", lost, wish.Topic)
		}
	}
	if err != nil {
		t.all = append(t.all, fault("the doctor could not make a meeting: "+t.d.text(err), "give the account and the application the right, or show the provider's support the code and the trace"))
		return
	}
	t.all = append(t.all, noted("made “%s”, number %s, ID %s", wish.Topic, m.Code, m.Ref.ID))
	ended := false
	defer func() {
		if !ended {
			t.cleanUp(ctx, m)
		}
	}()
	t.listed(ctx, wish, sent, m)
	if api, can := client.(starting); can {
		url, err := api.StartURL(ctx, m.Ref.ID)
		t.holds("it gives a fresh start link at once", !url.IsZero(), err)
	}
	if api, can := client.(pushing); can {
		t.pushes(ctx, api, m)
	}
	err = client.End(ctx, t.account, m.Ref.ID)
	ended = err == nil
	t.holds("the bot can end a meeting that nobody entered", ended, err)
	if !ended {
		return
	}
	got, err := client.Get(ctx, t.account, m.Ref.ID)
	gone := errors.Is(err, meeting.ErrNotFound)
	if gone {
		err = nil
	}
	t.holds("an ended meeting is gone, or over", gone || got.State.Over(), err)
}

// find looks for the meeting whose answer was lost.
func (t *tries) find(ctx context.Context, wish meeting.Instant, sent time.Time) (meeting.Meeting, error) {
	list, err := t.client.List(ctx, t.account, wish.UserKey)
	for _, m := range list {
		if t.row.kind.Same(wish, sent, m) {
			return m, nil
		}
	}
	if err == nil {
		err = meeting.ErrNotFound
	}
	return meeting.Meeting{}, err
}

// listed tries how a meeting would be found whose answer was lost.
func (t *tries) listed(ctx context.Context, wish meeting.Instant, sent time.Time, m meeting.Meeting) {
	list, err := t.client.List(ctx, t.account, wish.UserKey)
	i := slices.IndexFunc(list, func(l meeting.Meeting) bool { return l.Ref == m.Ref })
	if t.row.kind.Unlisted && i < 0 && err == nil {
		t.all = append(t.all, noted("it does not list instant meetings, as documented: the bot cannot find one whose answer is lost"))
	} else {
		t.holds("it lists a new meeting at once", i >= 0, err)
	}
	if i >= 0 {
		t.holds("the bot recognises a meeting in the list when its answer is lost", t.row.kind.Same(wish, sent, list[i]), nil)
		if !wish.Start.IsZero() {
			t.all = append(t.all, noted("it starts %v after the time that the bot asked for", list[i].Start.Sub(wish.Start)))
		}
	}
	if wish.UserKey != "" {
		list, err := t.client.List(ctx, t.account, "meetbot:nobody:"+rand.Text())
		t.holds("asked for one user_key, it lists the meetings of that one alone", len(list) == 0, err)
	}
	got, err := t.client.Get(ctx, t.account, m.Ref.ID)
	t.holds("a meeting that nobody entered counts as ready", got.State == meeting.StateReady, err)
}

// pushes tries what can be done with push addresses. The host cannot exist: RFC 2606 keeps
// .invalid free.
func (t *tries) pushes(ctx context.Context, api pushing, m meeting.Meeting) {
	got, err := api.ByCode(ctx, t.account, m.Code)
	t.holds("the bot finds a meeting by its number", got.Ref == m.Ref, err)
	_, err = api.Pushes(ctx, t.account, m.Ref.ID)
	t.holds("the bot can read push addresses back", err == nil, err)
	readable := err == nil

	want := meeting.PushTarget{
		Name: "一二三四五六七八九十", Platform: meeting.PushThirdParty, URL: "rtmp://Push.Meetbot.invalid:1936/live/",
		Key: secret.New("?doctor=" + rand.Text() + "&a=b"), Enabled: true,
	}
	err = api.SetPush(ctx, t.account, m.Ref.ID, want)
	t.holds("a meeting without a live takes a push address", err == nil, err)
	if err != nil {
		return
	}
	if readable {
		has, err := t.readBack(ctx, api, m, want)
		t.holds("the address reads back at once, byte for byte", has != nil && has.URL == want.URL && has.Key.Equal(want.Key), err)
		if has != nil && !t.row.kind.Push.Replaces { // which keeps no names
			t.holds("it keeps a name of ten Chinese characters", has.Name == want.Name, nil)
		}
	}
	if t.row.kind.Push.Replaces {
		t.replaced(ctx, api, m, want, readable)
		return
	}
	other := want
	other.Key = secret.New("?doctor=" + rand.Text())
	t.refused(ctx, api, m, "it refuses the same address with another key", other)
	secure := want
	secure.URL, secure.Enabled = "rtmps://tls.meetbot.invalid/live/", false
	err = api.SetPush(ctx, t.account, m.Ref.ID, secure)
	t.holds("it takes an rtmps:// address", err == nil, err)

	off := want
	off.Enabled = false
	err = api.SetPush(ctx, t.account, m.Ref.ID, off)
	t.holds("sending an address again as disabled turns it off", err == nil, err)
	if err == nil && readable {
		has, err := t.readBack(ctx, api, m, off)
		t.holds("the address then reads back as off", has == nil || !has.Enabled, err)
	}
}

// replaced tries whether another address takes the place of the first. None can be switched off.
func (t *tries) replaced(ctx context.Context, api pushing, m meeting.Meeting, first meeting.PushTarget, readable bool) {
	other := first
	other.URL, other.Key = "rtmps://tls.meetbot.invalid/live/", secret.New("?doctor="+rand.Text())
	err := api.SetPush(ctx, t.account, m.Ref.ID, other)
	t.holds("it takes an rtmps:// address", err == nil, err)
	if err != nil || !readable {
		return
	}
	all, err := api.Pushes(ctx, t.account, m.Ref.ID)
	t.holds("another address replaces the first", len(all) == 1 && all[0].URL == other.URL && all[0].Key.Equal(other.Key), err)
}

// refused tries what is thought to be refused. Whatever is taken all the same is switched off.
func (t *tries) refused(ctx context.Context, api pushing, m meeting.Meeting, guess string, target meeting.PushTarget) {
	err := api.SetPush(ctx, t.account, m.Ref.ID, target)
	var said *meeting.APIError
	switch {
	case err == nil:
		target.Enabled = false
		_ = api.SetPush(ctx, t.account, m.Ref.ID, target) // the meeting is ended whatever it says
		t.holds(guess, false, nil)
	case errors.As(err, &said) && said.Reason == meeting.ReasonPushAddress:
		t.holds(guess, true, nil)
	default:
		t.undecided(guess, err)
	}
}

// readBack returns the address as the provider has it; nil if it has none such.
func (t *tries) readBack(ctx context.Context, api pushing, m meeting.Meeting, want meeting.PushTarget) (*meeting.PushTarget, error) {
	all, err := api.Pushes(ctx, t.account, m.Ref.ID)
	i := slices.IndexFunc(all, func(p meeting.PushTarget) bool { return p.Key.Equal(want.Key) || strings.EqualFold(p.URL, want.URL) })
	if i < 0 {
		return nil, err
	}
	return &all[i], err
}

// cleanUp ends the meeting, also when the doctor itself was stopped.
func (t *tries) cleanUp(ctx context.Context, m meeting.Meeting) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkWithin)
	defer cancel()
	if err := t.client.End(ctx, t.account, m.Ref.ID); err != nil {
		t.all = append(t.all, fault("the doctor could not end the meeting: "+t.d.text(err), "end it in the client: number "+m.Code))
	}
}
