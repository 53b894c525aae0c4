package main

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestConnectionsHaveALimit: those on which nothing has happened for the longest time are closed
// for newer ones, and whoever asks is answered.
func TestConnectionsHaveALimit(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	counted := &connections{max: 5}
	s := &http.Server{ //nolint:gosec // its timeouts are not what is tested
		ConnState: counted.state, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if b, err := io.ReadAll(r.Body); err == nil {
				_, _ = w.Write(b)
			}
		}),
	}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	dial := func(send string) net.Conn {
		conn, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, send)
		require.NoError(t, err)
		return conn
	}
	const half, whole = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	var held []net.Conn
	for range 20 { // whoever holds, half asks, and asks
		held = append(held, dial(""), dial(half))
		asker := dial(whole)
		resp, err := http.ReadResponse(bufio.NewReader(asker), nil)
		require.NoError(t, err)
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "hello", string(b))
		held = append(held, asker) // and stays
	}
	for _, conn := range held[:len(held)-6] {
		_, err = conn.Read(make([]byte, 1))
		require.Error(t, err)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it was closed for newer ones")
	}
	count := func() (int, int) {
		counted.mu.Lock()
		defer counted.mu.Unlock()
		return len(counted.open), counted.quiet.Len()
	}
	open, quiet := count()
	require.LessOrEqual(t, open, 5)
	require.Equal(t, open, quiet)
	require.NoError(t, s.Close())
	require.Eventually(t, func() bool { open, quiet := count(); return open == 0 && quiet == 0 }, 10*time.Second, 5*time.Millisecond, "nothing is kept")
}
