package main

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestConnectionsHaveALimit: those that wait longest without a request are closed for newer
// ones, and those with a request are not.
func TestConnectionsHaveALimit(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var working sync.WaitGroup
	working.Add(2)
	end := make(chan struct{})
	counted := &connections{max: 5}
	s := &http.Server{ //nolint:gosec // its timeouts are not what is tested
		ConnState: counted.state, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				working.Done()
				<-end
			}
			_, _ = io.WriteString(w, "answered")
		}),
	}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	ask := func(conn net.Conn, path string) error {
		_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		return err
	}
	answered := func(conn net.Conn) error {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	slow := []net.Conn{dial(), dial()}
	for _, conn := range slow {
		require.NoError(t, ask(conn, "/slow"))
	}
	working.Wait()
	for range 50 { // holders
		dial()
	}
	for range 10 { // each is answered, and then is idle
		conn := dial()
		require.NoError(t, ask(conn, "/"))
		require.NoError(t, answered(conn))
	}
	holder := dial()
	for range 10 {
		dial()
	}
	_, err = holder.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it was closed for newer ones")
	close(end)
	for _, conn := range slow {
		require.NoError(t, answered(conn), "a request that is under way is not")
	}
	require.Eventually(t, func() bool {
		counted.mu.Lock()
		defer counted.mu.Unlock()
		return len(counted.open) <= 5 && counted.waiting.Len() <= 5
	}, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, s.Close())
	require.Eventually(t, func() bool {
		counted.mu.Lock()
		defer counted.mu.Unlock()
		return len(counted.open) == 0 && counted.waiting.Len() == 0
	}, 10*time.Second, 5*time.Millisecond, "nothing is kept")
}
