package commands

import (
	"bytes"
	"context"
	"errors"
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

func TestSomebodyChoosesTheAccountOfAPlace(t *testing.T) {
	a, b := newFake("tencent"), newFake("tencent")
	chosen := "beta"
	inWorld(t, func(c *Config) {
		twoAccounts(a, b)(c)
		c.Chosen = func(context.Context, chat.Place) (string, error) { return chosen, nil }
		c.Accounts[beta] = Accounts{Bot: "ops-b", Usual: meeting.Instant{Mute: new(true), Duration: time.Hour}}
	}, func(w *world) {
		w.say(ada, teamBoth, "/meet one")
		require.Equal(t, []int{0, 1}, []int{a.created, b.created})
		assert.True(t, *b.wish.Mute)
		assert.Equal(t, time.Hour, b.wish.Duration)
		w.say(ada, teamBoth, "/meet two --mute=false --duration 15")
		assert.False(t, *b.wish.Mute, "what is typed holds")
		assert.Equal(t, 15*time.Minute, b.wish.Duration)
		w.say(ada, channel, "/meet three")
		assert.Equal(t, []int{1, 2}, []int{a.created, b.created}, "what a place may not use cannot be chosen for it")
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
