// Package jobs keeps promises across a crash.
//
// A [Job] is one promise: something that a person asked for and the bot acknowledged. It is
// on disk before the acknowledgement, and its record moves through states:
//
//	accepted ─▶ [awaiting_approval] ─▶ calling(i/m) ─▶ called(i/m) ─▶ … ─▶ delivering(k/n) ─▶ done
//	                                      │  └─▶ refused ─▶ …                └─▶ undeliverable
//	                                      └─▶ unknown ─▶ …
//
// The record is the message: every transition is one compare-and-set write, and that
// same write is what a worker is handed next, so the state and the work queue cannot
// come apart. On a cluster the worker stops after a save, since any replica may be handed
// what was saved; alone it goes on, and drops what it is handed of its own.
//
// A call is something that must not happen twice. `calling` is on disk before
// [Handler.Call] runs, only the process that wrote it may run it, and after a crash or a
// lost answer the call is never repeated but looked up with [Handler.Reconcile]. What is
// delivered to people is kept in the record's outbox and recorded one by one.
//
// Beside the jobs a [Store] keeps documents and timers: in one directory of this process,
// or in a NATS JetStream stream of a cluster that several processes share ([Open]); or in
// memory, for tests ([OpenMemory]). Every write is synced before it is confirmed, and
// writes that arrive together share one sync.
//
// The package does not know what the promise is about: that is the [Handler]'s.
package jobs

import (
	"context"
	"errors"
	"time"

	"meetbot/bot/jobs/internal/engine"
)

// State is a recorded step of a job.
type State string

const (
	Accepted         State = "accepted"
	AwaitingApproval State = "awaiting_approval"
	Calling          State = "calling"
	Called           State = "called"  // call number Call succeeded, or was found to have
	Refused          State = "refused" // call number Call was definitely not carried out
	Unknown          State = "unknown" // whether call number Call was carried out cannot be found out
	Delivering       State = "delivering"
	Done             State = "done"
	Undeliverable    State = "undeliverable" // finished, but at least one delivery reached nobody
)

// Finished reports whether nothing is left to do in s. Finished records expire.
func (s State) Finished() bool { return s == Done || s == Undeliverable }

// Job is one promise. Data, Outbox and Err are encrypted at rest, everything else is in
// clear, and authenticated: no text of a person, no name and no secret belongs there.
type Job struct {
	// ID is the same for the same wish, so that a wish that arrives twice is one job.
	// Any text of 1 to 200 bytes.
	ID string
	// Label says what kind of job it is, to an operator and to metrics: "meet", "livepush to".
	Label string
	// Outcome is how it ended, in one word of the handler's, to an operator and to metrics.
	Outcome string
	// Source is where it was asked for, in one word of the handler's; empty: the handler's own
	// wish.
	Source string
	// To is whom its calls go to, set by the handler before a call: one side that does not
	// answer holds up its own calls and no others.
	To string

	State    State
	Call     int       // index of the call being made, or made last
	Calls    int       // how many calls there are, as far as the handler knows by now
	Delivery int       // index of the delivery that is next, or being made
	Attempt  int       // failed tries of the current step
	Wait     time.Time // not before; the end of a wait for approval
	Noticed  bool      // the person was told that it takes longer
	Owner    string    // the process that wrote `calling`
	Lease    time.Time // until when that process may still be at it, or its request take effect
	Created  time.Time // when the person asked, or a second one approved
	Updated  time.Time
	Revision uint64 // of the record; 0 before it is stored

	Data   []byte     // the handler's
	Memo   any        // the handler's, while one worker goes on with the job; not stored
	Outbox []Delivery // the messages to people: see [Delivery] for the order
	// Err is the last error that a step met, to an operator: a word of what the log has,
	// without secrets, cut at [MaxErr]. A later success leaves it.
	Err string

	progress
	marks
}

// Delivery is one message to somebody. Those of one lane go out in their order; lanes do
// not wait for each other.
type Delivery struct {
	Body    []byte    // the handler's
	Until   time.Time // when trying ends in any case; zero: only [Config.DeliveryWindow] bounds it
	Receipt []byte    // what the handler got for it; earlier receipts are there for later deliveries
	State   DeliveryState
	Attempt int
	Lane    string
	Rank    int           // of the lanes that could go on, the one with the smallest goes first
	Wait    time.Time     // not before
	Spent   time.Duration // on tries and on the pauses between them; nothing while no process ran
	Label   string        // what kind of message it is, and where it goes, to an operator
	Err     string        // why the last try failed, as [Job.Err]
}

// DeliveryState says how a delivery ended.
type DeliveryState string

const (
	Pending DeliveryState = ""
	Sent    DeliveryState = "sent"
	Skipped DeliveryState = "skipped" // has no place on this platform
	Lost    DeliveryState = "lost"    // every way to the person is closed; counted
)

// Next says how a job goes on.
type Next struct {
	kind  nextKind
	until time.Time
}

type nextKind int

const (
	nextDeliver nextKind = iota
	nextCall
	nextAwait
	nextRetry
)

// MakeCall goes on with call number j.Call, which the handler has set.
func MakeCall() Next { return Next{kind: nextCall} }

// Deliver goes on with the outbox, which the handler has filled; delivered items that
// were there before stay as they are.
func Deliver() Next { return Next{kind: nextDeliver} }

// Await leaves the job waiting for [Store.Update]. At until, Next is asked again.
func Await(until time.Time) Next { return Next{kind: nextAwait, until: until} }

// RetryAt asks Next again at the given time.
func RetryAt(t time.Time) Next { return Next{kind: nextRetry, until: t} }

// Handler is what the promises are about. Its methods run side by side for different
// jobs, never for the same one. They change j.Data and j.Outbox in place; what they
// leave there is saved with the transition that follows. A context ends when the
// process stops or the step's time is up.
type Handler interface {
	// Next is asked in Accepted, AwaitingApproval (when the wait is over), Called, Refused
	// and Unknown. It may read, and it may write what can be written twice; it is asked
	// again after a crash. An error is retried with backoff.
	Next(ctx context.Context, j *Job) (Next, error)
	// Call carries out call number j.Call, which must not happen twice.
	//
	// nil saves Called. An error that matches [ErrNotSent] was before anything left the
	// process: the call is tried again with backoff, until [Config.CallWindow] after
	// Created, then saved as Refused. One that matches [ErrUnknown] is looked up later with
	// Reconcile. Every other error is a definite refusal and saves Refused. The error
	// itself is not saved: the handler puts into j.Data what it will need.
	Call(ctx context.Context, j *Job) error
	// Reconcile finds out what became of call number j.Call. It runs when the other side's
	// own request could no longer take effect. nil saves Called; [ErrAbsent] says that it
	// is certain that nothing happened and that a repeat is harmless, and the call is made
	// again; [ErrUnknown] saves Unknown; any other error is retried until
	// [Config.ReconcileWindow] is over, which saves Unknown.
	Reconcile(ctx context.Context, j *Job) error
	// Late is told that a call which had been given up returned with success after all:
	// late is the job as that call left it, j the record as it is now. It reports whether
	// j was corrected, and then j goes back to Called.
	Late(ctx context.Context, j, late *Job) bool
	// Deliver carries out j.Outbox[j.Delivery] and leaves a receipt in it. An error is
	// retried with backoff (or after [RetryAfter]) until the delivery's Until; one that
	// matches [ErrSkip] or [ErrLost] ends it.
	Deliver(ctx context.Context, j *Job) error
	// Ended is told that a job is over, before its last state is saved: what need not be
	// kept is dropped from j.Data and j.Outbox. It may be told twice. The span in ctx is that
	// of the whole job.
	Ended(ctx context.Context, j *Job)
	// Notice tells the person, once and as well as it can, that the job takes longer, unless
	// the person has been told something. It is called [Config.NoticeAfter] after Created,
	// whatever the job waits for but a second person, beside what is done for it.
	Notice(ctx context.Context, j *Job)
	// Timer handles a timer that is due. It may be handed the same one twice. An error is
	// retried.
	Timer(ctx context.Context, t Timer) error
}

// Timer is a reminder to the handler itself.
type Timer struct {
	Key string
	At  time.Time
}

// Doc is a small record that is not a job: a meeting, a destination, a line of the audit
// log. Its Value is encrypted at rest and bound to its Key; the key is stored in clear.
type Doc struct {
	// Key is made of one or more segments, each any non-empty text, at most 300 bytes in all.
	Key      []string
	Value    []byte
	Revision uint64
	// Expires removes it; zero keeps it. Whole seconds.
	Expires time.Time
}

// What [Handler] returns to say how a step ended, and what [Store] returns.
var (
	ErrNotSent = errors.New("nothing was sent")
	ErrUnknown = errors.New("outcome unknown")
	ErrAbsent  = errors.New("it certainly did not happen")
	ErrSkip    = errors.New("no place for this delivery")
	ErrLost    = errors.New("no way left to deliver")

	ErrDuplicate    = errors.New("this job is already there")
	ErrConflict     = engine.ErrConflict
	ErrNotFound     = engine.ErrNotFound
	ErrNotConfirmed = errors.New("not confirmed as durable in time")  // it may or may not be stored
	ErrFull         = engine.ErrFull                                  // disk or quota
	ErrBusy         = errors.New("too many jobs are waiting")         //
	ErrStopping     = errors.New("the process takes no new jobs now") // shutting down
	ErrInUse        = engine.ErrInUse
	ErrDamaged      = engine.ErrDamaged
	ErrUnreadable   = errors.New("a record cannot be read") // it is refused, and stops nothing else
	ErrWrongKey     = errors.New("the store was written with another key")
	ErrOpenToOthers = errors.New("the key beside the store is not the bot's alone")
)

// RetryAfter makes an error that is retried after the given time and not earlier.
type RetryAfter struct {
	After time.Duration
	Err   error
}

func (e *RetryAfter) Error() string { return e.Err.Error() }
func (e *RetryAfter) Unwrap() error { return e.Err }
