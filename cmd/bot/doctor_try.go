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

const tryQuestion = `This makes one real meeting at each provider that is configured, sets push addresses of a host that
cannot exist where its meetings take any, switches them off where that is possible, and ends the meeting. Nobody is invited.
Go on? [yes/no] `

var errNotTried = errors.New("doctor: nothing was tried: it makes real meetings, and nobody answered yes")

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
	for _, row := range providerRows() {
		if !row.on(d.cfg) || d.cfg.Sandbox() {
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
		return []finding{{Level: noted("").Level, Part: "try", Says: "no provider is configured: there is nothing to try"}}
	}
	return all
}

// holds reports a guess: err says why it could not be told, else yes whether it holds.
func (t *tries) holds(guess string, yes bool, err error) {
	const fix = "docs/providers.md says what people see; tell the vendor's support if it should be otherwise"
	switch {
	case err != nil:
		t.all = append(t.all, warn("not told whether "+guess+": "+t.d.text(err), fix))
	case yes:
		t.all = append(t.all, ok("it holds that %s", guess))
	default:
		t.all = append(t.all, warn("it does not hold that "+guess, fix))
	}
}

func (t *tries) run(ctx context.Context) {
	client, err := t.row.open(t.d.cfg)
	if err != nil {
		t.all = append(t.all, fault("the settings do not fit: "+t.d.text(err), "correct "+t.row.variables))
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
			err = fmt.Errorf("%w; perhaps “%s” was made: look for it in the client, and end it", lost, wish.Topic)
		}
	}
	if err != nil {
		t.all = append(t.all, fault("no meeting could be made: "+t.d.text(err), "give the account and the application the right, or ask the vendor's support with the code and the trace"))
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
		t.holds("a fresh start link is given at once", !url.IsZero(), err)
	}
	if api, can := client.(pushing); can {
		t.pushes(ctx, api, m)
	}
	err = client.End(ctx, t.account, m.Ref.ID)
	ended = err == nil
	t.holds("a meeting that nobody entered can be ended", ended, err)
	if !ended {
		return
	}
	got, err := client.Get(ctx, t.account, m.Ref.ID)
	gone := errors.Is(err, meeting.ErrNotFound)
	if gone {
		err = nil
	}
	t.holds("an ended meeting is not found, or said to be over", gone || got.State.Over(), err)
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
		t.all = append(t.all, noted("it lists no meeting that was made at once, as documented: one whose answer is lost is not found"))
	} else {
		t.holds("a new meeting is listed at once", i >= 0, err)
	}
	if i >= 0 {
		t.holds("a meeting whose answer is lost is recognised in the list", t.row.kind.Same(wish, sent, list[i]), nil)
		if !wish.Start.IsZero() {
			t.all = append(t.all, noted("its start is %v after the one that was asked for", list[i].Start.Sub(wish.Start)))
		}
	}
	if wish.UserKey != "" {
		list, err := t.client.List(ctx, t.account, "meetbot:nobody:"+rand.Text())
		t.holds("the list heeds the text that marks meetings", len(list) == 0, err)
	}
	got, err := t.client.Get(ctx, t.account, m.Ref.ID)
	t.holds("a meeting that nobody entered is said to be ready", got.State == meeting.StateReady, err)
}

// pushes tries what can be done with push addresses. The host cannot exist: RFC 2606 keeps
// .invalid free.
func (t *tries) pushes(ctx context.Context, api pushing, m meeting.Meeting) {
	got, err := api.ByCode(ctx, t.account, m.Code)
	t.holds("a meeting is found by its number", got.Ref == m.Ref, err)
	_, err = api.Pushes(ctx, t.account, m.Ref.ID)
	t.holds("push addresses can be read back", err == nil, err)
	readable := err == nil

	want := meeting.PushTarget{
		Name: "一二三四五六七八九十", Platform: meeting.PushThirdParty, URL: "rtmp://Push.Meetbot.invalid:1936/live/",
		Key: secret.New("?doctor=" + rand.Text() + "&a=b"), Enabled: true,
	}
	err = api.SetPush(ctx, t.account, m.Ref.ID, want)
	t.holds("a push address is taken by a meeting without a live", err == nil, err)
	if err != nil {
		return
	}
	if readable {
		has, err := t.readBack(ctx, api, m, want)
		t.holds("it is read back at once, byte for byte", has != nil && has.URL == want.URL && has.Key.Equal(want.Key), err)
		if has != nil && !t.row.kind.Push.Replaces { // which keeps no names
			t.holds("a name of ten Chinese characters is kept", has.Name == want.Name, nil)
		}
	}
	if t.row.kind.Push.Replaces {
		t.replaced(ctx, api, m, want, readable)
		return
	}
	other := want
	other.Key = secret.New("?doctor=" + rand.Text())
	t.refused(ctx, api, m, "the same address with another key is refused", other)
	secure := want
	secure.URL, secure.Enabled = "rtmps://tls.meetbot.invalid/live/", false
	err = api.SetPush(ctx, t.account, m.Ref.ID, secure)
	t.holds("an rtmps:// address is taken", err == nil, err)

	off := want
	off.Enabled = false
	err = api.SetPush(ctx, t.account, m.Ref.ID, off)
	t.holds("an address is posted again with false to switch it off", err == nil, err)
	if err == nil && readable {
		has, err := t.readBack(ctx, api, m, off)
		t.holds("it is off then", has == nil || !has.Enabled, err)
	}
}

// replaced tries whether another address takes the place of the first. None can be switched off.
func (t *tries) replaced(ctx context.Context, api pushing, m meeting.Meeting, first meeting.PushTarget, readable bool) {
	other := first
	other.URL, other.Key = "rtmps://tls.meetbot.invalid/live/", secret.New("?doctor="+rand.Text())
	err := api.SetPush(ctx, t.account, m.Ref.ID, other)
	t.holds("an rtmps:// address is taken", err == nil, err)
	if err != nil || !readable {
		return
	}
	all, err := api.Pushes(ctx, t.account, m.Ref.ID)
	t.holds("another address takes the place of the first", len(all) == 1 && all[0].URL == other.URL && all[0].Key.Equal(other.Key), err)
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
		t.holds(guess, false, err)
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
		t.all = append(t.all, fault("the meeting could not be ended: "+t.d.text(err), "end it in the client: number "+m.Code))
	}
}
