package jobstest

import (
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
)

// wire is the way from one server to another. While it is cut what is sent is held back, and
// neither side is told.
type wire struct {
	listener net.Listener
	to       string
	cut      atomic.Bool
	mended   sync.Cond
	lock     sync.Mutex
}

func newWire(to string) (*wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{listener: l, to: to}
	w.mended.L = &w.lock
	go w.serve()
	return w, nil
}

func (w *wire) serve() {
	for {
		from, err := w.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = from.Close() }()
			w.wait()
			to, err := net.Dial("tcp", w.to)
			if err != nil {
				return
			}
			defer func() { _ = to.Close() }()
			go func() {
				w.pass(from, to)
				_, _ = from.Close(), to.Close()
			}()
			w.pass(to, from)
		}()
	}
}

func (w *wire) pass(to io.Writer, from io.Reader) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		w.wait()
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// wait returns when the wire is whole.
func (w *wire) wait() {
	if !w.cut.Load() {
		return
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	for w.cut.Load() {
		w.mended.Wait()
	}
}

func (w *wire) set(cut bool) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.cut.Store(cut)
	w.mended.Broadcast()
}

// between makes the servers talk to each other over wires, and returns the routes of server i.
func (c *Cluster) between(i int, routes []*url.URL) ([]*url.URL, error) {
	var mine []*url.URL
	for k, route := range routes {
		if k == i {
			continue
		}
		w, err := newWire(route.Host)
		if err != nil {
			return nil, err
		}
		c.wires = append(c.wires, ends{i, k, w})
		mine = append(mine, &url.URL{Scheme: route.Scheme, Host: w.listener.Addr().String()})
	}
	return mine, nil
}

type ends struct {
	from, to int
	*wire
}

// Isolate cuts server i off from the others without a word to anybody; clients still reach it.
// The cluster has to be of [NewSplittable].
func (c *Cluster) Isolate(i int) { c.split(i, true) }

// Rejoin mends what [Cluster.Isolate] cut.
func (c *Cluster) Rejoin(i int) { c.split(i, false) }

func (c *Cluster) split(i int, cut bool) {
	for _, w := range c.wires {
		if w.from == i || w.to == i {
			w.set(cut)
		}
	}
}

// Clients returns how many clients are connected to server i.
func (c *Cluster) Clients(i int) int { return c.servers[i].NumClients() }
