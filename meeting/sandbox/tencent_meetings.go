package sandbox

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"meetbot/config/secret"
)

// wireCreate is the body of https://cloud.tencent.com/document/product/1095/42417.
type wireCreate struct {
	UserID        *string         `json:"userid"`
	InstanceID    *int64          `json:"instanceid"`
	Subject       *string         `json:"subject"`
	Type          *int            `json:"type"`
	StartTime     *string         `json:"start_time"`
	EndTime       *string         `json:"end_time"`
	Password      *string         `json:"password"`
	Hosts         []wireUser      `json:"hosts"`
	Invitees      []wireUser      `json:"invitees"`
	Guests        json.RawMessage `json:"guests"`
	Settings      *wireSettings   `json:"settings"`
	EnableLive    bool            `json:"enable_live"`
	LiveConfig    *wireLiveConfig `json:"live_config"`
	EnableHostKey bool            `json:"enable_host_key"`
	HostKey       *string         `json:"host_key"`
	TimeZone      string          `json:"time_zone"`
	MeetingType   int             `json:"meeting_type"`
	RecurringRule json.RawMessage `json:"recurring_rule"`
	SyncToWework  *bool           `json:"sync_to_wework"`
	MediaSetType  *int            `json:"media_set_type"`
	Location      string          `json:"location"`
}

type wireUser struct {
	UserID string `json:"userid"`
}

type wireSettings struct {
	MuteEnableJoin              *bool   `json:"mute_enable_join,omitempty"`
	MuteEnableTypeJoin          *int    `json:"mute_enable_type_join,omitempty"`
	AllowUnmuteSelf             *bool   `json:"allow_unmute_self,omitempty"`
	AllowInBeforeHost           *bool   `json:"allow_in_before_host,omitempty"`
	AutoInWaitingRoom           *bool   `json:"auto_in_waiting_room,omitempty"`
	AllowScreenSharedWatermark  *bool   `json:"allow_screen_shared_watermark,omitempty"`
	WaterMarkType               *int    `json:"water_mark_type,omitempty"`
	OnlyEnterpriseUserAllowed   *bool   `json:"only_enterprise_user_allowed,omitempty"`
	OnlyUserJoinType            *int    `json:"only_user_join_type,omitempty"`
	AutoRecordType              *string `json:"auto_record_type,omitempty"`
	ParticipantJoinAutoRecord   *bool   `json:"participant_join_auto_record,omitempty"`
	EnableHostPauseAutoRecord   *bool   `json:"enable_host_pause_auto_record,omitempty"`
	AllowMultiDevice            *bool   `json:"allow_multi_device,omitempty"`
	ChangeNickname              *int    `json:"change_nickname,omitempty"`
	PlayIVROnJoin               *bool   `json:"play_ivr_on_join,omitempty"`
	PlayIVROnLeave              *bool   `json:"play_ivr_on_leave,omitempty"`
	AudioWatermark              *bool   `json:"audio_watermark,omitempty"`
	AutoTranscribe              *bool   `json:"auto_asr,omitempty"`
	OpenAutoTranscribeRecording *bool   `json:"open_asr_view,omitempty"`
}

type wireLiveConfig struct {
	LiveSubject        string `json:"live_subject"`
	LiveSummary        string `json:"live_summary"`
	EnableLivePassword bool   `json:"enable_live_password"`
	LivePassword       string `json:"live_password"`
	EnableLiveIM       bool   `json:"enable_live_im"`
	EnableLiveReplay   bool   `json:"enable_live_replay"`
	LiveWatermark      *struct {
		WatermarkOpt int `json:"watermark_opt"`
	} `json:"live_watermark"`
}

func (s *Server) createMeeting(c call) (any, *tencentError) {
	if c.request.URL.RawQuery != "" {
		return nil, failf(codeIllegal, "参数非法: query")
	}
	var in wireCreate
	if fail := s.decode(c.body, &in); fail != nil {
		return nil, fail
	}
	start, end, fail := s.checkCreate(in)
	if fail != nil {
		return nil, fail
	}
	user, fail := s.registered(*in.UserID)
	if fail != nil {
		return nil, fail
	}
	if user.NoSchedule {
		return nil, failf(codeNoSchedule, "没有预定会议的权限")
	}
	if word := s.cfg.Quirks.SensitiveWord; word != "" && strings.Contains(*in.Subject, word) {
		return nil, failf(codeSensitive, "会议主题包含敏感词")
	}
	if s.cfg.Quirks.MostAtOnce > 0 && s.atOnce(user.ID) >= s.cfg.Quirks.MostAtOnce {
		return nil, failf(codeAtOnce, "会议并发数量超过限制")
	}
	if fail := s.rates.create(user.ID, s.now(), s.cfg.Quirks); fail != nil {
		return nil, fail
	}

	// Half of the ids exceed an int64, as real ones do.
	low, high := uint64(1e18), uint64(9e18)
	if len(s.order)%2 == 0 {
		low, high = 1e19, 1.8e19
	}
	r := &record{
		Meeting: Meeting{
			Provider: Tencent, ID: s.newNumber(low, high), Code: s.newNumber(1e8, 1e9), Topic: *in.Subject,
			Creator: user.ID, LiveEnabled: in.EnableLive, Start: start, End: end,
		},
		base: c.base, quick: *in.Type == 1,
	}
	if r.quick && !s.cfg.Quirks.QuickKeepsStart {
		r.Start = time.Unix(s.now().Unix(), 0)
	}
	if in.Password != nil {
		r.Passcode = *in.Password
	}
	if in.EnableHostKey {
		key := s.newNumber(1e5, 1e6)
		if in.HostKey != nil {
			key = *in.HostKey
		}
		r.HostKey = secret.New(key)
	}
	for _, h := range in.Hosts {
		if _, ok := s.users[h.UserID]; !ok {
			r.unknown = append(r.unknown, h.UserID)
			continue
		}
		r.Hosts = append(r.Hosts, h.UserID)
	}
	for _, u := range in.Invitees {
		if _, ok := s.users[u.UserID]; !ok {
			r.unknown = append(r.unknown, u.UserID)
		}
	}
	if len(r.Hosts) == 0 {
		r.Hosts = []string{user.ID}
	}
	if in.Settings != nil {
		settings, err := json.Marshal(in.Settings)
		if err != nil {
			return nil, failf(codeIllegal, "参数非法: settings")
		}
		r.Settings = settings
	}
	if in.LiveConfig != nil {
		r.liveConfig = object{
			"live_subject": in.LiveConfig.LiveSubject, "live_summary": in.LiveConfig.LiveSummary,
			"enable_live_password": in.LiveConfig.EnableLivePassword, "live_password": in.LiveConfig.LivePassword,
			"enable_live_im": in.LiveConfig.EnableLiveIM, "enable_live_replay": in.LiveConfig.EnableLiveReplay,
		}
	}
	s.add(r)
	s.notify(r, "meeting.created", user.ID, nil)
	info := s.info(r, user)
	delete(info, "status") // not in create's answer
	if config, ok := info["live_config"].(object); ok && s.cfg.Quirks.NoLiveAddr {
		delete(config, "live_addr")
	}
	return object{"meeting_number": 1, "meeting_info_list": []object{info}}, nil
}

// atOnce counts a user's meetings that are not over.
func (s *Server) atOnce(user string) int {
	n := 0
	for _, r := range s.order {
		if r.Provider == Tencent && r.Creator == user && !r.State.over() && !s.overdue(r) {
			n++
		}
	}
	return n
}

// checkCreate checks what the document says of the parameters.
func (s *Server) checkCreate(in wireCreate) (start, end time.Time, fail *tencentError) {
	bad := func(name string) (time.Time, time.Time, *tencentError) {
		return time.Time{}, time.Time{}, failf(codeIllegal, "参数非法: %s", name)
	}
	if in.UserID == nil || *in.UserID == "" {
		return bad("userid")
	}
	if instance(in.InstanceID) != nil {
		return bad("instanceid")
	}
	if in.Subject == nil || strings.TrimSpace(*in.Subject) == "" || len(*in.Subject) > 512 {
		return bad("subject")
	}
	if in.Type == nil || *in.Type != 0 && *in.Type != 1 {
		return bad("type")
	}
	start, ok := unixSeconds(in.StartTime)
	if !ok {
		return bad("start_time")
	}
	end, ok = unixSeconds(in.EndTime)
	if !ok || !end.After(start) {
		return bad("end_time")
	}
	if in.Password != nil && !digits(*in.Password, 4, 6) {
		return bad("password")
	}
	if in.HostKey != nil && !digits(*in.HostKey, 6, 6) {
		return bad("host_key")
	}
	if len(in.Invitees) > 300 {
		return bad("invitees")
	}
	for _, u := range slices.Concat(in.Hosts, in.Invitees) {
		if u.UserID == "" {
			return bad("userid of hosts or invitees")
		}
	}
	if in.MeetingType != 0 {
		return bad("meeting_type") // recurring meetings are not served here, and cannot be quick anywhere
	}
	if st := in.Settings; st != nil {
		if st.AutoRecordType != nil && !slices.Contains([]string{"none", "local", "cloud"}, *st.AutoRecordType) {
			return bad("settings.auto_record_type")
		}
		if st.MuteEnableTypeJoin != nil && (*st.MuteEnableTypeJoin < 0 || *st.MuteEnableTypeJoin > 2) {
			return bad("settings.mute_enable_type_join")
		}
		if st.OnlyUserJoinType != nil && (*st.OnlyUserJoinType < 1 || *st.OnlyUserJoinType > 3) {
			return bad("settings.only_user_join_type")
		}
	}
	return start, end, nil
}

// unixSeconds reads a time as the API writes it, a string of seconds.
func unixSeconds(s *string) (time.Time, bool) {
	if s == nil || !digits(*s, 9, 11) {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(*s, 10, 64)
	return time.Unix(n, 0), err == nil
}

func digits(s string, least, most int) bool {
	return least <= len(s) && len(s) <= most && strings.Trim(s, "0123456789") == ""
}

func (s *Server) getByID(id string, query url.Values) (any, *tencentError) {
	if fail := s.args(query, "operator_id", "operator_id_type", "userid", "instanceid"); fail != nil {
		return nil, fail
	}
	if fail := terminal(query); fail != nil {
		return nil, fail
	}
	user, fail := s.operator(query, true)
	if fail != nil {
		return nil, fail
	}
	r := s.tencentMeeting(id)
	if r == nil {
		return nil, errNotExist()
	}
	return object{"meeting_number": 1, "meeting_info_list": []object{s.info(r, user)}}, nil
}

func (s *Server) getByCode(query url.Values) (any, *tencentError) {
	if fail := s.args(query, "meeting_code", "operator_id", "operator_id_type", "userid", "instanceid"); fail != nil {
		return nil, fail
	}
	if fail := terminal(query); fail != nil {
		return nil, fail
	}
	user, fail := s.operator(query, true)
	if fail != nil {
		return nil, fail
	}
	code := query.Get("meeting_code")
	if !digits(code, 9, 11) {
		return nil, failf(codeIllegal, "参数非法: meeting_code")
	}
	r := s.byCode[code] // an ended meeting's code is taken back
	if r == nil || s.tencentMeeting(r.ID) == nil {
		return nil, errNotExist()
	}
	return object{"meeting_number": 1, "meeting_info_list": []object{s.info(r, user)}}, nil
}

// listPage is how many meetings one answer lists at most.
const listPage = 20

// listMeetings lists the user's own meetings that run or are to start, by start time:
// https://cloud.tencent.com/document/product/1095/42421. Those after the cursor have
// a start later than pos, or pos itself and a modification later than cursory; pos
// alone repeats what starts at that very second.
func (s *Server) listMeetings(query url.Values) (any, *tencentError) {
	if fail := s.args(query, "userid", "operator_id", "operator_id_type", "instanceid", "pos", "cursory", "is_show_all_sub_meetings"); fail != nil {
		return nil, fail
	}
	if fail := terminal(query); fail != nil {
		return nil, fail
	}
	user, fail := s.operator(query, true)
	if fail != nil {
		return nil, fail
	}
	pos, fail := number(query, "pos", 0)
	if fail != nil {
		return nil, fail
	}
	cursor, fail := number(query, "cursory", 0)
	if fail != nil {
		return nil, fail
	}
	if pos == 0 {
		pos = beijingDay(s.now()).Unix()
	}
	mine := s.listed(Tencent, func(r *record) bool {
		start := r.Start.Unix()
		return r.Creator == user.ID && !r.State.over() && !s.overdue(r) &&
			(start > pos || start == pos && r.modified > cursor)
	}, func(a, b *record) int {
		return cmp.Or(cmp.Compare(a.Start.Unix(), b.Start.Unix()), cmp.Compare(a.modified, b.modified))
	})
	rest := max(0, len(mine)-listPage)
	mine = mine[:len(mine)-rest]
	infos := make([]object, len(mine))
	for i, r := range mine {
		infos[i] = s.info(r, user)
	}
	answer := object{"meeting_number": len(mine), "meeting_info_list": infos, "remaining": rest, "next_pos": 0, "next_cursory": 0}
	if rest > 0 {
		last := mine[len(mine)-1]
		answer["next_pos"], answer["next_cursory"] = last.Start.Unix(), last.modified
	}
	return answer, nil
}

// info is a meeting as user may see it: the passcode, the host key and the live's
// address are the creator's.
func (s *Server) info(r *record, user User) object {
	people := func(ids []string) any {
		if s.cfg.Quirks.PeopleAsStrings {
			return append([]string{}, ids...)
		}
		out := []wireUser{}
		for _, id := range ids {
			out = append(out, wireUser{id})
		}
		return out
	}
	info := object{
		"subject": r.Topic, "meeting_id": r.ID, "meeting_code": r.Code, "status": s.tencentStatus(r),
		"type": 0, "start_time": strconv.FormatInt(r.Start.Unix(), 10), "end_time": strconv.FormatInt(r.End.Unix(), 10),
		"hosts": people(r.Hosts), "current_hosts": people(r.Hosts), "participants": people(r.Inside), "join_url": r.joinURL(),
		"meeting_type": 0, "enable_live": r.LiveEnabled, "need_password": r.Passcode != "",
	}
	if r.quick {
		info["type"] = 1
	}
	if r.Settings != nil {
		info["settings"] = r.Settings
	}
	if len(r.unknown) > 0 {
		info["user_non_registered"] = r.unknown
	}
	if user.ID == r.Creator {
		if r.Passcode != "" {
			info["password"] = r.Passcode
		}
		if !r.HostKey.IsZero() {
			info["host_key"] = r.HostKey.Reveal()
		}
		if r.LiveEnabled {
			config := object{"live_addr": r.watchURL()}
			for k, v := range r.liveConfig {
				config[k] = v
			}
			info["live_config"] = config
		}
	}
	return info
}

// tencentStatus is what Tencent says of a meeting. Whether anybody was in it before makes
// no difference while nobody is.
func (s *Server) tencentStatus(r *record) string {
	switch {
	case len(r.Inside) > 0:
		return "MEETING_STATE_STARTED"
	case r.State == Cancelled:
		return "MEETING_STATE_CANCELLED"
	case r.State.over():
		return "MEETING_STATE_ENDED"
	case s.now().After(r.End):
		return "MEETING_STATE_NULL"
	}
	return "MEETING_STATE_INIT"
}

// dismiss ends a running meeting: https://cloud.tencent.com/document/product/1095/57955.
func (s *Server) dismiss(id string, body []byte) *tencentError {
	var in struct {
		OperatorID     *string `json:"operator_id"`
		OperatorIDType *int    `json:"operator_id_type"`
		InstanceID     *int64  `json:"instanceid"`
		ReasonCode     *int    `json:"reason_code"`
		ReasonDetail   string  `json:"reason_detail"`
		Force          *int    `json:"force_dismiss_meeting"`
		RetrieveCode   *int    `json:"retrieve_code"`
	}
	if fail := s.decode(body, &in); fail != nil {
		return fail
	}
	if fail := instance(in.InstanceID); fail != nil {
		return fail
	}
	flag := func(n *int) bool { return n == nil || *n == 0 || *n == 1 }
	if in.OperatorID == nil || in.OperatorIDType == nil || in.ReasonCode == nil || !flag(in.Force) || !flag(in.RetrieveCode) {
		return failf(codeIllegal, "参数非法")
	}
	switch *in.OperatorIDType {
	case 1:
	case 2, 4: // an openid or ms_open_id: nobody here has one
		return failf(codeNotRegistered, "存在未注册的用户")
	default:
		return failf(codeIllegal, "参数非法: operator_id_type")
	}
	user, fail := s.registered(*in.OperatorID)
	if fail != nil {
		return fail
	}
	r := s.tencentMeeting(id)
	if r == nil {
		return errNotExist()
	}
	if user.ID != r.Creator && !r.isHost(user.ID) {
		return failf(codeForbidden, "无权限进行该操作")
	}
	if r.State != Running {
		return failf(s.cfg.Quirks.DismissNotRunning, "会议未在进行中")
	}
	if in.Force != nil && *in.Force == 0 && len(r.Inside) > 0 {
		return failf(codeBadRequest, "会议中有参会者")
	}
	if s.end(r, endedByHost) != nil {
		return errNotExist()
	}
	return nil
}

// cancelByID cancels a meeting that has not started:
// https://cloud.tencent.com/document/product/1095/42422.
func (s *Server) cancelByID(id string, body []byte) *tencentError {
	var in struct {
		UserID       *string `json:"userid"`
		InstanceID   *int64  `json:"instanceid"`
		ReasonCode   *int    `json:"reason_code"`
		ReasonDetail string  `json:"reason_detail"`
		MeetingType  int     `json:"meeting_type"`
		SubMeetingID string  `json:"sub_meeting_id"`
	}
	if fail := s.decode(body, &in); fail != nil {
		return fail
	}
	if fail := instance(in.InstanceID); fail != nil {
		return fail
	}
	if in.UserID == nil || in.ReasonCode == nil {
		return failf(codeIllegal, "参数非法")
	}
	user, fail := s.registered(*in.UserID)
	if fail != nil {
		return fail
	}
	r := s.byID[id]
	if r == nil || r.Provider != Tencent {
		return errNotExist()
	}
	if user.ID != r.Creator && !user.Admin {
		return failf(codeForbidden, "无权限进行该操作")
	}
	switch r.State {
	case Running:
		return failf(codeStarted, "已开始的会议不能取消")
	case Cancelled:
		return failf(codeCancelled, "MEETING CANCLED")
	case Ended:
		return failf(codeEnded, "会议已结束")
	}
	s.cancelMeeting(r, user.ID)
	return nil
}

// participants lists who was or is in a meeting:
// https://cloud.tencent.com/document/product/1095/42701.
func (s *Server) participants(id string, query url.Values) (any, *tencentError) {
	if fail := s.args(query, "userid", "operator_id", "operator_id_type", "pos", "size", "start_time", "end_time", "sub_meeting_id"); fail != nil {
		return nil, fail
	}
	user, fail := s.operator(query, true)
	if fail != nil {
		return nil, fail
	}
	pos, fail := number(query, "pos", 0)
	if fail != nil {
		return nil, fail
	}
	size, fail := number(query, "size", 100)
	if fail != nil || size < 1 || size > 100 {
		return nil, failf(codeIllegal, "参数非法: size")
	}
	r := s.byID[id]
	if r == nil || r.Provider != Tencent {
		return nil, errNotExist()
	}
	if user.ID != r.Creator && !user.Admin {
		return nil, failf(codeForbidden, "无权限进行该操作")
	}
	from := min(pos, int64(len(r.people)))
	to := min(from+size, int64(len(r.people)))
	list := []object{}
	for _, p := range r.people[from:to] {
		left, role := "", 0
		if !p.left.IsZero() {
			left = strconv.FormatInt(p.left.Unix(), 10)
		}
		switch {
		case p.user == r.Creator:
			role = 1
		case r.isHost(p.user):
			role = 2
		}
		list = append(list, object{
			"userid": p.user, "user_name": base64.StdEncoding.EncodeToString([]byte(p.user)), "instanceid": p.instanceID,
			"ms_open_id": "ms-" + p.user, "join_time": strconv.FormatInt(p.joined.Unix(), 10), "left_time": left, "user_role": role,
		})
	}
	return object{
		"meeting_id": r.ID, "meeting_code": r.Code, "subject": r.Topic,
		"schedule_start_time": strconv.FormatInt(r.Start.Unix(), 10), "schedule_end_time": strconv.FormatInt(r.End.Unix(), 10),
		"participants": list, "total_count": len(r.people), "has_remaining": to < int64(len(r.people)), "next_pos": to,
	}, nil
}
