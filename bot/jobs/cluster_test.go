package jobs

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/jobs/jobstest"
)

// shared is one cluster for all tests that do not stop nodes; each has its own stream.
var shared = sync.OnceValues(func() (*jobstest.Cluster, error) {
	dir, err := os.MkdirTemp("", "jobs-cluster-")
	if err != nil {
		return nil, err
	}
	c, err := jobstest.NewCluster(dir)
	if err != nil {
		return nil, err
	}
	atExit = append(atExit, func() { c.Close(); _ = os.RemoveAll(dir) })
	return c, nil
})

var (
	atExit  []func()
	streams atomic.Int64
)

func TestMain(m *testing.M) {
	child()
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue { // most of them wait
		_ = f.Value.Set(strconv.Itoa(2 * runtime.GOMAXPROCS(0)))
	}
	code := m.Run()
	for _, f := range atExit {
		f()
	}
	os.Exit(code)
}

func openOn(t testing.TB, c *jobstest.Cluster) func(Config) *Store {
	name := fmt.Sprintf("test%d", streams.Add(1))
	url := c.URL()
	return func(cfg Config) *Store {
		cfg.NATSURL, cfg.Name, cfg.MaxBytes = url, name, 64<<20
		cfg.Keys = [][]byte{make([]byte, KeySize)}
		cfg.Log = testLog(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s, err := Open(ctx, cfg)
		require.NoError(t, err)
		return s
	}
}

func TestTwoProcessesShareTheWork(t *testing.T) {
	t.Parallel()
	c, err := shared()
	require.NoError(t, err)
	open := openOn(t, c)
	var calls sync.Map
	var count [2]atomic.Int32
	var stores []*Store
	for i := range 2 {
		s := closing(t, open(Config{Workers: 4}))
		stores = append(stores, s)
		run(t, s, &script{call: func(_ context.Context, j *Job) error {
			_, twice := calls.LoadOrStore(j.ID, true)
			assert.False(t, twice, "job %s was called twice", j.ID)
			count[i].Add(1)
			time.Sleep(5 * time.Millisecond)
			return nil
		}})
	}
	const n = 200
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			_, err := stores[i%2].Enqueue(t.Context(), Job{ID: strconv.Itoa(i)})
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	for i := range n {
		await(t, stores[0], strconv.Itoa(i), finished)
	}
	assert.EqualValues(t, n, count[0].Load()+count[1].Load())
	assert.NotZero(t, count[0].Load())
	assert.NotZero(t, count[1].Load())
}

// calledOnce makes one call of each job.
func calledOnce(t *testing.T) *script {
	var calls sync.Map
	return &script{call: func(_ context.Context, j *Job) error {
		_, twice := calls.LoadOrStore(j.ID, true)
		assert.False(t, twice, "job %s was called twice", j.ID)
		return nil
	}}
}

// The stream's leader goes away while jobs arrive. What was confirmed is done, once;
// what was not confirmed is said to be so within its time.
func TestLeaderLossUnderLoad(t *testing.T) {
	t.Parallel()
	c, err := jobstest.NewCluster(t.TempDir())
	require.NoError(t, err)
	defer c.Close()
	s := closing(t, openOn(t, c)(Config{}))
	run(t, s, calledOnce(t))

	var confirmed sync.Map
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("%d-%d", w, i)
				start := time.Now()
				_, err := s.Enqueue(t.Context(), Job{ID: id})
				assert.Less(t, time.Since(start), 10*time.Second, "an answer has its time")
				if err == nil {
					confirmed.Store(id, true)
				} else {
					assert.ErrorIs(t, err, ErrNotConfirmed)
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	lost := c.Leader(s.cfg.Name)
	require.GreaterOrEqual(t, lost, 0)
	c.Stop(lost)
	time.Sleep(2 * time.Second)
	require.NoError(t, c.Start(lost))
	time.Sleep(500 * time.Millisecond)
	cancel()
	wg.Wait()

	n := 0
	confirmed.Range(func(id, _ any) bool {
		await(t, s, id.(string), finished)
		n++
		return true
	})
	assert.NotZero(t, n)
	t.Logf("%d jobs were confirmed and done", n)
}

// The node that a replica is connected to is cut off from the others, and does not say so. The
// replica goes to one that has a quorum; what was confirmed is done, once.
func TestAReplicaLeavesANodeWithoutAQuorum(t *testing.T) {
	t.Parallel()
	c, err := jobstest.NewSplittable(t.TempDir())
	require.NoError(t, err)
	defer c.Close()
	s := closing(t, openOn(t, c)(Config{}))
	run(t, s, calledOnce(t))
	var confirmed []string
	enqueue := func() bool {
		id := fmt.Sprint("job", len(confirmed), time.Now().UnixNano())
		_, err := s.Enqueue(t.Context(), Job{ID: id})
		if err == nil {
			confirmed = append(confirmed, id)
		}
		return err == nil
	}
	require.True(t, enqueue())
	await(t, s, confirmed[0], finished) // a bot that cannot begin to read ends, and is started again

	alone := -1
	for i := range 3 {
		if c.Clients(i) > 0 {
			alone = i
		}
	}
	require.GreaterOrEqual(t, alone, 0)
	c.Isolate(alone)
	require.Eventually(t, enqueue, time.Minute, 50*time.Millisecond, "no node with a quorum was found")
	assert.Zero(t, c.Clients(alone))
	for range 20 {
		assert.True(t, enqueue())
	}
	c.Rejoin(alone)
	for _, id := range confirmed {
		await(t, s, id, finished)
	}
}
