package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

const (
	room       = 40 << 20 // bytes of heap that garbage may fill, together with what is in use
	often      = 50       // percent of what is in use that garbage may take at least
	seldom     = 200      // and at most
	step       = 25       // each change stops everything for a moment
	asWritten  = 100      // Go's own
	gcVariable = "GOGC"
)

// collector lets garbage fill the room that is there, so that the bot takes as much memory however
// many meetings it remembers, and one that remembers little spends less time on collecting.
type collector struct {
	percent atomic.Int32
	ended   atomic.Bool
}

// paceGarbage begins it, unless the person who runs the bot has said how often.
func paceGarbage(lookup func(string) (string, bool)) (end func()) {
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
	left := room - int64(min(live, room))
	return int32(min(max(left*100/int64(max(live, 1))/step*step, often), seldom))
}

func (c *collector) set(percent int32) {
	if c.percent.Swap(percent) != percent {
		debug.SetGCPercent(int(percent))
	}
}
