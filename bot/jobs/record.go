package jobs

import (
	"fmt"
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
	began    time.Time // when `calling` was saved for the call that is under way
	lookedUp time.Time // when looking up began
}

// marks stay in a job, to know one's own writes again when others have gone on since.
type marks struct {
	origin  uint64 // nonce of the write that enqueued it
	settled uint64 // nonce of the `calling` whose success was saved last
}

// wireJob is a job as it is stored. What is private is sealed, so that waiting and
// finished records are dealt with undecrypted.
type wireJob struct {
	Label    string `cbor:"1,keyasint,omitempty" json:"label,omitempty"`
	Outcome  string `cbor:"2,keyasint,omitempty" json:"outcome,omitempty"`
	State    State  `cbor:"3,keyasint" json:"state"`
	Call     int    `cbor:"4,keyasint,omitempty" json:"call,omitempty"`
	Calls    int    `cbor:"5,keyasint,omitempty" json:"calls,omitempty"`
	Delivery int    `cbor:"6,keyasint,omitempty" json:"delivery,omitempty"`
	Attempt  int    `cbor:"7,keyasint,omitempty" json:"attempt,omitempty"`
	Wait     int64  `cbor:"8,keyasint,omitempty" json:"wait,omitempty"`
	Noticed  bool   `cbor:"9,keyasint,omitempty" json:"noticed,omitempty"`
	Owner    string `cbor:"10,keyasint,omitempty" json:"owner,omitempty"`
	Lease    int64  `cbor:"11,keyasint,omitempty" json:"lease,omitempty"`
	Created  int64  `cbor:"12,keyasint,omitempty" json:"created,omitempty"`
	Updated  int64  `cbor:"13,keyasint,omitempty" json:"updated,omitempty"`
	Nonce    uint64 `cbor:"14,keyasint,omitempty" json:"nonce,omitempty"`
	Phase    phase  `cbor:"15,keyasint,omitempty" json:"phase,omitempty"`
	Began    int64  `cbor:"16,keyasint,omitempty" json:"began,omitempty"`
	LookedUp int64  `cbor:"17,keyasint,omitempty" json:"lookedUp,omitempty"`
	Origin   uint64 `cbor:"18,keyasint,omitempty" json:"origin,omitempty"`
	Settled  uint64 `cbor:"19,keyasint,omitempty" json:"settled,omitempty"`
	To       string `cbor:"21,keyasint,omitempty" json:"to,omitempty"`
	Sealed   []byte `cbor:"20,keyasint" json:"sealed"`
}

type wirePrivate struct {
	Data   []byte         `cbor:"1,keyasint,omitempty"`
	Outbox []wireDelivery `cbor:"2,keyasint,omitempty"`
}

type wireDelivery struct {
	Body    []byte        `cbor:"1,keyasint,omitempty"`
	Until   int64         `cbor:"2,keyasint,omitempty"`
	Receipt []byte        `cbor:"3,keyasint,omitempty"`
	State   DeliveryState `cbor:"4,keyasint,omitempty"`
	Attempt int           `cbor:"5,keyasint,omitempty"`
}

type wireDoc struct {
	Expires int64  `cbor:"1,keyasint,omitempty" json:"expires,omitempty"`
	Nonce   uint64 `cbor:"2,keyasint,omitempty" json:"nonce,omitempty"`
	Sealed  []byte `cbor:"20,keyasint" json:"sealed"`
}

type wireTimer struct {
	At     int64  `cbor:"1,keyasint" json:"at"`
	Nonce  uint64 `cbor:"2,keyasint,omitempty" json:"nonce,omitempty"`
	Sealed []byte `cbor:"20,keyasint" json:"sealed"`
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

func (s *sealer) encodeJob(key string, j *Job) ([]byte, error) {
	private := wirePrivate{Data: j.Data}
	for _, d := range j.Outbox {
		private.Outbox = append(private.Outbox, wireDelivery{d.Body, toUnix(d.Until), d.Receipt, d.State, d.Attempt})
	}
	plain, err := cbor.Marshal(private)
	if err != nil {
		return nil, fmt.Errorf("encode job: %w", err)
	}
	return cbor.Marshal(wireJob{
		Label: j.Label, Outcome: j.Outcome, To: j.To, State: j.State,
		Call: j.Call, Calls: j.Calls, Delivery: j.Delivery, Attempt: j.Attempt,
		Wait: toUnix(j.Wait), Noticed: j.Noticed, Owner: j.Owner, Lease: toUnix(j.Lease),
		Created: toUnix(j.Created), Updated: toUnix(j.Updated),
		Nonce: j.nonce, Phase: j.phase, Began: toUnix(j.began), LookedUp: toUnix(j.lookedUp),
		Origin: j.origin, Settled: j.settled,
		Sealed: s.seal(key, plain),
	})
}

// decodeClear decodes what is stored in clear, and returns what is sealed.
func decodeClear(e engine.Entry) (Job, []byte, error) {
	var w wireJob
	if err := cbor.Unmarshal(e.Body, &w); err != nil {
		return Job{}, nil, fmt.Errorf("record %s: %w", e.Key, err)
	}
	_, segments, err := engine.SplitKey(e.Key)
	if err != nil || len(segments) != 1 {
		return Job{}, nil, fmt.Errorf("record %s is no job", e.Key)
	}
	return Job{
		ID: segments[0], Label: w.Label, Outcome: w.Outcome, To: w.To, State: w.State,
		Call: w.Call, Calls: w.Calls, Delivery: w.Delivery, Attempt: w.Attempt,
		Wait: fromUnix(w.Wait), Noticed: w.Noticed, Owner: w.Owner, Lease: fromUnix(w.Lease),
		Created: fromUnix(w.Created), Updated: fromUnix(w.Updated), Revision: e.Rev,
		progress: progress{w.Nonce, w.Phase, fromUnix(w.Began), fromUnix(w.LookedUp)},
		marks:    marks{w.Origin, w.Settled},
	}, w.Sealed, nil
}

// openJob adds to j what is sealed.
func (s *sealer) openJob(key string, j *Job, sealed []byte) error {
	plain, err := s.open(key, sealed)
	if err != nil {
		return err
	}
	var private wirePrivate
	if err := cbor.Unmarshal(plain, &private); err != nil {
		return fmt.Errorf("record %s: %w", key, err)
	}
	j.Data = private.Data
	for _, d := range private.Outbox {
		j.Outbox = append(j.Outbox, Delivery{d.Body, fromUnix(d.Until), d.Receipt, d.State, d.Attempt})
	}
	return nil
}

func (s *sealer) decodeJob(e engine.Entry) (Job, error) {
	j, sealed, err := decodeClear(e)
	if err != nil {
		return Job{}, err
	}
	return j, s.openJob(e.Key, &j, sealed)
}

func (s *sealer) encodeDoc(key string, d Doc, nonce uint64) ([]byte, error) {
	return cbor.Marshal(wireDoc{Expires: toUnix(d.Expires), Nonce: nonce, Sealed: s.seal(key, d.Value)})
}

func (s *sealer) decodeDoc(e engine.Entry) (Doc, error) {
	var w wireDoc
	if err := cbor.Unmarshal(e.Body, &w); err != nil {
		return Doc{}, fmt.Errorf("record %s: %w", e.Key, err)
	}
	_, segments, err := engine.SplitKey(e.Key)
	if err != nil {
		return Doc{}, err
	}
	value, err := s.open(e.Key, w.Sealed)
	if err != nil {
		return Doc{}, err
	}
	return Doc{Key: segments, Value: value, Revision: e.Rev, Expires: fromUnix(w.Expires)}, nil
}

func (s *sealer) encodeTimer(key string, t Timer, nonce uint64) ([]byte, error) {
	return cbor.Marshal(wireTimer{At: toUnix(t.At), Nonce: nonce, Sealed: s.seal(key, nil)})
}

func (s *sealer) decodeTimer(e engine.Entry) (Timer, error) {
	var w wireTimer
	if err := cbor.Unmarshal(e.Body, &w); err != nil {
		return Timer{}, fmt.Errorf("record %s: %w", e.Key, err)
	}
	_, segments, err := engine.SplitKey(e.Key)
	if err != nil || len(segments) != 1 {
		return Timer{}, fmt.Errorf("record %s is no timer", e.Key)
	}
	if _, err := s.open(e.Key, w.Sealed); err != nil {
		return Timer{}, err
	}
	return Timer{Key: segments[0], At: fromUnix(w.At)}, nil
}

// nonceOf returns the nonce of the write that stored a document or a timer.
func nonceOf(e engine.Entry) uint64 {
	var w wireDoc // both have it in the same place
	if err := cbor.Unmarshal(e.Body, &w); err != nil {
		return 0
	}
	return w.Nonce
}
