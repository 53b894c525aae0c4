package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"meetbot/bot/records/recordstest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/meeting"
)

var someDay = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func auditLine(m string, at time.Duration, step string) Line {
	return Line{
		Asked: someDay.Add(at), At: someDay.Add(at + time.Second), Who: "slack:U1", Where: "slack:T1:C1", Meeting: m,
		Destination: "bili", Fingerprint: "a1b2", Action: Set, Outcome: "set", Job: "job-" + at.String(), Step: step,
	}
}

func TestAStepIsWrittenToTheAuditLogOnce(t *testing.T) {
	store, _ := recordstest.Open(t, someDay)
	log := New(store)
	l := auditLine("tencent:1", 0, "0")
	require.NoError(t, log.Append(t.Context(), l))
	again := l
	again.At = l.At.Add(time.Minute)
	require.NoError(t, log.Append(t.Context(), again), "the step is carried out again after a crash")

	lines, err := log.Of(t.Context(), meeting.Ref{Provider: "tencent", ID: "1"})
	require.NoError(t, err)
	require.Len(t, lines, 1)
	assert.True(t, lines[0].At.Equal(l.At), "the first one stays")
}

func TestAnAuditLineWithoutItsStepIsRefused(t *testing.T) {
	store, _ := recordstest.Open(t, someDay)
	for _, l := range []Line{{}, {Job: "j", Step: "0"}, {Job: "j", Asked: someDay}, {Step: "0", Asked: someDay}} {
		require.Error(t, New(store).Append(t.Context(), l))
	}
}

func TestTheAuditLogIsReadByMeetingAndWhole(t *testing.T) {
	store, clock := recordstest.Open(t, someDay)
	log := New(store)
	save := auditLine("", 90*time.Minute, "0")
	save.Action = Save
	for _, l := range []Line{
		auditLine("tencent:1", 2*time.Hour, "0"), auditLine("tencent:12", 3*time.Hour, "0"),
		auditLine("tencent:1", time.Hour, "0"), auditLine("tencent:1", time.Hour, "10"), auditLine("tencent:1", time.Hour, "2"), save,
	} {
		require.NoError(t, log.Append(t.Context(), l))
	}
	clock.Advance(10 * 365 * 24 * time.Hour) // never removed by age

	times := func(lines []Line) (got []string) {
		for _, l := range lines {
			got = append(got, fmt.Sprint(l.Asked.Sub(someDay), " ", l.Step))
		}
		return got
	}
	of, err := log.Of(t.Context(), meeting.Ref{Provider: "tencent", ID: "1"})
	require.NoError(t, err)
	assert.Equal(t, []string{"1h0m0s 0", "1h0m0s 10", "1h0m0s 2", "2h0m0s 0"}, times(of))
	of, err = log.Of(t.Context(), meeting.Ref{})
	require.NoError(t, err)
	assert.Equal(t, []string{"1h30m0s 0"}, times(of))

	var out bytes.Buffer
	require.NoError(t, Write(t.Context(), store, &out))
	var all []Line
	for dec := json.NewDecoder(&out); dec.More(); {
		var l Line
		require.NoError(t, dec.Decode(&l))
		all = append(all, l)
	}
	assert.Equal(t, []string{"1h0m0s 0", "1h0m0s 10", "1h0m0s 2", "1h30m0s 0", "2h0m0s 0", "3h0m0s 0"}, times(all))
	assert.Equal(t, Save, all[3].Action)
}
