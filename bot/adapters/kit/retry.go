package kit

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"meetbot/bot/chat"
)

// Verdict says what becomes of a try that failed.
type Verdict int

const (
	Again  Verdict = iota // after a pause, each twice as long as the one before
	Anew                  // after the first pause: it had gone well for a while
	AtOnce                // without a pause, as nothing is wrong
	Stop                  // not at all
)

// Pauses are how long [Retry] waits between two tries.
type Pauses struct {
	First, Longest time.Duration
	// Jitter lengthens each by up to a half, so that not all who wait come back at once.
	Jitter bool
}

// Retry tries until a try succeeds, and then returns nil; until one is to be the last, whose
// error it returns; or until ctx is done, whose error it returns then. It waits as long as
// a *[chat.RetryAfter] says, at least. Before each pause it tells failed, which may be nil.
func Retry(ctx context.Context, p Pauses, try func(context.Context) (Verdict, error), failed func(err error, pause time.Duration)) error {
	pause := p.First
	for {
		verdict, err := try(ctx)
		switch {
		case err == nil:
			return nil
		case verdict == Stop:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case verdict == AtOnce:
			pause = p.First
			continue
		case verdict == Anew:
			pause = p.First
		}
		wait := pause
		if p.Jitter {
			wait += rand.N(pause/2 + 1)
		}
		if limited, ok := errors.AsType[*chat.RetryAfter](err); ok {
			wait = max(wait, limited.After)
		}
		if failed != nil {
			failed(err, wait)
		}
		if !Sleep(ctx, wait) {
			return ctx.Err()
		}
		pause = min(2*pause, p.Longest)
	}
}
