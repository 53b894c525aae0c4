package sandbox

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"meetbot/config/secret"
)

// Zoom's documents: https://developers.zoom.us/docs/api/meetings/, /docs/api/errors/,
// /docs/api/webhooks/ and /docs/internal-apps/s2s-oauth/.

const (
	zoomPrefix = "/zoom/v2"
	zoomOAuth  = "/zoom/oauth/token"

	zoomTokenLife = time.Hour
	zoomRetry     = 30 * time.Second // between two requests to start a live

	zoomInstant = 1
	zoomPlanned = 2
)

// zoomScopes are what each endpoint asks for: the granular scope, and the older one.
var zoomScopes = map[Endpoint][2]string{
	ZoomCreate:     {"meeting:write:meeting:admin", "meeting:write:admin"},
	ZoomList:       {"meeting:read:list_meetings:admin", "meeting:read:admin"},
	ZoomGet:        {"meeting:read:meeting:admin", "meeting:read:admin"},
	ZoomDelete:     {"meeting:delete:meeting:admin", "meeting:write:admin"},
	ZoomEnd:        {"meeting:update:status:admin", "meeting:write:admin"},
	ZoomSetPush:    {"meeting:update:livestream:admin", "meeting:write:admin"},
	ZoomGetPush:    {"meeting:read:livestream:admin", "meeting:read:admin"},
	ZoomLiveStatus: {"meeting:update:livestream_status:admin", "meeting:write:admin"},
}

// zoomState is what only a meeting of Zoom's has.
type zoomState struct {
	kind   int // type
	agenda string
	page   string    // of the live
	hosts  string    // alternative_hosts as sent
	asked  time.Time // when somebody last wanted the live started
	starts int       // how often that was done
}

// zoomError is the body of a failure.
type zoomError struct {
	Status  int    `json:"-"`
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func zoomFail(status, code int, format string, args ...any) *zoomError {
	return &zoomError{status, code, fmt.Sprintf(format, args...)}
}

func zoomInvalid(field string) *zoomError {
	return zoomFail(http.StatusBadRequest, 300, "Validation Failed. %s: Invalid field.", field)
}

func zoomNoMeeting(id string) *zoomError {
	return zoomFail(http.StatusNotFound, 3001, "Meeting does not exist: %s.", id)
}

func (s *Server) serveZoom(w http.ResponseWriter, c call) {
	if c.endpoint == ZoomToken {
		s.mu.Lock()
		status, body := s.zoomGrant(c)
		s.mu.Unlock()
		s.answerZoom(w, status, body)
		return
	}
	s.mu.Lock()
	status, data, fail := s.zoom(c)
	s.mu.Unlock()
	if fail != nil {
		if fail.Status == http.StatusTooManyRequests {
			w.Header().Set("X-RateLimit-Category", "Light")
		}
		s.answerZoom(w, fail.Status, fail)
		return
	}
	s.answerZoom(w, status, data)
}

func (s *Server) answerZoom(w http.ResponseWriter, status int, data any) {
	w.Header().Set("X-Zm-Trackingid", "WEB_"+randomHex(16))
	if data != nil {
		w.Header().Set("Content-Type", cmp.Or(s.Config().Quirks.Label, "application/json;charset=UTF-8"))
	}
	answerJSON(w, status, data)
}

// zoomGrant gives out a token. It is called with s.mu held, as all below is.
func (s *Server) zoomGrant(c call) (int, any) {
	r := c.request
	fail := func(code, reason string) (int, any) {
		return http.StatusBadRequest, object{"reason": reason, "error": code}
	}
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, object{"reason": "Method Not Allowed", "error": "invalid_request"}
	}
	id, pass, ok := r.BasicAuth()
	sameID := subtle.ConstantTimeCompare([]byte(id), []byte(s.cfg.ZoomClientID))
	samePass := subtle.ConstantTimeCompare([]byte(pass), []byte(s.cfg.ZoomClientSecret.Reveal()))
	if !ok || sameID&samePass != 1 {
		return fail("invalid_client", "Invalid client_id or client_secret")
	}
	form := r.URL.Query() // Zoom's own examples have them there as well
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && mt == "application/x-www-form-urlencoded" {
		sent, err := url.ParseQuery(string(c.body))
		if err != nil {
			return fail("invalid_request", "Bad Request")
		}
		for name, v := range sent {
			form[name] = v
		}
	}
	switch {
	case form.Get("grant_type") != "account_credentials":
		return fail("unsupported_grant_type", "unsupported grant type")
	case form.Get("account_id") != s.cfg.ZoomAccountID:
		return fail("invalid_request", "Bad Request")
	}
	token := "sandbox-" + randomHex(24)
	if s.zoomTokens == nil {
		s.zoomTokens = map[string]time.Time{}
	}
	s.zoomTokens[token] = s.now().Add(zoomTokenLife)
	return http.StatusOK, object{
		"access_token": token, "token_type": "bearer", "expires_in": int(zoomTokenLife / time.Second),
		"scope": strings.Join(s.cfg.ZoomScopes, " "), "api_url": "https://api.zoom.us",
	}
}

// RevokeZoomTokens makes every token that was given out invalid.
func (s *Server) RevokeZoomTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zoomTokens = nil
}

func (s *Server) zoom(c call) (status int, data any, _ *zoomError) {
	token, ok := strings.CutPrefix(c.request.Header.Get("Authorization"), "Bearer ")
	if until := s.zoomTokens[token]; !ok || !s.now().Before(until) {
		return 0, nil, zoomFail(http.StatusUnauthorized, 124, "Invalid access token.")
	}
	scopes, known := zoomScopes[c.endpoint]
	if !known {
		return 0, nil, zoomFail(http.StatusNotFound, 2300, "This API endpoint is not recognized.")
	}
	if !slices.Contains(s.cfg.ZoomScopes, scopes[0]) && !slices.Contains(s.cfg.ZoomScopes, scopes[1]) {
		return 0, nil, zoomFail(http.StatusBadRequest, 4711, "Invalid access token, does not contain scopes:[%s].", scopes[0])
	}
	s.sweep()
	about := c.zoomSubject()
	var fail *zoomError
	switch c.endpoint {
	case ZoomCreate:
		data, fail = s.zoomCreate(c, about)
		return http.StatusCreated, data, fail
	case ZoomList:
		data, fail = s.zoomList(about, c.request.URL.Query())
		return http.StatusOK, data, fail
	}
	r := s.byID[about]
	if r == nil || r.Provider != Zoom || r.State.over() {
		return 0, nil, zoomNoMeeting(about)
	}
	switch c.endpoint {
	case ZoomGet:
		return http.StatusOK, s.zoomInfo(r, true), nil
	case ZoomGetPush:
		return s.zoomGetPush(r)
	case ZoomDelete:
		if r.State == Running {
			return 0, nil, zoomFail(http.StatusBadRequest, 3002, "Sorry, you cannot delete this meeting since it is in progress.")
		}
		s.setState(r, Cancelled)
		s.notify(r, "meeting.deleted", "", nil)
	case ZoomEnd:
		fail = s.zoomEnd(c, r)
	case ZoomSetPush:
		fail = s.zoomSetPush(c, r)
	case ZoomLiveStatus:
		fail = s.zoomLiveStatus(c, r)
	}
	return http.StatusNoContent, nil, fail
}

// zoomSubject is the user or the meeting of the path.
func (c call) zoomSubject() string {
	parts := strings.Split(strings.TrimPrefix(c.request.URL.Path, zoomPrefix+"/"), "/")
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}

// zoomDecode reads a JSON body strictly: names, types, and no more than is documented.
func (s *Server) zoomDecode(c call, v any) *zoomError {
	if mt, _, err := mime.ParseMediaType(c.request.Header.Get("Content-Type")); err != nil || mt != "application/json" {
		return zoomFail(http.StatusUnsupportedMediaType, 300, "Unsupported Content Type")
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(c.body, &fields) != nil || !utf8.Valid(c.body) {
		return zoomFail(http.StatusBadRequest, 300, "Request Body should be a valid JSON object.")
	}
	dec := json.NewDecoder(bytes.NewReader(c.body))
	if !s.cfg.Quirks.IgnoreUnknown {
		dec.DisallowUnknownFields()
		names := fieldNames(v)
		for name := range fields {
			if !names[name] {
				return zoomInvalid(name)
			}
		}
	}
	if err := dec.Decode(v); err != nil {
		var typed *json.UnmarshalTypeError
		if errors.As(err, &typed) {
			return zoomInvalid(typed.Field)
		}
		return zoomInvalid("body")
	}
	return nil
}

// zoomBody is the body of a new meeting, as far as it is for meetings at once.
type zoomBody struct {
	Topic     *string `json:"topic"`
	Type      *int    `json:"type"`
	StartTime *string `json:"start_time"`
	Duration  *int    `json:"duration"`
	Timezone  *string `json:"timezone"`
	Password  *string `json:"password"`
	Agenda    string  `json:"agenda"`
	Settings  struct {
		HostVideo        *bool   `json:"host_video"`
		ParticipantVideo *bool   `json:"participant_video"`
		JoinBeforeHost   *bool   `json:"join_before_host"`
		JBHTime          *int    `json:"jbh_time"`
		MuteUponEntry    *bool   `json:"mute_upon_entry"`
		UsePMI           bool    `json:"use_pmi"`
		WaitingRoom      *bool   `json:"waiting_room"`
		AutoRecording    *string `json:"auto_recording"`
		AlternativeHosts string  `json:"alternative_hosts"`
	} `json:"settings"`
}

func (s *Server) zoomUser(id string) (User, *zoomError) {
	if u, ok := s.users[id]; ok {
		return u, nil
	}
	return User{}, zoomFail(http.StatusNotFound, 1001, "User does not exist: %s.", id)
}

func (s *Server) zoomCreate(c call, userID string) (any, *zoomError) {
	var in zoomBody
	if fail := s.zoomDecode(c, &in); fail != nil {
		return nil, fail
	}
	if field := s.zoomWrong(in); field != "" {
		return nil, zoomInvalid(field)
	}
	user, fail := s.zoomUser(userID)
	if fail != nil {
		return nil, fail
	}
	if user.NoSchedule {
		return nil, zoomFail(http.StatusBadRequest, 3161, "Meeting hosting and scheduling capabilities are not allowed for your user account.")
	}
	for _, h := range strings.FieldsFunc(in.Settings.AlternativeHosts, func(r rune) bool { return r == ';' }) {
		if _, ok := s.users[h]; !ok {
			return nil, zoomFail(http.StatusBadRequest, 1114, "You cannot add %s as an alternative host because they are not a user of your account.", h)
		}
	}
	if limit := s.cfg.Quirks.ZoomCreatesPerDay; limit >= 0 && s.zoomMadeToday(user.ID) >= limit {
		return nil, zoomFail(http.StatusTooManyRequests, 429, "You have exceeded the daily rate limit (%d) of Meeting Create/Update API requests permitted for this particular user. You may resume these requests at GMT 00:00:00.", limit)
	}
	kind := zoomPlanned // the default
	if in.Type != nil {
		kind = *in.Type
	}
	r := &record{
		Meeting: Meeting{
			Provider: Zoom, ID: s.newNumber(8e10, 9e10), Topic: *in.Topic, Creator: user.ID, UserKey: in.Agenda, Hosts: []string{user.ID},
			Start: s.now(), Passcode: strconv.FormatUint(uint64(len(s.order))%900000+100000, 10),
		},
		base: c.base, zoom: zoomState{kind: kind, agenda: in.Agenda, hosts: in.Settings.AlternativeHosts},
	}
	r.Code = r.ID
	if in.Settings.UsePMI {
		r.Code = s.zoomPersonal(user.ID)
	}
	for h := range strings.SplitSeq(in.Settings.AlternativeHosts, ";") {
		if h != "" {
			r.Hosts = append(r.Hosts, h)
		}
	}
	if in.Password != nil {
		r.Passcode = *in.Password
	}
	if kind == zoomPlanned {
		if in.StartTime != nil {
			r.Start, _ = zoomTime(*in.StartTime) // checked
		}
		r.Planned = time.Hour
		if in.Duration != nil {
			r.Planned = time.Duration(*in.Duration) * time.Minute
		}
		r.End = r.Start.Add(r.Planned)
	}
	settings, err := json.Marshal(in.Settings)
	if err != nil {
		return nil, zoomInvalid("settings")
	}
	r.Settings = settings
	s.add(r)
	s.notify(r, "meeting.created", user.ID, nil)
	return s.zoomInfo(r, true), nil
}

// zoomWrong returns the first field that the document forbids.
func (s *Server) zoomWrong(in zoomBody) string {
	set := in.Settings
	switch {
	case in.Topic == nil || strings.TrimSpace(*in.Topic) == "" || utf8.RuneCountInString(*in.Topic) > 200:
		return "topic"
	case in.Type != nil && *in.Type != zoomInstant && *in.Type != zoomPlanned:
		return "type"
	case utf8.RuneCountInString(in.Agenda) > 2000:
		return "agenda"
	case in.Password != nil && (len(*in.Password) > 10 || strings.Trim(*in.Password, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@-_*") != ""):
		return "password"
	case set.AutoRecording != nil && !slices.Contains([]string{"local", "cloud", "none"}, *set.AutoRecording):
		return "settings.auto_recording"
	}
	instant := in.Type != nil && *in.Type == zoomInstant
	if instant && !s.cfg.Quirks.IgnoreUnknown { // documented as for scheduled meetings alone
		switch {
		case in.StartTime != nil:
			return "start_time"
		case in.Duration != nil:
			return "duration"
		case set.JoinBeforeHost != nil:
			return "settings.join_before_host"
		}
	}
	if in.StartTime != nil {
		if _, err := zoomTime(*in.StartTime); err != nil {
			return "start_time"
		}
	}
	if in.Duration != nil && *in.Duration < 1 {
		return "duration"
	}
	return ""
}

func zoomTime(s string) (time.Time, error) { return time.Parse("2006-01-02T15:04:05Z", s) }

func (s *Server) zoomMadeToday(user string) int {
	day := s.now().UTC().Truncate(24 * time.Hour)
	n := 0
	for _, r := range s.order {
		if r.Provider == Zoom && r.Creator == user && !r.Created.Before(day) {
			n++
		}
	}
	return n
}

// zoomPersonal is a user's personal number. A meeting that has it gives way.
func (s *Server) zoomPersonal(user string) string {
	if s.zoomPMI == nil {
		s.zoomPMI = map[string]string{}
	}
	if s.zoomPMI[user] == "" {
		s.zoomPMI[user] = s.newNumber(1e9, 1e10)
	}
	pmi := s.zoomPMI[user]
	if r := s.byCode[pmi]; r != nil && !r.State.over() {
		s.setState(r, Ended)
	}
	return pmi
}

// zoomInfo is a meeting as the API shows it; a list leaves most of it out.
func (s *Server) zoomInfo(r *record, whole bool) object {
	number := json.Number(r.ID)
	info := object{
		"id": number, "uuid": r.joinSlug + "==", "host_id": r.Creator, "topic": r.Topic, "type": r.zoom.kind,
		"created_at": r.Created.UTC().Format(time.RFC3339), "timezone": "UTC", "join_url": r.joinURL(), "agenda": cutTo(r.zoom.agenda, 250),
	}
	if r.zoom.kind == zoomPlanned {
		info["start_time"], info["duration"] = r.Start.UTC().Format(time.RFC3339), int(r.Planned.Minutes())
	}
	if !whole {
		return info
	}
	info["status"] = map[State]string{Waiting: "waiting", Running: "started"}[r.State]
	info["host_email"], info["agenda"], info["password"], info["start_url"] = r.Creator+"@sandbox.example", r.zoom.agenda, r.Passcode, s.startURL(r)
	settings := object{}
	if json.Unmarshal(r.Settings, &settings) == nil {
		settings["alternative_hosts"] = r.zoom.hosts
		info["settings"] = settings
	}
	return info
}

func cutTo(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n])
	}
	return s
}

// zoomList lists what a user hosts: with "live" what runs, else what is scheduled. "This API
// does not return information about instant meetings."
func (s *Server) zoomList(userID string, query url.Values) (any, *zoomError) {
	for name, v := range query {
		if len(v) != 1 || !slices.Contains([]string{"type", "page_size", "next_page_token", "from", "to", "timezone"}, name) && !s.cfg.Quirks.IgnoreUnknown {
			return nil, zoomInvalid(name)
		}
	}
	user, fail := s.zoomUser(userID)
	if fail != nil {
		return nil, fail
	}
	which := cmp.Or(query.Get("type"), "scheduled")
	if !slices.Contains([]string{"scheduled", "live", "upcoming", "upcoming_meetings", "previous_meetings"}, which) {
		return nil, zoomInvalid("type")
	}
	size := 30
	if v := query.Get("page_size"); v != "" {
		n, ok := decimal(v)
		if !ok || n < 1 || n > 300 {
			return nil, zoomInvalid("page_size")
		}
		size = n
	}
	from := 0
	if v := query.Get("next_page_token"); v != "" {
		n, ok := decimal(strings.TrimPrefix(v, "page-"))
		if !ok {
			return nil, zoomFail(http.StatusBadRequest, 300, "The next page token is invalid or expired.")
		}
		from = n
	}
	all := s.listed(Zoom, func(r *record) bool {
		if r.Creator != user.ID || r.State.over() || r.zoom.kind == zoomInstant && !s.cfg.Quirks.ZoomListsInstants {
			return false
		}
		return which != "live" || r.State == Running
	}, byStart)
	from = min(from, len(all))
	to := min(from+size, len(all))
	rows := []object{}
	for _, r := range all[from:to] {
		rows = append(rows, s.zoomInfo(r, false))
	}
	answer := object{"page_size": size, "total_records": len(all), "meetings": rows, "next_page_token": ""}
	if to < len(all) {
		answer["next_page_token"] = "page-" + strconv.Itoa(to)
	}
	return answer, nil
}

func (s *Server) zoomEnd(c call, r *record) *zoomError {
	var in struct {
		Action *string `json:"action"`
	}
	if fail := s.zoomDecode(c, &in); fail != nil {
		return fail
	}
	if in.Action == nil || *in.Action != "end" {
		return zoomInvalid("action")
	}
	if r.State != Running {
		return zoomFail(http.StatusBadRequest, 3000, "This meeting has not started.")
	}
	_ = s.end(r, endedByHost) // possible, since it runs
	return nil
}

func (s *Server) zoomSetPush(c call, r *record) *zoomError {
	var in struct {
		StreamURL  *string `json:"stream_url"`
		StreamKey  *string `json:"stream_key"`
		PageURL    *string `json:"page_url"`
		Resolution *string `json:"resolution"`
	}
	if fail := s.zoomDecode(c, &in); fail != nil {
		return fail
	}
	if s.users[r.Creator].NoLive {
		return zoomFail(http.StatusBadRequest, 200, "Only available for paid users: %s.", r.Creator)
	}
	valid := func(s *string, most int, schemes ...string) bool {
		if s == nil || *s == "" || utf8.RuneCountInString(*s) > most {
			return false
		}
		u, err := url.Parse(*s)
		return len(schemes) == 0 || err == nil && u.Hostname() != "" && slices.Contains(schemes, strings.ToLower(u.Scheme))
	}
	switch {
	case !valid(in.StreamURL, 1024, "rtmp", "rtmps"):
		return zoomInvalid("stream_url")
	case !valid(in.StreamKey, 512):
		return zoomInvalid("stream_key")
	case !valid(in.PageURL, 1024, "http", "https"):
		return zoomInvalid("page_url")
	case r.Live && s.cfg.Quirks.ZoomLocksLive:
		return zoomFail(http.StatusBadRequest, 3000, "The live stream of this meeting is in progress.")
	}
	r.Pushes = []Push{{Platform: platformOther, URL: *in.StreamURL, Key: secret.New(*in.StreamKey), Enabled: true}}
	r.setAt, r.zoom.page = []time.Time{s.now()}, *in.PageURL
	s.encode(r)
	s.touch(r)
	return nil
}

func (s *Server) zoomGetPush(r *record) (int, any, *zoomError) {
	if len(r.Pushes) == 0 || r.setAt[0].After(s.now().Add(-s.cfg.Quirks.PushDelay)) {
		if code := s.cfg.Quirks.ZoomNoLiveCode; code != 0 {
			return 0, nil, zoomFail(http.StatusBadRequest, code, "Live streaming is not configured for this meeting.")
		}
		return http.StatusOK, object{"stream_url": "", "stream_key": "", "page_url": ""}, nil
	}
	p := r.Pushes[0]
	return http.StatusOK, object{"stream_url": p.URL, "stream_key": p.Key.Reveal(), "page_url": r.zoom.page, "resolution": "720p"}, nil
}

func (s *Server) zoomLiveStatus(c call, r *record) *zoomError {
	var in struct {
		Action   *string `json:"action"`
		Settings *struct {
			ActiveSpeakerName *bool   `json:"active_speaker_name"`
			DisplayName       *string `json:"display_name"`
			Layout            *string `json:"layout"`
			CloseCaption      *string `json:"close_caption"`
		} `json:"settings"`
	}
	if fail := s.zoomDecode(c, &in); fail != nil {
		return fail
	}
	if in.Settings != nil && in.Settings.DisplayName != nil {
		if n := utf8.RuneCountInString(*in.Settings.DisplayName); n < 1 || n > 50 {
			return zoomInvalid("settings.display_name")
		}
	}
	switch {
	case in.Action == nil || *in.Action != "start" && *in.Action != "stop":
		return zoomInvalid("action")
	case r.State != Running:
		return zoomFail(http.StatusBadRequest, 3000, "This meeting has not started.")
	case *in.Action == "stop":
		if r.Live {
			return zoomOutcome(s.setLive(r, false))
		}
		r.zoom.asked = time.Time{}
		return nil
	case len(r.Pushes) == 0:
		return zoomFail(http.StatusBadRequest, 3000, "Live streaming is not configured for this meeting.")
	case r.Live, s.now().Sub(r.zoom.asked) < zoomRetry:
		return zoomFail(http.StatusTooManyRequests, 429, "Too many requests submitted to start the live stream of this meeting: %s. If the live stream has not already started, retry making a new request after 30 seconds.", r.ID)
	}
	r.zoom.asked = s.now()
	r.zoom.starts++
	if s.cfg.Quirks.ZoomNeverLive {
		return nil
	}
	return zoomOutcome(s.setLive(r, true))
}

func zoomOutcome(err error) *zoomError {
	if err != nil {
		return zoomFail(http.StatusBadRequest, 3000, "%v", err)
	}
	return nil
}

// LiveStarts counts how often a meeting's live was started by the API.
func (s *Server) LiveStarts(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.find(id); r != nil {
		return r.zoom.starts
	}
	return 0
}

// zoomEvents are what Zoom calls what happens, in the words of [Server.notify].
var zoomEvents = map[string]string{
	"meeting.started": "meeting.started", "meeting.end": "meeting.ended", "meeting.canceled": "meeting.deleted",
	"meeting.created": "meeting.created", "meeting.deleted": "meeting.deleted",
	"meeting.participant-joined": "meeting.participant_joined", "meeting.participant-left": "meeting.participant_left",
	"meeting.live-started": "meeting.live_streaming_started", "meeting.live-stopped": "meeting.live_streaming_stopped",
	"recording.completed": "recording.completed", "smart.transcripts": "recording.transcript_completed", "smart.minutes": "meeting.summary_completed",
}

// zoomEvent is the body of an event.
func (s *Server) zoomEvent(r *record, event, operator string) (name string, body []byte) {
	name = zoomEvents[event]
	about := object{
		"uuid": r.joinSlug + "==", "host_id": r.Creator, "topic": r.Topic, "type": r.zoom.kind,
		"start_time": r.Start.UTC().Format(time.RFC3339), "timezone": "UTC", "duration": int(r.Planned.Minutes()),
	}
	about["id"] = r.ID // a string in most events, a number in some
	switch name {
	case "meeting.summary_completed":
		about = object{"meeting_id": json.Number(r.ID), "meeting_uuid": r.joinSlug + "==", "meeting_topic": r.Topic, "meeting_host_id": r.Creator, "summary_title": r.Topic, "meeting_start_time": r.Start.UTC().Format(time.RFC3339), "summary_doc_url": r.recordingPage("summary")}
	case "recording.completed", "recording.transcript_completed":
		about["id"] = json.Number(r.ID)
		maps.Copy(about, r.zoomRecording())
	case "meeting.live_streaming_started", "meeting.live_streaming_stopped":
		about["id"] = json.Number(r.ID)
	}
	if strings.HasPrefix(name, "meeting.live_streaming") && len(r.Pushes) > 0 {
		about["live_streaming"] = object{
			"service": "Custom_Live_Streaming_Service", "date_time": s.now().UTC().Format(time.RFC3339),
			"custom_live_streaming_settings": object{
				"stream_url": r.Pushes[0].URL, "stream_key": r.Pushes[0].Key.Reveal(), "page_url": r.zoom.page, "resolution": "720p",
			},
		}
	}
	if strings.HasPrefix(name, "meeting.participant_") {
		about["participant"] = object{"user_id": strconv.Itoa(16778240 + len(r.people)), "user_name": operator, "id": operator, "join_time": s.now().UTC().Format(time.RFC3339)}
	}
	body, err := json.Marshal(object{
		"event": name, "event_ts": s.now().UnixMilli(),
		"payload": object{"account_id": s.cfg.ZoomAccountID, "operator": operator, "object": about},
	})
	if err != nil {
		panic(err) // strings and integers only
	}
	return name, body
}

// signZoom is the signature of a body, as the header has it.
func signZoom(token, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("v0:" + timestamp + ":"))
	mac.Write(body)
	return "v0=" + hex.EncodeToString(mac.Sum(nil))
}
