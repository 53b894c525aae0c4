package grammar

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"meetbot/meeting"
)

func TestMeetingArg(t *testing.T) {
	for _, tt := range []struct {
		arg  string
		want MeetingTarget
	}{
		{"806146667", MeetingTarget{Code: "806146667"}},
		{"806 146 667", MeetingTarget{Code: "806146667"}},
		{"806-146-667", MeetingTarget{Code: "806146667"}},
		{"８０６ １４６－６６７", MeetingTarget{Code: "806146667"}},
		{"159 162 0888", MeetingTarget{Code: "1591620888"}},
		{"13418515243", MeetingTarget{Code: "13418515243"}},
		{"7567173273889276131", MeetingTarget{Provider: meeting.Tencent, ID: "7567173273889276131"}},
		{"13339451618278424869", MeetingTarget{Provider: meeting.Tencent, ID: "13339451618278424869"}},
		{"systec:1591620888", MeetingTarget{Provider: meeting.Systec, ID: "1591620888"}},
		{"SYSTEC：159 162 0888", MeetingTarget{Provider: meeting.Systec, ID: "1591620888"}},
		{"tencent:806146667", MeetingTarget{Provider: meeting.Tencent, Code: "806146667"}},
		{"tencent:7567173273889276131", MeetingTarget{Provider: meeting.Tencent, ID: "7567173273889276131"}},
		{"https://meeting.tencent.com/dm/a3YWqvkC96R5", MeetingTarget{Provider: meeting.Tencent, URL: "https://meeting.tencent.com/dm/a3YWqvkC96R5"}},
		{"meeting.tencent.com/dm/a3YWqvkC96R5", MeetingTarget{Provider: meeting.Tencent, URL: "https://meeting.tencent.com/dm/a3YWqvkC96R5"}},
		{"https：／／wemeet.qq.com／w／5NmV29k", MeetingTarget{Provider: meeting.Tencent, URL: "https://wemeet.qq.com/w/5NmV29k"}},
		{"https://meeting.tencent.com/p/8061466671", MeetingTarget{Provider: meeting.Tencent, Code: "8061466671"}},
		{"https://meeting.tencent.com/s/x?meeting_code=806146667", MeetingTarget{Provider: meeting.Tencent, Code: "806146667"}},
		{"https://u.systeccloud.com/j/1591620888", MeetingTarget{Provider: meeting.Systec, ID: "1591620888"}},
		{"https://u.systeccloud.com/j/1591620888/?pwd=1", MeetingTarget{Provider: meeting.Systec, ID: "1591620888"}},
		{"https://t.example/x", MeetingTarget{URL: "https://t.example/x"}},
	} {
		t.Run(tt.arg, func(t *testing.T) {
			got, ok := MeetingArg(tt.arg)
			assert.True(t, ok)
			assert.Equal(t, tt.want, got)
		})
	}
	for _, arg := range []string{
		"", "of sprint", "12345678", "123456789012", "123456789012345678901", "806146667x", "zoom:806146667", "systec:abc", "systec:",
		"https://", "https://user:pw@x.example/j/1591620888", "rtmp://x.example/app", "-", "https://x.example/a b", "javascript:alert(1)",
	} {
		t.Run("not "+arg, func(t *testing.T) {
			_, ok := MeetingArg(arg)
			assert.False(t, ok)
		})
	}
}

// FuzzMeetingArg: what is read as a reference is one that can go back on the wire.
func FuzzMeetingArg(f *testing.F) {
	for _, s := range []string{"806 146 667", "systec:1591620888", "https://u.systeccloud.com/j/1591620888", "https://meeting.tencent.com/dm/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, ok := MeetingArg(s)
		if !ok {
			assert.Zero(t, m)
			return
		}
		set := 0
		for _, v := range []string{m.Code, m.ID, m.URL} {
			if v != "" {
				set++
			}
		}
		assert.Equal(t, 1, set, "%+v", m)
		if m.ID != "" && m.Provider != "" {
			again, ok := MeetingArg(meeting.Ref{Provider: m.Provider, ID: m.ID}.String())
			assert.True(t, ok)
			if m.Provider == meeting.Systec {
				assert.Equal(t, m, again)
			}
		}
	})
}
