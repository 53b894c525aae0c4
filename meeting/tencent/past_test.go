package tencent_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/meeting"
	"meetbot/meeting/clienttest"
	"meetbot/meeting/sandbox"
)

// Of a recording its page is read, and never where its files are.
func TestRecordingsHaveTheirPages(t *testing.T) {
	s := start(t, sandbox.Config{})
	c := newClient(t, config(s, nil))
	m, err := c.Create(t.Context(), meeting.Instant{Topic: "直播", Recording: meeting.RecordingCloud})
	require.NoError(t, err)
	id := m.Ref.ID
	pages, err := c.Recordings(t.Context(), "", id)
	require.NoError(t, err)
	assert.Empty(t, pages, "it is being made")
	require.NoError(t, s.Join(id, sandbox.DefaultUser))
	require.NoError(t, s.End(id))
	require.NoError(t, s.FinishRecording(id))
	require.NoError(t, s.FinishRecording(id))
	pages, err = c.Recordings(t.Context(), "", id)
	require.NoError(t, err)
	require.Len(t, pages, 2)
	for _, p := range pages {
		assert.Equal(t, meeting.MadeRecording, p.Made)
		assert.NotEmpty(t, p.File)
		assert.Contains(t, p.URL, "/rec/")
		resp, err := http.Get(p.URL)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, http.StatusOK, resp.StatusCode)
	}
	assert.NotContains(t, fmt.Sprintf("%+v", pages), sandbox.FileAddress)
	_, err = c.Recordings(t.Context(), "bob", id)
	require.ErrorIs(t, err, meeting.ErrNotPermitted)
	s.SetQuirks(sandbox.Quirks{RecordingsForbidden: true})
	_, err = c.Recordings(t.Context(), "", id)
	require.ErrorIs(t, err, meeting.ErrNotPermitted)
}

// A recording that cannot be read hides no other.
func TestARecordingThatCannotBeReadHidesNoOther(t *testing.T) {
	for name, fails := range map[string]func(http.ResponseWriter){
		"not found":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
		"no answer":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
		"unreadable": func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>")) },
	} {
		t.Run(name, func(t *testing.T) {
			c := clientOver(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				record := r.URL.Query().Get("meeting_record_id")
				switch {
				case record == "r2":
					fails(w)
				case record != "":
					_ = json.NewEncoder(w).Encode(map[string]any{"record_files": []any{map[string]any{"record_file_id": "f-" + record, "view_address": "https://meeting.tencent.com/crm/" + record}}})
				default:
					var all []any
					for _, id := range []string{"r1", "r2", "r3"} {
						all = append(all, map[string]any{"meeting_id": "123456789012345678", "meeting_record_id": id, "state": 3})
					}
					_ = json.NewEncoder(w).Encode(map[string]any{"record_meetings": all})
				}
			})
			pages, err := c.Recordings(t.Context(), "", "123456789012345678")
			require.Error(t, err)
			require.Len(t, pages, 2)
			assert.Equal(t, []string{"f-r1", "f-r3"}, []string{pages[0].File, pages[1].File})
		})
	}
}

// A page that is not the provider's own is none: it may be a file's address.
func TestOtherPagesAreNotPassedOn(t *testing.T) {
	for link, want := range map[string]string{
		"https://meeting.tencent.com/crm/abc":                    "https://meeting.tencent.com/crm/abc",
		"https://a.meeting.tencent.com/v2/x?id=1":                "https://a.meeting.tencent.com/v2/x?id=1",
		"https://b.cos.ap-guangzhou.myqcloud.com/v.mp4":          "",
		"http://meeting.tencent.com/crm/abc":                     "",
		"https://meeting.tencent.com.evil.example/x":             "",
		"https://meeting.tencent.com@evil.example/x":             "",
		"https://meeting.tencent.com:8443/x":                     "",
		"javascript:alert(1)":                                    "",
		"https://evilmeeting.tencent.com/x":                      "",
		"https://meeting.tencent.com/\u202ecrm":                  "",
		"https://meeting.tencent.com/a b":                        "",
		"https://voovmeeting.com/s/" + strings.Repeat("x", 5000): "",
	} {
		c := clientOver(t, func(w http.ResponseWriter, r *http.Request) {
			answer := map[string]any{"record_meetings": []any{map[string]any{"meeting_id": "123456789012345678", "meeting_record_id": "r1", "state": 3}}}
			if strings.HasSuffix(r.URL.Path, "/v1/addresses") {
				assert.Equal(t, url.Values{"userid": {"bot"}, "meeting_record_id": {"r1"}}, r.URL.Query())
				answer = map[string]any{"record_files": []any{map[string]any{"record_file_id": "f", "view_address": link, "download_address": "https://meeting.tencent.com/file"}}}
			}
			assert.NoError(t, json.NewEncoder(w).Encode(answer))
		})
		pages, err := c.Recordings(t.Context(), "", "123456789012345678")
		require.NoError(t, err)
		assert.Equal(t, []meeting.Page{{Made: meeting.MadeRecording, File: "f", URL: want}}, pages, link)
	}
}

func TestReplaysAndParticipants(t *testing.T) {
	s := start(t, sandbox.Config{})
	c := newClient(t, config(s, nil))
	yes := true
	m, err := c.Create(t.Context(), meeting.Instant{Topic: "直播", Live: &yes})
	require.NoError(t, err)
	id := m.Ref.ID
	require.NoError(t, s.Join(id, sandbox.DefaultUser))
	require.NoError(t, s.StartLive(id))
	pages, err := c.Replays(t.Context(), "", id)
	require.NoError(t, err)
	assert.Empty(t, pages)
	for i := range 205 {
		require.NoError(t, s.Join(id, fmt.Sprint("小王", i)))
	}
	require.NoError(t, s.Leave(id, "小王0"))
	require.NoError(t, s.Join(id, "小王0"))
	require.NoError(t, s.End(id))
	pages, err = c.Replays(t.Context(), "", id)
	require.NoError(t, err)
	require.Len(t, pages, 1)
	assert.Equal(t, meeting.MadeReplay, pages[0].Made)
	names, more, err := c.Participants(t.Context(), "", id)
	require.NoError(t, err)
	assert.False(t, more)
	require.Len(t, names, 206, "each once")
	assert.Equal(t, []string{sandbox.DefaultUser, "小王0", "小王1"}, names[:3])
	_, _, err = c.Participants(t.Context(), "bob", id)
	require.ErrorIs(t, err, meeting.ErrNotPermitted)
}

// clientOver is a client of a server that answers as h does, as if it were Tencent's own.
func clientOver(t *testing.T, h http.HandlerFunc) client {
	t.Helper()
	base := clienttest.Serve(t, h)
	at, err := url.Parse(base)
	require.NoError(t, err)
	cfg := config(start(t, sandbox.Config{}), &http.Client{Transport: redirect{at}})
	cfg.BaseURL, cfg.UserID = "https://api.meeting.qq.com", "bot"
	return newClient(t, cfg)
}

// redirect sends every request to another host.
type redirect struct{ to *url.URL }

func (r redirect) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Scheme, req.URL.Host, req.URL.Path = r.to.Scheme, r.to.Host, r.to.Path+req.URL.Path
	return http.DefaultTransport.RoundTrip(req)
}

// A list that never ends, a name on each page, is not read for ever.
func TestParticipantsAreReadInTenPages(t *testing.T) {
	asked := 0
	c := clientOver(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		_, _ = fmt.Fprintf(w, `{"participants":[{"user_name":"QWRh","userid":"u%d"}],"has_remaining":true,"next_pos":%d}`, asked, asked)
	})
	names, more, err := c.Participants(t.Context(), "", "806146601")
	require.NoError(t, err)
	assert.True(t, more)
	assert.Len(t, names, 10)
	assert.Equal(t, 10, asked)
}

// What can be no count is none: the highest one is shown for as long as the meeting is remembered.
func TestViewersThatNobodyCanHaveAreNoCount(t *testing.T) {
	for answer, want := range map[string]int{"0": 0, `"412"`: 412, "-1": -1, "99999999999999999999": -1, "10000000001": -1, "1e3": -1} {
		c := clientOver(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintf(w, `{"live_viewers_num":%s}`, answer) })
		n, err := c.Viewers(t.Context(), "", "806146601")
		if want < 0 {
			require.Error(t, err, answer)
			continue
		}
		require.NoError(t, err, answer)
		assert.Equal(t, want, n, answer)
	}
}
