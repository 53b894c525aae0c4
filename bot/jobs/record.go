package jobs

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"meetbot/bot/jobs/internal/engine"
)

// phase says what is going on in [Calling].
type phase uint8

const (
	phaseRunning phase = iota // Owner makes the call, or died doing so
	phaseUnsent               // the last try left nothing; the call is made again at Wait
	phaseLookup               // the outcome is unknown; it is looked up at Wait
)

// progress is what the runner keeps in a job for itself.
type progress struct {
	nonce    uint64 // of the write, to know one's own again after a lost answer
	phase    phase
	began    time.Time     // when `calling` was saved for the call that is under way
	lookedUp time.Time     // when looking up began
	spent    time.Duration // on looking up, and on the pauses between the tries
}

// marks stay in a job, to know one's own writes again when others have gone on since.
type marks struct {
	origin  uint64 // nonce of the write that enqueued it
	settled uint64 // nonce of the `calling` whose success was saved last
}

// A stored record is the length of its clear part as a varint, the clear part in CBOR, and
// the sealed part, which is bound to the former. Both are written anew with each change.

// clearJob is what of a job is in clear.
type clearJob struct {
	Label    string        `cbor:"1,keyasint,omitempty" json:"label,omitempty"`
	Outcome  string        `cbor:"2,keyasint,omitempty" json:"outcome,omitempty"`
	State    State         `cbor:"3,keyasint" json:"state"`
	Call     int           `cbor:"4,keyasint,omitempty" json:"call,omitempty"`
	Calls    int           `cbor:"5,keyasint,omitempty" json:"calls,omitempty"`
	Delivery int           `cbor:"6,keyasint,omitempty" json:"delivery,omitempty"`
	Attempt  int           `cbor:"7,keyasint,omitempty" json:"attempt,omitempty"`
	Wait     int64         `cbor:"8,keyasint,omitempty" json:"wait,omitempty"`
	Noticed  bool          `cbor:"9,keyasint,omitempty" json:"noticed,omitempty"`
	Owner    string        `cbor:"10,keyasint,omitempty" json:"owner,omitempty"`
	Lease    int64         `cbor:"11,keyasint,omitempty" json:"lease,omitempty"`
	Created  int64         `cbor:"12,keyasint,omitempty" json:"created,omitempty"`
	Updated  int64         `cbor:"13,keyasint,omitempty" json:"updated,omitempty"`
	Nonce    uint64        `cbor:"14,keyasint,omitempty" json:"nonce,omitempty"`
	Phase    phase         `cbor:"15,keyasint,omitempty" json:"phase,omitempty"`
	Began    int64         `cbor:"16,keyasint,omitempty" json:"began,omitempty"`
	LookedUp int64         `cbor:"17,keyasint,omitempty" json:"lookedUp,omitempty"`
	Origin   uint64        `cbor:"18,keyasint,omitempty" json:"origin,omitempty"`
	Settled  uint64        `cbor:"19,keyasint,omitempty" json:"settled,omitempty"`
	Prev     uint64        `cbor:"22,keyasint,omitempty" json:"prev,omitempty"`
	To       string        `cbor:"21,keyasint,omitempty" json:"to,omitempty"`
	Source   string        `cbor:"23,keyasint,omitempty" json:"source,omitempty"`
	Spent    time.Duration `cbor:"24,keyasint,omitempty" json:"spent,omitempty"`
}

type wirePrivate struct {
	Data   []byte         `cbor:"1,keyasint,omitempty"`
	Outbox []wireDelivery `cbor:"2,keyasint,omitempty"`
	Err    string         `cbor:"3,keyasint,omitempty"`
}

type wireDelivery struct {
	Body    []byte        `cbor:"1,keyasint,omitempty"`
	Until   int64         `cbor:"2,keyasint,omitempty"`
	Receipt []byte        `cbor:"3,keyasint,omitempty"`
	State   DeliveryState `cbor:"4,keyasint,omitempty"`
	Attempt int           `cbor:"5,keyasint,omitempty"`
	Lane    string        `cbor:"6,keyasint,omitempty"`
	Rank    int           `cbor:"7,keyasint,omitempty"`
	Wait    int64         `cbor:"8,keyasint,omitempty"`
	Spent   time.Duration `cbor:"9,keyasint,omitempty"`
	Label   string        `cbor:"10,keyasint,omitempty"`
	Err     string        `cbor:"11,keyasint,omitempty"`
}

// clearDoc is what of a document or of a timer is in clear.
type clearDoc struct {
	Expires int64  `cbor:"1,keyasint,omitempty" json:"expires,omitempty"` // or is due
	Nonce   uint64 `cbor:"2,keyasint,omitempty" json:"nonce,omitempty"`
	Prev    uint64 `cbor:"3,keyasint,omitempty" json:"prev,omitempty"`
}

func toUnix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromUnix(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// join makes a record of its parts.
func (s *sealer) join(key string, clear any, plain []byte) ([]byte, error) {
	c, err := cbor.Marshal(clear)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", key, err)
	}
	sealed := s.seal(key, c, plain)
	body := make([]byte, 0, binary.MaxVarintLen32+len(c)+len(sealed))
	body = binary.AppendUvarint(body, uint64(len(c)))
	return append(append(body, c...), sealed...), nil
}

// split returns the parts of a record.
func split(e engine.Entry) (clear, sealed []byte, err error) {
	n, used := binary.Uvarint(e.Body)
	if used <= 0 || n > uint64(len(e.Body)-used) {
		return nil, nil, fmt.Errorf("%w: %s is cut off", ErrUnreadable, e.Key)
	}
	return e.Body[used : used+int(n)], e.Body[used+int(n):], nil
}

// read opens a record, and decodes its clear part only when that is known to be as it was
// written.
func (s *sealer) read(e engine.Entry, clear any) (plain []byte, err error) {
	c, sealed, err := split(e)
	if err != nil {
		return nil, err
	}
	if plain, err = s.open(e.Key, c, sealed); err != nil {
		return nil, err
	}
	if err := cbor.Unmarshal(c, clear); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreadable, e.Key, err)
	}
	return plain, nil
}

// MaxErr is how long the text of an error is that a job keeps, in bytes.
const MaxErr = 300

// shortErr is the first line of an error, cut at a character.
func shortErr(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > MaxErr {
		s = strings.ToValidUTF8(s[:MaxErr], "") + "…"
	}
	return s
}

func (s *sealer) encodeJob(key string, j *Job, prev uint64) ([]byte, error) {
	private := wirePrivate{Data: j.Data, Err: shortErr(j.Err)}
	for _, d := range j.Outbox {
		private.Outbox = append(private.Outbox, wireDelivery{d.Body, toUnix(d.Until), d.Receipt, d.State, d.Attempt, d.Lane, d.Rank, toUnix(d.Wait), d.Spent, d.Label, shortErr(d.Err)})
	}
	plain, err := cbor.Marshal(private)
	if err != nil {
		return nil, fmt.Errorf("encode job: %w", err)
	}
	return s.join(key, clearJob{
		Label: j.Label, Outcome: j.Outcome, Source: j.Source, To: j.To, State: j.State,
		Call: j.Call, Calls: j.Calls, Delivery: j.Delivery, Attempt: j.Attempt,
		Wait: toUnix(j.Wait), Noticed: j.Noticed, Owner: j.Owner, Lease: toUnix(j.Lease),
		Created: toUnix(j.Created), Updated: toUnix(j.Updated),
		Nonce: j.nonce, Phase: j.phase, Began: toUnix(j.began), LookedUp: toUnix(j.lookedUp), Spent: j.spent,
		Origin: j.origin, Settled: j.settled, Prev: prev,
	}, plain)
}

func (s *sealer) decodeJob(e engine.Entry) (Job, mark, error) {
	var w clearJob
	plain, err := s.read(e, &w)
	_, segments, keyErr := engine.SplitKey(e.Key)
	if err == nil && (keyErr != nil || len(segments) != 1) {
		err = fmt.Errorf("%w: %s is no job", ErrUnreadable, e.Key)
	}
	if err != nil {
		return Job{}, mark{}, err
	}
	var private wirePrivate
	if err := cbor.Unmarshal(plain, &private); err != nil {
		return Job{}, mark{}, fmt.Errorf("%w: %s: %w", ErrUnreadable, e.Key, err)
	}
	j := Job{
		ID: segments[0], Label: w.Label, Outcome: w.Outcome, Source: w.Source, To: w.To, State: w.State,
		Call: w.Call, Calls: w.Calls, Delivery: w.Delivery, Attempt: w.Attempt,
		Wait: fromUnix(w.Wait), Noticed: w.Noticed, Owner: w.Owner, Lease: fromUnix(w.Lease),
		Created: fromUnix(w.Created), Updated: fromUnix(w.Updated), Revision: e.Rev,
		progress: progress{w.Nonce, w.Phase, fromUnix(w.Began), fromUnix(w.LookedUp), w.Spent},
		marks:    marks{w.Origin, w.Settled}, Data: private.Data, Err: private.Err,
	}
	for _, d := range private.Outbox {
		j.Outbox = append(j.Outbox, Delivery{d.Body, fromUnix(d.Until), d.Receipt, d.State, d.Attempt, d.Lane, d.Rank, fromUnix(d.Wait), d.Spent, d.Label, d.Err})
	}
	return j, mark{rev: e.Rev, prev: w.Prev, first: w.Origin}, nil
}

func (s *sealer) encodeDoc(key string, d Doc, nonce, prev uint64) ([]byte, error) {
	return s.join(key, clearDoc{Expires: toUnix(d.Expires), Nonce: nonce, Prev: prev}, d.Value)
}

func (s *sealer) decodeDoc(e engine.Entry) (Doc, mark, error) {
	w, value, m, err := s.decodeMarked(e)
	if err != nil {
		return Doc{}, mark{}, err
	}
	_, segments, err := engine.SplitKey(e.Key)
	return Doc{Key: segments, Value: value, Revision: e.Rev, Expires: fromUnix(w.Expires)}, m, err
}

func (s *sealer) encodeTimer(key string, t Timer, nonce, prev uint64) ([]byte, error) {
	return s.join(key, clearDoc{Expires: toUnix(t.At), Nonce: nonce, Prev: prev}, nil)
}

func (s *sealer) decodeTimer(e engine.Entry) (Timer, mark, error) {
	w, _, m, err := s.decodeMarked(e)
	if err != nil {
		return Timer{}, mark{}, err
	}
	_, segments, err := engine.SplitKey(e.Key)
	if err != nil || len(segments) != 1 {
		return Timer{}, mark{}, fmt.Errorf("%w: %s is no timer", ErrUnreadable, e.Key)
	}
	return Timer{Key: segments[0], At: fromUnix(w.Expires)}, m, nil
}

func (s *sealer) decodeMarked(e engine.Entry) (clearDoc, []byte, mark, error) {
	var w clearDoc
	plain, err := s.read(e, &w)
	m := mark{rev: e.Rev, prev: w.Prev}
	if w.Prev == 0 {
		m.first = w.Nonce
	}
	return w, plain, m, err
}

// nonceOf returns the nonce of the write that stored a document or a timer.
func (s *sealer) nonceOf(e engine.Entry) uint64 {
	w, _, _, err := s.decodeMarked(e)
	if err != nil {
		return 0
	}
	return w.Nonce
}
