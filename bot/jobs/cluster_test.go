package jobs

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testCluster is three NATS servers in this process, on loopback.
type testCluster struct {
	options []*server.Options
	servers []*server.Server
}

func startCluster(dir string) (*testCluster, error) {
	ports := make([]int, 3)
	var routes []*url.URL
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		ports[i] = l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return nil, err
		}
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
	}
	c := &testCluster{}
	for i := range ports {
		o := &server.Options{
			ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: filepath.Join(dir, strconv.Itoa(i)), SyncAlways: true,
			JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 8 << 30,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i]},
			Routes:  routes,
		}
		c.options = append(c.options, o)
		c.servers = append(c.servers, nil)
		if err := c.start(i); err != nil {
			return nil, err
		}
	}
	return c, c.waitForLeader()
}

func (c *testCluster) start(i int) error {
	o := *c.options[i]
	s, err := server.NewServer(&o)
	if err != nil {
		return err
	}
	c.servers[i] = s
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		return fmt.Errorf("node %d did not start", i)
	}
	// A node that is started again must be found where it was.
	c.options[i].Port = s.Addr().(*net.TCPAddr).Port
	return nil
}

func (c *testCluster) waitForLeader() error {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		leaders := 0
		for _, s := range c.servers {
			if s.JetStreamIsLeader() {
				leaders++
			}
		}
		if leaders == 1 {
			return nil
		}
	}
	return fmt.Errorf("no leader was elected")
}

// leaderOf returns the node that leads the stream.
func (c *testCluster) leaderOf(stream string) int {
	for i, s := range c.servers {
		if s.JetStreamIsStreamLeader("$G", stream) {
			return i
		}
	}
	return -1
}

func (c *testCluster) url() string {
	var urls []string
	for _, s := range c.servers {
		urls = append(urls, s.ClientURL())
	}
	return strings.Join(urls, ",")
}

func (c *testCluster) stop() {
	for _, s := range c.servers {
		s.Shutdown()
	}
	for _, s := range c.servers {
		s.WaitForShutdown()
	}
}

// shared is one cluster for all tests that do not stop nodes; each has its own stream.
var shared = sync.OnceValues(func() (*testCluster, error) {
	dir, err := os.MkdirTemp("", "jobs-cluster-")
	if err != nil {
		return nil, err
	}
	c, err := startCluster(dir)
	if err != nil {
		return nil, err
	}
	atExit = append(atExit, func() { c.stop(); _ = os.RemoveAll(dir) })
	return c, nil
})

var (
	atExit  []func()
	streams atomic.Int64
)

func TestMain(m *testing.M) {
	child()
	code := m.Run()
	for _, f := range atExit {
		f()
	}
	os.Exit(code)
}

func openOn(t testing.TB, c *testCluster) func(Config) *Store {
	name := fmt.Sprintf("test%d", streams.Add(1))
	url := c.url()
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

// The stream's leader goes away while jobs arrive. What was confirmed is done, once;
// what was not confirmed is said to be so within its time.
func TestLeaderLossUnderLoad(t *testing.T) {
	t.Parallel()
	c, err := startCluster(t.TempDir())
	require.NoError(t, err)
	defer c.stop()
	s := closing(t, openOn(t, c)(Config{}))
	var calls sync.Map
	run(t, s, &script{call: func(_ context.Context, j *Job) error {
		_, twice := calls.LoadOrStore(j.ID, true)
		assert.False(t, twice, "job %s was called twice", j.ID)
		return nil
	}})

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
	lost := c.leaderOf(s.cfg.Name)
	require.GreaterOrEqual(t, lost, 0)
	c.servers[lost].Shutdown()
	c.servers[lost].WaitForShutdown()
	time.Sleep(2 * time.Second)
	require.NoError(t, c.start(lost))
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
