package meeting_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
)

func TestAnAccountIsAProviderWithAName(t *testing.T) {
	all := meeting.Kinds{systec.Kind, tencent.Kind}
	school := meeting.Provider("tencent").At("school")
	assert.Equal(t, meeting.Provider("tencent@school"), school)
	assert.Equal(t, school, meeting.Provider("tencent@other").At("school"))
	assert.Equal(t, meeting.Provider("tencent"), meeting.Provider("tencent").At(""))
	assert.Equal(t, []any{meeting.Provider("tencent"), "school"}, []any{school.Kind(), school.Account()})
	assert.True(t, school.Kind().Covers(school) && school.Covers(school))
	assert.False(t, school.Covers("tencent") || school.Covers("tencent@other") || meeting.Provider("zoom").Covers(school))

	k, ok := all.Kind(school)
	require.True(t, ok)
	assert.Equal(t, school, k.ID)
	assert.Equal(t, meeting.Words{EN: "Tencent Meeting (school)", ZH: "腾讯会议（school）"}, k.Name)
	assert.Equal(t, "Tencent Meeting", all[1].Name.EN, "the provider's own name stays")
	for _, none := range []meeting.Provider{"tencent@", "tencent@School", "tencent@a@b", "tencent@-a", "@school", "acme@school", meeting.Provider("tencent@" + strings.Repeat("a", 33))} {
		_, ok := all.Kind(none)
		assert.False(t, ok, none)
	}
	assert.Error(t, meeting.Kinds{{ID: "a@b"}}.Check())
}

func TestAMeetingOfAnAccountIsNamedWithIt(t *testing.T) {
	all := meeting.Kinds{systec.Kind, tencent.Kind}
	ref := meeting.Ref{Provider: "tencent@school", ID: "1234567890123456789"}
	got, ok := all.ParseRef(ref.String())
	assert.True(t, ok)
	assert.Equal(t, ref, got)
	for text, want := range map[string]meeting.Target{
		ref.String():                 {Provider: "tencent@school", ID: "1234567890123456789"},
		"Tencent@school:806-146-667": {Provider: "tencent@school", Code: "806146667"},
		"tencent:806146667":          {Provider: "tencent", Code: "806146667"},
		"systec@a:1591620888":        {Provider: "systec@a", ID: "1591620888"},
	} {
		got, ok := all.Read(text)
		assert.True(t, ok, text)
		assert.Equal(t, want, got, text)
	}
	_, ok = all.Read("acme@school:806146667")
	assert.False(t, ok)
}

func TestWhatIsUsualFillsInWhatIsLeftOut(t *testing.T) {
	usual := meeting.Instant{Topic: "usual", Mute: new(true), Live: new(true), Capacity: 5, HostKey: secret.New("123456")}
	got := meeting.Instant{Topic: "mine", Mute: new(false)}.Or(usual)
	assert.Equal(t, meeting.Instant{Topic: "mine", Mute: new(false), Live: new(true), Capacity: 5, HostKey: secret.New("123456")}, got)
	assert.Equal(t, meeting.Instant{Topic: "mine"}, meeting.Instant{Topic: "mine"}.Or(meeting.Instant{}))
}
