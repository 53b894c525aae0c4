package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

const maxBatch = 512

// committer lets writes that arrive together share one sync to disk. A lone write goes
// out at once; those that arrive while the disk is busy go out together after it, as one
// atomic batch. If the server refuses a batch, its members are tried one by one, so
// that each gets its own answer.
//
// The server syncs a batch once, but writes it to files of its own first, whose making
// costs as much as several syncs. So it has to be measured which way is the faster one
// for a given number of writes.
type committer struct {
	e *natsEngine

	perSingle, perBatch time.Duration // what the last ones took, smoothed

	in   chan *pending
	done chan struct{}
	once sync.Once
	wg   sync.WaitGroup
}

type pending struct {
	ctx    context.Context
	m      *nats.Msg
	answer chan answer
}

type answer struct {
	seq uint64
	err error
}

func newCommitter(e *natsEngine) *committer {
	c := &committer{e: e, perSingle: 500 * time.Microsecond, perBatch: 4 * time.Millisecond, in: make(chan *pending, maxBatch), done: make(chan struct{})}
	c.wg.Go(c.run)
	return c
}

func (c *committer) Close() {
	c.once.Do(func() { close(c.done) })
	c.wg.Wait()
}

func (c *committer) publish(ctx context.Context, m *nats.Msg) (uint64, error) {
	p := &pending{ctx, m, make(chan answer, 1)}
	select {
	case c.in <- p:
	case <-c.done:
		return 0, nats.ErrConnectionClosed
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	select {
	case a := <-p.answer:
		return a.seq, a.err
	case <-c.done:
		return 0, nats.ErrConnectionClosed
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", ErrUnconfirmed, ctx.Err())
	}
}

func (c *committer) run() {
	var left []*pending
	for {
		round := left
		left = nil
		if len(round) == 0 {
			select {
			case p := <-c.in:
				round = append(round, p)
			case <-c.done:
				return
			}
		}
		seen := make(map[string]bool, len(round))
		for _, p := range round {
			seen[p.m.Subject] = true
		}
	fill:
		for len(round) < maxBatch {
			select {
			case p := <-c.in:
				if seen[p.m.Subject] { // a batch writes a record once
					left = append(left, p)
					break fill
				}
				seen[p.m.Subject] = true
				round = append(round, p)
			default:
				break fill
			}
		}
		c.commit(round)
	}
}

func (c *committer) commit(round []*pending) {
	n := time.Duration(len(round))
	start := time.Now()
	if n > 1 && n*c.perSingle > c.perBatch {
		if c.batch(round) {
			c.perBatch = smooth(c.perBatch, time.Since(start))
			return
		}
		start = time.Now()
	} else {
		c.perBatch -= c.perBatch / 256 // a slow one is forgotten in time, and tried again
	}
	if n == 1 {
		c.single(round[0])
	} else {
		var wg sync.WaitGroup
		for _, p := range round {
			wg.Go(func() { c.single(p) })
		}
		wg.Wait()
	}
	c.perSingle = smooth(c.perSingle, time.Since(start)/n)
}

func smooth(was, now time.Duration) time.Duration { return was + (now-was)/8 }

func (c *committer) single(p *pending) {
	ack, err := c.e.publish(p.ctx, p.m)
	p.answer <- answer{ack.Seq, err}
}

// batch publishes the round as one atomic batch, and reports whether the members have
// their answers.
func (c *committer) batch(round []*pending) bool {
	id := nuid.Next()
	last := len(round) - 1
	for i, p := range round {
		p.m.Header["Nats-Batch-Id"] = []string{id}
		p.m.Header["Nats-Batch-Sequence"] = []string{strconv.Itoa(i + 1)}
		if i == last {
			p.m.Header["Nats-Batch-Commit"] = []string{"1"}
		} else if err := c.e.nc.PublishMsg(p.m); err != nil {
			break // the commit will be refused
		}
	}
	ack, err := c.e.publish(context.Background(), round[last].m)
	if err == nil && ack.Count == len(round) {
		first := ack.Seq - uint64(last)
		for i, p := range round {
			p.answer <- answer{first + uint64(i), nil}
		}
		return true
	}
	if err == nil || errors.Is(err, ErrUnconfirmed) {
		for _, p := range round {
			p.answer <- answer{0, ErrUnconfirmed}
		}
		return true
	}
	for _, p := range round {
		delete(p.m.Header, "Nats-Batch-Id")
		delete(p.m.Header, "Nats-Batch-Sequence")
		delete(p.m.Header, "Nats-Batch-Commit")
	}
	return false
}
