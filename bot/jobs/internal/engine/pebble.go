package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// RecordsDir is where the records are, below the store's directory.
const RecordsDir = "records"

// MakingDir is where they are made. It is there after a start that was interrupted before
// the store could be used.
const MakingDir = "records.new"

const (
	memTableSize = 4 << 20
	cacheSize    = 12 << 20        // Pebble counts the tables in memory too, of which there may be two
	openTimeout  = time.Minute     // a log has at most a few MiB
	closeTimeout = 5 * time.Second // of a database whose disk does not answer
	openingShift = 40              // of a revision: above it the openings are counted, below it the writes
	keepEvery    = time.Second
	crowded      = 8 // writes under way from which on a sync waits for others
	gatherFor    = 2 * time.Millisecond
	stripes      = 512
)

// Pebble keeps records in one directory of this process, every write synced.
//
// Beside each record it keeps what makes it cheap to find: `q` marks those that a worker
// has to be handed, so that the queue is made again at the start without reading the
// others; `x` orders by expiry. A write changes them in the same batch.
//
// When the disk fails, Pebble ends the process. Here the database fails alone: it is cut
// off from its files, and opened again until that works. Writes that were under way are
// then neither confirmed nor refused.
type Pebble struct {
	dir     string
	cfg     Config
	fs      vfs.FS
	log     *slog.Logger
	lock    *os.File
	seed    maphash.Seed
	queue   *queue
	writers Crew         // a write that hangs holds up nobody
	writing atomic.Int32 // writes under way
	reserve *reserve

	in   atomic.Pointer[instance] // nil while there is none
	used atomic.Int64             // bytes of all records

	retries int      // of opening it again, in a row
	told    sync.Map // files whose damage was told of
	erasing atomic.Bool
	erased  atomic.Int64 // Unix second of the last erasure
	swept   atomic.Int64 // Unix second up to which expired records were removed

	background sync.WaitGroup
	stop       context.CancelFunc
	stopped    chan struct{}
	once       sync.Once
	err        error
}

// instance is the database, from one opening to its end.
type instance struct {
	p        *Pebble
	db       *pebble.DB
	readOnly bool
	log      *slog.Logger
	rev      atomic.Uint64 // the newest; from openingShift on the opening
	opening  uint64
	locks    [stripes]chan struct{}

	users  users
	files  sync.Map // that are open
	once   sync.Once
	cut    atomic.Bool
	failed chan struct{}
	why    error // once failed is closed
}

// errReadOnly is what a store that only looks answers to a write.
var errReadOnly = errors.New("the store was opened for reading only")

// OpenPebble opens the engine in cfg.Dir, and makes it if fresh says that it is not there
// yet. It takes over the lock that its caller has on the directory, also when it fails.
// Nothing on disk is changed if the records are damaged or check refuses them.
func OpenPebble(ctx context.Context, cfg Config, lock *os.File, fresh bool, check Check) (*Pebble, error) {
	return openPebble(ctx, cfg, lock, fresh, check, vfs.Default)
}

func openPebble(_ context.Context, cfg Config, lock *os.File, fresh bool, check Check, fs vfs.FS) (*Pebble, error) {
	p := &Pebble{
		dir: filepath.Join(cfg.Dir, RecordsDir), cfg: cfg, fs: fs, log: cfg.Log, lock: lock, seed: maphash.MakeSeed(),
		stopped: make(chan struct{}),
	}
	p.queue, p.writers = newQueue(cfg.Queues, p.Get), NewCrew()
	p.reserve = &reserve{path: filepath.Join(cfg.Dir, reserveFile), log: cfg.Log}
	if err := p.start(fresh, check); err != nil {
		return nil, errors.Join(err, unlock(lock))
	}
	return p, nil
}

func (p *Pebble) start(fresh bool, check Check) error {
	if fresh {
		if err := p.create(); err != nil {
			return err
		}
	}
	in, err := p.open(p.dir, false, true)
	if err != nil {
		return err
	}
	p.in.Store(in)
	err = check(p.Get)
	for _, kind := range p.cfg.Queues { // the start needs them
		if err == nil {
			_, err = in.queued(kind)
		}
	}
	if err != nil {
		return errors.Join(err, in.close())
	}
	if p.cfg.ReadOnly {
		close(p.stopped)
		p.stop = func() {}
		return nil
	}
	p.in.Store(nil)
	if err := in.close(); err != nil {
		return err
	}
	if in, err = p.open(p.dir, false, false); err != nil {
		return err
	}
	p.in.Store(in)
	if err := p.restore(in); err != nil {
		return errors.Join(err, in.close())
	}
	counting := in.db.NewSnapshot()
	background, stop := context.WithCancel(context.Background())
	p.stop = stop
	go func() {
		defer close(p.stopped)
		p.count(background, in, counting)
		p.keep(background)
		p.background.Wait()
	}()
	return nil
}

// create makes an empty database, which is there as a whole or not at all.
func (p *Pebble) create() error {
	making := filepath.Join(p.cfg.Dir, MakingDir)
	if err := os.RemoveAll(making); err != nil {
		return err
	}
	in, err := p.open(making, true, false)
	if err == nil {
		err = in.close()
	}
	if err == nil {
		err = p.cfg.Mark()
	}
	if err == nil {
		err = os.Rename(making, p.dir)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(p.dir))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func unlock(lock *os.File) error {
	if lock == nil {
		return nil
	}
	return Unlock(lock)
}

// open opens the database.
func (p *Pebble) open(dir string, create, readOnly bool) (*instance, error) {
	in := &instance{p: p, readOnly: readOnly, log: p.log, failed: make(chan struct{})}
	for i := range in.locks {
		in.locks[i] = make(chan struct{}, 1)
	}
	if !create {
		if err := p.complete(); err != nil {
			return nil, err
		}
	}
	cache := pebble.NewCache(cacheSize)
	defer cache.Unref()
	options := &pebble.Options{
		Cache:                      cache,
		MemTableSize:               memTableSize,
		FormatMajorVersion:         pebble.FormatNewest, // with it a damaged log is told from one that was cut off
		FS:                         gated{in, errorfs.Wrap(vfs.OnDiskFull(p.fs, p.diskFull), errorfs.InjectorFunc(in.gate))},
		Cleaner:                    pebble.ArchiveCleaner{}, // see gated
		ErrorIfNotExists:           !create,
		ReadOnly:                   readOnly,
		Logger:                     logger{in},
		EventListener:              in.listener(),
		CompactionConcurrencyRange: func() (int, int) { return 1, 1 },
		WALMinSyncInterval:         p.gather,
	}
	// Pebble's own looks ten times a second whether more compactions may run now than before: never, here.
	options.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		options.Levels[i].BlockSize = 8 << 10
	}
	var err error
	if in.db, err = in.openDB(dir, options); err != nil {
		in.fail(err)
		in.release()
		if readOnly {
			return nil, damageIn(dir, err)
		}
		return nil, err
	}
	if readOnly {
		return in, nil
	}
	if err := in.begin(); err != nil {
		return nil, errors.Join(err, in.close())
	}
	return in, nil
}

// gather is how long the log is not synced again after a sync, so that more writes share the
// next one: among many that is cheaper for all, and for a few there is nothing to gain.
func (p *Pebble) gather() time.Duration {
	if p.writing.Load() < crowded {
		return 0
	}
	return gatherFor
}

// openDB is [pebble.Open], which panics or hangs at some faults of the disk.
func (in *instance) openDB(dir string, options *pebble.Options) (*pebble.DB, error) {
	type opened struct {
		db  *pebble.DB
		err error
	}
	done := make(chan opened, 1)
	go func() {
		var o opened
		defer func() {
			if r := recover(); r != nil {
				o.err = fmt.Errorf("%v", r)
			}
			done <- o
		}()
		o.db, o.err = pebble.Open(dir, options)
	}()
	select {
	case o := <-done:
		return o.db, o.err
	case <-in.failed:
		return nil, in.why
	case <-time.After(openTimeout):
		return nil, fmt.Errorf("the disk did not answer for %v", openTimeout)
	}
}

var openingsKey = []byte("m/openings")

// begin makes the revisions of this opening higher than all before.
func (in *instance) begin() error {
	var n uint64
	value, closer, err := in.db.Get(openingsKey)
	switch {
	case err == nil:
		n = binary.BigEndian.Uint64(value)
		err = closer.Close()
	case errors.Is(err, pebble.ErrNotFound):
		err = nil
	}
	if err != nil {
		return err
	}
	switch value, closer, err := in.db.Get(erasedKey); {
	case err == nil:
		in.p.erased.Store(int64(binary.BigEndian.Uint64(value)))
		if err := closer.Close(); err != nil {
			return err
		}
	case !errors.Is(err, pebble.ErrNotFound):
		return err
	case n == 0:
		in.p.erased.Store(time.Now().Unix()) // there is nothing yet
	}
	n++
	in.opening = n
	in.rev.Store(n << openingShift)
	b := in.db.NewBatch()
	if err := b.Set(openingsKey, binary.BigEndian.AppendUint64(nil, n), nil); err != nil {
		return err
	}
	return in.apply(b, pebble.Sync)
}

// restore puts into the queue what has to be worked on and nobody has.
func (p *Pebble) restore(in *instance) error {
	for _, kind := range p.cfg.Queues {
		keys, err := in.queued(kind)
		if err != nil {
			return err
		}
		for _, key := range keys {
			p.queue.restore(key)
		}
	}
	return nil
}

// count adds up what the records take. It reads every one, so damage is found soon.
func (p *Pebble) count(ctx context.Context, in *instance, snapshot *pebble.Snapshot) {
	_ = in.safely(func() error { // damage was told by the listener
		it, err := snapshot.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: []byte{indexRecord}, UpperBound: []byte{indexRecord + 1}})
		if err != nil {
			return err
		}
		for ok := it.First(); ok && ctx.Err() == nil; ok = it.Next() {
			p.used.Add(int64(len(it.Key()) + len(it.Value())))
		}
		return it.Close()
	})
	_ = in.safely(snapshot.Close)
}

// lockOf serialises the writes of a key.
func (in *instance) lockOf(key string) chan struct{} {
	return in.locks[maphash.String(in.p.seed, key)%stripes]
}

type result struct {
	rev uint64
	err error
}

// Put is [Engine.Put].
func (p *Pebble) Put(ctx context.Context, key string, body []byte, expect uint64, ttl time.Duration, held bool) (uint64, error) {
	var expires int64
	if ttl > 0 {
		expires = time.Now().Add(ttl + time.Second - 1).Unix()
	}
	return p.write(ctx, key, func(in *instance, was head) (uint64, error) {
		if was.rev != expect {
			return 0, ErrConflict
		}
		rev := in.rev.Add(1)
		if err := in.store(key, was, stored{head{rev, expires, len(body)}, body}); err != nil {
			return 0, err
		}
		if expires != 0 {
			p.queue.drop(key, rev)
		} else {
			p.queue.add(key, rev, body, held)
		}
		return rev, nil
	})
}

// Remove is [Engine.Remove].
func (p *Pebble) Remove(ctx context.Context, key string, expect uint64) error {
	_, err := p.write(ctx, key, func(in *instance, was head) (uint64, error) {
		if was.rev == 0 || was.rev != expect {
			return 0, ErrConflict
		}
		if err := in.store(key, was, stored{}); err != nil {
			return 0, err
		}
		p.queue.drop(key, expect)
		return 0, nil
	})
	return err
}

// write calls change alone with what is known of the record at key, and returns when it is
// done, ctx is, or the database has failed: in the last two cases it may yet be done.
func (p *Pebble) write(ctx context.Context, key string, change func(*instance, head) (uint64, error)) (uint64, error) {
	if p.cfg.ReadOnly {
		return 0, errReadOnly
	}
	in := p.in.Load()
	if in == nil {
		return 0, fmt.Errorf("%w: it is being opened again", ErrUnconfirmed)
	}
	lock := in.lockOf(key)
	select {
	case lock <- struct{}{}:
	case <-in.failed:
		return 0, fmt.Errorf("%w: %w", ErrUnconfirmed, in.why)
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", ErrUnconfirmed, ctx.Err())
	}
	done := make(chan result, 1)
	p.writing.Add(1)
	p.writers.Run(func() {
		var r result
		defer func() {
			p.writing.Add(-1)
			if v := recover(); v != nil { // it was closed
				r.err = fmt.Errorf("%w: %v", ErrUnconfirmed, v)
			}
			<-lock
			done <- r
		}()
		if !in.users.enter() {
			r.err = fmt.Errorf("%w: it was closed", ErrUnconfirmed)
			return
		}
		defer in.users.leave()
		was, err := in.current(key)
		if err != nil {
			r.err = err
			return
		}
		r.rev, r.err = change(in, was)
	})
	select {
	case r := <-done:
		return r.rev, r.err
	case <-in.failed:
		return 0, fmt.Errorf("%w: %w", ErrUnconfirmed, in.why)
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", ErrUnconfirmed, ctx.Err())
	}
}

// current returns what has to be known of the record at key to replace it. What is under way
// was written by this opening and never expires: then nothing is read. The caller has the
// key's lock, so that nobody writes it meanwhile.
func (in *instance) current(key string) (head, error) {
	if rev, size := in.p.queue.known(key); rev>>openingShift == in.opening {
		return head{rev: rev, size: size}, nil
	}
	r, err := in.get(key)
	return r.head, err
}

// head is what a write has to know of the record that it replaces; the zero one is none.
type head struct {
	rev     uint64
	expires int64 // Unix second; 0: never
	size    int   // of the body
}

// stored is what is stored under a key: 8 bytes each of revision and expiry, and the body.
type stored struct {
	head
	body []byte
}

const recordHead = 16

func (r stored) encode() []byte {
	b := make([]byte, 0, recordHead+len(r.body))
	b = binary.BigEndian.AppendUint64(b, r.rev)
	b = binary.BigEndian.AppendUint64(b, uint64(r.expires))
	return append(b, r.body...)
}

func decode(value []byte) (stored, error) {
	if len(value) < recordHead {
		return stored{}, errors.New("a record is cut off")
	}
	body := value[recordHead:]
	return stored{head{binary.BigEndian.Uint64(value), int64(binary.BigEndian.Uint64(value[8:])), len(body)}, body}, nil
}

// safely calls f, which reads. The database may be closed meanwhile, and then panics.
func (in *instance) safely(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			if !in.cut.Load() && in.p.in.Load() == in {
				panic(v) // it is no database that was closed
			}
			err = fmt.Errorf("%w: %v", ErrUnconfirmed, v)
		}
	}()
	if !in.users.enter() {
		return fmt.Errorf("%w: it was closed", ErrUnconfirmed)
	}
	defer in.users.leave()
	return f()
}

// users counts who is using a database: one that is closed gives its memory back, and who
// still reads it then ends the process.
type users struct {
	mu     sync.Mutex
	n      int
	closed chan struct{} // nil while anybody may enter; else closed once nobody is left
}

// enter reports whether the database may be used, until leave is called.
func (u *users) enter() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed != nil {
		return false
	}
	u.n++
	return true
}

func (u *users) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.n--; u.n == 0 && u.closed != nil {
		close(u.closed)
	}
}

// lock lets nobody enter any more, and returns when the last one has left. It is called once.
func (u *users) lock() {
	u.mu.Lock()
	left := make(chan struct{})
	u.closed = left
	if u.n == 0 {
		close(left)
	}
	u.mu.Unlock()
	<-left
}

// get returns the record at key; the zero one if there is none.
func (in *instance) get(key string) (r stored, err error) {
	return r, in.safely(func() error {
		r, err = in.read(key)
		return err
	})
}

func (in *instance) read(key string) (stored, error) {
	value, closer, err := in.db.Get(diskKey(key))
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return stored{}, nil
	case err != nil:
		return stored{}, damage(in.p.dir, err)
	}
	r, err := decode(append([]byte(nil), value...))
	return r, errors.Join(err, closer.Close())
}

// store replaces a record; the zero one removes it. It returns when that is durable.
func (in *instance) store(key string, was head, now stored) error {
	b := in.db.NewBatchWithSize(len(now.body) + 2*len(key) + 96)
	disk := diskKey(key)
	queued := func(r head) bool { return r.rev != 0 && r.expires == 0 && in.p.queue.backlogOf(key) != nil }
	var err error
	if now.rev == 0 {
		err = b.Delete(disk, nil)
	} else {
		err = b.Set(disk, now.encode(), nil)
	}
	if was.expires != now.expires {
		if was.expires != 0 {
			err = errors.Join(err, b.Delete(expiryKey(disk, was.expires), nil))
		}
		if now.expires != 0 {
			err = errors.Join(err, b.Set(expiryKey(disk, now.expires), nil, nil))
		}
	}
	if queued(was) != queued(now.head) {
		mark := append([]byte{indexQueue}, disk[1:]...)
		if queued(now.head) {
			err = errors.Join(err, b.Set(mark, nil, nil))
		} else {
			err = errors.Join(err, b.Delete(mark, nil))
		}
	}
	if err != nil {
		return errors.Join(err, b.Close())
	}
	if err := in.apply(b, pebble.Sync); err != nil {
		return err
	}
	size := func(r head) int64 {
		if r.rev == 0 {
			return 0
		}
		return int64(len(disk) + recordHead + r.size)
	}
	in.p.used.Add(size(now.head) - size(was))
	for now.expires != 0 {
		swept := in.p.swept.Load()
		if now.expires >= swept || in.p.swept.CompareAndSwap(swept, now.expires) {
			break
		}
	}
	return nil
}

func (in *instance) apply(b *pebble.Batch, o *pebble.WriteOptions) error {
	if err := in.db.Apply(b, o); err != nil {
		return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	}
	return b.Close()
}

// Get is [Engine.Get].
func (p *Pebble) Get(ctx context.Context, key string) (Entry, error) {
	if err := ctx.Err(); err != nil {
		return Entry{}, err
	}
	in := p.in.Load()
	if in == nil {
		return Entry{}, fmt.Errorf("%w: it is being opened again", ErrUnconfirmed)
	}
	r, err := in.get(key)
	if err != nil {
		return Entry{}, err
	}
	if r.rev == 0 {
		return Entry{}, ErrNotFound
	}
	return Entry{key, r.body, r.rev}, nil
}

// What is read of a listing at once: no iterator is held while its reader works, since it
// would keep what is removed meanwhile.
const (
	pageRecords = 256
	pageBytes   = 1 << 20
)

// List is [Engine.List]. The records come in the order of their keys.
func (p *Pebble) List(ctx context.Context, prefix string, _ bool, yield func(Entry) bool) error {
	lower, upper := spanOf(prefix)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		in := p.in.Load()
		if in == nil {
			return fmt.Errorf("%w: it is being opened again", ErrUnconfirmed)
		}
		page, err := in.page(lower, upper)
		for _, e := range page {
			if !yield(e) {
				return nil
			}
		}
		if err != nil || len(page) == 0 {
			return err
		}
		lower = append(diskKey(page[len(page)-1].Key), 0)
	}
}

func (in *instance) page(lower, upper []byte) (page []Entry, err error) {
	return page, in.safely(func() error {
		page, err = in.readPage(lower, upper)
		return err
	})
}

func (in *instance) readPage(lower, upper []byte) (page []Entry, err error) {
	it, err := in.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, damage(in.p.dir, err)
	}
	size := 0
	for ok := it.First(); ok && len(page) < pageRecords && size < pageBytes; ok = it.Next() {
		r, err := decode(append([]byte(nil), it.Value()...))
		if err != nil {
			return page, errors.Join(err, it.Close())
		}
		size += len(r.body)
		page = append(page, Entry{keyOf(it.Key()), r.body, r.rev})
	}
	if err := it.Close(); err != nil {
		return page, damage(in.p.dir, err)
	}
	return page, nil
}

// Queued is [Engine.Queued].
func (p *Pebble) Queued(ctx context.Context, kind string, _ bool, yield func(Entry) bool) error {
	in := p.in.Load()
	if in == nil {
		return fmt.Errorf("%w: it is being opened again", ErrUnconfirmed)
	}
	keys, err := in.queued(kind)
	if err != nil {
		return err
	}
	for _, key := range keys {
		e, err := p.Get(ctx, key)
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case err != nil:
			return err
		}
		if !yield(e) {
			return nil
		}
	}
	return nil
}

// queued returns the keys of the records of a queue.
func (in *instance) queued(kind string) (keys []string, err error) {
	return keys, in.safely(func() error {
		lower, upper := spanOf(kind)
		lower[0], upper[0] = indexQueue, indexQueue
		it, err := in.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		if err != nil {
			return damage(in.p.dir, err)
		}
		for ok := it.First(); ok; ok = it.Next() {
			keys = append(keys, keyOf(it.Key()))
		}
		return damage(in.p.dir, it.Close())
	})
}

// Checkpoint makes a consistent copy of the records in dir, which must not be there yet. On
// the same disk it takes no room, as long as the original does not change.
func (p *Pebble) Checkpoint(dir string) error {
	in := p.in.Load()
	if in == nil {
		return fmt.Errorf("%w: it is being opened again", ErrUnconfirmed)
	}
	return in.safely(func() error { return in.db.Checkpoint(dir, pebble.WithFlushedWAL()) })
}

// Consume is [Engine.Consume].
func (p *Pebble) Consume(_ context.Context, kind string, handle func(Message)) (func(), error) {
	return p.queue.consume(kind, handle), nil
}

// Load is [Engine.Load].
func (p *Pebble) Load(_ context.Context, kind string) (waiting, used uint64, err error) {
	if p.in.Load() == nil {
		return 0, 0, fmt.Errorf("%w: it is being opened again", ErrUnconfirmed)
	}
	return p.queue.waiting(kind), uint64(max(p.used.Load(), 0)), nil
}

func (p *Pebble) Failed() <-chan struct{} { return nil }
func (p *Pebble) Why() error              { return nil }
func (p *Pebble) Exclusive() bool         { return true }

// Free returns how many bytes are free on the disk.
func (p *Pebble) Free() (uint64, error) { return FreeBytes(p.cfg.Dir) }

// keep opens a failed database again, removes what has expired, and keeps the reserve.
func (p *Pebble) keep(ctx context.Context) {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		in := p.in.Load()
		if in == nil {
			in = p.reopen(ctx)
		} else {
			p.reserve.keep()
			p.expire(ctx, in)
			p.eraseIfDue(ctx, in)
		}
		var failed <-chan struct{}
		if in != nil {
			failed = in.failed
		}
		select {
		case <-ctx.Done():
			return
		case <-failed:
			p.log.Error("store's disk failed, refusing new jobs until the store opens again", "err", in.why)
			p.in.CompareAndSwap(in, nil)
			in.release() // it is not closed: what it was about may hold its locks for ever
		case <-tick.C:
		}
	}
}

// probe finds out whether the disk takes anything.
func (p *Pebble) probe() error {
	if free, err := p.Free(); err == nil && free < 3*memTableSize {
		return fmt.Errorf("only %d MiB are free: %w", free>>20, syscall.ENOSPC)
	}
	path := filepath.Join(p.cfg.Dir, ".probe")
	f, err := p.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4<<10))
	return errors.Join(err, f.Sync(), f.Close(), p.fs.Remove(path))
}

// eraseIfDue begins an erasure early enough to be over when what was removed right after
// the last one has to be gone.
func (p *Pebble) eraseIfDue(ctx context.Context, in *instance) {
	every := p.cfg.EraseAfter - min(p.cfg.EraseAfter/4, time.Hour)
	if p.cfg.EraseAfter <= 0 || time.Since(time.Unix(p.erased.Load(), 0)) < every || p.erasing.Swap(true) {
		return
	}
	p.background.Go(func() {
		defer p.erasing.Store(false)
		if err := p.erase(ctx, in); err != nil && ctx.Err() == nil {
			p.log.Warn("removed data not yet erased from the store's files", "err", err)
			p.erased.Add(60) // not at once again
		}
	})
}

// Erase is [Engine.Erase]. The newest version of each record is written to new tables, and
// every other file removed.
func (p *Pebble) Erase(ctx context.Context) error {
	in := p.in.Load()
	if in == nil {
		return fmt.Errorf("%w: it is being opened again", ErrUnconfirmed)
	}
	return p.erase(ctx, in)
}

func (p *Pebble) erase(ctx context.Context, in *instance) error {
	began := time.Now()
	done := make(chan error, 1)
	go func() { // it cannot be interrupted where the disk fails
		done <- in.safely(func() error {
			if err := in.db.Flush(); err != nil {
				return err
			}
			return in.db.Compact(ctx, []byte{0}, []byte{0xff}, false)
		})
	}()
	select {
	case err := <-done:
		if err != nil {
			return err
		}
	case <-in.failed:
		return in.why
	case <-ctx.Done():
		return ctx.Err()
	}
	// Files are removed in the background, and only when nobody reads them any more.
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for in.obsolete() {
		select {
		case <-tick.C:
		case <-in.failed:
			return in.why
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b := in.db.NewBatch()
	if err := b.Set(erasedKey, binary.BigEndian.AppendUint64(nil, uint64(began.Unix())), nil); err != nil {
		return err
	}
	if _, err := p.write(ctx, "erased", func(in *instance, _ head) (uint64, error) { return 0, in.apply(b, pebble.Sync) }); err != nil {
		return err
	}
	p.erased.Store(began.Unix())
	return nil
}

var erasedKey = []byte("m/erased")

// obsolete reports whether files are left that hold nothing of worth.
func (in *instance) obsolete() (left bool) {
	_ = in.safely(func() error {
		m := in.db.Metrics()
		left = m.Table.ObsoleteCount > 0 || m.Table.ZombieCount > 0 || m.WAL.ObsoleteFiles > 0
		return nil
	})
	return left
}

// reopen tries to open the database anew after it failed.
func (p *Pebble) reopen(ctx context.Context) *instance {
	var in *instance
	err := p.probe() // opening would hang at some faults
	if err == nil {
		in, err = p.open(p.dir, false, false)
	}
	if err == nil {
		if err = p.restore(in); err != nil {
			err = errors.Join(err, in.close())
		}
	}
	if p.cfg.Reopened != nil {
		p.cfg.Reopened(err)
	}
	if err != nil {
		if p.retries++; p.retries&(p.retries-1) == 0 { // ever more seldom
			p.log.WarnContext(ctx, "store not open again yet", "err", err)
		}
		return nil
	}
	p.retries = 0
	p.in.Store(in)
	p.log.InfoContext(ctx, "store is open again after its disk failed, going on")
	return in
}

// expire removes the records whose time is over.
func (p *Pebble) expire(ctx context.Context, in *instance) {
	now := time.Now().Unix()
	for ctx.Err() == nil {
		due, err := in.due(p.swept.Load(), now)
		if err != nil {
			return // told by the listener
		}
		for _, d := range due {
			_, err := p.write(ctx, d.key, func(in *instance, was head) (uint64, error) {
				if was.rev == 0 || was.expires != d.at {
					return 0, nil // written anew meanwhile
				}
				return 0, in.store(d.key, was, stored{})
			})
			if err != nil {
				return
			}
		}
		if len(due) < pageRecords {
			p.swept.Store(now)
			return
		}
	}
}

type expiry struct {
	key string
	at  int64
}

// due returns the first records that expire from the one second to the other.
func (in *instance) due(from, to int64) (due []expiry, err error) {
	return due, in.safely(func() error {
		due, err = in.readDue(from, to)
		return err
	})
}

func (in *instance) readDue(from, to int64) (due []expiry, err error) {
	lower := binary.BigEndian.AppendUint64([]byte{indexExpiry}, uint64(from))
	upper := binary.BigEndian.AppendUint64([]byte{indexExpiry}, uint64(to+1))
	it, err := in.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok && len(due) < pageRecords; ok = it.Next() {
		k := it.Key()
		due = append(due, expiry{keyOf(k[8:]), int64(binary.BigEndian.Uint64(k[1:]))})
	}
	return due, it.Close()
}

// Close is [Engine.Close]. It returns in any case, also when the disk hangs.
func (p *Pebble) Close() error {
	p.once.Do(func() {
		p.stop()
		select {
		case <-p.stopped:
		case <-time.After(closeTimeout):
		}
		p.queue.close()
		p.writers.Dismiss()
		if in := p.in.Swap(nil); in != nil {
			p.err = in.close() // also writes what is in the log to a table, whose damage can be told
		}
		p.err = errors.Join(p.err, unlock(p.lock))
	})
	return p.err
}

func (in *instance) close() error {
	if in.db == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		err := errors.New("the database failed while it was closed")
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("%v", r)
			}
			done <- err
		}()
		if !in.readOnly {
			err = in.db.Flush()
		} else {
			err = nil
		}
		in.users.lock()
		err = errors.Join(err, in.db.Close())
	}()
	defer in.release()
	select {
	case err := <-done:
		if in.cut.Load() {
			return nil // why it failed was told
		}
		return err
	case <-time.After(closeTimeout):
		if in.cut.Load() {
			return nil
		}
		in.fail(errors.New("closed"))
		return fmt.Errorf("the store's disk did not answer for %v", closeTimeout)
	}
}

// release closes the files that a failed database left open.
func (in *instance) release() {
	in.files.Range(func(f, _ any) bool {
		_ = f.(*open).Close()
		return true
	})
}

// fail cuts the database off from its files: from then on it changes nothing any more.
func (in *instance) fail(why error) {
	in.once.Do(func() {
		in.why = why
		in.cut.Store(true)
		close(in.failed)
	})
}

var errCutOff = errors.New("the database has failed and was cut off from its files")

// gate is asked before each operation on a file.
func (in *instance) gate(errorfs.Op) error {
	if in.cut.Load() {
		return errCutOff
	}
	return nil
}

// listener is told by Pebble what happens in the background.
func (in *instance) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			if !pebble.IsCorruptionError(err) && !errors.Is(err, pebble.ErrCancelledCompaction) && !in.readOnly {
				in.fail(err) // it would be tried again at once, for ever
			}
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			in.p.damaged(info.Path, info.Details)
		},
	}
}

// logger is told by Pebble what is wrong.
type logger struct{ in *instance }

func (l logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) {
	if !l.in.cut.Load() {
		l.in.log.Warn("message from the store's database", "text", fmt.Sprintf(format, args...))
	}
}

// Fatalf does not return, since nothing after it may happen.
func (l logger) Fatalf(format string, args ...any) { l.in.halt(fmt.Errorf(format, args...)) }

// halt fails the database and keeps the goroutine, with what it holds: Pebble's functions
// are not made to be unwound there.
func (in *instance) halt(why error) {
	in.fail(why)
	select {}
}

// gated is the file system of one instance.
//
// Pebble keeps obsolete logs to write over them, and with them what they hold, unless it
// is to archive them. So it is told to archive, and what it archives is removed.
type gated struct {
	in *instance
	*errorfs.FS
}

// open is a file that is closed at the latest with its instance.
type open struct {
	vfs.File
	in  *instance
	log bool
}

// check halts whoever could not write to the log: Pebble would panic, with a lock that it
// does not have to be given back, and that cannot be recovered from.
func (f *open) check(err error) error {
	if err != nil && f.log {
		f.in.halt(err)
	}
	return err
}

func (f *open) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	return n, f.check(err)
}

func (f *open) Sync() error     { return f.check(f.File.Sync()) }
func (f *open) SyncData() error { return f.check(f.File.SyncData()) }

func (f *open) SyncTo(n int64) (bool, error) {
	full, err := f.File.SyncTo(n)
	return full, f.check(err)
}

func (f *open) Close() error {
	f.in.files.Delete(f)
	return f.File.Close()
}

func (g gated) track(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	o := &open{File: f, in: g.in}
	g.in.files.Store(o, nil)
	return o, nil
}

func (g gated) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.Create(name, c)
	if !strings.HasSuffix(name, ".log") {
		return g.track(f, err)
	}
	if err != nil {
		g.in.halt(err) // see open.check
	}
	o := &open{File: f, in: g.in, log: true}
	g.in.files.Store(o, nil)
	return o, nil
}

func (g gated) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	return g.track(g.FS.Open(name, o...))
}

func (g gated) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return g.track(g.FS.OpenReadWrite(name, c, o...))
}

func (g gated) OpenDir(name string) (vfs.File, error) { return g.track(g.FS.OpenDir(name)) }

const archive = "archive"

func (g gated) MkdirAll(dir string, perm os.FileMode) error {
	if filepath.Base(dir) == archive {
		return nil
	}
	return g.FS.MkdirAll(dir, perm)
}

func (g gated) Rename(from, to string) error {
	if filepath.Base(filepath.Dir(to)) == archive {
		return g.Remove(from)
	}
	return g.FS.Rename(from, to)
}

// Lock takes none: the caller of [OpenPebble] has one, and a database that was cut off
// keeps its own.
func (gated) Lock(string) (io.Closer, error) { return closer{}, nil }

func (g gated) Unwrap() vfs.FS { return g.FS }

type closer struct{}

func (closer) Close() error { return nil }
