package discord

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/config/secret"
)

const (
	routeMessage  = "POST /channels/{channel_id}/messages"
	routeThread   = "POST /channels/{channel_id}/messages/{message_id}/threads"
	routeOriginal = "PATCH /webhooks/{application_id}/{interaction_token}/messages/{message_id}"
	routeFollowUp = "POST /webhooks/{application_id}/{interaction_token}"
)

func TestTheDeferredReplyBecomesTheRootOfAThread(t *testing.T) {
	t.Parallel()
	w := start(t, overGateway)
	d := w.job(meetIn(w, discordtest.InGuild(channel)))
	root, err := w.post(d, chat.SlotRoot, func(p *chat.Post) { p.Reply.Title = strings.Repeat("周会", 60) })
	require.NoError(t, err)
	require.Len(t, w.server.In(channel), 1)
	shown := w.server.In(channel)[0]
	assert.False(t, shown.Loading())
	threads := w.server.Threads(channel)
	require.Len(t, threads, 1)
	assert.Len(t, []rune(threads[0].Name), 100)
	assert.Equal(t, chat.Receipt{
		Place:   chat.Place{Platform: Platform, Team: discordtest.GuildID, Channel: channel, Thread: shown.ID},
		Message: shown.ID,
	}, root)

	links, err := w.post(d, chat.SlotThread, under(root), text("links"))
	require.NoError(t, err)
	require.Len(t, w.server.In(shown.ID), 1)
	assert.Equal(t, w.server.In(shown.ID)[0].ID, links.Message)
	assert.Equal(t, shown.ID, links.Place.Thread)

	_, err = w.post(d, chat.SlotPrivate, under(root), text("start link"))
	require.NoError(t, err)
	assert.Len(t, w.server.In(channel), 1, "the private part is not in the channel")
	require.Len(t, w.server.For(alice), 1)
	assert.Equal(t, channel, w.server.For(alice)[0].Channel, "but where the command ran")

	_, err = w.post(d, chat.SlotThreadPrivate)
	require.ErrorIs(t, err, chat.ErrSkip)

	_, err = w.post(d, chat.SlotEdit, text("ended"), func(p *chat.Post) { p.Edit = &root })
	require.NoError(t, err)
	assert.Contains(t, w.server.In(channel)[0].Text(), "ended")
	_, err = w.post(d, chat.SlotEdit, text("edited"), func(p *chat.Post) { p.Edit = &links })
	require.NoError(t, err)
	assert.Contains(t, w.server.In(shown.ID)[0].Text(), "edited")

	w.server.Delete(shown.ID)
	_, err = w.post(d, chat.SlotEdit, func(p *chat.Post) { p.Edit = &root })
	require.ErrorIs(t, err, chat.ErrGone)
}

func TestWhereThereCanBeNoThread(t *testing.T) {
	t.Parallel()
	without := func(bit int64) discordtest.Where {
		where := discordtest.InGuild(channel)
		where.App &^= bit
		return where
	}
	voice := discordtest.InGuild(channel)
	voice.Kind = discordtest.Voice
	for name, tt := range map[string]struct {
		where discordtest.Where
		in    string // where the messages are
		says  string
		want  chat.Receipt
	}{
		"InAThread":                 {where: discordtest.InThread(thread, channel), in: thread, want: chat.Receipt{Place: chat.Place{Channel: channel, Thread: thread}}},
		"InADirectMessage":          {where: discordtest.InDirect(dm), in: dm, want: chat.Receipt{InPlace: true}},
		"InAVoiceChannel":           {where: voice, in: channel, want: chat.Receipt{InPlace: true}},
		"WithoutCreateThreads":      {where: without(1 << 35), in: channel, says: "Create Public Threads", want: chat.Receipt{InPlace: true}},
		"WithoutSendingInThreads":   {where: without(1 << 38), in: channel, says: "Send Messages in Threads", want: chat.Receipt{InPlace: true}},
		"WithoutSeeingTheChannel":   {where: without(1 << 10), in: channel, says: "View Channel", want: chat.Receipt{InPlace: true}},
		"AdministratorsMayAnything": {where: discordtest.Where{Channel: channel, App: 8, Permissions: 8}, in: channel, want: chat.Receipt{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, overGateway)
			d := w.job(meetIn(w, tt.where))
			root, err := w.post(d, chat.SlotRoot)
			require.NoError(t, err)
			assert.Equal(t, tt.want.InPlace, root.InPlace)
			if name != "AdministratorsMayAnything" {
				assert.Equal(t, tt.want.Place.Thread, root.Place.Thread)
				assert.Zero(t, w.server.Called(routeThread))
			}
			_, err = w.post(d, chat.SlotThread, under(root), text("links"))
			require.NoError(t, err)
			shown := w.server.All()
			require.Len(t, shown, 2)
			assert.Equal(t, tt.in, shown[0].Channel)
			if tt.says != "" {
				assert.Contains(t, shown[0].Text(), tt.says)
			} else {
				assert.NotContains(t, shown[0].Text(), "permission")
			}
		})
	}
}

func TestAThreadThatIsRefusedAfterAllIsDoneWithout(t *testing.T) {
	w := start(t, overGateway)
	w.server.Deny(routeThread, channel)
	d := w.job(meetIn(w, discordtest.InGuild(channel)))
	root, err := w.post(d, chat.SlotRoot)
	require.NoError(t, err)
	assert.True(t, root.InPlace)
}

// TestAMessageThatIsGoneBeforeItsThreadIsNotPostedAgain: a bot that keeps a channel clean may
// delete the card at once. Another card every few seconds would not stay either.
func TestAMessageThatIsGoneBeforeItsThreadIsNotPostedAgain(t *testing.T) {
	for _, code := range []int{10008, 10003} {
		w := start(t, overGateway)
		w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
			if c.String() == routeThread {
				return &discordtest.Fault{Status: http.StatusNotFound, Code: code}
			}
			return nil
		})
		d := w.job(meetIn(w, discordtest.InGuild(channel)))
		root, err := w.post(d, chat.SlotRoot)
		require.NoError(t, err, code)
		assert.True(t, root.InPlace, code)
		assert.NotEmpty(t, root.Message, code)
		w.server.Delete(root.Message)
		links, err := w.post(d, chat.SlotThread, under(root), text("links"))
		require.NoError(t, err, code)
		assert.Equal(t, channel, w.server.Message(links.Message).Channel, code)
		w.server.Fail(nil)
	}
}

// TestAnotherApplicationsCardIsGone: who sets up the application anew keeps the store.
func TestAnotherApplicationsCardIsGone(t *testing.T) {
	w := start(t, overGateway)
	d := w.job(meetIn(w, discordtest.InGuild(channel)))
	root, err := w.post(d, chat.SlotRoot)
	require.NoError(t, err)
	w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
		if c.Method == http.MethodPatch && strings.HasPrefix(c.Route, "/channels/") {
			return &discordtest.Fault{Status: http.StatusForbidden, Code: 50005}
		}
		return nil
	})
	_, err = w.post(d, chat.SlotEdit, text("ended"), func(p *chat.Post) { p.Edit = &root })
	require.ErrorIs(t, err, chat.ErrGone)
	w.server.Fail(nil)
}

func TestWhereTheBotMayNotWriteItFollowsUp(t *testing.T) {
	w := start(t, overGateway)
	w.server.Deny(routeMessage, channel)
	where := discordtest.InGuild(channel)
	where.App = 0
	d := w.job(meetIn(w, where))
	root, err := w.post(d, chat.SlotRoot)
	require.NoError(t, err)
	_, err = w.post(d, chat.SlotThread, under(root), text("links"))
	require.NoError(t, err)
	assert.Len(t, w.server.In(channel), 2)

	w.clock.forward(16 * time.Minute)
	_, err = w.post(d, chat.SlotThread, under(root), text("more"))
	require.ErrorIs(t, err, chat.ErrLost)
}

// "Run it now" is acknowledged privately. What it makes is for everybody all the same.
func TestARootOfAPrivateClickIsPublicWhereTheBotMayNotWrite(t *testing.T) {
	w := start(t, overGateway)
	w.server.Deny(routeMessage, channel)
	where := discordtest.InGuild(channel)
	where.App = 0
	first := w.job(meetIn(w, where))
	card, err := w.post(first, chat.SlotRoot)
	require.NoError(t, err)
	click := w.server.Click(alice, where, card.Message, chat.Action{Name: string(grammar.VerbRunExpired), Arg: "job"}.String())
	d := w.job(click)
	require.NotZero(t, click.Ack.Flags()&discordtest.Ephemeral)
	before := len(w.server.In(channel))
	root, err := w.post(d, chat.SlotRoot, text("made now"))
	require.NoError(t, err)
	assert.True(t, root.InPlace)
	_, err = w.post(d, chat.SlotThread, under(root), text("its links"))
	require.NoError(t, err)
	_, err = w.post(d, chat.SlotPrivate, under(root), text("yours alone"))
	require.NoError(t, err)
	seen := w.server.In(channel)[before:]
	require.Len(t, seen, 2)
	assert.Contains(t, seen[0].Text(), "made now")
	assert.Contains(t, seen[1].Text(), "its links")
	private := w.server.For(alice)
	assert.Contains(t, private[len(private)-1].Text(), "yours alone")
	assert.NotContains(t, seen[0].Text()+seen[1].Text(), "yours alone")
}

func TestAPrivateAnswerReplacesThePrivatePlaceholder(t *testing.T) {
	w := start(t, overGateway)
	d := w.job(w.server.Command(alice, discordtest.InGuild(channel), "en-US", "meetings list"))
	_, err := w.post(d, chat.SlotProgress, text("still at it"))
	require.NoError(t, err)
	_, err = w.post(d, chat.SlotPrivate, text("one"))
	require.NoError(t, err)
	_, err = w.post(d, chat.SlotPrivate, text("one"), tried) // its receipt was lost
	require.NoError(t, err)
	_, err = w.post(d, chat.SlotPrivate, text("two"))
	require.NoError(t, err)
	_, err = w.post(d, chat.SlotProgress, text("too late"))
	require.ErrorIs(t, err, chat.ErrSkip)
	_, err = w.post(d, chat.SlotSettle)
	require.ErrorIs(t, err, chat.ErrSkip)

	told := w.server.For(alice)
	require.Len(t, told, 2)
	assert.Equal(t, "one", told[0].Text())
	assert.Equal(t, "two", told[1].Text())
	assert.Empty(t, w.server.In(channel))
}

// An answer that comes while it is said that it takes longer stays.
func TestWhatTakesLongerReplacesNoAnswer(t *testing.T) {
	w := start(t, overGateway)
	d := w.job(w.server.Command(alice, discordtest.InGuild(channel), "en-US", "meetings list"))
	answered := make(chan error, 1)
	var edits atomic.Int64
	w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
		if c.Method == http.MethodPatch && edits.Add(1) == 1 {
			go func() { _, err := w.post(d, chat.SlotPrivate, text("the answer")); answered <- err }()
			for end := time.Now().Add(300 * time.Millisecond); len(answered) == 0 && time.Now().Before(end); {
				time.Sleep(time.Millisecond) // it may come first
			}
		}
		return nil
	})
	_, err := w.post(d, chat.SlotProgress, text("still at it"))
	require.NoError(t, err)
	require.NoError(t, <-answered)
	require.Len(t, w.server.For(alice), 1)
	assert.Equal(t, "the answer", w.server.For(alice)[0].Text())
}

// Another replica, which has not heard that this one answers, says that it takes longer: it looks
// before the answer, and edits after it.
func TestWhatAnotherReplicaSaysReplacesNoAnswer(t *testing.T) {
	t.Parallel()
	w := start(t, overGateway)
	d := w.job(w.server.Command(alice, discordtest.InGuild(channel), "en-US", "meetings list"))
	w.clock.forward(9 * time.Second)
	other := *w
	other.a = w.adapter(overGateway)
	stands, answered, replaced := make(chan struct{}), make(chan error, 1), make(chan error, 1)
	w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
		if c.Method == http.MethodPatch && strings.Contains(string(c.Body), "still at it") {
			go func() { _, err := w.post(d, chat.SlotPrivate, text("the answer")); answered <- err }()
			return &discordtest.Fault{Hold: stands}
		}
		return nil
	})
	go func() { _, err := other.post(d, chat.SlotProgress, text("still at it")); replaced <- err }()
	shown := func() []discordtest.Message { return w.server.For(alice) }
	w.server.Until("the answer stands", func() bool { return len(shown()) == 1 && shown()[0].Text() == "the answer" })
	close(stands)
	require.NoError(t, <-replaced)
	require.NoError(t, <-answered)
	require.Len(t, shown(), 1)
	assert.Equal(t, "the answer", shown()[0].Text())
	assert.False(t, slices.ContainsFunc(w.server.Calls(), func(c discordtest.Call) bool {
		return c.Method == http.MethodPost && strings.Contains(c.Route, "/webhooks/")
	}))
}

// Discord puts the first follow-up in the place of a placeholder, whoever sees that.
func TestAPrivateAnswerNeverReplacesAPublicPlaceholder(t *testing.T) {
	for name, settleFirst := range map[string]bool{"AfterSettling": true, "ByItself": false} {
		t.Run(name, func(t *testing.T) {
			w := start(t, overGateway)
			d := w.job(meetIn(w, discordtest.InGuild(channel)))
			if settleFirst {
				_, err := w.post(d, chat.SlotSettle, text("nothing came of it"))
				require.NoError(t, err)
			}
			_, err := w.post(d, chat.SlotPrivate, text("you may not"))
			require.NoError(t, err)
			public := w.server.In(channel)
			require.Len(t, public, 1)
			assert.False(t, public[0].Loading())
			assert.NotContains(t, public[0].Text(), "you may not")
			require.Len(t, w.server.For(alice), 1)
			assert.Equal(t, "you may not", w.server.For(alice)[0].Text())
			_, err = w.post(d, chat.SlotProgress)
			require.ErrorIs(t, err, chat.ErrSkip)
		})
	}
}

func TestAfterTheTokenHasExpired(t *testing.T) {
	t.Parallel()
	t.Run("BeforeAnythingWasPosted", func(t *testing.T) {
		w := start(t, overGateway)
		d := w.job(meetIn(w, discordtest.InGuild(channel)))
		w.clock.forward(16 * time.Minute)
		root, err := w.post(d, chat.SlotRoot, text("root"))
		require.NoError(t, err)
		assert.Equal(t, root.Message, root.Place.Thread)
		assert.Equal(t, "root", w.server.Message(root.Message).Text())
		_, err = w.post(d, chat.SlotPrivate, under(root), text("start link"))
		require.NoError(t, err)
		told := w.server.For(alice)
		require.Len(t, told, 1)
		assert.NotEqual(t, channel, told[0].Channel)
		assert.Equal(t, "start link", told[0].Text())
		for _, m := range w.server.In(channel) {
			assert.NotContains(t, m.Text(), "start link")
		}
		_, err = w.post(d, chat.SlotSettle)
		require.ErrorIs(t, err, chat.ErrSkip)
		_, err = w.post(d, chat.SlotProgress)
		require.ErrorIs(t, err, chat.ErrSkip)
	})
	t.Run("AndThePersonTakesNoDirectMessages", func(t *testing.T) {
		w := start(t, overGateway)
		d := w.job(meetIn(w, discordtest.InGuild(channel)))
		w.clock.forward(16 * time.Minute)
		w.server.CloseDirect(alice)
		_, err := w.post(d, chat.SlotPrivate, text("start link"))
		require.NoError(t, err)
		said := w.server.In(channel)
		assert.Contains(t, said[len(said)-1].Text(), "<@"+alice+">")
		assert.Contains(t, said[len(said)-1].Text(), "can't message you")
		for _, m := range w.server.All() {
			assert.NotContains(t, m.Text(), "start link")
		}
		w.server.Deny(routeMessage, channel)
		_, err = w.post(d, chat.SlotPrivate, text("start link"))
		require.ErrorIs(t, err, chat.ErrLost)
	})
	t.Run("EarlierThanExpected", func(t *testing.T) {
		w := start(t, overGateway)
		d := w.job(meetIn(w, discordtest.InGuild(channel)))
		w.clock.forward(time.Minute)
		w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
			if c.Auth == "" {
				return &discordtest.Fault{Status: http.StatusUnauthorized, Code: 50027}
			}
			return nil
		})
		root, err := w.post(d, chat.SlotRoot)
		require.NoError(t, err)
		_, err = w.post(d, chat.SlotPrivate, under(root), text("start link"))
		require.NoError(t, err)
		assert.Len(t, w.server.For(alice), 1)
	})
}

func TestAPostWaitsForTheAcknowledgement(t *testing.T) {
	w := start(t, overGateway)
	hold := make(chan struct{})
	w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
		if strings.HasSuffix(c.Route, "/callback") {
			return &discordtest.Fault{Hold: hold}
		}
		return nil
	})
	in := w.server.Send(meetIn(w, discordtest.InGuild(channel)))
	w.server.Until("it is accepted", func() bool { return len(w.bot.jobs()) == 1 })
	posted := make(chan error, 1)
	go func() {
		_, err := w.post(w.bot.jobs()[0], chat.SlotRoot)
		posted <- err
	}()
	select {
	case err := <-posted:
		t.Fatal("posted before the acknowledgement:", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(hold)
	w.server.Acked(in)
	require.NoError(t, <-posted)
}

func TestAnInteractionThatIsNotAcknowledgedYetIsWaitedFor(t *testing.T) {
	w := still(t, overGateway)
	in := meetIn(w, discordtest.InGuild(channel)) // another process is at it
	d := chat.Decision{Request: chat.Request{
		At: w.clock.now(), User: chat.User{ID: alice}, Place: chat.Place{Platform: Platform, Team: "1", Channel: channel},
		Origin: []byte(`{"id":"` + in.ID + `","token":"` + in.Token + `","public":true,"app":8}`),
	}}
	for _, slot := range []chat.Slot{chat.SlotRoot, chat.SlotPrivate, chat.SlotSettle} {
		_, err := w.post(d, slot)
		var pause *chat.RetryAfter
		require.ErrorAs(t, err, &pause, slot)
	}
	// It never was: the bot's own token is the way.
	w.clock.forward(time.Minute)
	_, err := w.post(d, chat.SlotRoot)
	require.NoError(t, err)
	assert.Len(t, w.server.In(channel), 1)
}

// What a crash or a lost answer leaves behind is found again, and not posted twice.
func TestLostAnswersMakeNoSecondMessage(t *testing.T) {
	t.Parallel()
	lose := func(w *world, route string) {
		done := false
		w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
			if c.String() == route && !done {
				done = true
				return &discordtest.Fault{Lose: true}
			}
			return nil
		})
	}
	for name, tt := range map[string]struct {
		route   string
		expired bool // the interaction's token
		nonces  bool // forgotten
		chat    int  // messages of others, before and after
	}{
		"TheDeferredReply":      {route: routeOriginal},
		"TheThread":             {route: routeThread},
		"TheBotsMessage":        {route: routeMessage, expired: true},
		"TheBotsMessageMuchAgo": {route: routeMessage, expired: true, nonces: true},
		"AmongManyMessages":     {route: routeMessage, expired: true, nonces: true, chat: 130},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, overGateway)
			d := w.job(meetIn(w, discordtest.InGuild(channel)))
			if tt.expired {
				w.server.Delete(w.server.In(channel)[0].ID)
				w.clock.forward(16 * time.Minute)
			}
			w.server.Chat(channel, tt.chat)
			lose(w, tt.route)
			_, err := w.post(d, chat.SlotRoot)
			require.Error(t, err)
			if tt.nonces {
				w.server.Chat(channel, tt.chat)
				w.server.ForgetNonces()
			}
			root, err := w.post(d, chat.SlotRoot, tried)
			require.NoError(t, err)
			assert.Len(t, w.server.In(channel), 1+2*tt.chat)
			assert.Len(t, w.server.Threads(channel), 1)
			assert.Equal(t, root.Message, root.Place.Thread)
		})
	}
	t.Run("ADifferentMessageIsNotTakenForIt", func(t *testing.T) {
		w := start(t, overGateway)
		d := w.job(meetIn(w, discordtest.InGuild(channel)))
		w.clock.forward(16 * time.Minute)
		_, err := w.post(d, chat.SlotRoot, text("first"))
		require.NoError(t, err)
		_, err = w.post(d, chat.SlotRoot, text("second"), tried)
		require.NoError(t, err)
		assert.Len(t, w.server.In(channel), 3) // with the placeholder that was never replaced
	})
}

// A hiccup while the earlier message is looked for is no leave to post it again: its nonce
// may be forgotten by then.
func TestNothingIsPostedAgainBeforeTheEarlierMessageWasLookedFor(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]discordtest.Fault{
		"ServerError": {Status: 503},
		"Limited":     {Status: 429, Body: `{"retry_after":0.1}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, overGateway)
			d := w.job(meetIn(w, discordtest.InGuild(channel)))
			w.clock.forward(16 * time.Minute)
			_, err := w.post(d, chat.SlotRoot)
			require.NoError(t, err)
			before := len(w.server.In(channel))
			w.server.ForgetNonces()
			var once sync.Once
			w.server.Fail(func(c discordtest.Call) (found *discordtest.Fault) {
				if c.String() == "GET /channels/{channel_id}/messages" {
					once.Do(func() { found = &f })
				}
				return found
			})
			_, err = w.post(d, chat.SlotRoot, tried)
			require.Error(t, err)
			require.Eventually(t, func() bool {
				_, err = w.post(d, chat.SlotRoot, tried)
				return err == nil
			}, 10*time.Second, 50*time.Millisecond)
			assert.Len(t, w.server.In(channel), before)
		})
	}
}

func TestEditsThatWaitAreMadeOnceWithTheNewestState(t *testing.T) {
	t.Parallel()
	w := start(t, overGateway)
	d := w.job(meetIn(w, discordtest.InGuild(channel)))
	root, err := w.post(d, chat.SlotRoot)
	require.NoError(t, err)
	var waiting atomic.Int32
	w.a.edits = kit.NewEdits(300*time.Millisecond, time.Minute, func(time.Duration) { waiting.Add(1) })
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			_, err := w.post(d, chat.SlotEdit, text("state "+string(rune('a'+i))), func(p *chat.Post) { p.Edit = &root })
			assert.NoError(t, err)
		})
		w.server.Until("it waits", func() bool { return waiting.Load() >= int32(i) }) // the first does not have to
	}
	wg.Wait()
	m := w.server.Message(root.Message)
	assert.Less(t, m.Edits, 1+5) // the placeholder was edited as well
	assert.Contains(t, m.Text(), "state e")
}

func TestARootThatOnlyOnePersonWouldSeeIsPostedByTheBot(t *testing.T) {
	w := start(t, overGateway)
	w.bot.accept = func(context.Context, chat.Decision) chat.Acceptance {
		return chat.Acceptance{Reply: &chat.Reply{Text: "I'm already working on that."}}
	}
	in := meetIn(w, discordtest.InGuild(channel))
	w.send(in)
	d := chat.Decision{Request: chat.Request{
		At: w.clock.now(), User: chat.User{ID: alice}, Place: chat.Place{Platform: Platform, Team: "1", Channel: channel},
		Origin: origin{ID: in.ID, Token: in.Token, Public: true, App: 8}.encode(),
	}}
	_, err := w.post(d, chat.SlotRoot)
	require.NoError(t, err)
	assert.Len(t, w.server.In(channel), 1)
	assert.Len(t, w.server.Threads(channel), 1)
}

// What comes after a message that Discord does not take, the start link for instance, must
// not wait for it.
func TestWhatDiscordWillNeverTakeIsLostAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t, overGateway)
	d := w.job(meetIn(w, discordtest.InGuild(channel)))
	for _, status := range []int{400, 403, 413} {
		w.server.Fail(func(discordtest.Call) *discordtest.Fault { return &discordtest.Fault{Status: status, Code: 200000} })
		for _, slot := range []chat.Slot{chat.SlotRoot, chat.SlotThread, chat.SlotPrivate, chat.SlotDirect, chat.SlotSettle} {
			_, err := w.post(d, slot)
			require.ErrorIs(t, err, chat.ErrLost, "%s %d", slot, status)
		}
	}
	// A filter blocks the thread's name alone: the root is there, and replies go beside it.
	w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
		if c.String() == routeThread {
			return &discordtest.Fault{Status: 400, Code: 200001}
		}
		return nil
	})
	root, err := w.post(d, chat.SlotRoot)
	require.NoError(t, err)
	assert.True(t, root.InPlace)
}

func TestServerErrorsAreTriedAgain(t *testing.T) {
	t.Parallel()
	w := start(t, overGateway)
	d := w.job(meetIn(w, discordtest.InGuild(channel)))
	for _, fault := range []discordtest.Fault{{Status: 502, Body: "<html>"}, {Status: 429, Body: `{"retry_after":0.05}`}} {
		w.server.Fail(func(discordtest.Call) *discordtest.Fault { return &fault })
		for _, slot := range []chat.Slot{chat.SlotRoot, chat.SlotThread, chat.SlotPrivate, chat.SlotDirect, chat.SlotSettle} {
			_, err := w.post(d, slot)
			require.Error(t, err, slot)
			assert.NotErrorIs(t, err, chat.ErrLost, slot)
			assert.NotErrorIs(t, err, chat.ErrSkip, slot)
		}
		w.server.Fail(nil)
		time.Sleep(60 * time.Millisecond) // the 429's pause
	}
	_, err := w.post(d, chat.SlotRoot)
	require.NoError(t, err)
}

func TestASendDoesNotOutliveItsContext(t *testing.T) {
	w := still(t, overHTTP)
	hold := make(chan struct{})
	defer close(hold)
	w.server.Fail(func(discordtest.Call) *discordtest.Fault { return &discordtest.Fault{Hold: hold} })
	ctx, cancel := contextWithTimeout(t, 50*time.Millisecond)
	defer cancel()
	_, err := w.a.Post(ctx, chat.Post{Slot: chat.SlotDirect, User: chat.User{ID: alice}})
	require.ErrorIs(t, err, ctx.Err())
}

func TestQRIsAnAttachedImage(t *testing.T) {
	w := start(t, overGateway)
	d := w.job(meetIn(w, discordtest.InGuild(channel)))
	qr := func(p *chat.Post) {
		p.Reply = chat.Reply{QR: "https://meeting.example.com/watch/1", QRCaption: "Watch"}
	}
	root, err := w.post(d, chat.SlotRoot, qr)
	require.NoError(t, err)
	_, err = w.post(d, chat.SlotThread, under(root), qr)
	require.NoError(t, err)
	_, err = w.post(d, chat.SlotPrivate, under(root), qr)
	require.NoError(t, err)
	for _, m := range w.server.All() {
		assert.Equal(t, []string{"qr.png"}, m.Files)
	}
}

func TestAnImageThatMayNotBeAttachedIsShownAsALink(t *testing.T) {
	w := start(t, overGateway)
	d := w.job(meetIn(w, discordtest.InGuild(channel)))
	root, err := w.post(d, chat.SlotRoot)
	require.NoError(t, err)
	w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
		if len(c.Files) > 0 {
			return &discordtest.Fault{Status: http.StatusForbidden, Code: 50013}
		}
		return nil
	})
	_, err = w.post(d, chat.SlotThread, under(root), func(p *chat.Post) {
		p.Reply = chat.Reply{QR: "https://meeting.example.com/watch/1", QRCaption: "Watch"}
	})
	require.NoError(t, err)
	require.Len(t, w.server.In(root.Message), 1)
	assert.Contains(t, w.server.In(root.Message)[0].Text(), "https://meeting.example.com/watch/1")
}

func TestOwnMessagesCarryANonce(t *testing.T) {
	w := still(t, overHTTP)
	_, err := w.a.Post(t.Context(), chat.Post{Key: "0123456789012345678901234", Slot: chat.SlotDirect, User: chat.User{ID: alice}, Reply: chat.Reply{Text: "x"}})
	require.NoError(t, err)
	assert.Equal(t, "0123456789012345678901234", w.server.For(alice)[0].Nonce)
}

// A stream key and a start link are nowhere but where one person sees them.
func TestSecretsAreShownToOnePersonAlone(t *testing.T) {
	w := start(t, overGateway)
	d := w.job(meetIn(w, discordtest.InGuild(channel)))
	root, err := w.post(d, chat.SlotRoot)
	require.NoError(t, err)
	private := func(p *chat.Post) {
		p.Reply = chat.Reply{Secrets: []chat.SecretField{{Name: "Start", Value: secret.New("https://meeting.example.com/start?zak=canary-zak"), Link: true}}}
	}
	_, err = w.post(d, chat.SlotPrivate, under(root), private)
	require.NoError(t, err)
	w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
		return &discordtest.Fault{Status: 400, Body: `{"code":50035,"message":"canary-zak"}`}
	})
	_, err = w.post(d, chat.SlotPrivate, under(root), private)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "canary-")
	seen := 0
	for _, m := range w.server.All() {
		if strings.Contains(m.Text(), "canary-zak") {
			seen++
			assert.True(t, m.Ephemeral())
			assert.Equal(t, alice, m.User)
		}
	}
	assert.Equal(t, 1, seen)
}

// TestA403ThatIsNoPermissionsIsTriedAgain: only Discord's documented codes are final.
func TestA403ThatIsNoPermissionsIsTriedAgain(t *testing.T) {
	for code, final := range map[int]bool{40333: false, 0: false, 50013: true, 50001: true, 50278: true, 200000: true} {
		w := start(t, overHTTP)
		w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
			if strings.HasSuffix(c.Route, "/messages") || strings.HasPrefix(c.Route, "/webhooks") {
				return &discordtest.Fault{Status: http.StatusForbidden, Code: code}
			}
			return nil
		})
		for _, slot := range []chat.Slot{chat.SlotRoot, chat.SlotDirect} {
			_, err := w.a.Post(t.Context(), chat.Post{
				Key: "k", Slot: slot, User: chat.User{ID: alice}, Reply: chat.Reply{Text: "x"},
				Place: chat.Place{Platform: Platform, Team: discordtest.GuildID, Channel: channel},
			})
			require.Error(t, err)
			assert.Equal(t, final, errors.Is(err, chat.ErrLost), "%d, %s: %v", code, slot, err)
		}
		w.server.Fail(nil)
	}
}

// TestWhatAThreadDoesNotTakeIsShownBesideTheRoot: links are not given up with it.
func TestWhatAThreadDoesNotTakeIsShownBesideTheRoot(t *testing.T) {
	for _, code := range []int{160005, 50083, 50001, 50013, 10003} {
		for name, late := range map[string]bool{"InTime": false, "WhenTheTokenIsOver": true} {
			w := start(t, overGateway)
			d := w.job(meetIn(w, discordtest.InGuild(channel)))
			root, err := w.post(d, chat.SlotRoot)
			require.NoError(t, err)
			w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
				if c.Method == http.MethodPost && c.Route == "/channels/{channel_id}/messages" && c.Args[0] == root.Place.Thread {
					return &discordtest.Fault{Status: http.StatusForbidden, Code: code}
				}
				return nil
			})
			if late {
				w.clock.forward(20 * time.Minute)
			}
			r, err := w.post(d, chat.SlotThread, under(root), func(p *chat.Post) { p.Reply = chat.Reply{Text: "the links"} })
			require.NoError(t, err, "%d %s", code, name)
			assert.True(t, r.InPlace, "%d %s", code, name)
			assert.Contains(t, w.server.Message(r.Message).Text(), "the links", "%d %s", code, name)
			assert.Equal(t, channel, w.server.Message(r.Message).Channel)
			w.server.Fail(nil)
		}
	}
}

// TestWhatAPrivateThreadDoesNotTakeIsShownNowhere: who came, or the link of a recording, is not
// for the channel around it.
func TestWhatAPrivateThreadDoesNotTakeIsShownNowhere(t *testing.T) {
	for _, code := range []int{160005, 50083, 50001, 50013, 10003} {
		w := start(t, overGateway)
		d := w.job(meetIn(w, discordtest.InThread(thread, channel)))
		d.Request.Place.Private = true
		root, err := w.post(d, chat.SlotRoot)
		require.NoError(t, err)
		require.True(t, root.Place.Private)
		w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
			if c.Method == http.MethodPost && c.Route == "/channels/{channel_id}/messages" && c.Args[0] == thread {
				return &discordtest.Fault{Status: http.StatusForbidden, Code: code}
			}
			return nil
		})
		w.clock.forward(20 * time.Minute)
		_, err = w.post(d, chat.SlotThread, under(root), text("who came"))
		require.ErrorIs(t, err, chat.ErrLost, "%d", code)
		assert.Empty(t, w.server.In(channel), "%d", code)
	}
}

// TestWhatDiscordSaysIsTakenAsCodesOrNotAtAll: an answer may have anything in it, and its
// errors end up in the log.
func TestWhatDiscordSaysIsTakenAsCodesOrNotAtAll(t *testing.T) {
	for name, tt := range map[string]struct{ body, want string }{
		"Documented":   {`{"code":50035,"errors":{"data":{"components":{"0":{"label":{"_errors":[{"code":"BASE_TYPE_BAD_LENGTH","message":"canary"}]}}}}}}`, "POST /x: HTTP 400, code 50035: data.components.0.label BASE_TYPE_BAD_LENGTH"},
		"NoCodes":      {`{"code":1,"errors":{"Bot canary.a.b":{"\u001b]0;x":{"_errors":[{"code":"canary token\u202e"}]}}}}`, "POST /x: HTTP 400, code 1: other.other other"},
		"Huge":         {`{"code":1e99,"errors":{"a":{"_errors":[{"code":"B"}]}}}`, "POST /x: HTTP 400"},
		"NotANumber":   {`{"code":"canary"}`, "POST /x: HTTP 400"},
		"HTML":         {`<html>canary`, "POST /x: HTTP 400"},
		"Deep":         {`{"code":1,"errors":` + strings.Repeat(`{"a":`, 9000) + `1` + strings.Repeat(`}`, 9000) + `}`, "POST /x: HTTP 400, code 1"},
		"DeepAndLarge": {`{"code":1,"errors":` + strings.Repeat(`{"`+strings.Repeat("k", 300)+`":`, 9000) + `1` + strings.Repeat(`}`, 9000) + `}`, "POST /x: HTTP 400, code 1"},
	} {
		assert.Equal(t, tt.want, newAPIError("POST /x", 400, []byte(tt.body)).Error(), name)
	}
	many := newAPIError("POST /x", 400, []byte(`{"code":1,"errors":{"_errors":[`+strings.Repeat(`{"code":"A"},`, 999)+`{"code":"A"}]}}`))
	assert.Equal(t, 8, strings.Count(many.Error(), " A"))
}

func TestNumbersOutOfBoundsInHeadersHoldNothingUpForGood(t *testing.T) {
	for _, v := range []string{"NaN", "-1", "1e99", "Inf", "-Inf", "99999999999999999999", "0x7fffffffffffffff", "", "canary"} {
		d, _ := retryAfter(http.Header{"Retry-After": {v}}, nil)
		assert.True(t, d > 0 && d <= 24*time.Hour, "%q: %v", v, d)
		l := newLimiter(time.Now, nil, func() {})
		c := call{Method: "GET", Route: "/x"}
		h := http.Header{"X-Ratelimit-Bucket": {"b"}, "X-Ratelimit-Remaining": {v}, "X-Ratelimit-Reset-After": {v}}
		for _, remaining := range []string{v, "1", "-9223372036854775808"} {
			h.Set("X-Ratelimit-Remaining", remaining)
			l.learn(c, h, time.Now())
		}
		pause, err := l.reserve(c)
		require.NoError(t, err)
		assert.LessOrEqual(t, pause, 24*time.Hour, v)
	}
	d, _ := retryAfter(nil, []byte(`{"retry_after":1e300}`))
	assert.Equal(t, 24*time.Hour, d)
	l := newLimiter(time.Now, nil, func() {})
	l.learn(call{}, http.Header{"X-Ratelimit-Bucket": {strings.Repeat("x", 1000)}, "X-Ratelimit-Remaining": {"1"}, "X-Ratelimit-Reset-After": {"1"}}, time.Now())
	assert.Empty(t, l.names)
}

// A process that was killed between Discord's taking a message and its own record of that posts it
// again, not knowing that it tried: the nonce makes that harmless, and has to be enforced.
func TestTheSameMessageAgainIsTheFirst(t *testing.T) {
	w := start(t, overGateway)
	d := w.job(meetIn(w, discordtest.InGuild(channel)))
	w.clock.forward(16 * time.Minute)
	first, err := w.post(d, chat.SlotRoot, text("the card"))
	require.NoError(t, err)
	before := len(w.server.In(channel))
	again, err := w.post(d, chat.SlotRoot, text("the card"))
	require.NoError(t, err)
	assert.Equal(t, first.Message, again.Message)
	assert.Len(t, w.server.In(channel), before)
	for _, c := range w.server.Calls() {
		if c.String() == routeMessage {
			assert.Contains(t, string(c.Body), `"enforce_nonce":true`)
		}
	}
}
