package systec_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/clienttest"
	"meetbot/meeting/sandbox"
	"meetbot/meeting/systec"
)

type client struct{ *systec.Client }

func (c client) List(ctx context.Context) ([]meeting.Meeting, error) {
	return c.Client.List(ctx, systec.ListOptions{})
}

func open(t *testing.T, s *sandbox.Server, hc *http.Client, rightKey bool) client {
	t.Helper()
	cfg := systec.Config{
		Key: secret.New(s.Config().SystecKey), Secret: s.Config().SystecSecret, BaseURL: s.SystecURL(), Capacity: 25, HTTPClient: hc,
	}
	if !rightKey {
		cfg.Secret = secret.New("wrong")
	}
	c, err := systec.New(cfg)
	require.NoError(t, err)
	return client{c}
}

func TestConformance(t *testing.T) {
	clienttest.Run(t, clienttest.Provider{
		Kind: systec.Kind,
		Open: func(t *testing.T, s *sandbox.Server, hc *http.Client, rightKey bool) clienttest.Client {
			return open(t, s, hc, rightKey)
		},
		Create: sandbox.SystecInstant, Get: sandbox.SystecGet, List: sandbox.SystecList, End: sandbox.SystecEnd,
		Quirks: map[string]sandbox.Quirks{
			"FailuresHaveAnHTTPStatus": {SystecFailureStatus: -1},
			"FailuresAre500":           {SystecFailureStatus: 500},
			"NumbersSwapped":           {SystecSwapNumbers: true},
			"AnswersOf2018":            {Systec2018: true},
			"ListsHeedNoUserKey":       {SystecListsAll: true},
		},
		Unclear:        map[string]bool{"FailuresAre500": true},
		WatchURLAtOnce: true, PlayURL: true, CodeIsID: true,
	})
}

func TestALostMeetingIsFoundByItsUserKey(t *testing.T) {
	s, err := sandbox.Start(t.Context(), "127.0.0.1:0", sandbox.Config{})
	require.NoError(t, err)
	c := open(t, s, nil, true)
	_, err = c.Create(t.Context(), meeting.Instant{Topic: "same", UserKey: "another"})
	require.NoError(t, err)
	s.Fault(sandbox.Fault{Endpoint: sandbox.SystecInstant, Kind: sandbox.Drop, After: true})
	_, err = c.Create(t.Context(), meeting.Instant{Topic: "same", UserKey: "job-1"})
	require.ErrorIs(t, err, meeting.ErrOutcomeUnknown)

	list, err := c.Client.List(t.Context(), systec.ListOptions{UserKey: "job-1"})
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Empty(t, list[0].UserKey, "a row does not say it")
	full, err := c.Get(t.Context(), list[0].Ref.ID)
	require.NoError(t, err)
	assert.Equal(t, "job-1", full.UserKey)

	require.NoError(t, s.Join(list[0].Ref.ID, "x"))
	require.NoError(t, c.End(t.Context(), list[0].Ref.ID))
	over, err := c.Client.List(t.Context(), systec.ListOptions{UserKey: "job-1", Over: true})
	require.NoError(t, err)
	require.Len(t, over, 1)
	assert.Equal(t, meeting.StateEnded, over[0].State)
}

func TestStartURLIsFetchedAnew(t *testing.T) {
	s, err := sandbox.Start(t.Context(), "127.0.0.1:0", sandbox.Config{})
	require.NoError(t, err)
	c := open(t, s, nil, true)
	m, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.NoError(t, err)
	link, err := c.StartURL(t.Context(), m.Ref.ID)
	require.NoError(t, err)
	assert.NotEmpty(t, link.Reveal())
	_, err = c.StartURL(t.Context(), "1234567890")
	require.ErrorIs(t, err, meeting.ErrNotFound)
}

func TestAMeetingThatNobodyJoinsIsDeleted(t *testing.T) {
	for _, forgets := range []bool{false, true} {
		var now atomic.Int64
		now.Store(1_700_000_000)
		s, err := sandbox.Start(t.Context(), "127.0.0.1:0", sandbox.Config{
			Quirks: sandbox.Quirks{SystecForgetsDeleted: forgets},
			Now:    func() time.Time { return time.Unix(now.Load(), 0) },
		})
		require.NoError(t, err)
		c := open(t, s, nil, true)
		m, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
		require.NoError(t, err)
		now.Add(30 * 60)
		m, err = c.Get(t.Context(), m.Ref.ID)
		if forgets {
			require.ErrorIs(t, err, meeting.ErrNotFound)
		} else {
			require.NoError(t, err)
			assert.Equal(t, meeting.StateDeleted, m.State)
		}
	}
}

func TestNoFreeRoomIsALimit(t *testing.T) {
	s, err := sandbox.Start(t.Context(), "127.0.0.1:0", sandbox.Config{Capacity: map[int]int{25: 1}})
	require.NoError(t, err)
	c := open(t, s, nil, true)
	_, err = c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.NoError(t, err)
	_, err = c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.ErrorIs(t, err, meeting.ErrLimit)
}

func TestTheLicenceIsRead(t *testing.T) {
	expires := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, swapped := range []bool{false, true} {
		s, err := sandbox.Start(t.Context(), "127.0.0.1:0", sandbox.Config{
			Capacity: map[int]int{25: 5, 100: 0}, SystecExpires: expires, Quirks: sandbox.Quirks{SystecSwapNumbers: swapped},
		})
		require.NoError(t, err)
		got, err := open(t, s, nil, true).Licence(t.Context())
		require.NoError(t, err)
		assert.True(t, expires.Equal(got.Expires), got.Expires)
		assert.Equal(t, systec.BillingRooms, got.Billing)
		assert.Equal(t, map[int]int{25: 5, 100: 0}, got.Rooms)
	}
	s, err := sandbox.Start(t.Context(), "127.0.0.1:0", sandbox.Config{})
	require.NoError(t, err)
	got, err := open(t, s, nil, true).Licence(t.Context())
	require.NoError(t, err)
	assert.True(t, got.Expires.IsZero())
}

func TestFreeRoomsAreAskedForBefore(t *testing.T) {
	s, err := sandbox.Start(t.Context(), "127.0.0.1:0", sandbox.Config{Capacity: map[int]int{25: 1}})
	require.NoError(t, err)
	c := open(t, s, nil, true)
	wish := meeting.Instant{Topic: "t"}
	require.NoError(t, c.CanCreate(t.Context(), wish, time.Now()))
	_, err = c.Create(t.Context(), wish)
	require.NoError(t, err)
	err = c.CanCreate(t.Context(), wish, time.Now())
	require.ErrorIs(t, err, meeting.ErrLimit)
	var apiErr *meeting.APIError
	require.ErrorAs(t, err, &apiErr)
	assert.Equal(t, meeting.ReasonRooms, apiErr.Reason)
	wish.Capacity = 30
	require.NoError(t, c.CanCreate(t.Context(), wish, time.Now()), "what a size in between means is not documented")
	wish.Duration = 30 * time.Minute
	require.ErrorIs(t, c.CanCreate(t.Context(), wish, time.Now()), meeting.ErrInvalid)
}

func TestManyMeetingsAreListedPageByPage(t *testing.T) {
	s, err := sandbox.Start(t.Context(), "127.0.0.1:0", sandbox.Config{Capacity: map[int]int{25: 100}})
	require.NoError(t, err)
	c := open(t, s, nil, true)
	want := map[string]bool{}
	for range 65 {
		m, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
		require.NoError(t, err)
		want[m.Ref.ID] = true
	}
	list, err := c.List(t.Context())
	require.NoError(t, err)
	got := map[string]bool{}
	for _, m := range list {
		got[m.Ref.ID] = true
	}
	assert.Equal(t, want, got)
}
