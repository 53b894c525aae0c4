package main

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// maxConnections is how many connections a listener has at once: each takes some 40 KiB.
const maxConnections = 1024

// connections keeps a server's connections at a number. When one more comes, the one is closed
// on which nothing has begun or ended for the longest time. A request is answered within
// moments of its connection: so whoever only holds connections loses them, with half a request
// or without one, and who asks is answered.
type connections struct {
	max int

	mu    sync.Mutex
	open  map[net.Conn]*list.Element // in quiet
	quiet list.List                  // of net.Conn, the longest first
}

// state is an [http.Server]'s ConnState.
func (c *connections) state(conn net.Conn, s http.ConnState) {
	if tooMany := c.changed(conn, s); tooMany != nil {
		_ = tooMany.Close() // the server notices
	}
}

func (c *connections) changed(conn net.Conn, s http.ConnState) (tooMany net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.open[conn]
	switch {
	case s == http.StateNew:
		if c.open == nil {
			c.open = make(map[net.Conn]*list.Element)
		}
		c.open[conn] = c.quiet.PushBack(conn)
	case e == nil: // it was too many
	case s == http.StateActive || s == http.StateIdle:
		c.quiet.MoveToBack(e)
	default: // closed
		c.remove(e)
	}
	if len(c.open) <= c.max {
		return nil
	}
	return c.remove(c.quiet.Front())
}

func (c *connections) remove(e *list.Element) net.Conn {
	conn := c.quiet.Remove(e).(net.Conn)
	delete(c.open, conn)
	return conn
}
