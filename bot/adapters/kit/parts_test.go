package kit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
)

func TestACacheRemembersForAWhileAndStaysBounded(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	c := NewCache[int](time.Minute, 3, func() time.Time { return now })
	assert.True(t, c.First("a", 1))
	assert.False(t, c.First("a", 2), "and it is renewed")
	got, ok := c.Get("a")
	assert.True(t, ok)
	assert.Equal(t, 2, got)
	now = now.Add(time.Minute + time.Second)
	_, ok = c.Get("a")
	assert.False(t, ok)
	for i := range 10 {
		c.Put(fmt.Sprint(i), i)
		assert.LessOrEqual(t, len(c.m), 3)
	}
	got, _ = c.Get("9")
	assert.Equal(t, 9, got)
	now = now.Add(2 * time.Minute)
	c.Put("new", 1)
	assert.Len(t, c.m, 1, "what is too old goes when there is room, too")
}

func TestAllWhoWantAValueAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache[string](time.Minute, 10, time.Now)
		asked := 0
		ask := func(context.Context) (string, error) {
			asked++
			time.Sleep(time.Second)
			if asked == 1 {
				return "", errors.New("broken")
			}
			return "answer", nil
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := c.Fetch(impatient, "k", ask)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = c.Fetch(t.Context(), "k", ask)
		require.ErrorContains(t, err, "broken")
		assert.Equal(t, 1, asked, "whoever gives up does not end it for the others")
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				got, err := c.Fetch(t.Context(), "k", ask)
				assert.NoError(t, err)
				assert.Equal(t, "answer", got)
			})
		}
		wg.Wait()
		_, err = c.Fetch(t.Context(), "k", ask)
		require.NoError(t, err)
		assert.Equal(t, 2, asked, "an error is not remembered, an answer is")
	})
}

func TestRetryWaitsLongerEachTimeAndAsLongAsItIsTold(t *testing.T) {
	broken, last := errors.New("broken"), errors.New("last")
	limited := &chat.RetryAfter{After: 90 * time.Second, Err: broken}
	for _, tt := range []struct {
		name     string
		verdicts []Verdict
		errs     []error
		want     error
		pauses   []time.Duration
	}{
		{"Success", []Verdict{Again}, []error{nil}, nil, nil},
		{"Longer", []Verdict{Again, Again, Again, Again, Again}, []error{broken, broken, broken, broken, nil}, nil, []time.Duration{1, 2, 4, 4}},
		{"TheLast", []Verdict{Again, Stop}, []error{broken, last}, last, []time.Duration{1}},
		{"Told", []Verdict{Again, Again, Again}, []error{limited, broken, nil}, nil, []time.Duration{90, 2}},
		{"HadGoneWell", []Verdict{Again, Again, Anew, Again}, []error{broken, broken, broken, nil}, nil, []time.Duration{1, 2, 1}},
		{"NothingWrong", []Verdict{Again, Again, AtOnce, Again, Again}, []error{broken, broken, broken, broken, nil}, nil, []time.Duration{1, 2, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, began := 0, time.Now()
				var pauses []time.Duration
				err := Retry(t.Context(), Pauses{First: time.Second, Longest: 4 * time.Second}, func(context.Context) (Verdict, error) {
					n++
					return tt.verdicts[n-1], tt.errs[n-1]
				}, func(_ error, d time.Duration) { pauses = append(pauses, d/time.Second) })
				require.ErrorIs(t, err, tt.want)
				assert.Equal(t, len(tt.errs), n)
				assert.Equal(t, tt.pauses, pauses)
				var sum time.Duration
				for _, p := range tt.pauses {
					sum += p * time.Second
				}
				assert.Equal(t, sum, time.Since(began))
			})
		})
	}
}

func TestRetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		tries := 0
		err := Retry(ctx, Pauses{First: time.Second, Longest: time.Minute, Jitter: true}, func(context.Context) (Verdict, error) {
			tries++
			return Again, errors.New("broken")
		}, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.InDelta(t, 3.5, tries, 1)
	})
}

func TestOnlyTheNewestEditIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewEdits(time.Second, time.Minute, nil)
		var made []int
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				assert.NoError(t, e.Do(t.Context(), "m", func() error { made = append(made, i); return nil }))
			})
			synctest.Wait()
		}
		wg.Wait()
		assert.Equal(t, []int{0, 3}, made, "the first at once, of those that waited the newest")
		require.NoError(t, e.Do(t.Context(), "other", func() error { made = append(made, 9); return nil }))
		assert.Contains(t, made, 9)
		assert.Empty(t, e.waiting, "nothing is kept")
	})
}

func TestTheWaysToAPersonAreTriedInTurn(t *testing.T) {
	shut := fmt.Errorf("not in channel: %w", ErrClosed)
	later := &chat.RetryAfter{After: time.Second, Err: errors.New("limited")}
	for _, tt := range []struct {
		name    string
		persist bool
		ways    []error
		want    error
		tried   int
	}{
		{"TheFirst", false, []error{nil, nil}, nil, 1},
		{"TheNext", false, []error{shut, nil, nil}, nil, 2},
		{"TheSameLater", false, []error{later, nil}, later, 1},
		{"TheNextAllTheSame", true, []error{later, shut, nil}, nil, 3},
		{"TheFirstThatMayOpen", true, []error{shut, later, shut}, later, 3},
		{"None", false, []error{shut, shut}, chat.ErrLost, 2},
	} {
		tried := 0
		var ways []Way[chat.Receipt]
		for _, err := range tt.ways {
			ways = append(ways, func() (chat.Receipt, error) { tried++; return chat.Receipt{Message: fmt.Sprint(tried)}, err })
		}
		r, err := Deliver(tt.persist, ways...)
		require.ErrorIs(t, err, tt.want, tt.name)
		assert.Equal(t, tt.tried, tried, tt.name)
		if err == nil {
			assert.Equal(t, fmt.Sprint(tried), r.Message, tt.name)
		}
	}
}

func TestWhoAsksAfreshGetsNoOlderAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache[int](time.Hour, 10, time.Now)
		asked := 0
		ask := func(context.Context) (int, error) { asked++; mine := asked; time.Sleep(time.Second); return mine, nil }
		var wg sync.WaitGroup
		wg.Go(func() { got, err := c.Fetch(t.Context(), "k", ask); assert.NoError(t, err); assert.Equal(t, 1, got) })
		synctest.Wait() // the first question is on its way
		for want := 2; want < 4; want++ {
			got, err := c.Fetch(chat.Afresh(t.Context()), "k", ask)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		}
		wg.Wait()
		got, err := c.Fetch(t.Context(), "k", ask)
		require.NoError(t, err)
		assert.Equal(t, 3, got, "and everybody has the newer one from then on")
	})
}

func TestASlowAnswerReplacesNoNewerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache[int](time.Hour, 10, time.Now)
		asked := 0
		ask := func(context.Context) (int, error) {
			asked++
			mine := asked
			time.Sleep(5 * time.Second / time.Duration(mine))
			return mine, nil
		}
		var wg sync.WaitGroup
		wg.Go(func() { got, err := c.Fetch(t.Context(), "k", ask); assert.NoError(t, err); assert.Equal(t, 1, got) })
		synctest.Wait()
		got, err := c.Fetch(chat.Afresh(t.Context()), "k", ask)
		require.NoError(t, err)
		assert.Equal(t, 2, got)
		wg.Wait()
		got, err = c.Fetch(t.Context(), "k", ask)
		require.NoError(t, err)
		assert.Equal(t, 2, got)
	})
}

func TestALookUpWaitsForAFewSecondsIfItIsAskedTo(t *testing.T) {
	for _, tt := range []struct {
		after time.Duration
		tries int
	}{{time.Second, 2}, {patience, 2}, {time.Minute, 1}} {
		synctest.Test(t, func(t *testing.T) {
			c := NewCache[int](time.Hour, 10, time.Now)
			tries, began := 0, time.Now()
			_, err := c.Fetch(t.Context(), "k", func(context.Context) (int, error) {
				if tries++; tries == 1 {
					return 0, &chat.RetryAfter{After: tt.after, Err: errors.New("limited")}
				}
				return 1, nil
			})
			assert.Equal(t, tt.tries, tries, tt.after)
			assert.Equal(t, tt.tries == 2, err == nil, tt.after)
			if err == nil {
				assert.Equal(t, tt.after, time.Since(began))
			}
		})
	}
}
