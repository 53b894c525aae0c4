package commands

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/jobs"
	"meetbot/meeting"
)

func auditLine(m string, at time.Duration, step string) AuditLine {
	return AuditLine{
		Asked: showNow.Add(at), At: showNow.Add(at + time.Second), Who: "slack:U1", Where: "slack:T1:C1", Meeting: m,
		Destination: "bili", Fingerprint: "a1b2", Action: AuditSet, Outcome: "set", Job: "job-" + at.String(), Step: step,
	}
}

func TestAStepIsWrittenToTheAuditLogOnce(t *testing.T) {
	store, _ := newShowStore(t)
	log := audit{store}
	l := auditLine("tencent:1", 0, "0")
	require.NoError(t, log.append(t.Context(), l))
	again := l
	again.At = l.At.Add(time.Minute)
	require.NoError(t, log.append(t.Context(), again), "the step is carried out again after a crash")

	lines, err := log.of(t.Context(), meeting.Ref{Provider: meeting.Tencent, ID: "1"})
	require.NoError(t, err)
	require.Len(t, lines, 1)
	assert.True(t, lines[0].At.Equal(l.At), "the first one stays")
}

func TestAnAuditLineWithoutItsStepIsRefused(t *testing.T) {
	store, _ := newShowStore(t)
	for _, l := range []AuditLine{{}, {Job: "j", Step: "0"}, {Job: "j", Asked: showNow}, {Step: "0", Asked: showNow}} {
		require.Error(t, audit{store}.append(t.Context(), l))
	}
}

func TestTheAuditLogIsReadByMeetingAndWhole(t *testing.T) {
	store, clock := newShowStore(t)
	log := audit{store}
	save := auditLine("", 90*time.Minute, "0")
	save.Action = AuditSave
	for _, l := range []AuditLine{
		auditLine("tencent:1", 2*time.Hour, "0"), auditLine("tencent:12", 3*time.Hour, "0"),
		auditLine("tencent:1", time.Hour, "0"), auditLine("tencent:1", time.Hour, "10"), auditLine("tencent:1", time.Hour, "2"), save,
	} {
		require.NoError(t, log.append(t.Context(), l))
	}
	clock.advance(10 * 365 * 24 * time.Hour) // never removed by age

	times := func(lines []AuditLine) (got []string) {
		for _, l := range lines {
			got = append(got, fmt.Sprint(l.Asked.Sub(showNow), " ", l.Step))
		}
		return got
	}
	of, err := log.of(t.Context(), meeting.Ref{Provider: meeting.Tencent, ID: "1"})
	require.NoError(t, err)
	assert.Equal(t, []string{"1h0m0s 0", "1h0m0s 10", "1h0m0s 2", "2h0m0s 0"}, times(of))
	of, err = log.of(t.Context(), meeting.Ref{})
	require.NoError(t, err)
	assert.Equal(t, []string{"1h30m0s 0"}, times(of))

	var out bytes.Buffer
	require.NoError(t, WriteAudit(t.Context(), store, &out))
	var all []AuditLine
	for dec := json.NewDecoder(&out); dec.More(); {
		var l AuditLine
		require.NoError(t, dec.Decode(&l))
		all = append(all, l)
	}
	assert.Equal(t, []string{"1h0m0s 0", "1h0m0s 10", "1h0m0s 2", "1h30m0s 0", "2h0m0s 0", "3h0m0s 0"}, times(all))
	assert.Equal(t, AuditSave, all[3].Action)
}

func TestWhatAnOperatorSettlesIsLoggedAndKeepsNoKey(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent")
		r := w.request(ada, channel, Request{Command: "livepush", Text: "--name 主站 --url rtmp://ingest.example.com/live --key canary-key"})
		r.At = r.At.Add(-3 * time.Minute)
		posts := w.do(w.bot.Parse(r), ada, channel)
		j, err := w.store.Update(w.t.Context(), jobID(r), func(j *jobs.Job) error {
			j.Outcome = "settled_done"
			Settled(j)
			return nil
		})
		require.NoError(t, err)
		assert.NotContains(t, string(j.Data), "canary-key")
		assert.Contains(t, w.press(ada, channel, posts, VerbNow)[0].Reply.Text, "is no longer kept")

		push := w.request(ada, channel, Request{Command: "livepush", Text: "--name 主站 --url rtmp://ingest.example.com/live --key canary-key"})
		w.do(w.bot.Parse(push), ada, channel)
		j, err = w.store.Get(w.t.Context(), jobID(push))
		require.NoError(t, err)
		for range 2 { // a repeat writes one line
			require.NoError(t, AuditSettled(w.t.Context(), w.store, j, "retry", time.Now()))
		}
		log := find(t, w.say(ada, channel, "/livepush log"), SlotPrivate).Reply.Fields
		require.Len(t, log, 2)
		assert.Equal(t, "Operator: settle the command 主站 · tried again", log[1].Value)
	})
}
