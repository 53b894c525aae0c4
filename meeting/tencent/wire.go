package tencent

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
)

const (
	maxSubject      = 512 // bytes
	quickMeeting    = 1   // type; 0 is a scheduled one
	reasonOther     = 1   // reason_code of an end: the caller's own, no value is documented
	defaultDuration = time.Hour
)

// parameters are what the API calls the fields of [meeting.Instant].
var parameters = map[string]string{
	"topic":            "subject",
	"duration":         "end_time",
	"start":            "start_time",
	"join_before_host": "allow_in_before_host",
	"mute":             "mute_enable_type_join",
	"waiting_room":     "auto_in_waiting_room",
	"live":             "enable_live",
	"recording":        "auto_record_type",
	"account":          "userid",
	"hosts":            "hosts",
	"host_key":         "host_key",
}

// check returns the first field of in that cannot be sent, and why.
func check(in meeting.Instant) (meeting.Reason, string) {
	switch {
	case strings.TrimSpace(in.Topic) == "" || len(in.Topic) > maxSubject || !utf8.ValidString(in.Topic):
		return meeting.ReasonField, "topic"
	case in.Duration < time.Minute || in.Duration%time.Minute != 0:
		return meeting.ReasonField, "duration"
	case in.Start.Unix() < 0 || in.Start.Nanosecond() != 0:
		return meeting.ReasonField, "start"
	case in.Recording != meeting.RecordingDefault && in.Recording != meeting.RecordingNone && in.Recording != meeting.RecordingCloud:
		return meeting.ReasonField, "recording"
	case !in.HostKey.IsZero() && !lenient.IsDigits(in.HostKey.Reveal(), 6, 6):
		return meeting.ReasonField, "host_key"
	case !utf8.ValidString(in.Account):
		return meeting.ReasonField, "account"
	case slices.ContainsFunc(in.Hosts, func(h string) bool { return h == "" || !utf8.ValidString(h) }):
		return meeting.ReasonField, "hosts"
	}
	if f := in.Unsupported(parameters); f != "" {
		return meeting.ReasonUnsupported, f
	}
	return "", ""
}

// wireQuick is the body of a new quick meeting. The live_config is left to its defaults:
// whether its subject is plain or base64, as elsewhere, is not documented.
type wireQuick struct {
	UserID        string        `json:"userid"`
	InstanceID    int           `json:"instanceid"`
	Subject       string        `json:"subject"`
	Type          int           `json:"type"`
	StartTime     string        `json:"start_time"` // a number here is answered with "signature failed"
	EndTime       string        `json:"end_time"`
	Settings      *wireSettings `json:"settings,omitempty"`
	EnableLive    *bool         `json:"enable_live,omitempty"`
	EnableHostKey bool          `json:"enable_host_key,omitempty"`
	HostKey       string        `json:"host_key,omitempty"`
	Hosts         []wireHost    `json:"hosts,omitempty"`
}

type wireHost struct {
	UserID string `json:"userid"`
}

type wireSettings struct {
	MuteEnableJoin     *bool  `json:"mute_enable_join,omitempty"`
	MuteEnableTypeJoin *int   `json:"mute_enable_type_join,omitempty"` // wins over the former; 0 off, 1 on
	AllowInBeforeHost  *bool  `json:"allow_in_before_host,omitempty"`
	AutoInWaitingRoom  *bool  `json:"auto_in_waiting_room,omitempty"`
	AutoRecordType     string `json:"auto_record_type,omitempty"`
}

func (c *Client) quick(in meeting.Instant) wireQuick {
	w := wireQuick{
		UserID:     c.account(in.Account),
		InstanceID: c.cfg.InstanceID,
		Subject:    in.Topic,
		Type:       quickMeeting,
		StartTime:  strconv.FormatInt(in.Start.Unix(), 10),
		EndTime:    strconv.FormatInt(in.Start.Add(in.Duration).Unix(), 10),
		EnableLive: in.Live,
	}
	if !in.HostKey.IsZero() {
		w.EnableHostKey, w.HostKey = true, in.HostKey.Reveal()
	}
	for _, h := range in.Hosts {
		w.Hosts = append(w.Hosts, wireHost{h})
	}
	s := wireSettings{
		MuteEnableJoin:    in.Mute,
		AllowInBeforeHost: in.JoinBeforeHost,
		AutoInWaitingRoom: in.WaitingRoom,
		AutoRecordType:    string(in.Recording),
	}
	if in.Mute != nil {
		typ := 0
		if *in.Mute {
			typ = 1
		}
		s.MuteEnableTypeJoin = &typ
	}
	if s != (wireSettings{}) {
		w.Settings = &s
	}
	return w
}

type wireDismiss struct {
	OperatorID     string `json:"operator_id"`
	OperatorIDType int    `json:"operator_id_type"`
	InstanceID     int    `json:"instanceid"`
	ReasonCode     int    `json:"reason_code"`
}

type wireCancel struct {
	UserID     string `json:"userid"`
	InstanceID int    `json:"instanceid"`
	ReasonCode int    `json:"reason_code"`
}

type wireMeetings struct {
	List        []wireMeeting `json:"meeting_info_list"`
	Remaining   lenient.Text  `json:"remaining"`
	NextPos     lenient.Text  `json:"next_pos"`
	NextCursory lenient.Text  `json:"next_cursory"`
}

type wireMeeting struct {
	MeetingID   lenient.Text `json:"meeting_id"`
	MeetingCode lenient.Text `json:"meeting_code"`
	Subject     lenient.Text `json:"subject"`
	Status      lenient.Text `json:"status"`
	Type        lenient.Text `json:"type"` // 0 scheduled, 1 quick
	Kind        lenient.Text `json:"meeting_type"`
	SubMeeting  lenient.Text `json:"current_sub_meeting_id"` // of a series
	Password    lenient.Text `json:"password"`
	JoinURL     lenient.Text `json:"join_url"`
	StartTime   lenient.Text `json:"start_time"`
	EndTime     lenient.Text `json:"end_time"`
	Hosts       wireUsers    `json:"hosts"`
	EnableLive  lenient.Text `json:"enable_live"`
	HostKey     lenient.Text `json:"host_key"`
	// Decoded by itself, since nothing else depends on it.
	LiveConfig json.RawMessage `json:"live_config"`
}

// wireUsers is a list of users, each a string or an object with a userid: the documents
// and the official SDKs differ. Anything else is left out.
type wireUsers []string

// UnmarshalJSON implements [json.Unmarshaler].
func (u *wireUsers) UnmarshalJSON(b []byte) error {
	*u = nil
	var list []json.RawMessage
	if json.Unmarshal(b, &list) != nil {
		return nil
	}
	for _, raw := range list {
		var user struct {
			UserID string `json:"userid"`
		}
		if json.Unmarshal(raw, &user.UserID) != nil && json.Unmarshal(raw, &user) != nil {
			continue
		}
		if user.UserID != "" {
			*u = append(*u, user.UserID)
		}
	}
	return nil
}

// lasts reports whether the number is one that is used again and again: of a series, or
// somebody's own.
func (w wireMeeting) lasts() bool {
	const series, personal = 1, 5
	kind := w.Kind.Int()
	return kind == series || kind == personal || w.SubMeeting.Digits() != "" && w.SubMeeting.Digits() != "0"
}

// meeting converts w, or returns false if it has no usable id.
func (w wireMeeting) meeting() (meeting.Meeting, bool) {
	id := w.MeetingID.Digits()
	if id == "" {
		return meeting.Meeting{}, false
	}
	var live struct {
		Addr lenient.Text `json:"live_addr"`
	}
	_ = json.Unmarshal(w.LiveConfig, &live) // absent or odd: no watch URL
	return meeting.Meeting{
		Ref:      meeting.Ref{Provider: Kind.ID, ID: id},
		Code:     w.MeetingCode.Digits(),
		Topic:    string(w.Subject),
		State:    states[string(w.Status)],
		JoinURL:  w.JoinURL.Link(),
		WatchURL: live.Addr.Link(),
		Passcode: string(w.Password),
		HostKey:  secret.New(string(w.HostKey)),
		Live:     w.EnableLive.Bool(),
		Start:    unix(w.StartTime.Int64()),
		End:      unix(w.EndTime.Int64()),

		Scheduled: w.Type != "" && w.Type.Int() != quickMeeting,
		Hosts:     w.Hosts,
	}, true
}

// states translates a status. MEETING_STATE_INIT says that nobody is in, also after people
// were: see [meeting.State.Next]. MEETING_STATE_INVALID says nothing.
var states = map[string]meeting.State{
	"MEETING_STATE_INIT":      meeting.StateReady,
	"MEETING_STATE_NULL":      meeting.StateExpired,
	"MEETING_STATE_STARTED":   meeting.StateRunning,
	"MEETING_STATE_ENDED":     meeting.StateEnded,
	"MEETING_STATE_CANCELLED": meeting.StateCancelled,
	"MEETING_STATE_RECYCLED":  meeting.StateRecycled,
}

// unix returns the time for seconds, zero for zero and for what cannot be meant.
func unix(seconds int64) time.Time {
	if seconds <= 0 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

type wireSetPush struct {
	UserID     string `json:"userid"`
	InstanceID int    `json:"instanceid"`
	// One entry: the API takes a list, and sets one address a call.
	PushStreamInfo []wirePush `json:"push_stream_info"`
}

type wirePush struct {
	PlatformType int    `json:"platform_type"`
	PlatformName string `json:"platform_name"`      // base64 of UTF-8
	Enable       bool   `json:"enable_push_addres"` // sic
	PushAddress  string `json:"push_address"`
	PushPassword string `json:"push_password"`
}

// checkPush returns the first field of p that cannot be sent.
func checkPush(p meeting.PushTarget) string {
	switch {
	case !validPushName(p.Name):
		return "name"
	case p.Platform != meeting.PushWeChat && p.Platform != meeting.PushThirdParty:
		return "platform"
	case !isRTMP(p.URL) || !utf8.ValidString(p.URL):
		return "url"
	case p.Key.IsZero() || !utf8.ValidString(p.Key.Reveal()):
		return "key"
	}
	return ""
}

// isRTMP is all that the API's own limits say of an address; [meeting.SplitPush] knows
// what people get wrong.
func isRTMP(address string) bool {
	scheme, rest, ok := strings.Cut(address, "://")
	return ok && rest != "" && (strings.EqualFold(scheme, "rtmp") || strings.EqualFold(scheme, "rtmps"))
}

func validPushName(name string) bool {
	return utf8.ValidString(name) && strings.TrimSpace(name) != "" &&
		utf8.RuneCountInString(name) <= meeting.MaxPushName && !strings.ContainsAny(name, "\r\n\v\f\u0085\u2028\u2029")
}

func pushToWire(p meeting.PushTarget) wirePush {
	return wirePush{
		PlatformType: int(p.Platform),
		PlatformName: base64.StdEncoding.EncodeToString([]byte(p.Name)),
		Enable:       p.Enabled,
		PushAddress:  p.URL,
		PushPassword: p.Key.Reveal(),
	}
}

type wirePushes struct {
	PushStreamInfo []wirePushRead `json:"push_stream_info"`
}

type wirePushRead struct {
	PlatformType lenient.Text `json:"platform_type"`
	PlatformName lenient.Text `json:"platform_name"`
	Enable       lenient.Text `json:"enable_push_addres"` // left out means no
	PushAddress  lenient.Text `json:"push_address"`
	PushPassword lenient.Text `json:"push_password"`
}

func (w wirePushRead) target() meeting.PushTarget {
	return meeting.PushTarget{
		Name:     decodeName(string(w.PlatformName)),
		Platform: meeting.PushPlatform(w.PlatformType.Int()),
		URL:      string(w.PushAddress),
		Key:      secret.New(string(w.PushPassword)),
		Enabled:  w.Enable.Bool(),
	}
}

// decodeName returns the text of a base64 name, or the name itself if it is plain: an
// older revision of the documentation did not ask for base64.
func decodeName(s string) string {
	b, err := decodeBase64(s)
	if err != nil || !utf8.Valid(b) {
		return s
	}
	return string(b)
}

// decodeBase64 takes padded and unpadded text.
func decodeBase64(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}
