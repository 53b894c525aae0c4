package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting/sandbox"
)

// try runs `bot doctor --try-provider` with an answer to its question.
func (w *world) try(t *testing.T, answer string) (out, errs string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	lookup := func(name string) (string, bool) { v, ok := w.env[name]; return v, ok }
	err = run(t.Context(), process{args: []string{"doctor", "--try-provider"}, lookup: lookup, stdin: strings.NewReader(answer), stdout: &o, stderr: &e})
	assert.NotContains(t, strings.ToLower(o.String()+e.String()), "canary")
	assert.NotContains(t, o.String(), "?doctor=", "no key")
	return o.String(), e.String(), err
}

func TestDoctorTriesNothingUnasked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, answer := range []string{"", "no\n", "y", "\n"} {
		out, errs, err := w.try(t, answer)
		require.ErrorIs(t, err, errNotTried)
		assert.Empty(t, out)
		assert.Contains(t, errs, "real meeting")
	}
	assert.Empty(t, w.sandbox.Meetings())
}

func TestDoctorTriesTheGuesses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		quirks sandbox.Quirks
		broken []string // guesses that do not hold
	}{
		{name: "Likeliest"},
		{"OffIsRefused", sandbox.Quirks{Repost: sandbox.RepostRefused}, []string{"sending an address again as disabled"}},
		{"OffIsIgnored", sandbox.Quirks{Repost: sandbox.RepostIgnored}, []string{"the address then reads back as off"}},
		{"KeysTell", sandbox.Quirks{KeyTellsAddresses: true}, []string{"it refuses the same address with another key"}},
		{"NoRTMPS", sandbox.Quirks{RefuseRTMPS: true}, []string{"it takes an rtmps:// address"}},
		{"WideNames", sandbox.Quirks{WideNames: true}, []string{"a meeting without a live takes a push address"}},
		{"ReadBackLate", sandbox.Quirks{PushDelay: time.Hour}, []string{"the address reads back at once"}},
		{"DisabledIsHidden", sandbox.Quirks{HideDisabled: true}, nil},
		{"ListedLate", sandbox.Quirks{ListDelay: time.Hour}, []string{"it lists a new meeting at once"}},
		{"ListsAll", sandbox.Quirks{SystecListsAll: true}, []string{"asked for one user_key, it lists the meetings of that one alone"}},
		{"EndedIsShown", sandbox.Quirks{EndedStaysVisible: true}, nil},
		{"StartIsKept", sandbox.Quirks{QuickKeepsStart: true}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.sandbox.SetQuirks(tt.quirks)
			out, _, err := w.try(t, "yes\n")
			require.NoError(t, err, out)
			var broken []string
			held := 0
			for line := range strings.Lines(out) {
				switch {
				case strings.Contains(line, "undecided whether"), strings.Contains(line, "not so here: "):
					broken = append(broken, line)
				case strings.Contains(line, "confirmed: "):
					held++
				}
			}
			for _, guess := range tt.broken {
				assert.Contains(t, strings.Join(broken, ""), guess)
			}
			assert.Equal(t, len(tt.broken) == 0, broken == nil, "%s", broken)
			assert.Greater(t, held, 8, out)
			meetings := w.sandbox.Meetings()
			require.Len(t, meetings, 2)
			for _, m := range meetings {
				assert.Contains(t, []sandbox.State{sandbox.Ended, sandbox.Cancelled, sandbox.Deleted}, m.State, "it cleans up")
			}
		})
	}
}

func TestDoctorReadsTheLicence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	assert.Regexp(t, `systec: licensed rooms, by participants: \d+ of \d+`, strings.Join(w.diagnose(t).of("note"), "\n"))
	w.set("SYSTEC_CAPACITY", "26")
	assert.Regexp(t, `systec: the licence has no room for 26`, strings.Join(w.diagnose(t).of("fault"), "\n"))
}

func TestDoctorTellsWhenTheLicenceEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		left time.Duration
		want string
	}{
		{-time.Hour, `fault +systec +the licence ended on `}, {48 * time.Hour, `warn\w* +systec +the licence ends on `}, {400 * 24 * time.Hour, `ok +systec +the licence runs until `},
	} {
		w := newWorld(t)
		s, err := sandbox.Start(t.Context(), "127.0.0.1:0", sandbox.Config{
			SystecKey: w.env["SYSTEC_API_KEY"], SystecSecret: secret.New(w.env["SYSTEC_API_SECRET"]), SystecExpires: time.Now().Add(tt.left),
		})
		require.NoError(t, err)
		w.set("SYSTEC_BASE_URL", s.SystecURL())
		out, _, _ := invoke(t, w.env, "doctor")
		assert.Regexp(t, tt.want, out)
		require.NoError(t, s.Close())
	}
}
