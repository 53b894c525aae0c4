package main

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// maxConnections is how many connections a listener has at once: each takes some 40 KiB.
const maxConnections = 1024

// connections keeps a server's connections at a number. When one more comes, the one that has
// waited longest without a request is closed: a request is answered within seconds of its
// connection, so that whoever only holds connections loses them, and the others do not. While
// all have a request under way, which the server's timeouts end, the new one is closed.
type connections struct {
	max int

	mu      sync.Mutex
	open    map[net.Conn]*list.Element // in waiting; nil: it has a request
	waiting list.List                  // of net.Conn, the longest first
}

// state is an [http.Server]'s ConnState.
func (c *connections) state(conn net.Conn, s http.ConnState) {
	c.mu.Lock()
	if c.open == nil {
		c.open = make(map[net.Conn]*list.Element)
	}
	if e := c.open[conn]; e != nil {
		c.waiting.Remove(e)
	}
	var tooLong net.Conn
	switch s {
	case http.StateActive:
		c.open[conn] = nil
	case http.StateNew, http.StateIdle:
		c.open[conn] = c.waiting.PushBack(conn)
		if len(c.open) > c.max {
			tooLong = c.waiting.Remove(c.waiting.Front()).(net.Conn)
			delete(c.open, tooLong)
		}
	default: // closed
		delete(c.open, conn)
	}
	c.mu.Unlock()
	if tooLong != nil {
		_ = tooLong.Close() // the server notices
	}
}
