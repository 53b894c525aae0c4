package commands

import (
	"cmp"
	"context"
	"errors"
	"time"

	"meetbot/bot/jobs"
	"meetbot/bot/livepush"
	"meetbot/bot/records"
	"meetbot/bot/registry"
	"meetbot/meeting"
)

// docCarry is the key of the pushes that a meeting did not take, for the button that makes
// a new one: meeting → calls, with their keys.
const docCarry = "carry"

// carryFor is how long a key is kept for that button.
const carryFor = 10 * time.Minute

// carry takes what is pushed from a meeting to another one.
type carry struct {
	store   records.Store
	dests   livepush.Destinations
	clients clients
	now     func() time.Time
}

// keep remembers what a meeting did not take, since it has the address with another key.
func (h carry) keep(ctx context.Context, ref meeting.Ref, calls []pushCall) error {
	key := []string{docCarry, ref.String()}
	for {
		doc, err := h.store.Doc(ctx, key...)
		if err != nil && !errors.Is(err, jobs.ErrNotFound) {
			return err
		}
		kept, _ := records.Decode[[]pushCall](doc.Value)
		for _, s := range calls {
			if s.Outcome == callReplaced {
				s.Outcome = callPending
				kept = replaceCall(kept, s)
			}
		}
		body, err := records.Encode(kept)
		if err != nil {
			return err
		}
		_, err = h.store.PutDoc(ctx, jobs.Doc{Key: key, Value: body, Revision: doc.Revision, Expires: h.now().Add(carryFor)})
		if !errors.Is(err, jobs.ErrConflict) {
			return err
		}
	}
}

// replaceCall puts a call in the place of the one to the same address: of one whose address is not
// known any more, by what it is called at the meeting.
func replaceCall(calls []pushCall, s pushCall) []pushCall {
	for i, was := range calls {
		same := meeting.SamePushAddress(was.Target.URL, s.Target.URL)
		if was.Target.URL == "" {
			same = was.Target.Name == cmp.Or(s.There, s.Target.Name)
		}
		if same {
			calls[i] = s
			return calls
		}
	}
	return append(calls, s)
}

// of is all that is to be set at a meeting in the place of another: what is on or on standby
// there, with the keys that were given last. What cannot be read there has no key.
func (h carry) of(ctx context.Context, reg registry.Registration) ([]pushCall, error) {
	var calls []pushCall
	has, err := h.clients.of(reg.Ref().Provider).Pushes(ctx, reg.Account, reg.Ref().ID)
	switch {
	case err == nil:
		for _, set := range has {
			s := pushCall{Target: set, Fingerprint: h.dests.Fingerprint(set.Key)}
			standby := false
			for _, p := range reg.Pushes {
				if p.Fingerprint == s.Fingerprint && (set.Name == p.Name || set.Name == "") { // its provider may keep no name
					s.Target.Name, s.Destination, standby = p.Name, p.Destination, p.Standby
				}
			}
			if set.Enabled || standby {
				calls = append(calls, s)
			}
		}
	case errors.Is(err, meeting.ErrUnavailable), errors.Is(err, meeting.ErrRateLimited):
		return nil, err
	default: // not to be read; or the meeting is gone
		for _, p := range reg.Pushes {
			if p.Enabled || p.Standby {
				calls = append(calls, pushCall{Target: meeting.PushTarget{Name: p.Name, Enabled: p.Enabled}, Destination: p.Destination})
			}
		}
	}
	doc, err := h.store.Doc(ctx, docCarry, reg.Ref().String())
	if err != nil && !errors.Is(err, jobs.ErrNotFound) {
		return nil, err
	}
	kept, _ := records.Decode[[]pushCall](doc.Value)
	for _, s := range kept {
		calls = replaceCall(calls, s)
	}
	for i := range calls {
		calls[i].There = "" // that was at the earlier meeting
	}
	return calls, nil
}
