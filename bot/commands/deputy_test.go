package commands

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
	"meetbot/bot/livepush"
	"meetbot/bot/policy"
	"meetbot/config/secret"
	"meetbot/meeting"
)

// at is one side of the table: a team or server, and the account that it has.
type at struct {
	place   chat.Place
	account meeting.Provider
}

func (a at) named(kind chat.EntryKind, id string) []policy.Entry {
	return []policy.Entry{{Platform: a.place.Platform, Kind: kind, Team: a.place.Team, ID: id}}
}

// TestNothingIsReachedFromAnotherTeam is the confused-deputy table: teams × servers × accounts. In
// one place there is something of everything: a meeting that is pushed, a protected destination and a
// push of it that waits, a board, a report, settings with lists, a link to the key-entry page. From
// the other one somebody presses every button of it, sends
// every form, types every line and completes every name, in a channel with the same ID and under the ID of who is an admin in the first.
func TestNothingIsReachedFromAnotherTeam(t *testing.T) {
	t1 := chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C1"}
	t2 := chat.Place{Platform: chattest.Slack, Team: "T2", Channel: "C1"}
	g1 := chat.Place{Platform: chattest.Discord, Team: "101", Channel: "1"}
	g2 := chat.Place{Platform: chattest.Discord, Team: "102", Channel: "1"}
	for name, tt := range map[string]struct{ mine, theirs at }{
		"TwoTeamsOneAccount":           {at{t1, alpha}, at{t2, alpha}},
		"TwoTeamsTwoAccounts":          {at{t1, alpha}, at{t2, beta}},
		"TwoServersOneAccount":         {at{g1, alpha}, at{g2, alpha}},
		"TwoServersTwoAccounts":        {at{g1, alpha}, at{g2, beta}},
		"ATeamAndAServer":              {at{t1, alpha}, at{g2, alpha}},
		"AServerAndATeamOfTheSameName": {at{g1, alpha}, at{chat.Place{Platform: chattest.Slack, Team: "101", Channel: "1"}, beta}},
	} {
		t.Run(name, func(t *testing.T) { deputy(t, tt.mine, tt.theirs) })
	}
}

func deputy(t *testing.T, mine, theirs at) {
	a, b := newFake("tencent"), newFake("tencent")
	person := chat.User{ID: "1", Name: "Ada", Rights: ada.Rights}
	second := chat.User{ID: "2", Name: "Ben", Rights: ada.Rights}
	if mine.place.Platform == chattest.Slack {
		person.ID, second.ID = "U1", "U2"
	}
	attacker := person // somebody else, with the same ID
	if mine.place.Platform == chattest.Discord && theirs.place.Platform == chattest.Discord {
		attacker.ID = "4" // a person is the same in all servers, and reaches their own meetings from each
	}
	inWorld(t, func(c *Config) {
		twoAccounts(a, b)(c)
		c.Parser.Here = func(p chat.Place) []meeting.Provider {
			switch {
			case p.Platform == mine.place.Platform && p.Team == mine.place.Team:
				return []meeting.Provider{mine.account}
			case p.Team == theirs.place.Team:
				return []meeting.Provider{theirs.account}
			}
			return nil
		}
		c.Parser.KeyPage, c.KeyPageURL = true, "https://bot.example/k/"
		c.Policy.Admins = mine.named(chat.UserEntry, person.ID)
	}, func(w *world) {
		t := w.t
		w.bot.Attach(chattest.Discord, w.room)
		var all []chat.Post
		do := func(u chat.User, line string) []chat.Post {
			posts := w.say(u, mine.place, line)
			all = append(all, posts...)
			return posts
		}
		do(person, "/meet canary-topic --live")
		require.Equal(t, 1, a.created)
		save := func(name, domain string, protected bool) {
			scope := livepush.Scope(mine.place, person.ID)
			_, err := w.bot.saved.dests.Save(w.t.Context(), scope, livepush.Destination{
				Name: name, URL: "rtmp://canary-ingest." + domain + "/live", Key: secret.New("canary-key-" + name), Owner: person.ID, Protected: protected,
			}, person, true)
			require.NoError(t, err)
		}
		save("canary-a", "example.net", false)
		save("canary-b", "example.com", true)
		set := do(person, "/livepush to canary-a in 806146601")
		require.Len(t, a.pushes["806146601"], 1, "%s", spoken(set))
		do(person, "/livepush to canary-b in 806146601")
		do(person, "/livepush board")
		deny := "--deny 3"
		if mine.place.Platform == chattest.Slack {
			deny = "--deny U3"
		}
		do(person, "/meet settings --destinations canary-a --account "+mine.account.Account()+" "+deny)
		link := spoken(do(person, "/livepush save canary-c --url rtmp://canary-ingest.example.com/live"))
		require.Contains(t, link, "https://bot.example/k/")
		for _, line := range []string{"/livepush destinations", "/livepush forget canary-a", "/livepush status 806146601", "/livepush log 806146601", "/meet list", "/meet end 806146601", "/meet share 806146601", "/meet settings"} {
			do(person, line)
		}
		all = append(all, w.room.take()...)
		before, err := w.bot.people.settings.Of(w.t.Context(), mine.place)
		require.NoError(t, err)
		dests, err := w.bot.saved.dests.All(w.t.Context(), livepush.Scope(mine.place, person.ID))
		require.NoError(t, err)
		asked := func() (n int) {
			for _, p := range []*fakeProvider{a, b} {
				n += p.asked["end"] + p.asked["set_push"] + p.asked["pushes"]
			}
			return n
		}
		calls, made := asked(), a.created+b.created

		judge := func(what string, posts []chat.Post) {
			t.Helper()
			var there []chat.Post
			for _, p := range posts {
				if p.Place.Team == mine.place.Team && p.Place.Platform == mine.place.Platform {
					assert.Equal(t, chat.SlotEdit, p.Slot, "%s: nobody asked anything there: %+v", what, p.Reply) // cards are redrawn by themselves
				} else {
					there = append(there, p)
				}
			}
			said := spoken(there)
			for _, of := range []string{"canary", "bot.example/k/", "join.example"} {
				assert.NotContains(t, said, of, what)
			}
		}
		ask := func(what string, r chat.Request) {
			t.Helper()
			d := w.bot.Parse(w.request(attacker, theirs.place, r))
			if d.Form != nil {
				d = w.bot.Ready(w.t.Context(), d)
			}
			if d.Form != nil {
				for _, f := range d.Form.Fields {
					assert.NotContains(t, f.Value, "canary", "%s: %s", what, f.Name)
					for _, c := range f.Choices {
						assert.NotContains(t, c.Label+c.Value, "canary", "%s: %s", what, f.Name)
					}
				}
				fields := map[string]string{"name": "x", "url": "rtmp://other.example.com/live", "live": "on", "to": "canary-a", "topic": "x"}
				d = w.bot.Parse(w.request(attacker, theirs.place, chat.Request{Form: &chat.Submission{Form: d.Form.ID, Arg: d.Form.Arg, Fields: fields}}))
			}
			if d.Faults != nil {
				for field, fault := range d.Faults {
					assert.NotContains(t, fault, "canary-key", "%s: %s", what, field)
				}
				return
			}
			judge(what, w.do(d, attacker, theirs.place))
		}

		pressed := map[grammar.Verb]bool{}
		for _, p := range all {
			for _, button := range p.Reply.Buttons {
				v, _ := grammar.Asked(w.bot.parser.Parse(w.request(person, mine.place, chat.Request{Action: &button.Action})))
				if strings.HasPrefix(string(v.Verb), "meet settings") {
					continue // of whichever place it is pressed in
				}
				pressed[v.Verb] = true
				ask(string(v.Verb), chat.Request{Action: &button.Action})
			}
		}
		for _, v := range []grammar.Verb{grammar.VerbApprove, grammar.VerbReject, grammar.VerbForgetYes, grammar.VerbEndYes, grammar.VerbPushOff, grammar.VerbBoardCopy} {
			assert.True(t, pressed[v], "the table has a button of %s", v)
		}
		// Every button that a meeting has, also those of a report.
		for _, v := range grammar.Verbs() {
			if v.Button == "" || v.Takes != grammar.TakesMeeting && v.Takes != grammar.TakesAddress && v.Takes != grammar.TakesAnyMeeting {
				continue
			}
			ref := meeting.Ref{Provider: mine.account, ID: "806146601"}.String()
			ask(string(v.Verb), chat.Request{Action: &chat.Action{Name: v.Button, Arg: ref}})
		}
		for _, d := range dests {
			for v, arg := range map[grammar.Verb]string{grammar.VerbForgetYes: d.ForgetArg(), grammar.VerbRevoke: d.RevokeArg(), grammar.VerbRevokeYes: d.RevokeArg()} {
				action := grammar.Press(v, arg)
				ask(string(v), chat.Request{Action: &action})
			}
		}
		for _, line := range []string{
			"/livepush destinations", "/livepush to canary-a in 806146601", "/livepush forget canary-a", "/livepush forget canary-b", "/livepush revoke canary-a",
			"/livepush off canary-a in 806146601", "/livepush status 806146601", "/livepush log 806146601", "/livepush board", "/meet settings", "/meet list",
			"/meet end 806146601", "/meet share 806146601",
		} {
			command, text, _ := strings.Cut(strings.TrimPrefix(line, "/"), " ")
			var there []chat.Post
			for _, p := range w.do(w.bot.Parse(w.request(attacker, theirs.place, chat.Request{Command: command, Text: text})), attacker, theirs.place) {
				if p.Place.Team == theirs.place.Team {
					there = append(there, p)
				}
			}
			said := spoken(there)
			for _, typed := range []string{"canary-a", "canary-b"} { // what was typed may be repeated
				if strings.Contains(line, typed) {
					said = strings.ReplaceAll(said, typed, "")
				}
			}
			for _, of := range []string{"canary", "bot.example/k/", "join.example", "@" + strings.TrimPrefix(deny, "--deny ")} {
				assert.NotContains(t, said, of, line)
			}
		}
		for _, option := range []string{"to", "meeting", "name", "destinations", "account"} {
			for _, verb := range []string{"meet", "livepush"} {
				for _, c := range w.bot.Complete(w.t.Context(), w.request(attacker, theirs.place, chat.Request{Command: verb}), option, "") {
					assert.NotContains(t, c.Label+c.Value, "canary", "%s --%s", verb, option)
					assert.True(t, mine.account == theirs.account || c.Value != mine.account.Account(), "its account is not proposed")
				}
			}
		}

		// Nothing came of it, and at home all is as it was.
		assert.Equal(t, calls, asked(), "no provider was asked")
		assert.Equal(t, made, a.created+b.created)
		assert.Equal(t, meeting.StateReady, a.meetings["806146601"].State)
		after, err := w.bot.people.settings.Of(w.t.Context(), mine.place)
		require.NoError(t, err)
		assert.Equal(t, before, after)
		still, err := w.bot.saved.dests.All(w.t.Context(), livepush.Scope(mine.place, person.ID))
		require.NoError(t, err)
		assert.Equal(t, dests, still)
		token := link[strings.Index(link, "https://bot.example/k/")+len("https://bot.example/k/"):]
		token, _, _ = strings.Cut(token, "|")
		token = strings.FieldsFunc(token, func(r rune) bool { return r == ' ' || r == ']' || r == '}' || r == ')' || r == '\n' })[0]
		form, err := w.bot.LookKey(w.t.Context(), token)
		require.NoError(t, err, "%s", token)
		assert.Equal(t, mine.place.Team, form.Place.Team, "the link is of where it was asked for, whoever opens it")
		for _, p := range all {
			for _, button := range p.Reply.Buttons {
				if button.Action.Name == string(grammar.VerbApprove) {
					w.do(w.bot.Parse(w.request(second, mine.place, chat.Request{Action: &button.Action})), second, mine.place)
				}
			}
		}
		assert.Len(t, a.pushes["806146601"], 2, "what waited there still waited")
	})
}

// Whoever is alone with the bot, outside of every server, has there the buttons of what is theirs.
func TestAloneWithTheBotAButtonIsOfEveryServer(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.bot.Attach(chattest.Discord, w.room)
		guild := chat.Place{Platform: chattest.Discord, Team: "101", Channel: "1"}
		direct := chat.Place{Platform: chattest.Discord, Channel: "9", Kind: chat.InDirect}
		owner, other := chat.User{ID: "7", Name: "Ada", Rights: ada.Rights}, chat.User{ID: "8", Name: "Ben", Rights: ada.Rights}
		d, err := w.bot.saved.dests.Save(w.t.Context(), livepush.Scope(guild, owner.ID), livepush.Destination{
			Name: "show", URL: "rtmp://live.example.com/app", Key: secret.New("canary-key"), Owner: owner.ID, OwnerName: "Ada",
		}, owner, false)
		require.NoError(w.t, err)
		action := grammar.Press(grammar.VerbRevokeYes, d.RevokeArg())
		assert.Contains(w.t, spoken(w.do(w.bot.Parse(w.request(other, direct, chat.Request{Action: &action})), other, direct)), "Only Ada")
		assert.Contains(w.t, spoken(w.do(w.bot.Parse(w.request(owner, direct, chat.Request{Action: &action})), owner, direct)), "The key of show is deleted")
	})
}

// Settings, lists and destinations are one server's on every replica: what one replica is told is
// known at the other one, and never in another server.
func TestTwoServersOnTwoReplicasShareNothing(t *testing.T) {
	g1 := chat.Place{Platform: chattest.Discord, Team: "101", Channel: "1"}
	g2 := chat.Place{Platform: chattest.Discord, Team: "102", Channel: "1"}
	person := chat.User{ID: "7", Name: "Ada", Rights: ada.Rights}
	guest := chat.User{ID: "8", Name: "Ben", Rights: ada.Rights}
	inWorld(t, func(c *Config) {
		c.Policy.Admins = []policy.Entry{{Platform: chattest.Discord, Kind: chat.UserEntry, ID: person.ID}}
	}, func(w *world) {
		one := w.bot
		two := New(one.cfg, w.store)
		for _, b := range []*Bot{one, two} {
			b.Attach(chattest.Discord, w.room)
		}
		on := func(b *Bot, u chat.User, place chat.Place, line string) []chat.Post {
			w.bot = b
			return w.say(u, place, line)
		}
		on(one, person, g1, "/meet settings --provider tencent --live on --deny 8 --everywhere")
		on(two, person, g2, "/meet settings --provider systec --capacity 40 --everywhere")
		on(one, person, g1, "/livepush save canary-one --url rtmp://live.example.com/app --key canary-key --channels 1")
		on(two, person, g1, "/meet settings --destinations canary-one")

		for i, b := range []*Bot{two, one} {
			on(b, person, g1, "/meet in one")
			assert.Equal(t, []int{i + 1, i}, []int{w.tencent.created, w.systec.created})
			assert.True(t, *w.tencent.wish.Live)
			on(b, guest, g2, "/meet in two")
			assert.Equal(t, []int{i + 1, i + 1}, []int{w.tencent.created, w.systec.created}, "denied in the other server, and not here")
			assert.Equal(t, 40, w.systec.wish.Capacity)
			assert.Nil(t, w.systec.wish.Live)
			assert.Contains(t, on(b, guest, g1, "/meet no")[0].Reply.Text, "settings of this channel")

			home, there := fields(on(b, person, g1, "/meet settings")[0].Reply), fields(on(b, person, g2, "/meet settings")[0].Reply)
			assert.Equal(t, "Tencent Meeting (all channels)", home["Meeting service"])
			assert.Equal(t, "@8", home["Denied (all channels)"])
			assert.Equal(t, "canary-one (this channel)", home["Usual destinations"])
			assert.Equal(t, "SYSTEC (all channels)", there["Meeting service"])
			assert.Equal(t, "no one (default)", there["Denied"])
			assert.Equal(t, "none (default)", there["Usual destinations"])

			complete := func(place chat.Place) []chat.Choice {
				return b.Complete(w.t.Context(), w.request(person, place, chat.Request{Command: "livepush"}), "to", "")
			}
			assert.Len(t, complete(g1), 1)
			assert.Empty(t, complete(g2))
			list := on(b, person, g1, "/livepush destinations")
			assert.Contains(t, spoken(list), "canary-one")
			assert.NotContains(t, spoken(on(b, person, g2, "/livepush destinations")), "canary")
			assert.NotContains(t, spoken(on(b, person, g2, "/livepush forget canary-one")), "canary-key")
			for _, p := range list {
				for _, button := range p.Reply.Buttons {
					said := w.do(b.Parse(w.request(person, g2, chat.Request{Action: &button.Action})), person, g2)
					assert.NotContains(t, spoken(said), "canary", button.Label)
				}
			}
			assert.Contains(t, spoken(on(b, person, g1, "/livepush destinations")), "canary-one", "it is still there")
			time.Sleep(time.Minute)
		}
	})
}
