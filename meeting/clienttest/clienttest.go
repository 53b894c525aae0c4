// Package clienttest is what the clients of all providers have to do alike, tested
// against the sandbox over its real wire protocols. Where the providers differ, a
// [Provider] says how, and the difference is asserted.
package clienttest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/sandbox"
)

// Client is what every client can do, here as the account they are configured with.
type Client interface {
	Create(context.Context, meeting.Instant) (meeting.Meeting, error)
	Get(ctx context.Context, id string) (meeting.Meeting, error)
	List(context.Context) ([]meeting.Meeting, error)
	End(ctx context.Context, id string) error
	Ping(context.Context) (time.Time, error)
}

// Provider is one of the providers.
type Provider struct {
	Kind meeting.Kind
	// Open returns a client of s that uses hc and, if rightKey is false, a wrong secret.
	Open func(t *testing.T, s *sandbox.Server, hc *http.Client, rightKey bool) Client
	// Endpoints of the operations, in the sandbox's words.
	Create, Get, List, End sandbox.Endpoint
	// Quirks are the readings of the documents under which everything has to hold, each of
	// them on top of Base.
	Quirks map[string]sandbox.Quirks
	Base   sandbox.Quirks
	// Unclear names the quirks under which a refusal of a call that changes something cannot be
	// told from a gateway's, and leaves its outcome open.
	Unclear map[string]bool

	// The differences.

	WatchURLAtOnce bool // Create's answer has the watch URL; otherwise Get's has
	PlayURL        bool // there is a stream to play
	CodeIsID       bool // people type the id to join
	// Unlisted says that the sandbox's lists do not have meetings that were made at once, so
	// that one whose answer was lost is not found.
	Unlisted bool
	// EndUnentered is the error of ending a meeting that nobody has entered; nil if the
	// provider does it.
	EndUnentered error
	// EndLooks says that End asks for the meeting's state before it changes it.
	EndLooks bool
	// EndedError is the error of Get for a meeting that was ended; nil if it is returned
	// as ended.
	EndedError error
}

// Run runs the suite.
func Run(t *testing.T, p Provider) {
	t.Run("TheLifeOfAMeeting", p.life)
	t.Run("UnknownMeeting", p.unknownMeeting)
	t.Run("WrongCredentials", p.wrongCredentials)
	t.Run("Live", p.live)
	t.Run("Capabilities", p.capabilities)
	t.Run("LostAnswerOfACreate", p.lostAnswer)
	t.Run("LostAnswerAndOtherClocks", p.otherClocks)
	t.Run("LostAnswerAmongOthers", p.amongOthers)
	t.Run("BrokenReads", p.brokenReads)
	t.Run("GivingUpWhileWaiting", p.givingUp)
	t.Run("NobodyThere", p.nobodyThere)
	t.Run("Throttled", p.throttled)
	t.Run("SuccessUnderAnotherLabel", p.otherLabel)
}

// mark returns a wish that is prepared to be found again.
func (p Provider) mark(topic string) meeting.Instant {
	in := meeting.Instant{Topic: topic}
	p.Kind.Prepare(&in, meeting.Origin{Mark: "meetbot:" + topic, Own: true, At: time.Now()})
	return in
}

// is reports whether m is the meeting that was made for the wish just now, which is all that
// a caller has after a lost answer.
func (p Provider) is(m meeting.Meeting, wish meeting.Instant) bool {
	return p.Kind.Same(wish, time.Now(), m)
}

// lists holds that a list has the meeting that was made for the wish, and no other.
func (p Provider) lists(t *testing.T, list []meeting.Meeting, wish meeting.Instant) {
	t.Helper()
	if p.Unlisted {
		assert.Empty(t, list)
		return
	}
	require.Len(t, list, 1)
	assert.True(t, p.is(list[0], wish))
}

func (p Provider) start(t *testing.T, q sandbox.Quirks) (*sandbox.Server, Client) {
	t.Helper()
	s, err := sandbox.Start(t.Context(), "127.0.0.1:0", sandbox.Config{Quirks: q})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s, p.Open(t, s, httpClient(t), true)
}

// httpClient has a transport of its own, so that no test meets another's connections.
func httpClient(t *testing.T) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (p Provider) life(t *testing.T) {
	quirks := map[string]sandbox.Quirks{"Likeliest": p.Base}
	for name, q := range p.Quirks {
		quirks[name] = q
	}
	for name, q := range quirks {
		t.Run(name, func(t *testing.T) {
			s, c := p.start(t, q)
			wish := p.mark("周会 & Q3 + “计划”")
			made, err := c.Create(t.Context(), wish)
			require.NoError(t, err)
			assert.Equal(t, p.Kind.ID, made.Ref.Provider)
			assert.Equal(t, wish.Topic, made.Topic)
			assert.Equal(t, meeting.StateReady, made.State)
			assert.Equal(t, p.CodeIsID, made.Code == made.Ref.ID)
			truth, ok := s.Meeting(made.Ref.ID)
			require.True(t, ok)
			assert.Equal(t, wish.Topic, truth.Topic)
			assert.Equal(t, truth.Code, made.Code)

			found, err := c.Get(t.Context(), made.Ref.ID)
			require.NoError(t, err)
			assert.Equal(t, made.Ref, found.Ref)
			assert.Equal(t, wish.Topic, found.Topic)
			assert.Equal(t, meeting.StateReady, found.State)
			if made.JoinURL != "" {
				assert.Equal(t, made.JoinURL, found.JoinURL)
			}

			require.NoError(t, s.Join(made.Ref.ID, "somebody"))
			found, err = c.Get(t.Context(), made.Ref.ID)
			require.NoError(t, err)
			assert.Equal(t, meeting.StateRunning, found.State)

			list, err := c.List(t.Context())
			require.NoError(t, err)
			p.lists(t, list, wish)

			require.NoError(t, c.End(t.Context(), made.Ref.ID))
			truth, _ = s.Meeting(made.Ref.ID)
			assert.Equal(t, sandbox.Ended, truth.State)
			list, err = c.List(t.Context())
			require.NoError(t, err)
			assert.Empty(t, list)
			found, err = c.Get(t.Context(), made.Ref.ID)
			if p.EndedError != nil && !q.EndedStaysVisible {
				require.ErrorIs(t, err, p.EndedError)
			} else {
				require.NoError(t, err)
				assert.Equal(t, meeting.StateEnded, found.State)
			}
			require.Error(t, c.End(t.Context(), made.Ref.ID), "it is over")

			unentered, err := c.Create(t.Context(), p.mark("unentered"))
			require.NoError(t, err)
			require.ErrorIs(t, c.End(t.Context(), unentered.Ref.ID), p.EndUnentered)
		})
	}
}

func (p Provider) unknownMeeting(t *testing.T) {
	for name, q := range p.Quirks {
		t.Run(name, func(t *testing.T) {
			_, c := p.start(t, q)
			_, err := c.Get(t.Context(), "1234567890")
			require.ErrorIs(t, err, meeting.ErrNotFound)
			require.ErrorIs(t, c.End(t.Context(), "1234567890"), p.refused(name, meeting.ErrNotFound))
		})
	}
}

func (p Provider) wrongCredentials(t *testing.T) {
	for name, q := range p.Quirks {
		t.Run(name, func(t *testing.T) {
			s, _ := p.start(t, q)
			c := p.Open(t, s, httpClient(t), false)
			for op, err := range p.reads(t.Context(), c) {
				require.ErrorIs(t, err, meeting.ErrCredentials, op)
			}
			for op, err := range p.writes(t.Context(), c) {
				require.ErrorIs(t, err, p.refused(name, meeting.ErrCredentials), op)
			}
			assert.Empty(t, s.Meetings())
		})
	}
}

// refused returns the kind of a refused call that changes something.
func (p Provider) refused(quirk string, err error) error {
	if p.Unclear[quirk] {
		return meeting.ErrOutcomeUnknown
	}
	return err
}

// all calls every operation and returns what became of it.
func (p Provider) all(ctx context.Context, c Client) map[string]error {
	errs := p.reads(ctx, c)
	maps.Copy(errs, p.writes(ctx, c))
	return errs
}

func (p Provider) writes(ctx context.Context, c Client) map[string]error {
	errs := map[string]error{}
	_, errs["Create"] = c.Create(ctx, p.mark("all"))
	errs["End"] = c.End(ctx, "1234567890")
	return errs
}

func (p Provider) reads(ctx context.Context, c Client) map[string]error {
	errs := map[string]error{}
	_, errs["Get"] = c.Get(ctx, "1234567890")
	_, errs["List"] = c.List(ctx)
	_, errs["Ping"] = c.Ping(ctx)
	return errs
}

func (p Provider) live(t *testing.T) {
	_, c := p.start(t, p.Base)
	wish := p.mark("with live")
	yes := true
	wish.Live = &yes
	made, err := c.Create(t.Context(), wish)
	if p.Kind.Parameters["live"] == "" { // any meeting may have one
		var apiErr *meeting.APIError
		require.ErrorAs(t, err, &apiErr)
		assert.Equal(t, meeting.ReasonUnsupported, apiErr.Reason)
		return
	}
	require.NoError(t, err)
	assert.True(t, made.Live)
	assert.Equal(t, p.WatchURLAtOnce, made.WatchURL != "")
	found, err := c.Get(t.Context(), made.Ref.ID)
	require.NoError(t, err)
	assert.True(t, found.Live)
	assert.NotEmpty(t, found.WatchURL)
	assert.Equal(t, p.PlayURL, found.PlayURL != "")

	without, err := c.Create(t.Context(), p.mark("without live"))
	require.NoError(t, err)
	found, err = c.Get(t.Context(), without.Ref.ID)
	require.NoError(t, err)
	assert.False(t, found.Live)
	assert.Empty(t, found.WatchURL)
}

func (p Provider) capabilities(t *testing.T) {
	_, c := p.start(t, p.Base)
	can := p.Kind.Can
	made, err := c.Create(t.Context(), p.mark("plain"))
	require.NoError(t, err)
	assert.Equal(t, can.StartURL, !made.StartURL.IsZero())

	wish := p.mark("with a host key")
	wish.HostKey = secret.New("918273")
	made, err = c.Create(t.Context(), wish)
	if can.HostKey {
		require.NoError(t, err)
		assert.Equal(t, wish.HostKey, made.HostKey)
	} else {
		var apiErr *meeting.APIError
		require.ErrorAs(t, err, &apiErr)
		assert.Equal(t, meeting.ReasonUnsupported, apiErr.Reason)
	}

	clock, err := c.Ping(t.Context())
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), clock, time.Minute)
}

// broken are the ways in which an answer fails to come.
var broken = map[string]sandbox.Fault{
	"Reset":     {Kind: sandbox.Reset},
	"Drop":      {Kind: sandbox.Drop},
	"HTML":      {Kind: sandbox.ProxyHTML},
	"503":       {Kind: sandbox.Status},
	"500":       {Kind: sandbox.Status, Status: 500},
	"504JSON":   {Kind: sandbox.GatewayJSON, Status: 504},
	"502JSON":   {Kind: sandbox.GatewayJSON},
	"408JSON":   {Kind: sandbox.GatewayJSON, Status: 408},
	"Garbage":   {Kind: sandbox.Garbage},
	"Truncated": {Kind: sandbox.Truncate},
}

// lost are those, and others in which only the answer to a call that changes something
// fails to come: something on the way writes what a client that only reads believes.
func lost() map[string]sandbox.Fault {
	faults := maps.Clone(broken)
	for _, status := range []int{400, 401, 403, 404, 429} {
		faults[fmt.Sprint(status)] = sandbox.Fault{Kind: sandbox.Status, Status: status}
		faults[fmt.Sprint(status, "JSON")] = sandbox.Fault{Kind: sandbox.GatewayJSON, Status: status}
	}
	return faults
}

// Whether the work was done before the answer was lost cannot be told from the error, and
// can be told from the list.
func (p Provider) lostAnswer(t *testing.T) {
	for name, fault := range lost() {
		for _, after := range []bool{false, true} {
			when := "Before"
			if after {
				when = "After"
			}
			t.Run(name+when, func(t *testing.T) {
				s, c := p.start(t, p.Base)
				_, err := c.List(t.Context()) // leaves a connection that could be reused
				require.NoError(t, err)
				fault.Endpoint, fault.After = p.Create, after
				s.Fault(fault)
				wish := p.mark(name)
				_, err = c.Create(t.Context(), wish)
				require.ErrorIs(t, err, meeting.ErrOutcomeUnknown)
				require.NotErrorIs(t, err, meeting.ErrUnavailable)
				assert.Equal(t, 1, s.Calls(p.Create), "it was sent once")

				done := after || fault.Kind == sandbox.Truncate
				list, err := c.List(t.Context())
				require.NoError(t, err)
				found := 0
				for _, m := range list {
					if p.is(m, wish) {
						found++
					}
				}
				want, there := 0, 0
				if done {
					there = 1
				}
				if done && !p.Unlisted {
					want = 1
				}
				assert.Equal(t, want, found)
				assert.Len(t, s.Meetings(), there)
			})
		}
	}
}

// The provider's clock decides when a meeting begins.
func (p Provider) otherClocks(t *testing.T) {
	for _, ahead := range []time.Duration{0, time.Second, -time.Second, 4 * time.Minute, -4 * time.Minute} {
		s, err := sandbox.Start(t.Context(), "127.0.0.1:0", sandbox.Config{Quirks: p.Base, Now: func() time.Time { return time.Now().Add(ahead) }})
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.Close() })
		c := p.Open(t, s, httpClient(t), true)
		s.Fault(sandbox.Fault{Endpoint: p.Create, Kind: sandbox.Drop, After: true})
		wish := p.mark("Board")
		_, err = c.Create(t.Context(), wish)
		require.ErrorIs(t, err, meeting.ErrOutcomeUnknown)
		list, err := c.List(t.Context())
		require.NoError(t, err)
		p.lists(t, list, wish)
	}
}

// Another's meeting is not the lost one, though the list has nothing else.
func (p Provider) amongOthers(t *testing.T) {
	q := p.Base
	q.SystecListsAll = true
	s, c := p.start(t, q)
	other, err := c.Create(t.Context(), p.mark("Salary talks (other team)"))
	require.NoError(t, err)
	require.NoError(t, s.Join(other.Ref.ID, "somebody"))
	s.Fault(sandbox.Fault{Endpoint: p.Create, Kind: sandbox.ProxyHTML})
	wish := p.mark("Standup")
	_, err = c.Create(t.Context(), wish)
	require.ErrorIs(t, err, meeting.ErrOutcomeUnknown)
	list, err := c.List(t.Context())
	require.NoError(t, err)
	if !p.Unlisted {
		require.Len(t, list, 1)
		assert.False(t, p.is(list[0], wish))
	}
}

func (p Provider) brokenReads(t *testing.T) {
	for name, fault := range broken {
		t.Run(name, func(t *testing.T) {
			s, c := p.start(t, p.Base)
			fault.Provider = sandbox.Provider(p.Kind.ID)
			s.Fault(fault)
			for name, err := range p.reads(t.Context(), c) {
				require.ErrorIs(t, err, meeting.ErrUnavailable, name)
			}
		})
	}
	t.Run("Redirect", func(t *testing.T) {
		s, c := p.start(t, p.Base)
		elsewhere, _ := p.start(t, p.Base)
		endpoints := []sandbox.Endpoint{
			p.Create, p.Get, p.List, p.End, sandbox.Page, sandbox.SystecUnknown, sandbox.TencentUnknown, sandbox.ZoomUnknown, sandbox.ZoomToken,
		}
		before := map[sandbox.Endpoint]int{}
		for _, e := range endpoints {
			before[e] = elsewhere.Calls(e)
		}
		s.Fault(sandbox.Fault{Provider: sandbox.Provider(p.Kind.ID), Kind: sandbox.Redirect, Location: elsewhere.TencentURL()})
		for name, err := range p.all(t.Context(), c) {
			require.Error(t, err, name)
		}
		for _, e := range endpoints {
			assert.Equal(t, before[e], elsewhere.Calls(e), "credentials went elsewhere")
		}
	})
}

func (p Provider) givingUp(t *testing.T) {
	s, c := p.start(t, p.Base)
	s.Fault(sandbox.Fault{Endpoint: p.Create, Kind: sandbox.Hang, After: true})
	wish := p.mark("hang")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for s.Created(wish.Topic) == 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err := c.Create(ctx, wish)
	require.ErrorIs(t, err, meeting.ErrOutcomeUnknown)
	require.ErrorIs(t, err, context.Canceled)

	_, err = c.Create(ctx, p.mark("never"))
	require.ErrorIs(t, err, meeting.ErrUnavailable, "the context was done before")
	assert.Equal(t, 0, s.Created("never"))
}

func (p Provider) nobodyThere(t *testing.T) {
	s, c := p.start(t, p.Base)
	require.NoError(t, s.Close())
	for name, err := range p.all(t.Context(), c) {
		require.ErrorIs(t, err, meeting.ErrUnavailable, name)
		require.NotErrorIs(t, err, meeting.ErrOutcomeUnknown, name)
	}
}

func (p Provider) throttled(t *testing.T) {
	s, c := p.start(t, p.Base)
	s.Fault(sandbox.Fault{Provider: sandbox.Provider(p.Kind.ID), Kind: sandbox.Status, Status: http.StatusTooManyRequests})
	for name, err := range p.reads(t.Context(), c) {
		require.ErrorIs(t, err, meeting.ErrRateLimited, name)
	}
	for name, err := range p.writes(t.Context(), c) {
		want := meeting.ErrOutcomeUnknown
		if name == "End" && p.EndLooks {
			want = meeting.ErrRateLimited
		}
		require.ErrorIs(t, err, want, name)
	}
}

// What parses as the document says is the answer, whatever it is called.
func (p Provider) otherLabel(t *testing.T) {
	for _, label := range []string{"text/html", "text/html; charset=utf-8", "text/plain", "application/octet-stream", "no media type"} {
		q := p.Base
		q.Label = label
		s, c := p.start(t, q)
		made, err := c.Create(t.Context(), p.mark("labelled"))
		require.NoError(t, err, label)
		_, err = c.Get(t.Context(), made.Ref.ID)
		require.NoError(t, err, label)
		_, err = c.Get(t.Context(), "1234567890")
		require.ErrorIs(t, err, meeting.ErrNotFound, label)
		assert.Len(t, s.Meetings(), 1)
	}
}
