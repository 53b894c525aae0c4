package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	childEnv = "JOBS_TEST_CHILD" // directory
	killEnv  = "JOBS_TEST_KILL"  // where the child kills itself
	wishEnv  = "JOBS_TEST_WISH"  // what becomes of the job
)

// What becomes of the one job of a child.
const (
	wishPlain    = "plain"
	wishApproval = "approval"
	wishRefused  = "refused" // the other side refuses
	wishUnknown  = "unknown" // the answer is lost and nothing is found
	wishLost     = "lost"    // nobody can be told
)

// report is what a child prints when its job is finished.
type report struct {
	State    State
	Outcome  string
	Unsettle int // jobs not finished
}

// child is the whole life of a process that is killed at the given place, if the
// environment says that this is one.
func child() {
	dir := os.Getenv(childEnv)
	if dir == "" {
		return
	}
	if os.Getenv(deployedEnv) != "" {
		if err := deployed(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if err := life(dir, os.Getenv(killEnv), os.Getenv(wishEnv)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func life(dir, kill, wish string) error {
	at := func(place string) {
		if place == kill {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	// The other side and the people are files: what is in there has happened.
	happens := func(file string) {
		f, err := os.OpenFile(filepath.Join(dir, file), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.WriteString("x")
		}
		if err = errors.Join(err, f.Close()); err != nil {
			panic(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan struct{}, 1)
	s, err := Open(ctx, Config{
		Dir: filepath.Join(dir, "store"), ReconcileAfter: 50 * time.Millisecond, NoticeAfter: time.Minute,
		Observer: Observer{Transition: func(_ string, _, to State) {
			at("saved " + string(to))
			if to.Finished() {
				done <- struct{}{}
			}
		}},
	})
	if err != nil {
		return err
	}
	h := &script{
		next: func(_ context.Context, j *Job) (Next, error) {
			at("asked in " + string(j.State))
			if wish == wishApproval && j.State == Accepted {
				if string(j.Data) != "approved" {
					return Await(time.Now().Add(time.Hour)), nil
				}
				at("approved")
			}
			return oneCall(j), nil
		},
		call: func(context.Context, *Job) error {
			at("before the request")
			if wish == wishRefused {
				return errBroken
			}
			if wish == wishUnknown {
				return ErrUnknown
			}
			happens("calls")
			at("after the request")
			return nil
		},
		reconcile: func(context.Context, *Job) error {
			at("looking up")
			if _, err := os.Stat(filepath.Join(dir, "calls")); err == nil {
				return nil
			}
			return ErrUnknown
		},
		deliver: func(context.Context, *Job) error {
			at("before the post")
			if wish == wishLost {
				return ErrLost
			}
			happens("posts")
			at("after the post")
			return nil
		},
	}
	// The person's wish arrives, and again in every life, as platforms repeat themselves.
	j, err := s.Enqueue(ctx, Job{ID: "wish", Label: "test"})
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return err
	}
	if err == nil {
		happens("acks")
		at("acknowledged")
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, h) }()
	for !j.State.Finished() {
		if wish == wishApproval && j.State == AwaitingApproval {
			_, err := s.Update(ctx, "wish", func(j *Job) error {
				if j.State != AwaitingApproval {
					return ErrConflict
				}
				j.State, j.Data = Accepted, []byte("approved")
				return nil
			})
			if err != nil && !errors.Is(err, ErrConflict) {
				return err
			}
		}
		select {
		case <-done:
		case <-time.After(5 * time.Millisecond):
		case err := <-ended:
			return err
		}
		if j, err = s.Get(ctx, "wish"); err != nil {
			return err
		}
	}
	r := report{State: j.State, Outcome: j.Outcome}
	for _, err := range s.List(ctx, true) {
		if err != nil {
			return err
		}
		r.Unsettle++
	}
	cancel()
	if err := errors.Join(<-ended, s.Close()); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// The process is killed at every place where a job can be, and another one takes over.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	asked := func(s State) string { return "asked in " + string(s) }
	saved := func(s State) string { return "saved " + string(s) }
	tests := []struct {
		wish    string
		kill    string
		outcome State // as the person hears it
		calls   int
		posts   int // 2 where a crash shows the same message twice
	}{
		{wishPlain, "acknowledged", Called, 1, 1},
		{wishPlain, asked(Accepted), Called, 1, 1},
		{wishPlain, saved(Calling), Unknown, 0, 1},
		{wishPlain, "before the request", Unknown, 0, 1},
		{wishPlain, "after the request", Called, 1, 1},
		{wishPlain, saved(Called), Called, 1, 1},
		{wishPlain, asked(Called), Called, 1, 1},
		{wishPlain, "before the post", Called, 1, 1},
		{wishPlain, "after the post", Called, 1, 2},
		{wishPlain, saved(Done), Called, 1, 1},
		{wishApproval, saved(AwaitingApproval), Called, 1, 1},
		{wishApproval, "approved", Called, 1, 1},
		{wishRefused, saved(Refused), Refused, 0, 1},
		{wishRefused, asked(Refused), Refused, 0, 1},
		{wishUnknown, "looking up", Unknown, 0, 1},
		{wishUnknown, saved(Unknown), Unknown, 0, 1},
		{wishUnknown, asked(Unknown), Unknown, 0, 1},
		{wishLost, saved(Undeliverable), Called, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.wish+"/"+tt.kill, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, err := spawn(t, dir, tt.kill, tt.wish)
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "the child has to be killed")
			status, ok := exit.Sys().(syscall.WaitStatus)
			require.True(t, ok && status.Signal() == syscall.SIGKILL, "%v", err)

			out, err := spawn(t, dir, "", tt.wish)
			require.NoError(t, err)
			var r report
			require.NoError(t, json.Unmarshal(out, &r))
			want := Done
			if tt.wish == wishLost {
				want = Undeliverable
			}
			assert.Equal(t, report{State: want, Outcome: string(tt.outcome)}, r)
			assert.Equal(t, tt.calls, happened(t, dir, "calls"), "calls")
			assert.Equal(t, tt.posts, happened(t, dir, "posts"), "posts")
			assert.LessOrEqual(t, happened(t, dir, "acks"), 1, "one wish is one job")
		})
	}
}

func spawn(t *testing.T, dir, kill, wish string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, exe, "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+dir, killEnv+"="+kill, wishEnv+"="+wish)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if s := strings.TrimSpace(errs.String()); s != "" {
		t.Log(s)
	}
	return out, err
}

func happened(t *testing.T, dir, file string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, file))
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	require.NoError(t, err)
	return len(b)
}
