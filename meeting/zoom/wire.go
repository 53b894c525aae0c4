package zoom

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
)

// Documented limits.
const (
	maxTopic    = 200  // characters
	maxAgenda   = 250  // characters: of longer ones a list shows the beginning
	maxPasscode = 10   // characters
	maxURL      = 1024 // characters of a stream's address and of its page
	maxKey      = 512  // characters of a stream key
	maxLiveName = 50   // characters of a live's name

	instant         = 1 // type
	planned         = 2
	untimedSeries   = 3
	personalRoom    = 4
	series          = 8
	defaultDuration = time.Hour
)

// parameters are what the API calls the fields of [meeting.Instant].
var parameters = map[string]string{
	"topic":              "topic",
	"duration":           "duration",
	"join_before_host":   "join_before_host",
	"mute":               "mute_upon_entry",
	"host_video":         "host_video",
	"participants_video": "participant_video",
	"pmi":                "use_pmi",
	"waiting_room":       "waiting_room",
	"recording":          "auto_recording",
	"passcode":           "password",
	"user_key":           "agenda",
	"start":              "start_time",
	"account":            "userId",
	"hosts":              "alternative_hosts",
}

// scheduled reports whether a wish needs a scheduled meeting that begins now: Zoom's instant
// ones have no length, and nobody can join them before the host.
func scheduled(in meeting.Instant) bool {
	return in.Duration != 0 || in.JoinBeforeHost != nil && *in.JoinBeforeHost
}

// check returns the first field of in that cannot be sent, and why.
func check(in meeting.Instant) (meeting.Reason, string) {
	switch {
	case strings.TrimSpace(in.Topic) == "" || utf8.RuneCountInString(in.Topic) > maxTopic || !utf8.ValidString(in.Topic):
		return meeting.ReasonField, "topic"
	case in.Duration < 0 || in.Duration%time.Minute != 0:
		return meeting.ReasonField, "duration"
	case !in.Start.IsZero() && (in.Start.Unix() < 0 || in.Start.Nanosecond() != 0):
		return meeting.ReasonField, "start"
	case in.Recording != meeting.RecordingDefault && in.Recording != meeting.RecordingNone && in.Recording != meeting.RecordingCloud:
		return meeting.ReasonField, "recording"
	case in.JoinBeforeHost != nil && *in.JoinBeforeHost && in.WaitingRoom != nil && *in.WaitingRoom: // the room would win
		return meeting.ReasonField, "join_before_host"
	case !validPasscode(in.Passcode):
		return meeting.ReasonField, "passcode"
	case utf8.RuneCountInString(in.UserKey) > maxAgenda || !utf8.ValidString(in.UserKey):
		return meeting.ReasonField, "user_key"
	case in.Account != "" && !validUser(in.Account):
		return meeting.ReasonField, "account"
	case slices.ContainsFunc(in.Hosts, func(h string) bool { return !validUser(h) }):
		return meeting.ReasonField, "hosts"
	}
	if f := in.Unsupported(parameters); f != "" {
		return meeting.ReasonUnsupported, f
	}
	return "", ""
}

// validPasscode allows the letters, digits and signs that Zoom's may have; none at all is
// the host's default.
func validPasscode(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@-_*"
	return len(s) <= maxPasscode && strings.Trim(s, allowed) == ""
}

// validUser reports whether s can be a user's ID or address. It goes into a path and into a
// list that semicolons separate. "me" is whoever a token is for, who is nobody in particular.
func validUser(s string) bool {
	return s != "" && len(s) <= 255 && s != "me" && s != "." && s != ".." && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`/\?#;,%<>"`, r)
	})
}

// wireCreate is the body of a new meeting.
type wireCreate struct {
	Topic     string       `json:"topic"`
	Type      int          `json:"type"`
	StartTime string       `json:"start_time,omitempty"` // GMT
	Duration  int          `json:"duration,omitempty"`   // minutes
	Password  string       `json:"password,omitempty"`
	Agenda    string       `json:"agenda,omitempty"`
	Settings  wireSettings `json:"settings"`
}

type wireSettings struct {
	HostVideo        *bool  `json:"host_video,omitempty"`
	ParticipantVideo *bool  `json:"participant_video,omitempty"`
	JoinBeforeHost   *bool  `json:"join_before_host,omitempty"`
	MuteUponEntry    *bool  `json:"mute_upon_entry,omitempty"`
	UsePMI           *bool  `json:"use_pmi,omitempty"`
	WaitingRoom      *bool  `json:"waiting_room,omitempty"`
	AutoRecording    string `json:"auto_recording,omitempty"`
	AlternativeHosts string `json:"alternative_hosts,omitempty"`
}

func newMeeting(in meeting.Instant) wireCreate {
	w := wireCreate{
		Topic: in.Topic, Type: instant, Password: in.Passcode, Agenda: in.UserKey,
		Settings: wireSettings{
			HostVideo: in.HostVideo, ParticipantVideo: in.ParticipantsVideo, JoinBeforeHost: in.JoinBeforeHost, MuteUponEntry: in.Mute,
			UsePMI: in.PMI, WaitingRoom: in.WaitingRoom, AutoRecording: string(in.Recording), AlternativeHosts: strings.Join(in.Hosts, ";"),
		},
	}
	if scheduled(in) {
		w.Type = planned
		w.StartTime = in.Start.UTC().Format("2006-01-02T15:04:05Z")
		w.Duration = int(in.Duration / time.Minute)
	} else {
		w.Settings.JoinBeforeHost = nil // false, as every instant meeting has it
	}
	return w
}

type wireStatus struct {
	Action string `json:"action"`
}

type wireLiveStatus struct {
	Action   string            `json:"action"`
	Settings *wireLiveSettings `json:"settings,omitempty"`
}

type wireLiveSettings struct {
	DisplayName string `json:"display_name,omitempty"`
}

// wireLive is where a meeting is streamed to, as it is set and as it is read back.
type wireLive struct {
	StreamURL lenient.Text `json:"stream_url"`
	StreamKey lenient.Text `json:"stream_key"`
	PageURL   lenient.Text `json:"page_url"`
}

type wireList struct {
	NextPage lenient.Text  `json:"next_page_token"`
	Meetings []wireMeeting `json:"meetings"`
}

type wireMeeting struct {
	ID        lenient.Text `json:"id"`
	HostID    lenient.Text `json:"host_id"`
	HostEmail lenient.Text `json:"host_email"`
	Topic     lenient.Text `json:"topic"`
	Type      lenient.Text `json:"type"`
	Status    lenient.Text `json:"status"`
	StartTime lenient.Text `json:"start_time"`
	CreatedAt lenient.Text `json:"created_at"`
	Duration  lenient.Text `json:"duration"`
	Agenda    lenient.Text `json:"agenda"`
	JoinURL   lenient.Text `json:"join_url"`
	StartURL  lenient.Text `json:"start_url"`
	Password  lenient.Text `json:"password"`
	Settings  wireReadBack `json:"settings"`
}

// wireReadBack is what matters of the settings; anything but an object has none of it.
type wireReadBack struct {
	AlternativeHosts string
}

// UnmarshalJSON implements [json.Unmarshaler].
func (w *wireReadBack) UnmarshalJSON(b []byte) error {
	var s struct {
		AlternativeHosts lenient.Text `json:"alternative_hosts"`
	}
	_ = json.Unmarshal(b, &s)
	w.AlternativeHosts = string(s.AlternativeHosts)
	return nil
}

// lasts reports whether the number is one that is used again and again, by the type of the
// meeting: of a series, or of somebody's personal room.
func (w wireMeeting) lasts() bool {
	switch w.Type.Int() {
	case untimedSeries, personalRoom, series:
		return true
	}
	return false
}

// meeting returns w in neutral words, or false if it has no number.
func (w wireMeeting) meeting() (meeting.Meeting, bool) {
	id := w.ID.Digits()
	if !isNumber(id) {
		return meeting.Meeting{}, false
	}
	m := meeting.Meeting{
		Ref: meeting.Ref{Provider: Kind.ID, ID: id}, Code: id, Topic: string(w.Topic),
		JoinURL: w.JoinURL.Link(), Passcode: string(w.Password), UserKey: string(w.Agenda),
		Start: instantOf(w.CreatedAt),
	}
	if link := w.StartURL.Link(); link != "" {
		m.StartURL = secret.New(link)
	}
	if number := numberOf(m.JoinURL); number != "" { // the personal one, where that is used
		m.Code = number
	}
	switch w.Status {
	case "waiting":
		m.State = meeting.StateReady
	case "started":
		m.State = meeting.StateRunning
	} // any other says nothing
	if w.Type.Int() != instant {
		if start := instantOf(w.StartTime); !start.IsZero() {
			m.Scheduled = start.After(m.Start.Add(10 * time.Minute))
			m.Start = start
		}
		if minutes := w.Duration.Int(); minutes > 0 && minutes < 1<<20 && !m.Start.IsZero() {
			m.End = m.Start.Add(time.Duration(minutes) * time.Minute)
		}
	}
	m.Hosts = w.hosts()
	return m, true
}

// hosts are the users who may start and end the meeting: IDs and addresses.
func (w wireMeeting) hosts() []string {
	var all []string
	for _, h := range append([]string{string(w.HostID), string(w.HostEmail)}, strings.FieldsFunc(w.Settings.AlternativeHosts, func(r rune) bool { return r == ';' || r == ',' })...) {
		if h = strings.TrimSpace(h); h != "" {
			all = append(all, h)
		}
	}
	return all
}

// instantOf reads a time of Zoom's, which is in GMT.
func instantOf(s lenient.Text) time.Time {
	t, err := time.Parse(time.RFC3339, string(s))
	if err != nil {
		return time.Time{}
	}
	return t
}

// checkPush returns the first field of p that cannot be sent.
func checkPush(p meeting.PushTarget) string {
	scheme, rest, _ := strings.Cut(p.URL, "://")
	switch {
	case !p.Enabled:
		return "enabled"
	case !strings.EqualFold(scheme, "rtmp") && !strings.EqualFold(scheme, "rtmps"), rest == "", !utf8.ValidString(p.URL), utf8.RuneCountInString(p.URL) > maxURL:
		return "url"
	case p.Key.IsZero() || !utf8.ValidString(p.Key.Reveal()) || utf8.RuneCountInString(p.Key.Reveal()) > maxKey:
		return "key"
	case p.Page != "" && lenient.Text(p.Page).Link() == "" || utf8.RuneCountInString(p.Page) > maxURL:
		return "page"
	}
	return ""
}
