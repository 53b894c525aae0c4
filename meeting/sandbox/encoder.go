package sandbox

import (
	"context"
	"net"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Encoder makes the show real: while the live of a meeting is on, each address of it that is
// switched on is sent a colour bar, as the provider's servers send it the meeting.
type Encoder struct {
	// FFmpeg is the program that does it. Stream keys are among its arguments.
	FFmpeg string
	// Dial returns the host and port that are connected to in the place of the address's. What
	// else is in the address is sent as it is. Required: the sandbox reaches nobody's servers
	// by accident.
	Dial func(scheme, hostport string) string
}

// encodeFor bounds a stream whose end is never told: that of a process that was killed.
const encodeFor = 10 * time.Minute

// streams are the programs that run. The Server's mutex guards running.
type streams struct {
	running map[*record]map[string]context.CancelFunc // by address and key
	ended   sync.WaitGroup
}

// encode starts and stops what a meeting's live and its addresses want. It is called with
// s.mu held.
func (s *Server) encode(r *record) {
	if s.cfg.Encoder == nil {
		return
	}
	wanted := map[string]Push{}
	for _, p := range r.Pushes {
		if r.Live && p.Enabled {
			wanted[p.URL+"\n"+p.Key.Reveal()] = p
		}
	}
	if s.streams.running == nil {
		s.streams.running = map[*record]map[string]context.CancelFunc{}
	}
	running := s.streams.running[r]
	for to, stop := range running {
		if _, is := wanted[to]; !is {
			stop()
			delete(running, to)
		}
	}
	for to, p := range wanted {
		if running[to] != nil || s.ctx.Err() != nil {
			continue
		}
		if running == nil {
			running = map[string]context.CancelFunc{}
			s.streams.running[r] = running
		}
		ctx, stop := context.WithCancel(s.ctx)
		running[to] = stop
		cmd := s.cfg.Encoder.command(ctx, p)
		s.streams.ended.Go(func() { _ = cmd.Run() }) // that it breaks off is for the other side to see
	}
}

// command is the program that sends a colour bar to an address: to the application that its
// path names, under the name and the arguments that the key is.
func (e Encoder) command(ctx context.Context, p Push) *exec.Cmd {
	u, err := url.Parse(p.URL)
	if err != nil {
		u = &url.URL{} // unreachable: it was checked when it was set
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"rtmp": "1935", "rtmps": "443"}[u.Scheme]
	}
	app := strings.Trim(u.EscapedPath(), "/")
	if u.RawQuery != "" {
		app += "?" + u.RawQuery
	}
	to := u.Scheme + "://" + e.Dial(u.Scheme, net.JoinHostPort(u.Hostname(), port)) + "/" + app
	cmd := exec.CommandContext(ctx, e.FFmpeg, "-nostdin", "-loglevel", "quiet",
		"-re", "-f", "lavfi", "-i", "smptebars=size=128x72:rate=5", "-t", strconv.Itoa(int(encodeFor.Seconds())),
		"-c:v", "flv", "-g", "5", "-f", "flv", "-rtmp_app", app, "-rtmp_playpath", p.Key.Reveal(), to)
	cmd.WaitDelay = time.Second
	return cmd
}
