package sandbox

import (
	"cmp"
	"crypto/subtle"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"meetbot/config/secret"
)

// SYSTEC's documents: every call is a POST of an HTML form that carries api_key and
// api_secret, every answer is JSON whose status is 200 or a failure's. They name no
// failure's code, so these are HTTP's.

// beijing is the zone of SYSTEC's times.
var beijing = time.FixedZone("CST", 8*60*60)

const systecTime = "2006-01-02 15:04:05"

// systecAnswer is the body of every answer.
type systecAnswer struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

func systecFail(status int, message string) systecAnswer {
	return systecAnswer{Status: status, Message: message}
}

func systecOK(data any) systecAnswer {
	return systecAnswer{Status: http.StatusOK, Message: "OK", Data: data}
}

// object is a JSON object.
type object = map[string]any

func (s *Server) serveSystec(w http.ResponseWriter, c call) {
	s.mu.Lock()
	answer := s.systec(c)
	s.mu.Unlock()
	s.answerSystec(w, answer)
}

func (s *Server) answerSystec(w http.ResponseWriter, answer systecAnswer) {
	q := s.Config().Quirks
	status := http.StatusOK
	if answer.Status != http.StatusOK {
		if status = q.SystecFailureStatus; status < 0 {
			status = answer.Status
		}
	}
	body, err := json.Marshal(answer)
	if err == nil && q.SystecSwapNumbers {
		body, err = swapNumbers(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", cmp.Or(q.Label, "application/json;charset=UTF-8"))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone
}

// systecForms are the parameters of each endpoint; true: required.
var systecForms = map[Endpoint]map[string]bool{
	SystecInstant: {
		"topic": true, "meeting_capacity": true,
		"option_jbh": false, "user_key": false, "duration": false, "mute_upon_entry": false, "use_pmi": false,
		"option_host_video": false, "option_participants_video": false, "recording": false,
		"allow_live_streaming": false, "host_name": false, "waiting_room": false,
	},
	SystecGet:         {"meeting_id": true},
	SystecToken:       {"meeting_id": true},
	SystecEnd:         {"id": true},
	SystecDelete:      {"id": true},
	SystecGetStartURL: {"id": true},
	SystecList:        {"user_key": false, "page_size": false, "page_number": false},
	SystecHistory:     {"user_key": false, "page_size": false, "page_number": false},
	SystecLicensing:   {},
	SystecFreeRooms:   {"meeting_capacity": true, "start_time": true, "duration": true},
}

var systecBooleans = []string{
	"option_jbh", "mute_upon_entry", "use_pmi", "option_host_video", "option_participants_video",
	"allow_live_streaming", "waiting_room",
}

func (s *Server) systec(c call) systecAnswer {
	r := c.request
	known, ok := systecForms[c.endpoint]
	if !ok {
		return systecFail(http.StatusNotFound, "接口不存在")
	}
	if r.Method != http.MethodPost {
		return systecFail(http.StatusMethodNotAllowed, "请使用POST方式请求")
	}
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/x-www-form-urlencoded" {
		return systecFail(http.StatusBadRequest, "参数须以form表单方式提交")
	}
	if r.URL.RawQuery != "" {
		return systecFail(http.StatusBadRequest, "参数须在form表单中提交")
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return systecFail(http.StatusBadRequest, "表单格式错误")
	}
	key, pass := form.Get("api_key"), form.Get("api_secret")
	sameKey := subtle.ConstantTimeCompare([]byte(key), []byte(s.cfg.SystecKey))
	samePass := subtle.ConstantTimeCompare([]byte(pass), []byte(s.cfg.SystecSecret.Reveal()))
	if sameKey&samePass != 1 {
		return systecFail(http.StatusUnauthorized, "api_key或api_secret错误")
	}
	form.Del("api_key")
	form.Del("api_secret")

	params := make(map[string]string, len(form))
	for name, values := range form {
		if _, ok := known[name]; !ok && !s.cfg.Quirks.IgnoreUnknown {
			return systecFail(http.StatusBadRequest, "未知参数: "+name)
		}
		if len(values) != 1 {
			return systecFail(http.StatusBadRequest, "参数重复: "+name)
		}
		if !utf8.ValidString(values[0]) {
			return systecFail(http.StatusBadRequest, "参数不是UTF-8编码: "+name)
		}
		params[name] = values[0]
	}
	for name, required := range known {
		if required && strings.TrimSpace(params[name]) == "" {
			return systecFail(http.StatusBadRequest, "缺少参数: "+name)
		}
	}

	switch c.endpoint {
	case SystecInstant:
		return s.systecInstant(c, params)
	case SystecGet:
		return s.systecGet(params["meeting_id"])
	case SystecToken:
		return s.systecToken(params["meeting_id"])
	case SystecEnd:
		return s.systecEnd(params["id"])
	case SystecDelete:
		return s.systecDelete(params["id"])
	case SystecGetStartURL:
		return s.systecStartURL(params["id"])
	case SystecList:
		return s.systecList(params, func(st State) bool { return !st.over() })
	case SystecHistory:
		return s.systecList(params, State.over)
	case SystecFreeRooms:
		return s.systecFreeRooms(params)
	default:
		return s.systecLicensing()
	}
}

func (s *Server) systecInstant(c call, params map[string]string) systecAnswer {
	for _, name := range systecBooleans {
		if v, sent := params[name]; sent && v != "true" && v != "false" {
			return systecFail(http.StatusBadRequest, name+"只能为true或false")
		}
	}
	if v, sent := params["recording"]; sent && v != "cloud" && v != "none" {
		return systecFail(http.StatusBadRequest, "recording只能为cloud或none")
	}
	if len(params["user_key"]) > 200 {
		return systecFail(http.StatusBadRequest, "user_key不能超过200字节")
	}
	duration := 0
	if v, sent := params["duration"]; sent {
		var ok bool
		if duration, ok = decimal(v); !ok || duration <= 30 {
			return systecFail(http.StatusBadRequest, "duration必须大于30")
		}
	}
	capacity, ok := decimal(params["meeting_capacity"])
	if !ok || s.cfg.Capacity[capacity] <= 0 {
		return systecFail(http.StatusBadRequest, "没有该方数的会议室许可")
	}
	s.sweep()
	if s.inUse[capacity] >= s.cfg.Capacity[capacity] {
		return systecFail(http.StatusForbidden, "没有空闲的会议室")
	}

	number := s.newNumber(1e9, 1e10)
	switch {
	case params["use_pmi"] == "true":
		number = s.personal(number)
	case s.cfg.Quirks.Systec2018:
		number = s.newNumber(1e10, 1e11)
	}
	hostKey := s.newNumber(1e5, 1e6)
	r := &record{
		Meeting: Meeting{
			Provider: Systec, ID: number, Code: number, Topic: params["topic"], UserKey: params["user_key"],
			HostKey: secret.New(hostKey), Capacity: capacity, Planned: time.Duration(duration) * time.Minute,
			LiveEnabled: params["allow_live_streaming"] == "true", Hosts: []string{hostUser}, Start: s.now(), SystecParams: params,
		},
		base:   c.base,
		hostID: slug(),
	}
	s.add(r)
	if s.cfg.Quirks.Systec2018 {
		return systecOK(object{"host_key": hostKey, "meeting_id": number, "host_id": "", "token": ""})
	}
	data := object{
		"host_key": hostKey, "join_url": r.joinURL(), "meeting_id": number, "start_time": "",
		"host_id": r.hostID, "token": slug(), "start_url": s.startURL(r),
	}
	if r.LiveEnabled {
		data["play_addr"], data["watch_url"] = r.playURL(), r.watchURL()
	}
	return systecOK(data)
}

// personal returns the account's personal meeting number, which is the same every time;
// the first time it is fresh. A meeting that has it still gives way.
func (s *Server) personal(fresh string) string {
	if s.pmi == "" {
		s.pmi = fresh
	}
	if r := s.byID[s.pmi]; r != nil && !r.State.over() {
		_ = s.end(r, endedByHost) // possible, since it is not over
	}
	return s.pmi
}

// systecMeeting finds one of SYSTEC's meetings.
func (s *Server) systecMeeting(id string) *record {
	r := s.find(id)
	if r == nil || r.Provider != Systec || r.State == Deleted && s.cfg.Quirks.SystecForgetsDeleted {
		return nil
	}
	return r
}

var errSystecNoMeeting = systecFail(http.StatusNotFound, "会议不存在")

// systecStatus is get's and list's status: 0 reserved, 1 running, 2 cancelled, 3 ended.
var systecStatus = map[State]int{Waiting: 0, Running: 1, Cancelled: 2, Deleted: 2, Ended: 3}

func (s *Server) systecGet(id string) systecAnswer {
	r := s.systecMeeting(id)
	if r == nil {
		return errSystecNoMeeting
	}
	gone := "0"
	if r.State == Deleted || r.State == Cancelled {
		gone = "1"
	}
	var userKey any // null where there is none, as in the example
	if r.UserKey != "" {
		userKey = r.UserKey
	}
	data := object{
		"duration": strconv.Itoa(int(r.Planned.Minutes())), "start_time": r.Start.In(beijing).Format(systecTime),
		"del_flag": gone, "password": "", "join_url": r.joinURL(), "topic": r.Topic, "user_Key": userKey,
		"meeting_capacity": strconv.Itoa(r.Capacity), "id": r.ID, "status": strconv.Itoa(systecStatus[r.State]),
		"allow_live_streaming": strconv.FormatBool(r.LiveEnabled),
	}
	if r.LiveEnabled {
		data["play_addr"], data["watch_url"] = r.playURL(), r.watchURL()
	}
	return systecOK(data)
}

func (s *Server) systecToken(id string) systecAnswer {
	r := s.systecMeeting(id)
	if r == nil {
		return errSystecNoMeeting
	}
	return systecOK(object{"host_id": r.hostID, "token": slug()})
}

func (s *Server) systecEnd(id string) systecAnswer {
	r := s.systecMeeting(id)
	if r == nil {
		return errSystecNoMeeting
	}
	if s.end(r, endedByHost) != nil {
		return systecFail(http.StatusConflict, "会议已结束")
	}
	return systecOK(nil)
}

func (s *Server) systecDelete(id string) systecAnswer {
	r := s.systecMeeting(id)
	if r == nil {
		return errSystecNoMeeting
	}
	if r.State != Waiting {
		return systecFail(http.StatusConflict, "会议已开始或已结束，不能删除")
	}
	s.cancelMeeting(r, "")
	return systecOK(nil)
}

func (s *Server) systecStartURL(id string) systecAnswer {
	r := s.systecMeeting(id)
	if r == nil {
		return errSystecNoMeeting
	}
	if r.State.over() {
		return systecFail(http.StatusConflict, "会议已结束")
	}
	return systecOK(object{"start_url": s.startURL(r)})
}

func (s *Server) systecList(params map[string]string, in func(State) bool) systecAnswer {
	size, number := 30, 1
	for name, v := range map[string]*int{"page_size": &size, "page_number": &number} {
		if text, sent := params[name]; sent {
			n, ok := decimal(text)
			if !ok || n < 1 {
				return systecFail(http.StatusBadRequest, name+"必须为正整数")
			}
			*v = n
		}
	}
	userKey, filtered := params["user_key"]
	all := s.listed(Systec, func(r *record) bool {
		return in(r.State) && (!filtered || s.cfg.Quirks.SystecListsAll || r.UserKey == userKey)
	}, byStart)

	pages := (len(all) + size - 1) / size
	from := len(all)
	if number <= pages {
		from = (number - 1) * size
	}
	meetings := []object{}
	for _, r := range all[from:min(from+size, len(all))] {
		m := object{
			"duration": int(r.Planned.Minutes()), "start_time": r.Start.In(beijing).Format(systecTime),
			"topic": r.Topic, "join_url": r.joinURL(), "id": r.ID, "status": systecStatus[r.State],
			"host_key": r.HostKey.Reveal(), "type": "1",
		}
		if r.State.over() {
			m["end_time"] = ""
			if !r.End.IsZero() && r.State == Ended {
				m["end_time"] = r.End.In(beijing).Format(systecTime)
			}
		}
		meetings = append(meetings, m)
	}
	return systecOK(object{
		"page_num": number, "page_size": size, "total_record": len(all), "total_page": pages,
		"has_previous_page": number > 1 && pages > 0, "has_next_page": number < pages, "meetings": meetings,
	})
}

func (s *Server) systecLicensing() systecAnswer {
	capacity := make(map[string]int, len(s.cfg.Capacity))
	for size, n := range s.cfg.Capacity {
		capacity[strconv.Itoa(size)] = n
	}
	var expires any // null where it does not
	if !s.cfg.SystecExpires.IsZero() {
		expires = s.cfg.SystecExpires.In(beijing).Format(systecTime)
	}
	return systecOK(object{"payType": "1", "expire_date": expires, "capacity": capacity})
}

// systecFreeRooms answers for now, whatever the time asked about: nothing is reserved here.
func (s *Server) systecFreeRooms(params map[string]string) systecAnswer {
	capacity, ok := decimal(params["meeting_capacity"])
	if !ok {
		return systecFail(http.StatusBadRequest, "meeting_capacity必须为整数")
	}
	if _, err := time.ParseInLocation(systecTime, params["start_time"], beijing); err != nil {
		return systecFail(http.StatusBadRequest, "start_time格式错误")
	}
	if d, ok := decimal(params["duration"]); !ok || d <= 30 {
		return systecFail(http.StatusBadRequest, "duration必须大于30")
	}
	s.sweep()
	total := s.cfg.Capacity[capacity]
	return systecOK(object{"total": total, "free": max(0, total-s.inUse[capacity])})
}

// decimal parses a number as a form carries it: nine digits at most, nothing else.
func decimal(s string) (int, bool) {
	if s == "" || len(s) > 9 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// swappable are the values that come as a number in one example and as a string in another.
var swappable = map[string]bool{
	"status": true, "duration": true, "meeting_capacity": true, "id": true, "meeting_id": true,
	"page_num": true, "page_size": true, "total_record": true, "total_page": true, "del_flag": true, "type": true, "payType": true,
}

// swapNumbers turns those of a body's values from numbers into strings and back.
func swapNumbers(body []byte) ([]byte, error) {
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return nil, err
	}
	var swap func(v any)
	swap = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				swap(e)
			}
		case object:
			for name, e := range v {
				switch e := e.(type) {
				case float64:
					if swappable[name] {
						v[name] = strconv.FormatFloat(e, 'f', -1, 64)
					}
				case string:
					if n, err := strconv.ParseInt(e, 10, 64); err == nil && swappable[name] {
						v[name] = n
					}
				default:
					swap(e)
				}
			}
		}
	}
	swap(v)
	return json.Marshal(v)
}
