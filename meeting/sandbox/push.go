package sandbox

import (
	"encoding/base64"
	"net/url"
	"strings"
	"unicode/utf8"

	"meetbot/config/secret"
)

// Live push addresses, from https://cloud.tencent.com/document/product/1095/58214
// (set) and /71338 (query).

const (
	platformChannels = 1 // 微信视频号
	platformOther    = 2

	maxChannels = 1
	maxOthers   = 10
	maxName     = 10 // characters
)

// wirePush is one entry of push_stream_info. Both directions of the API misspell
// enable_push_addres.
type wirePush struct {
	PlatformType *int    `json:"platform_type"`
	PlatformName *string `json:"platform_name"` // base64
	Enable       *bool   `json:"enable_push_addres"`
	Address      *string `json:"push_address"`
	Password     *string `json:"push_password"`
}

func (s *Server) setPush(id string, body []byte) *tencentError {
	var in struct {
		UserID     *string    `json:"userid"`
		InstanceID *int64     `json:"instanceid"`
		Info       []wirePush `json:"push_stream_info"`
	}
	if fail := s.decode(body, &in); fail != nil {
		return fail
	}
	if in.UserID == nil || *in.UserID == "" {
		return failf(codeIllegal, "参数非法: userid")
	}
	if fail := instance(in.InstanceID); fail != nil {
		return fail
	}
	if len(in.Info) != 1 {
		return failf(codeIllegal, "参数非法: 暂只支持设置一条推流信息")
	}
	push, fail := s.checkPush(in.Info[0])
	if fail != nil {
		return fail
	}
	user, fail := s.registered(*in.UserID)
	if fail != nil {
		return fail
	}
	r, fail := s.pushable(id, user)
	if fail != nil {
		return fail
	}
	if r.LiveEnabled && user.NoLive {
		return failf(codeNoRight, "账号无权限")
	}
	return s.storePush(r, push)
}

// checkPush checks an entry for itself.
func (s *Server) checkPush(in wirePush) (Push, *tencentError) {
	if in.PlatformType == nil || *in.PlatformType != platformChannels && *in.PlatformType != platformOther {
		return Push{}, failf(codeIllegal, "参数非法: platform_type")
	}
	if in.Enable == nil {
		return Push{}, failf(codeIllegal, "参数非法: enable_push_addres")
	}
	if in.Password == nil || *in.Password == "" {
		return Push{}, failf(codeIllegal, "参数非法: push_password")
	}
	if in.PlatformName == nil {
		return Push{}, failf(codeIllegal, "参数非法: platform_name")
	}
	name, ok := s.platformName(*in.PlatformName)
	if !ok {
		return Push{}, failf(codeIllegal, "参数非法: platform_name")
	}
	if in.Address == nil || *in.Address == "" {
		return Push{}, failf(codeIllegal, "参数非法: push_address")
	}
	u, err := url.Parse(*in.Address)
	valid := err == nil && u.Hostname() != "" && (u.Scheme == "rtmp" || u.Scheme == "rtmps" && !s.cfg.Quirks.RefuseRTMPS)
	if valid && *in.PlatformType == platformChannels {
		valid = strings.HasPrefix(*in.Address, s.cfg.Quirks.ChannelsPrefix)
	}
	if !valid {
		return Push{}, errPushAddress()
	}
	return Push{Platform: *in.PlatformType, Name: name, URL: *in.Address, Key: secret.New(*in.Password), Enabled: *in.Enable}, nil
}

func errPushAddress() *tencentError {
	return failf(codePushAddress, "请检查推流地址是否正确，不能有重复推流地址、视频号地址只能有一个、视频号地址前缀必须符合要求")
}

// platformName decodes a name: base64 with padding of one to ten characters of UTF-8,
// not only blanks and without a line break.
func (s *Server) platformName(encoded string) (string, bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(encoded)
	name := string(b)
	// The decoder skips line breaks, also such as the sender's encoder put in.
	if err != nil || strings.ContainsAny(encoded, "\r\n") || !utf8.ValidString(name) {
		return "", false
	}
	width := 0
	for _, c := range name {
		width++
		if s.cfg.Quirks.WideNames && c >= utf8.RuneSelf {
			width++
		}
	}
	return name, width <= maxName && strings.TrimSpace(name) != "" && !strings.ContainsAny(name, "\r\n")
}

// pushable finds a meeting and checks that user may see and set its push addresses:
// before the meeting its creator, during the meeting its hosts.
func (s *Server) pushable(id string, user User) (*record, *tencentError) {
	r := s.tencentMeeting(id)
	switch {
	case r == nil || r.State.over():
		return nil, failf(codePushMeeting, "请检查 meeting_id 是否正确")
	case r.State == Waiting && user.ID != r.Creator:
		return nil, failf(codePushCreator, "无权限，需要会议创建者")
	case r.State == Running && !r.isHost(user.ID):
		return nil, failf(codePushHost, "无权限，需要会议创建者、主持人")
	}
	return r, nil
}

func (s *Server) storePush(r *record, push Push) *tencentError {
	channels, others := 0, 0
	for i, set := range r.Pushes {
		if set.URL == push.URL && (!s.cfg.Quirks.KeyTellsAddresses || set.Key.Equal(push.Key)) {
			return s.repost(r, i, push)
		}
		if set.Platform == platformChannels {
			channels++
		} else {
			others++
		}
	}
	switch {
	case push.Platform == platformChannels && channels >= maxChannels:
		return errPushAddress()
	case push.Platform == platformOther && others >= maxOthers:
		return failf(codePushLimit, "三方推流数量超过限制")
	}
	r.Pushes = append(r.Pushes, push)
	r.setAt = append(r.setAt, s.now())
	s.encode(r)
	s.touch(r)
	return nil
}

// repost handles an address that is set already, as the i-th. The same entry with
// the other enable_push_addres is what nobody has documented.
func (s *Server) repost(r *record, i int, push Push) *tencentError {
	set := r.Pushes[i]
	if set.Enabled == push.Enabled || !set.Key.Equal(push.Key) || set.Platform != push.Platform {
		return errPushAddress()
	}
	switch s.cfg.Quirks.Repost {
	case RepostRefused:
		return errPushAddress()
	case RepostIgnored:
		return nil
	}
	r.Pushes[i] = push
	s.encode(r)
	s.touch(r)
	return nil
}

// liveViewers counts who watches, and once the live is over who watched:
// https://cloud.tencent.com/document/product/1095/58215.
func (s *Server) liveViewers(id string, query url.Values) (any, *tencentError) {
	if fail := s.args(query, "userid", "instanceid"); fail != nil {
		return nil, fail
	}
	if fail := terminal(query); fail != nil {
		return nil, fail
	}
	user, fail := s.registered(query.Get("userid"))
	if fail != nil {
		return nil, fail
	}
	r := s.byID[id] // also of a meeting that is over
	switch {
	case r == nil || r.Provider != Tencent:
		return nil, errNotExist()
	case user.ID != r.Creator && !user.Admin:
		return nil, failf(codeNoLiveRight, "没有权限查询直播观看数据")
	case !r.wasLive:
		return nil, failf(codeNoLive, "无开启直播")
	}
	viewers := r.viewers
	if !r.Live {
		viewers = r.watched
	}
	return object{"meeting_id": r.ID, "subject": r.Topic, "live_viewers_num": viewers}, nil
}

func (s *Server) queryPush(id string, query url.Values) (any, *tencentError) {
	if fail := s.args(query, "operator_id", "operator_id_type", "instanceid"); fail != nil {
		return nil, fail
	}
	if fail := terminal(query); fail != nil {
		return nil, fail
	}
	user, fail := s.operator(query, false)
	if fail != nil {
		return nil, fail
	}
	r, fail := s.pushable(id, user)
	if ended := s.byID[id]; fail != nil && ended != nil && ended.Provider == Tencent && ended.State.over() && ended.Creator == user.ID {
		r, fail = ended, nil // to be read before, during and after the meeting, the document says
	}
	if fail != nil {
		return nil, fail
	}
	visible := s.now().Add(-s.cfg.Quirks.PushDelay)
	list := []object{}
	for i, p := range r.Pushes {
		if r.setAt[i].After(visible) || !p.Enabled && s.cfg.Quirks.HideDisabled {
			continue
		}
		list = append(list, object{
			"platform_name": base64.StdEncoding.EncodeToString([]byte(p.Name)), "platform_type": p.Platform,
			"push_password": p.Key.Reveal(), "enable_push_addres": p.Enabled, "push_address": p.URL,
		})
	}
	return object{"push_stream_info": list}, nil
}
