package grammar

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/texts"
	"meetbot/meeting"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
)

// The limits of the platforms that register the commands or show the forms.
const (
	maxTypedOptions     = 25  // Discord
	maxTypedDescription = 100 // Discord, in every language
	maxTypedChars       = 8000
	maxFormTitle        = 24 // Slack
	maxFormLabel        = 45 // Discord
	maxFormHint         = 100
	maxFormFields       = 5 // Discord
)

// typedName is what Discord takes for a name, in every language.
var typedName = regexp.MustCompile(`^[-_'\p{L}\p{N}]{1,32}$`)

func TestTypedCommandsKeepWithinDiscordsLimits(t *testing.T) {
	for _, locale := range texts.Locales {
		text := Text(chat.Kind{}, locale)
		var checkOptions func(d TypedDecl) int
		checkOptions = func(d TypedDecl) int {
			chars := 0
			seen := map[string]bool{}
			assert.LessOrEqual(t, len(d.Options)+len(d.Subs), maxTypedOptions)
			optional := false
			for _, o := range d.Options {
				name, about := o.NameIn(text), o.Describe(text)
				assert.Regexp(t, typedName, name)
				assert.Regexp(t, typedName, o.Name)
				assert.Equal(t, strings.ToLower(name), name)
				assert.False(t, seen[name], "%s: %s twice", d.Name, name)
				seen[name] = true
				assert.LessOrEqual(t, utf8.RuneCountInString(about), maxTypedDescription, about)
				assert.False(t, o.Required && optional, "required options come first")
				optional = optional || !o.Required
				chars += utf8.RuneCountInString(name + about)
				for _, c := range o.Choices {
					label := o.LabelOf(text, c)
					assert.NotContains(t, label, "choice.", "a text is missing")
					chars += utf8.RuneCountInString(label + c.Value)
				}
			}
			for _, sub := range d.Subs {
				assert.Regexp(t, typedName, sub.NameIn(text, d.Name))
				about := sub.Describe(text)
				assert.LessOrEqual(t, utf8.RuneCountInString(about), maxTypedDescription, about)
				chars += checkOptions(sub) + utf8.RuneCountInString(about)
			}
			return chars
		}
		names := map[string]bool{}
		for _, d := range TypedDeclarations() {
			name := d.NameIn(text, "")
			assert.Regexp(t, typedName, name)
			assert.False(t, names[name])
			names[name] = true
			assert.LessOrEqual(t, utf8.RuneCountInString(d.Describe(text)), maxTypedDescription)
			assert.LessOrEqual(t, checkOptions(d), maxTypedChars)
		}
	}
}

func TestEveryVerbThatIsTypedHasOneTypedCommand(t *testing.T) {
	typed := map[string]int{}
	for _, d := range TypedDeclarations() {
		if len(d.Subs) == 0 {
			typed[d.Name]++
			for _, o := range d.Options {
				assert.False(t, o.Required, "%s: the bare command opens a form", d.Name)
			}
		}
		for _, sub := range d.Subs {
			typed[d.Name+" "+sub.Name]++
		}
	}
	for _, d := range Declarations() {
		if d.Typed != "" {
			assert.Equal(t, 1, typed[strings.TrimSpace(d.Typed+" "+d.TypedSub)], d.Verb)
		}
	}
}

func TestEveryDeclarationHasItsTexts(t *testing.T) {
	for _, locale := range texts.Locales {
		text := Text(chat.Kind{}, locale)
		for _, d := range Declarations() {
			assert.True(t, text.Has("verb."+d.Verb.TextID()), d.Verb)
			for _, o := range d.Options {
				for _, id := range []string{"option.", "optionname."} {
					assert.True(t, text.Has(id+o.Name), id+o.Name)
				}
				if o.Position > 0 || o.Kind != KindBool && o.Kind != KindChoice {
					assert.True(t, text.Has("usage."+o.Name), o.Name)
				}
			}
		}
		for _, f := range []meeting.PushFault{
			meeting.PushFaultMissing, meeting.PushFaultScheme, meeting.PushFaultHost, meeting.PushFaultPrivateHost, meeting.PushFaultUserInfo,
			meeting.PushFaultPort, meeting.PushFaultFragment, meeting.PushFaultCharacters, meeting.PushFaultLong, meeting.PushFaultKeyCharacters,
			meeting.PushFaultKeyLong, meeting.PushFaultFacebookRTMP,
		} {
			said := problem{fault: texts.Message{ID: "parse.push." + string(f)}}.text(text)
			assert.NotRegexp(t, `^(parse|finding)\.`, said, f)
		}
	}
}

func TestNoTwoWordsOfACommandAreTheSame(t *testing.T) {
	for _, command := range []string{"meet", "livepush"} {
		seen := map[string]Verb{}
		for _, d := range Declarations() {
			if d.Command != command || d.Name == "" {
				continue
			}
			for _, w := range append([]string{d.Name}, d.Aliases...) {
				assert.Empty(t, seen[w], w)
				seen[w] = d.Verb
				assert.True(t, isVerb(w), "%s cannot be a destination", w)
			}
		}
	}
	for _, d := range Declarations() {
		seen := map[string]bool{}
		for _, o := range d.Options {
			for _, w := range append([]string{o.Name}, o.Aliases...) {
				assert.False(t, seen[w], "%s: %s", d.Verb, w)
				seen[w] = true
			}
		}
	}
}

func TestOnlyMeetingsAndBoardsArePublic(t *testing.T) {
	for _, d := range Verbs() {
		switch d.Verb {
		case VerbMeet, VerbMeetShare, VerbPushBoard, VerbCreateAnyway, VerbElsewhere, VerbSameDest:
			assert.True(t, d.Public, d.Verb)
		default:
			assert.False(t, d.Public, d.Verb)
		}
	}
}

// The declared right is the only guard, so who may is said a second time, by a rule: what a
// button of a card asks has the right of the card's command.
func TestEveryVerbHasTheRightOfItsCommand(t *testing.T) {
	pushes := []Verb{VerbPushForm, VerbSaveForm, VerbApprove, VerbReject, VerbRevoke, VerbRevokeYes, VerbForgetYes, VerbSameDest, VerbLiveStartYes, VerbLiveStopYes, VerbBoardCopy}
	for _, d := range Verbs() {
		want := chat.RightMeet
		switch {
		case d.Help, d.Internal:
			want = 0
		case d.Verb == VerbSettings, d.Verb == VerbSettingsForm:
			want = chat.RightSettings
		case d.Command == commandLivepush, slices.Contains(pushes, d.Verb):
			want = chat.RightPush
		}
		assert.Equal(t, want, d.Right, d.Verb)
	}
	assert.Zero(t, Declared("no such verb").Right)
}

func TestEveryVerbIsDeclaredOnce(t *testing.T) {
	verbs, buttons := map[Verb]bool{}, map[string]bool{}
	for _, d := range Verbs() {
		assert.False(t, verbs[d.Verb], d.Verb)
		verbs[d.Verb] = true
		if d.Button != "" {
			assert.False(t, buttons[d.Button], d.Button)
			buttons[d.Button] = true
		}
		assert.Equal(t, d.Internal, d.Command == "" && d.Button == "", "%s: people have a way to what is theirs", d.Verb)
		if d.Opens != "" {
			_, ok := byForm(d.Opens)
			assert.True(t, ok, d.Opens)
		}
	}
}

func TestOnlyWhatMayCreateSomethingIsPressedOnce(t *testing.T) {
	for _, d := range Verbs() {
		switch d.Verb {
		case VerbCreateAnyway, VerbRunExpired, VerbRetry, VerbSameDest:
			assert.True(t, Once(chat.Action{Name: d.Button}), d.Verb)
		default:
			assert.False(t, Once(chat.Action{Name: d.Button}), d.Verb)
		}
	}
	assert.False(t, Once(chat.Action{Name: "no such button"}))
}

func TestFormsKeepWithinThePlatformsLimits(t *testing.T) {
	for _, cfg := range []Config{{Kinds: meeting.Kinds{systec.Kind, tencent.Kind}}, {Kinds: meeting.Kinds{systec.Kind, tencent.Kind}, Providers: []meeting.Provider{"tencent"}, Default: "tencent"}, {Kinds: meeting.Kinds{systec.Kind, tencent.Kind}, Providers: []meeting.Provider{"systec"}}} {
		for _, locale := range texts.Locales {
			for _, id := range []string{formMeet, formPush, formSave} {
				f := New(cfg).Form(Text(chat.Kind{}, locale), id, Ask{})
				assert.Equal(t, id, f.ID)
				assert.LessOrEqual(t, utf8.RuneCountInString(f.Title), maxFormTitle)
				assert.LessOrEqual(t, utf8.RuneCountInString(f.Submit), maxFormTitle)
				room := 0
				for _, field := range f.Fields {
					assert.NotContains(t, field.Label, "label.", "a text is missing")
					assert.LessOrEqual(t, utf8.RuneCountInString(field.Label), maxFormLabel)
					assert.LessOrEqual(t, utf8.RuneCountInString(field.Hint), maxFormHint, field.Hint)
					if !field.Extra {
						room++
					}
				}
				assert.LessOrEqual(t, room, maxFormFields, id)
			}
		}
	}
}

func TestTheFormOfADestinationLosesNothing(t *testing.T) {
	for _, given := range []string{
		"--protected", "--preset bilibili", "--people <@U1> --people <@U2|bob> --channels <#C1|studio>,<#C2>", "--override --page https://live.example.com/1",
		"--preset bilibili --page https://live.example.com/1 --protected --people <@U1> --channels <#C1> --override",
	} {
		r := line("livepush", "save 主站 --url rtmp://ingest.example.com/live "+given)
		r.Place.Platform = chattest.Slack
		d := both().Parse(r)
		require.NotNil(t, d.Form, given)
		fields, room := map[string]string{}, 0
		for _, f := range d.Form.Fields {
			fields[f.Name] = f.Value
			assert.NotContains(t, f.Label, "label.", "a text is missing")
			if !f.Extra {
				room++
			}
			if f.Name == "protected" && f.Value != "" {
				assert.False(t, f.Extra, "it must not get lost where there is room for five fields")
			}
		}
		assert.Equal(t, maxFormFields, room, "%s: no more than fit, and no room is wasted", given)
		fields["key"] = "canary-key"
		r.Text += " --key canary-key"
		sent := both().Parse(chat.Request{ID: r.ID, Place: r.Place, User: r.User, Form: &chat.Submission{Form: d.Form.ID, Arg: d.Form.Arg, Fields: fields}})
		typed := both().Parse(r)
		require.NotNil(t, typed.Ask, given)
		require.NotNil(t, sent.Ask, "%s: %v", given, sent.Faults)
		AskOf(sent).KeyTyped = true
		assert.Equal(t, typed.Ask, sent.Ask, given)
	}
}

func TestAFormHasWhatIsKnown(t *testing.T) {
	d := both().Parse(line("livepush", "806 146 667 --wechat --name 视频号 --url rtmp://1.livepush.myqcloud.com/trtc_1/ --override"))
	values := map[string]string{}
	for _, f := range d.Form.Fields {
		values[f.Name] = f.Value
		if f.Name == "key" {
			assert.Equal(t, chat.MaskedField, f.Kind)
			assert.Contains(t, f.Hint, "chat platform sees")
		}
	}
	assert.Equal(t, map[string]string{
		"meeting": "806 146 667", "platform": "wechat", "standby": "", "name": "视频号", "url": "rtmp://1.livepush.myqcloud.com/trtc_1/", "key": "", "override": "true",
	}, values)
	assert.Contains(t, d.Form.Intro, "platform sees")

	r := line("meet", "form")
	r.About = "The build is red"
	assert.Equal(t, "The build is red", both().Parse(r).Form.Fields[0].Value)

	onlyTencent := New(Config{Kinds: meeting.Kinds{systec.Kind, tencent.Kind}, Providers: []meeting.Provider{"tencent"}})
	for _, f := range onlyTencent.Form(Text(chat.Kind{}, "en"), formMeet, Ask{}).Fields {
		assert.NotContains(t, []string{"provider", "pmi", "capacity", "host-video"}, f.Name, "means nothing here")
	}
}
