package engine

import (
	"container/heap"
	"context"
	"errors"
	"strings"
	"sync"
	"time"
)

// ackWait is after how long a worker that is not heard of is taken to have lost its record.
const ackWait = 10 * time.Second

// keptBodies bounds, in bytes, the bodies that the queue has too, so that what is taken soon
// after it was written is not read again.
const keptBodies = 4 << 20

// queue hands records of an engine in this process to workers. It knows keys and revisions;
// nearly all bodies stay where the engine has them.
type queue struct {
	read func(context.Context, string) (Entry, error) // the newest record

	mu       sync.Mutex
	items    map[string]*item    // by key: what is not acked
	backlogs map[string]*backlog // by the first segment of the keys
	bodies   int                 // how many bytes of them it has
	waits    waits
	clock    *time.Timer // goes off when the first of waits is due
	closed   bool
}

// item is a record that somebody has to work on.
type item struct {
	key     string
	backlog *backlog
	rev     uint64    // 0 until it is read
	size    int       // of the body at rev
	body    []byte    // at rev, or nil
	turn    uint64    // of whoever may answer for it
	ready   bool      // in backlog.ready
	taken   uint64    // how often it was taken from there
	out     bool      // handed out before, since it was written by another than who has it
	again   time.Time // when it is made ready
	place   int       // in waits, from 1 on; 0: not in it
}

// waits are the items that are made ready later, the first one first. A timer for each would take
// half of the memory of a meeting that is to be looked at again.
type waits []*item

func (w waits) Len() int           { return len(w) }
func (w waits) Less(i, j int) bool { return w[i].again.Before(w[j].again) }

func (w waits) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].place, w[j].place = i+1, j+1
}

// Push implements [heap.Interface].
func (w *waits) Push(it any) {
	*w = append(*w, it.(*item))
	it.(*item).place = len(*w)
}

// Pop implements [heap.Interface].
func (w *waits) Pop() any {
	last := len(*w) - 1
	it := (*w)[last]
	(*w)[last], it.place = nil, 0
	*w = (*w)[:last]
	return it
}

// backlog are the items of one kind that wait for a worker.
type backlog struct {
	ready     []*item
	wake      chan struct{}
	consumers int
}

func newQueue(kinds []string, read func(context.Context, string) (Entry, error)) *queue {
	q := &queue{read: read, items: make(map[string]*item), backlogs: make(map[string]*backlog)}
	for _, kind := range kinds {
		q.backlogs[kind] = &backlog{}
	}
	return q
}

func (q *queue) backlogOf(key string) *backlog {
	kind, _, _ := strings.Cut(key, ".")
	return q.backlogs[kind]
}

// add notes that the record at key was written. Unless it is held by the worker that did
// so, it is made ready.
func (q *queue) add(key string, rev uint64, body []byte, held bool) {
	l := q.backlogOf(key)
	if l == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.items[key]
	switch {
	case it == nil:
		it = &item{key: key, backlog: l}
		q.items[key] = it
	case it.rev >= rev:
		return // it was read before its writer came to say so
	}
	q.dropBody(it)
	it.rev, it.size = rev, len(body)
	if held && !it.ready {
		it.out = true
		q.wait(it, ackWait)
		return
	}
	it.out = false
	it.turn++
	if q.bodies+len(body) <= keptBodies {
		it.body = body
		q.bodies += len(body)
	}
	q.makeReady(it)
}

// dropBody is called with mu held.
func (q *queue) dropBody(it *item) (body []byte) {
	if body = it.body; body != nil {
		it.body = nil
		q.bodies -= len(body)
	}
	return body
}

// known returns the revision of the record at key and the size of its body, as far as it was
// written or read here.
func (q *queue) known(key string) (rev uint64, size int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it := q.items[key]; it != nil {
		return it.rev, it.size
	}
	return 0, 0
}

// restore makes the record at key ready, unless somebody has it.
func (q *queue) restore(key string) {
	l := q.backlogOf(key)
	if l == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.items[key] == nil {
		it := &item{key: key, backlog: l, out: true} // perhaps, by a process that is gone
		q.items[key] = it
		q.makeReady(it)
	}
}

// makeReady is called with mu held.
func (q *queue) makeReady(it *item) {
	q.unwait(it)
	if it.ready {
		return
	}
	it.ready = true
	it.backlog.ready = append(it.backlog.ready, it)
	wake(it.backlog)
}

func wake(l *backlog) {
	select {
	case l.wake <- struct{}{}:
	default: // somebody will look, or nobody is there yet
	}
}

// drop forgets the record at key, if its revision is not above rev.
func (q *queue) drop(key string, rev uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it := q.items[key]; it != nil && it.rev <= rev {
		q.remove(it)
	}
}

// remove is called with mu held.
func (q *queue) remove(it *item) {
	q.unwait(it)
	q.dropBody(it)
	delete(q.items, it.key) // what is left of it in backlog.ready is skipped
}

// after makes the record ready after d, unless it is written or acked before.
func (r *queueReceipt) after(d time.Duration) {
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	if it := r.q.items[r.item.key]; it == r.item && it.turn == r.turn && !it.ready {
		r.q.wait(it, d)
	}
}

// wait makes the item ready after d, or after another time if it is called again. It is called
// with mu held.
func (q *queue) wait(it *item, d time.Duration) {
	it.again = time.Now().Add(max(d, 0))
	if it.place > 0 {
		heap.Fix(&q.waits, it.place-1)
	} else {
		heap.Push(&q.waits, it)
	}
	if it.place == 1 {
		q.wind()
	}
}

// unwait is called with mu held.
func (q *queue) unwait(it *item) {
	if it.place > 0 {
		heap.Remove(&q.waits, it.place-1)
	}
}

// wind sets the clock to the first of waits. It is called with mu held.
func (q *queue) wind() {
	if q.closed {
		return
	}
	d := max(time.Until(q.waits[0].again), 0)
	if q.clock == nil {
		q.clock = time.AfterFunc(d, q.strike)
		return
	}
	q.clock.Reset(d)
}

// strike makes ready what is due.
func (q *queue) strike() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for now := time.Now(); len(q.waits) > 0 && !q.waits[0].again.After(now); {
		q.makeReady(q.waits[0])
	}
	if len(q.waits) > 0 {
		q.wind()
	}
}

// taken is an item that was taken from its backlog, with its record if the queue has it.
type taken struct {
	*item
	times uint64
	entry Entry
}

// next takes the first ready item, and reports whether there are more.
func (q *queue) next(l *backlog) (t taken, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(l.ready) > 0 {
		it := l.ready[0]
		l.ready[0] = nil
		l.ready = l.ready[1:]
		it.ready = false
		if q.items[it.key] == it {
			it.taken++
			return taken{it, it.taken, Entry{it.key, q.dropBody(it), it.rev}}, len(l.ready) > 0
		}
	}
	l.ready = nil
	return taken{}, false
}

// take makes the item's record a message, and reads it if need be.
func (q *queue) take(ctx context.Context, t taken) (Message, bool) {
	it, e := t.item, t.entry
	var err error
	if e.Body == nil {
		e, err = q.read(ctx, it.key)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.items[it.key] != it || it.ready || it.taken != t.times || err == nil && e.Rev < it.rev {
		return Message{}, false // it was written meanwhile, and perhaps handed to another
	}
	switch {
	case errors.Is(err, ErrNotFound):
		q.remove(it)
		return Message{}, false
	case err != nil:
		q.wait(it, time.Second)
		return Message{}, false
	}
	doubtful := it.out
	it.rev, it.size, it.out = e.Rev, len(e.Body), true
	q.wait(it, ackWait)
	return Message{e, &queueReceipt{q, it, it.turn, e.Rev}, doubtful}, true
}

// consume is [Engine.Consume].
func (q *queue) consume(kind string, handle func(Message)) (stop func()) {
	l := q.backlogs[kind]
	q.mu.Lock()
	if l.wake == nil {
		l.wake = make(chan struct{}, 1)
	}
	l.consumers++
	if l.consumers == 1 { // what a former consumer left is handed out again
		for _, it := range q.items {
			if it.backlog == l {
				q.makeReady(it)
			}
		}
	}
	q.mu.Unlock()

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			t, more := q.next(l)
			if ctx.Err() != nil {
				if it := t.item; it != nil {
					q.mu.Lock()
					if q.items[it.key] == it {
						q.makeReady(it)
					}
					q.mu.Unlock()
				}
				return
			}
			if t.item != nil {
				if m, ok := q.take(ctx, t); ok {
					handle(m)
				}
			}
			if more {
				continue
			}
			select {
			case <-ctx.Done():
				return
			case <-l.wake:
			}
		}
	}()
	return func() {
		cancel()
		<-ended
		q.mu.Lock()
		defer q.mu.Unlock()
		l.consumers--
		if len(l.ready) > 0 {
			wake(l)
		}
	}
}

// waiting returns how many records of the kind were not handed out yet.
func (q *queue) waiting(kind string) uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.backlogs[kind]; l != nil {
		return uint64(len(l.ready))
	}
	return 0
}

// close makes nothing ready any more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if q.clock != nil {
		q.clock.Stop()
	}
}

type queueReceipt struct {
	q    *queue
	item *item
	turn uint64
	rev  uint64 // as handed out
}

// receipt answers for the record at key.
func (q *queue) receipt(key string) Receipt {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.items[key]
	if it == nil {
		it = &item{key: key, backlog: q.backlogOf(key)}
	}
	return &queueReceipt{q, it, it.turn, it.rev}
}

func (r *queueReceipt) Ack() {
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	if it := r.q.items[r.item.key]; it == r.item && it.rev == r.rev {
		r.q.remove(it) // else it is of an old one
	}
}

func (r *queueReceipt) Later(d time.Duration) { r.after(d) }
func (r *queueReceipt) Working()              { r.after(ackWait) }
