package commands

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/audit"
	"meetbot/bot/chat"
	"meetbot/bot/goldentest"
	"meetbot/bot/grammar"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// said is what people see of a post.
type said struct {
	Slot  chat.Slot
	Reply chat.Reply
}

// TestRepliesReadWell tells one show from beginning to end, in both languages, as files
// to be read.
func TestRepliesReadWell(t *testing.T) {
	for _, locale := range texts.Locales {
		t.Run(locale, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				u := ada
				u.Locale = locale
				other := ben
				other.Locale = locale
				var all []any
				shown := map[chat.Receipt]chat.Reply{}
				scene := func(line string, posts []chat.Post) {
					all = append(all, line)
					// When a poll draws a card again as it is, is nobody's scene.
					posts = slices.DeleteFunc(slices.Clone(posts), func(p chat.Post) bool {
						if p.Slot != chat.SlotEdit {
							return false
						}
						was, known := shown[*p.Edit]
						shown[*p.Edit] = p.Reply
						return known && reflect.DeepEqual(was, p.Reply)
					})
					// Several jobs may answer at once.
					slices.SortStableFunc(posts, func(a, b chat.Post) int {
						return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Reply.Title, b.Reply.Title))
					})
					for _, p := range posts {
						all = append(all, said{p.Slot, p.Reply})
					}
				}
				say := func(u chat.User, line string) []chat.Post {
					posts := w.say(u, channel, line)
					scene(u.Name+": "+strings.ReplaceAll(line, "canary-key", "KEY"), posts)
					return posts
				}
				posts := say(u, "/meet 周会 --live --duration 60")
				say(u, "/meet 周会 --live --duration 60")
				say(u, pushLine)
				scene("Ben presses end", w.press(other, channel, posts, grammar.VerbEndYes))
				say(u, "/meet 发布会 --provider tencent --live")
				say(u, pushLine)
				say(u, pushLine)
				say(u, "/livepush save 主站 --url rtmp://ingest.example.com/live --key canary-key --protected")
				waiting := say(u, "/livepush to 主站")
				scene("Ben approves", w.press(other, channel, waiting, grammar.VerbApprove))
				say(u, "/livepush status")
				say(u, "/livepush destinations")
				say(u, "/livepush log 806146601")
				say(u, "/meet list")
				w.tencent.failing(func(op string) error {
					if op == "set_push" {
						return refusal(meeting.ErrNotPermitted, meeting.ReasonNotHost)
					}
					return nil
				})
				say(u, "/livepush off 主站 in 806146601")
				ended := say(u, "/meet end systec:1591620801")
				scene("Ada confirms", w.press(u, channel, ended, grammar.VerbEndYes))

				got, err := json.MarshalIndent(all, "", "  ")
				require.NoError(t, err)
				got = questions.ReplaceAll(got, []byte("$1.<question>"))
				got = fingerprints.ReplaceAll(got, []byte("<fingerprint>"))
				got = append(instants.ReplaceAll(got, []byte("<time>")), '\n')
				golden := filepath.Join("testdata", "TestRepliesReadWell", locale+".golden.json")
				goldentest.Check(t, golden, string(got))
				assert.NotContains(t, string(got), "canary")
			})
		})
	}
}

var (
	questions    = regexp.MustCompile(`\b([a-z2-7]{24})\.[a-z2-7]{24}\b`)
	fingerprints = regexp.MustCompile(`\b[0-9a-f]{12}\b`)
	instants     = regexp.MustCompile("\ue000[0-9]+\ue001")
)

// TestEveryOutcomeHasItsWords finds the message IDs that are put together from values.
func TestEveryOutcomeHasItsWords(t *testing.T) {
	var ids []string
	for _, o := range []callOutcome{callSet, callAlready, callDiffers, callUnread, callRefused, callUnclear, callReplaced, callKept} {
		ids = append(ids, "outcome."+string(o))
		if o != callKept { // only what is to go can stay
			ids = append(ids, "step."+string(o))
		}
		if o != callReplaced && o != callDiffers && o != callUnread { // only what is set can meet another key; what is not off is kept
			ids = append(ids, "step.off."+string(o))
		}
	}
	for _, o := range []string{"saved", "forgotten", "revoked", "settled_done", "settled_failed", "settled_retry", string(audit.Approve), string(audit.Reject)} {
		ids = append(ids, "outcome."+o)
	}
	for _, a := range []audit.Action{audit.Set, audit.Off, audit.Save, audit.Key, audit.Forget, audit.Revoke, audit.Approve, audit.Reject, audit.Settle} {
		ids = append(ids, "audit."+string(a))
	}
	for _, r := range meeting.Reasons() {
		if r != meeting.ReasonAnswer { // what that means for the call has its own
			ids = append(ids, "fault."+string(r))
		}
	}
	ids = append(ids, "step.unreadable", "fault.said", "fault.said.trace", "fault.unlisted.trace")
	ids = append(ids, "settled.created", "settled.shared", "settled.board", "board.off.unread", "board.standby", "board.standby.unread")
	for _, kind := range []string{"not_confirmed", "full", "busy", "stopping", "internal"} {
		ids = append(ids, "accept."+kind)
	}
	source := regexp.MustCompile(`(?:\.T|NewMessage|at)\("([a-z_.]+[a-z])"`)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, m := range source.FindAllStringSubmatch(string(b), -1) {
			ids = append(ids, m[1])
		}
	}
	require.Greater(t, len(ids), 150, "the pattern finds the IDs in the source")
	for _, locale := range texts.Locales {
		text := grammar.Text(chat.Kind{}, locale)
		for _, id := range ids {
			assert.True(t, text.Has(id), id)
		}
	}
}
