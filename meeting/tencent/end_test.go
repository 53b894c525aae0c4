package tencent_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/sandbox"
	"meetbot/meeting/tencent"
)

func TestEndWhateverTheState(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(*testing.T, *sandbox.Server, string)
		quirks sandbox.Quirks
		err    error
		state  sandbox.State
	}{
		"NobodyEntered":     {before: func(*testing.T, *sandbox.Server, string) {}, state: sandbox.Cancelled},
		"Running":           {before: func(t *testing.T, s *sandbox.Server, id string) { require.NoError(t, s.Join(id, "x")) }, state: sandbox.Ended},
		"OverAndReturned":   {before: end, quirks: sandbox.Quirks{EndedStaysVisible: true}, state: sandbox.Ended},
		"OverAndUnreturned": {before: end, err: meeting.ErrNotFound, state: sandbox.Ended},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, sandbox.Config{Quirks: tt.quirks})
			c := newClient(t, config(s, nil))
			m, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
			require.NoError(t, err)
			tt.before(t, s, m.Ref.ID)
			require.ErrorIs(t, c.Client.End(t.Context(), "", m.Ref.ID), tt.err)
			truth, _ := s.Meeting(m.Ref.ID)
			assert.Equal(t, tt.state, truth.State)
		})
	}
}

func end(t *testing.T, s *sandbox.Server, id string) {
	require.NoError(t, s.Join(id, "x"))
	require.NoError(t, s.End(id))
}

func TestEndDismissesAMeetingThatBeganInBetween(t *testing.T) {
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		switch {
		case strings.HasSuffix(r.URL.Path, "/cancel"):
			_, _ = io.WriteString(w, `{"error_info":{"error_code":13602}}`)
		case r.Method == http.MethodGet:
			_, _ = io.WriteString(w, `{"meeting_info_list":[{"meeting_id":"1","status":"MEETING_STATE_INIT"}]}`)
		}
	}))
	t.Cleanup(srv.Close)
	c, err := tencent.New(tencent.Config{AppID: "a", SecretID: "i", SecretKey: secret.New("k"), UserID: "u", BaseURL: srv.URL})
	require.NoError(t, err)
	require.NoError(t, c.End(t.Context(), "", "1"))
	assert.Equal(t, []string{"/v1/meetings/1", "/v1/meetings/1/cancel", "/v1/meetings/1/dismiss"}, asked)
}

// A cancellation that names no sub-meeting cancels the whole series, and all that was asked for is
// that this one ends.
func TestASeriesIsEndedAndNeverCancelled(t *testing.T) {
	const get, cancel, dismiss = "/v1/meetings/1", "/v1/meetings/1/cancel", "/v1/meetings/1/dismiss"
	for name, tt := range map[string]struct {
		answer string
		want   []string
		err    error
	}{
		"OnceWaits":      {`"meeting_type":0,"status":"MEETING_STATE_INIT"`, []string{get, cancel}, nil},
		"OnceUnsaid":     {`"current_sub_meeting_id":"","status":"MEETING_STATE_INIT"`, []string{get, cancel}, nil},
		"SeriesWaits":    {`"meeting_type":1,"status":"MEETING_STATE_INIT"`, []string{get}, meeting.ErrInvalid},
		"SeriesAsText":   {`"meeting_type":"1","status":"MEETING_STATE_INIT"`, []string{get}, meeting.ErrInvalid},
		"SeriesByItsSub": {`"current_sub_meeting_id":"1696818213","status":"MEETING_STATE_INIT"`, []string{get}, meeting.ErrInvalid},
		"SeriesRuns":     {`"meeting_type":1,"current_sub_meeting_id":"1696818213","status":"MEETING_STATE_STARTED"`, []string{get, dismiss}, nil},
		"PersonalWaits":  {`"meeting_type":5,"status":"MEETING_STATE_INIT"`, []string{get}, meeting.ErrInvalid},
		"PersonalRuns":   {`"meeting_type":5,"status":"MEETING_STATE_STARTED"`, []string{get, dismiss}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var asked []string
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, r.URL.Path)
				if r.Method == http.MethodGet {
					_, _ = io.WriteString(w, `{"meeting_info_list":[{"meeting_id":"1",`+tt.answer+`}]}`)
				}
			}))
			t.Cleanup(srv.Close)
			c, err := tencent.New(tencent.Config{AppID: "a", SecretID: "i", SecretKey: secret.New("k"), UserID: "u", BaseURL: srv.URL})
			require.NoError(t, err)
			err = c.End(t.Context(), "", "1")
			require.ErrorIs(t, err, tt.err)
			if e, ok := errors.AsType[*meeting.APIError](err); ok {
				assert.Equal(t, meeting.ReasonState, e.Reason)
			}
			mu.Lock()
			defer mu.Unlock()
			assert.Equal(t, tt.want, asked)
		})
	}
}
