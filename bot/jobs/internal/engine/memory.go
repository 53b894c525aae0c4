package engine

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is the engine of tests: everything is gone with the process.
type Memory struct {
	Shared bool // as if other processes used it too

	mu      sync.Mutex
	seq     uint64
	records map[string]*memoryRecord
	queues  map[string]*memoryQueue // by prefix
}

type memoryRecord struct {
	body  []byte
	rev   uint64
	acked bool
	out   bool        // handed out before
	again *time.Timer // delivers it again if the worker is not heard of
}

// memoryAckWait is after how long a worker that is not heard of is taken for dead.
const memoryAckWait = 10 * time.Second

type memoryQueue struct {
	ready     []Entry
	wake      chan struct{}
	consumers int
}

// NewMemory returns an empty engine.
func NewMemory() *Memory {
	return &Memory{records: make(map[string]*memoryRecord), queues: make(map[string]*memoryQueue)}
}

func (m *Memory) Put(ctx context.Context, key string, body []byte, expect uint64, ttl time.Duration) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.revision(key) != expect {
		return 0, ErrConflict
	}
	m.forget(key)
	m.seq++
	rev := m.seq
	m.records[key] = &memoryRecord{body: slices.Clone(body), rev: rev}
	if ttl > 0 {
		time.AfterFunc(ttl, func() { _ = m.Remove(context.Background(), key, rev) })
	}
	m.deliver(key)
	return rev, nil
}

func (m *Memory) revision(key string) uint64 {
	if r := m.records[key]; r != nil {
		return r.rev
	}
	return 0
}

// deliver makes the record at key ready for the queue that it belongs to.
func (m *Memory) deliver(key string) {
	prefix, _, _ := strings.Cut(key, ".")
	r, q := m.records[key], m.queues[prefix]
	if r == nil || q == nil || r.acked {
		return
	}
	q.ready = append(q.ready, Entry{key, r.body, r.rev})
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (m *Memory) Get(ctx context.Context, key string) (Entry, error) {
	if err := ctx.Err(); err != nil {
		return Entry{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[key]
	if r == nil {
		return Entry{}, ErrNotFound
	}
	return Entry{key, r.body, r.rev}, nil
}

func (m *Memory) List(ctx context.Context, prefix string, _ bool, yield func(Entry) bool) error {
	for _, e := range m.below(prefix) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !yield(e) {
			return nil
		}
	}
	return nil
}

func (m *Memory) below(prefix string) []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []Entry
	for key, r := range m.records {
		if key == prefix || strings.HasPrefix(key, prefix+".") {
			found = append(found, Entry{key, r.body, r.rev})
		}
	}
	slices.SortFunc(found, func(a, b Entry) int { return CompareKeys(a.Key, b.Key) })
	return found
}

func (m *Memory) Remove(_ context.Context, key string, expect uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if rev := m.revision(key); rev == 0 || rev != expect {
		return ErrConflict
	}
	m.forget(key)
	delete(m.records, key)
	return nil
}

// forget stops the delivery of the record at key.
func (m *Memory) forget(key string) {
	if r := m.records[key]; r != nil && r.again != nil {
		r.again.Stop()
	}
}

// after delivers the record at key after d, unless it is overwritten, acked or put off
// again by then.
func (m *Memory) after(key string, rev uint64, d time.Duration) {
	r := m.records[key]
	if r == nil || r.rev != rev || r.acked {
		return
	}
	m.forget(key)
	r.again = time.AfterFunc(max(d, 0), func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.records[key] == r {
			m.deliver(key)
		}
	})
}

func (m *Memory) Consume(_ context.Context, prefix string, handle func(Message)) (func(), error) {
	m.mu.Lock()
	q := m.queues[prefix]
	if q == nil {
		q = &memoryQueue{wake: make(chan struct{}, 1)}
		m.queues[prefix] = q
	}
	q.consumers++
	first := q.consumers == 1
	m.mu.Unlock()
	if first { // what a former consumer left is handed out again
		for _, e := range m.below(prefix) {
			m.mu.Lock()
			m.deliver(e.Key)
			m.mu.Unlock()
		}
	}

	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			m.mu.Lock()
			var next *Message
			if len(q.ready) > 0 {
				e := q.ready[0]
				q.ready = q.ready[1:]
				if m.revision(e.Key) == e.Rev {
					m.after(e.Key, e.Rev, memoryAckWait)
					r := m.records[e.Key]
					next = &Message{e, &memoryReceipt{m: m, key: e.Key, rev: e.Rev}, r.out}
					r.out = true
				}
			}
			more := len(q.ready) > 0
			m.mu.Unlock()
			select {
			case <-done:
				return
			default:
			}
			if next != nil {
				handle(*next)
			}
			if !more {
				select {
				case <-done:
					return
				case <-q.wake:
				}
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		m.mu.Lock()
		defer m.mu.Unlock()
		if q.consumers--; q.consumers == 0 {
			q.ready = nil
		} else if len(q.ready) > 0 {
			select {
			case q.wake <- struct{}{}:
			default:
			}
		}
	}, nil
}

type memoryReceipt struct {
	m   *Memory
	key string
	rev uint64
}

// Receipt returns what answers the message of a record, for tests that hand one out.
func (m *Memory) Receipt(key string, rev uint64) Receipt { return &memoryReceipt{m, key, rev} }

func (r *memoryReceipt) Ack() {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if rec := r.m.records[r.key]; rec != nil && rec.rev == r.rev {
		r.m.forget(r.key)
		rec.acked = true
	}
}

func (r *memoryReceipt) Later(d time.Duration) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	r.m.after(r.key, r.rev, d)
}

func (r *memoryReceipt) Working() { r.Later(memoryAckWait) }

func (m *Memory) Load(_ context.Context, prefix string) (waiting, used uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, r := range m.records {
		used += uint64(len(key) + len(r.body))
	}
	if q := m.queues[prefix]; q != nil {
		waiting = uint64(len(q.ready))
	}
	return waiting, used, nil
}

func (m *Memory) Exclusive() bool              { return !m.Shared }
func (m *Memory) Reopen(context.Context) error { return nil }
func (m *Memory) Close() error                 { return nil }
