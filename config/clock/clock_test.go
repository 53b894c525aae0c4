package clock

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func dated(at time.Time) http.Header {
	return http.Header{"Date": {at.UTC().Format(http.TimeFormat)}}
}

func TestTheirClockIsKnownFromTheirAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(nil)
		_, known := c.Ahead()
		assert.False(t, known)
		assert.Equal(t, time.Now(), c.Now(), "what is not known is ours")
		behind := 2 * time.Minute
		saw := func(by time.Duration) {
			asked := time.Now()
			time.Sleep(200 * time.Millisecond)
			h := dated(time.Now().Add(by))
			time.Sleep(200 * time.Millisecond)
			c.Saw(h, asked, time.Now())
		}
		saw(-behind)
		ahead, known := c.Ahead()
		assert.True(t, known)
		assert.InDelta(t, behind.Seconds(), ahead.Seconds(), 1.5)
		at := c.Now()
		time.Sleep(time.Hour)
		assert.Equal(t, time.Hour, c.Now().Sub(at))
		assert.InDelta(t, behind.Seconds(), c.Here(at).Sub(at).Seconds(), 1.5)
		assert.True(t, c.There(c.Here(at)).Equal(at))

		saw(time.Hour) // a cache, or an accident
		ahead, _ = c.Ahead()
		assert.InDelta(t, behind.Seconds(), ahead.Seconds(), 1.5, "one answer says nothing")
		saw(-behind)
		saw(time.Hour)
		saw(time.Hour)
		ahead, _ = c.Ahead()
		assert.InDelta(t, -time.Hour.Seconds(), ahead.Seconds(), 1.5, "two do")
	})
}

func TestWhatSaysNothingOfAClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(nil)
		now := time.Now()
		c.Saw(http.Header{}, now, now)
		c.Saw(http.Header{"Date": {"soon"}}, now, now)
		c.Saw(dated(now.Add(time.Hour)), now, now.Add(time.Minute))
		old := dated(now.Add(time.Hour))
		old.Set("Age", "3600")
		c.Saw(old, now, now)
		_, known := c.Ahead()
		assert.False(t, known)
	})
}
