package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/meeting/sandbox"
)

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fault   sandbox.Fault
		status  int   // of the answer; 0: there is none
		err     error // then
		json    bool  // the body is the real answer
		created int
	}{
		{"Delay", sandbox.Fault{Kind: sandbox.Delay, Delay: time.Millisecond}, 200, nil, true, 1},
		{"DelayAfter", sandbox.Fault{Kind: sandbox.Delay, Delay: time.Millisecond, After: true}, 200, nil, true, 1},
		{"Reset", sandbox.Fault{Kind: sandbox.Reset}, 0, syscall.ECONNRESET, false, 0},
		{"ResetAfter", sandbox.Fault{Kind: sandbox.Reset, After: true}, 0, syscall.ECONNRESET, false, 1},
		{"Drop", sandbox.Fault{Kind: sandbox.Drop}, 0, io.EOF, false, 0},
		{"AnswerLost", sandbox.Fault{Kind: sandbox.Drop, After: true}, 0, io.EOF, false, 1},
		{"Status", sandbox.Fault{Kind: sandbox.Status}, 503, nil, false, 0},
		{"Status500After", sandbox.Fault{Kind: sandbox.Status, Status: 500, After: true}, 500, nil, false, 1},
		{"ProxyHTML", sandbox.Fault{Kind: sandbox.ProxyHTML}, 502, nil, false, 0},
		{"ProxyHTMLAfter", sandbox.Fault{Kind: sandbox.ProxyHTML, After: true}, 502, nil, false, 1},
		{"Garbage", sandbox.Fault{Kind: sandbox.Garbage}, 200, nil, false, 0},
		{"GarbageAfter", sandbox.Fault{Kind: sandbox.Garbage, After: true}, 200, nil, false, 1},
		{"Truncate", sandbox.Fault{Kind: sandbox.Truncate}, 200, io.ErrUnexpectedEOF, false, 1},
		{"Redirect", sandbox.Fault{Kind: sandbox.Redirect, Location: "http://192.0.2.1/"}, 307, nil, false, 0},
	} {
		for _, provider := range []sandbox.Provider{sandbox.Systec, sandbox.Tencent} {
			t.Run(tt.name+"/"+string(provider), func(t *testing.T) {
				p := start(t, sandbox.Config{})
				remove := p.s.Fault(tt.fault)
				// A new connection for each: net/http repeats a request on its own only on a reused one.
				call := func() (*http.Response, []byte, error) {
					p.http.CloseIdleConnections()
					if provider == sandbox.Systec {
						return p.do(p.systecRequest("/share/instant", p.form("topic", "作战室", "meeting_capacity", "25")))
					}
					b, err := json.Marshal(createBody(p))
					require.NoError(t, err)
					return p.do(p.tencentRequest(http.MethodPost, "/v1/meetings", b))
				}
				resp, body, err := call()
				if tt.status == 0 {
					require.Error(t, err)
				} else {
					assert.Equal(t, tt.json, json.Valid(body), "%s", body)
				}
				if tt.err != nil {
					require.ErrorIs(t, err, tt.err)
				} else {
					require.NoError(t, err)
					assert.Equal(t, tt.status, resp.StatusCode)
					assert.Equal(t, tt.fault.Location, resp.Header.Get("Location"))
				}
				assert.Equal(t, tt.created, p.s.Created("作战室"))

				remove()
				_, body, err = call()
				require.NoError(t, err)
				assert.True(t, json.Valid(body))
				assert.Equal(t, tt.created+1, p.s.Created("作战室"))
			})
		}
	}
}

func TestHangLastsUntilTheClientGivesUp(t *testing.T) {
	for _, after := range []bool{false, true} {
		p := start(t, sandbox.Config{})
		p.s.Fault(sandbox.Fault{Endpoint: sandbox.SystecInstant, Kind: sandbox.Hang, After: after})
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			_, _, err := p.do(p.systecRequest("/share/instant", p.form("topic", "t", "meeting_capacity", "25")).WithContext(ctx))
			failed <- err
		}()
		want := 0
		if after {
			want = 1
		}
		require.Eventually(t, func() bool {
			return p.s.Calls(sandbox.SystecInstant) == 1 && p.s.Created("t") == want
		}, 10*time.Second, time.Millisecond)
		select {
		case err := <-failed:
			t.Fatal("answered:", err)
		case <-time.After(20 * time.Millisecond):
		}
		cancel()
		require.ErrorIs(t, <-failed, context.Canceled)
	}
}

func TestDelayedWorkLandsAfterTheClientHasGone(t *testing.T) {
	p := start(t, sandbox.Config{})
	p.s.Fault(sandbox.Fault{Kind: sandbox.Delay, Delay: 100 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, _, err := p.do(p.systecRequest("/share/instant", p.form("topic", "t", "meeting_capacity", "25")).WithContext(ctx))
		failed <- err
	}()
	require.Eventually(t, func() bool { return p.s.Calls(sandbox.SystecInstant) == 1 }, 10*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	require.Eventually(t, func() bool { return p.s.Created("t") == 1 }, 10*time.Second, time.Millisecond)
}

func TestCloseEndsHangs(t *testing.T) {
	p := start(t, sandbox.Config{})
	p.s.Fault(sandbox.Fault{Kind: sandbox.Hang})
	failed := make(chan error)
	go func() {
		_, _, err := p.do(p.systecRequest("/licensing", p.form()))
		failed <- err
	}()
	require.Eventually(t, func() bool { return p.s.Calls(sandbox.SystecLicensing) == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, p.s.Close())
	err := <-failed
	require.Error(t, err)
	assert.False(t, errors.Is(err, context.DeadlineExceeded), "not the client's own timeout: %v", err)
}

func TestFaultsMatch(t *testing.T) {
	p := start(t, sandbox.Config{})
	statuses := func(op string, n int) (out []int) {
		for range n {
			resp, _, err := p.do(p.systecRequest(op, p.form()))
			require.NoError(t, err)
			out = append(out, resp.StatusCode)
		}
		return out
	}
	remove := p.s.Fault(sandbox.Fault{Endpoint: sandbox.SystecLicensing, Skip: 1, Times: 2, Kind: sandbox.Status})
	assert.Equal(t, []int{200, 503, 503, 200}, statuses("/licensing", 4))
	assert.Equal(t, []int{200}, statuses("/share/list", 1))
	remove()
	remove() // twice is fine

	remove = p.s.Fault(sandbox.Fault{Provider: sandbox.Tencent, Kind: sandbox.Status})
	assert.Equal(t, []int{200}, statuses("/licensing", 1))
	resp, _, err := p.do(p.tencentRequest(http.MethodGet, "/v1/meetings?userid=operator&instanceid=1", nil))
	require.NoError(t, err)
	assert.Equal(t, 503, resp.StatusCode)
	remove()

	p.s.Fault(sandbox.Fault{Kind: sandbox.Status, Status: 500, Times: 1})
	p.s.Fault(sandbox.Fault{Kind: sandbox.Status, Status: 504})
	assert.Equal(t, []int{500, 504}, statuses("/licensing", 2), "the first that was added counts")
	assert.Equal(t, 404, p.page(p.s.TencentURL()+"/").status, "pages are spared")
	assert.Equal(t, 7, p.s.Calls(sandbox.SystecLicensing))
}
