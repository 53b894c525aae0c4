package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What a server must be able to do: per-Message TTL came with level 1, atomic batches with 2.
const (
	minAPILevel = 2
	minServer   = "2.12"
)

// Codes of the JetStream API that nats.go has no name for.
const (
	codeStoreFailed     = 10077 // with DiscardNew: over MaxBytes
	codeWrongLastSeq    = 10071
	codeWrongLastSeqC   = 10164
	codeResources       = 10023
	codeStorageExceeded = 10047
	codeNoMessage       = 10037
	codeNoPeers         = 10005
	codeNotClustered    = 10074
)

const maxMultiLast = 1000 // subjects in one request; the server's limit is 1024 answers

// natsEngine keeps records in one JetStream stream, embedded or on a cluster. A record is
// the only Message of its subject, and the stream sequence is its revision.
type natsEngine struct {
	log      *slog.Logger
	name     string // of the stream
	prefix   string // of subjects
	replicas int
	queues   []string
	maxBytes uint64
	attempt  time.Duration // of one request

	tellCurrent func(int) // see Config
	failed      chan struct{}
	once        sync.Once
	why         error // once failed is closed

	mu       sync.Mutex
	failing  time.Time    // since when the cluster does not answer
	clock    [3]time.Time // what it showed last, and between which moments
	upToDate int          // replicas, as told last

	written atomic.Uint64 // the newest revision that this process wrote
	nc      *nats.Conn
	js      jetstream.JetStream
}

func (e *natsEngine) subject(key string) string { return e.prefix + "." + key }

func (e *natsEngine) keyOf(subject string) string { return subject[len(e.prefix)+1:] }

// start makes the stream and its consumers on a fresh connection, unless check refuses
// what is there.
func (e *natsEngine) start(ctx context.Context, nc *nats.Conn, check Check) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	e.nc, e.js = nc, js
	e.prefix = e.name
	if err := e.checkServer(ctx); err != nil {
		return err
	}
	if err := e.checkRecords(ctx, check); err != nil {
		return err
	}
	stream := jetstream.StreamConfig{
		Name:              e.name,
		Subjects:          []string{e.prefix + ".>"},
		Storage:           jetstream.FileStorage,
		Replicas:          e.replicas,
		MaxMsgsPerSubject: 1,
		MaxBytes:          int64(e.maxBytes),
		Discard:           jetstream.DiscardNew,
		AllowDirect:       true,
		AllowMsgTTL:       true,
	}
	if err := e.untilReady(ctx, func(ctx context.Context) error {
		_, err := js.CreateOrUpdateStream(ctx, stream)
		return err
	}); err != nil {
		return fmt.Errorf("stream %s: %w", e.name, err)
	}
	for _, kind := range e.queues {
		if err := e.makeConsumer(ctx, kind); err != nil {
			return err
		}
	}
	return nil
}

// makeConsumer makes the consumer of a queue, if it is not there. A new one hands out every
// record anew.
func (e *natsEngine) makeConsumer(ctx context.Context, kind string) error {
	consumer := jetstream.ConsumerConfig{
		Durable:       kind,
		FilterSubject: e.subject(kind) + ".>",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxDeliver:    -1,
		MaxAckPending: -1,
		Replicas:      e.replicas,
	}
	if err := e.untilReady(ctx, func(ctx context.Context) error {
		_, err := e.js.CreateOrUpdateConsumer(ctx, e.name, consumer)
		return err
	}); err != nil {
		return fmt.Errorf("consumer %s: %w", kind, err)
	}
	return nil
}

// Check looks at the records that are there before anything is changed.
type Check func(get func(context.Context, string) (Entry, error)) error

// checkRecords lets check look, if the stream is there.
func (e *natsEngine) checkRecords(ctx context.Context, check Check) error {
	there := false
	if err := e.untilReady(ctx, func(ctx context.Context) error {
		_, err := e.js.Stream(ctx, e.name)
		there = err == nil
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil
		}
		return err
	}); err != nil || !there {
		return err
	}
	for {
		err := check(e.Get)
		if !errors.Is(err, ErrUnconfirmed) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// checkServer refuses a server that is too old, by name.
func (e *natsEngine) checkServer(ctx context.Context) error {
	return e.untilReady(ctx, func(ctx context.Context) error {
		info, err := e.js.AccountInfo(ctx)
		if err != nil {
			return fmt.Errorf("ask for JetStream: %w", err)
		}
		if info.API.Level < minAPILevel {
			return fmt.Errorf("%w: the NATS server %s has JetStream API level %d, this needs %d (server %s or newer)",
				errTooOld, e.nc.ConnectedServerVersion(), info.API.Level, minAPILevel, minServer)
		}
		return nil
	})
}

var errTooOld = errors.New("server too old")

// untilReady tries f again in short attempts while a cluster is electing.
func (e *natsEngine) untilReady(ctx context.Context, f func(context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := f(attempt)
		cancel()
		var api *jetstream.APIError
		switch {
		case err == nil, errors.Is(err, errTooOld), errors.Is(err, nats.ErrAuthorization):
			return err
		case errors.As(err, &api) && !e.passes(api):
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// passes says that an error may be one of a cluster of which not every node is there yet.
func (e *natsEngine) passes(err *jetstream.APIError) bool {
	switch err.ErrorCode {
	case codeStorageExceeded, codeNotClustered:
		return false
	case codeNoPeers:
		return true
	}
	return err.Code == 503 || err.Code == 500
}

func (e *natsEngine) Put(ctx context.Context, key string, body []byte, expect uint64, ttl time.Duration, _ bool) (uint64, error) {
	m := nats.NewMsg(e.subject(key))
	m.Data = body
	m.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(expect, 10)}
	if ttl > 0 {
		seconds := max((ttl+time.Second-1)/time.Second, 1)
		m.Header[jetstream.MsgTTLHeader] = []string{strconv.FormatInt(int64(seconds), 10)}
	}
	ack, err := e.publish(ctx, m)
	for err == nil {
		seen := e.written.Load()
		if ack.Seq <= seen || e.written.CompareAndSwap(seen, ack.Seq) {
			break
		}
	}
	return ack.Seq, err
}

// pubAck is what the server answers to a publish.
type pubAck struct {
	Error *struct {
		Code        int    `json:"code"`
		ErrCode     int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
	Seq uint64 `json:"seq"`
}

// publish publishes one Message and waits for the answer.
func (e *natsEngine) publish(ctx context.Context, m *nats.Msg) (pubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, e.attempt)
	defer cancel()
	answer, err := e.nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		return pubAck{}, fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	}
	var ack pubAck
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return pubAck{}, fmt.Errorf("%w: unexpected answer", ErrUnconfirmed)
	}
	if ack.Error == nil {
		return ack, nil
	}
	switch ack.Error.ErrCode {
	case codeWrongLastSeq, codeWrongLastSeqC:
		return pubAck{}, ErrConflict
	case codeStoreFailed, codeResources, codeStorageExceeded:
		return pubAck{}, fmt.Errorf("%w: %s", ErrFull, ack.Error.Description)
	}
	return pubAck{}, fmt.Errorf("the store refused: %s", ack.Error.Description)
}

func (e *natsEngine) Get(ctx context.Context, key string) (Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, max(e.attempt, time.Second))
	defer cancel()
	// A direct get may be answered by a replica that lags behind; this one is the leader's.
	request, err := json.Marshal(map[string]string{"last_by_subj": e.subject(key)})
	if err != nil {
		return Entry{}, err
	}
	answer, err := e.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+e.name, request)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	}
	var got struct {
		pubAck
		Message struct {
			Seq  uint64 `json:"seq"`
			Data []byte `json:"data"`
		} `json:"Message"`
	}
	if err := json.Unmarshal(answer.Data, &got); err != nil {
		return Entry{}, fmt.Errorf("%w: unexpected answer", ErrUnconfirmed)
	}
	if got.Error != nil {
		if got.Error.ErrCode == codeNoMessage {
			return Entry{}, ErrNotFound
		}
		return Entry{}, fmt.Errorf("%w: %s", ErrUnconfirmed, got.Error.Description)
	}
	return Entry{key, got.Message.Data, got.Message.Seq}, nil
}

// entryOf makes an Entry of an answer to a direct get.
func (e *natsEngine) entryOf(m *nats.Msg) (Entry, error) {
	seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	subject := m.Header.Get(jetstream.SubjectHeader)
	if err != nil || len(subject) <= len(e.prefix) {
		return Entry{}, fmt.Errorf("%w: unexpected answer", ErrUnconfirmed)
	}
	return Entry{e.keyOf(subject), m.Data, seq}, nil
}

var errTooMany = errors.New("too many results")

func (e *natsEngine) List(ctx context.Context, prefix string, sorted bool, yield func(Entry) bool) error {
	subjects := []string{e.subject(prefix), e.subject(prefix) + ".>"}
	found, err := e.multiLast(ctx, subjects)
	if errors.Is(err, errTooMany) {
		return e.listLong(ctx, subjects[1], sorted, yield)
	}
	if err != nil {
		return err
	}
	if sorted {
		slices.SortFunc(found, func(a, b Entry) int { return CompareKeys(a.Key, b.Key) })
	}
	for _, entry := range found {
		if !yield(entry) {
			return nil
		}
	}
	return nil
}

func (e *natsEngine) Queued(ctx context.Context, kind string, sorted bool, yield func(Entry) bool) error {
	return e.List(ctx, kind, sorted, yield)
}

// listLong lists what one request cannot carry: first the subjects, then the records.
func (e *natsEngine) listLong(ctx context.Context, filter string, sorted bool, yield func(Entry) bool) error {
	stream, err := e.js.Stream(ctx, e.name)
	if err != nil {
		return err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return err
	}
	subjects := slices.Collect(maps.Keys(info.State.Subjects))
	if sorted {
		slices.SortFunc(subjects, func(a, b string) int { return CompareKeys(e.keyOf(a), e.keyOf(b)) })
	}
	for chunk := range slices.Chunk(subjects, maxMultiLast) {
		found, err := e.multiLast(ctx, chunk)
		if err != nil {
			return err
		}
		if sorted {
			slices.SortFunc(found, func(a, b Entry) int { return CompareKeys(a.Key, b.Key) })
		}
		for _, entry := range found {
			if !yield(entry) {
				return nil
			}
		}
	}
	return nil
}

// multiLast fetches the records of the subjects, with what this process wrote before. On
// a cluster any replica may answer, also one that lags behind; then another is asked.
func (e *natsEngine) multiLast(ctx context.Context, subjects []string) ([]Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		written := e.written.Load()
		found, upTo, err := e.multiLastOnce(ctx, subjects)
		if err != nil || upTo >= written {
			return found, err
		}
		if upTo == 0 { // an answer with nothing does not say how old it is; the leader knows
			stream, err := e.js.Stream(ctx, e.name)
			if err != nil {
				return nil, err
			}
			nothing := true
			for _, subject := range subjects {
				info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject))
				if err != nil {
					return nil, err
				}
				nothing = nothing && len(info.State.Subjects) == 0
			}
			if nothing {
				return nil, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnconfirmed, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// multiLastOnce also returns up to which revision the answer is good, or 0.
func (e *natsEngine) multiLastOnce(ctx context.Context, subjects []string) (found []Entry, upTo uint64, err error) {
	var from uint64
	for {
		request, err := json.Marshal(map[string]any{"multi_last": subjects, "seq": from, "up_to_seq": upTo})
		if err != nil {
			return nil, 0, err
		}
		more, last, good, err := e.multiLastPage(ctx, request, &found)
		if err != nil {
			return nil, 0, err
		}
		if upTo == 0 {
			upTo = good
		}
		if !more {
			return found, upTo, nil
		}
		from = last + 1
	}
}

func (e *natsEngine) multiLastPage(ctx context.Context, request []byte, found *[]Entry) (more bool, last, upTo uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	inbox := e.nc.NewInbox()
	sub, err := e.nc.SubscribeSync(inbox)
	if err != nil {
		return false, 0, 0, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return false, 0, 0, err
	}
	if err := e.nc.PublishRequest("$JS.API.DIRECT.GET."+e.name, inbox, request); err != nil {
		return false, 0, 0, err
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return false, 0, 0, fmt.Errorf("%w: %w", ErrUnconfirmed, err)
		}
		switch status := m.Header.Get("Status"); status {
		case "":
			entry, err := e.entryOf(m)
			if err != nil {
				return false, 0, 0, err
			}
			last = entry.Rev
			*found = append(*found, entry)
		case "204":
			upTo, _ = strconv.ParseUint(m.Header.Get("Nats-UpTo-Sequence"), 10, 64)
			return m.Header.Get("Nats-Num-Pending") != "0" && last > 0, last, upTo, nil
		case "404":
			return false, last, 0, nil
		case "413":
			return false, 0, 0, errTooMany
		default:
			return false, 0, 0, fmt.Errorf("%w: status %s", ErrUnconfirmed, status)
		}
	}
}

func (e *natsEngine) Remove(ctx context.Context, key string, expect uint64) error {
	// By sequence: a newer record has another.
	ctx, cancel := context.WithTimeout(ctx, max(e.attempt, time.Second))
	defer cancel()
	there, err := e.Get(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return ErrConflict
	case err != nil:
		return err
	case there.Rev != expect:
		return ErrConflict
	}
	request, err := json.Marshal(map[string]any{"seq": expect})
	if err != nil {
		return err
	}
	answer, err := e.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.DELETE."+e.name, request)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	}
	var ack pubAck
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return fmt.Errorf("%w: unexpected answer", ErrUnconfirmed)
	}
	if ack.Error == nil {
		return nil
	}
	if now, err := e.Get(ctx, key); errors.Is(err, ErrNotFound) || err == nil && now.Rev != expect {
		return ErrConflict
	}
	return fmt.Errorf("%w: %s", ErrUnconfirmed, ack.Error.Description)
}

// watchReader is how often it is looked whether a reader is still there.
const watchReader = 2 * time.Second

func (e *natsEngine) Consume(ctx context.Context, kind string, handle func(Message)) (func(), error) {
	var mu sync.Mutex
	stopped := false
	read := func() (jetstream.ConsumeContext, error) {
		return e.read(ctx, kind, func(m Message) {
			mu.Lock()
			defer mu.Unlock()
			if !stopped {
				handle(m)
			}
		})
	}
	reading, err := read()
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, err
	}
	if err != nil {
		e.log.Warn("records of a queue not readable yet", "queue", kind, "err", err)
	}
	watching, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(watchReader)
		defer tick.Stop()
		for {
			var closed <-chan struct{} // nil while nothing is read
			if reading != nil {
				closed = reading.Closed()
			}
			select {
			case <-watching.Done():
				if reading != nil {
					reading.Stop()
				}
				return
			case <-closed:
				reading = nil
			case <-tick.C:
			}
			if watching.Err() != nil {
				continue
			}
			if made := e.checkReader(watching, kind); made && reading != nil {
				reading.Stop()
				reading = nil
			}
			if reading != nil {
				continue
			}
			next, err := read()
			if err != nil { // at the next tick
				e.log.Warn("records of a queue not readable yet", "queue", kind, "err", err)
				continue
			}
			reading = next
		}
	}()
	return func() {
		stop()
		<-ended
		mu.Lock()
		stopped = true
		mu.Unlock()
	}, nil
}

// checkReader makes a queue's consumer again if it is gone, and reports whether it did.
func (e *natsEngine) checkReader(ctx context.Context, kind string) (made bool) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := e.js.Consumer(ctx, e.name, kind)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		e.fail(fmt.Errorf("the stream %s is gone from the NATS cluster, and with it every record: restore it, or start on an empty one", e.name))
		return false
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		return false
	}
	e.log.Error("NATS consumer of a queue is gone, making it again and handing out every record of the queue", "queue", kind)
	if err := e.makeConsumer(ctx, kind); err != nil {
		e.log.Error("NATS consumer of a queue not made again yet", "queue", kind, "err", err)
		return false
	}
	return true
}

// fail ends the engine: what it kept is gone.
func (e *natsEngine) fail(why error) {
	e.once.Do(func() {
		e.why = why
		close(e.failed)
	})
}

func (e *natsEngine) Failed() <-chan struct{} { return e.failed }

func (e *natsEngine) Why() error {
	select {
	case <-e.failed:
		return e.why
	default:
		return nil
	}
}

func (e *natsEngine) read(ctx context.Context, kind string, handle func(Message)) (jetstream.ConsumeContext, error) {
	consumer, err := e.js.Consumer(ctx, e.name, kind)
	if err != nil {
		return nil, err
	}
	const expiry, beat = 5 * time.Second, time.Second // a lost server is noticed after two missing heartbeats
	return consumer.Consume(func(m jetstream.Msg) {
		meta, err := m.Metadata()
		if err != nil || !strings.HasPrefix(m.Subject(), e.prefix+".") {
			return
		}
		handle(Message{
			Entry:    Entry{e.keyOf(m.Subject()), m.Data(), meta.Sequence.Stream},
			Receipt:  &natsReceipt{m},
			Doubtful: true, // somebody else may have it, and a look is cheap
		})
	}, jetstream.PullMaxMessages(128), jetstream.PullExpiry(expiry), jetstream.PullHeartbeat(beat),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			if !errors.Is(err, nats.ErrConnectionClosed) {
				e.log.Debug("consumer", "consumer", kind, "err", err)
			}
		}))
}

type natsReceipt struct{ m jetstream.Msg }

// Answers that get lost are made good by the redelivery.
func (r *natsReceipt) Ack()                  { _ = r.m.Ack() }
func (r *natsReceipt) Later(d time.Duration) { _ = r.m.NakWithDelay(max(d, time.Millisecond)) }
func (r *natsReceipt) Working()              { _ = r.m.InProgress() }

// changeServer is after how long without an answer another server is tried: the one that
// the connection is to may be cut off from the others.
const changeServer = 3 * time.Second

func (e *natsEngine) Load(ctx context.Context, kind string) (waiting, used uint64, err error) {
	waiting, used, current, err := e.load(ctx, kind)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		switch {
		case errors.Is(err, ErrUnread):
		case e.failing.IsZero():
			e.failing = time.Now()
		case time.Since(e.failing) > changeServer && e.nc.IsConnected():
			e.log.WarnContext(ctx, "NATS server does not answer for the store, trying another one", "server", e.nc.ConnectedServerName())
			e.failing = time.Now()
			_ = e.nc.ForceReconnect() // it goes on trying by itself
		}
		return 0, 0, err
	}
	e.failing = time.Time{}
	if current != e.upToDate {
		switch {
		case current < e.replicas:
			e.log.ErrorContext(ctx, "NATS node is down or behind: start it before another one fails", "replicas", e.replicas, "up_to_date", current)
		case e.upToDate != 0:
			e.log.InfoContext(ctx, "every replica of the records is up to date again", "replicas", e.replicas)
		}
		e.upToDate = current
	}
	if e.tellCurrent != nil {
		e.tellCurrent(current)
	}
	return waiting, used, nil
}

// Clock returns what the cluster's clock showed last, and the moments between which it did.
func (e *natsEngine) Clock() (theirs, asked, answered time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.clock[0], e.clock[1], e.clock[2]
}

func (e *natsEngine) load(ctx context.Context, kind string) (waiting, used uint64, current int, err error) {
	for _, queue := range e.queues {
		consumer, err := e.js.Consumer(ctx, e.name, queue)
		if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
			return 0, 0, 0, fmt.Errorf("%w: %w", ErrUnread, err)
		}
		if err != nil {
			return 0, 0, 0, err
		}
		if queue == kind {
			waiting = consumer.CachedInfo().NumPending
		}
	}
	asked := time.Now()
	stream, err := e.js.Stream(ctx, e.name)
	if err != nil {
		return 0, 0, 0, err
	}
	info := stream.CachedInfo()
	e.mu.Lock()
	e.clock = [3]time.Time{info.TimeStamp, asked, time.Now()}
	e.mu.Unlock()
	current = 1
	if info.Cluster != nil {
		for _, r := range info.Cluster.Replicas {
			if r.Current && !r.Offline {
				current++
			}
		}
	}
	return waiting, info.State.Bytes, current, nil
}

// Erase does nothing: what is removed is erased at once, and what is overwritten only when
// the server writes its file anew.
func (e *natsEngine) Erase(context.Context) error { return nil }

func (e *natsEngine) Exclusive() bool { return false }

func (e *natsEngine) Close() error {
	if e.nc != nil {
		e.nc.Close()
	}
	return nil
}
