package commands

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/meeting"
)

// Thousands of meetings take their turns: what is booked finds room when it comes, in the order in
// which it was booked, and nothing comes in vain.
func TestWhatIsBookedFindsRoom(t *testing.T) {
	const meetings, hours = 1000, 2
	p := newPace(pollsPerMinute)
	now := time.Date(2026, 12, 1, 8, 0, 30, 0, time.UTC)
	type due struct {
		at      time.Time
		meeting int
	}
	var all []due
	for m := range meetings {
		all = append(all, due{p.book(now.Add(pollAfter(0))), m})
	}
	polls, perMinute := make([]int, meetings), map[int64]int{}
	for end := now.Add(hours * time.Hour); ; {
		slices.SortFunc(all, func(a, b due) int { return a.at.Compare(b.at) })
		if all[0].at.After(end) {
			break
		}
		d := &all[0]
		require.True(t, p.take(d.at), d.at)
		polls[d.meeting]++
		perMinute[minuteOf(d.at)]++
		d.at = p.book(d.at.Add(pollAfter(d.at.Sub(now))))
	}
	assert.LessOrEqual(t, slices.Max(polls)-slices.Min(polls), 1, "each has its turn")
	for minute, n := range perMinute {
		assert.LessOrEqual(t, n, pollsPerMinute, minute)
	}
	assert.Less(t, len(p.booked), 2*meetings/pollsPerMinute, "what is past is forgotten")

	few := newPace(pollsPerMinute)
	for range pollsPerMinute {
		at := now.Add(time.Minute)
		assert.Equal(t, at, few.book(at), "there is room at the time that is wanted")
	}
}

// A meeting whose viewers are counted is polled each minute, and takes no turn of the others' for it.
func TestWhoIsWatchedTakesNoTurn(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.enter(meeting.StateRunning, 412)
		polled, p := w.tencent.calls("viewers"), w.bot.polling.pace
		const others = 120 // minutes that are booked up
		first := minuteOf(time.Now())
		p.mu.Lock()
		for m := range int64(others) {
			p.booked[first+m] = p.limit
		}
		p.mu.Unlock()
		time.Sleep(time.Hour)
		assert.Greater(t, polled.take(), 30)
		p.mu.Lock()
		defer p.mu.Unlock()
		assert.Zero(t, p.booked[first+others])
	})
}

// What was not booked, as before a restart, may come in vain once; then it has a turn too.
func TestWhatIsNotBookedIsBounded(t *testing.T) {
	p := newPace(3)
	now := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	var taken []bool
	for range 5 {
		taken = append(taken, p.take(now))
	}
	assert.Equal(t, []bool{true, true, true, false, false}, taken)
	assert.True(t, p.take(now.Add(time.Minute)))
	assert.True(t, p.take(now.Add(-time.Hour)), "the clock was set back")
}
