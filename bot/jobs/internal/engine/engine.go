// Package engine keeps records durably and hands each write to a worker.
//
// An [Engine] knows keys, bodies and revisions, not what they are about. There are two, one
// on a directory of this process and one on a NATS cluster that several processes share,
// and one in memory, for tests. What all have to do is written down in [Engine], and
// tested by one suite over all of them.
package engine

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Engine is a durable map from keys to records with compare-and-set writes, whose writes
// are also delivered to a worker. Keys are made by [JoinKey].
type Engine interface {
	// Put stores body under key if the record's revision is still expect (0: there is
	// none) and returns the new revision when the write is durable. A ttl above zero
	// removes the record after it, in whole seconds; such a record need not be handed to
	// a worker.
	//
	// held says that the caller is the worker that has the record, and goes on with it. An
	// exclusive engine then does not hand it out, unless it hears nothing for a while, and
	// the receipt that the worker has is from then on for what it wrote.
	//
	// It returns ErrConflict or ErrFull if the write certainly did not happen. Any other
	// error leaves that open.
	Put(ctx context.Context, key string, body []byte, expect uint64, ttl time.Duration, held bool) (uint64, error)
	// Get returns the newest record or ErrNotFound.
	Get(ctx context.Context, key string) (Entry, error)
	// List calls yield with the records at prefix and below it. With sorted they come in
	// the order of their keys, else in any.
	List(ctx context.Context, prefix string, sorted bool, yield func(Entry) bool) error
	// Queued is List of the records of a queue that somebody may still have to work on; an
	// engine that cannot tell lists all.
	Queued(ctx context.Context, kind string, sorted bool, yield func(Entry) bool) error
	// Remove deletes the record if its revision is still expect, and returns ErrConflict
	// if not.
	Remove(ctx context.Context, key string, expect uint64) error
	// Consume hands the records of a queue to handle, each until it is acked or
	// superseded. It calls handle from one goroutine, and holds back while it blocks. The
	// function that it returns ends that, and returns when handle runs no more.
	Consume(ctx context.Context, kind string, handle func(Message)) (stop func(), err error)
	// Failed is closed when the records are gone for good, and Why says how.
	Failed() <-chan struct{}
	Why() error
	// Load returns how many records of a queue were not handed out yet, and how many bytes
	// all records take. It returns ErrUnread while nothing hands them out.
	Load(ctx context.Context, kind string) (waiting, used uint64, err error)
	// Erase makes what was overwritten or removed before unreadable for whoever has the
	// files, as far as the engine can.
	Erase(ctx context.Context) error
	// Exclusive reports that no other process can be using the records.
	Exclusive() bool
	Close() error
}

// Entry is a stored record.
type Entry struct {
	Key  string
	Body []byte
	Rev  uint64
}

// Message is a record that is handed to a worker.
type Message struct {
	Entry
	Receipt Receipt
	// Doubtful says that the record may have been changed since: the message was handed
	// out before, or was long on its way.
	Doubtful bool
}

// Receipt answers a message. Its methods do not wait.
type Receipt interface {
	Ack()                  // it is done with
	Later(d time.Duration) // hand it out again, after d
	Working()              // a worker is still at it
}

// Config is what opening an engine needs.
type Config struct {
	Queues   []string // first segments of the keys of records that workers are handed
	MaxBytes uint64   // of all records
	Log      *slog.Logger

	Dir        string          // of the embedded engine
	Mark       func() error    // writes down that the directory has records, before they are put there
	EraseAfter time.Duration   // after which what was overwritten or removed is in no file any more; 0: never
	ReadOnly   bool            // nothing on disk is changed, and every write fails
	Damaged    func()          // a file of the embedded engine was found to be damaged
	Current    func(n int)     // of a cluster: how many replicas of the records are up to date
	Reopened   func(err error) // the embedded engine failed and was opened again

	URL      string // of a cluster; comma-separated
	Creds    string // path of a credentials file, or of an nkey's seed
	Stream   string // its name, and the first token of its subjects
	Replicas int
}

// What an [Engine] returns.
var (
	ErrConflict    = errors.New("somebody else changed it")
	ErrNotFound    = errors.New("no such record")
	ErrFull        = errors.New("the store takes no new jobs now")
	ErrInUse       = errors.New("another process uses the directory")
	ErrUnread      = errors.New("nothing hands out the records")
	ErrUnconfirmed = errors.New("no answer from the store") // an attempt ran into its time limit
)
