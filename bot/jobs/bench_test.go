package jobs

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// durations are reported as percentiles in milliseconds.
type durations struct {
	mu sync.Mutex
	d  []time.Duration
}

func (d *durations) add(x time.Duration) {
	d.mu.Lock()
	d.d = append(d.d, x)
	d.mu.Unlock()
}

func (d *durations) report(b *testing.B, what string) {
	slices.Sort(d.d)
	if len(d.d) == 0 {
		return
	}
	for _, p := range []int{50, 99} {
		ms := float64(d.d[len(d.d)*p/100]) / float64(time.Millisecond)
		b.ReportMetric(ms, fmt.Sprintf("%s-p%d-ms", what, p))
	}
}

// newBenchStore opens a store on a real disk: TMPDIR has to be on one.
func newBenchStore(b *testing.B, cfg Config) *Store {
	b.Helper()
	cfg.Dir = b.TempDir()
	s, err := Open(b.Context(), cfg)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	return s
}

// A job's data is about as large as a command with its options and tokens.
var benchData = []byte(strings.Repeat("x", 400))

func BenchmarkEnqueue(b *testing.B) {
	for _, parallel := range []int{1, 2, 4, 8, 16, 64, 256} {
		b.Run(strconv.Itoa(parallel), func(b *testing.B) {
			s := newBenchStore(b, Config{MaxWaiting: 1 << 30})
			var took durations
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range parallel {
				wg.Go(func() {
					for {
						n := next.Add(1)
						if n > int64(b.N) {
							return
						}
						start := time.Now()
						if _, err := s.Enqueue(b.Context(), Job{ID: strconv.FormatInt(n, 10), Label: "meet", Data: benchData}); err != nil {
							b.Error(err)
							return
						}
						took.add(time.Since(start))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
			took.report(b, "ack")
		})
	}
}

// BenchmarkEnqueueToStart enqueues one job after the other and measures until its first
// step begins.
func BenchmarkEnqueueToStart(b *testing.B) {
	s := newBenchStore(b, Config{})
	var took durations
	done := make(chan struct{}, 1)
	var start time.Time
	run(b, s, &script{next: func(_ context.Context, j *Job) (Next, error) {
		if j.State == Accepted {
			took.add(time.Since(start))
		}
		return oneCall(j), nil
	}, deliver: func(context.Context, *Job) error {
		done <- struct{}{}
		return nil
	}})
	b.ResetTimer()
	for i := range b.N {
		start = time.Now()
		_, err := s.Enqueue(b.Context(), Job{ID: strconv.Itoa(i), Data: benchData})
		require.NoError(b, err)
		<-done
		time.Sleep(time.Millisecond) // the last save
	}
	b.StopTimer()
	took.report(b, "start")
}

// BenchmarkJobs carries out whole jobs, of one call and one delivery.
func BenchmarkJobs(b *testing.B) {
	s := newBenchStore(b, Config{})
	var wg sync.WaitGroup
	wg.Add(b.N)
	run(b, s, &script{deliver: func(context.Context, *Job) error { wg.Done(); return nil }})
	var next atomic.Int64
	var enqueuers sync.WaitGroup
	b.ResetTimer()
	for range 64 {
		enqueuers.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				if _, err := s.Enqueue(b.Context(), Job{ID: strconv.FormatInt(n, 10), Data: benchData}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	enqueuers.Wait()
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}

// BenchmarkStart opens a store with finished records, until one more job is durable.
func BenchmarkStart(b *testing.B) {
	for _, records := range []int{0, 10_000, 100_000} {
		b.Run(strconv.Itoa(records), func(b *testing.B) {
			dir := b.TempDir()
			cfg := Config{Dir: dir, MaxWaiting: 1 << 30, MaxBytes: 8 << 30, EnqueueWindow: time.Minute}
			fill(b, cfg, records)
			disk := diskUse(b, dir)
			var took durations
			var rss uint64
			b.ResetTimer()
			for i := range b.N {
				before := heap()
				start := time.Now()
				s, err := Open(b.Context(), cfg)
				require.NoError(b, err)
				_, err = s.Enqueue(b.Context(), Job{ID: "new" + strconv.Itoa(i), State: Done})
				require.NoError(b, err)
				took.add(time.Since(start))
				rss = heap() - before
				require.NoError(b, s.Close())
			}
			b.StopTimer()
			took.report(b, "start")
			if records > 0 {
				b.ReportMetric(float64(disk)/float64(records), "disk-B/record")
			}
			b.ReportMetric(float64(rss)/(1<<20), "heap-MiB")
		})
	}
}

// fill stores finished records as a store has them after some time.
func fill(b *testing.B, cfg Config, records int) {
	b.Helper()
	s, err := Open(b.Context(), cfg)
	require.NoError(b, err)
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 512 {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(records) {
					return
				}
				if _, err := s.Enqueue(b.Context(), Job{ID: strconv.FormatInt(n, 10), State: Done, Data: benchData}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	stop := run(b, s, &script{})
	require.Eventually(b, func() bool {
		waiting, _, err := s.engine.Load(b.Context(), kindJob)
		return err == nil && waiting == 0
	}, time.Minute, 50*time.Millisecond)
	time.Sleep(300 * time.Millisecond)
	stop()
	require.NoError(b, s.Close())
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

func diskUse(b *testing.B, dir string) (n int64) {
	b.Helper()
	require.NoError(b, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	}))
	return n
}

// BenchmarkIdle reports the processor time of a running store with nothing to do.
func BenchmarkIdle(b *testing.B) {
	s := newBenchStore(b, Config{})
	run(b, s, &script{})
	time.Sleep(time.Second)
	const span = 5 * time.Second
	before := cpuTime(b)
	for range b.N {
		time.Sleep(span)
	}
	b.ReportMetric(100*float64(cpuTime(b)-before)/float64(span)/float64(b.N), "cpu-%")
}

func cpuTime(b *testing.B) time.Duration {
	var ru syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &ru))
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}
