package commands

import (
	"context"
	"fmt"
	"slices"
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
	"meetbot/bot/policy"
	"meetbot/bot/settings"
	"meetbot/meeting"
)

// bos is an admin; ada may change what is set.
var bos = chat.User{ID: "U8", Name: "Bo", Rights: chat.RightsKnown}

func changeable(c *Config) {
	c.Policy.Admins = []policy.Entry{{Platform: chattest.Slack, Kind: chat.UserEntry, ID: bos.ID}}
	c.Policy.Settings = []policy.Entry{{Platform: chattest.Slack, Kind: chat.UserEntry, ID: ada.ID}}
}

var elsewhere = chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C9"}

func TestWhatIsSetForAChannelIsTheDefaultThere(t *testing.T) {
	inWorld(t, changeable, func(w *world) {
		saved := w.say(ada, channel, "/meet settings --provider tencent --recording on --live on --capacity 40 --host <@U2|ben>")
		require.Equal(t, []chat.Slot{chat.SlotPrivate}, slots(saved))
		assert.Equal(t, "Settings of this channel saved", saved[0].Reply.Title)

		yes := true
		posts := w.say(ada, channel, "/meet first")
		assert.Equal(t, 1, w.tencent.created, "by the channel's default")
		assert.Equal(t, &yes, w.tencent.wish.Live)
		assert.Equal(t, meeting.RecordingCloud, w.tencent.wish.Recording)
		assert.Zero(t, w.tencent.wish.Capacity, "Tencent has none: a default is left out where it means nothing")
		assert.Equal(t, "U2", find(t, posts, chat.SlotThread).Reply.Mentions[0].ID, "the host is told")

		w.say(ada, thread(channel), "/meet second --no-live --record none")
		assert.Equal(t, 2, w.tencent.created, "also in a thread of the channel")
		assert.Equal(t, new(bool), w.tencent.wish.Live, "what is typed beats what is set")
		assert.Equal(t, meeting.RecordingNone, w.tencent.wish.Recording)

		w.say(ada, channel, "/meet third --provider systec")
		assert.Equal(t, 1, w.systec.created)
		assert.Equal(t, 40, w.systec.wish.Capacity)
		w.say(ada, elsewhere, "/meet fourth")
		assert.Equal(t, 2, w.systec.created, "elsewhere nothing is set")
		assert.Zero(t, w.systec.wish.Capacity)

		w.say(ada, channel, "/meet settings --provider default --capacity default")
		w.say(ada, channel, "/meet fifth")
		assert.Equal(t, 3, w.systec.created)
		assert.Zero(t, w.systec.wish.Capacity)
		assert.Equal(t, &yes, w.systec.wish.Live, "the others stay")
	})
}

func thread(p chat.Place) chat.Place {
	p.Thread = "th1"
	return p
}

// An option is checked with the provider that the channel has, not with that of the others.
func TestAnOptionIsCheckedWithTheChannelsProvider(t *testing.T) {
	inWorld(t, changeable, func(w *world) {
		assert.Contains(t, w.say(ada, channel, "/meet short --duration 15")[0].Reply.Text, "at least 31")
		w.say(ada, channel, "/meet settings --provider tencent")
		w.say(ada, channel, "/meet short --duration 15")
		assert.Equal(t, 1, w.tencent.created)
		assert.Contains(t, w.say(ada, channel, "/meet big --capacity 500")[0].Reply.Text, "only SYSTEC umeeting supports this, and this meeting uses Tencent Meeting")
	})
}

func TestAChannelBeatsItsTeam(t *testing.T) {
	inWorld(t, changeable, func(w *world) {
		refused := w.say(ada, channel, "/meet settings --provider tencent --everywhere")
		assert.Equal(t, "Only admins can change the settings of all channels.", refused[0].Reply.Text)
		saved := w.say(bos, channel, "/meet settings --provider tencent --live on --everywhere")
		assert.Equal(t, "Settings of all channels saved", saved[0].Reply.Title)
		w.say(ada, channel, "/meet settings --live off")

		w.say(ada, elsewhere, "/meet there")
		assert.Equal(t, 1, w.tencent.created)
		assert.True(t, *w.tencent.wish.Live)
		w.say(ada, channel, "/meet here")
		assert.Equal(t, 2, w.tencent.created)
		assert.False(t, *w.tencent.wish.Live)
		w.say(ben, chat.Place{Platform: chattest.Slack, Team: "T2", Channel: "C1"}, "/meet another team")
		assert.Equal(t, 1, w.systec.created, "another team has nothing of it")

		shown := fields(w.say(ada, channel, "/meet settings")[0].Reply)
		assert.Equal(t, "Tencent Meeting (all channels)", shown["Meeting service"])
		assert.Equal(t, "Off (this channel)", shown["Live streaming"])
		assert.Equal(t, "up to the meeting service (default)", shown["Recording"])

		everywhere := w.say(bos, channel, "/meet settings --live default --record cloud --everywhere")[0].Reply
		assert.Equal(t, "up to whoever creates the meeting (default)", fields(everywhere)["Live streaming"], "that of all channels")
		assert.Contains(t, everywhere.Text, "This channel still uses its own value for: Live streaming.")
		assert.NotContains(t, everywhere.Text, "Recording")
		w.say(ada, channel, "/meet settings --live default")
		everywhere = w.say(bos, channel, "/meet settings --live on --everywhere")[0].Reply
		assert.NotContains(t, everywhere.Text, "its own")
	})
	inWorld(t, func(c *Config) { changeable(c); c.ProviderVariable = true; c.Policy.Meet = c.Policy.Settings }, func(w *world) {
		shown := fields(w.say(ada, channel, "/meet settings")[0].Reply)
		assert.Equal(t, "SYSTEC (from MEET_PROVIDER)", shown["Meeting service"])
		assert.Equal(t, "everyone who can use me (from MEET_ALLOW)", shown["Allowed"])
		w.bot.Attach(chattest.Discord, w.room)
		direct := chat.Place{Platform: chattest.Discord, Channel: "7", Kind: chat.InDirect}
		u := chat.User{ID: "7", Rights: chat.RightsKnown}
		w.bot.cfg.Policy.Admins = append(w.bot.cfg.Policy.Admins, policy.Entry{Platform: chattest.Discord, Kind: chat.UserEntry, ID: "7"})
		w.bot.people.policy, w.bot.steps = w.bot.cfg.Policy, nil
		p := newParts(w.bot)
		w.bot.people, w.bot.steps = p.people, declaredSteps(p)
		refused := w.do(w.bot.Parse(w.request(u, direct, chat.Request{Command: "meet", Text: "settings --live on --everywhere"})), u, direct)
		assert.Contains(t, refused[0].Reply.Text, "only this conversation")
	})
}

// fields are a reply's, by name.
func fields(r chat.Reply) map[string]string {
	m := map[string]string{}
	for _, f := range r.Fields {
		if f.User != nil {
			f.Value = "@" + f.User.ID
		}
		m[f.Name] = strings.TrimPrefix(m[f.Name]+" "+f.Value, " ")
	}
	return m
}

// groups is a room whose platform knows who is in which group.
type groups struct {
	*room
	of   map[string]string // person → group
	fail error
}

func (groups) Profile(context.Context, chat.Place, string) (chat.Profile, error) {
	return chat.Profile{}, nil
}

func (g groups) InGroup(_ context.Context, _ chat.Place, user, group string) (bool, error) {
	return g.of[user] == group, g.fail
}

func TestADenyBeatsAnAllowAndNeitherGivesARight(t *testing.T) {
	inWorld(t, changeable, func(w *world) {
		g := &groups{room: w.room, of: map[string]string{"U2": "S1", "U5": "S2"}}
		w.bot.Attach(chattest.Slack, g)
		in := func(id string) chat.User { u := ben; u.ID, u.Name = id, "somebody"; return u }
		may := func(u chat.User, at chat.Place) bool {
			return w.say(u, at, "/meet list")[0].Reply.Tone != chat.Bad
		}
		w.say(ada, channel, "/meet settings --allow <@U1>,<!subteam^S1>,<@U4>,<!subteam^S2|@x> --deny user:U4,group:S2")
		for u, want := range map[string]bool{"U1": true, "U2": true, "U4": false, "U5": false, "U6": false, bos.ID: true} {
			assert.Equal(t, want, may(in(u), channel), u)
		}
		assert.True(t, may(in("U6"), elsewhere))
		assert.True(t, may(bos, channel), "an admin, who has no right but that")
		nobody := mal
		nobody.ID = "U1"
		assert.False(t, may(nobody, channel), "an allow gives nobody a right")

		// Who set the list without being on it can take it back.
		w.say(ada, channel, "/meet settings --allow user:U2 --deny default")
		assert.False(t, may(ada, channel))
		w.say(ada, channel, "/meet settings --allow default")
		assert.True(t, may(ada, channel))

		// What was said of all channels is not undone in one.
		w.say(bos, channel, "/meet settings --deny user:U6 --everywhere")
		w.say(ada, channel, "/meet settings --allow user:U6,user:U1")
		assert.False(t, may(in("U6"), channel))
		shown := fields(w.say(ada, channel, "/meet settings")[0].Reply)
		assert.Equal(t, "@U6 @U1", shown["Allowed (this channel)"])
		assert.Equal(t, "@U6", shown["Denied (all channels)"])

		w.say(ada, channel, "/meet settings --deny group:S9")
		g.fail = context.DeadlineExceeded
		assert.False(t, may(ada, channel), "who cannot be looked up is refused")
	})
}

func TestWhoIsDeniedIsNotOfferedAFormOrAName(t *testing.T) {
	inWorld(t, changeable, func(w *world) {
		w.say(ada, channel, "/livepush save bili --url rtmp://ingest.example.com/live --key canary-key --people U2")
		to := chat.Request{Command: "livepush"}
		assert.NotEmpty(t, w.bot.Complete(w.t.Context(), w.request(ben, channel, to), "to", ""))
		w.say(ada, channel, "/meet settings --deny <@U2>")
		assert.Empty(t, w.bot.Complete(w.t.Context(), w.request(ben, channel, to), "to", ""))
		d := w.bot.Ready(w.t.Context(), w.bot.Parse(w.request(ben, channel, chat.Request{Command: "meet", Text: "form"})))
		require.NotNil(t, d.Reply)
		assert.Contains(t, d.Reply.Text, "settings of this channel")
		again := w.bot.Accept(w.t.Context(), w.bot.Parse(w.request(ben, channel, chat.Request{Command: "meet", Text: "x"})))
		require.NotNil(t, again.Reply, "before anything is stored or posted for everybody")
		assert.Zero(t, w.systec.created)
	})
}

func TestAPushGoesToTheUsualDestinations(t *testing.T) {
	inWorld(t, changeable, func(w *world) {
		w.say(ada, channel, "/meet show --provider tencent --live")
		for _, d := range []string{"bili", "抖音"} {
			w.say(ada, channel, "/livepush save "+d+" --url rtmp://"+fmt.Sprintf("%x", d)+".example.com/live --key canary-key")
		}
		assert.Contains(t, w.say(ada, channel, "/livepush to")[0].Reply.Text, "the name is missing", "nothing is set")
		assert.Contains(t, w.say(ada, channel, "/meet settings --to bili,nowhere")[0].Reply.Text, "nowhere")
		w.say(ada, channel, "/meet settings --to bili,抖音")
		posts := w.say(ada, channel, "/livepush to")
		assert.Equal(t, "2 of 2 set", find(t, posts, chat.SlotPrivate).Reply.Title)
		posts = w.say(ada, channel, "/livepush to 抖音")
		assert.Equal(t, "1 of 1 set", find(t, posts, chat.SlotPrivate).Reply.Title)
	})
}

func TestWhatEverybodySeesIsInTheChannelsLanguage(t *testing.T) {
	inWorld(t, changeable, func(w *world) {
		w.say(ada, channel, "/meet settings --language 中文")
		posts := w.say(ada, channel, "/meet x")
		assert.Equal(t, "入会", find(t, posts, chat.SlotRoot).Reply.Links[0].Label)
		assert.Contains(t, describe([]chat.Post{find(t, posts, chat.SlotThread)}), "会议号")
		assert.Contains(t, describe([]chat.Post{find(t, posts, chat.SlotPrivate)}), "start link", "the person's own is in their language")
		require.NoError(t, w.bot.Hear(w.t.Context(), meeting.Event{ID: "e1", At: time.Now(), Ref: meeting.Ref{Provider: "systec", ID: "1591620801"}, State: meeting.StateRunning}))
		assert.Contains(t, describe(w.settle()), "进行中", "so is what becomes of the card")
		posts = w.say(ada, channel, "/livepush board")
		assert.Equal(t, "推流看板", find(t, posts, chat.SlotRoot).Reply.Title)
		assert.Equal(t, "The board is posted. I keep it up to date as long as I can post here.", find(t, posts, chat.SlotPrivate).Reply.Title)
		assert.NotContains(t, slots(posts), chat.SlotEdit, "it shows what it is to show")
		w.say(ada, channel, "/meet Show --provider tencent --live")
		edits := slices.DeleteFunc(w.say(ada, channel, pushLine), func(p chat.Post) bool { return p.Slot != chat.SlotEdit || p.Reply.Title != "推流看板" })
		require.NotEmpty(t, edits)
		assert.Contains(t, describe(edits), "已开启")
	})
}

// held is a platform that is asked for people's names, and answers when it is let.
type held struct {
	*room
	open chan struct{}
}

func (h held) Profile(ctx context.Context, _ chat.Place, _ string) (chat.Profile, error) {
	select {
	case <-h.open:
	case <-ctx.Done():
	}
	return chat.Profile{Name: "Ann", Rights: chat.RightsKnown | chat.RightMeet | chat.RightPush}, nil
}

func (held) InGroup(context.Context, chat.Place, string, string) (bool, error) { return false, nil }

// What is set when a command is accepted is what it is carried out with, whoever changes it
// while it waits, and in either direction.
func TestAChangeIsNotForWhatWaits(t *testing.T) {
	inWorld(t, changeable, func(w *world) {
		w.say(bos, channel, "/meet settings --provider tencent --live on --language zh-CN")
		h := held{w.room, make(chan struct{})}
		w.bot.Attach(chattest.Slack, h)
		ann := chat.User{ID: "U6", Locale: "en"} // without a name: the job waits for it
		waits := w.bot.Parse(w.request(ann, channel, chat.Request{Command: "meet", Text: "x"}))
		require.Zero(t, w.bot.Accept(w.t.Context(), waits))
		time.Sleep(time.Second)
		assert.Zero(t, w.tencent.created+w.systec.created)

		w.say(bos, channel, "/meet settings --provider systec --live off --language en --deny user:U6")
		close(h.open)
		posts := w.settle()
		assert.Equal(t, 1, w.tencent.created, "the provider of then")
		assert.Equal(t, new(true), w.tencent.wish.Live)
		assert.Equal(t, "入会", find(t, posts, chat.SlotRoot).Reply.Links[0].Label)

		refused := w.say(ann, channel, "/meet y")
		assert.Contains(t, refused[0].Reply.Text, "settings of this channel", "the next command has the new ones")
		w.say(bos, channel, "/meet settings --deny default")
		w.say(ann, channel, "/meet y")
		assert.Equal(t, 1, w.systec.created)
		assert.Equal(t, new(bool), w.systec.wish.Live)
	})
}

func TestAFormShowsWhatIsSetAndOverwritesNobody(t *testing.T) {
	inWorld(t, changeable, func(w *world) {
		open := func(u chat.User, r chat.Request) *chat.Form {
			d := w.bot.Ready(w.t.Context(), w.bot.Parse(w.request(u, channel, r)))
			require.NotNil(t, d.Form, "%+v", d)
			return d.Form
		}
		values := func(f *chat.Form) map[string]string {
			m := map[string]string{}
			for _, field := range f.Fields {
				m[field.Name] = field.Value
			}
			return m
		}
		shown := w.say(ada, channel, "/meet settings")
		button := chat.Request{Action: &shown[0].Reply.Buttons[0].Action}
		empty := open(ada, button)
		assert.Equal(t, "default", values(empty)["provider"])
		send := func(f *chat.Form, fields map[string]string) []chat.Post {
			all := values(f)
			for name, v := range fields {
				all[name] = v
			}
			return w.do(w.bot.Parse(w.request(ada, channel, chat.Request{Form: &chat.Submission{Form: f.ID, Arg: f.Arg, Fields: all}})), ada, channel)
		}
		saved := send(empty, map[string]string{"provider": "tencent", "capacity": "30", "deny": "user:U7"})
		assert.Equal(t, "Settings of this channel saved", saved[0].Reply.Title)
		assert.Len(t, saved[0].Reply.Fields, 3)
		late := send(empty, map[string]string{"live": "on"})
		assert.Contains(t, late[0].Reply.Text, "These settings were changed")

		second := open(ada, button)
		assert.Equal(t, "30", values(second)["capacity"])
		assert.Equal(t, "user:U7", values(second)["deny"])
		room := 0
		for i, field := range second.Fields {
			if i < 3 {
				assert.False(t, field.Extra, "%s is set: there is room for it", field.Name)
			}
			if !field.Extra {
				room++
			}
		}
		assert.LessOrEqual(t, room, 7)
		same := send(second, nil)
		assert.Equal(t, "That's how it is set already", same[0].Reply.Title)
		send(second, map[string]string{"capacity": "", "deny": ""})
		assert.Equal(t, "tencent", values(open(ada, chat.Request{Command: "meet", Text: "form"}))["provider"], "the form of a meeting shows what it will have")
		third := values(open(ada, button))
		assert.Empty(t, third["capacity"])
		assert.Empty(t, third["deny"])
	})
}

func TestAChangeIsInTheAuditLog(t *testing.T) {
	inWorld(t, changeable, func(w *world) {
		w.say(ada, channel, "/meet settings --provider tencent --live on")
		w.say(bos, thread(channel), "/meet settings --provider systec --live on --everywhere")
		w.say(ada, channel, "/meet settings --provider default")
		lines, err := audit.New(w.store).Of(w.t.Context(), meeting.Ref{})
		require.NoError(t, err)
		var told []string
		for _, l := range lines {
			assert.Equal(t, audit.Settings, l.Action)
			told = append(told, fmt.Sprintf("%s %s %s: %q to %q", l.Who, l.Where, l.Setting, l.From, l.To))
		}
		assert.ElementsMatch(t, []string{
			`slack:U1 slack:T1:C1 provider: "" to "tencent"`, `slack:U1 slack:T1:C1 live: "" to "on"`,
			`slack:U8 slack:T1: provider: "" to "systec"`, `slack:U8 slack:T1: live: "" to "on"`,
			`slack:U1 slack:T1:C1 provider: "tencent" to ""`,
		}, told)
	})
}

// Killed between two writes, a change is made once, said once more, and not put on top of what
// somebody has set since.
func TestAChangeThatWasInterruptedHasOneOutcome(t *testing.T) {
	for _, between := range []bool{false, true} {
		t.Run(fmt.Sprintf("another change between %t", between), func(t *testing.T) {
			inWorld(t, changeable, func(w *world) {
				all := w.bot.people.settings
				d := w.bot.Parse(w.request(ada, channel, chat.Request{Command: "meet", Text: "settings --provider tencent --live on"}))
				j, err := newJob(d.Request, *grammar.AskOf(d), settings.Here{}, time.Now())
				require.NoError(t, err)
				step := func(j jobs.Job) (jobs.Job, jobs.Next) {
					n, err := w.bot.Next(w.t.Context(), &j)
					require.NoError(t, err)
					j.Memo = nil // as a process that has just started
					return j, n
				}
				step(j) // killed when it was saved, before the answer is
				if between {
					w.say(bos, channel, "/meet settings --provider systec")
				}
				answered, n := step(j)
				assert.Equal(t, jobs.Deliver(), n)
				assert.Equal(t, "saved", answered.Outcome)
				require.Len(t, answered.Outbox, 1)

				now, err := all.Of(w.t.Context(), channel)
				require.NoError(t, err)
				want := map[string]string{"provider": "tencent", "live": "on"}
				if between {
					want["provider"] = "systec"
				}
				assert.Equal(t, want, now.Values, "what came later stays")
				lines, err := audit.New(w.store).Of(w.t.Context(), meeting.Ref{})
				require.NoError(t, err)
				mine := 0
				for _, l := range lines {
					if l.Job == j.ID {
						mine++
					}
				}
				assert.Equal(t, 2, mine)
			})
		})
	}
}

// Two who set different things at once both get what they want.
func TestTwoChangesAtOnceAreBothMade(t *testing.T) {
	inWorld(t, changeable, func(w *world) {
		for _, text := range []string{"settings --live on", "settings --record none"} {
			require.Zero(t, w.bot.Accept(w.t.Context(), w.bot.Parse(w.request(ada, channel, chat.Request{Command: "meet", Text: text}))))
		}
		w.settle()
		now, err := w.bot.people.settings.Of(w.t.Context(), channel)
		require.NoError(t, err)
		assert.Equal(t, map[string]string{"live": "on", "record": "none"}, now.Values)
	})
}

// Who names no destination is not told of a name as if they had typed it.
func TestAUsualDestinationThatIsForgottenIsToldAsSuch(t *testing.T) {
	inWorld(t, changeable, func(w *world) {
		w.say(ada, channel, "/livepush save one --url rtmp://one.example.com/live --key k")
		w.say(ada, channel, "/livepush save two --url rtmp://two.example.com/live --key k")
		w.say(ada, channel, "/meet settings --destinations one、two")
		w.say(ada, channel, "/meet show --provider tencent --live")
		w.press(ada, channel, w.say(ada, channel, "/livepush forget two"), grammar.VerbForgetYes)
		told := find(t, w.say(ada, channel, "/livepush to"), chat.SlotPrivate).Reply.Text
		assert.Contains(t, told, "two: this channel usually pushes there")
		assert.Contains(t, told, "/meet settings")
		assert.Contains(t, w.say(ada, channel, "/livepush to two")[0].Reply.Text, "two: no saved destination by that name")
	})
}
