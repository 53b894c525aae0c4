package kit

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// Proxy says through which proxy a request goes; nil: through none.
type Proxy func(*http.Request) (*url.URL, error)

// ProxyError says why a proxy did not connect. It has nothing of its address but the host.
type ProxyError struct {
	Host   string
	Status string // of its answer; empty: there was none
	Err    error
}

func (e *ProxyError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("proxy %s: %s", e.Host, cause(e.Err))
	}
	return fmt.Sprintf("proxy %s: %s", e.Host, e.Status)
}

func (e *ProxyError) Unwrap() error { return e.Err }

// Websocket is d for the address ("wss://…"), through the proxy that calls go through too:
// of http, https or socks5. nil: as the environment says.
func Websocket(d websocket.Dialer, address string, proxy Proxy) (*websocket.Dialer, error) {
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, Scrub(err)
	}
	u.Scheme = strings.Replace(u.Scheme, "ws", "http", 1) // by which proxies are chosen
	via, err := proxy(&http.Request{URL: u})
	if err != nil {
		return nil, fmt.Errorf("the proxy's address cannot be read: %w", Scrub(err))
	}
	switch {
	case via == nil:
	case via.Scheme == "http", via.Scheme == "https": // the library knows no TLS there, and says nothing of a refusal
		d.NetDialContext = func(ctx context.Context, network, target string) (net.Conn, error) {
			conn, err := connect(ctx, network, target, via, d.TLSClientConfig)
			if err != nil {
				return nil, err
			}
			return conn, nil
		}
	default:
		d.Proxy = http.ProxyURL(via)
	}
	return &d, nil
}

// maxProxyAnswer bounds what a proxy answers, in bytes.
const maxProxyAnswer = 64 << 10

// connect asks an HTTP proxy for a connection.
// https://www.rfc-editor.org/rfc/rfc9110#CONNECT
func connect(ctx context.Context, network, target string, via *url.URL, base *tls.Config) (_ net.Conn, err error) {
	failed := &ProxyError{Host: via.Hostname()}
	port := via.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[via.Scheme]
	}
	dial := new(net.Dialer).DialContext
	if via.Scheme == "https" {
		cfg := base.Clone() // of nil: nil
		if cfg == nil {
			cfg = new(tls.Config)
		}
		cfg.ServerName, cfg.NextProtos = via.Hostname(), []string{"http/1.1"}
		dial = (&tls.Dialer{Config: cfg}).DialContext
	}
	conn, err := dial(ctx, network, net.JoinHostPort(via.Hostname(), port))
	if err != nil {
		failed.Err = err
		return nil, failed
	}
	defer func() {
		if err != nil {
			_ = conn.Close() // the error says enough
		}
	}()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: target}, Host: target, Header: http.Header{}}
	if user := via.User; user != nil {
		password, _ := user.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if err := req.Write(conn); err != nil {
		failed.Err = err
		return nil, failed
	}
	// Nothing follows its answer before something is sent through it.
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxProxyAnswer)), req)
	if err != nil {
		failed.Err = err
		return nil, failed
	}
	_ = resp.Body.Close() // it has none
	if resp.StatusCode != http.StatusOK {
		failed.Status = fmt.Sprintf("HTTP %d", resp.StatusCode)
		return nil, failed
	}
	if !stop() { // its time was over
		failed.Err = ctx.Err()
		return nil, failed
	}
	return conn, nil
}
