package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGarbageFillsTheRoomThatIsThere(t *testing.T) {
	for live, want := range map[uint64]int32{
		0: seldom, 1 << 20: seldom, 13 << 20: seldom, 16 << 20: 150, 20 << 20: 100, 24 << 20: 50, 30 << 20: often, room: often, 1 << 40: often,
	} {
		assert.Equal(t, want, percentFor(live), "%d MiB in use", live>>20)
	}
	percent := func() int { // there is no way to ask only
		p := debug.SetGCPercent(asWritten)
		debug.SetGCPercent(p)
		return p
	}
	before := percent()
	defer debug.SetGCPercent(before)
	end := paceGarbage(func(string) (string, bool) { return "", false })
	assert.Equal(t, seldom, percent())
	much := make([]byte, room)
	require.Eventually(t, func() bool { runtime.GC(); return percent() == often }, 10*time.Second, time.Millisecond)
	runtime.KeepAlive(much)
	require.Eventually(t, func() bool { runtime.GC(); return percent() == seldom }, 10*time.Second, time.Millisecond, "and again when that is gone")
	end()
	assert.Equal(t, asWritten, percent())
	runtime.GC()
	runtime.GC()
	assert.Equal(t, asWritten, percent())
}

func TestWhoSaysHowOftenGarbageIsCollectedIsHeeded(t *testing.T) {
	before := debug.SetGCPercent(50)
	defer debug.SetGCPercent(before)
	paceGarbage(func(name string) (string, bool) { return "50", name == "GOGC" })()
	assert.Equal(t, 50, debug.SetGCPercent(50))
}
