package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

const (
	smallHeap  = 16 << 20 // bytes in use up to which garbage may take twice the room
	seldom     = 200      // percent of what is in use
	asWritten  = 100      // Go's own
	gcVariable = "GOGC"
)

// collector has garbage collected half as often while little is in use: a bot that has much to do
// and little to remember spends a tenth of its processor time on it otherwise. A bot that remembers
// much needs the room.
type collector struct {
	percent atomic.Int32
	ended   atomic.Bool
}

// collectSeldom begins it, unless the person who runs the bot has said how often.
func collectSeldom(lookup func(string) (string, bool)) (end func()) {
	if set, _ := lookup(gcVariable); set != "" {
		return func() {}
	}
	c := &collector{}
	c.set(seldom)
	c.watch()
	return func() {
		c.ended.Store(true)
		c.set(asWritten)
	}
}

// watch has look called after the next collection.
func (c *collector) watch() {
	mark := &struct{ self *collector }{c} // garbage from here on
	runtime.AddCleanup(mark, (*collector).look, c)
}

func (c *collector) look() {
	if c.ended.Load() {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	c.set(percentFor(live[0].Value.Uint64()))
	c.watch()
}

func percentFor(live uint64) int32 {
	if live < smallHeap {
		return seldom
	}
	return asWritten
}

func (c *collector) set(percent int32) {
	if c.percent.Swap(percent) != percent { // it stops everything for a moment
		debug.SetGCPercent(int(percent))
	}
}
