package rig

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Moment is where a request of the bot's is.
type Moment string

// The moments of a request, in their order.
const (
	Arrived Moment = "arrived"       // nothing was done yet
	Done    Moment = "done, no word" // it was carried out, and the bot does not know yet
	Told    Moment = "answered"      // the answer has left
)

// Request is a request of the bot's at one moment.
type Request struct {
	Service string // "slack", "discord", "systec" or "tencent"
	Route   string // the operation, without IDs: "chat.postMessage"
	Path    string
	Moment  Moment
	Sent    []byte // the request's body
	Status  int    // of the answer, once there is one
	Body    []byte // of the answer
}

// Verdict is what becomes of a request. The zero Verdict lets it pass.
type Verdict struct {
	Cut        bool          // the connection ends without an answer
	Status     int           // this is answered instead
	RetryAfter time.Duration // with Status
	Header     http.Header   // with Status, instead of what the status says by itself
	Body       []byte        // likewise
	Delay      time.Duration // before it goes on
}

// Hook is asked about each request at each of its moments. A verdict at [Arrived] keeps
// the request from being carried out, one at [Done] only its answer from arriving.
type Hook func(Request) Verdict

// gate stands between the bot and everything that it talks to.
type gate struct {
	http *http.Server
	url  string

	mu   sync.Mutex
	hook Hook
}

func newGate(backend func(*http.Request) (service string, h http.Handler)) (*gate, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gate{url: "http://" + ln.Addr().String()}
	g.http = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		service, h := backend(r)
		if r.Header.Get("Upgrade") != "" {
			h.ServeHTTP(w, r)
			return
		}
		g.serve(w, r, service, h)
	})}
	go func() { _ = g.http.Serve(ln) }() // ends with close
	return g, nil
}

func (g *gate) close() { _ = g.http.Close() }

// set changes the hook, and returns once no earlier one is asked any more.
func (g *gate) set(h Hook) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hook = h
}

// pass asks the hook. It reports false when the request has got its answer.
func (g *gate) pass(w http.ResponseWriter, r Request) bool {
	g.mu.Lock()
	hook := g.hook
	g.mu.Unlock()
	if hook == nil {
		return true
	}
	v := hook(r)
	if v.Delay > 0 {
		time.Sleep(v.Delay)
	}
	switch {
	case v.Cut:
		panic(http.ErrAbortHandler)
	case v.Status != 0:
		if v.RetryAfter > 0 {
			w.Header().Set("Retry-After", fmt.Sprint(int(v.RetryAfter.Seconds())))
		}
		if v.Header == nil && v.Body == nil {
			http.Error(w, http.StatusText(v.Status), v.Status)
			return false
		}
		maps.Copy(w.Header(), v.Header)
		w.WriteHeader(v.Status)
		_, _ = w.Write(v.Body)
		return false
	}
	return true
}

func (g *gate) serve(w http.ResponseWriter, r *http.Request, service string, h http.Handler) {
	sent, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(sent))
	seen := Request{Service: service, Route: route(service, r), Path: r.URL.RequestURI(), Moment: Arrived, Sent: sent}
	if !g.pass(w, seen) {
		return
	}
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	seen.Moment, seen.Status, seen.Body = Done, answer.Code, answer.Body.Bytes()
	if !g.pass(w, seen) {
		return
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
	_ = http.NewResponseController(w).Flush()
	seen.Moment = Told
	g.pass(httptest.NewRecorder(), seen)
}

var identifier = regexp.MustCompile(`^(\d+|canary-.*|hook-.*|F\d+)$`)

// route names an operation: its path without IDs.
func route(service string, r *http.Request) string {
	path := r.URL.EscapedPath()
	switch service {
	case "slack":
		if strings.HasPrefix(path, "/hook/") {
			return "response_url"
		}
		path = strings.TrimPrefix(path, "/api/")
		if strings.HasPrefix(path, "/") {
			path, _, _ = strings.Cut(path[1:], "/")
		}
		return path
	case "discord":
		path = strings.TrimPrefix(path, "/proxied/api/v9")
	}
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if identifier.MatchString(p) {
			parts[i] = "{}"
		}
	}
	return r.Method + " " + strings.Join(parts, "/")
}

// forward hands requests on to another server.
func forward(to string) (http.Handler, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(u) }}, nil
}
