package commands

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/audit"
	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/livepush"
	"meetbot/bot/policy"
	"meetbot/bot/records"
	"meetbot/bot/texts"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/systec"
)

func (w *world) button(u chat.User, at chat.Place, v grammar.Verb, arg string) []chat.Post {
	w.t.Helper()
	return w.do(w.bot.Parse(w.request(u, at, chat.Request{Action: &chat.Action{Name: string(v), Arg: arg}})), u, at)
}

func TestAProviderThatIsNotSetUpAnyMoreEndsItsJobs(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		posts := w.say(ada, channel, "/meet x --provider tencent --live")
		delete(w.bot.cfg.Providers, "tencent")
		assert.Contains(t, find(t, w.say(ada, channel, pushLine), chat.SlotPrivate).Reply.Text, "isn't set up in this bot")
		assert.Contains(t, find(t, w.press(ada, channel, posts, grammar.VerbEndYes), chat.SlotPrivate).Reply.Text, "isn't set up in this bot")
	})
}

func TestAStepThatFailsForEverEndsAndIsTold(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x")
		doc, err := w.store.Doc(w.t.Context(), "meeting", "systec:1591620801")
		require.NoError(t, err)
		doc.Value = []byte("of another version")
		_, err = w.store.PutDoc(w.t.Context(), doc)
		require.NoError(t, err)

		assert.Empty(t, w.button(ada, channel, grammar.VerbStartLink, "systec:1591620801"))
		time.Sleep(10 * time.Minute)
		assert.Contains(t, find(t, w.room.take(), chat.SlotPrivate).Reply.Text, "Something went wrong on my side")
		require.Len(t, w.say(ada, channel, "/meet y"), 4, "it is in nobody else's way")
	})
}

func TestALateAnswerToAPushIsAdoptedAndNothingIsSentTwice(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		for i, name := range []string{"一号", "二号"} {
			w.say(ada, channel, fmt.Sprintf("/livepush save %s --url rtmp://ingest%d.example.com/live --key canary-key-%d", name, i, i))
		}
		r := w.request(ada, channel, chat.Request{Command: "livepush", Text: "to 一号,二号"})
		w.do(w.bot.Parse(r), ada, channel)
		sets := w.tencent.sets
		require.Equal(t, 2, sets)

		// The first call had been given up, and the second was refused, when the first answers.
		var late jobs.Job
		j, err := w.store.Update(w.t.Context(), jobID(r), func(j *jobs.Job) error {
			x, err := records.Decode[work](j.Data)
			if err != nil {
				return err
			}
			x.Calls[1].Outcome = callRefused
			x.Calls[0].Outcome = callUnclear
			if j.Data, err = records.Encode(x); err != nil {
				return err
			}
			late = *j
			late.Call, late.State = 0, jobs.Called
			x.Calls[0].Outcome, x.Calls[0].Target.Key = callPending, w.tencent.pushes["806146601"][0].Key
			late.Data, err = records.Encode(x)
			return err
		})
		require.NoError(t, err)
		require.True(t, w.bot.Late(w.t.Context(), &j, &late))
		_, err = w.store.Update(w.t.Context(), jobID(r), func(stored *jobs.Job) error {
			stored.Data, stored.Call, stored.State = j.Data, j.Call, jobs.Called
			return nil
		})
		require.NoError(t, err)
		said := find(t, w.settle(), chat.SlotPrivate).Reply
		assert.Equal(t, "1 of 2 set", said.Title)
		assert.Contains(t, said.Fields[0].Value, "set and verified")
		assert.Equal(t, sets, w.tencent.sets)
		log := w.say(ada, channel, "/livepush log")[0].Reply.Fields
		assert.Len(t, log, 3, "two of them first, and the correction")
	})
}

func TestAPushOfUnknownOutcomeIsNotCalledUndone(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		sent := false
		w.tencent.failing(func(op string) error {
			if op == "set_push" {
				sent = true
				return refusal(meeting.ErrOutcomeUnknown, "")
			}
			if sent {
				return refusal(meeting.ErrUnavailable, "")
			}
			return nil
		})
		w.say(ada, channel, pushLine)
		time.Sleep(10 * time.Minute)
		said := find(t, w.room.take(), chat.SlotPrivate).Reply
		assert.Equal(t, "0 of 1 set", said.Title)
		assert.Contains(t, said.Fields[0].Value, "it may or may not be set")
	})
}

func TestWhoIsNotPermittedCanAskWhoIs(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.tencent.failing(func(string) error { return refusal(meeting.ErrNotPermitted, meeting.ReasonNotHost) })
		refused := w.say(ada, channel, pushLine)
		asked := w.press(ada, channel, refused, grammar.VerbAskHost)
		assert.Contains(t, find(t, asked, chat.SlotThread).Reply.Text, "B站")
		assert.Equal(t, []chat.Slot{chat.SlotPrivate}, slots(w.press(ada, channel, refused, grammar.VerbAskHost)), "asked once")
	})
}

func TestADecisionIsTakenOnce(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, "/livepush save 主站 --url rtmp://ingest.example.com/live --key canary-key --protected")
		asked := w.say(ada, channel, "/livepush to 主站")
		w.press(ben, channel, asked, grammar.VerbReject)
		posts := w.press(ben, channel, asked, grammar.VerbApprove)
		assert.Contains(t, find(t, posts, chat.SlotPrivate).Reply.Text, "already decided this")
		assert.Zero(t, w.tencent.sets)
		log := w.say(ada, channel, "/livepush log")[0].Reply.Fields
		assert.Len(t, log, 1)
	})
}

func TestWhatWasApprovedIsWhatIsSent(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, "/livepush save 主站 --url rtmp://ingest.example.com/live --key canary-key --protected")
		asked := w.say(ada, channel, "/livepush to 主站")
		w.say(ada, channel, "/livepush save 主站 --url rtmp://other.example.com/live --key canary-key-2 --protected")
		posts := w.press(ben, channel, asked, grammar.VerbApprove)
		assert.Contains(t, describe(posts), "changed after the approval")
		assert.Zero(t, w.tencent.sets)
	})
}

func TestLinksAreNotForWhoeverGuessesANumber(t *testing.T) {
	elsewhere := chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C9"}
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --live")
		for _, v := range []grammar.Verb{grammar.VerbCopy, grammar.VerbQR} {
			posts := w.button(ben, elsewhere, v, "systec:1591620801")
			assert.NotContains(t, describe(posts)+fmt.Sprintf("%+v", posts), "join.example", "%s", v)
			assert.Contains(t, posts[0].Reply.Text, "the meeting's card is in another channel")
			assert.NotContains(t, describe(w.button(ben, channel, v, "systec:1591620801")), "the meeting's card is in another channel")
			assert.NotContains(t, describe(w.button(ada, elsewhere, v, "systec:1591620801")), "the meeting's card is in another channel")
		}
	})
}

func TestAnOwnAccountVouchesForNoMeetingItDoesNotKnow(t *testing.T) {
	inWorld(t, func(c *Config) {
		c.Accounts = map[meeting.Provider]Accounts{"tencent": {Persons: map[string]string{"slack:U2": "bob"}}}
	}, func(w *world) {
		w.say(ada, channel, "/meet secret --provider tencent")
		w.tencent.failing(func(op string) error {
			if op == "get" {
				return refusal(meeting.ErrNotPermitted, "")
			}
			return nil
		})
		posts := w.say(ben, chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C9"}, "/meet share 806146601")
		assert.NotContains(t, describe(posts), "secret")
		assert.NotContains(t, describe(posts), "join.example")
	})
}

func TestANewMeetingWithTheSameDestinationsNeedsTheRightToMeet(t *testing.T) {
	inWorld(t, func(c *Config) {
		c.Policy.Push = []policy.Entry{{Platform: chattest.Slack, Kind: chat.UserEntry, ID: "U4"}, {Platform: chattest.Slack, Kind: chat.UserEntry, ID: "U1"}}
	}, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		pusher := chat.User{ID: "U4", Name: "Dora", Rights: chat.RightsKnown}
		posts := w.button(pusher, channel, grammar.VerbSameDest, "tencent:806146601")
		assert.Contains(t, describe(posts), "Only full members of this workspace can create meetings")
		assert.Equal(t, 1, w.tencent.created)
	})
}

func TestAButtonThatCreatesDoesSoOnce(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x")
		refused := w.say(ada, channel, pushLine)
		w.press(ada, channel, refused, grammar.VerbElsewhere)
		time.Sleep(time.Minute)
		posts := w.press(ada, channel, refused, grammar.VerbElsewhere)
		assert.Equal(t, "You just asked for this", find(t, posts, chat.SlotPrivate).Reply.Title)
		assert.Equal(t, 1, w.tencent.created)
	})
}

func TestAWornOutStartLinkIsNotKept(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x")
		w.systec.mu.Lock()
		w.systec.meetings["1591620801"].State = meeting.StateRunning
		w.systec.mu.Unlock()
		time.Sleep(systec.Kind.StartLinkLife + 10*time.Minute)
		reg, err := w.bot.registry.Get(w.t.Context(), meeting.Ref{Provider: "systec", ID: "1591620801"})
		require.NoError(t, err)
		assert.True(t, reg.Meeting.StartURL.IsZero())
	})
}

func TestATencentMeetingMayTakeAWhileToBeListed(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		posts := w.say(ada, channel, "/meet x --provider tencent")
		w.tencent.mu.Lock()
		m := w.tencent.meetings["806146601"]
		delete(w.tencent.meetings, "806146601")
		w.tencent.mu.Unlock()
		time.Sleep(2 * time.Minute)
		w.tencent.mu.Lock()
		m.State = meeting.StateRunning
		w.tencent.meetings["806146601"] = m
		w.tencent.mu.Unlock()
		assert.Empty(t, w.room.take(), "nothing was said of it meanwhile")
		time.Sleep(2 * time.Minute)
		assert.Contains(t, find(t, w.room.take(), chat.SlotEdit).Reply.Fields[1].Value, "Running", describe(posts))
	})
}

func TestEndingWhatTheProviderDoesNotKnowIsNotCalledEnded(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		posts := w.say(ada, channel, "/meet x")
		w.systec.failing(func(string) error { return refusal(meeting.ErrNotFound, meeting.ReasonMeeting) })
		assert.Contains(t, find(t, w.press(ada, channel, posts, grammar.VerbEndYes), chat.SlotPrivate).Reply.Text, "can't find that meeting")
	})
}

func TestAnOlderWordOnTheLiveStreamThatComesLateIsNotTaken(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		ref := meeting.Ref{Provider: "tencent", ID: "806146601"}
		at := time.Now()
		for i, e := range []meeting.Event{{At: at, State: meeting.StateRunning}, {At: at.Add(2 * time.Second), Live: meeting.LiveOff}, {At: at.Add(time.Second), Live: meeting.LiveOn}} {
			e.ID, e.Ref = fmt.Sprint(i), ref
			require.NoError(t, w.bot.Hear(w.t.Context(), e))
			w.settle()
		}
		reg, err := w.bot.registry.Get(w.t.Context(), ref)
		require.NoError(t, err)
		assert.NotContains(t, w.bot.cards.stateText(texts.For("en"), reg), "Live since")
	})
}

func TestEveryMessageOfTheSandboxSaysSo(t *testing.T) {
	inWorld(t, func(c *Config) { c.Parser.Sandbox = true }, func(w *world) {
		posts := w.say(ada, channel, "/meet x")
		posts = append(posts, w.press(ada, channel, posts, grammar.VerbEndYes)...)
		find(t, posts, chat.SlotEdit)
		for _, p := range posts {
			assert.Equal(t, "SANDBOX: nothing here is real", p.Reply.Note, "%s", p.Slot)
		}
	})
}

func TestACardOnAnotherPlatformNamesTheRequesterWithoutAMention(t *testing.T) {
	inWorld(t, func(c *Config) {
		c.Policy.Admins = []policy.Entry{{Platform: chattest.Discord, Kind: chat.UserEntry, ID: "7"}}
	}, func(w *world) {
		w.bot.Attach(chattest.Discord, w.room)
		w.say(ada, channel, "/meet x")
		posts := w.say(chat.User{ID: "7", Name: "Root"}, chat.Place{Platform: chattest.Discord, Team: "G", Channel: "1"}, "/meet share 1591620801")
		assert.Equal(t, chat.Field{Name: "Requested by", Value: "Ada"}, find(t, posts, chat.SlotRoot).Reply.Fields[0])
	})
}

func TestANewKeyDoesNotTakeTheSecondPersonAway(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, "/livepush save 主站 --url rtmp://ingest.example.com/live --key canary-key --protected")
		w.say(ada, channel, "/livepush save 主站 --url rtmp://ingest.example.com/live --key canary-key-2")
		w.say(ada, channel, "/livepush to 主站")
		assert.Zero(t, w.tencent.sets)
	})
}

func TestWhoMayOnlyUseADestinationDoesNotChangeIt(t *testing.T) {
	inWorld(t, func(c *Config) { c.Parser.KeyPage, c.KeyPageURL = true, "https://bot.example/k/" }, func(w *world) {
		w.say(ada, channel, "/livepush save 抖音 --preset douyin --url rtmp://push-rtmp-l6.douyincdn.com/third --key stream-1234567890123456789?expire=1900000000&sign=canary-key --override --channels <#C1>")
		time.Sleep(3 * time.Hour)
		w.say(ben, channel, "/meet x --provider tencent --live")
		private := find(t, w.say(ben, channel, "/livepush to 抖音"), chat.SlotPrivate)
		require.Len(t, private.Reply.Secrets, 1, describe([]chat.Post{private}))
		token := strings.TrimPrefix(private.Reply.Secrets[0].Value.Reveal(), "https://bot.example/k/")
		_, err := w.bot.SubmitKey(w.t.Context(), token, KeyEntry{URL: "rtmp://push-rtmp-l6.douyincdn.com/third", Key: secret.New("stream-9234567890123456789?expire=1900000000&sign=b"), Override: true})
		require.NoError(t, err)
		assert.Equal(t, "1 of 1 set", find(t, w.settle(), chat.SlotPrivate).Reply.Title)
		d, err := w.bot.saved.dests.ByName(w.t.Context(), livepush.Scope(channel, ada.ID), "抖音")
		require.NoError(t, err)
		assert.Contains(t, d.Key.Reveal(), "canary-key", "the owner's stays")
	})
}

func TestAForgottenDestinationIsToldAndLoggedThoughTheProcessEnded(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/livepush save 主站 --url rtmp://ingest.example.com/live --key canary-key")
		d, err := w.bot.saved.dests.ByName(w.t.Context(), livepush.Scope(channel, ada.ID), "主站")
		require.NoError(t, err)
		press := grammar.Press(grammar.VerbForgetYes, d.ForgetArg())
		r := w.request(ada, channel, chat.Request{Action: &press})
		data, err := records.Encode(work{
			Request: r, Since: r.At, Locale: "en", Ask: grammar.Ask{Verb: grammar.VerbForgetYes, Arg: press.Arg},
			Calls: []pushCall{{Target: meeting.PushTarget{Name: "主站"}, Fingerprint: "f"}},
		})
		require.NoError(t, err)
		require.NoError(t, w.bot.saved.dests.Forget(w.t.Context(), d), "the process ended behind this")
		_, err = w.store.Enqueue(w.t.Context(), jobs.Job{ID: jobID(r), Label: "x", State: jobs.Accepted, Created: time.Now(), Data: data})
		require.NoError(t, err)
		assert.Equal(t, "主站 is deleted", find(t, w.settle(), chat.SlotPrivate).Reply.Title)
		lines, err := audit.New(w.store).Of(w.t.Context(), meeting.Ref{})
		require.NoError(t, err)
		assert.Equal(t, audit.Forget, lines[len(lines)-1].Action)
	})
}
