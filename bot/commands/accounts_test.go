package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/policy"
	"meetbot/meeting"
)

const (
	alpha meeting.Provider = "tencent@alpha"
	beta  meeting.Provider = "tencent@beta"
)

var (
	teamTwo  = chat.Place{Platform: chattest.Slack, Team: "T2", Channel: "C9"}
	teamBoth = chat.Place{Platform: chattest.Slack, Team: "T3", Channel: "C5"}
	teamNone = chat.Place{Platform: chattest.Slack, Team: "T4", Channel: "C6"}
)

// twoAccounts has two accounts of one provider, which give their meetings the same numbers, and
// teams that may use the one, the other, both, or none.
func twoAccounts(a, b *fakeProvider) func(*Config) {
	return func(c *Config) {
		c.Parser.Providers, c.Parser.Default = []meeting.Provider{"systec", "tencent"}, ""
		c.Parser.Accounts = []meeting.Provider{alpha, beta}
		c.Parser.Here = func(p chat.Place) []meeting.Provider {
			switch p.Team {
			case "T1":
				return []meeting.Provider{alpha, "systec"}
			case "T2":
				return []meeting.Provider{beta, "systec"}
			case "T3":
				return []meeting.Provider{alpha, beta}
			}
			return nil
		}
		delete(c.Providers, "tencent")
		c.Providers[alpha], c.Providers[beta] = fakeTencent{a}, fakeTencent{b}
		c.Accounts = map[meeting.Provider]Accounts{alpha: {Bot: "ops-a"}, beta: {Bot: "ops-b"}}
	}
}

func spoken(posts []chat.Post) string {
	var b strings.Builder
	for _, p := range posts {
		b.WriteString(string(p.Slot) + " " + revealed(p) + "\n")
	}
	return jobOfButton.ReplaceAllString(b.String(), "$1")
}

var jobOfButton = regexp.MustCompile(`(v1:elsewhere:)\w+`)

func TestAMeetingIsAtTheAccountOfItsPlaceForLife(t *testing.T) {
	a, b := newFake("tencent"), newFake("tencent")
	inWorld(t, twoAccounts(a, b), func(w *world) {
		made := w.say(ada, channel, "/meet weekly")
		require.Equal(t, 1, a.created, "%s", spoken(made))
		w.say(ada, teamTwo, "/meet weekly")
		require.Equal(t, 1, b.created)
		require.Contains(t, a.meetings, "806146601")
		require.Contains(t, b.meetings, "806146601", "the same number at both")

		regs, err := w.bot.registry.ByCode(w.t.Context(), "806146601")
		require.NoError(t, err)
		require.Len(t, regs, 2)
		reg, err := w.bot.registry.Get(w.t.Context(), meeting.Ref{Provider: alpha, ID: "806146601"})
		require.NoError(t, err)
		assert.Equal(t, "ops-a", reg.Account)

		// A day's polls go to the account that made it.
		asked := b.asked["get"]
		b.meetings["806146601"].State = meeting.StateEnded
		w.say(ada, channel, "/livepush status 806146601")
		assert.Positive(t, a.asked["pushes"])
		assert.Zero(t, b.asked["pushes"])
		assert.Equal(t, asked, b.asked["get"])

		w.press(ada, channel, w.say(ada, channel, "/meet end 806146601"), grammar.VerbEndYes)
		assert.Equal(t, 1, a.asked["end"])
		assert.Zero(t, b.asked["end"])
	})
}

func TestAnAccountIsChosenByName(t *testing.T) {
	a, b := newFake("tencent"), newFake("tencent")
	inWorld(t, twoAccounts(a, b), func(w *world) {
		w.say(ada, teamBoth, "/meet one")
		assert.Equal(t, []int{1, 0}, []int{a.created, b.created}, "the first is the usual one")
		w.say(ada, teamBoth, "/meet two --account beta")
		w.say(ada, teamBoth, "/meet three --账号 Beta")
		w.say(ada, teamBoth, "/meet four --provider tencent")
		assert.Equal(t, []int{2, 2}, []int{a.created, b.created})
		w.say(ada, channel, "/meet five --provider systec")
		assert.Equal(t, 1, w.systec.created)

		assert.Contains(t, spoken(w.say(ada, teamBoth, "/meet six --account beta --provider systec")), "not both")
		there := spoken(w.say(ada, teamTwo, "/meet x --account alpha"))
		assert.Equal(t, spoken(w.say(ada, teamTwo, "/meet x --account gamma")), there, "nobody there hears that it exists")
		assert.NotContains(t, there, "alpha /")
		assert.Contains(t, there, "beta")
		assert.Contains(t, spoken(w.say(ada, teamNone, "/meet x")), "No meeting service")
		assert.Contains(t, spoken(w.say(ada, teamNone, "/meet x --account alpha")), "no account to choose")
		assert.Contains(t, spoken(w.say(ada, teamNone, "/meet x --provider tencent")), "isn't set up")
		assert.Equal(t, []int{2, 2, 1}, []int{a.created, b.created, w.systec.created})

		choices := w.bot.Complete(w.t.Context(), chat.Request{Command: "meet", User: ada, Place: teamTwo}, "account", "")
		assert.Equal(t, []chat.Choice{{Label: "beta · Tencent Meeting", Value: "beta"}}, choices)
	})
}

func TestWhatIsTypedBeatsAnAccountsOptions(t *testing.T) {
	a, b := newFake("tencent"), newFake("tencent")
	inWorld(t, func(c *Config) {
		twoAccounts(a, b)(c)
		c.Accounts[beta] = Accounts{Bot: "ops-b", Usual: meeting.Instant{Mute: new(true), Duration: time.Hour}}
	}, func(w *world) {
		w.say(ada, teamTwo, "/meet one")
		assert.True(t, *b.wish.Mute)
		assert.Equal(t, time.Hour, b.wish.Duration)
		w.say(ada, teamTwo, "/meet two --mute=false --duration 15")
		assert.False(t, *b.wish.Mute, "what is typed holds")
		assert.Equal(t, 15*time.Minute, b.wish.Duration)
	})
}

func TestAnAccountIsSetForAChannel(t *testing.T) {
	a, b := newFake("tencent"), newFake("tencent")
	inWorld(t, func(c *Config) { twoAccounts(a, b)(c); changeable(c) }, func(w *world) {
		made := func() []int { return []int{a.created, b.created, w.systec.created} }
		saved := w.say(ada, teamBoth, "/meet settings --account beta")
		assert.Equal(t, "Tencent Meeting (beta) (this channel)", fields(saved[0].Reply)["Meeting service"])
		first := w.say(ada, teamBoth, "/meet one")
		assert.Equal(t, []int{0, 1, 0}, made(), "%s", spoken(first))
		w.say(ada, thread(teamBoth), "/meet two --provider tencent")
		assert.Equal(t, []int{0, 2, 0}, made(), "of the provider that is typed, the channel's account")
		w.say(ada, teamBoth, "/meet three --account alpha")
		assert.Equal(t, []int{1, 2, 0}, made(), "what is typed beats what is set")
		other := teamBoth
		other.Channel = "C50"
		w.say(ada, other, "/meet four")
		assert.Equal(t, []int{2, 2, 0}, made(), "another channel has nothing of it")

		// The meeting stays where it was made, whatever is set since.
		w.say(ada, teamBoth, "/meet settings --account alpha")
		w.press(ada, teamBoth, w.say(ada, teamBoth, "/meet end tencent@beta:806146601"), grammar.VerbEndYes)
		assert.Equal(t, []int{0, 1}, []int{a.asked["end"], b.asked["end"]})
		w.say(ada, teamBoth, "/meet five")
		assert.Equal(t, []int{3, 2, 0}, made())
		w.say(ada, teamBoth, "/meet settings --provider default")
		assert.Equal(t, "Tencent Meeting (default)", fields(w.say(ada, teamBoth, "/meet settings")[0].Reply)["Meeting service"])

		for line, want := range map[string]string{
			"--account gamma":                  "Use one of alpha / beta",
			"--account beta --provider systec": "not both",
			"--provider systec --account beta": "not both",
			"--account beta --account alpha":   "account",
		} {
			assert.Contains(t, spoken(w.say(ada, teamBoth, "/meet settings "+line)), want, line)
		}
		w.say(ada, teamBoth, "/meet settings --account default --provider tencent")
		assert.Contains(t, spoken(w.say(ada, teamBoth, "/meet settings --account default")), "saved", "both are one setting")
		assert.Contains(t, spoken(w.say(ada, teamTwo, "/meet settings --account alpha")), "Use one of beta", "what a place may not use cannot be set for it")
	})
}

// What is set for all channels of one team is that team's alone, and only what serves all of them
// can be.
func TestAnAccountIsSetForATeam(t *testing.T) {
	a, b := newFake("tencent"), newFake("tencent")
	another := chat.Place{Platform: chattest.Slack, Team: "T5", Channel: teamBoth.Channel}
	inWorld(t, func(c *Config) {
		twoAccounts(a, b)(c)
		changeable(c)
		all := c.Parser.Here
		c.Parser.Here = func(p chat.Place) []meeting.Provider {
			switch {
			case p.Team == another.Team:
				return []meeting.Provider{alpha, beta}
			case p.Team == "T2" && p.Channel != teamTwo.Channel:
				return []meeting.Provider{"systec"}
			}
			return all(p)
		}
	}, func(w *world) {
		assert.Contains(t, spoken(w.say(ada, teamBoth, "/meet settings --account beta --everywhere")), "Only admins")
		w.say(bos, teamBoth, "/meet settings --account beta --everywhere")
		other := teamBoth
		other.Channel = "C50"
		w.say(ada, other, "/meet one")
		assert.Equal(t, []int{0, 1}, []int{a.created, b.created})
		w.say(ada, another, "/meet two")
		assert.Equal(t, []int{1, 1}, []int{a.created, b.created}, "another team has nothing of it")
		assert.Contains(t, fields(w.say(ada, another, "/meet settings")[0].Reply)["Meeting service"], "default")
		w.say(ada, other, "/meet settings --account alpha")
		w.say(ada, other, "/meet three")
		assert.Equal(t, []int{2, 1}, []int{a.created, b.created}, "the channel's beats the team's")

		assert.Contains(t, spoken(w.say(bos, teamTwo, "/meet settings --account beta --everywhere")), "doesn't serve all channels")
		w.say(bos, teamTwo, "/meet settings --account beta")
		w.say(bos, teamTwo, "/meet four")
		assert.Equal(t, []int{2, 2}, []int{a.created, b.created})
	})
}

func TestOfAnAccountThatIsSetAndGoneNothingIsMadeElsewhere(t *testing.T) {
	a, b := newFake("tencent"), newFake("tencent")
	inWorld(t, func(c *Config) { twoAccounts(a, b)(c); changeable(c) }, func(w *world) {
		w.say(ada, teamBoth, "/meet settings --account beta")
		left := func(p chat.Place) []meeting.Provider {
			return []meeting.Provider{alpha, "systec"}
		}
		for _, file := range []grammar.Config{
			{Accounts: []meeting.Provider{alpha}, Here: left},
			{Default: "systec"}, // there is no file any more
		} {
			c := w.bot.cfg.Parser
			c.Accounts, c.Here, c.Default = file.Accounts, file.Here, file.Default
			w.bot.cfg.Parser, w.bot.parser = c, grammar.New(c)
			w.bot.steps = declaredSteps(newParts(w.bot))
			before := w.systec.created
			said := w.say(ada, teamBoth, "/meet one")
			assert.Contains(t, spoken(said), "Tencent Meeting (beta), which isn't available here any more. I created nothing.")
			assert.Equal(t, []int{0, 0, before}, []int{a.created, b.created, w.systec.created})
			assert.Equal(t, "Tencent Meeting (beta), which isn't available here any more (this channel)", fields(w.say(ada, teamBoth, "/meet settings")[0].Reply)["Meeting service"])
			w.say(ada, teamBoth, fmt.Sprintf("/meet two%d --provider systec", before))
			assert.Equal(t, []int{0, 0, before + 1}, []int{a.created, b.created, w.systec.created}, "what is typed holds")
		}
		w.say(ada, teamBoth, "/meet settings --provider default")
		w.say(ada, teamBoth, "/meet three")
		assert.Equal(t, 3, w.systec.created)
	})
}

// A job has the account that was set when it was accepted, and is refused if that is gone when it
// is carried out.
func TestAnAccountThatGoesWhileACommandWaitsIsNotReplaced(t *testing.T) {
	a, b := newFake("tencent"), newFake("tencent")
	inWorld(t, func(c *Config) { twoAccounts(a, b)(c); changeable(c) }, func(w *world) {
		w.say(ada, teamBoth, "/meet settings --account beta")
		h := held{w.room, make(chan struct{})}
		w.bot.Attach(chattest.Slack, h)
		ann := chat.User{ID: "U6", Locale: "en"}
		require.Zero(t, w.bot.Accept(w.t.Context(), w.bot.Parse(w.request(ann, teamBoth, chat.Request{Command: "meet", Text: "x"}))))
		time.Sleep(time.Second)
		delete(w.bot.targets.clients.all, beta)
		close(h.open)
		assert.Contains(t, spoken(w.settle()), "Tencent Meeting (beta) isn't set up")
		assert.Equal(t, []int{0, 0}, []int{a.created, b.created})
	})
}

func TestTheFormOfSettingsHasTheAccount(t *testing.T) {
	a, b := newFake("tencent"), newFake("tencent")
	inWorld(t, func(c *Config) { twoAccounts(a, b)(c); changeable(c) }, func(w *world) {
		open := func(r chat.Request) (*chat.Form, map[string]string) {
			d := w.bot.Ready(w.t.Context(), w.bot.Parse(w.request(ada, teamBoth, r)))
			require.NotNil(t, d.Form, "%+v", d)
			values := map[string]string{}
			for _, f := range d.Form.Fields {
				values[f.Name] = f.Value
			}
			return d.Form, values
		}
		button := func() chat.Request {
			return chat.Request{Action: &w.say(ada, teamBoth, "/meet settings")[0].Reply.Buttons[0].Action}
		}
		save := func(set map[string]string) []chat.Post {
			f, all := open(button())
			for name, v := range set {
				all[name] = v
			}
			d := w.bot.Parse(w.request(ada, teamBoth, chat.Request{Form: &chat.Submission{Form: f.ID, Arg: f.Arg, Fields: all}}))
			if d.Faults != nil {
				return []chat.Post{{Reply: chat.Reply{Text: d.Faults["account"]}}}
			}
			return w.do(d, ada, teamBoth)
		}
		f, _ := open(button())
		i := slices.IndexFunc(f.Fields, func(f chat.FormField) bool { return f.Name == "account" })
		require.GreaterOrEqual(t, i, 0)
		assert.Equal(t, []chat.Choice{{Label: "alpha · Tencent Meeting", Value: "alpha"}, {Label: "beta · Tencent Meeting", Value: "beta"}}, f.Fields[i].Choices)
		assert.Empty(t, f.Fields[i].Value)

		save(map[string]string{"account": "beta"})
		f, values := open(button())
		assert.Equal(t, "beta", values["account"])
		assert.Equal(t, "tencent", values["provider"])
		assert.False(t, f.Fields[slices.IndexFunc(f.Fields, func(f chat.FormField) bool { return f.Name == "account" })].Extra)
		_, values = open(chat.Request{Command: "meet", Text: "form"})
		assert.Equal(t, "tencent", values["provider"], "the form of a meeting shows the service alone, so that another can be chosen")
		assert.Empty(t, values["account"])

		assert.Contains(t, save(map[string]string{"live": "on"})[0].Reply.Title, "saved")
		assert.Contains(t, save(map[string]string{"provider": "systec"})[0].Reply.Text, "not both")
		w.say(ada, teamBoth, "/meet one")
		assert.Equal(t, []int{0, 1}, []int{a.created, b.created}, "what was not touched stays")
		save(map[string]string{"provider": grammar.Default, "account": ""})
		w.say(ada, teamBoth, "/meet two")
		assert.Equal(t, []int{1, 1}, []int{a.created, b.created})
	})
}

// TestNobodyReachesAMeetingThroughAnotherAccount is the confused-deputy table across accounts: in
// a place that has only beta, alpha's meeting is one that does not exist, whoever asks.
func TestNobodyReachesAMeetingThroughAnotherAccount(t *testing.T) {
	admin := chat.User{ID: "UADMIN", Name: "Root", Rights: ada.Rights}
	forms := []string{"806146601", "806-146-601", "tencent:806146601", "#腾讯会议：806-146-601", "tencent@alpha:806146601", "https://meeting.tencent.com/p/806146601", "https://join.example/j/806146601"}
	lines := []string{"/meet end %", "/meet share %", "/livepush status %", "/livepush log %", "/livepush % --name show --url rtmp://live.example/app --key canary-key", "/livepush off all in %"}
	for _, who := range []chat.User{ada, ben, admin} {
		a, b := newFake("tencent"), newFake("tencent")
		inWorld(t, func(c *Config) {
			twoAccounts(a, b)(c)
			c.Policy.Admins = []policy.Entry{{Platform: chattest.Slack, Kind: chat.UserEntry, ID: "UADMIN"}}
		}, func(w *world) {
			w.say(ada, channel, "/meet budget")
			require.Equal(t, 1, a.created)
			for _, line := range lines {
				for _, form := range forms {
					if strings.Contains(line, "/livepush %") && strings.HasPrefix(form, "#") {
						continue
					}
					there := spoken(w.say(who, teamTwo, strings.ReplaceAll(line, "%", form)))
					none := strings.ReplaceAll(strings.ReplaceAll(form, "601", "699"), "alpha", "gamma")
					unknown := spoken(w.say(who, teamTwo, strings.ReplaceAll(line, "%", none)))
					unknown = strings.ReplaceAll(strings.ReplaceAll(unknown, "699", "601"), "gamma", "alpha")
					assert.Equal(t, unknown, there, "%s: %s %s", who.Name, line, form)
					assert.NotContains(t, there, "budget")
				}
			}
			ref := meeting.Ref{Provider: alpha, ID: "806146601"}.String()
			for _, v := range grammar.Verbs() {
				if v.Button == "" || v.Takes != grammar.TakesMeeting && v.Takes != grammar.TakesAddress && v.Takes != grammar.TakesAnyMeeting || v.Opens != "" {
					continue
				}
				d := w.bot.Parse(w.request(who, teamTwo, chat.Request{Action: &chat.Action{Name: v.Button, Arg: ref}}))
				there := spoken(w.do(d, who, teamTwo))
				assert.NotContains(t, there, "budget", v.Verb)
				assert.NotContains(t, there, "join.example", v.Verb)
			}
			for _, op := range []string{"end", "set_push", "pushes"} {
				assert.Zero(t, a.asked[op], "%s: %s", who.Name, op)
				assert.Zero(t, b.asked[op], "%s: beta was asked to %s alpha's meeting", who.Name, op)
			}
			assert.Equal(t, []int{1, 0}, []int{a.created, b.created})
			assert.Equal(t, meeting.StateReady, a.meetings["806146601"].State)
		})
	}
}

func TestWhoeverAskedReachesTheirMeetingAloneWithTheBot(t *testing.T) {
	a, b := newFake("tencent"), newFake("tencent")
	inWorld(t, func(c *Config) {
		twoAccounts(a, b)(c)
		all := c.Parser.Here
		c.Parser.Here = func(p chat.Place) []meeting.Provider {
			if p.Kind == chat.InDirect {
				return nil
			}
			return all(p)
		}
	}, func(w *world) {
		w.say(ada, channel, "/meet budget")
		direct := chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "D1", Kind: chat.InDirect}
		assert.Contains(t, spoken(w.say(ben, direct, "/meet end 806146601")), "No")
		w.press(ada, direct, w.say(ada, direct, "/meet end 806146601"), grammar.VerbEndYes)
		assert.Equal(t, 1, a.asked["end"])
	})
}

func TestAnEventOfOneAccountMovesNoMeetingOfAnother(t *testing.T) {
	a, b := newFake("tencent"), newFake("tencent")
	inWorld(t, twoAccounts(a, b), func(w *world) {
		w.say(ada, channel, "/meet budget")
		e := meeting.Event{ID: "e1", At: time.Now(), Ref: meeting.Ref{Provider: beta, ID: "806146601"}, State: meeting.StateEnded}
		require.NoError(t, w.bot.Hear(w.t.Context(), e))
		w.settle()
		state := func() meeting.State {
			reg, err := w.bot.registry.Get(w.t.Context(), meeting.Ref{Provider: alpha, ID: "806146601"})
			require.NoError(t, err)
			return reg.Meeting.State
		}
		assert.Equal(t, meeting.StateReady, state())
		e.Ref.Provider = alpha // the same ID of an event, of another account
		require.NoError(t, w.bot.Hear(w.t.Context(), e))
		w.settle()
		assert.Equal(t, meeting.StateEnded, state())
	})
}

// unanswered makes a meeting, and its answer never arrives.
type unanswered struct {
	fakeTencent
	made, release chan struct{}
}

func (u unanswered) Create(ctx context.Context, in meeting.Instant) (meeting.Meeting, error) {
	_, err := u.fakeTencent.Create(ctx, in)
	close(u.made)
	<-u.release
	return meeting.Meeting{}, errors.Join(err, refusal(meeting.ErrOutcomeUnknown, ""))
}

// A process that is killed after the provider has made a meeting and before that is recorded finds
// it again at the account that it asked, whatever another account has that looks like it.
func TestALostMeetingIsLookedForAtItsOwnAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newFake("tencent"), newFake("tencent")
		r := &room{}
		w := &world{t: t, room: r, systec: newFake("systec")}
		cfg := Config{
			Platforms: chattest.Kinds(), Parser: grammar.Config{Locale: "en", Kinds: kinds},
			Providers: map[meeting.Provider]Provider{"systec": fakeSystec{w.systec}},
		}
		twoAccounts(a, b)(&cfg)
		release := make(chan struct{})
		made := make(chan struct{})
		cfg.Providers[alpha] = unanswered{fakeTencent{a}, made, release}
		var stop func()
		begin := func(from *jobs.Store) {
			store, err := jobs.OpenMemory(jobs.Config{Grace: time.Millisecond})
			require.NoError(t, err)
			if from != nil {
				var records bytes.Buffer
				require.NoError(t, from.Export(t.Context(), &records))
				_, err = store.Import(t.Context(), &records)
				require.NoError(t, err)
				require.NoError(t, from.Close())
			}
			w.store, w.bot = store, New(cfg, store)
			w.bot.Attach(chattest.Slack, r)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- store.Run(ctx, w.bot) }()
			stop = func() { cancel(); assert.NoError(t, <-done) }
		}
		begin(nil)
		d := w.bot.Parse(w.request(ada, teamBoth, chat.Request{Command: "meet", Text: "budget"}))
		require.Zero(t, w.bot.Accept(t.Context(), d))
		<-made
		decoy := *a.meetings["806146601"] // the same in every way, at another account
		b.meetings["806146601"] = &decoy
		stop()
		begin(w.store)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		posts := r.take()
		assert.Contains(t, spoken(posts), "budget")
		assert.Equal(t, 1, a.created)
		assert.Positive(t, a.asked["list"])
		assert.Zero(t, b.asked["list"]+b.asked["create"]+b.asked["get"])
		_, err := w.bot.registry.Get(w.t.Context(), meeting.Ref{Provider: alpha, ID: "806146601"})
		require.NoError(t, err)
		_, err = w.bot.registry.Get(t.Context(), meeting.Ref{Provider: beta, ID: "806146601"})
		require.ErrorIs(t, err, jobs.ErrNotFound)
		close(release)
		stop()
		require.NoError(t, w.store.Close())
	})
}

func TestOfAnAccountThatIsGoneEveryCallIsRefused(t *testing.T) {
	a, b := newFake("tencent"), newFake("tencent")
	inWorld(t, twoAccounts(a, b), func(w *world) {
		w.say(ada, channel, "/meet budget")
		delete(w.bot.targets.clients.all, alpha)
		ended := a.asked["end"]
		posts := w.press(ada, channel, w.say(ada, channel, "/meet end 806146601"), grammar.VerbEndYes)
		assert.Contains(t, spoken(posts), "Tencent Meeting (alpha) isn't set up")
		assert.Equal(t, ended, a.asked["end"])
		assert.True(t, slices.ContainsFunc(w.say(ada, channel, "/meet list"), func(p chat.Post) bool { return strings.Contains(revealed(p), "budget") }))
	})
}
