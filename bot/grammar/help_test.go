package grammar

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/goldentest"
	"meetbot/bot/texts"
	"meetbot/meeting"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
	"meetbot/meeting/zoom"
)

// TestHelpReadsWell keeps what people are told by the parser as files to be read: help,
// forms, and the answer to a line full of faults.
func TestHelpReadsWell(t *testing.T) {
	p := New(Config{Kinds: meeting.Kinds{systec.Kind, tencent.Kind, zoom.Kind}, Platforms: chattest.Kinds(), Providers: []meeting.Provider{"systec", "tencent", "zoom"}, Default: "systec", Sandbox: true})
	for _, locale := range texts.Locales {
		r := func(command, text string) chat.Request {
			r := line(command, text)
			r.User.Locale = locale
			return r
		}
		exposed := r("livepush", "--key "+canary)
		exposed.InTheOpen = true
		for name, request := range map[string]chat.Request{
			"help-meet":     r("meet", "help"),
			"help-livepush": r("livepush", "help"),
			"unknown":       r("frobnicate", ""),
			"form-meet":     r("meet", "form"),
			"form-push":     r("livepush", ""),
			"form-save":     r("livepush", "save"),
			"faults-meet":   r("meet", "x --duration 20 --provider systec --captcity 5 --record tape --mute=perhaps --host bob"),
			"fault-option":  r("meet", "show --liev"),
			"fault-value":   r("meet", "周会 --时长 soon"),
			"faults-push":   r("livepush", "stauts --name abcdefghijk --url http://x --key 'a b'"),
			"exposed":       exposed,
		} {
			t.Run(locale+"/"+name, func(t *testing.T) {
				d := p.Parse(request)
				var said any = d.Reply
				if d.Form != nil {
					said = d.Form
				}
				got, err := json.MarshalIndent(said, "", "  ")
				require.NoError(t, err)
				got = append(got, '\n')
				file := filepath.Join("testdata", "TestHelpReadsWell", locale, name+".golden.json")
				goldentest.Check(t, file, string(got))
			})
		}
	}
}
