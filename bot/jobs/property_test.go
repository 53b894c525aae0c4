package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"meetbot/bot/jobs/internal/engine"
)

// world is what a simulated run can be judged by: what the other side carried out, what
// people were told, and every record that was stored.
type world struct {
	mem     *engine.Memory
	storing sync.Mutex // so that records are judged in their order
	mu      sync.Mutex
	plan    []int // faults to come
	calls   int   // under way at once, of one process
	jobs    map[string]*truth
	faults  []string // what was found wrong
	trace   []string
}

// truth is what really happened to one job.
type truth struct {
	performed int       // times that the other side carried the call out
	open      bool      // a request left, and it is not known to have had no effect
	sent      time.Time // the last one
	told      []string  // what the person heard, in order
	last      Job       // as stored
}

const (
	simReconcileAfter = 15 * time.Second
	simCallTimeout    = 30 * time.Second
)

// choose returns the next fault of the plan: a number below n, and 0 when the plan is
// used up.
func (w *world) choose(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.plan) == 0 {
		return 0
	}
	c := w.plan[0]
	w.plan = w.plan[1:]
	if c >= n {
		return 0
	}
	return c
}

func (w *world) wrong(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (w *world) job(id string) *truth {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.jobs[id] == nil {
		w.jobs[id] = &truth{}
	}
	return w.jobs[id]
}

// lastOf returns the job as it is stored.
func (w *world) lastOf(tr *truth) Job {
	w.storing.Lock()
	defer w.storing.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	return tr.last
}

// legal says which state may follow which.
var legal = map[State][]State{
	"":            {Accepted},
	Accepted:      {Accepted, Calling, Delivering, Done, Undeliverable},
	Calling:       {Calling, Called, Refused, Unknown},
	Called:        {Called, Calling, Delivering, Done, Undeliverable},
	Refused:       {Refused, Delivering, Done, Undeliverable},
	Unknown:       {Unknown, Delivering, Done, Undeliverable, Called}, // late
	Delivering:    {Delivering, Done, Undeliverable, Called},
	Done:          {Called},
	Undeliverable: {Called},
}

// stored checks every record against the one before it.
func (w *world) stored(p *process, e engine.Entry) {
	j, _, err := p.store.seal.decodeJob(e)
	if err != nil {
		w.wrong("%v", err)
		return
	}
	tr := w.job(j.ID)
	w.mu.Lock()
	was := tr.last
	tr.last = j
	w.mu.Unlock()
	w.note("%s stored %s %s phase %d attempt %d delivery %d (revision %d)", p.name, j.ID, j.State, j.phase, j.Attempt, j.Delivery, e.Rev)
	if !slices.Contains(legal[was.State], j.State) {
		w.wrong("%s: %s followed %s", j.ID, j.State, was.State)
	}
	if !was.Created.IsZero() && !was.Created.Equal(j.Created) {
		w.wrong("%s: Created changed", j.ID)
	}
	if j.State == Calling && j.phase == phaseRunning && !j.began.Equal(was.began) && j.Owner != p.store.owner {
		w.wrong("%s: calling was saved by another than its owner", j.ID)
	}
}

// process is one life of the bot: a store on a faulty way to the engine.
type process struct {
	w     *world
	name  string
	store *Store
	skew  time.Duration

	mu    sync.Mutex
	dead  bool
	stops []func()
	end   context.CancelFunc
	ended chan struct{}
}

// crash ends the process at this instant: nothing that it does has an effect any more.
func (p *process) crash() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return
	}
	p.dead = true
	p.w.note("%s crashed", p.name)
	for _, stop := range p.stops {
		go stop()
	}
	p.end()
}

func (p *process) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

var errDead = errors.New("this process is dead")

// faultyEngine is memory as a process in trouble sees it.
type faultyEngine struct {
	*engine.Memory
	p *process
}

func (f *faultyEngine) Put(ctx context.Context, key string, body []byte, expect uint64, ttl time.Duration, held bool) (uint64, error) {
	w := f.p.w
	fault := 0
	if strings.HasPrefix(key, kindJob) {
		fault = w.choose(6)
	}
	switch fault {
	case 1: // never arrives
		w.note("%s: a write of %s got lost", f.p.name, key)
		time.Sleep(600 * time.Millisecond)
		return 0, engine.ErrUnconfirmed
	case 2:
		f.p.crash()
	case 3:
		time.Sleep(300 * time.Millisecond)
	}
	f.p.mu.Lock()
	if f.p.dead {
		f.p.mu.Unlock()
		<-ctx.Done()
		return 0, errDead
	}
	w.storing.Lock()
	rev, err := f.Memory.Put(ctx, key, body, expect, ttl, held)
	if err == nil && strings.HasPrefix(key, kindJob) {
		w.stored(f.p, engine.Entry{Key: key, Body: body, Rev: rev})
	}
	w.storing.Unlock()
	f.p.mu.Unlock()
	switch fault {
	case 4: // is stored, but the answer is lost
		w.note("%s: the answer for %s got lost", f.p.name, key)
		time.Sleep(600 * time.Millisecond)
		return 0, engine.ErrUnconfirmed
	case 5: // dies with the answer on the way
		f.p.crash()
		return 0, errDead
	}
	return rev, err
}

func (f *faultyEngine) Get(ctx context.Context, key string) (engine.Entry, error) {
	if f.p.isDead() {
		return engine.Entry{}, errDead
	}
	if strings.HasPrefix(key, kindJob) && f.p.w.choose(20) == 1 {
		return engine.Entry{}, engine.ErrUnconfirmed
	}
	return f.Memory.Get(ctx, key)
}

func (f *faultyEngine) Consume(ctx context.Context, prefix string, handle func(engine.Message)) (func(), error) {
	stop, err := f.Memory.Consume(ctx, prefix, func(m engine.Message) {
		m.Receipt = &mortal{m.Receipt, f.p}
		fault := f.p.w.choose(8)
		if fault == 2 { // handed out late, when the record may be another one
			time.Sleep(time.Duration(f.p.w.choose(10)) * 100 * time.Millisecond)
			m.Doubtful = m.Doubtful || f.Shared
		}
		if f.p.isDead() {
			return
		}
		handle(m)
		if fault == 1 { // handed out twice
			m.Doubtful = true
			time.AfterFunc(time.Duration(f.p.w.choose(10))*100*time.Millisecond, func() {
				if !f.p.isDead() {
					handle(m)
				}
			})
		}
	})
	var stopping atomic.Bool
	stopped := make(chan struct{})
	once := func() { // no sync.Once: a bubble's time stands still while somebody waits for a mutex
		if !stopping.Swap(true) {
			stop()
			close(stopped)
		}
		<-stopped
	}
	f.p.mu.Lock()
	f.p.stops = append(f.p.stops, once)
	f.p.mu.Unlock()
	return once, err
}

// mortal is the receipt of a process that may die.
type mortal struct {
	engine.Receipt
	p *process
}

func (r *mortal) Ack() {
	if !r.p.isDead() {
		r.Receipt.Ack()
	}
}

func (r *mortal) Later(d time.Duration) {
	if !r.p.isDead() {
		r.Receipt.Later(d)
	}
}

func (r *mortal) Working() {
	if !r.p.isDead() {
		r.Receipt.Working()
	}
}

func (w *world) start(t *testing.T, name string, skew time.Duration) *process {
	p := &process{w: w, name: name, skew: skew, ended: make(chan struct{})}
	e := &faultyEngine{w.mem, p}
	cfg := withDefaults(Config{
		Keys: [][]byte{make([]byte, KeySize)}, CallTimeout: simCallTimeout, ReconcileAfter: simReconcileAfter, Grace: time.Second,
		Calls: w.calls, Now: func() time.Time { return time.Now().Add(skew) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	p.end = cancel
	s, err := newStore(ctx, cfg, e)
	if err != nil {
		w.wrong("open: %v", err)
		cancel()
		close(p.ended)
		return p
	}
	p.store = s
	go func() {
		defer close(p.ended)
		if err := s.Run(ctx, p); err != nil {
			w.wrong("Run: %v", err)
		}
		_ = s.Close()
	}()
	return p
}

// The process is its own handler.

func (p *process) Next(_ context.Context, j *Job) (Next, error) {
	if p.w.choose(10) == 1 {
		return Next{}, errBroken
	}
	return oneCall(j), nil
}

func (p *process) Call(ctx context.Context, j *Job) error {
	w := p.w
	tr := w.job(j.ID)
	if p.isDead() {
		return errDead
	}
	fault := w.choose(10)
	if fault == 1 {
		return ErrNotSent
	}
	last := w.lastOf(tr)
	w.mu.Lock()
	open := tr.open
	tr.open, tr.sent = true, time.Now()
	w.mu.Unlock()
	if last.State != Calling || last.Owner != p.store.owner {
		w.wrong("%s: %s calls, but the record is %s of %s", j.ID, p.name, last.State, last.Owner)
	}
	if open {
		w.wrong("%s: %s calls again although a former request may have had an effect", j.ID, p.name)
	}
	set := func(f func()) { w.mu.Lock(); defer w.mu.Unlock(); f() }
	if fault == 9 { // what is sent late lands late
		time.Sleep(20 * time.Second)
		if p.isDead() {
			return errDead
		}
		set(func() { tr.sent = time.Now() })
		fault = 5
	}
	w.note("%s calls %s, fault %d", p.name, j.ID, fault)
	land := func() { set(func() { tr.performed++ }); w.note("%s landed", j.ID) }
	switch fault {
	case 2: // refused
		set(func() { tr.open = false })
		return errBroken
	case 3: // carried out, but the answer is lost
		land()
		return ErrUnknown
	case 4: // lost on the way
		return ErrUnknown
	case 5: // dies with the request on the way, which lands later
		time.AfterFunc(simReconcileAfter-time.Second, land)
		p.crash()
		return errDead
	case 6: // dies, and the request does not arrive
		p.crash()
		return errDead
	case 7: // takes very long, does not heed its context, and succeeds after all
		land()
		time.Sleep(simCallTimeout + 2*time.Minute)
	case 8: // carried out at the last moment
		<-ctx.Done()
		land()
		return ctx.Err()
	default:
		land()
	}
	if p.isDead() {
		return errDead
	}
	return nil
}

func (p *process) Reconcile(_ context.Context, j *Job) error {
	w := p.w
	tr := w.job(j.ID)
	w.mu.Lock()
	open, sent, performed := tr.open, tr.sent, tr.performed
	w.mu.Unlock()
	if since := time.Since(sent); open && since < simReconcileAfter-time.Millisecond {
		w.wrong("%s was looked up %v after it was sent", j.ID, since)
	}
	w.note("%s looks %s up: %d", p.name, j.ID, performed)
	switch w.choose(5) {
	case 1:
		return errBroken
	case 2:
		return ErrUnknown
	}
	if performed > 0 {
		return nil
	}
	if w.choose(2) == 1 {
		return ErrUnknown
	}
	w.mu.Lock()
	tr.open = false
	w.mu.Unlock()
	return ErrAbsent
}

func (p *process) Late(_ context.Context, j, _ *Job) bool {
	return j.Outcome == string(Unknown)
}

func (p *process) Deliver(_ context.Context, j *Job) error {
	tr := p.w.job(j.ID)
	last := p.w.lastOf(tr)
	// What is said first, also after a success that comes late, is decided in the same step, from
	// the record as it is.
	first := slices.Contains([]State{Accepted, Called, Refused, Unknown}, last.State) && last.Revision == j.Revision
	if !p.isDead() && (!first && last.State != Delivering || last.Delivery != j.Delivery) {
		p.w.wrong("%s: %s delivers %d, but the record is %s %d", j.ID, p.name, j.Delivery, last.State, last.Delivery)
	}
	fault := p.w.choose(6)
	if fault == 1 {
		return errBroken
	}
	p.mu.Lock()
	dead := p.dead
	if !dead {
		tr.told = append(tr.told, string(j.Outbox[j.Delivery].Body))
	}
	p.mu.Unlock()
	if dead || fault == 2 {
		p.crash()
		return errDead
	}
	return nil
}

func (p *process) Ended(context.Context, *Job)        {}
func (p *process) Notice(context.Context, *Job)       {}
func (p *process) Timer(context.Context, Timer) error { return nil }

func TestPromiseHoldsWhateverHappens(t *testing.T) {
	t.Run("OneProcess", func(t *testing.T) { simulate(t, false) })
	t.Run("TwoProcessesAMinuteApart", func(t *testing.T) { simulate(t, true) })
}

func simulate(t *testing.T, two bool) {
	rapid.Check(t, func(rt *rapid.T) {
		plan := rapid.SliceOfN(rapid.IntRange(0, 9), 0, 60).Draw(rt, "faults")
		count := rapid.IntRange(1, 3).Draw(rt, "jobs")
		calls := rapid.IntRange(1, 3).Draw(rt, "calls")
		w := &world{mem: engine.NewMemory(kindJob, kindTimer), plan: plan, calls: calls, jobs: make(map[string]*truth)}
		w.mem.Shared = two
		synctest.Test(t, func(t *testing.T) { w.run(t, two, count) })
		if len(w.faults) > 0 {
			rt.Fatalf("%s\n\n%s", strings.Join(w.faults, "\n"), strings.Join(w.trace, "\n"))
		}
	})
}

func (w *world) run(t *testing.T, two bool, count int) {
	n := 1
	if two {
		n = 2
	}
	skews := []time.Duration{0, time.Minute}
	running := make([]*process, n)
	lives := 0
	var all []*process
	revive := func() {
		for i := range running {
			if running[i] == nil || running[i].isDead() {
				lives++
				running[i] = w.start(t, fmt.Sprintf("p%d", lives), skews[i])
				all = append(all, running[i])
			}
		}
	}
	revive()

	for i := range count {
		id := fmt.Sprintf("job%d", i)
		w.job(id)
		for acked := false; !acked; {
			revive()
			p := running[i%n]
			_, err := p.store.Enqueue(context.Background(), Job{ID: id, Label: "test"})
			switch {
			case err == nil, errors.Is(err, ErrDuplicate):
				acked = true
			case errors.Is(err, ErrNotConfirmed):
				time.Sleep(time.Second) // the person tries again
			case p.isDead():
			default:
				w.wrong("enqueue: %v", err)
				return
			}
		}
	}
	over := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, tr := range w.jobs {
			if !tr.last.State.Finished() {
				return false
			}
		}
		return true
	}
	// Long enough for a success that comes late to be adopted.
	settled := 0
	for range 3000 {
		revive()
		time.Sleep(time.Second)
		if over() {
			settled++
		} else {
			settled = 0
		}
		if settled > 400 {
			break
		}
	}
	for id, tr := range w.jobs {
		w.judge(id, tr)
	}
	for _, p := range all {
		p.end()
	}
	for _, p := range all {
		<-p.ended
	}
	time.Sleep(time.Hour) // what still sleeps ends
}

// judge checks what the person was told against what happened.
func (w *world) judge(id string, tr *truth) {
	if !tr.last.State.Finished() {
		w.wrong("%s: not finished but %s", id, tr.last.State)
		return
	}
	if len(tr.told) == 0 {
		w.wrong("%s: nobody was told", id)
		return
	}
	if tr.performed > 1 {
		w.wrong("%s: carried out %d times", id, tr.performed)
	}
	switch told := tr.told[len(tr.told)-1]; {
	case told == string(Called) && tr.performed != 1:
		w.wrong("%s: told that it was done, but it was not", id)
	case told == string(Refused) && tr.performed != 0:
		w.wrong("%s: told that it was not done, but it was", id)
	}
}
