package jobs

import (
	"context"
	"errors"
	"time"
)

// engine is a durable map from keys to records with compare-and-set writes, whose every
// write is also delivered to a worker. Keys are dotted paths of escaped segments.
type engine interface {
	// put stores body under key if the record's revision is still expect (0: there is
	// none) and returns the new revision when the write is durable. A ttl above zero
	// removes the record after it, in whole seconds.
	//
	// It returns ErrConflict or ErrFull if the write certainly did not happen. Any other
	// error leaves that open.
	put(ctx context.Context, key string, body []byte, expect uint64, ttl time.Duration) (uint64, error)
	// get returns the newest record or ErrNotFound.
	get(ctx context.Context, key string) (entry, error)
	// list calls yield with the records at prefix and below it. With sorted they come in
	// the order of their keys, else in any.
	list(ctx context.Context, prefix string, sorted bool, yield func(entry) bool) error
	// remove deletes the record if its revision is still expect, and returns ErrConflict
	// if not.
	remove(ctx context.Context, key string, expect uint64) error
	// consume hands the records below prefix to handle, each until it is acked or
	// superseded. It calls handle from one goroutine, and holds back while it blocks. The
	// function that it returns ends that, and returns when handle runs no more.
	consume(ctx context.Context, prefix string, handle func(message)) (stop func(), err error)
	// waiting says how many records below prefix were not handed out yet, and used how
	// many bytes all records take.
	load(ctx context.Context, prefix string) (waiting, used uint64, err error)
	// exclusive says that no other process can be using the records.
	exclusive() bool
	// reopen tries to bring a stuck engine back.
	reopen(ctx context.Context) error
	close() error
}

// entry is a stored record.
type entry struct {
	key  string
	body []byte
	rev  uint64
}

// message is a record that is handed to a worker.
type message struct {
	entry
	receipt receipt
	// doubtful says that the record may have been changed since: the message was handed
	// out before, or was long on its way.
	doubtful bool
}

// receipt answers a message. Its methods do not wait.
type receipt interface {
	ack()                  // it is done with
	later(d time.Duration) // hand it out again, after d
	working()              // a worker is still at it
}

// errUnconfirmed is an attempt that ran into its time limit.
var errUnconfirmed = errors.New("no answer from the store")
