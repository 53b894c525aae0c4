package meeting_test

import (
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
)

var kinds = meeting.Kinds{systec.Kind, tencent.Kind}

// third is a provider as a newcomer would write it: the number is the ID, links are below
// its own host in the shape that another provider's may have on any host.
var third = meeting.Kind{
	ID: "acme", Name: meeting.Words{EN: "Acme", ZH: "艾克米"}, Product: meeting.Words{EN: "Acme Meet", ZH: "艾克米会议"}, Parameters: map[string]string{"topic": "title"},
	IsCode:   func(d string) bool { return len(d) == 10 || len(d) == 12 },
	IsID:     func(d string) bool { return len(d) == 10 || len(d) == 12 },
	CodeIsID: true, Hosts: []string{"acme.example"}, Schemes: []string{"acme"},
	Link: func(u *url.URL) (string, bool) {
		_, id, ok := strings.Cut(u.Path, "/j/")
		return id, ok
	},
	Prepare: func(*meeting.Instant, meeting.Origin) {},
	Same:    func(meeting.Instant, time.Time, meeting.Meeting) bool { return false },
}

func TestWhatPeopleAndClientsCallAMeeting(t *testing.T) {
	ten := func(code string) meeting.Target { return meeting.Target{Provider: "tencent", Code: code} }
	link := func(s string) meeting.Target { return meeting.Target{Provider: "tencent", Link: s} }
	sys := func(id string) meeting.Target { return meeting.Target{Provider: "systec", ID: id} }
	for said, want := range map[string]meeting.Target{
		"806146667":                                                 {Code: "806146667"},
		"806 146 667":                                               {Code: "806146667"},
		" 806-146-667 ":                                             {Code: "806146667"},
		"806'146'667":                                               {Code: "806146667"},
		"806\u00a0146\u2011667":                                     {Code: "806146667"},
		"８０６ １４６－６６７":                                               {Code: "806146667"},
		"159 162 0888":                                              {Code: "1591620888"},
		"988-8340-0582":                                             {Code: "98883400582"},
		"7567173273889276131":                                       {Provider: "tencent", ID: "7567173273889276131"},
		"13339451618278424869":                                      {Provider: "tencent", ID: "13339451618278424869"},
		"systec:1591620888":                                         sys("1591620888"),
		"SYSTEC：159 162 0888":                                       sys("1591620888"),
		"umeeting: 1591620888":                                      sys("1591620888"),
		"tencent:806146667":                                         ten("806146667"),
		"tencent:7567173273889276131":                               {Provider: "tencent", ID: "7567173273889276131"},
		"#腾讯会议：806-146-667":                                         ten("806146667"),
		"#腾讯会议：295-150-176":                                         ten("295150176"),
		"#腾讯会议:295-150-176":                                         ten("295150176"),
		"＃腾讯会议： 295 150 176":                                        ten("295150176"),
		"腾讯会议：853-468-861":                                          ten("853468861"),
		"#腾讯会议：793-330-9962":                                        ten("7933309962"),
		"Tencent Meeting: 806-146-667":                              ten("806146667"),
		"#VooV Meeting：806-146-667":                                 ten("806146667"),
		"https://meeting.tencent.com/dm/a3YWqv":                     link("https://meeting.tencent.com/dm/a3YWqv"),
		"meeting.tencent.com/dm/a3YWqv":                             link("https://meeting.tencent.com/dm/a3YWqv"),
		"https：／／wemeet.qq.com／w／5NmV29k":                           link("https://wemeet.qq.com/w/5NmV29k"),
		"wemeet.qq.com/w/5NmV29k":                                   link("https://wemeet.qq.com/w/5NmV29k"),
		"https://voovmeeting.com/dm/LngItGq4Ga1":                    link("https://voovmeeting.com/dm/LngItGq4Ga1"),
		"voovmeeting.com/r/x":                                       link("https://voovmeeting.com/r/x"),
		"https://www.voovmeeting.com/p/8061466671":                  ten("8061466671"),
		"HTTPS://Meeting.Tencent.Com/p/7933309962":                  ten("7933309962"),
		"https://meeting.tencent.com/p/8061466671/":                 ten("8061466671"),
		"https://meeting.tencent.com/p/8061466671?pwd=1":            ten("8061466671"),
		"https://meeting.tencent.com/s/x?meeting_code=806146667":    ten("806146667"),
		"wemeet://page/inmeeting?meeting_code=806146667&rs=1":       ten("806146667"),
		"https://u.systeccloud.com/j/1591620888":                    sys("1591620888"),
		"https://u.systeccloud.com/j/1591620888/?pwd=1":             sys("1591620888"),
		"https://meet.customer.example/j/1591620888":                sys("1591620888"),
		"https://t.example/x":                                       {Link: "https://t.example/x"},
		"https://meeting.tencent.com.evil.example/p/8061466671":     {Link: "https://meeting.tencent.com.evil.example/p/8061466671"},
		"https://evil.example/?u=https://meeting.tencent.com/p/123": {Link: "https://evil.example/?u=https://meeting.tencent.com/p/123"},
	} {
		got, ok := kinds.Read(said)
		assert.True(t, ok, said)
		assert.Equal(t, want, got, said)
	}
	for _, said := range []string{
		"", "of sprint", "12345678", "123456789012", "123456789012345678901", "806146667x", "zoom:806146667", "systec:abc", "systec:",
		"#腾讯会议：", "#腾讯会议：12", "腾讯会议", "weekly: 806146667", "https://", "https://user:pw@x.example/j/1591620888", "rtmp://x.example/app", "-",
		"https://x.example/a b", "javascript:alert(1)", "mailto:a@b.example", "example.com/x", strings.Repeat("1", 4096),
	} {
		got, ok := kinds.Read(said)
		assert.False(t, ok, said)
		assert.Zero(t, got, said)
	}
}

func TestAThirdProviderIsOneMoreKind(t *testing.T) {
	for _, all := range []meeting.Kinds{{systec.Kind, tencent.Kind, third}, {third, tencent.Kind, systec.Kind}} {
		require.NoError(t, all.Check())
		for said, want := range map[string]meeting.Target{
			"123456789012":                         {Provider: "acme", ID: "123456789012"},
			"1234567890":                           {Code: "1234567890"},
			"acme:1234567890":                      {Provider: "acme", ID: "1234567890"},
			"#Acme Meet：123 456 7890":              {Provider: "acme", ID: "1234567890"},
			"艾克米：1234567890":                       {Provider: "acme", ID: "1234567890"},
			"https://eu.acme.example/j/1234567890": {Provider: "acme", ID: "1234567890"},
			"acme.example/j/1234567890":            {Provider: "acme", ID: "1234567890"},
			"https://u.example/j/1234567890":       {Provider: "systec", ID: "1234567890"},
			"https://acme.example/my":              {Provider: "acme", Link: "https://acme.example/my"},
		} {
			got, ok := all.Read(said)
			assert.True(t, ok, said)
			assert.Equal(t, want, got, said)
		}
		ref, ok := all.ParseRef("acme:x")
		assert.True(t, ok)
		assert.Equal(t, meeting.Ref{Provider: "acme", ID: "x"}, ref)
	}
	_, ok := kinds.ParseRef("acme:x")
	assert.False(t, ok, "not registered")
}

func TestARefIsWhatItSays(t *testing.T) {
	for _, s := range []string{"systec:1591620888", "tencent:7567173273889276131"} {
		ref, ok := kinds.ParseRef(s)
		assert.True(t, ok, s)
		assert.Equal(t, s, ref.String())
	}
	for _, s := range []string{"", "systec", "systec:", ":1", "zoom:1"} {
		_, ok := kinds.ParseRef(s)
		assert.False(t, ok, s)
	}
}

func TestTheWordsForAProvider(t *testing.T) {
	for word, want := range map[string]meeting.Provider{
		"systec": "systec", "UMeet": "systec", "SYSTEC umeeting": "systec",
		" Tencent ": "tencent", "腾讯会议": "tencent", "腾讯": "tencent", "wemeet": "tencent", "VooV": "tencent",
	} {
		got, ok := kinds.Word(word)
		assert.True(t, ok, word)
		assert.Equal(t, want, got, word)
	}
	_, ok := kinds.Word("zoom")
	assert.False(t, ok)
}

func TestKindsAreChecked(t *testing.T) {
	require.NoError(t, kinds.Check())
	alike := third
	alike.Aliases = []string{"wemeet"}
	unnamed := third
	unnamed.Name = meeting.Words{}
	for name, bad := range map[string]meeting.Kinds{
		"none": {}, "twice": {third, {ID: "acme"}}, "alike": {tencent.Kind, alike}, "unnamed": {unnamed},
		"incomplete": {{ID: "x", Name: meeting.Words{EN: "x", ZH: "x"}}}, "not a name": {{ID: "a:b"}},
	} {
		require.Error(t, bad.Check(), name)
	}
}

// Every field of an Instant has a name, and each provider either has a parameter for it or
// refuses it by that name.
func TestEveryFieldIsTakenOrRefusedByName(t *testing.T) {
	yes := true
	full := meeting.Instant{
		Topic: "t", Capacity: 25, Duration: time.Hour, JoinBeforeHost: &yes, Mute: &yes, HostVideo: &yes, ParticipantsVideo: &yes,
		PMI: &yes, WaitingRoom: &yes, Live: &yes, Recording: meeting.RecordingCloud, HostName: "h", Passcode: "p", UserKey: "k",
		Start: time.Unix(1_700_000_000, 0), Account: "a", Hosts: []string{"a"}, HostKey: secret.New("123456"),
	}
	v := reflect.ValueOf(full)
	names := map[string]bool{}
	for i := range v.NumField() {
		require.False(t, v.Field(i).IsZero(), "%s is not in this test", v.Type().Field(i).Name)
		var one meeting.Instant
		reflect.ValueOf(&one).Elem().Field(i).Set(v.Field(i))
		given := one.Given()
		require.Len(t, given, 1, v.Type().Field(i).Name)
		names[given[0]] = true
	}
	assert.Len(t, names, v.NumField())
	assert.Len(t, full.Given(), v.NumField())
	assert.Empty(t, meeting.Instant{}.Given())
	for _, k := range kinds {
		for f := range k.Parameters {
			assert.True(t, names[f], "%s: no field is called %s", k.ID, f)
		}
	}
}

func TestTheSameMeeting(t *testing.T) {
	sent := time.Date(2026, 11, 29, 12, 0, 0, 300e6, time.UTC)
	for _, k := range kinds {
		want := meeting.Instant{Topic: "Board"}
		k.Prepare(&want, meeting.Origin{Mark: "meetbot:job1:slack:U1", Account: "alice", At: sent})
		good := meeting.Meeting{Topic: "Board", Start: sent.Truncate(time.Second)}
		for name, tt := range map[string]struct {
			change func(*meeting.Meeting)
			want   bool
		}{
			"as sent":                   {func(*meeting.Meeting) {}, true},
			"a second later":            {func(m *meeting.Meeting) { m.Start = m.Start.Add(time.Second) }, true},
			"made after minutes":        {func(m *meeting.Meeting) { m.Start = sent.Add(9 * time.Minute) }, true},
			"its clock is behind":       {func(m *meeting.Meeting) { m.Start = sent.Add(-4 * time.Minute) }, true},
			"another end":               {func(m *meeting.Meeting) { m.End = sent.Add(7 * time.Hour) }, true},
			"blanks around the topic":   {func(m *meeting.Meeting) { m.Topic = " Board " }, true},
			"another topic":             {func(m *meeting.Meeting) { m.Topic = "Salary talks (other team)" }, false},
			"scheduled":                 {func(m *meeting.Meeting) { m.Scheduled = true }, false},
			"next year":                 {func(m *meeting.Meeting) { m.Start = sent.AddDate(1, 0, 0) }, false},
			"an hour ago":               {func(m *meeting.Meeting) { m.Start = sent.Add(-time.Hour) }, false},
			"without a start":           {func(m *meeting.Meeting) { m.Start = time.Time{} }, false},
			"another's mark":            {func(m *meeting.Meeting) { m.UserKey = "meetbot:job2:slack:U2" }, k.ID == tencent.Kind.ID},
			"another's account":         {func(m *meeting.Meeting) { m.Creator = "bob" }, k.ID == systec.Kind.ID},
			"another's host":            {func(m *meeting.Meeting) { m.Hosts = []string{"bob"} }, k.ID == systec.Kind.ID},
			"ours among the hosts":      {func(m *meeting.Meeting) { m.Hosts = []string{"bob", "alice"} }, true},
			"only the mark is the same": {func(m *meeting.Meeting) { m.Topic, m.UserKey = "x", want.UserKey }, false},
		} {
			got := good
			tt.change(&got)
			assert.Equal(t, tt.want, k.Same(want, sent, got), "%s: %s", k.ID, name)
		}
	}
}

func TestARequestIsPrepared(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 300e6, time.UTC)
	var in meeting.Instant
	systec.Kind.Prepare(&in, meeting.Origin{Mark: "meetbot:job1:slack:U1", Account: "ignored", At: at})
	assert.Equal(t, meeting.Instant{UserKey: "meetbot:job1:slack:U1"}, in)
	systec.Kind.Prepare(&in, meeting.Origin{Mark: strings.Repeat("会", 100)})
	assert.Equal(t, strings.Repeat("会", 66), in.UserKey, "at most 200 bytes, and whole characters")

	in = meeting.Instant{}
	tencent.Kind.Prepare(&in, meeting.Origin{Mark: "m", Account: "alice", Own: true, At: at})
	assert.Equal(t, meeting.Instant{Start: at.Truncate(time.Second), Duration: time.Hour, Account: "alice"}, in)
	in = meeting.Instant{Duration: 2 * time.Hour}
	tencent.Kind.Prepare(&in, meeting.Origin{Account: "shared", At: at})
	assert.Equal(t, 2*time.Hour, in.Duration)
	assert.Regexp(t, `^\d{6}$`, in.HostKey.Reveal(), "nobody here is the creator")
}

// What is read as a meeting is one that can go back on the wire.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"806 146 667", "systec:1591620888", "#腾讯会议：806-146-667", "https://u.systeccloud.com/j/1591620888", "https://meeting.tencent.com/dm/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, ok := kinds.Read(s)
		if !ok {
			require.Zero(t, m)
			return
		}
		set := 0
		for _, v := range []string{m.Code, m.ID, m.Link} {
			if v != "" {
				set++
			}
		}
		require.Equal(t, 1, set, "%+v", m)
		if m.ID == "" {
			return
		}
		ref := meeting.Ref{Provider: m.Provider, ID: m.ID}
		back, ok := kinds.ParseRef(ref.String())
		require.True(t, ok)
		require.Equal(t, ref, back)
		again, ok := kinds.Read(ref.String())
		require.True(t, ok)
		require.Equal(t, m, again)
	})
}
