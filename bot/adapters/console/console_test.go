package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/texts"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
	"meetbot/meeting/zoom"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeBot answers /meet like the real one does, with three posts from another goroutine,
// and remembers what it was asked.
type fakeBot struct {
	console *Console
	failed  bool
	hang    bool
	refuse  *chat.Reply

	mu    sync.Mutex
	asked []chat.Request
}

func (b *fakeBot) Parse(r chat.Request) chat.Decision {
	b.mu.Lock()
	b.asked = append(b.asked, r)
	b.mu.Unlock()
	switch {
	case strings.HasPrefix(r.Text, "--"):
		return chat.Decision{Reply: &chat.Reply{Tone: chat.Bad, Title: "No option " + firstWord(r.Text)}}
	case r.Command == "livepush" && r.Text == "":
		return chat.Decision{Form: &chat.Form{ID: "push", Title: "Set up live push", Fields: []chat.FormField{
			{Name: "name", Label: "Name", Required: true}, {Name: "key", Label: "Key", Kind: chat.MaskedField, Required: true},
		}}}
	case r.Form != nil && r.Form.Fields["name"] == "too long":
		return chat.Decision{Faults: map[string]string{"name": "at most 10 characters"}}
	}
	return chat.Decision{Ask: &grammar.Ask{Verb: grammar.VerbMeet}, Public: true, Request: r}
}

func (b *fakeBot) Accept(_ context.Context, d chat.Decision) chat.Acceptance {
	if b.refuse != nil {
		return chat.Acceptance{Reply: b.refuse}
	}
	if b.hang {
		return chat.Acceptance{}
	}
	go func() {
		ctx, r := context.Background(), d.Request
		title := r.Text
		if r.Action != nil {
			title = "pressed " + r.Action.Name + " " + r.Action.Arg
		}
		if r.Form != nil {
			title = fmt.Sprint("form ", r.Form.Fields["name"], " ", len(r.Form.Fields["key"]))
		}
		post := chat.Post{Slot: chat.SlotRoot, Place: r.Place, User: r.User}
		post.Reply = chat.Reply{Title: title, Buttons: []chat.Button{
			{Label: "QR code", Action: chat.Action{Name: "qr", Arg: "systec:1"}},
			{Label: "End", Action: chat.Action{Name: "endyes", Arg: "systec:1"}, Confirm: &chat.Confirm{Title: "End it?", Text: "Everybody leaves.", Yes: "End"}},
		}}
		root, _ := b.console.Post(ctx, post)
		post.Slot, post.Root, post.Reply = chat.SlotThread, &root, chat.Reply{Links: []chat.Link{{Label: "Join", URL: "http://127.0.0.1:1/j/1"}}}
		_, _ = b.console.Post(ctx, post)
		post.Slot, post.Reply = chat.SlotPrivate, chat.Reply{Tone: chat.Good, Title: "You can start it"}
		_, _ = b.console.Post(ctx, post)
		b.console.Finished(!b.failed)
	}()
	return chat.Acceptance{}
}

// Ready gives lists two choices.
func (b *fakeBot) Ready(_ context.Context, d chat.Decision) chat.Decision {
	if d.Form != nil {
		f := *d.Form
		f.Fields = slices.Clone(f.Fields)
		for i := range f.Fields {
			if f.Fields[i].Kind == chat.ListField {
				f.Fields[i].Choices = []chat.Choice{{Label: "bili", Value: "bili"}, {Label: "抖音", Value: "抖音"}}
			}
		}
		d.Form = &f
	}
	return d
}

func (b *fakeBot) Complete(_ context.Context, _ chat.Request, option, typed string) []chat.Choice {
	all := []chat.Choice{{Value: "bili"}, {Value: "周五秀"}}
	if option == "meeting" {
		all = []chat.Choice{{Value: "1591620888"}}
	}
	return all
}

func start(bot *fakeBot, locale string, in io.Reader, out io.Writer) *Console {
	c := New(Config{
		User: "Ada", Locale: locale, Sandbox: true, Declared: grammar.Declarations(systec.Kind, tencent.Kind, zoom.Kind),
	}, bot, in, out, slog.New(slog.DiscardHandler))
	bot.console = c
	return c
}

// talk pipes lines in and returns what came out.
func talk(t *testing.T, bot *fakeBot, locale string, lines ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := start(bot, locale, strings.NewReader(strings.Join(lines, "\n")), &out).Run(t.Context())
	return out.String(), err
}

func TestPipedLinesPrintTheThread(t *testing.T) {
	for _, locale := range texts.Locales {
		t.Run(locale, func(t *testing.T) {
			bot := &fakeBot{}
			out, err := talk(t, bot, locale, "# a comment", "", "/meet 周会", "1", "２", "2", "2 yes", "", "/meet weekly\tsync")
			golden(t, "", out)
			require.ErrorIs(t, err, ErrFailed, "a button that asks first was not confirmed")
			require.Len(t, bot.asked, 4)
			first := bot.asked[0]
			assert.Equal(t, "meet", first.Command)
			assert.Equal(t, "周会", first.Text)
			assert.Equal(t, chat.User{ID: "you", Name: "Ada", Locale: locale, Rights: chat.RightsKnown | chat.RightMeet | chat.RightPush}, first.User)
			assert.Equal(t, chat.Place{Platform: Platform, Channel: "console"}, first.Place)
			assert.True(t, strings.HasPrefix(first.ID, "console:"))
			assert.Equal(t, chat.Action{Name: "qr", Arg: "systec:1"}, *bot.asked[1].Action)
			assert.Equal(t, chat.Action{Name: "endyes", Arg: "systec:1"}, *bot.asked[2].Action)
			assert.NotEqual(t, first.ID, bot.asked[1].ID)
		})
	}
}

func TestSuccessIsNoError(t *testing.T) {
	_, err := talk(t, &fakeBot{}, "en", "\ufeff/meet a", "／meet b", "/MEET c\r", "\u200b/meet d\u200b", "/help", "quit", "/nope")
	assert.NoError(t, err)
}

func TestWhatFailsIsAnError(t *testing.T) {
	full := &chat.Reply{Tone: chat.Bad, Title: "The disk is full"}
	for _, tt := range []struct {
		name string
		bot  *fakeBot
		line string
		want string
	}{
		{"Refused", &fakeBot{failed: true}, "/meet a", "│ a"},
		{"Unknown", &fakeBot{failed: true}, "/meet a", "│ a"},
		{"NotAccepted", &fakeBot{refuse: full}, "/meet a", "The disk is full"},
		{"FaultOfTheLine", &fakeBot{}, "/meet --x", "No option --x"},
		{"NoSuchCommand", &fakeBot{}, "/zoom a", "/zoom: unknown command"},
		{"NotACommand", &fakeBot{}, "meet a", "meet: unknown command"},
		{"APastedAddress", &fakeBot{}, "rtmp://a.example/live/canary", "••••••: unknown command"},
		{"NoSuchButton", &fakeBot{}, "7", "7: no such button"},
		{"Form", &fakeBot{}, "/livepush", "/livepush --name NAME --key KEY"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := talk(t, tt.bot, "en", tt.line)
			assert.ErrorIs(t, err, ErrFailed)
			assert.Contains(t, out, tt.want)
		})
	}
}

func TestACommandThatHangsIsNotWaitedForWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, err := talk(t, &fakeBot{hang: true}, "en", "/meet a")
		assert.ErrorIs(t, err, ErrFailed)
		assert.Contains(t, out, "Still working on it")
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, w := io.Pipe()
		defer func() { _ = w.Close() }()
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.NoError(t, start(&fakeBot{}, "en", in, &out).Run(ctx))
	})
}

func TestALineThatCannotBeReadIsAnError(t *testing.T) {
	broken := errors.New("broken")
	err := start(&fakeBot{}, "en", io.MultiReader(strings.NewReader("/help\n"), errReader{broken}), io.Discard).Run(t.Context())
	assert.ErrorIs(t, err, broken)
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestAKeyIsNeitherEchoedNorRemembered(t *testing.T) {
	for _, line := range []string{
		"/livepush 123 --name a --url rtmp://host/live --key canary",
		"/livepush 123 --key=canary",
		"/livepush —key canary", // an em dash, as phones make one of two hyphens
		"/livepush -- key canary",
		"/livepush －－密钥 canary",
		"/livepush --STREAM-KEY canary",
		"/livepush 123 rtmps://host/live/canary",
		"/livepush --url 'RTMP://host/live/canary'",
	} {
		assert.NotContains(t, masked(line), "canary", line)
		out, _ := talk(t, &fakeBot{refuse: &chat.Reply{}}, "en", line)
		assert.NotContains(t, out, "canary", line)
	}
	for _, line := range []string{"/meet keynote", "/meet 周会 --live", "3", "/livepush to bili in 123"} {
		assert.Equal(t, line, masked(line))
	}
}

func TestAnEditIsShownWhenItChangesSomething(t *testing.T) {
	var out bytes.Buffer
	c := start(&fakeBot{}, "en", strings.NewReader(""), &out)
	post := chat.Post{Slot: chat.SlotRoot, Reply: chat.Reply{Title: "Sync", Fields: []chat.Field{{Name: "State", Value: "ready"}}}}
	root, err := c.Post(t.Context(), post)
	require.NoError(t, err)
	assert.Equal(t, root.Message, root.Place.Thread)

	edit := post
	edit.Slot, edit.Edit = chat.SlotEdit, &root
	edit.Reply.Buttons = []chat.Button{{Label: "End"}}
	before := out.Len()
	got, err := c.Post(t.Context(), edit)
	require.NoError(t, err)
	assert.Equal(t, root, got)
	assert.Equal(t, before, out.Len(), "nothing changed that is shown")

	edit.Reply.Fields = []chat.Field{{Name: "State", Value: "running"}}
	_, err = c.Post(t.Context(), edit)
	require.NoError(t, err)
	assert.Equal(t, "\n↻ #console changed\n│ Sync\n│ State  running\n", out.String()[before:])

	for _, slot := range []chat.Slot{chat.SlotThreadPrivate, chat.SlotSettle} {
		_, err = c.Post(t.Context(), chat.Post{Slot: slot})
		assert.ErrorIs(t, err, chat.ErrSkip)
	}
}

// typed is a person at a terminal, without one.
type typed struct {
	lines   []string
	prompts []string
	history []string
	covers  []string
}

func (i *typed) line(_ context.Context, prompt string) (string, error) {
	i.prompts = append(i.prompts, prompt)
	if len(i.lines) == 0 {
		return "", io.EOF
	}
	line := i.lines[0]
	i.lines = i.lines[1:]
	if line == "^C" {
		return "", errInterrupted
	}
	if line == "^D" {
		return "", io.EOF
	}
	return line, nil
}

func (i *typed) secret(ctx context.Context, prompt string) (string, error) {
	return i.line(ctx, "hidden "+prompt)
}
func (i *typed) remember(line string) { i.history = append(i.history, line) }
func (i *typed) close()               {}
func (i *typed) cover(_ io.Writer, _, by string) error {
	i.covers = append(i.covers, by)
	return nil
}
func (i *typed) above(out io.Writer, text string) error {
	_, err := io.WriteString(out, text)
	return err
}

func atTerminal(t *testing.T, bot *fakeBot, lines ...string) (*typed, string, error) {
	t.Helper()
	var out bytes.Buffer
	c := start(bot, "en", strings.NewReader(""), &out)
	in := &typed{lines: lines}
	c.input, c.piped = in, false
	err := c.Run(t.Context())
	return in, out.String(), err
}

func TestAFormAsksFieldByField(t *testing.T) {
	bot := &fakeBot{}
	in, out, err := atTerminal(t, bot, "/livepush", "", "too long", "", "canary-key", "bili", "/meet a")
	require.NoError(t, err)
	assert.Equal(t, []string{"› ", "  Name: ", "  Name: ", "hidden   Key: ", "hidden   Key: ", "  Name: ", "› ", "› "}, in.prompts)
	assert.Contains(t, out, "✘ required")
	assert.Contains(t, out, "✘ at most 10 characters")
	assert.Contains(t, out, "form bili 10")
	assert.NotContains(t, out, "canary")
	assert.Equal(t, []string{"/livepush", "/meet a"}, in.history, "what is typed into a form is not remembered")
	require.NotNil(t, bot.asked[2].Form)
	assert.Equal(t, "push", bot.asked[2].Form.Form)
}

func TestAFormCanBeLeft(t *testing.T) {
	in, out, err := atTerminal(t, &fakeBot{}, "/livepush", "^D", "/help")
	require.NoError(t, err)
	assert.Contains(t, out, "Cancelled")
	assert.Len(t, in.history, 2)

	in, _, err = atTerminal(t, &fakeBot{}, "/livepush", "a", "^C", "/help")
	require.NoError(t, err)
	assert.Equal(t, []string{"/help"}, in.lines, "Ctrl-C ends everything")
}

func TestATerminalFailsNoRun(t *testing.T) {
	_, out, err := atTerminal(t, &fakeBot{failed: true}, "/nope", "/meet a")
	require.NoError(t, err)
	assert.Contains(t, out, "meetbot · SANDBOX")
}

func TestValuesOfForms(t *testing.T) {
	choice := chat.FormField{Kind: chat.ChoiceField, Choices: []chat.Choice{{Label: "Bilibili", Value: "bili"}, {Label: "抖音", Value: "douyin"}}}
	open := chat.FormField{Kind: chat.ChoiceField, Choices: []chat.Choice{{Label: "Yes", Value: "true"}, {Label: "No", Value: "false"}}}
	list := choice
	list.Kind = chat.ListField
	for _, tt := range []struct {
		field chat.FormField
		typed string
		want  string
		ok    bool
	}{
		{choice, "2", "douyin", true}, {choice, "BILI", "bili", true}, {choice, "抖音", "douyin", true}, {choice, "", "", true},
		{choice, "3", "", false}, {choice, "0", "", false}, {choice, "x", "", false},
		{open, "Y", "true", true}, {open, "n", "false", true}, {open, "否", "false", true}, {open, "1", "true", true}, {open, "2", "false", true}, {open, "", "", true}, {open, "maybe", "", false},
		{chat.FormField{}, "as typed", "as typed", true},
		{list, "2, 1", "douyin,bili", true}, {list, "抖音、2", "douyin", true}, {list, "", "", true}, {list, "1, 3", "", false},
	} {
		got, ok := valueOf(tt.field, tt.typed)
		assert.Equal(t, tt.want, got, tt.typed)
		assert.Equal(t, tt.ok, ok, tt.typed)
	}
	assert.Equal(t, "2", shown(choice, "douyin"))
	assert.Equal(t, "y", shown(open, "true"))
	assert.Empty(t, shown(open, ""))
}

func TestAValueCanBeTakenBack(t *testing.T) {
	bot := &fakeBot{}
	in, out, err := atTerminal(t, bot, "/livepush", "too long", "key", "-", "bili")
	require.NoError(t, err)
	assert.Equal(t, []string{"› ", "  Name: ", "hidden   Key: ", "  Name: ", "  Name: ", "› "}, in.prompts)
	assert.Contains(t, out, "✘ required")
	assert.Contains(t, out, "form bili 3")
}

func TestALineWithAKeyIsCovered(t *testing.T) {
	in, _, err := atTerminal(t, &fakeBot{}, "/livepush --name bili --key canary", "/meet a")
	require.NoError(t, err)
	assert.Equal(t, []string{"› /livepush --name bili ••••••"}, in.covers)
}

func TestWhateverHasAKeysShapeIsMasked(t *testing.T) {
	for line, want := range map[string]string{
		"/livepush save x live_1234_canary":             "/livepush save x ••••••",
		"/livepush key:live_1234_canary in 806146601":   "/livepush •••••• in 806146601",
		"/meet (live_1234_canary) tonight":              "/meet •••••• tonight",
		"/livepush save x ?streamname=canary&key=b":     "/livepush save x ••••••",
		"/livepush ab1d-12ef-34gh-56ij":                 "/livepush ••••••",
		"live_1234_canary":                              "••••••",
		"/livepush rtmp：／／live.example.com/app canary":  "/livepush ••••••",
		"/livepush rtmp:/live.example.com/app/canary":   "/livepush ••••••",
		"/livepush rtmp//live.example.com/app/canary":   "/livepush ••••••",
		"/livepush to bili in 806146601":                "/livepush to bili in 806146601",
		"/meet  weekly\tsync":                           "/meet  weekly\tsync",
		"/livepush --name bili --key canary --override": "/livepush --name bili ••••••",
	} {
		assert.Equal(t, want, masked(line), line)
	}
}

func TestRowsOfALine(t *testing.T) {
	for _, tt := range []struct {
		line string
		want int
	}{
		{"", 1}, {"123456789", 1}, {"1234567890", 2}, {"12345678901", 2}, {"一二三四", 1}, {"1一二三四五", 2}, {"123456789一二三四五", 3}, {"e\u0301", 1},
	} {
		assert.Equal(t, tt.want, rowsOf(tt.line, 10), tt.line)
	}
}

func TestCompletion(t *testing.T) {
	c := start(&fakeBot{}, "en", strings.NewReader(""), io.Discard)
	for _, tt := range []struct {
		line     string
		head     string
		contains []string
		only     bool
	}{
		{"", "", []string{"/meet ", "/livepush "}, true},
		{"/m", "", []string{"/meet "}, true},
		{"/meet l", "/meet ", []string{"list "}, true},
		{"/meet --pro", "/meet ", []string{"--provider "}, true},
		{"/meet --provider t", "/meet --provider ", []string{"tencent "}, true},
		{"/meet --provider=t", "/meet --provider=", []string{"tencent "}, true},
		{"/meet --record ", "/meet --record ", []string{"cloud ", "none "}, true},
		{"/livepush to ", "/livepush to ", []string{"bili ", "周五秀 "}, false},
		{"/livepush to 周", "/livepush to ", []string{"周五秀 "}, true},
		{"/livepush status 1", "/livepush status ", []string{"1591620888 "}, true},
		{"/meet end ", "/meet end ", []string{"1591620888 "}, false},
		{"/zoom ", "/zoom ", nil, true},
		{"meet l", "meet ", nil, true},
		{"/meet　l", "/meet　", []string{"list "}, true},
	} {
		head, got, tail := c.complete(tt.line+"tail", len([]rune(tt.line)))
		assert.Equal(t, tt.head, head, tt.line)
		assert.Equal(t, "tail", tail)
		if tt.only {
			assert.ElementsMatch(t, tt.contains, got, tt.line)
		} else {
			assert.Subset(t, got, tt.contains, tt.line)
		}
	}
}

func FuzzLine(f *testing.F) {
	for _, s := range []string{"/meet 周会", "3 yes", "／livepush --key x", "　", "/", "[1]"} {
		f.Add(s, 2)
	}
	c := start(&fakeBot{refuse: &chat.Reply{}}, "en", strings.NewReader(""), io.Discard)
	f.Fuzz(func(t *testing.T, line string, pos int) {
		line = strings.TrimSpace(line)
		if line == "" {
			return
		}
		require.NoError(t, c.handle(t.Context(), line))
		n := len([]rune(line))
		pos = min(max(pos, 0), n)
		head, _, tail := c.complete(line, pos)
		require.True(t, strings.HasPrefix(string([]rune(line)[:pos]), head))
		require.Equal(t, string([]rune(line)[pos:]), tail)
	})
}

func TestALineThatIsNoTextIsAnErrorAndNoMeeting(t *testing.T) {
	for name, line := range map[string]string{
		"GBK": "/meet \xd6\xdc\xbb\xe1", "Latin1": "/meet caf\xe9", "UTF16": "/\x00m\x00e\x00e\x00t\x00", "UTF16WithMark": "\xff\xfe/\x00m\x00", "ByAnEditor": "/meet \ufffd\ufffd",
	} {
		t.Run(name, func(t *testing.T) {
			bot := &fakeBot{}
			out, err := talk(t, bot, "en", line, "/meet 周会")
			assert.ErrorIs(t, err, ErrFailed)
			assert.Contains(t, out, "isn't UTF-8")
			assert.Contains(t, out, "iconv")
			require.Len(t, bot.asked, 1)
			assert.Equal(t, "周会", bot.asked[0].Text)
			assert.True(t, utf8.ValidString(out))
		})
	}
}

func TestWhatWasMeantIsProposed(t *testing.T) {
	for line, want := range map[string]string{
		"/met a": "Did you mean /meet?", "meet weekly": "Did you mean /meet?", "/meeting": "Did you mean /meet?", "/会议": "Did you mean /meet?",
		"/推流 b": "Did you mean /livepush?", "/livpush": "Did you mean /livepush?", "livepush": "Did you mean /livepush?", "/destinations": "Did you mean /livepush?",
		"99": "No message has buttons yet.",
	} {
		out, err := talk(t, &fakeBot{}, "en", line)
		assert.ErrorIs(t, err, ErrFailed, line)
		assert.Contains(t, out, want, line)
	}
	out, _ := talk(t, &fakeBot{}, "en", "/frobnicate")
	assert.NotContains(t, out, "Did you mean")
}

func TestAConfirmationIsAnsweredWithYes(t *testing.T) {
	for name, tt := range map[string]struct {
		lines []string
		acted bool
	}{
		"Yes":         {[]string{"/meet a", "2", "yes"}, true},
		"InChinese":   {[]string{"/meet a", "2", "是"}, true},
		"WithANumber": {[]string{"/meet a", "2 yes"}, true},
		"TooLate":     {[]string{"/meet a", "2", "1", "yes"}, false},
		"NotAsked":    {[]string{"/meet a", "yes"}, false},
		"Twice":       {[]string{"/meet a", "2", "no", "yes"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			bot := &fakeBot{}
			_, _ = talk(t, bot, "en", tt.lines...) // it failed where it was not confirmed
			acted := slices.ContainsFunc(bot.asked, func(r chat.Request) bool { return r.Action != nil && r.Action.Name == "endyes" })
			assert.Equal(t, tt.acted, acted)
		})
	}
}

func TestInTheSandboxSomebodyElseCanBePlayed(t *testing.T) {
	bot := &fakeBot{}
	out, err := talk(t, bot, "en", "@Ben /meet his", "@Ben 1", "＠小王 /meet 她的", "/meet mine", "@Ben --no")
	require.ErrorIs(t, err, ErrFailed, "the last one is no command")
	require.Len(t, bot.asked, 4)
	var who []string
	for _, r := range bot.asked {
		who = append(who, r.User.ID+"/"+r.User.Name)
	}
	assert.Equal(t, []string{"ben/Ben", "ben/Ben", "小王/小王", "you/Ada"}, who)
	assert.Equal(t, "his", bot.asked[0].Text)
	assert.Contains(t, out, "only @Ben sees this")
	assert.Contains(t, out, "only you see this")

	var real bytes.Buffer
	alone := &fakeBot{}
	c := New(Config{User: "Ada", Locale: "en"}, alone, strings.NewReader("@Ben /meet his\n"), &real, slog.New(slog.DiscardHandler))
	alone.console = c
	require.ErrorIs(t, c.Run(t.Context()), ErrFailed)
	assert.Empty(t, alone.asked, "where meetings are real nobody speaks for others")
}
