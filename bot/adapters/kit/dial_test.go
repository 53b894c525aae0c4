package kit_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/kit"
)

// tunnel is a proxy that connects people who know the password.
func tunnel(asked *atomic.Int32, answer int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		user, password, _ := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth()
		switch {
		case r.Method != http.MethodConnect:
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		case answer != 0:
			w.WriteHeader(answer)
			return
		case user != "bot" || password != "canary:secret":
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		to, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		from, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(to, buffered); _ = to.Close() }()
		_, _ = io.Copy(from, to)
		_ = from.Close()
	})
}

func TestSocketsGoThroughTheProxyThatCallsGoThrough(t *testing.T) {
	upgrader := websocket.Upgrader{}
	target := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		_ = ws.WriteMessage(websocket.TextMessage, []byte("hello"))
		_ = ws.Close()
	}))
	t.Cleanup(target.Close)
	roots := x509.NewCertPool()
	roots.AddCert(target.Certificate()) // that of every test server
	address := strings.Replace(target.URL, "https", "wss", 1)

	for _, tt := range []struct {
		name   string
		secure bool
		user   string
		answer int
		fault  string
	}{
		{name: "HTTP", user: "bot:canary%3Asecret@"},
		{name: "HTTPS", secure: true, user: "bot:canary%3Asecret@"},
		{name: "HTTPNeedsAPassword", fault: "proxy 127.0.0.1: HTTP 407"},
		{name: "HTTPSNeedsAPassword", secure: true, user: "bot:canary@", fault: "proxy 127.0.0.1: HTTP 407"},
		{name: "HTTPSRefuses", secure: true, answer: http.StatusForbidden, fault: "proxy 127.0.0.1: HTTP 403"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked atomic.Int32
			proxy := httptest.NewUnstartedServer(tunnel(&asked, tt.answer))
			if tt.secure {
				proxy.EnableHTTP2 = true // as proxies have it; a tunnel is HTTP/1.1
				proxy.StartTLS()
			} else {
				proxy.Start()
			}
			t.Cleanup(proxy.Close)
			via, err := url.Parse(strings.Replace(proxy.URL, "://", "://"+tt.user, 1))
			require.NoError(t, err)
			d, err := kit.Websocket(websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: roots}, HandshakeTimeout: 10 * time.Second}, address,
				func(r *http.Request) (*url.URL, error) {
					assert.Equal(t, "https", r.URL.Scheme, "as of a call to the same host")
					return via, nil
				})
			require.NoError(t, err)
			ws, _, err := d.DialContext(t.Context(), address, nil)
			assert.EqualValues(t, 1, asked.Load())
			if tt.fault != "" {
				require.Error(t, err)
				said := kit.Unquoted(err).Error()
				assert.Equal(t, tt.fault, said)
				return
			}
			require.NoError(t, err)
			_, hello, err := ws.ReadMessage()
			require.NoError(t, err)
			assert.Equal(t, "hello", string(hello))
			_ = ws.Close() // the other side may have gone first
		})
	}

	t.Run("NoProxy", func(t *testing.T) {
		d, err := kit.Websocket(websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: roots}}, address, func(*http.Request) (*url.URL, error) { return nil, nil })
		require.NoError(t, err)
		ws, _, err := d.DialContext(t.Context(), address, nil)
		require.NoError(t, err)
		_ = ws.Close()
	})
	t.Run("TheAddressIsNotSaid", func(t *testing.T) {
		gone, err := url.Parse("https://bot:canary@127.0.0.1:1/")
		require.NoError(t, err)
		d, err := kit.Websocket(websocket.Dialer{}, "wss://wss.example/link?ticket=canary", func(*http.Request) (*url.URL, error) { return gone, nil })
		require.NoError(t, err)
		_, _, err = d.DialContext(t.Context(), "wss://wss.example/link?ticket=canary", nil)
		require.Error(t, err)
		said := kit.Unquoted(err).Error()
		assert.NotContains(t, said, "canary")
		assert.Contains(t, said, "proxy 127.0.0.1: dial tcp 127.0.0.1:1")
	})
}
