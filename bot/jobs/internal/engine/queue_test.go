package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatWaitsIsHandedOutInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 200
		q := newQueue([]string{"job"}, func(_ context.Context, key string) (Entry, error) {
			return Entry{Key: key, Body: []byte{1}, Rev: 1}, nil
		})
		began := time.Now()
		want, got := map[string]time.Duration{}, map[string][]time.Duration{}
		pause := map[string]time.Duration{}
		for i := range n {
			key := fmt.Sprintf("job.%d", i)
			pause[key] = time.Duration(rand.IntN(int(8 * time.Second)))
			want[key] = pause[key]
		}
		stop := q.consume("job", func(m Message) {
			at := time.Since(began)
			got[m.Key] = append(got[m.Key], at)
			if at > 0 {
				m.Receipt.Ack()
				return
			}
			switch d := pause[m.Key]; {
			case d < time.Second: // it says first that it takes longer
				m.Receipt.Working()
				m.Receipt.Later(d)
			case d < 2*time.Second:
				m.Receipt.Later(time.Hour)
				m.Receipt.Later(d)
			case d < 3*time.Second: // nobody asks for it any more
				m.Receipt.Later(d)
				q.drop(m.Key, m.Rev)
				delete(want, m.Key)
			case d < 4*time.Second: // it is written anew, and handed out at once
				m.Receipt.Later(d)
				time.AfterFunc(d/2, func() { q.add(m.Key, m.Rev+1, []byte{2}, false) })
				want[m.Key] = d / 2
			case d < 5*time.Second: // its worker is not heard of
				want[m.Key] = ackWait
			default:
				m.Receipt.Later(d)
			}
		})
		for key := range pause {
			q.add(key, 1, []byte{1}, false)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for key := range pause {
			require.NotEmpty(t, got[key])
			if at, again := want[key]; again {
				assert.Equal(t, []time.Duration{0, at}, got[key], "%s, which was to wait for %v", key, pause[key])
			} else {
				assert.Len(t, got[key], 1, key)
			}
		}
		assert.Empty(t, q.items)
		assert.Empty(t, q.waits)
		stop()
		q.close()
	})
}
