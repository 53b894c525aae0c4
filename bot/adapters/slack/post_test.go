package slack

import (
	"bytes"
	"encoding/json"
	"errors"
	"image/png"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	slackapi "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/config/secret"
)

// asked delivers a command and returns its request, as a job has it.
func (w *world) asked(act slacktest.Act) chat.Request {
	w.Helper()
	w.deliver(w.http, act)
	all := w.bot.jobs()
	return all[len(all)-1]
}

func (w *world) slash(channel string) chat.Request {
	return w.asked(w.slack.Slash(channel, "U1", "/meet", ""))
}

func of(r chat.Request, slot chat.Slot, reply chat.Reply) chat.Post {
	return chat.Post{Slot: slot, Place: r.Place, User: r.User, Origin: r.Origin, Asked: r.At, Reply: reply}
}

func (w *world) post(p chat.Post) chat.Receipt {
	w.Helper()
	r, err := w.a.Post(w.ctx(), p)
	require.NoError(w, err)
	return r
}

var (
	card    = chat.Reply{Title: "Weekly", Links: []chat.Link{{Label: "Join", URL: "https://meet.example/j/1?pwd=a&b=c"}}}
	links   = chat.Reply{Links: []chat.Link{{Label: "Join", URL: "https://meet.example/j/1"}}}
	startIt = chat.Reply{Title: "Yours", Secrets: []chat.SecretField{{Name: "Start", Value: secret.New("https://meet.example/s/canary-start"), Link: true}}}
)

func TestMeetingIsPostedInTheChannelAndItsLinksInTheThread(t *testing.T) {
	w := newWorld(t)
	r := w.slash("C1")
	root := w.post(of(r, chat.SlotRoot, card))
	assert.Equal(t, root.Message, root.Place.Thread)
	in := func(slot chat.Slot, reply chat.Reply) {
		p := of(r, slot, reply)
		p.Root = &root
		w.post(p)
	}
	in(chat.SlotThread, links)
	in(chat.SlotThreadPrivate, startIt)
	in(chat.SlotPrivate, startIt)
	m := w.messages(4)
	type seen struct{ channel, thread, to string }
	var got []seen
	for _, m := range m {
		got = append(got, seen{m.Channel, m.Thread, m.To})
	}
	assert.Equal(t, []seen{{"C1", "", ""}, {"C1", root.Message, ""}, {"C1", root.Message, "U1"}, {"C1", "", "U1"}}, got)
	assert.False(t, m[2].Hook)
	assert.True(t, m[3].Hook, "where the command ran")
}

func TestMentionIsAnsweredInItsThread(t *testing.T) {
	w := newWorld(t)
	act, _ := w.slack.Mention("C1", "1.0", "U1", "<@U0BOT> meet")
	r := w.asked(act)
	root := w.post(of(r, chat.SlotRoot, card))
	assert.Equal(t, "1.0", root.Place.Thread)
	p := of(r, chat.SlotThread, links)
	p.Root = &root
	w.post(p)
	w.post(of(r, chat.SlotPrivate, startIt))
	for i, m := range w.messages(3) {
		assert.Equal(t, "1.0", m.Thread)
		assert.Equal(t, i == 2, m.To == "U1")
	}
}

// Slack shows an ephemeral message in a thread only if somebody has replied there.
func TestWhatIsPrivateIsNotPutIntoAThreadThatIsNotThereYet(t *testing.T) {
	w := newWorld(t)
	for name, act := range map[string]func() slacktest.Act{
		"Mention": func() slacktest.Act {
			act, _ := w.slack.Mention("C1", "", "U1", "<@U0BOT> meet")
			return act
		},
		"Shortcut": func() slacktest.Act { return w.slack.Shortcut("C1", "3.0", "", "U1", "the plan") },
	} {
		t.Run(name, func(t *testing.T) {
			before := len(w.slack.Messages())
			r := w.asked(act())
			w.post(of(r, chat.SlotProgress, chat.Reply{Text: "still at it"}))
			w.post(of(r, chat.SlotPrivate, chat.Reply{Text: "not allowed"}))
			root := w.post(of(r, chat.SlotRoot, card))
			p := of(r, chat.SlotPrivate, startIt)
			p.Root = &root
			w.post(p)
			m := w.messages(before + 4)[before:]
			for i, want := range []string{"", "", r.Place.Thread, r.Place.Thread} {
				assert.Equal(t, want, m[i].Thread, i)
				assert.Equal(t, i != 2, m[i].To == "U1", i)
			}
		})
	}
}

func TestAShortcutIsAnsweredInItsThreadWhereTheBotIsNotInTheChannel(t *testing.T) {
	w := newWorld(t)
	w.slack.Leave("C2")
	r := w.asked(w.slack.Shortcut("C2", "3.0", "", "U1", "the plan"))
	root := w.post(of(r, chat.SlotRoot, card))
	p := of(r, chat.SlotThread, links)
	p.Root = &root
	w.post(p)
	for _, m := range w.messages(2) {
		assert.True(t, m.Hook)
		assert.Empty(t, m.To)
		assert.Equal(t, "3.0", m.Thread)
	}
}

func TestAnswersGoToSlackAlone(t *testing.T) {
	w := newWorld(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("posted elsewhere") }))
	defer elsewhere.Close()
	act := w.slack.Slash("C1", "U1", "/meet", "")
	act.SetResponseURL(elsewhere.URL)
	w.post(of(w.asked(act), chat.SlotPrivate, startIt))
	m := w.messages(1)[0]
	assert.False(t, m.Hook)
	assert.Equal(t, "U1", m.To)
	for raw, want := range map[string]bool{
		"https://hooks.slack.com/commands/T1/1/x": true, "https://hooks.slack-gov.com/actions/T1/1/x": true,
		w.slack.URL + "/hook/1": true,
		"":                      false, "http://hooks.slack.com/x": false, "https://hooks.slack.com.evil.example/x": false,
		"https://hooks.slack.com:8443/x": false, "https://a@hooks.slack.com/x": false, "http://169.254.169.254/latest": false, ":": false,
	} {
		assert.Equal(t, want, w.a.isSlacks(raw), raw)
	}
}

func TestWithoutAccessEverythingComesThroughTheCommandsOwnResponse(t *testing.T) {
	w := newWorld(t)
	w.slack.Leave("C2")
	r := w.slash("C2")
	root := w.post(of(r, chat.SlotRoot, card))
	assert.True(t, root.InPlace)
	for _, slot := range []chat.Slot{chat.SlotThread, chat.SlotThreadPrivate, chat.SlotPrivate} {
		p := of(r, slot, map[chat.Slot]chat.Reply{chat.SlotThread: links}[slot])
		p.Root = &root
		if slot != chat.SlotThread {
			p.Reply = startIt
		}
		_, err := w.a.Post(w.ctx(), p)
		if slot == chat.SlotThreadPrivate {
			require.ErrorIs(t, err, chat.ErrSkip)
			continue
		}
		require.NoError(t, err)
	}
	m := w.messages(3)
	assert.Contains(t, string(m[0].Blocks), "/invite @meetbot")
	assert.Equal(t, []string{"", "", "U1"}, []string{m[0].To, m[1].To, m[2].To})
	for _, m := range m {
		assert.True(t, m.Hook)
		assert.Equal(t, "C2", m.Channel)
	}
	edit := of(r, chat.SlotEdit, card)
	edit.Edit = &root
	_, err := w.a.Post(w.ctx(), edit)
	require.ErrorIs(t, err, chat.ErrGone)
}

func TestPublicScopePostsWhereTheBotWasNotInvited(t *testing.T) {
	w := newWorld(t, "chat:write.public")
	w.slack.Leave("C2")
	root := w.post(of(w.slash("C2"), chat.SlotRoot, card))
	assert.False(t, root.InPlace)
	assert.False(t, w.messages(1)[0].Hook)
}

func TestPrivateAnswerFindsAWay(t *testing.T) {
	t.Run("FiveUsesThenEphemeral", func(t *testing.T) {
		w := newWorld(t)
		r := w.slash("C1")
		for range 7 {
			w.post(of(r, chat.SlotPrivate, startIt))
		}
		for i, m := range w.messages(7) {
			assert.Equal(t, i < 5, m.Hook)
			assert.Equal(t, "U1", m.To)
		}
		assert.Len(t, w.slack.Calls("response_url"), 5, "no sixth use is tried")
	})
	t.Run("ExpiredAtSlackThenEphemeral", func(t *testing.T) {
		w := newWorld(t)
		r := w.slash("C1")
		w.slack.ExpireHooks()
		w.post(of(r, chat.SlotPrivate, startIt))
		w.post(of(r, chat.SlotPrivate, startIt))
		for _, m := range w.messages(2) {
			assert.False(t, m.Hook)
			assert.Equal(t, "U1", m.To)
		}
		assert.Len(t, w.slack.Calls("response_url"), 1, "it is not tried again")
	})
	t.Run("HalfAnHourLater", func(t *testing.T) {
		w := newWorld(t)
		r := w.slash("C1")
		r.Origin = origin{Hook: decodeOrigin(r.Origin).Hook, User: "U1", At: time.Now().Add(-hookLife)}.encode()
		w.post(of(r, chat.SlotPrivate, startIt))
		assert.Empty(t, w.slack.Calls("response_url"))
	})
	t.Run("NotInTheChannelThenDirect", func(t *testing.T) {
		w := newWorld(t)
		w.slack.Leave("C2")
		r := w.slash("C2")
		w.slack.ExpireHooks()
		w.post(of(r, chat.SlotPrivate, startIt))
		assert.Equal(t, "DU1", w.messages(1)[0].Channel)
	})
	t.Run("EveryWayClosed", func(t *testing.T) {
		w := newWorld(t)
		w.slack.Leave("C2")
		w.slack.Leave("DU1")
		r := w.slash("C2")
		w.slack.ExpireHooks()
		_, err := w.a.Post(w.ctx(), of(r, chat.SlotPrivate, startIt))
		require.ErrorIs(t, err, chat.ErrLost)
		_, err = w.a.Post(w.ctx(), of(r, chat.SlotRoot, card))
		require.ErrorIs(t, err, chat.ErrLost)
	})
	t.Run("NoPrivateWayThenTheChannelHearsThatThereIsAnAnswer", func(t *testing.T) {
		w := newWorld(t)
		w.slack.Leave("DU1")
		w.slack.Fail("chat.postEphemeral", slacktest.Fault{Error: "user_not_in_channel"})
		r := w.slash("C1")
		w.slack.ExpireHooks()
		w.post(of(r, chat.SlotPrivate, startIt))
		m := w.messages(1)[0]
		assert.Equal(t, "C1", m.Channel)
		assert.Empty(t, m.To)
		assert.Contains(t, string(m.Blocks), "@U1")
		assert.Contains(t, m.Text, "can't message you")
		assert.NotContains(t, m.Text+string(m.Blocks), "https://")
	})
	t.Run("AHiccupOfTheLastPrivateWayIsWaitedFor", func(t *testing.T) {
		w := newWorld(t)
		w.slack.Fail("chat.postEphemeral", slacktest.Fault{Error: "user_not_in_channel"})
		w.slack.Fail("conversations.open", slacktest.Fault{Status: 503})
		r := w.slash("C1")
		w.slack.ExpireHooks()
		p := of(r, chat.SlotPrivate, startIt)
		p.Tried = true
		_, err := w.a.Post(w.ctx(), p)
		require.Error(t, err)
		assert.Empty(t, w.slack.Messages())
	})
	t.Run("SlackHiccupIsTriedAgainTheSameWay", func(t *testing.T) {
		w := newWorld(t)
		w.slack.Fail("response_url", slacktest.Fault{Status: 503})
		_, err := w.a.Post(w.ctx(), of(w.slash("C1"), chat.SlotPrivate, startIt))
		require.Error(t, err)
		require.NotErrorIs(t, err, chat.ErrLost)
		assert.Empty(t, w.slack.Messages())
	})
	t.Run("AnotherWayWhenTheFirstStaysBroken", func(t *testing.T) {
		w := newWorld(t)
		p := of(w.slash("C1"), chat.SlotPrivate, startIt)
		p.Tried = true
		w.slack.Fail("response_url", slacktest.Fault{Status: 503})
		w.post(p)
		assert.False(t, w.messages(1)[0].Hook)
	})
	t.Run("NobodySeesItInPublic", func(t *testing.T) {
		w := newWorld(t)
		w.slack.Fail("chat.postEphemeral", slacktest.Fault{Error: "user_not_in_channel"})
		act, _ := w.slack.Mention("C1", "1.0", "U1", "<@U0BOT> meet")
		w.post(of(w.asked(act), chat.SlotPrivate, startIt))
		assert.Equal(t, "DU1", w.messages(1)[0].Channel)
	})
}

func TestNothingToSettleAndProgressIsTriedOnce(t *testing.T) {
	w := newWorld(t)
	r := w.slash("C1")
	_, err := w.a.Post(w.ctx(), of(r, chat.SlotSettle, card))
	require.ErrorIs(t, err, chat.ErrSkip)
	w.post(of(r, chat.SlotProgress, chat.Reply{Text: "still at it"}))
	assert.Equal(t, "U1", w.messages(1)[0].To)
	w.slack.Fail("response_url", slacktest.Fault{Status: 500})
	w.slack.Fail("chat.postEphemeral", slacktest.Fault{Status: 500})
	w.slack.Fail("conversations.open", slacktest.Fault{Status: 500})
	_, err = w.a.Post(w.ctx(), of(r, chat.SlotProgress, chat.Reply{Text: "still at it"}))
	require.ErrorIs(t, err, chat.ErrSkip)
}

func TestRetryAfterIsObeyedPerMethod(t *testing.T) {
	w := newWorld(t)
	r := w.slash("C1")
	w.slack.Fail("chat.postMessage", slacktest.Fault{RetryAfter: 7})
	var limited *chat.RetryAfter
	_, err := w.a.Post(w.ctx(), of(r, chat.SlotRoot, card))
	require.ErrorAs(t, err, &limited)
	assert.Equal(t, 7*time.Second, limited.After)
	_, err = w.a.Post(w.ctx(), of(r, chat.SlotRoot, card))
	require.ErrorAs(t, err, &limited)
	assert.Greater(t, limited.After, 5*time.Second)
	assert.Len(t, w.slack.Calls("chat.postMessage"), 1, "nothing is sent before the time is over")
	w.post(of(r, chat.SlotPrivate, startIt))
	w.slack.Fail("response_url", slacktest.Fault{RetryAfter: 3})
	_, err = w.a.Post(w.ctx(), of(r, chat.SlotPrivate, startIt))
	require.ErrorAs(t, err, &limited)
	assert.Equal(t, 3*time.Second, limited.After)
}

func TestLostAnswer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		scopes []string
		want   int
	}{
		{"HistoryFindsTheMessage", []string{"channels:history"}, 1},
		{"WithoutHistoryItIsShownTwice", nil, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.scopes...)
			p := of(w.slash("C1"), chat.SlotRoot, card)
			p.Key = "job1-0"
			w.slack.Fail("chat.postMessage", slacktest.Fault{Lost: true})
			_, err := w.a.Post(w.ctx(), p)
			require.Error(t, err)
			require.NotErrorIs(t, err, chat.ErrLost)
			p.Tried = true
			root := w.post(p)
			m := w.messages(tt.want)
			assert.Equal(t, m[len(m)-1].TS, root.Message)

			p = of(w.bot.jobs()[0], chat.SlotThread, links)
			p.Root, p.Key = &root, "job1-1"
			w.slack.Fail("chat.postMessage", slacktest.Fault{Lost: true})
			_, err = w.a.Post(w.ctx(), p)
			require.Error(t, err)
			p.Tried = true
			w.post(p)
			w.messages(2 * tt.want)
		})
	}
}

func TestEditReplacesTheCard(t *testing.T) {
	w := newWorld(t)
	r := w.slash("C1")
	root := w.post(of(r, chat.SlotRoot, card))
	edit := of(r, chat.SlotEdit, chat.Reply{Title: "Ended"})
	edit.Edit = &root
	w.post(edit)
	m := w.messages(1)[0]
	assert.Equal(t, 1, m.Edits)
	assert.Contains(t, string(m.Blocks), "Ended")
	edit.Edit = &chat.Receipt{Place: root.Place, Message: "9.9"}
	_, err := w.a.Post(w.ctx(), edit)
	require.ErrorIs(t, err, chat.ErrGone)
}

func TestEditsThatWaitAreMadeOnceWithTheNewestState(t *testing.T) {
	w := newWorld(t)
	r := w.slash("C1")
	root := w.post(of(r, chat.SlotRoot, card))
	var waiting atomic.Int32
	w.a.at(slacktest.Team).poster.edits = kit.NewEdits(300*time.Millisecond, time.Minute, func(time.Duration) { waiting.Add(1) })
	var wg sync.WaitGroup
	for i := range 5 {
		edit := of(r, chat.SlotEdit, chat.Reply{Title: "state " + string(rune('a'+i))})
		edit.Edit = &root
		wg.Go(func() {
			_, err := w.a.Post(w.ctx(), edit)
			assert.NoError(t, err)
		})
		require.Eventually(t, func() bool {
			return waiting.Load() >= int32(i) // the first does not have to
		}, hang, time.Millisecond)
	}
	wg.Wait()
	m := w.messages(1)[0]
	assert.Less(t, m.Edits, 5)
	assert.Contains(t, string(m.Blocks), "state e")
}

func TestQRCodeIsAnImageInTheThread(t *testing.T) {
	reply := chat.Reply{Title: "Weekly", QR: "https://meet.example/w/1", QRCaption: "Watch <here>", Buttons: nil}
	t.Run("WithScope", func(t *testing.T) {
		w := newWorld(t, "files:write")
		r := w.slash("C1")
		root := w.post(of(r, chat.SlotRoot, card))
		p := of(r, chat.SlotThread, reply)
		p.Root = &root
		w.post(p)
		uploads := w.slack.Uploads()
		require.Len(t, uploads, 1)
		assert.Equal(t, []string{"C1", root.Message}, []string{uploads[0].Channel, uploads[0].Thread})
		img, err := png.Decode(bytes.NewReader(uploads[0].Content))
		require.NoError(t, err)
		assert.Equal(t, 512, img.Bounds().Dx())
		assert.NotContains(t, uploads[0].Comment, "<here>")
		p.Slot = chat.SlotPrivate
		w.post(p)
		assert.Equal(t, "DU1", w.slack.Uploads()[1].Channel)
	})
	t.Run("WithoutScopeTheLinkIsText", func(t *testing.T) {
		w := newWorld(t)
		w.post(of(w.slash("C1"), chat.SlotThread, reply))
		assert.Contains(t, string(w.messages(1)[0].Blocks), "https://meet.example/w/1")
	})
}

func TestFormInAChannelWithoutTheBotIsAnsweredThroughItsCommand(t *testing.T) {
	w := newWorld(t)
	w.slack.Leave("C2")
	form := chat.Form{ID: "push", Arg: "tencent:1", Title: "Set", Submit: "Set", Fields: []chat.FormField{{Name: "name", Label: "Name"}}}
	w.bot.parse = func(r chat.Request) chat.Decision {
		if r.Form == nil {
			return chat.Decision{Form: &form}
		}
		return chat.Decision{Ask: &grammar.Ask{Verb: grammar.VerbPush}, Request: r}
	}
	w.deliver(w.socket, w.slack.Slash("C2", "U1", "/livepush", ""))
	require.NoError(t, w.slack.Wait(w.ctx(), func() bool { return len(w.slack.Views()) == 1 }))
	v := w.slack.Views()[0]
	assert.NotContains(t, string(v.Payload), "hook-canary", "the response_url stays here")
	act, err := w.slack.Submit(v, "U1", map[string]string{"name": "bili"})
	require.NoError(t, err)
	r := w.asked(act)
	w.post(of(r, chat.SlotPrivate, startIt))
	m := w.messages(1)[0]
	assert.True(t, m.Hook)
	assert.Equal(t, "U1", m.To)
}

func TestSecretsAreNowhereTheyShouldNotBe(t *testing.T) {
	w := newWorld(t, "files:write", "channels:history")
	r := w.slash("C1")
	root := w.post(of(r, chat.SlotRoot, card))
	var errs []string
	for _, method := range []string{"response_url", "chat.postEphemeral", "chat.postMessage", "conversations.open", "chat.update", "files.getUploadURLExternal"} {
		for _, f := range []slacktest.Fault{{Error: "invalid_blocks"}, {Status: 500}, {Lost: true}, {Error: "fatal_error"}} {
			w.slack.Fail(method, f)
			for _, slot := range []chat.Slot{chat.SlotPrivate, chat.SlotThread, chat.SlotThreadPrivate, chat.SlotEdit, chat.SlotDirect} {
				p := of(r, slot, startIt)
				if slot == chat.SlotThread || slot == chat.SlotEdit {
					p.Reply = links
					p.Reply.QR = "https://meet.example/w/1"
				}
				p.Root, p.Edit = &root, &root
				if _, err := w.a.Post(w.ctx(), p); err != nil {
					errs = append(errs, err.Error())
				}
			}
		}
	}
	require.NotEmpty(t, errs)
	out := w.log.String() + strings.Join(errs, "\n")
	assert.NotContains(t, out, "canary", "no token, signing secret, socket ticket, response_url or start link")
	for _, m := range w.slack.Messages() {
		assert.NotContains(t, m.Text, "canary-start", "what a locked screen shows")
		if m.To == "" && !strings.HasPrefix(m.Channel, "D") {
			assert.NotContains(t, string(m.Blocks), "canary-start")
		}
	}
	for _, c := range w.slack.Calls("") {
		assert.NotContains(t, c.Form.Encode()+string(c.Body), slacktest.SigningSecret)
	}
	b, err := json.Marshal(w.a.Health())
	require.NoError(t, err)
	assert.NotContains(t, string(b), "canary")
}

func TestUnreachableResponseURLIsNotQuoted(t *testing.T) {
	w := newWorld(t)
	p := of(w.slash("C1"), chat.SlotPrivate, startIt)
	p.Origin = origin{Hook: "http://127.0.0.1:1/canary-hook", User: "U1", At: time.Now()}.encode()
	_, err := w.a.Post(w.ctx(), p)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "canary")
	var failed *APIError
	require.True(t, errors.As(err, &failed))
	assert.Equal(t, "transport", failed.Kind)
}

func TestPrivateAnswerOfSomebodyElsesCommandIsNotShownToTheRequester(t *testing.T) {
	w := newWorld(t)
	p := of(w.slash("C1"), chat.SlotPrivate, startIt)
	p.User = chat.User{ID: "U2"}
	w.post(p)
	m := w.messages(1)[0]
	assert.Equal(t, "U2", m.To)
	assert.False(t, m.Hook)
}

// TestWithoutBlocksTheTextAloneIsPosted: Slack has refused valid ones for hours.
func TestWithoutBlocksTheTextAloneIsPosted(t *testing.T) {
	for method, slot := range map[string]chat.Slot{"chat.postMessage": chat.SlotRoot, "response_url": chat.SlotPrivate, "chat.postEphemeral": chat.SlotThreadPrivate} {
		t.Run(string(slot), func(t *testing.T) {
			w := newWorld(t)
			w.slack.Fail(method, slacktest.Fault{Error: "invalid_blocks"})
			reply := chat.Reply{Title: "Weekly <sync>", Links: []chat.Link{{Label: "Join", URL: "https://meeting.example.com/j/1"}}, Fields: []chat.Field{{Name: "Number", Value: "806 146 667"}}}
			if slot != chat.SlotRoot {
				reply.Secrets = []chat.SecretField{{Name: "Start", Value: secret.New("https://meeting.example.com/start"), Link: true}}
			}
			p := of(w.slash("C1"), slot, reply)
			p.Root = &chat.Receipt{Place: chat.Place{Platform: Platform, Team: slacktest.Team, Channel: "C1", Thread: "1.1"}, Message: "1.1"}
			_, err := w.a.Post(t.Context(), p)
			require.NoError(t, err)
			calls := w.slack.Calls(method)
			require.Len(t, calls, 2)
			last := calls[1]
			text := last.Form.Get("text") + string(last.Body)
			for _, want := range []string{"Weekly", "https://meeting.example.com/j/1", "806 146 667"} {
				assert.Contains(t, text, want)
			}
			assert.NotContains(t, text, "<sync>", "it is text")
			assert.Empty(t, last.Form.Get("blocks"))
			assert.NotContains(t, text, "example.com/start", "a locked screen shows the text")
			assert.Contains(t, w.log.String(), "Slack refuses the message's blocks")
		})
	}
}

func TestNumbersOutOfBoundsInHeadersHoldNothingUpForGood(t *testing.T) {
	w := newWorld(t)
	for _, seconds := range []int64{math.MinInt64, -1, 0, 1 << 40, 9_300_000_000, math.MaxInt64} {
		limited := &slackapi.RateLimitedError{RetryAfter: time.Duration(seconds) * time.Second} // as the library multiplies it
		var after *chat.RetryAfter
		require.ErrorAs(t, w.a.web.fault("chat.postMessage", "", limited), &after)
		assert.True(t, after.After >= time.Second && after.After <= time.Hour, "%d: %v", seconds, after.After)
	}
}

func TestWhatSlackSaysIsTakenAsACodeOrNotAtAll(t *testing.T) {
	w := newWorld(t)
	for said, want := range map[string]string{
		"not_in_channel": "not_in_channel", "xoxb-canary-token": "other", "\x1b]0;x\x07": "other", "a canary\u202e": "other",
		"": "other", strings.Repeat("a", 65): "other",
	} {
		err := w.a.web.fault("chat.postMessage", "", slackapi.SlackErrorResponse{Err: said})
		assert.EqualError(t, err, "chat.postMessage: "+want)
	}
}

// A card whose edit Slack refuses the message's blocks of becomes plain text, and one whose edit it refuses for
// a reason that is not documented is not given up: the next edit may be taken.
func TestAnEditThatSlackRefuses(t *testing.T) {
	w := newWorld(t)
	r := w.slash("C1")
	root := w.post(of(r, chat.SlotRoot, card))
	edit := of(r, chat.SlotEdit, chat.Reply{Title: "Ended"})
	edit.Edit = &root
	w.slack.Fail("chat.update", slacktest.Fault{Error: "invalid_blocks"})
	w.post(edit)
	m := w.messages(1)[0]
	assert.Contains(t, m.Text, "Ended")
	assert.Equal(t, "[]", string(m.Blocks), "the old ones say something else")
	for code, want := range map[string]error{"restricted_action": chat.ErrLost, "message_not_found": chat.ErrGone, "something_new": chat.ErrLost} {
		w.slack.Fail("chat.update", slacktest.Fault{Error: code})
		_, err := w.a.Post(w.ctx(), edit)
		require.ErrorIs(t, err, want, code)
	}
}
