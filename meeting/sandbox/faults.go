package sandbox

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// FaultKind is what goes wrong.
type FaultKind int

const (
	// Delay does the work and answers after Fault.Delay of real time. It waits even if
	// the client has given up by then: the request lands late.
	Delay FaultKind = iota
	// Hang never answers: until the client gives up or the server closes.
	Hang
	// Reset resets the connection (RST).
	Reset
	// Drop closes the connection without an answer (FIN).
	Drop
	// Status answers with Fault.Status, zero for 503, and a line of plain text.
	Status
	// ProxyHTML answers 502 with a proxy's HTML page.
	ProxyHTML
	// GatewayJSON answers with Fault.Status, zero for 502, and the JSON that a gateway writes
	// of it, which looks like SYSTEC's envelope.
	GatewayJSON
	// Garbage answers 200 with what is not JSON.
	Garbage
	// Truncate does the work and breaks its answer off in the middle.
	Truncate
	// Redirect answers 307 to Fault.Location.
	Redirect
	// Refusal answers with the provider's own refusal, of Fault.Code and Fault.Message: Tencent
	// Meeting's with HTTP 500, SYSTEC's with HTTP 200, Zoom's with Fault.Status, zero for 400.
	Refusal
)

// Fault makes calls go wrong. It hits the calls that match Provider and Endpoint,
// all API calls where both are empty; it lets the first Skip of them pass and hits
// the next Times, or all for zero. Of several faults the first that was added and
// hits is the one that counts.
type Fault struct {
	Provider Provider
	Endpoint Endpoint
	Skip     int
	Times    int

	Kind FaultKind
	// After has the work done before things go wrong: the meeting exists, and the
	// caller does not hear of it.
	After bool

	Delay    time.Duration
	Code     int
	Message  string
	Status   int
	Location string

	seen int
}

// Fault adds f. The returned function takes it away again.
func (s *Server) Fault(f Fault) (remove func()) {
	f.seen = 0
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = slices.DeleteFunc(slices.Clone(s.faults), func(g *Fault) bool { return g == &f })
	}
}

// strike returns the fault that hits a call, or nil. It is called with s.mu held.
func (s *Server) strike(e Endpoint) *Fault {
	var hit *Fault
	for _, f := range s.faults {
		if e == Page || f.Provider != "" && f.Provider != e.Provider() || f.Endpoint != "" && f.Endpoint != e {
			continue
		}
		f.seen++
		if hit == nil && f.seen > f.Skip && (f.Times == 0 || f.seen <= f.Skip+f.Times) {
			hit = f
		}
	}
	return hit
}

// withFault does work, and whatever f does to it.
func (s *Server) withFault(f *Fault, w http.ResponseWriter, c call, work func(http.ResponseWriter)) {
	if f == nil {
		work(w)
		return
	}
	answer := newBuffer()
	if f.After || f.Kind == Truncate {
		work(answer)
	}
	switch f.Kind {
	case Delay:
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.ctx.Done():
			return
		}
		if !f.After {
			work(w)
			return
		}
		answer.send(w)
	case Hang:
		select {
		case <-c.request.Context().Done():
		case <-s.ctx.Done():
		}
		hangUp(w, false)
	case Reset:
		hangUp(w, true)
	case Drop:
		hangUp(w, false)
	case Status:
		status := cmp.Or(f.Status, http.StatusServiceUnavailable)
		http.Error(w, http.StatusText(status), status)
	case ProxyHTML:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway</h1></center></body>\r\n</html>\r\n")
	case GatewayJSON:
		status := cmp.Or(f.Status, http.StatusBadGateway)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"status":%d,"message":%q}`, status, http.StatusText(status))
	case Garbage:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":200,"data":{,`+"\x00")
	case Truncate:
		body := answer.body.Bytes()
		maps.Copy(w.Header(), answer.header)
		// The length promises more than comes: the client sees an unexpected EOF.
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
		w.WriteHeader(answer.status)
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		hangUp(w, false)
	case Refusal:
		switch c.endpoint.Provider() {
		case Systec:
			s.answerSystec(w, systecFail(f.Code, f.Message))
		case Zoom:
			status := cmp.Or(f.Status, http.StatusBadRequest)
			s.answerZoom(w, status, zoomFail(status, f.Code, "%s", f.Message))
		default:
			s.answerTencent(w, c.endpoint, nil, failf(f.Code, "%s", f.Message))
		}
	case Redirect:
		w.Header().Set("Location", f.Location)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

// hangUp closes the connection under the answer. Where there is none to take over
// (HTTP/2, a recorder), aborting the handler does the same.
func hangUp(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0) // close with RST
	}
	_ = conn.Close()
}

// buffer is an answer that is not sent yet.
type buffer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newBuffer() *buffer { return &buffer{header: make(http.Header), status: http.StatusOK} }

func (b *buffer) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), b.header)
	w.WriteHeader(b.status)
	_, _ = w.Write(b.body.Bytes()) // the client has gone
}

func (b *buffer) Header() http.Header         { return b.header }
func (b *buffer) WriteHeader(status int)      { b.status = status }
func (b *buffer) Write(p []byte) (int, error) { return b.body.Write(p) }
