package kit

import (
	"context"
	"net/http"
	"time"
)

const (
	maxConnections = 64 // calls side by side; more wait their turn
	callTimeout    = 20 * time.Second
)

// HTTPClient returns a client for calls with a token, which goes where it was configured
// to go and nowhere else: redirects are not followed. Without a client to copy it is one
// with a time limit, bounded connections, and the environment's proxy.
func HTTPClient(c *http.Client) *http.Client {
	if c == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = maxConnections, maxConnections
		c = &http.Client{Transport: transport, Timeout: callTimeout}
	}
	own := *c
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// Sleep reports whether the time passed before ctx was done.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
