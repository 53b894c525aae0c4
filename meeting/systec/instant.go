package systec

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"meetbot/meeting"
)

// Documented limits of an instant meeting.
const (
	minDuration = 30 * time.Minute // exclusive
	maxUserKey  = 200              // bytes
)

// parameters are what the API calls the fields of [meeting.Instant].
var parameters = map[string]string{
	"topic":              "topic",
	"capacity":           "meeting_capacity",
	"duration":           "duration",
	"join_before_host":   "option_jbh",
	"mute":               "mute_upon_entry",
	"host_video":         "option_host_video",
	"participants_video": "option_participants_video",
	"pmi":                "use_pmi",
	"waiting_room":       "waiting_room",
	"live":               "allow_live_streaming",
	"recording":          "recording",
	"host_name":          "host_name",
	"user_key":           "user_key",
}

// check returns the first field of in that cannot be sent, and why.
func check(in meeting.Instant) (meeting.Reason, string) {
	switch {
	case strings.TrimSpace(in.Topic) == "" || !utf8.ValidString(in.Topic):
		return meeting.ReasonField, "topic"
	case in.Capacity < 1:
		return meeting.ReasonField, "capacity"
	case in.Duration != 0 && (in.Duration <= minDuration || in.Duration%time.Minute != 0):
		return meeting.ReasonField, "duration"
	case in.Recording != meeting.RecordingDefault && in.Recording != meeting.RecordingNone && in.Recording != meeting.RecordingCloud:
		return meeting.ReasonField, "recording"
	case len(in.UserKey) > maxUserKey || !utf8.ValidString(in.UserKey):
		return meeting.ReasonField, "user_key"
	case !utf8.ValidString(in.HostName):
		return meeting.ReasonField, "host_name"
	}
	if f := in.Unsupported(parameters); f != "" {
		return meeting.ReasonUnsupported, f
	}
	return "", ""
}

// instantForm leaves out what was not wished: the provider's own defaults hold then.
func instantForm(in meeting.Instant) url.Values {
	form := url.Values{}
	set := func(field, value string) {
		if value != "" {
			form.Set(parameters[field], value)
		}
	}
	set("topic", in.Topic)
	set("capacity", strconv.Itoa(in.Capacity))
	if in.Duration != 0 {
		set("duration", strconv.Itoa(int(in.Duration/time.Minute)))
	}
	for field, flag := range map[string]*bool{
		"join_before_host":   in.JoinBeforeHost,
		"mute":               in.Mute,
		"pmi":                in.PMI,
		"host_video":         in.HostVideo,
		"participants_video": in.ParticipantsVideo,
		"live":               in.Live,
		"waiting_room":       in.WaitingRoom,
	} {
		if flag != nil {
			set(field, strconv.FormatBool(*flag))
		}
	}
	set("recording", string(in.Recording))
	set("host_name", in.HostName)
	set("user_key", in.UserKey)
	return form
}
