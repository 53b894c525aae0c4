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
	case !in.Start.IsZero():
		return meeting.ReasonUnsupported, "start"
	case in.Account != "":
		return meeting.ReasonUnsupported, "account"
	case !in.HostKey.IsZero():
		return meeting.ReasonUnsupported, "host_key"
	}
	return "", ""
}

// instantForm leaves out what was not wished: the provider's own defaults hold then.
func instantForm(in meeting.Instant) url.Values {
	form := url.Values{
		"topic":            {in.Topic},
		"meeting_capacity": {strconv.Itoa(in.Capacity)},
	}
	if in.Duration != 0 {
		form.Set("duration", strconv.Itoa(int(in.Duration/time.Minute)))
	}
	for name, flag := range map[string]*bool{
		"option_jbh":                in.JoinBeforeHost,
		"mute_upon_entry":           in.Mute,
		"use_pmi":                   in.PMI,
		"option_host_video":         in.HostVideo,
		"option_participants_video": in.ParticipantsVideo,
		"allow_live_streaming":      in.Live,
		"waiting_room":              in.WaitingRoom,
	} {
		if flag != nil {
			form.Set(name, strconv.FormatBool(*flag))
		}
	}
	for name, text := range map[string]string{
		"recording": string(in.Recording),
		"host_name": in.HostName,
		"user_key":  in.UserKey,
	} {
		if text != "" {
			form.Set(name, text)
		}
	}
	return form
}
