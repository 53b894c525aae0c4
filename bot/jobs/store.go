package jobs

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"meetbot/bot/jobs/internal/engine"
)

// Config is what a [Store] needs. The zero value of every field but Dir and NATSURL is
// its default.
type Config struct {
	Dir       string // of the embedded engine; used when NATSURL is empty
	ReadOnly  bool   // nothing in Dir is changed, and every write fails
	NATSURL   string // of a cluster; comma-separated
	NATSCreds string // path of a credentials file, or of an nkey's seed
	Name      string // of the stream, and the first token of its subjects; default "meetbot"
	Replicas  int    // on a cluster; default 3

	// Keys encrypt, newest first: the first one seals, all of them open. With none, the
	// embedded engine makes one at its first start, in the file "key" in Dir.
	Keys [][]byte

	Retention time.Duration // of finished jobs; default 168 h
	MaxBytes  uint64        // of all records; default 1 GiB. New jobs are refused at 90 % of it
	// EraseAfter is after how long what was overwritten or removed is in none of Dir's
	// files any more. Default 24 h; at least 1 min.
	EraseAfter time.Duration
	MinFree    uint64 // bytes free on Dir's disk below which new jobs are refused; default 64 MiB

	Workers         int           // steps carried out at once, besides calls; default 256
	Calls           int           // calls under way at once to one side; default 256
	MaxWaiting      int           // jobs waiting for a worker or for their turn to call above which new ones are refused; default 20,000
	EnqueueWindow   time.Duration // in which a job must be confirmed as durable; default 2.4 s
	StepTimeout     time.Duration // of one Next, Reconcile, Deliver, Notice or Timer; default 30 s
	CallTimeout     time.Duration // of one Call; default 30 s
	ReconcileAfter  time.Duration // how long the other side may still act on a request whose sender is gone; default 15 s
	ClockSkew       time.Duration // how far the clocks of two processes may be apart where that is not known; default 1 min
	CallWindow      time.Duration // after Created in which a call that sends nothing is tried; default 2 min
	ReconcileWindow time.Duration // for which a failing Reconcile is tried; default 5 min
	DeliveryWindow  time.Duration // for which a delivery is tried; default 1 h. Neither counts while no process runs
	NoticeAfter     time.Duration // default 10 s
	Grace           time.Duration // what running steps get when Run ends; default 25 s

	Log *slog.Logger
	// Now is what instants are made of and compared with. Nil: a clock of the store's own, which
	// goes on evenly when the machine's is set, and is the same for all replicas on a cluster.
	Now      func() time.Time
	Observer Observer
	// Tracer makes a trace of each job; nil: there are none. Its root spans have to get their
	// IDs from [RootIDs].
	Tracer trace.Tracer

	clock   *clock           // nil: Now is another
	machine func() time.Time // in tests: a clock that can be set
	// scarce returns what the process is almost out of; nil: [scarce]. [OpenMemory] does not check: a
	// test that plays weeks would spend most of its time on it.
	scarce func() error
}

// Format implements [fmt.Formatter], so that neither a key nor a password in NATSURL is
// printed under any verb.
func (c Config) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "{Name:%s Dir:%s}", c.Name, c.Dir)
}

// LogValue implements [slog.LogValuer].
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// Observer is told what happens, for metrics. Every function may be nil, and none may
// wait. Labels are [Job.Label].
type Observer struct {
	Enqueued   func(took time.Duration, err error)
	Duplicate  func(label string)
	Transition func(label string, from, to State)
	Started    func(label string, waited time.Duration) // since Created, at the step by which it left Accepted
	Answered   func(label string, since time.Time)      // the first call has an answer, also one that was looked up; since Created
	Replayed   func(label string, in State)             // a call is looked up whose maker did not see it end
	Lost       func(label string)                       // a delivery that reached nobody
	Late       func(label string)                       // a late success was adopted
	Timer      func(late time.Duration)
	Unreadable func(kind string) // a record was found to be unreadable; kind is job, doc or timer
	Damaged    func()            // a file of the store was found to be damaged
	Replicas   func(n int)       // of a cluster: how many replicas of the store are up to date; each second
	Reopened   func(err error)   // the embedded engine's disk failed, and it was tried to open it again
}

func withDefaults(cfg Config) Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&cfg.Retention, 168*time.Hour)
	def(&cfg.EraseAfter, 24*time.Hour)
	def(&cfg.EnqueueWindow, 2400*time.Millisecond)
	def(&cfg.StepTimeout, 30*time.Second)
	def(&cfg.CallTimeout, 30*time.Second)
	def(&cfg.ClockSkew, time.Minute)
	def(&cfg.CallWindow, 2*time.Minute)
	def(&cfg.ReconcileAfter, 15*time.Second)
	def(&cfg.ReconcileWindow, 5*time.Minute)
	def(&cfg.DeliveryWindow, time.Hour)
	def(&cfg.NoticeAfter, 10*time.Second)
	def(&cfg.Grace, 25*time.Second)
	if cfg.scarce == nil {
		cfg.scarce = scarce
	}
	if cfg.Name == "" {
		cfg.Name = "meetbot"
	}
	if cfg.Replicas == 0 {
		cfg.Replicas = 3
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 1 << 30
	}
	if cfg.MinFree == 0 {
		cfg.MinFree = 64 << 20
	}
	if cfg.Workers == 0 {
		cfg.Workers = 256 // many wait: a platform takes one message a second for a channel
	}
	if cfg.Calls == 0 {
		cfg.Calls = 256
	}
	if cfg.MaxWaiting == 0 {
		cfg.MaxWaiting = 20_000
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		if cfg.machine == nil {
			cfg.machine = time.Now
		}
		cfg.clock = newClock(cfg.machine)
		cfg.Now = cfg.clock.Now
	}
	return cfg
}

// maxRecord is the most that a record may take, in bytes. A NATS server takes 1 MiB.
const maxRecord = 768 << 10

// Store keeps jobs, documents and timers. Its methods may be used side by side.
type Store struct {
	cfg      Config
	log      *slog.Logger
	engine   engine.Engine
	seal     *sealer
	owner    string // this process, in this life
	opened   time.Time
	subkey   atomic.Pointer[[]byte] // of fingerprints
	rotating bool                   // records may be sealed with an older key

	aside    atomic.Int64 // jobs that wait for a call of another one to end
	stopping atomic.Bool
	health   health

	seen       seen
	mu         sync.Mutex
	unreadable map[string]uint64 // records that were told of, and their revision
	begun      map[string]uint64 // jobs whose call was begun here, and the revision that it was begun at
	promised   promises
	replicas   replicas
	clockRev   uint64                 // of the record that keeps the clock
	clockTold  bool                   // that the machine's clock was set
	running    atomic.Pointer[runner] // the one that there is now

	closing    context.CancelFunc // ends what runs in the background
	background sync.WaitGroup
	once       sync.Once
	err        error
}

// OpenMemory opens a store that is gone with the process, for tests.
func OpenMemory(cfg Config) (*Store, error) {
	if len(cfg.Keys) == 0 {
		cfg.Keys = [][]byte{make([]byte, KeySize)}
	}
	if cfg.scarce == nil {
		cfg.scarce = func() error { return nil }
	}
	return newStore(context.Background(), withDefaults(cfg), engine.NewMemory(kindJob, kindTimer))
}

// newStore takes over the engine, and closes it if it fails.
func newStore(ctx context.Context, cfg Config, e engine.Engine) (*Store, error) {
	seal, err := newSealer(cfg.Keys)
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	cfg.Keys = nil // nothing that is printed may hold them
	s := &Store{
		cfg: cfg, log: cfg.Log, engine: e, seal: seal,
		owner: rand.Text(), begun: make(map[string]uint64), unreadable: make(map[string]uint64),
	}
	if err := s.openMeta(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if err := s.takeClock(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if !e.Exclusive() {
		s.look(ctx) // else the first instants are of this machine's clock
	}
	s.opened = cfg.Now()
	background, cancel := context.WithCancel(context.Background())
	s.closing = cancel
	s.health.since = cfg.Now()
	s.background.Go(func() { s.watch(background) })
	if s.rotating {
		s.background.Go(func() { s.rotate(background) })
	}
	return s, nil
}

// Close releases the store. Run must have returned.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.stopping.Store(true)
		s.closing()
		s.background.Wait()
		s.err = s.engine.Close()
	})
	return s.err
}

// Fingerprint returns a short text that is the same for the same b in this store, also
// after the encryption keys changed, and that says nothing about b to anybody who does not
// hold them.
func (s *Store) Fingerprint(b []byte) string {
	m := hmac.New(sha256.New, *s.subkey.Load())
	m.Write(b)
	return hex.EncodeToString(m.Sum(nil)[:6])
}

func newNonce() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

// Enqueue stores a new job. When it returns nil the job is on disk and will be carried
// out. The zero State is [Accepted], and a zero Created is now.
//
// With [ErrDuplicate] comes the job that is already there under this ID.
// [ErrNotConfirmed] says that the job may or may not be stored: trying again with the
// same ID is safe. With [ErrFull], [ErrBusy] and [ErrStopping] it is certainly not stored.
func (s *Store) Enqueue(ctx context.Context, j Job) (Job, error) {
	return s.observed(ctx, j, s.enqueue)
}

// Refuse is Enqueue for a job that cannot be taken because of err, of which metrics and traces
// are to know. It returns err, or why the store takes no job at all.
func (s *Store) Refuse(ctx context.Context, j Job, err error) error {
	_, err = s.observed(ctx, j, func(context.Context, Job) (Job, error) {
		if no := s.admit(); no != nil {
			return Job{}, no
		}
		return Job{}, err
	})
	return err
}

func (s *Store) observed(ctx context.Context, j Job, take func(context.Context, Job) (Job, error)) (Job, error) {
	start := time.Now()
	stored, err := s.receive(ctx, j, take)
	if f := s.cfg.Observer.Enqueued; f != nil {
		f(time.Since(start), err)
	}
	if errors.Is(err, ErrDuplicate) {
		if f := s.cfg.Observer.Duplicate; f != nil {
			f(j.Label)
		}
	}
	return stored, err
}

func (s *Store) enqueue(ctx context.Context, j Job) (Job, error) {
	key, err := jobKey(j.ID)
	if err != nil {
		return Job{}, err
	}
	if err := s.admit(); err != nil {
		return Job{}, err
	}
	now := s.cfg.Now()
	if j.State == "" {
		j.State = Accepted
	}
	if j.Created.IsZero() {
		j.Created = now
	}
	j.Updated = now
	ctx, cancel := context.WithTimeout(ctx, s.cfg.EnqueueWindow)
	defer cancel()
	for {
		err := s.write(ctx, key, &j, 0, false)
		if err == nil {
			s.health.enqueued(len(j.Data))
			s.promise(key, &j)
			return j, nil
		}
		if !errors.Is(err, ErrConflict) {
			return Job{}, err
		}
		there, err := s.Get(ctx, j.ID)
		if err == nil {
			return there, ErrDuplicate
		}
		// A cluster refuses a second write while the first is not yet to be read.
		if !errors.Is(err, ErrNotFound) || !pause(ctx) {
			return Job{}, fmt.Errorf("%w: %w", ErrNotConfirmed, err)
		}
	}
}

// pause waits a moment before something is tried again, and reports false when ctx is done.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(25 * time.Millisecond):
		return true
	}
}

// write stores j at the revision that it gets; held as for [engine.Engine]. After a lost answer it tries again until
// ctx is done, and knows its own write when it finds it. It returns [ErrConflict],
// [ErrFull] or [ErrNotConfirmed].
func (s *Store) write(ctx context.Context, key string, j *Job, expect uint64, held bool) error {
	j.nonce = newNonce()
	if expect == 0 {
		j.marks = marks{origin: j.nonce}
	}
	body, err := s.seal.encodeJob(key, j, expect)
	if err != nil {
		return err
	}
	var ttl time.Duration
	if j.State.Finished() {
		ttl = s.cfg.Retention
	}
	rev, err := s.put(ctx, key, body, expect, ttl, held, func(e engine.Entry) bool {
		there, err := s.decodeJob(e)
		return err == nil && (there.nonce == j.nonce || there.origin == j.nonce)
	})
	if err == nil {
		j.Revision = rev
	}
	return err
}

// put is engine.put until ctx is done. mine knows an own write again.
func (s *Store) put(ctx context.Context, key string, body []byte, expect uint64, ttl time.Duration, held bool, mine func(engine.Entry) bool) (uint64, error) {
	if len(body) > maxRecord {
		return 0, fmt.Errorf("record %s has %d bytes, more than %d", key, len(body), maxRecord)
	}
	unsure := false
	for {
		rev, err := s.engine.Put(ctx, key, body, expect, ttl, held)
		s.health.wrote(err)
		switch {
		case err == nil:
			return rev, nil
		case errors.Is(err, ErrConflict):
			if !unsure {
				return 0, ErrConflict
			}
			e, err := s.engine.Get(ctx, key)
			switch {
			case err == nil && mine(e):
				return e.Rev, nil
			case err == nil && e.Rev == expect, errors.Is(err, ErrNotFound) && expect == 0:
				// What it collided with, perhaps itself, is not yet to be read.
			case err == nil, errors.Is(err, ErrNotFound):
				return 0, ErrConflict
			}
		case errors.Is(err, ErrFull) && !unsure:
			return 0, err
		default:
			unsure = true
		}
		if !pause(ctx) {
			return 0, fmt.Errorf("%w: %w", ErrNotConfirmed, err)
		}
	}
}

// Get returns the job with the given ID, or [ErrNotFound].
func (s *Store) Get(ctx context.Context, id string) (Job, error) {
	key, err := jobKey(id)
	if err != nil {
		return Job{}, err
	}
	e, err := s.engine.Get(ctx, key)
	if err != nil {
		return Job{}, err
	}
	return s.decodeJob(e)
}

// Update changes a job. The change is saved only if nobody else changed the job
// meanwhile; else it is made again on the newer record. The save is the job's next
// delivery: the runner goes on with it at once, unless change sets Wait.
//
// While a call is being made it returns [ErrConflict]. An error of change's is returned
// as it is, and nothing is saved.
func (s *Store) Update(ctx context.Context, id string, change func(*Job) error) (Job, error) {
	key, err := jobKey(id)
	if err != nil {
		return Job{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.EnqueueWindow)
	defer cancel()
	for {
		j, err := s.Get(ctx, id)
		if err != nil {
			return Job{}, err
		}
		now := s.cfg.Now()
		if s.atWork(&j, now) {
			return j, fmt.Errorf("a call is being made: %w", ErrConflict)
		}
		from := j.State
		j.Wait, j.Attempt = time.Time{}, 0
		if err := change(&j); err != nil {
			return j, err
		}
		j.ID, j.Updated = id, now
		err = s.write(ctx, key, &j, j.Revision, false)
		switch {
		case err == nil:
			s.observe(&j, from)
			return j, nil
		case !errors.Is(err, ErrConflict):
			return Job{}, err
		}
	}
}

// atWork says that a process is making j's call, as far as can be known.
func (s *Store) atWork(j *Job, now time.Time) bool {
	return j.State == Calling && j.phase == phaseRunning && now.Before(s.settled(j))
}

// settled returns when a call that was begun can no longer be under way, nor its request
// take effect on the other side: the lease covers both.
func (s *Store) settled(j *Job) time.Time {
	switch {
	case j.Owner == s.owner:
		return j.Lease
	case s.engine.Exclusive(): // its maker died before this process had the store
		return earlier(j.Lease, s.opened.Add(s.cfg.ReconcileAfter))
	}
	at := j.Lease.Add(s.skew())
	if since, gone := s.silentSince(j.Owner); gone {
		if began := j.began.Add(s.skew()); began.After(since) { // it ran then, whatever was heard
			since = began
		}
		at = earlier(at, since.Add(callsFor+s.cfg.ReconcileAfter))
	}
	return at
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (s *Store) observe(j *Job, from State) {
	if f := s.cfg.Observer.Transition; f != nil && from != j.State {
		f(j.Label, from, j.State)
	}
}

// List returns the jobs, in no order. With unfinished it leaves out those that are over.
// A record that cannot be read is an error that matches [ErrUnreadable], and the listing
// goes on after it.
func (s *Store) List(ctx context.Context, unfinished bool) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		list := s.engine.List
		if unfinished {
			list = s.engine.Queued
		}
		err := list(ctx, kindJob, false, func(e engine.Entry) bool {
			j, err := s.decodeJob(e)
			if err == nil && unfinished && j.State.Finished() {
				return true
			}
			return yield(j, err)
		})
		if err != nil {
			yield(Job{}, err)
		}
	}
}

// Doc returns a document, or [ErrNotFound].
func (s *Store) Doc(ctx context.Context, key ...string) (Doc, error) {
	k, err := docKey(key)
	if err != nil {
		return Doc{}, err
	}
	e, err := s.engine.Get(ctx, k)
	if err != nil {
		return Doc{}, err
	}
	d, err := s.decodeDoc(e)
	if err == nil && s.expired(d) {
		return Doc{}, ErrNotFound
	}
	return d, err
}

func (s *Store) expired(d Doc) bool {
	return !d.Expires.IsZero() && !s.cfg.Now().Before(d.Expires)
}

// PutDoc stores d if the stored document's revision is d.Revision (0: there is none), and
// returns the new one. It returns [ErrConflict] if somebody else changed it,
// [ErrNotConfirmed] if it may or may not be stored, and [ErrFull].
func (s *Store) PutDoc(ctx context.Context, d Doc) (uint64, error) {
	key, err := docKey(d.Key)
	if err != nil {
		return 0, err
	}
	var ttl time.Duration
	if !d.Expires.IsZero() {
		ttl = max(d.Expires.Sub(s.cfg.Now()), time.Second)
	}
	nonce := newNonce()
	put := func(expect uint64) (uint64, error) {
		body, err := s.seal.encodeDoc(key, d, nonce, expect)
		if err != nil {
			return 0, err
		}
		return s.put(ctx, key, body, expect, ttl, false, func(e engine.Entry) bool { return s.seal.nonceOf(e) == nonce })
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.EnqueueWindow)
	defer cancel()
	rev, err := put(d.Revision)
	for d.Revision == 0 && errors.Is(err, ErrConflict) && ctx.Err() == nil {
		// An expired document is as good as none, also before the engine removes it.
		expect := uint64(0)
		switch old, getErr := s.engine.Get(ctx, key); {
		case errors.Is(getErr, ErrNotFound):
		case getErr != nil:
			return 0, fmt.Errorf("%w: %w", ErrNotConfirmed, getErr)
		default:
			if there, openErr := s.decodeDoc(old); openErr != nil || !s.expired(there) {
				return 0, ErrConflict
			}
			expect = old.Rev
		}
		rev, err = put(expect)
	}
	return rev, err
}

// DeleteDoc removes a document if its revision is still rev, and returns [ErrConflict] if
// not or if it is gone.
func (s *Store) DeleteDoc(ctx context.Context, rev uint64, key ...string) error {
	k, err := docKey(key)
	if err != nil {
		return err
	}
	return s.engine.Remove(ctx, k, rev)
}

// Docs returns the documents whose keys begin with the given segments, in the order of
// their keys, at most limit of them if limit is above zero. One that cannot be read is
// left out, and told of in the log. On a cluster it may miss what
// another process wrote within the last moments, never what this one did.
func (s *Store) Docs(ctx context.Context, limit int, prefix ...string) ([]Doc, error) {
	k := kindDoc
	if len(prefix) > 0 {
		var err error
		if k, err = docKey(prefix); err != nil {
			return nil, err
		}
	}
	var docs []Doc
	err := s.engine.List(ctx, k, true, func(e engine.Entry) bool {
		if d, err := s.decodeDoc(e); err == nil && !s.expired(d) {
			docs = append(docs, d)
		}
		return limit <= 0 || len(docs) < limit
	})
	return docs, err
}

// SetTimer stores a timer, also in place of one with the same key. It goes off at t.At or
// within a second after, never before, once or (after a crash) more than once.
func (s *Store) SetTimer(ctx context.Context, t Timer) error {
	key, err := timerKey(t.Key)
	if err != nil {
		return err
	}
	nonce := newNonce()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.EnqueueWindow)
	defer cancel()
	var rev uint64
	for {
		body, err := s.seal.encodeTimer(key, t, nonce, rev)
		if err != nil {
			return err
		}
		_, err = s.put(ctx, key, body, rev, 0, false, func(e engine.Entry) bool { return s.seal.nonceOf(e) == nonce })
		if !errors.Is(err, ErrConflict) {
			return err
		}
		e, err := s.engine.Get(ctx, key)
		switch {
		case err == nil:
			rev = e.Rev
		case errors.Is(err, ErrNotFound):
			rev = 0
		default:
			return fmt.Errorf("%w: %w", ErrNotConfirmed, err)
		}
	}
}
