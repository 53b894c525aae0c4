package commands

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/meeting"
	"meetbot/meeting/sandbox"
	"meetbot/meeting/tencent"
	"meetbot/meeting/zoom"
)

// wire carries requests to the sandbox without a network, and may lose answers.
type wire struct {
	*sandbox.Server
	lose atomic.Value // string, the path's end of the calls whose answers get lost; empty for none
	slow atomic.Int64 // how long the answers to calls that change something are under way, in nanoseconds
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	if r.Body == nil {
		r = r.Clone(r.Context())
		r.Body = http.NoBody
	}
	w.ServeHTTP(rec, r)
	if r.Method != http.MethodGet {
		time.Sleep(time.Duration(w.slow.Load()))
	}
	if lose, _ := w.lose.Load().(string); lose != "" && r.Method != http.MethodGet && strings.HasSuffix(r.URL.Path, lose) {
		return nil, errors.New("connection reset")
	}
	return rec.Result(), nil
}

// liveWorld is a world with Zoom besides the others, played by the sandbox.
type liveWorld struct {
	*world
	zoom   *sandbox.Server
	wire   *wire
	id     string // of the meeting
	events int
	ahead  time.Duration // Zoom's clock
}

// inLiveWorld runs f with a meeting at Zoom that somebody is in.
func inLiveWorld(t *testing.T, q sandbox.Quirks, webhooks bool, f func(*liveWorld)) {
	lw := &liveWorld{}
	inWorld(t, func(c *Config) {
		lw.zoom = sandbox.New(sandbox.Config{Quirks: q, Now: lw.now, Users: []sandbox.User{{ID: sandbox.DefaultUser}, {ID: "dora@zoom"}}})
		lw.wire = &wire{Server: lw.zoom}
		made := lw.zoom.Config()
		client, err := zoom.New(zoom.Config{
			AccountID: made.ZoomAccountID, ClientID: made.ZoomClientID, ClientSecret: made.ZoomClientSecret, UserID: sandbox.DefaultUser,
			BaseURL: "http://127.0.0.1" + "/zoom/v2", OAuthURL: "http://127.0.0.1" + "/zoom/oauth/token",
			HTTPClient: &http.Client{Transport: lw.wire},
		})
		require.NoError(t, err)
		c.Parser.Kinds = meeting.Kinds{kinds[0], tencent.Kind, zoom.Kind}
		c.Parser.Providers = []meeting.Provider{"systec", "tencent", "zoom"}
		c.Providers["zoom"] = client
		c.Webhooks = map[meeting.Provider]bool{"zoom": webhooks}
		c.Accounts = map[meeting.Provider]Accounts{
			"tencent": {Persons: map[string]string{"slack:U2": "ben@tencent", "slack:U4": "dora@tencent"}},
			"zoom":    {Bot: sandbox.DefaultUser, Persons: map[string]string{"slack:U4": "dora@zoom"}},
		}
	}, func(w *world) {
		lw.world = w
		w.say(ada, channel, "/meet Launch --provider zoom")
		all := lw.zoom.Meetings()
		require.Len(t, all, 1)
		lw.id = all[0].ID
		f(lw)
	})
}

func (w *liveWorld) now() time.Time { return time.Now().Add(w.ahead) }

// enter has somebody enter, and the bot hear of it.
func (w *liveWorld) enter() []chat.Post {
	w.t.Helper()
	require.NoError(w.t, w.zoom.Join(w.id, "somebody"))
	return w.hear(meeting.Event{State: meeting.StateRunning})
}

// hear is what Zoom reports.
func (w *liveWorld) hear(e meeting.Event) []chat.Post {
	w.t.Helper()
	w.events++
	e.ID, e.At, e.Ref = fmt.Sprint("event", w.events), w.now(), meeting.Ref{Provider: "zoom", ID: w.id}
	require.NoError(w.t, w.bot.Hear(w.t.Context(), e))
	return w.settle()
}

const setYouTube = "/livepush --name show --url rtmp://a.rtmp.youtube.com/live2 --key abcd-abcd-abcd-abcd"

func (w *liveWorld) set() {
	w.t.Helper()
	require.Contains(w.t, describe(w.say(ada, channel, setYouTube)), "1 of 1 set")
}

func shown(t *testing.T, posts []chat.Post) chat.Reply {
	t.Helper()
	return find(t, posts, chat.SlotEdit).Reply
}

func hasButton(r chat.Reply, v grammar.Verb) bool {
	for _, b := range r.Buttons {
		if b.Action.Name == grammar.Declared(v).Button {
			return true
		}
	}
	return false
}

// A show from its beginning to its end, by the words and by the buttons. "Live" is said only on
// Zoom's own word.
func TestALiveIsStartedAndStoppedWhereTheProviderCan(t *testing.T) {
	inLiveWorld(t, sandbox.Quirks{}, true, func(w *liveWorld) {
		assert.Contains(t, describe(w.say(ada, channel, "/livepush start")), "Set up live push first")
		w.set()
		assert.Contains(t, describe(w.say(ada, channel, "/livepush start")), "Nobody has joined")
		posts := w.enter()
		assert.True(t, hasButton(shown(t, posts), grammar.VerbLiveStart) || hasButton(shown(t, posts), grammar.VerbLiveStartYes), "the card offers it once somebody is in")
		assert.False(t, hasButton(shown(t, posts), grammar.VerbPushOff))

		asked := w.say(ada, channel, "/livepush start")
		assert.Contains(t, describe(asked), "“Launch” goes on air: show (a.rtmp.youtube.com)")
		assert.Zero(t, w.zoom.LiveStarts(w.id), "it asks first")
		started := w.press(ada, channel, asked, grammar.VerbLiveStartYes)
		assert.Contains(t, describe(started), "Starting the live stream")
		assert.Contains(t, describe(started), "Live stream start requested", "the thread hears who asked for it")
		assert.Contains(t, fmt.Sprint(shown(t, started).Fields), "not on air yet")
		assert.NotContains(t, fmt.Sprint(shown(t, started).Fields), "Live since", "Zoom's taking the request is no word")
		assert.Equal(t, 1, w.zoom.LiveStarts(w.id))

		posts = w.hear(meeting.Event{Live: meeting.LiveOn})
		assert.Contains(t, fmt.Sprint(shown(t, posts).Fields), "Live since")
		assert.True(t, hasButton(shown(t, posts), grammar.VerbLiveStop) || hasButton(shown(t, posts), grammar.VerbLiveStopYes))
		assert.Contains(t, describe(w.say(ada, channel, "/livepush start")), "on air since")
		assert.Contains(t, describe(w.press(ada, channel, asked, grammar.VerbLiveStartYes)), "on air since", "the old question starts nothing again")
		assert.Equal(t, 1, w.zoom.LiveStarts(w.id))

		for _, line := range []string{"/livepush stop", "/livepush off all", "/livepush off show", "/livepush 停止", "/livepush stop-live"} {
			asked = w.say(ada, channel, line)
			assert.Contains(t, describe(asked), "Stop the live stream?", line)
		}
		stopped := w.press(ada, channel, asked, grammar.VerbLiveStopYes)
		assert.Contains(t, describe(stopped), "Stopping the live stream")
		truth, _ := w.zoom.Meeting(w.id)
		assert.False(t, truth.Live)
		assert.Len(t, truth.Pushes, 1, "the address stays, as it is said")
		w.hear(meeting.Event{Live: meeting.LiveOff})
		assert.Contains(t, describe(w.say(ada, channel, "/livepush stop")), "says that this live stream is not on air")

		log := describe(w.say(ada, channel, "/livepush log"))
		assert.Contains(t, log, "start the live")
		assert.Contains(t, log, "stop the live")
	})
}

// Two people who press at once, and one who presses twice, start one live.
func TestALiveIsNeverStartedTwice(t *testing.T) {
	inLiveWorld(t, sandbox.Quirks{ZoomNeverLive: true}, true, func(w *liveWorld) {
		w.set()
		w.enter()
		asked := w.say(ada, channel, "/livepush start")
		button := find(t, asked, chat.SlotPrivate).Reply.Buttons[0].Action
		for range 2 {
			d := w.bot.Parse(w.request(ada, channel, chat.Request{Action: &button}))
			require.Zero(t, w.bot.Accept(w.t.Context(), d))
		}
		said := describe(w.settle())
		assert.Contains(t, said, "Starting the live stream")
		assert.Contains(t, said, "Someone asked Zoom at")
		assert.Equal(t, 1, w.zoom.LiveStarts(w.id))
		assert.Equal(t, 1, w.zoom.Calls(sandbox.ZoomLiveStatus))

		time.Sleep(time.Minute) // nothing was heard
		w.settle()
		again := w.say(ada, channel, "/livepush start")
		assert.Contains(t, describe(again), "hasn't reported the stream on air. Go on only if", "it can be tried again, by somebody who knows")
		w.press(ada, channel, again, grammar.VerbLiveStartYes)
		assert.Equal(t, 2, w.zoom.LiveStarts(w.id))
	})
}

// An answer that is lost leaves open whether the live starts: it is not asked for again.
func TestALostStartIsNotRepeated(t *testing.T) {
	for name, heard := range map[string]bool{"NothingHeard": false, "ZoomSaysSo": true} {
		t.Run(name, func(t *testing.T) {
			inLiveWorld(t, sandbox.Quirks{}, true, func(w *liveWorld) {
				w.set()
				w.enter()
				asked := w.say(ada, channel, "/livepush start")
				w.wire.lose.Store("/livestream/status")
				posts := w.press(ada, channel, asked, grammar.VerbLiveStartYes)
				if heard {
					posts = append(posts, w.hear(meeting.Event{Live: meeting.LiveOn})...)
				}
				time.Sleep(2 * time.Minute)
				posts = append(posts, w.settle()...)
				assert.Equal(t, 1, w.zoom.LiveStarts(w.id))
				assert.Equal(t, 1, w.zoom.Calls(sandbox.ZoomLiveStatus))
				if heard {
					assert.Contains(t, describe(posts), "Starting the live stream")
				} else {
					assert.Contains(t, describe(posts), "The live stream may have started")
				}
			})
		})
	}
}

// What a provider says has the time of its clock, and what the bot did has that of the bot's.
func TestTheProvidersClockMayBeAnother(t *testing.T) {
	for _, ahead := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			inLiveWorld(t, sandbox.Quirks{}, true, func(w *liveWorld) {
				w.ahead = ahead
				w.set()
				entered := time.Now()
				w.enter()
				reg, err := w.bot.registry.Get(t.Context(), meeting.Ref{Provider: "zoom", ID: w.id})
				require.NoError(t, err)
				assert.Equal(t, meeting.StateRunning, reg.Meeting.State)
				assert.InDelta(t, 0, reg.StateAt.Sub(entered).Seconds(), 5)
				asked := w.say(ada, channel, "/livepush start")
				w.wire.lose.Store("/livestream/status")
				posts := w.press(ada, channel, asked, grammar.VerbLiveStartYes)
				time.Sleep(5 * time.Second)
				posts = append(posts, w.hear(meeting.Event{Live: meeting.LiveOn})...)
				time.Sleep(2 * time.Minute)
				posts = append(posts, w.settle()...)
				assert.Contains(t, describe(posts), "Starting the live stream")
				posts = w.hear(meeting.Event{Live: meeting.LiveOff})
				assert.NotContains(t, fmt.Sprint(shown(t, posts).Fields), "Live since", "the newest word")
			})
		})
	}
}

// A word that Zoom has lost holds nobody up: what was stopped can be started again, and until
// Zoom says so the card says no more than that somebody asked.
func TestALiveThatWasStoppedIsStartedAgain(t *testing.T) {
	inLiveWorld(t, sandbox.Quirks{}, true, func(w *liveWorld) {
		w.set()
		w.enter()
		w.press(ada, channel, w.say(ada, channel, "/livepush start"), grammar.VerbLiveStartYes)
		w.hear(meeting.Event{Live: meeting.LiveOn})
		stopped := w.press(ada, channel, w.say(ada, channel, "/livepush stop"), grammar.VerbLiveStopYes)
		assert.Contains(t, fmt.Sprint(shown(t, stopped).Fields), "not confirmed yet")
		time.Sleep(time.Minute)
		asked := w.say(ada, channel, "/livepush start")
		started := w.press(ada, channel, asked, grammar.VerbLiveStartYes)
		assert.Contains(t, describe(started), "Starting the live stream")
		assert.Equal(t, 2, w.zoom.LiveStarts(w.id))
		assert.Contains(t, fmt.Sprint(shown(t, started).Fields), "not on air yet")

		// The word of the live before comes late, and is none on this one.
		w.events++
		late := meeting.Event{ID: "late", At: time.Now().Add(-30 * time.Second), Ref: meeting.Ref{Provider: "zoom", ID: w.id}, Live: meeting.LiveOff}
		require.NoError(w.t, w.bot.Hear(w.t.Context(), late))
		w.settle()
		assert.Contains(t, describe(w.say(ada, channel, "/livepush start")), "asked Zoom at")
		posts := w.hear(meeting.Event{Live: meeting.LiveOn})
		assert.Contains(t, fmt.Sprint(shown(t, posts).Fields), "Live since")
	})
}

// Without events nobody is promised to be told.
func TestWithoutEventsNothingIsSaidToBeOnAir(t *testing.T) {
	inLiveWorld(t, sandbox.Quirks{}, false, func(w *liveWorld) {
		w.set()
		w.enter()
		started := w.press(ada, channel, w.say(ada, channel, "/livepush start"), grammar.VerbLiveStartYes)
		assert.Contains(t, describe(started), "I can't see whether the stream is on air")
		assert.Contains(t, fmt.Sprint(shown(t, started).Fields), "I can't see whether it's on air")
	})
}

// Somebody else may have asked the provider, in its client: the bot does not say that it did.
func TestWhoAskedBeforeIsNotKnown(t *testing.T) {
	inLiveWorld(t, sandbox.Quirks{}, true, func(w *liveWorld) {
		w.set()
		w.enter()
		asked := w.say(ada, channel, "/livepush start")
		w.zoom.Fault(sandbox.Fault{Endpoint: sandbox.ZoomLiveStatus, Kind: sandbox.Refusal, Status: http.StatusTooManyRequests, Code: http.StatusTooManyRequests, Message: "later"})
		told := describe(w.press(ada, channel, asked, grammar.VerbLiveStartYes))
		assert.Contains(t, told, "Someone asked Zoom less than half a minute ago to start this live stream.")
		assert.NotContains(t, told, "I asked")
	})
}

// A limit of calls says nothing about the live: nobody asked, and the bot asks once more.
func TestALimitOfCallsIsNoStart(t *testing.T) {
	inLiveWorld(t, sandbox.Quirks{}, true, func(w *liveWorld) {
		w.set()
		w.enter()
		asked := w.say(ada, channel, "/livepush start")
		w.zoom.Fault(sandbox.Fault{Endpoint: sandbox.ZoomLiveStatus, Kind: sandbox.Refusal, Times: 1, Status: http.StatusTooManyRequests, Code: http.StatusTooManyRequests, Message: "You have reached the maximum per-second rate limit for this API. Try again later."})
		said := describe(w.press(ada, channel, asked, grammar.VerbLiveStartYes))
		time.Sleep(time.Minute)
		said += describe(w.settle())
		assert.NotContains(t, said, "less than half a minute ago")
		assert.Equal(t, 1, w.zoom.LiveStarts(w.id), said)
	})
}

func TestWithoutEventsALostStartPromisesNone(t *testing.T) {
	inLiveWorld(t, sandbox.Quirks{}, false, func(w *liveWorld) {
		w.set()
		w.enter()
		asked := w.say(ada, channel, "/livepush start")
		w.wire.lose.Store("/livestream/status")
		w.press(ada, channel, asked, grammar.VerbLiveStartYes)
		time.Sleep(2 * time.Minute)
		told := describe(w.settle())
		assert.Contains(t, told, "The live stream may have started")
		assert.Contains(t, told, "I can't see whether the stream is on air")
		assert.NotContains(t, told, "The card shows")
	})
}

// To stop a live twice does no harm, so that a lost stop is asked for again.
func TestALostStopIsRepeated(t *testing.T) {
	inLiveWorld(t, sandbox.Quirks{}, true, func(w *liveWorld) {
		w.set()
		w.enter()
		w.press(ada, channel, w.say(ada, channel, "/livepush start"), grammar.VerbLiveStartYes)
		asked := w.say(ada, channel, "/livepush stop")
		w.wire.lose.Store("/livestream/status")
		w.press(ada, channel, asked, grammar.VerbLiveStopYes)
		w.wire.lose.Store("")
		time.Sleep(2 * time.Minute)
		assert.Contains(t, describe(w.settle()), "Stopping the live stream")
		truth, _ := w.zoom.Meeting(w.id)
		assert.False(t, truth.Live)
	})
}

// A stop is of the live that was on when it was asked for. Of one that was started since it
// neither says that it was stopped, nor stops it.
func TestAStopThatComesLateLeavesTheNextLiveAlone(t *testing.T) {
	for name, stop := range map[string]struct{ lose, slow bool }{"AnsweredLate": {slow: true}, "Lost": {lose: true}} {
		t.Run(name, func(t *testing.T) {
			inLiveWorld(t, sandbox.Quirks{ZoomNeverLive: true}, true, func(w *liveWorld) {
				w.set()
				w.enter()
				w.press(ada, channel, w.say(ada, channel, "/livepush start"), grammar.VerbLiveStartYes)
				time.Sleep(time.Minute)
				stop1, start := w.say(ada, channel, "/livepush stop"), w.say(ada, channel, "/livepush start")
				if stop.slow {
					w.wire.slow.Store(int64(8 * time.Second))
				}
				if stop.lose {
					w.wire.lose.Store("/livestream/status")
				}
				w.press(ada, channel, stop1, grammar.VerbLiveStopYes)
				w.wire.slow.Store(0)
				w.wire.lose.Store("")
				w.press(ada, channel, start, grammar.VerbLiveStartYes)
				require.Equal(t, 2, w.zoom.LiveStarts(w.id))
				calls := w.zoom.Calls(sandbox.ZoomLiveStatus)
				time.Sleep(20 * time.Second)
				w.settle()
				assert.Equal(t, calls, w.zoom.Calls(sandbox.ZoomLiveStatus), "nothing stops it")
				assert.Contains(t, describe(w.say(ada, channel, "/livepush start")), "asked Zoom at", "it is under way")
			})
		})
	}
}

func TestALiveThatTheProviderDoesNotStartIsNotOffered(t *testing.T) {
	inWorld(t, func(c *Config) {
		c.Parser.Kinds = meeting.Kinds{kinds[0], tencent.Kind, zoom.Kind}
	}, func(w *world) {
		w.say(ada, channel, "/meet Show --provider tencent --live")
		w.say(ada, channel, setYouTube)
		assert.Contains(t, describe(w.say(ada, channel, "/livepush start")), "doesn't let me start or stop a live stream")
		assert.Contains(t, describe(w.say(ada, channel, "/livepush stop all")), "1 of 1 off", "where addresses can be switched off, stop does that")
		help := describe(w.say(ada, channel, "/livepush help"))
		assert.NotContains(t, help, "livepush start")
		assert.NotContains(t, describe(w.say(ada, channel, "/meet help")), "passcode")
	})
}

// A meeting has one address at Zoom: another takes its place, and only if whoever sets it knows.
func TestTheOneAddressIsReplacedKnowingly(t *testing.T) {
	inLiveWorld(t, sandbox.Quirks{}, true, func(w *liveWorld) {
		w.set()
		const other = "/livepush --name own --url rtmp://live.example.com/app --key zzzz"
		said := describe(w.say(ada, channel, other))
		assert.Contains(t, said, "would replace show (a.rtmp.youtube.com)")
		assert.Contains(t, said, "--override")
		assert.Contains(t, describe(w.say(ada, channel, "/livepush --name show --url rtmp://a.rtmp.youtube.com/live2 --key efgh-efgh-efgh-efgh")), "1 of 1 set", "a new key for the same place asks nothing")
		assert.Contains(t, describe(w.say(ada, channel, other+" --override")), "1 of 1 set")
		truth := w.zoom.Pushes(w.id)
		require.Len(t, truth, 1)
		assert.Equal(t, "rtmp://live.example.com/app", truth[0].URL)
		status := describe(w.say(ada, channel, "/livepush status"))
		assert.Contains(t, status, "own", "it has the name that it was set under, though Zoom keeps none")
		assert.NotContains(t, status, "zzzz")

		for _, name := range []string{"one", "two"} {
			w.say(ada, channel, fmt.Sprintf("/livepush save %s --url rtmp://%s.example.com/app --key k%s", name, name, name))
		}
		assert.Contains(t, describe(w.say(ada, channel, "/livepush to one, two")), "You gave 2 addresses")
	})
}

// Where nothing goes out before the live is started, every address is on stand-by, and what is
// switched on and off is the live.
func TestWhereALiveIsStartedEveryAddressIsOnStandby(t *testing.T) {
	inLiveWorld(t, sandbox.Quirks{}, true, func(w *liveWorld) {
		said := describe(w.say(ada, channel, setYouTube+" --standby"))
		assert.Contains(t, said, "1 of 1 set")
		assert.Contains(t, said, "Start live stream")
		w.enter()
		for _, line := range []string{"/livepush on", "/livepush on show", "/livepush 开启 all"} {
			assert.Contains(t, describe(w.say(ada, channel, line)), "Start the live stream?", line)
		}
		assert.Zero(t, w.zoom.LiveStarts(w.id))
	})
}

// Whoever has accounts at two providers acts at each with the one that they have there.
func TestEachProviderKnowsAPersonByItsOwnAccount(t *testing.T) {
	inLiveWorld(t, sandbox.Quirks{}, true, func(w *liveWorld) {
		dora := chat.User{ID: "U4", Name: "Dora", Rights: chat.RightsKnown | chat.RightMeet | chat.RightPush}
		w.another(dora, channel, "/meet Hers --provider tencent")
		assert.Equal(t, "dora@tencent", w.tencent.wish.Account)
		w.another(dora, channel, "/meet Hers --provider zoom --host U2")
		all := w.zoom.Meetings()
		hers := all[len(all)-1]
		assert.Equal(t, []string{"dora@zoom"}, hers.Hosts, "an account at another provider is none here")
		asked := setYouTube[len("/livepush"):]
		eve := chat.User{ID: "U5", Name: "Eve", Rights: chat.RightsKnown | chat.RightPush}
		assert.Contains(t, describe(w.say(eve, channel, "/livepush "+hers.ID+asked)), "Only Dora")
		assert.Empty(t, w.zoom.Pushes(hers.ID))
		w.say(dora, channel, "/livepush "+hers.ID+asked)
		assert.Len(t, w.zoom.Pushes(hers.ID), 1)
	})
}

// What Zoom has made of a meeting is said once, to its requester alone, without a link.
func TestARecordingIsAnnouncedToTheRequester(t *testing.T) {
	inLiveWorld(t, sandbox.Quirks{}, true, func(w *liveWorld) {
		w.enter()
		w.hear(meeting.Event{State: meeting.StateEnded})
		for made, want := range map[meeting.Made]string{meeting.MadeRecording: "The recording of “Launch” is ready", meeting.MadeSummary: "The summary of “Launch” is ready"} {
			posts := w.hear(meeting.Event{Made: made})
			require.Len(t, posts, 1)
			assert.Equal(t, chat.SlotDirect, posts[0].Slot)
			assert.Equal(t, "U1", posts[0].User.ID)
			assert.Equal(t, want, posts[0].Reply.Title)
			assert.Empty(t, posts[0].Reply.Links)
		}
	})
}

// The start link is fetched at the click, for whoever asked alone.
func TestTheStartLinkIsFreshAtTheClick(t *testing.T) {
	inLiveWorld(t, sandbox.Quirks{}, true, func(w *liveWorld) {
		posts := w.say(ada, channel, "/meet Second --provider zoom")
		first := revealed(find(t, posts, chat.SlotPrivate))
		again := revealed(find(t, w.press(ada, channel, posts, grammar.VerbStartLink), chat.SlotPrivate))
		assert.Contains(t, first, "zak=")
		assert.Contains(t, again, "zak=")
		assert.NotEqual(t, first, again, "though the first would have worked for two hours")
		assert.NotContains(t, describe(posts), "zak=")
		assert.Contains(t, describe(w.press(mal, channel, posts, grammar.VerbStartLink)), "Only full members")
	})
}

// A meeting that a command would refuse is not proposed to it, nor taken when none is named.
func TestAMeetingIsProposedWhereItsProviderCanDoWhatIsAsked(t *testing.T) {
	inLiveWorld(t, sandbox.Quirks{}, true, func(w *liveWorld) {
		for _, p := range []string{"systec", "tencent"} {
			w.say(ada, channel, "/meet Talk --provider "+p)
		}
		proposed := func(r chat.Request) (of []string) {
			for _, c := range w.bot.Complete(t.Context(), w.request(ada, channel, r), "meeting", "") {
				provider, _, _ := strings.Cut(c.Value, ":")
				of = append(of, provider)
			}
			slices.Sort(of)
			return of
		}
		assert.Equal(t, []string{"systec", "tencent", "zoom"}, proposed(chat.Request{Command: "meet"}))
		assert.Equal(t, []string{"tencent", "zoom"}, proposed(chat.Request{Command: "livepush"}))
		assert.Equal(t, []string{"tencent", "zoom"}, proposed(chat.Request{Command: "meetings", Verb: "status"}))
		assert.Equal(t, []string{"zoom"}, proposed(chat.Request{Command: "meetings", Verb: "start-live"}))
		w.enter()
		w.say(ada, channel, "/livepush "+w.id+" "+strings.TrimPrefix(setYouTube, "/livepush "))
		assert.Contains(t, describe(w.say(ada, channel, "/livepush start")), "Launch", "the only one that can")
	})
}

func TestTheOneAddressIsNotOneOfTwo(t *testing.T) {
	inLiveWorld(t, sandbox.Quirks{}, true, func(w *liveWorld) {
		w.say(ada, channel, "/livepush save bili --url rtmp://a.example.com/live --key k12345678")
		w.say(ada, channel, "/livepush save vip --url rtmp://b.example.com/live --key k87654321")
		w.say(ada, channel, "/livepush to bili")
		for _, line := range []string{"/livepush to bili, vip", "/livepush to bili, vip --override"} {
			assert.Contains(t, describe(w.say(ada, channel, line)), "You gave 2 addresses, and this meeting can only stream to one at a time.", line)
		}
		w.enter()
		assert.Contains(t, describe(w.say(ada, channel, "/livepush on bili")), "goes on air: bili (a.example.com)")
		assert.Contains(t, describe(w.say(ada, channel, "/livepush on")), "goes on air: bili (a.example.com)")
		assert.Contains(t, describe(w.say(ada, channel, "/livepush on vip")), "vip: not set at this meeting. Set here: bili.")
		w.say(ada, channel, "/livepush to vip --override")
		assert.Contains(t, describe(w.say(ada, channel, "/livepush on vip")), "goes on air: vip (b.example.com)")
	})
}
