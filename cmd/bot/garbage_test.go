package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGarbageIsCollectedSeldomWhileLittleIsInUse(t *testing.T) {
	percent := func() int { // there is no way to ask only
		p := debug.SetGCPercent(asWritten)
		debug.SetGCPercent(p)
		return p
	}
	before := percent()
	defer debug.SetGCPercent(before)
	assert.EqualValues(t, seldom, percentFor(smallHeap-1))
	assert.EqualValues(t, asWritten, percentFor(smallHeap))

	end := collectSeldom(func(string) (string, bool) { return "", false })
	assert.Equal(t, seldom, percent())
	much := make([]byte, 2*smallHeap)
	require.Eventually(t, func() bool { runtime.GC(); return percent() == asWritten }, 10*time.Second, time.Millisecond)
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
	collectSeldom(func(name string) (string, bool) { return "50", name == "GOGC" })()
	assert.Equal(t, 50, debug.SetGCPercent(50))
}
