package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
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
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
)

const (
	canaryStart = "https://start.example/s/1?zak=canary-start"
	canaryHost  = "765418"
)

// fakeProvider is a meeting provider in memory. Its faults are set by tests.
type fakeProvider struct {
	mu       sync.Mutex
	provider meeting.Provider
	meetings map[string]*meeting.Meeting
	pushes   map[string][]meeting.PushTarget
	created  int
	wish     meeting.Instant // the last
	sets     int
	asked    map[string]int
	fail     func(op string) error // before anything is done
	after    func(op string) error // after it is done: a lost answer
	// What nobody knows of a set address.
	ignoresOff bool           // setting it again with false changes nothing
	keysTell   bool           // another key makes it another address
	listsAll   bool           // whatever the user key
	viewers    map[string]int // of a meeting that has or had a live
	recordings []meeting.Page
	unreadable error // of some recordings, beside those
	replays    []meeting.Page
	people     []string
}

func newFake(p meeting.Provider) *fakeProvider {
	return &fakeProvider{provider: p, meetings: map[string]*meeting.Meeting{}, pushes: map[string][]meeting.PushTarget{}, asked: map[string]int{}}
}

// from has the provider be otherwise from now on, whoever calls it meanwhile.
func (f *fakeProvider) from(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeProvider) do(op string, act func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[op]++
	if f.fail != nil {
		if err := f.fail(op); err != nil {
			return err
		}
	}
	if err := act(); err != nil {
		return err
	}
	if f.after != nil {
		return f.after(op)
	}
	return nil
}

var kinds = meeting.Kinds{systec.Kind, tencent.Kind}

func refusal(kind error, reason meeting.Reason) error {
	return &meeting.APIError{Provider: "tencent", Op: "test", Err: kind, Reason: reason}
}

func (f *fakeProvider) Create(_ context.Context, in meeting.Instant) (m meeting.Meeting, err error) {
	err = f.do("create", func() error {
		f.created++
		f.wish = in
		id := fmt.Sprintf("15916208%02d", f.created)
		if f.provider == "tencent" {
			id = fmt.Sprintf("8061466%02d", f.created)
		}
		personal := in.PMI != nil && *in.PMI
		if personal {
			id = "1591620888"
		}
		m = meeting.Meeting{
			Ref: meeting.Ref{Provider: f.provider, ID: id}, Code: id, Topic: in.Topic, State: meeting.StateReady,
			JoinURL: "https://join.example/j/" + id, UserKey: in.UserKey,
			Start: time.Now().Truncate(time.Second), // when it is made, whatever was asked for
		}
		m.End = m.Start.Add(in.Duration)
		if in.Live != nil && *in.Live {
			m.Live, m.WatchURL = true, "https://watch.example/l/"+id
		}
		switch f.provider {
		case "systec":
			m.StartURL, m.HostKey = secret.New(canaryStart), secret.New(canaryHost)
			if personal {
				m.StartURL, m.HostKey = secret.New(fmt.Sprint(canaryStart, "-", f.created)), secret.New(fmt.Sprint(canaryHost, "-", f.created))
			}
		case "tencent":
			m.Creator, m.HostKey = in.Account, in.HostKey
		}
		f.meetings[id] = &m
		return nil
	})
	return m, err
}

func (f *fakeProvider) Get(_ context.Context, _, id string) (m meeting.Meeting, err error) {
	err = f.do("get", func() error {
		got, ok := f.meetings[id]
		if !ok {
			return refusal(meeting.ErrNotFound, meeting.ReasonMeeting)
		}
		m = *got
		return nil
	})
	return m, err
}

func (f *fakeProvider) List(_ context.Context, _, userKey string) (ms []meeting.Meeting, err error) {
	err = f.do("list", func() error {
		for _, m := range f.meetings {
			if userKey == "" || m.UserKey == userKey || f.listsAll {
				ms = append(ms, *m)
			}
		}
		return nil
	})
	return ms, err
}

func (f *fakeProvider) End(_ context.Context, _, id string) error {
	return f.do("end", func() error { f.meetings[id].State = meeting.StateEnded; return nil })
}

// fakeTencent also takes push addresses.
type fakeTencent struct{ *fakeProvider }

func (f fakeTencent) ByCode(ctx context.Context, account, code string) (meeting.Meeting, error) {
	return f.Get(ctx, account, code)
}

func (f fakeTencent) SetPush(_ context.Context, _, id string, p meeting.PushTarget) error {
	return f.do("set_push", func() error {
		f.sets++
		if f.ignoresOff && !p.Enabled {
			return nil
		}
		f.pushes[id] = append(slices.DeleteFunc(f.pushes[id], func(h meeting.PushTarget) bool {
			return h.URL == p.URL && (!f.keysTell || h.Key.Equal(p.Key))
		}), p)
		return nil
	})
}

func (f fakeTencent) Pushes(_ context.Context, _, id string) (ps []meeting.PushTarget, err error) {
	err = f.do("pushes", func() error { ps = slices.Clone(f.pushes[id]); return nil })
	return ps, err
}

func (f fakeTencent) Viewers(_ context.Context, _, id string) (n int, err error) {
	err = f.do("viewers", func() error {
		var live bool
		if n, live = f.viewers[id]; !live {
			return refusal(meeting.ErrInvalid, meeting.ReasonNoLive)
		}
		return nil
	})
	return n, err
}

// fakeSystec also gives fresh start links.
type fakeSystec struct{ *fakeProvider }

func (f fakeSystec) StartURL(context.Context, string) (secret.String, error) {
	return secret.New(canaryStart + "-fresh"), nil
}

// room records what was posted on a platform.
type room struct {
	mu    sync.Mutex
	posts []chat.Post
	fail  func(chat.Post) error
	n     int
}

func (r *room) Post(_ context.Context, p chat.Post) (chat.Receipt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		if err := r.fail(p); err != nil {
			return chat.Receipt{}, err
		}
	}
	r.posts = append(r.posts, p)
	r.n++
	at := p.Place
	if p.Slot == chat.SlotRoot && at.Thread == "" {
		at.Thread = fmt.Sprint("t", r.n)
	}
	return chat.Receipt{Place: at, Message: fmt.Sprint("m", r.n)}, nil
}

func (r *room) take() []chat.Post {
	r.mu.Lock()
	defer r.mu.Unlock()
	posts := r.posts
	r.posts = nil
	return posts
}

// world is a bot with everything around it in memory, inside a synctest bubble.
type world struct {
	t       *testing.T
	bot     *Bot
	store   *jobs.Store
	systec  *fakeProvider
	tencent *fakeProvider
	room    *room
	next    int
}

var (
	channel = chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C1"}
	ada     = chat.User{ID: "U1", Name: "Ada", Rights: chat.RightsKnown | chat.RightMeet | chat.RightPush}
	ben     = chat.User{ID: "U2", Name: "Ben", Rights: chat.RightsKnown | chat.RightMeet | chat.RightPush}
	mal     = chat.User{ID: "U3", Name: "Mallory", Rights: chat.RightsKnown}
)

// inWorld runs f in a bubble, with a bot that runs.
func inWorld(t *testing.T, configure func(*Config), f func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		store, err := jobs.OpenMemory(jobs.Config{})
		require.NoError(t, err)
		w := &world{t: t, store: store, systec: newFake("systec"), tencent: newFake("tencent"), room: &room{}}
		cfg := Config{
			Platforms: chattest.Kinds(),
			Parser:    grammar.Config{Locale: "en", Kinds: kinds, Providers: []meeting.Provider{"systec", "tencent"}, Default: "systec"},
			Providers: map[meeting.Provider]Provider{
				"systec": fakeSystec{w.systec}, "tencent": fakeTencent{w.tencent},
			},
		}
		if configure != nil {
			configure(&cfg)
		}
		w.bot = New(cfg, store)
		w.bot.Attach(chattest.Slack, w.room)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		runs := w.bot // f may take another one in its place
		go func() { done <- store.Run(ctx, runs) }()
		defer func() {
			cancel()
			assert.NoError(t, <-done)
			assert.NoError(t, store.Close())
		}()
		f(w)
	})
}

// settle lets everything that is due happen, but no timer of more than a few seconds.
func (w *world) settle() []chat.Post {
	time.Sleep(5 * time.Second)
	synctest.Wait()
	posts := w.room.take()
	for _, p := range posts {
		assertAsksFirst(w.t, p)
	}
	return posts
}

// assertAsksFirst: what cannot be undone is not one press away.
func assertAsksFirst(t *testing.T, p chat.Post) {
	t.Helper()
	question := slices.ContainsFunc(p.Reply.Buttons, func(b chat.Button) bool { return b.Action.Name == string(grammar.VerbKeep) })
	for _, b := range p.Reply.Buttons {
		if grammar.Final(b.Action) {
			asked := question && p.Slot == chat.SlotPrivate && p.Reply.Text != "" ||
				b.Confirm != nil && chattest.Kinds().Of(p.Place.Platform).Confirms
			assert.True(t, asked, "%s of %q on %s", b.Label, p.Reply.Title, p.Place.Platform)
		}
	}
}

// say has a person type a line and returns what was posted.
func (w *world) say(u chat.User, at chat.Place, line string) []chat.Post {
	w.t.Helper()
	command, text, _ := strings.Cut(line, " ")
	d := w.bot.Parse(w.request(u, at, chat.Request{Command: strings.TrimPrefix(command, "/"), Text: text}))
	return w.do(d, u, at)
}

func (w *world) request(u chat.User, at chat.Place, r chat.Request) chat.Request {
	w.next++
	r.ID, r.At, r.User, r.Place = fmt.Sprintf("slack:test:%d", w.next), time.Now(), u, at
	if r.Origin == nil {
		r.Origin = []byte("origin of " + r.ID)
	}
	return r
}

func (w *world) do(d chat.Decision, u chat.User, at chat.Place) []chat.Post {
	w.t.Helper()
	if d.Reply != nil {
		return []chat.Post{{Slot: chat.SlotPrivate, Place: at, User: u, Reply: *d.Reply}}
	}
	require.NotNil(w.t, d.Ask, "%+v", d)
	a := w.bot.Accept(w.t.Context(), d)
	if a.Reply != nil {
		return []chat.Post{{Slot: chat.SlotPrivate, Place: at, User: u, Reply: *a.Reply}}
	}
	require.Zero(w.t, a)
	return w.settle()
}

// press has a person press the button with that label in one of the posts.
func (w *world) press(u chat.User, at chat.Place, posts []chat.Post, verb grammar.Verb) []chat.Post {
	w.t.Helper()
	for _, p := range posts {
		for _, b := range p.Reply.Buttons {
			if b.Action.Name == string(verb) || b.Action.Name == string(verb)+"yes" && b.Confirm != nil { // asked there, and meant
				return w.do(w.bot.Parse(w.request(u, at, chat.Request{Action: &b.Action})), u, at)
			}
		}
	}
	require.Failf(w.t, "no such button", "%s in %s", verb, describe(posts))
	return nil
}

// another is say where somebody else's meeting is, and another one is wanted.
func (w *world) another(u chat.User, at chat.Place, line string) []chat.Post {
	w.t.Helper()
	return w.press(u, at, w.say(u, at, line), grammar.VerbCreateAnyway)
}

func slots(posts []chat.Post) []chat.Slot {
	var s []chat.Slot
	for _, p := range posts {
		s = append(s, p.Slot)
	}
	return s
}

func find(t *testing.T, posts []chat.Post, s chat.Slot) chat.Post {
	t.Helper()
	for _, p := range posts {
		if p.Slot == s {
			return p
		}
	}
	require.Failf(t, "no such post", "%s in %s", s, describe(posts))
	return chat.Post{}
}

func describe(posts []chat.Post) string {
	var b strings.Builder
	for _, p := range posts {
		fmt.Fprintf(&b, "\n%s: %s | %s | %v | %v", p.Slot, p.Reply.Title, p.Reply.Text, p.Reply.Fields, p.Reply.Links)
	}
	return b.String()
}

// revealed is everything a post would show, secrets in clear.
func revealed(p chat.Post) string {
	s := fmt.Sprintf("%+v", p.Reply)
	for _, f := range p.Reply.Secrets {
		s += f.Value.Reveal()
	}
	return s
}

func requireNoSecretsInPublic(t *testing.T, posts []chat.Post) {
	t.Helper()
	for _, p := range posts {
		if !p.Slot.Private() {
			for _, canary := range []string{canaryStart, canaryHost, "canary-key"} {
				require.NotContains(t, revealed(p), canary, "%s", p.Slot)
			}
		}
	}
}

func TestMeetPostsRootThreadAndPrivateLinks(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		posts := w.say(ada, channel, "/meet 周会 --live")
		require.Equal(t, []chat.Slot{chat.SlotPrivate, chat.SlotRoot, chat.SlotThread, chat.SlotThreadPrivate}, slots(posts))
		requireNoSecretsInPublic(t, posts)

		root := posts[1]
		assert.Equal(t, "周会", root.Reply.Title)
		assert.Equal(t, []chat.Link{{Label: "Join", URL: "https://join.example/j/1591620801"}, {Label: "Watch", URL: "https://watch.example/l/1591620801"}}, root.Reply.Links)
		assert.Equal(t, &chat.Receipt{Place: chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C1", Thread: "t2"}, Message: "m2"}, posts[2].Root)
		assert.Contains(t, revealed(posts[0]), canaryStart)
		assert.Contains(t, revealed(posts[3]), canaryStart)
		assert.Equal(t, 1, w.systec.created)

		keys := map[string]bool{}
		for _, p := range posts {
			assert.LessOrEqual(t, len(p.Key), 25)
			keys[p.Key] = true
		}
		assert.Len(t, keys, len(posts))
	})
}

func TestAFinishedJobKeepsNoSecrets(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		d := w.bot.Parse(w.request(ada, channel, chat.Request{Command: "meet", Text: "x", Origin: []byte("canary-origin")}))
		require.Len(t, w.do(d, ada, channel), 4)
		j, err := w.store.Get(w.t.Context(), jobID(d.Request))
		require.NoError(t, err)
		assert.Equal(t, jobs.Done, j.State)
		assert.Equal(t, "created", j.Outcome)
		kept := string(j.Data)
		for _, item := range j.Outbox {
			kept += string(item.Body) + string(item.Receipt)
		}
		for _, canary := range []string{canaryStart, canaryHost, "canary-origin"} {
			assert.NotContains(t, kept, canary)
		}
	})
}

func TestTheSameWishIsOneMeeting(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		first := w.request(ada, channel, chat.Request{Command: "meet", Text: "sync"})
		require.Len(t, w.do(w.bot.Parse(first), ada, channel), 4)

		again := w.bot.Accept(w.t.Context(), w.bot.Parse(first))
		assert.Equal(t, chat.Acceptance{Duplicate: true}, again, "the platform's repeat")

		posts := w.say(ada, channel, "/meet sync")
		require.Equal(t, []chat.Slot{chat.SlotPrivate, chat.SlotSettle}, slots(posts), "an impatient retype")
		assert.Equal(t, 1, w.systec.created)
		assert.Equal(t, "https://join.example/j/1591620801", posts[0].Reply.Links[0].URL)

		w.another(ben, channel, "/meet sync")
		assert.Equal(t, 2, w.systec.created, "somebody else's wish")
		posts = w.press(ada, channel, posts, grammar.VerbCreateAnyway)
		assert.Equal(t, 3, w.systec.created, "another one was wanted")
		assert.Equal(t, chat.SlotRoot, posts[1].Slot)

		time.Sleep(sameWish)
		w.another(ada, channel, "/meet sync")
		assert.Equal(t, 4, w.systec.created, "half a minute later it is a new wish")
	})
}

func TestWhereSomebodyElsesMeetingIsThePersonIsAsked(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet standup")
		posts := w.say(ben, channel, "/meet retro")
		assert.Equal(t, 1, w.systec.created)
		assert.Equal(t, []chat.Slot{chat.SlotPrivate, chat.SlotSettle}, slots(posts))
		asked := find(t, posts, chat.SlotPrivate).Reply
		assert.Contains(t, asked.Text, "standup")
		assert.Equal(t, []chat.Link{{Label: "Join that one", URL: "https://join.example/j/1591620801"}}, asked.Links)
		assert.Equal(t, "Create another", asked.Buttons[0].Label)
		made := w.press(ben, channel, posts, grammar.VerbCreateAnyway)
		assert.Equal(t, 2, w.systec.created)
		assert.Equal(t, "retro", find(t, made, chat.SlotRoot).Reply.Title)
		w.press(ben, channel, posts, grammar.VerbCreateAnyway)
		assert.Equal(t, 2, w.systec.created, "one click is one meeting")
	})
	inWorld(t, nil, func(w *world) { // of what is not known it is told, and nobody waits
		w.say(ada, channel, "/meet standup")
		_, err := w.bot.registry.Change(w.t.Context(), meeting.Ref{Provider: "systec", ID: "1591620801"}, func(r *registry.Registration) bool {
			r.Meeting.State = meeting.StateUnknown
			return true
		})
		require.NoError(t, err)
		posts := w.say(ben, channel, "/meet retro")
		assert.Equal(t, 2, w.systec.created)
		assert.Contains(t, find(t, posts, chat.SlotPrivate).Reply.Text, "standup")
	})
}

func TestWhatLooksLikeACommandIsAskedPrivately(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		for i, line := range []string{"/meet hlep", "/meet -h", "/meet end 123", "/meet schedule tomorrow 3pm", "/meet 明天下午三点"} {
			posts := w.say(ada, channel, line)
			assert.Equal(t, []chat.Slot{chat.SlotPrivate}, slots(posts), line)
			assert.Equal(t, i, w.systec.created, line)
			assert.Equal(t, "Create anyway", posts[0].Reply.Buttons[0].Label)
			w.press(ada, channel, posts, grammar.VerbCreateAnyway)
			assert.Equal(t, i+1, w.systec.created, "one click goes on")
		}
	})
}

func TestADefiniteRefusalIsToldAtOnceAndPrivately(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.systec.failing(func(op string) error { return refusal(meeting.ErrLimit, meeting.ReasonQuota) })
		posts := w.say(ada, channel, "/meet x")
		require.Equal(t, []chat.Slot{chat.SlotPrivate, chat.SlotSettle}, slots(posts))
		assert.Contains(t, posts[0].Reply.Text, "can't create more meetings")
		assert.NotContains(t, revealed(posts[1]), "as many")

		w.systec.failing(nil)
		require.Len(t, w.say(ada, channel, "/meet x"), 4, "a refusal is worth a retry")
	})
}

func TestALostAnswerIsLookedUpAndAdopted(t *testing.T) {
	for _, p := range []meeting.Provider{"systec", "tencent"} {
		t.Run(string(p), func(t *testing.T) {
			inWorld(t, func(c *Config) { c.Parser.Default = p }, func(w *world) {
				lost := func(op string) error {
					if op == "create" {
						return refusal(meeting.ErrOutcomeUnknown, "")
					}
					return nil
				}
				w.systec.after, w.tencent.after = lost, lost
				assert.Empty(t, w.say(ada, channel, "/meet x"), "nothing is known yet")
				time.Sleep(2 * time.Minute)
				posts := w.room.take()
				find(t, posts, chat.SlotRoot)
				find(t, posts, chat.SlotPrivate)
				assert.Equal(t, 1, w.systec.created+w.tencent.created)
			})
		})
	}
}

func TestAnOutcomeThatCannotBeFoundIsSaidPlainly(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.systec.failing(func(op string) error {
			if op == "create" {
				return refusal(meeting.ErrOutcomeUnknown, "")
			}
			return nil
		})
		w.say(ada, channel, "/meet x")
		time.Sleep(2 * time.Minute)
		posts := w.room.take()
		assert.Equal(t, "May have been created", find(t, posts, chat.SlotPrivate).Reply.Title)
		assert.Zero(t, w.systec.created)

		w.systec.failing(nil)
		again := w.press(ben, channel, posts, grammar.VerbRetry)
		assert.Contains(t, find(t, again, chat.SlotPrivate).Reply.Text, "Only the person who asked")
		assert.Zero(t, w.systec.created)
		w.press(ada, channel, posts, grammar.VerbRetry)
		assert.Equal(t, 1, w.systec.created)
	})
}

func TestAnUnreachableProviderIsTriedAgainAndTheRequesterTold(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		down := time.Now().Add(30 * time.Second)
		w.systec.failing(func(string) error {
			if time.Now().Before(down) {
				return refusal(meeting.ErrUnavailable, "")
			}
			return nil
		})
		w.say(ada, channel, "/meet x")
		time.Sleep(90 * time.Second)
		posts := w.room.take()
		assert.Contains(t, find(t, posts, chat.SlotProgress).Reply.Text, "I can't reach SYSTEC right now")
		find(t, posts, chat.SlotRoot)
		assert.Equal(t, 1, w.systec.created)
	})
}

func TestACommandThatWaitedTooLongIsNotCarriedOut(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		r := w.request(ada, channel, chat.Request{Command: "meet", Text: "x"})
		r.At = r.At.Add(-3 * time.Minute)
		posts := w.do(w.bot.Parse(r), ada, channel)
		assert.Equal(t, "Not run: too old", find(t, posts, chat.SlotPrivate).Reply.Title)
		assert.Zero(t, w.systec.created)
		w.press(ada, channel, posts, grammar.VerbRunExpired)
		assert.Equal(t, 1, w.systec.created)
	})
}

func TestWhoMayNotIsRefusedBeforeAnythingIsStored(t *testing.T) {
	inWorld(t, func(c *Config) {
		c.Policy.Admins = []policy.Entry{{Platform: chattest.Slack, Kind: chat.UserEntry, ID: "U9"}}
	}, func(w *world) {
		d := w.bot.Parse(w.request(mal, channel, chat.Request{Command: "meet", Text: "x"}))
		require.NotNil(t, d.Reply)
		assert.Nil(t, d.Ask)
		assert.Equal(t, "U9", d.Reply.Fields[0].User.ID)
	})
}

func TestTheStartLinkIsForWhoeverHasTheRight(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		posts := w.say(ada, channel, "/meet x --host <@U7|grace>")
		grace := chat.User{ID: "U7", Name: "Grace", Rights: chat.RightsKnown | chat.RightMeet}
		assert.Contains(t, revealed(find(t, w.press(ada, channel, posts, grammar.VerbStartLink), chat.SlotPrivate)), canaryStart)
		assert.Contains(t, revealed(find(t, w.press(grace, channel, posts, grammar.VerbStartLink), chat.SlotPrivate)), canaryStart)
		refused := w.press(ben, channel, posts, grammar.VerbStartLink)
		assert.NotContains(t, revealed(refused[0]), "canary")
		assert.Contains(t, refused[0].Reply.Text, "Ada")

		time.Sleep(systec.Kind.StartLinkLife)
		w.room.take()
		assert.Contains(t, revealed(find(t, w.press(ada, channel, posts, grammar.VerbStartLink), chat.SlotPrivate)), canaryStart+"-fresh")
	})
}

func TestTencentWithoutAMappedAccountGetsAHostKey(t *testing.T) {
	inWorld(t, func(c *Config) {
		c.Accounts = map[meeting.Provider]Accounts{"tencent": {Persons: map[string]string{"slack:U2": "bob"}}}
	}, func(w *world) {
		posts := w.say(ada, channel, "/meet x --provider tencent")
		private := find(t, posts, chat.SlotPrivate)
		require.Len(t, private.Reply.Secrets, 1)
		assert.Regexp(t, `^\d{6}$`, private.Reply.Secrets[0].Value.Reveal())
		assert.Empty(t, find(t, posts, chat.SlotThread).Reply.Secrets)

		private = find(t, w.another(ben, channel, "/meet x --provider tencent"), chat.SlotPrivate)
		assert.Empty(t, private.Reply.Secrets)
	})
}

func TestEndingAsksAndIsForTheRequester(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		posts := w.say(ada, channel, "/meet x")
		refused := w.press(ben, channel, posts, grammar.VerbEndYes)
		assert.Contains(t, refused[0].Reply.Text, "Only Ada")
		asked := w.say(ada, channel, "/meet end")
		assert.Equal(t, meeting.StateReady, w.systec.meetings["1591620801"].State, "asks first")
		ended := w.press(ada, channel, asked, grammar.VerbEndYes)
		assert.Equal(t, meeting.StateEnded, w.systec.meetings["1591620801"].State)
		card := find(t, ended, chat.SlotEdit)
		assert.Contains(t, card.Reply.Fields[1].Value, "Ended")
		assert.Empty(t, card.Reply.Links)
		assert.Contains(t, w.say(ada, channel, "/meet list")[0].Reply.Text, "No meetings are running here")
	})
}

func TestSharedCardsAreEditedTogether(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x")
		other := chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C2"}
		posts := w.say(ada, other, "/meet share 1591620801")
		assert.Equal(t, []chat.Slot{chat.SlotPrivate, chat.SlotRoot}, slots(posts))
		require.NoError(t, w.bot.Hear(w.t.Context(), meeting.Event{ID: "e1", At: time.Now(), Ref: meeting.Ref{Provider: "systec", ID: "1591620801"}, State: meeting.StateRunning}))
		require.NoError(t, w.bot.Hear(w.t.Context(), meeting.Event{ID: "e1", At: time.Now(), Ref: meeting.Ref{Provider: "systec", ID: "1591620801"}, State: meeting.StateRunning}))
		edits := w.settle()
		require.Equal(t, []chat.Slot{chat.SlotEdit, chat.SlotEdit}, slots(edits), "an event is taken once")
		assert.ElementsMatch(t, []string{"C1", "C2"}, []string{edits[0].Place.Channel, edits[1].Place.Channel})
		assert.Contains(t, edits[0].Reply.Fields[1].Value, "Running since")
	})
}

func TestACardSaysOnlyWhatTheProviderSaid(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x")
		id := "1591620801"
		state := func() string {
			reg, err := w.bot.registry.Get(w.t.Context(), meeting.Ref{Provider: "systec", ID: id})
			require.NoError(t, err)
			return w.bot.cards.stateText(texts.For("en"), reg)
		}
		assert.Contains(t, state(), "nobody has joined yet; open until")
		w.systec.mu.Lock()
		w.systec.meetings[id].State = meeting.StateRunning
		w.systec.mu.Unlock()
		time.Sleep(2 * time.Minute)
		assert.Contains(t, state(), "Running since")
		w.systec.mu.Lock()
		delete(w.systec.meetings, id)
		w.systec.mu.Unlock()
		time.Sleep(10 * time.Minute)
		assert.Contains(t, state(), "Not found at the meeting service", "which is not ended")
	})
}

func TestTheRequesterIsRemindedOfAnEmptyMeeting(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x")
		time.Sleep(26 * time.Minute)
		posts := w.room.take()
		direct := find(t, posts, chat.SlotDirect)
		assert.Equal(t, ada.ID, direct.User.ID)
		assert.Equal(t, []chat.Link{{Label: "Join", URL: "https://join.example/j/1591620801"}}, direct.Reply.Links)
	})
}

const pushLine = "/livepush --name B站 --url rtmp://live-push.bilivideo.com/live-bvc/ --key ?streamname=live_1_2&key=canary-key&schedule=rtmp --override"

func TestASetPushIsReadBackAnnouncedAndLogged(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet 发布会 --provider tencent --live")
		posts := w.say(ada, channel, pushLine)
		requireNoSecretsInPublic(t, posts)
		private := find(t, posts, chat.SlotPrivate)
		assert.NotContains(t, revealed(private), "canary-key", "not even to the person who typed it")
		assert.Equal(t, "1 of 1 set", private.Reply.Title)
		assert.Contains(t, private.Reply.Text, "Not on air yet")
		announced := find(t, posts, chat.SlotThread)
		assert.Equal(t, "U1", announced.Reply.Fields[0].User.ID)
		assert.Contains(t, announced.Reply.Text, "B站")
		require.Len(t, w.tencent.pushes["806146601"], 1)
		assert.Equal(t, "?streamname=live_1_2&key=canary-key&schedule=rtmp", w.tencent.pushes["806146601"][0].Key.Reveal())

		again := w.say(ada, channel, pushLine)
		assert.Contains(t, again[0].Reply.Fields[0].Value, "already set")
		assert.Equal(t, 1, w.tencent.sets)

		log := w.say(ada, channel, "/livepush log")
		assert.Len(t, log[0].Reply.Fields, 2)
		off := w.say(ada, channel, "/livepush off B站")
		assert.Equal(t, "1 of 1 off", find(t, off, chat.SlotPrivate).Reply.Title)
		assert.False(t, w.tencent.pushes["806146601"][0].Enabled)
	})
}

func TestAPushWhoseAnswerIsLostIsReadBack(t *testing.T) {
	for name, done := range map[string]bool{"done": true, "not done": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				w.say(ada, channel, "/meet x --provider tencent")
				once := true
				lost := func(op string) error {
					if op == "set_push" && once {
						once = false
						return refusal(meeting.ErrOutcomeUnknown, "")
					}
					return nil
				}
				if done {
					w.tencent.after = lost
				} else {
					w.tencent.failing(lost)
				}
				w.say(ada, channel, pushLine)
				time.Sleep(2 * time.Minute)
				assert.Equal(t, "1 of 1 set", find(t, w.room.take(), chat.SlotPrivate).Reply.Title)
				assert.Equal(t, 1, w.tencent.sets)
			})
		})
	}
}

func TestOnlyWhoHoldsAMeetingPushesIt(t *testing.T) {
	inWorld(t, func(c *Config) {
		c.Accounts = map[meeting.Provider]Accounts{"tencent": {Persons: map[string]string{"slack:U4": "dora"}}}
	}, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent")
		refused := w.say(ben, channel, pushLine)
		assert.Contains(t, refused[0].Reply.Text, "Only Ada")
		assert.Contains(t, w.say(ben, channel, strings.Replace(pushLine, "/livepush", "/livepush 806146999", 1))[0].Reply.Text, "I didn't create that meeting")
		assert.Zero(t, w.tencent.sets)
		dora := chat.User{ID: "U4", Name: "Dora", Rights: chat.RightsKnown | chat.RightPush}
		w.say(dora, channel, pushLine)
		assert.Equal(t, 1, w.tencent.sets, "as her own account")
	})
}

func TestASystecMeetingTakesNoPush(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x")
		posts := w.say(ada, channel, pushLine)
		assert.Contains(t, posts[0].Reply.Text, "SYSTEC, which doesn't support live push")
		posts = w.press(ada, channel, posts, grammar.VerbElsewhere)
		find(t, posts, chat.SlotRoot)
		assert.Equal(t, 1, w.tencent.created)
	})
}

func TestASavedDestinationIsPushedByName(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		saved := w.say(ada, channel, "/livepush save B站 --url rtmp://live-push.bilivideo.com/live-bvc/ --key ?streamname=live_1_2&key=canary-key --override")
		assert.Equal(t, "B站 is saved", saved[0].Reply.Title, describe(saved))
		assert.NotContains(t, revealed(saved[0]), "canary-key")
		posts := w.say(ada, channel, "/livepush to b站")
		assert.Equal(t, "1 of 1 set", find(t, posts, chat.SlotPrivate).Reply.Title)
		assert.Contains(t, w.say(ada, channel, "/livepush to 抖音")[0].Reply.Text, "no saved destination")
		assert.Contains(t, w.say(ben, channel, "/livepush forget B站")[0].Reply.Text, "Only Ada or an admin")

		w.press(ada, channel, saved, grammar.VerbRevoke)
		w.say(ada, channel, "/meet y --provider tencent")
		posts = w.say(ada, channel, "/livepush to B站 in 806146602")
		assert.Contains(t, find(t, posts, chat.SlotPrivate).Reply.Fields[0].Value, "has no key")
	})
}

func TestAProtectedDestinationNeedsASecondPerson(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, "/livepush save 主站 --url rtmp://ingest.example.com/live --key canary-key --protected")
		asked := w.say(ada, channel, "/livepush to 主站")
		assert.Equal(t, []chat.Slot{chat.SlotPrivate, chat.SlotThread}, slots(asked))
		assert.Zero(t, w.tencent.sets)
		assert.Contains(t, w.press(ada, channel, asked, grammar.VerbApprove)[0].Reply.Text, "can't approve your own request")
		assert.Contains(t, describe([]chat.Post{w.press(mal, channel, asked, grammar.VerbApprove)[0]}), "Only full members of this workspace can set up live push")
		assert.Zero(t, w.tencent.sets)
		posts := w.press(ben, channel, asked, grammar.VerbApprove)
		assert.Equal(t, 1, w.tencent.sets, describe(posts))

		w.say(ada, channel, "/meet y --provider tencent --live")
		w.say(ada, channel, "/livepush to 主站 in 806146602")
		time.Sleep(approvalFor)
		assert.Contains(t, describe(w.settle()), "No one approved this")
		assert.Equal(t, 1, w.tencent.sets)
	})
}

func TestAKeyPageLinkReplacesTheForm(t *testing.T) {
	inWorld(t, func(c *Config) { c.Parser.KeyPage, c.KeyPageURL = true, "https://bot.example/k/" }, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent")
		posts := w.say(ada, channel, "/livepush --name B站 --url rtmp://ingest.example.com/live")
		require.Len(t, posts[0].Reply.Secrets, 1, describe(posts))
		token, ok := strings.CutPrefix(posts[0].Reply.Secrets[0].Value.Reveal(), "https://bot.example/k/")
		require.True(t, ok)
		form, err := w.bot.LookKey(w.t.Context(), token)
		require.NoError(t, err)
		assert.Equal(t, "x", form.Meeting)
		_, err = w.bot.SubmitKey(w.t.Context(), token, KeyEntry{URL: "rtmp://ingest.example.com/live", Name: "B站", Key: secret.New("canary-key")})
		require.NoError(t, err)
		told := find(t, w.settle(), chat.SlotPrivate)
		assert.Equal(t, "1 of 1 set", told.Reply.Title)
		assert.Equal(t, posts[0].Origin, told.Origin, "where the link was given, which takes no direct message")
		_, err = w.bot.SubmitKey(w.t.Context(), token, KeyEntry{URL: "rtmp://ingest.example.com/live", Name: "B站", Key: secret.New("canary-key")})
		require.ErrorIs(t, err, ErrLinkUsed)
		assert.Equal(t, 1, w.tencent.sets)
	})
}

func TestADestinationWithoutAFreshKeyAsksForOneOnThePage(t *testing.T) {
	inWorld(t, func(c *Config) { c.Parser.KeyPage, c.KeyPageURL = true, "https://bot.example/k/" }, func(w *world) {
		w.say(ada, channel, "/livepush save 抖音 --preset douyin --url rtmp://push-rtmp-l6.douyincdn.com/third --key stream-1234567890123456789?expire=1900000000&sign=canary-key --override")
		time.Sleep(3 * time.Hour)
		w.say(ada, channel, "/meet x --provider tencent --live")
		posts := w.say(ada, channel, "/livepush to 抖音")
		private := find(t, posts, chat.SlotPrivate)
		assert.Contains(t, private.Reply.Fields[0].Value, "new key for every stream")
		require.Len(t, private.Reply.Secrets, 1)
		token := strings.TrimPrefix(private.Reply.Secrets[0].Value.Reveal(), "https://bot.example/k/")
		form, err := w.bot.LookKey(w.t.Context(), token)
		require.NoError(t, err)
		assert.True(t, form.Fixed)
		_, err = w.bot.SubmitKey(w.t.Context(), token, KeyEntry{URL: form.URL, Key: secret.New("stream-9234567890123456789?expire=1900000000&sign=b"), Override: true})
		require.NoError(t, err)
		assert.Equal(t, "1 of 1 set", find(t, w.settle(), chat.SlotPrivate).Reply.Title)
		assert.Contains(t, w.say(ada, channel, "/livepush to 抖音")[0].Reply.Fields[0].Value, "already set", "the new key was kept")
	})
}

func TestANamedSetIsPushedOneByOneAndReportedEach(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		for i, name := range []string{"一号", "二号", "三号"} {
			w.say(ada, channel, fmt.Sprintf("/livepush save %s --url rtmp://ingest%d.example.com/live --key canary-key-%d", name, i, i))
		}
		saved := w.say(ada, channel, "/livepush save 周五秀 --members 一号，二号、三号")
		assert.Equal(t, "一号, 二号, 三号", saved[0].Reply.Fields[0].Value, describe(saved))

		n := 0
		w.tencent.failing(func(op string) error {
			if op == "set_push" {
				if n++; n == 2 {
					return refusal(meeting.ErrInvalid, meeting.ReasonPushAddress)
				}
			}
			return nil
		})
		posts := w.say(ada, channel, "/livepush to 周五秀")
		private := find(t, posts, chat.SlotPrivate).Reply
		assert.Equal(t, "2 of 3 set", private.Title)
		require.Len(t, private.Fields, 3)
		assert.Contains(t, private.Fields[0].Value, "set and verified")
		assert.Contains(t, private.Fields[1].Value, "Copy it from the platform again")
		assert.Contains(t, private.Fields[2].Value, "set and verified")
		assert.Equal(t, "Live push set: 一号, 三号", strings.Split(find(t, posts, chat.SlotThread).Reply.Text, "\n")[0])

		posts = w.say(ada, channel, "/livepush off 周五秀")
		assert.Equal(t, "2 of 2 off", find(t, posts, chat.SlotPrivate).Reply.Title)
	})
}

func TestAsManyAddressesAsAMeetingTakesAreCountedBeforehand(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		var names []string
		for i := range tencent.Kind.Push.Others + 1 {
			names = append(names, fmt.Sprint("目标", i))
			w.say(ada, channel, fmt.Sprintf("/livepush save %s --url rtmp://ingest%d.example.com/live --key k%d", names[i], i, i))
		}
		posts := w.say(ada, channel, "/livepush to "+strings.Join(names, ","))
		assert.Equal(t, chat.Bad, find(t, posts, chat.SlotPrivate).Reply.Tone)
		assert.Zero(t, w.tencent.sets)
	})
}

// lobby is a room whose platform looks people up.
type lobby struct {
	*room
	profiles map[string]chat.Profile
}

func (l lobby) Profile(_ context.Context, _ chat.Place, id string) (chat.Profile, error) {
	p, ok := l.profiles[id]
	if !ok {
		return p, fmt.Errorf("no such person")
	}
	return p, nil
}

func (l lobby) InGroup(_ context.Context, _ chat.Place, user, group string) (bool, error) {
	return group == "S1" && user == "U1", nil
}

func TestWhatTheEventDoesNotSayOfPeopleIsLookedUp(t *testing.T) {
	inWorld(t, func(c *Config) {
		c.Policy.Push = []policy.Entry{{Platform: chattest.Slack, Kind: chat.GroupEntry, ID: "S1"}}
	}, func(w *world) {
		w.bot.Attach(chattest.Slack, lobby{w.room, map[string]chat.Profile{
			"U1": {Name: "Ada", Locale: "zh-CN", Rights: chat.RightsKnown | chat.RightMeet},
			"U5": {Name: "Grace", Rights: chat.RightsKnown},
		}})
		posts := w.say(chat.User{ID: "U1"}, channel, "/meet 和 <@U5> 对齐")
		assert.Equal(t, "和 @Grace 对齐", find(t, posts, chat.SlotRoot).Reply.Title)
		assert.Equal(t, "发起人", find(t, posts, chat.SlotRoot).Reply.Fields[0].Name)
		assert.Equal(t, []chat.User{{ID: "U5", Name: "Grace"}}, find(t, posts, chat.SlotThread).Reply.Mentions)

		assert.Contains(t, describe(w.say(chat.User{ID: "U5"}, channel, "/meet x")), "Only full members of this workspace can create meetings", "a guest")
		assert.Contains(t, describe(w.say(chat.User{ID: "U6"}, channel, "/meet x")), "couldn't check your permissions", "a look-up that fails refuses")
		assert.Contains(t, describe(w.say(chat.User{ID: "U1"}, channel, "/livepush status")), "使用 SYSTEC", "in the group")
		assert.Contains(t, describe(w.say(chat.User{ID: "U5"}, channel, "/livepush status")), "don't have permission")
		assert.Equal(t, 1, w.systec.created)
	})
}

func TestARefusalCanBeTriedAgain(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.systec.failing(func(op string) error { return refusal(meeting.ErrLimit, meeting.ReasonQuota) })
		posts := w.say(ada, channel, "/meet x")
		w.systec.failing(nil)
		find(t, w.press(ada, channel, posts, grammar.VerbRetry), chat.SlotRoot)
		assert.Equal(t, 1, w.systec.created)
	})
}

func TestALookUpThatWillNeverAnswerEndsAtOnce(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.systec.failing(func(op string) error {
			switch op {
			case "create":
				return refusal(meeting.ErrOutcomeUnknown, "")
			case "list": // more meetings than are looked through
				return refusal(meeting.ErrLimit, "")
			}
			return nil
		})
		w.say(ada, channel, "/meet x")
		time.Sleep(time.Minute)
		assert.Equal(t, "May have been created", find(t, w.room.take(), chat.SlotPrivate).Reply.Title)
	})
}

// TestAnAnswerNamesWhatThePlatformHas: people are told to type what exists where they are.
func TestAnAnswerNamesWhatThePlatformHas(t *testing.T) {
	configure := func(c *Config) {
		for i, k := range c.Platforms {
			if k.Name == chattest.Slack {
				c.Platforms[i].Commands = map[string]string{"meet": "/livemeet", "livepush": "/lp"}
			}
		}
	}
	inWorld(t, configure, func(w *world) {
		w.bot.Attach(chattest.Discord, w.room)
		for _, tt := range []struct {
			at           chat.Place
			line         string
			want, absent string
		}{
			{channel, "/livepush destinations", "/lp save NAME", "/livepush"},
			{channel, "/meet list", "with /livemeet", "/meet "},
			{chat.Place{Platform: chattest.Discord, Team: "1", Channel: "2"}, "/livepush destinations", "/destinations save name:NAME", "/livepush"},
			{chat.Place{Platform: chattest.Discord, Team: "1", Channel: "2"}, "/livepush to bili", "/meet provider:tencent live:True", "--"},
		} {
			said := describe(w.say(ada, tt.at, tt.line))
			assert.Contains(t, said, tt.want, tt.line)
			assert.NotContains(t, said, tt.absent, tt.line)
			assert.NotContains(t, said, "`", tt.line)
		}
	})
}

func TestAJobSaysWhereItWasAskedFor(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		r := w.request(ada, channel, chat.Request{Command: "meet", Text: "list"})
		w.do(w.bot.Parse(r), ada, channel)
		j, err := w.store.Get(w.t.Context(), jobID(r))
		require.NoError(t, err)
		assert.Equal(t, "slack", j.Source)
	})
}
