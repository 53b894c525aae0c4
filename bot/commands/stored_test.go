package commands

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/records"
	"meetbot/bot/registry"
	"meetbot/meeting"
)

// A record is written, encrypted and read several times a command: what is empty is not in it.
func TestRecordsHaveNothingOfWhatIsEmpty(t *testing.T) {
	for _, v := range []any{
		work{}, pushCall{}, delivery{}, posted{}, grammar.Ask{}, chat.Request{}, chat.User{}, chat.Place{}, chat.Receipt{},
		meeting.Instant{}, meeting.Meeting{}, meeting.PushTarget{}, registry.Registration{}, registry.Push{}, registry.Card{}, registry.Audience{},
	} {
		b, err := records.Encode(v)
		require.NoError(t, err)
		assert.Equal(t, []byte{0xa0}, b, "an empty map, for %T: give each field the tag that the others have", v)
	}
	// Empty and missing are two things.
	b, err := records.Encode(work{Request: chat.Request{Options: map[string]string{}, Origin: []byte{}}})
	require.NoError(t, err)
	back, err := records.Decode[work](b)
	require.NoError(t, err)
	assert.NotNil(t, back.Request.Options)
	assert.NotNil(t, back.Request.Origin)
	assert.Nil(t, back.Request.Action)
}
