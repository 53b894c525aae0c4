package sandbox

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"time"

	"meetbot/config/secret"
)

// State is where a meeting is in its life.
type State string

// The states. A meeting that is Waiting has not been entered by anyone.
const (
	Waiting   State = "waiting"
	Running   State = "running"
	Cancelled State = "cancelled"
	Ended     State = "ended"
	Deleted   State = "deleted" // SYSTEC: nobody came for 30 minutes
)

func (s State) over() bool { return s != Waiting && s != Running }

const (
	// unattendedLife is how long SYSTEC keeps an instant meeting that nobody joins.
	unattendedLife = 30 * time.Minute
	// startLinkLife is how long SYSTEC's start_url works.
	startLinkLife = 2 * time.Hour
	// overdueLife is how long after its planned end Tencent returns a meeting that nobody is in.
	overdueLife = time.Hour
)

// Meeting is a snapshot of one meeting.
type Meeting struct {
	Provider     Provider
	ID, Code     string // SYSTEC and Zoom have one number for both
	Topic        string
	Creator      string // Tencent: userid; Zoom: who hosts
	UserKey      string // SYSTEC: user_key; Zoom: agenda
	Hosts        []string
	Inside       []string // who is in the meeting
	State        State
	Live         bool // live streaming right now
	LiveEnabled  bool
	Passcode     string
	HostKey      secret.String
	Capacity     int           // SYSTEC
	Planned      time.Duration // duration as asked for; zero if not
	Start, End   time.Time     // planned for Tencent; for SYSTEC the real ones
	Created      time.Time
	JoinURL      string
	WatchURL     string // empty without live
	Pushes       []Push
	SystecParams map[string]string // instant's parameters as sent, without the credentials
	Settings     json.RawMessage   // Tencent's and Zoom's settings as sent
}

// Push is a live push address of a meeting.
type Push struct {
	Platform int // platform_type: 1 WeChat Channels, 2 any other
	Name     string
	URL      string
	Key      secret.String
	Enabled  bool
}

// record is a meeting with what a snapshot leaves out. The Server's mutex guards it.
type record struct {
	Meeting
	base       string // start of its links
	joinSlug   string
	watchSlug  string
	hostID     string // SYSTEC's host_id
	liveConfig map[string]any
	people     []attendance
	setAt      []time.Time // of Pushes
	modified   int64       // ms, unique in the server: the list's cursor
	unknown    []string    // Tencent: user_non_registered
	quick      bool
	wasLive    bool
	viewers    int      // now
	watched    int      // in all
	recorded   []string // IDs of the files that can be watched
	zoom       zoomState
	hostPass   string // proves that a browser has given the host key; made at the first time
}

// attendance is one stay in a meeting.
type attendance struct {
	user       string
	joined     time.Time
	left       time.Time // zero while inside
	instanceID int
}

// ErrNoMeeting is returned by the controls for an ID that no meeting has.
var ErrNoMeeting = errors.New("sandbox: no such meeting")

// ErrState is returned by the controls when the meeting's state does not allow it.
var ErrState = errors.New("sandbox: not possible in the meeting's state")

// Meetings returns all meetings that were ever made, oldest first.
func (s *Server) Meetings() []Meeting {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	out := make([]Meeting, len(s.order))
	for i, r := range s.order {
		out[i] = r.snapshot()
	}
	return out
}

// Meeting returns the meeting with the given id or code.
func (s *Server) Meeting(id string) (Meeting, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(id)
	if r == nil {
		return Meeting{}, false
	}
	return r.snapshot(), true
}

// Created counts the meetings ever made with this topic, or with this user_key.
func (s *Server) Created(topicOrUserKey string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.order {
		if r.Topic == topicOrUserKey || r.UserKey == topicOrUserKey {
			n++
		}
	}
	return n
}

// Pushes returns a meeting's live push addresses in the order they were set.
func (s *Server) Pushes(id string) []Push {
	m, _ := s.Meeting(id)
	return m.Pushes
}

// Calls counts the requests that reached an endpoint, refused ones and those a fault
// struck included.
func (s *Server) Calls(e Endpoint) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[e]
}

// Join lets user enter a meeting, which makes it run.
func (s *Server) Join(id, user string) error {
	return s.control(id, func(r *record) error { return s.join(r, user) })
}

// Leave lets user leave. A meeting past its planned end is over once the last has left.
func (s *Server) Leave(id, user string) error {
	return s.control(id, func(r *record) error { return s.leave(r, user) })
}

// StartLive puts a running meeting on air.
func (s *Server) StartLive(id string) error {
	return s.control(id, func(r *record) error { return s.setLive(r, true) })
}

// StopLive takes a meeting off air.
func (s *Server) StopLive(id string) error {
	return s.control(id, func(r *record) error { return s.setLive(r, false) })
}

// Watch says how many people watch a meeting's live. Whoever comes is somebody new.
func (s *Server) Watch(id string, viewers int) error {
	return s.control(id, func(r *record) error {
		r.watched += max(viewers-r.viewers, 0)
		r.viewers = viewers
		return nil
	})
}

// End ends a meeting, as its host does in the client.
func (s *Server) End(id string) error {
	return s.control(id, func(r *record) error { return s.end(r, endedByHost) })
}

func (s *Server) control(id string, do func(*record) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(id)
	if r == nil {
		return fmt.Errorf("%w: %s", ErrNoMeeting, id)
	}
	return do(r)
}

// Everything below is called with s.mu held.

// find looks a meeting up by its id, or by its code as long as it has one.
func (s *Server) find(id string) *record {
	s.sweep()
	if r := s.byID[id]; r != nil {
		return r
	}
	return s.byCode[id]
}

// sweep lets time pass: SYSTEC deletes meetings that nobody came to.
func (s *Server) sweep() {
	for len(s.unattended) > 0 {
		r := s.unattended[0]
		end := r.Created.Add(unattendedLife)
		if r.State == Waiting {
			if s.now().Before(end) {
				return
			}
			r.End = end
			s.setState(r, Deleted)
		}
		s.unattended = s.unattended[1:]
	}
}

// setState moves r on. A meeting that is over gives up its room and its code.
func (s *Server) setState(r *record, state State) {
	if !r.State.over() && state.over() {
		delete(s.byCode, r.Code)
		s.inUse[r.Capacity]--
	}
	r.State = state
	s.touch(r)
}

func (s *Server) add(r *record) {
	r.Created = s.now()
	r.State = Waiting
	r.joinSlug, r.watchSlug = slug(), slug()
	s.touch(r)
	s.byID[r.ID], s.byCode[r.Code] = r, r
	s.inUse[r.Capacity]++
	if r.Provider == Systec {
		s.unattended = append(s.unattended, r)
	}
	s.byLink[r.joinSlug], s.byLink[r.watchSlug] = r, r
	s.order = append(s.order, r)
}

// touch marks r as modified now. No two modifications share a millisecond, so that
// the time can serve as a paging cursor.
func (s *Server) touch(r *record) {
	s.modified = max(s.modified+1, s.now().UnixMilli())
	r.modified = s.modified
}

func (s *Server) join(r *record, user string) error {
	if r.State.over() {
		return fmt.Errorf("%w: %s is %s", ErrState, r.ID, r.State)
	}
	if slices.Contains(r.Inside, user) {
		return nil
	}
	if r.State == Waiting && r.Provider == Systec {
		r.Start = s.now()
	}
	first := r.State == Waiting
	s.setState(r, Running)
	r.Inside = append(r.Inside, user)
	r.people = append(r.people, attendance{user: user, joined: s.now(), instanceID: 1})
	if r.isHost(user) || r.Provider == Zoom && first {
		s.notify(r, "meeting.started", user, nil)
	}
	s.notify(r, "meeting.participant-joined", user, nil)
	return nil
}

func (s *Server) leave(r *record, user string) error {
	i := slices.Index(r.Inside, user)
	if i < 0 {
		return fmt.Errorf("%w: %s is not inside", ErrState, user)
	}
	r.Inside = slices.Delete(r.Inside, i, i+1)
	s.markLeft(r, user)
	s.notify(r, "meeting.participant-left", user, nil)
	if len(r.Inside) == 0 && r.Provider == Zoom { // the last one ends it
		return s.end(r, endedByLastLeaving)
	}
	if len(r.Inside) > 0 || r.Provider != Tencent {
		return nil
	}
	if s.now().After(r.End) {
		return s.end(r, endedByLastLeaving)
	}
	s.notify(r, "meeting.end", user, map[string]any{"meeting_end_type": emptyEarly})
	return nil
}

func (s *Server) markLeft(r *record, user string) {
	for i := range r.people {
		if p := &r.people[i]; p.user == user && p.left.IsZero() {
			p.left = s.now()
		}
	}
	s.touch(r)
}

func (s *Server) setLive(r *record, on bool) error {
	if r.State != Running || !r.LiveEnabled && len(r.Pushes) == 0 {
		return fmt.Errorf("%w: live of %s (%s)", ErrState, r.ID, r.State)
	}
	if r.Live == on {
		return nil
	}
	r.Live = on
	r.wasLive = true
	s.encode(r)
	s.touch(r)
	event := "meeting.live-started"
	if !on {
		event = "meeting.live-stopped"
	}
	s.notify(r, event, r.host(), nil)
	return nil
}

// Values of meeting_end_type.
const (
	endedByHost        = 0
	endedByLastLeaving = 1
	emptyEarly         = 3 // it can be entered again
)

func (s *Server) end(r *record, endType int) error {
	if r.State.over() {
		return fmt.Errorf("%w: %s is %s already", ErrState, r.ID, r.State)
	}
	if r.Live {
		_ = s.setLive(r, false) // possible, since it is on
	}
	for _, user := range r.Inside {
		s.markLeft(r, user)
	}
	r.Inside = nil
	if r.Provider == Systec {
		r.End = s.now()
	}
	if r.Provider == Zoom && r.zoom.kind == zoomPlanned { // it can be started again
		s.setState(r, Waiting)
	} else {
		s.setState(r, Ended)
	}
	s.notify(r, "meeting.end", r.host(), map[string]any{"meeting_end_type": endType})
	s.finishLater(r)
	return nil
}

func (s *Server) cancelMeeting(r *record, user string) {
	s.setState(r, Cancelled)
	s.notify(r, "meeting.canceled", user, nil)
}

func (r *record) isHost(user string) bool { return slices.Contains(r.Hosts, user) }

// host is the host who acts when nobody in particular does.
func (r *record) host() string {
	if len(r.Hosts) == 0 {
		return r.Creator
	}
	return r.Hosts[0]
}

func (r *record) snapshot() Meeting {
	m := r.Meeting
	m.JoinURL, m.WatchURL = r.joinURL(), r.watchURL()
	m.Hosts, m.Inside, m.Pushes = slices.Clone(m.Hosts), slices.Clone(m.Inside), slices.Clone(m.Pushes)
	m.SystecParams, m.Settings = maps.Clone(m.SystecParams), slices.Clone(m.Settings)
	return m
}

// listed returns a provider's meetings that keep accepts and that are old enough to
// be listed, in the order given by less.
func (s *Server) listed(p Provider, keep func(*record) bool, compare func(a, b *record) int) []*record {
	s.sweep()
	visible := s.now().Add(-s.cfg.Quirks.ListDelay)
	var out []*record
	for _, r := range s.order {
		if r.Provider == p && !r.Created.After(visible) && keep(r) {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, compare)
	return out
}

func byStart(a, b *record) int {
	return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.modified, b.modified))
}

// slug returns the unguessable part of a link.
func slug() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// newNumber returns a decimal number in [low, high) that no meeting has as id or code.
func (s *Server) newNumber(low, high uint64) string {
	span := new(big.Int).SetUint64(high - low)
	for {
		n, err := rand.Int(rand.Reader, span)
		if err != nil {
			panic(err) // crypto/rand never fails
		}
		number := strconv.FormatUint(low+n.Uint64(), 10)
		if s.byID[number] == nil && s.byCode[number] == nil {
			return number
		}
	}
}
