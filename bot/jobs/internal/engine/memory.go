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
	records map[string]Entry
	queue   *queue
}

// NewMemory returns an empty engine with queues of the given kinds.
func NewMemory(kinds ...string) *Memory {
	m := &Memory{records: make(map[string]Entry)}
	m.queue = newQueue(kinds, m.Get)
	return m
}

func (m *Memory) Put(ctx context.Context, key string, body []byte, expect uint64, ttl time.Duration, held bool) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	if m.records[key].Rev != expect {
		m.mu.Unlock()
		return 0, ErrConflict
	}
	m.seq++
	rev := m.seq
	m.records[key] = Entry{key, slices.Clone(body), rev}
	m.mu.Unlock()
	if ttl > 0 {
		time.AfterFunc(ttl, func() { _ = m.Remove(context.Background(), key, rev) })
		m.queue.drop(key, rev)
	} else {
		m.queue.add(key, rev, body, held && !m.Shared)
	}
	return rev, nil
}

func (m *Memory) Get(ctx context.Context, key string) (Entry, error) {
	if err := ctx.Err(); err != nil {
		return Entry{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.records[key]
	if !ok {
		return Entry{}, ErrNotFound
	}
	return e, nil
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

func (m *Memory) Queued(ctx context.Context, kind string, sorted bool, yield func(Entry) bool) error {
	return m.List(ctx, kind, sorted, yield)
}

func (m *Memory) below(prefix string) []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []Entry
	for key, e := range m.records {
		if key == prefix || strings.HasPrefix(key, prefix+".") {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b Entry) int { return CompareKeys(a.Key, b.Key) })
	return found
}

func (m *Memory) Remove(_ context.Context, key string, expect uint64) error {
	m.mu.Lock()
	if rev := m.records[key].Rev; rev == 0 || rev != expect {
		m.mu.Unlock()
		return ErrConflict
	}
	delete(m.records, key)
	m.mu.Unlock()
	m.queue.drop(key, expect)
	return nil
}

func (m *Memory) Consume(_ context.Context, kind string, handle func(Message)) (func(), error) {
	return m.queue.consume(kind, func(out Message) {
		out.Doubtful = out.Doubtful || m.Shared // as on a cluster
		handle(out)
	}), nil
}

// Receipt returns what answers the message of a record, for tests that hand one out.
func (m *Memory) Receipt(key string) Receipt { return m.queue.receipt(key) }

func (m *Memory) Load(_ context.Context, kind string) (waiting, used uint64, err error) {
	m.mu.Lock()
	for key, e := range m.records {
		used += uint64(len(key) + len(e.Body))
	}
	m.mu.Unlock()
	return m.queue.waiting(kind), used, nil
}

func (m *Memory) Erase(context.Context) error { return nil }
func (m *Memory) Failed() <-chan struct{}     { return nil }
func (m *Memory) Why() error                  { return nil }
func (m *Memory) Exclusive() bool             { return !m.Shared }
func (m *Memory) Close() error                { return nil }
