package sandbox

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Tencent Meeting's error codes, from
// https://cloud.tencent.com/document/product/1095/43704 and the pages of the operations.
const (
	codeBadRequest    = 9002
	codeNotExist      = 9003
	codeCancelled     = 9007
	codeForbidden     = 9042
	codeSensitive     = 9093
	codeAtOnce        = 9098
	codeNoSchedule    = 9100
	codeStarted       = 13602
	codeEnded         = 13603
	codeNotRegistered = 190001
	codeIllegal       = 190004
	codeSkew          = 190300
	codeReplay        = 190301
	codeUnknownKey    = 190303
	codeNoLive        = 190317
	codeNoLiveRight   = 190441
	codePerMinute     = 190310
	codePerDay        = 190311
	codeHeaderMissing = 200001
	codeSignature     = 200003
	codeUnknownAPI    = 200004
	codeBadJSON       = 200005
	codeBadParameter  = 200006
	codePushLimit     = 400001
	codePushAddress   = 400004
	codePushMeeting   = 400005
	codePushCreator   = 400006
	codePushHost      = 400007
	codeNoRight       = 500014
	codeUserQuota     = 500029
	codeMonthQuota    = 500168
)

// clientErrors are answered with 400, forbidden ones with 403, all else with 500:
// 服务错误统一返回500, API 请求错误与鉴权错误统一返回400.
var clientErrors = map[int]bool{
	codeIllegal: true, codeSkew: true, codeReplay: true, codeUnknownKey: true, codeHeaderMissing: true,
	codeSignature: true, codeUnknownAPI: true, codeBadJSON: true, codeBadParameter: true, codeNoRight: true,
}

// tencentError is an error_info.
type tencentError struct {
	code    int
	message string
}

func failf(code int, format string, args ...any) *tencentError {
	return &tencentError{code: code, message: fmt.Sprintf(format, args...)}
}

func (e *tencentError) status(endpoint Endpoint) int {
	switch {
	case e.code == codeForbidden && endpoint != TencentDismiss:
		return http.StatusForbidden
	case clientErrors[e.code]:
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

func (s *Server) serveTencent(w http.ResponseWriter, c call) {
	s.mu.Lock()
	data, fail := s.tencent(c)
	s.mu.Unlock()
	s.answerTencent(w, c.endpoint, data, fail)
}

func (s *Server) answerTencent(w http.ResponseWriter, endpoint Endpoint, data any, fail *tencentError) {
	q := s.Config().Quirks
	w.Header().Set("X-TC-Trace", randomHex(16))
	w.Header().Set("Content-Type", cmp.Or(q.Label, "application/json; charset=utf-8"))
	status := http.StatusOK
	if fail != nil {
		if status = q.TencentErrorStatus; status == 0 {
			status = fail.status(endpoint)
		}
		info := object{"error_code": fail.code, "message": fail.message}
		if !q.NoNewErrorCode {
			info["new_error_code"] = 200*1_000_000 + fail.code
		}
		data = object{"error_info": info}
	}
	if data == nil && q.TencentEmptyObject {
		data = object{}
	}
	answerJSON(w, status, data)
}

// answerJSON answers with data, or with nothing if that is nil.
func answerJSON(w http.ResponseWriter, status int, data any) {
	if data == nil {
		w.WriteHeader(status)
		return
	}
	body, err := json.Marshal(data)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone
}

// tencent does a request's work and returns the answer's data, nil for none. It is
// called with s.mu held.
func (s *Server) tencent(c call) (any, *tencentError) {
	if fail := s.authenticate(c.request, c.body); fail != nil {
		return nil, fail
	}
	if fail := s.rates.call(s.now(), s.cfg.Quirks); fail != nil {
		return nil, fail
	}
	s.sweep()
	id := c.meetingID()
	query := c.request.URL.Query()
	switch c.endpoint {
	case TencentCreate:
		return s.createMeeting(c)
	case TencentList:
		return s.listMeetings(query)
	case TencentGetByCode:
		return s.getByCode(query)
	case TencentGet:
		return s.getByID(id, query)
	case TencentDismiss:
		return nil, s.dismiss(id, c.body)
	case TencentCancel:
		return nil, s.cancelByID(id, c.body)
	case TencentParticipants:
		return s.participants(id, query)
	case TencentSetPush:
		return nil, s.setPush(id, c.body)
	case TencentQueryPush:
		return s.queryPush(id, query)
	case TencentViewers:
		return s.liveViewers(id, query)
	case TencentReplays:
		return s.replays(id, query)
	case TencentRecords:
		return s.recordings(query)
	case TencentAddresses:
		return s.recordingAddresses(query)
	}
	return nil, failf(codeUnknownAPI, "unsupported REST API")
}

// meetingID is the {id} of the path.
func (c call) meetingID() string {
	id, ok := strings.CutPrefix(c.request.URL.Path, "/v1/meetings/")
	if !ok {
		return ""
	}
	id, _, _ = strings.Cut(id, "/")
	return id
}

// tencentMeeting finds one of Tencent Meeting's meetings by its id. An ended or
// overdue one is gone, unless the quirk keeps it.
func (s *Server) tencentMeeting(id string) *record {
	r := s.byID[id]
	if r == nil || r.Provider != Tencent {
		return nil
	}
	if (r.State.over() || s.overdue(r)) && !s.cfg.Quirks.EndedStaysVisible {
		return nil
	}
	return r
}

func (s *Server) overdue(r *record) bool {
	return !r.State.over() && len(r.Inside) == 0 && s.now().After(r.End.Add(overdueLife))
}

func errNotExist() *tencentError { return failf(codeNotExist, "MEETING NOT EXIST") }

// registered checks a userid.
func (s *Server) registered(userID string) (User, *tencentError) {
	u, ok := s.users[userID]
	if !ok {
		return User{}, failf(codeNotRegistered, "存在未注册的用户")
	}
	return u, nil
}

// instanceIDs are the terminals of https://cloud.tencent.com/document/product/1095/42417.
var instanceIDs = map[int64]bool{
	0: true, 1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true, 9: true, 10: true, 12: true,
	20: true, 21: true, 22: true, 30: true, 32: true, 33: true, 81: true, 82: true, 83: true, 84: true, 86: true,
}

func instance(id *int64) *tencentError {
	if id == nil || !instanceIDs[*id] {
		return failf(codeIllegal, "参数非法: instanceid")
	}
	return nil
}

// decode reads a JSON body into v, a pointer to a struct whose required fields are
// pointers. encoding/json matches names without regard to case; the API does not, so
// the top level's names are compared too.
func (s *Server) decode(body []byte, v any) *tencentError {
	if !json.Valid(body) {
		return failf(codeBadJSON, "invalid JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if !s.cfg.Quirks.IgnoreUnknown {
		dec.DisallowUnknownFields()
		var fields map[string]json.RawMessage
		if json.Unmarshal(body, &fields) != nil {
			return failf(codeIllegal, "参数非法: body is not an object")
		}
		names := fieldNames(v)
		for name := range fields {
			if !names[name] {
				return failf(codeIllegal, "参数非法: unknown field %q", name)
			}
		}
	}
	if err := dec.Decode(v); err != nil {
		var typed *json.UnmarshalTypeError
		if errors.As(err, &typed) {
			return failf(codeIllegal, "参数非法: %s", typed.Field)
		}
		return failf(codeIllegal, "参数非法: %v", err)
	}
	return nil
}

func fieldNames(v any) map[string]bool {
	t := reflect.TypeOf(v).Elem()
	names := make(map[string]bool, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names[name] = true
	}
	return names
}

// args checks a query: known names only, each once.
func (s *Server) args(query url.Values, known ...string) *tencentError {
	for name, values := range query {
		if len(values) != 1 {
			return failf(codeIllegal, "参数非法: %s", name)
		}
		if !slices.Contains(known, name) && !s.cfg.Quirks.IgnoreUnknown {
			return failf(codeIllegal, "参数非法: unknown parameter %q", name)
		}
	}
	return nil
}

// number reads an optional integer of a query.
func number(query url.Values, name string, preset int64) (int64, *tencentError) {
	if !query.Has(name) {
		return preset, nil
	}
	text := query.Get(name)
	n, err := json.Number(text).Int64()
	if err != nil || n < 0 || strings.Trim(text, "0123456789") != "" {
		return 0, failf(codeIllegal, "参数非法: %s", name)
	}
	return n, nil
}

// operator reads who asks: operator_id with operator_id_type 1, or, where the
// endpoint still takes the old form, userid. Of both, operator_id counts.
func (s *Server) operator(query url.Values, oldForm bool) (User, *tencentError) {
	if !query.Has("operator_id") {
		if !oldForm || query.Get("userid") == "" {
			return User{}, failf(codeIllegal, "参数非法: operator_id")
		}
		return s.registered(query.Get("userid"))
	}
	if query.Get("operator_id_type") != "1" {
		return User{}, failf(codeIllegal, "参数非法: operator_id_type")
	}
	return s.registered(query.Get("operator_id"))
}

// terminal reads the required instanceid of a query.
func terminal(query url.Values) *tencentError {
	n, fail := number(query, "instanceid", -1)
	if fail != nil {
		return fail
	}
	return instance(&n)
}

func isJSON(contentType string) bool {
	mt, params, err := mime.ParseMediaType(contentType)
	charset, set := params["charset"]
	return err == nil && mt == "application/json" && (!set || strings.EqualFold(charset, "utf-8"))
}

// rates counts calls and creations, in the windows of the clock.
type rates struct {
	minute, day, month time.Time
	perMinute, perDay  int
	perMonth           int // creations
	creates            map[string][]time.Time
}

func (n *rates) call(now time.Time, q Quirks) *tencentError {
	if m := now.Truncate(time.Minute); !m.Equal(n.minute) {
		n.minute, n.perMinute = m, 0
	}
	if d := beijingDay(now); !d.Equal(n.day) {
		n.day, n.perDay = d, 0
	}
	if q.CallsPerMinute >= 0 && n.perMinute >= q.CallsPerMinute {
		return failf(codePerMinute, "每分钟总接口调用次数超过限制")
	}
	if q.CallsPerDay >= 0 && n.perDay >= q.CallsPerDay {
		return failf(codePerDay, "每日总接口调用次数超过限制")
	}
	n.perMinute++
	n.perDay++
	return nil
}

func (n *rates) create(user string, now time.Time, q Quirks) *tencentError {
	if m := beijingDay(now).AddDate(0, 0, 1-now.In(beijing).Day()); !m.Equal(n.month) {
		n.month, n.perMonth = m, 0
	}
	if n.creates == nil {
		n.creates = make(map[string][]time.Time)
	}
	recent := n.creates[user]
	for len(recent) > 0 && now.Sub(recent[0]) >= time.Hour {
		recent = recent[1:]
	}
	n.creates[user] = recent
	if q.CreatesPerHour >= 0 && len(recent) >= q.CreatesPerHour {
		return failf(codeUserQuota, "用户创建会议数量超过限制")
	}
	if q.CreatesPerMonth >= 0 && n.perMonth >= q.CreatesPerMonth {
		return failf(codeMonthQuota, "企业当月创建会议数量超过限制")
	}
	n.creates[user] = append(recent, now)
	n.perMonth++
	return nil
}

func beijingDay(t time.Time) time.Time {
	y, m, d := t.In(beijing).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, beijing)
}
