package grammar

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
)

// A name that looks like another is not taken, wherever a name is taken.
func TestANameOfTwoAlphabetsIsNotTaken(t *testing.T) {
	const name = "br\u0430nd" // with a Cyrillic letter
	given := map[string]string{"name": name, "url": "rtmp://h.example/app", "key": "canary-key"}
	typed := chat.Request{Place: chat.Place{Platform: chattest.Discord}, Command: "destinations", Verb: "save", Options: given}
	push := chat.Request{Place: chat.Place{Platform: chattest.Discord}, Command: "livepush", Options: given}
	form := chat.Request{Place: typed.Place, Form: &chat.Submission{Form: formSave, Fields: given}}
	for what, r := range map[string]chat.Request{
		"line": line("livepush", "save "+name+" --url rtmp://h.example/app --key canary-key"), "push": line("livepush", "--name "+name+" --url rtmp://h.example/app --key canary-key"),
		"typed": typed, "typed push": push, "form": form,
	} {
		d := both().Parse(r)
		require.Nil(t, d.Ask, what)
		assert.Contains(t, fmt.Sprintf("%+v %+v", d.Reply, d.Faults), "two alphabets", what)
	}
	require.NotEmpty(t, CheckName(VerbPushSave, name), "the key-entry page")
	assert.NotNil(t, both().Parse(line("livepush", "forget "+name)).Ask, "what was saved before can be forgotten")
}
