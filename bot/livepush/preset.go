package livepush

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"meetbot/bot/plain"
	"meetbot/bot/texts"
	"meetbot/config/secret"
	"meetbot/meeting"
)

// Preset is what the bot knows of a service that receives live pushes.
type Preset struct {
	ID       string
	Aliases  []string // other words that people type for it
	Platform meeting.PushPlatform
	Ingest   string // the address that everybody uses; empty where each session has its own
	Example  string // what an address looks like
	// FreshKey says that the service gives a new key, and often a new address, for every
	// session: a stored one is of no use the next time.
	FreshKey bool

	hosts []string // with their sub-domains
	app   string   // what the path begins with, where the host is shared with others
	key   *regexp.Regexp
}

// GenericPreset is the ID of the preset for every service that has none of its own.
const GenericPreset = "generic"

// presets is the catalogue. Addresses and key shapes are those that the services'
// users configure in OBS Studio (plugins/rtmp-services) and elsewhere; they can change
// at any time, so a mismatch is a warning and never a refusal.
var presets = []Preset{
	{
		ID: "bilibili", Aliases: []string{"bili", "b站", "哔哩哔哩", "哔站"}, Platform: meeting.PushThirdParty,
		Ingest: "rtmp://live-push.bilivideo.com/live-bvc/", Example: "rtmp://live-push.bilivideo.com/live-bvc/",
		hosts: []string{"bilivideo.com"}, key: regexp.MustCompile(`^\?streamname=live_`),
	},
	{
		ID: "douyin", Aliases: []string{"抖音", "dy"}, Platform: meeting.PushThirdParty, FreshKey: true,
		Example: "rtmp://push-rtmp-l6.douyincdn.com/third",
		hosts:   []string{"douyincdn.com"}, key: regexp.MustCompile(`^stream-\d+`),
	},
	{
		ID: "kuaishou", Aliases: []string{"快手", "ks", "kwai"}, Platform: meeting.PushThirdParty,
		Ingest: "rtmp://open-push.voip.yximgs.com/gifshow/", Example: "rtmp://open-push.voip.yximgs.com/gifshow/",
		hosts: []string{"yximgs.com"},
	},
	{
		// The prefix that Tencent Meeting enforces for these is not published: its own
		// refusal is the last word.
		ID: "wechat", Aliases: []string{"视频号", "微信视频号", "微信", "wx", "channels", "wechatchannels"},
		Platform: meeting.PushWeChat, FreshKey: true,
		Example: "rtmp://111.livepush.myqcloud.com/trtc_1400000000/",
		hosts:   []string{"livepush.myqcloud.com"}, app: "trtc_",
	},
	{
		ID: "youtube", Aliases: []string{"yt", "油管"}, Platform: meeting.PushThirdParty,
		Ingest: "rtmp://a.rtmp.youtube.com/live2", Example: "rtmp://a.rtmp.youtube.com/live2",
		hosts: []string{"youtube.com"}, key: regexp.MustCompile(`^[[:alnum:]]{4}(-[[:alnum:]]{4}){3,4}$`),
	},
	{
		ID: "twitch", Aliases: []string{"ttv"}, Platform: meeting.PushThirdParty,
		Ingest: "rtmp://live.twitch.tv/app", Example: "rtmp://live.twitch.tv/app",
		hosts: []string{"twitch.tv", "live-video.net"}, key: regexp.MustCompile(`^live_\d+_`),
	},
	{
		ID: "facebook", Aliases: []string{"fb", "脸书"}, Platform: meeting.PushThirdParty, FreshKey: true,
		Ingest: "rtmps://live-api-s.facebook.com:443/rtmp/", Example: "rtmps://live-api-s.facebook.com:443/rtmp/",
		hosts: []string{"facebook.com"}, key: regexp.MustCompile(`^FB-|[?&]s_bl=`),
	},
	{
		ID: "tiktok", Aliases: []string{"tt"}, Platform: meeting.PushThirdParty,
		Example: "rtmp://push-rtmp-l1-va01.tiktokcdn.com/game",
		hosts:   []string{"tiktokcdn.com"}, key: regexp.MustCompile(`^stream-\d+`),
	},
	{
		ID: GenericPreset, Aliases: []string{"other", "rtmp", "其他", "其它", "通用"}, Platform: meeting.PushThirdParty,
		Example: "rtmp://live.example.com/app",
	},
}

// Presets returns the catalogue, the generic one last.
func Presets() []Preset { return slices.Clone(presets) }

// PresetByID returns the preset with that ID, and the generic one for an unknown ID.
func PresetByID(id string) Preset {
	for _, p := range presets {
		if p.ID == id {
			return p
		}
	}
	return presets[len(presets)-1]
}

// Find finds what a person calls a service: its ID, its name in either language,
// or an alias.
func Find(word string) (Preset, bool) {
	word = Fold(word)
	for _, p := range presets {
		if slices.ContainsFunc(p.words(), func(n string) bool { return Fold(n) == word }) {
			return p, true
		}
	}
	return PresetByID(GenericPreset), false
}

// Guess tells the service from what somebody calls a destination: "youtube", "B站 2"; the
// generic preset where it cannot.
func Guess(name string) Preset {
	if p, ok := Find(name); ok {
		return p
	}
	name = Fold(name)
	for _, p := range presets {
		for _, word := range p.words() {
			long := utf8.RuneCountInString(word) >= 4 || len(word) > utf8.RuneCountInString(word) && word != "微信"
			if long && p.ID != GenericPreset && strings.Contains(name, Fold(word)) {
				return p
			}
		}
	}
	return PresetByID(GenericPreset)
}

// words are the service's ID, its names and its aliases.
func (p Preset) words() []string {
	words := append([]string{p.ID}, p.Aliases...)
	for _, l := range texts.Locales {
		words = append(words, p.Name(texts.For(l)))
	}
	return words
}

// Detect tells the service from a push address; the generic preset where it cannot.
func Detect(address string) Preset {
	if u, err := url.Parse(address); err == nil {
		for _, p := range presets {
			if p.owns(u) {
				return p
			}
		}
	}
	return PresetByID(GenericPreset)
}

func (p Preset) owns(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	return strings.HasPrefix(strings.TrimLeft(u.Path, "/"), p.app) && slices.ContainsFunc(p.hosts, func(h string) bool {
		return host == h || strings.HasSuffix(host, "."+h)
	})
}

// Name is what the service is called.
func (p Preset) Name(t texts.Text) string { return t.T("preset." + p.ID) }

// Where says where its address and key are found.
func (p Preset) Where(t texts.Text) string { return t.T("preset." + p.ID + ".where") }

// Finding is one thing that is wrong, or looks wrong, with a push target.
type Finding struct {
	// Field is the form field it is about: "name", "url" or "key".
	Field string
	// Limit says that a document forbids it, or that it cannot work at all; anything else
	// is a warning, which a person may override.
	Limit   bool
	Message texts.Message
}

// Text is the sentence for people. Nothing secret is in it.
func (f Finding) Text(t texts.Text) string {
	args := slices.Clone(f.Message.Args)
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] == "Preset" || args[i] == "Detected" {
			args[i+1] = PresetByID(args[i+1]).Name(t)
		}
	}
	return (&texts.Message{ID: f.Message.ID, Args: args}).In(t)
}

// Limits reports whether one of fs cannot be overridden.
func Limits(fs []Finding) bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return f.Limit })
}

// NewLimit returns a finding that nothing overrides.
func NewLimit(field, id string, pairs ...string) Finding {
	return Finding{field, true, texts.Message{ID: "finding." + id, Args: pairs}}
}

func warning(field, id string, pairs ...string) Finding {
	return Finding{field, false, texts.Message{ID: "finding." + id, Args: pairs}}
}

// edge is where a key can begin: whatever people write before one, but no part of a longer word.
const edge = `(?:^|[^0-9A-Za-z_-])`

// unlikely are shapes of stream keys that no word has which people use: those of [Preset]
// that are warned of are wider. An address counts also where its scheme is mistyped.
var unlikely = []*regexp.Regexp{
	regexp.MustCompile(`(?i)(?:^|[^0-9A-Za-z])(rtmp[a-z]{0,2}|rtmfp|srt|rist|rtsp|whip)://`),
	regexp.MustCompile(`(?i)(?:^|[^0-9A-Za-z])rtmps?(?:[:;][/\\]|[/\\]{2})[/\\]?[^\s/\\]`),
	regexp.MustCompile(`(?i)` + edge + `live_\d+_\w`),
	regexp.MustCompile(`(?i)` + edge + `stream-\d{6,}`),
	regexp.MustCompile(`(?i)` + edge + `FB-\d{6,}-`),
	regexp.MustCompile(`(?i)` + edge + `sk_[a-z]{2}-[a-z]+-\d_\w`),
	regexp.MustCompile(`(?i)^\?\w+=`),
	regexp.MustCompile(`(?i)[?&](streamname|txsecret|auth_key|s_bl|wssecret|sign)=`),
}

// youtubeKey is also what four short words with dashes look like, but for the digits. Phones
// write its first letter large.
var youtubeKey = regexp.MustCompile(edge + `([A-Za-z0-9][a-z0-9]{3}(?:-[a-z0-9]{4}){3,4})(?:$|[^0-9A-Za-z_-])`)

// MayBeIngest reports whether a word is a push address, or has the shape of a stream key in it
// that some service gives.
func MayBeIngest(word string) bool {
	word = unescape(norm.NFKC.String(word)) // as whoever reads it can write it out
	// Each shape has one of these, or a dash and a digit; hardly a word that people type has.
	if !strings.ContainsAny(word, `:;/\_?=`) && (!strings.Contains(word, "-") || !strings.ContainsAny(word, "0123456789")) {
		return false
	}
	if slices.ContainsFunc(unlikely, func(r *regexp.Regexp) bool { return r.MatchString(word) }) {
		return true
	}
	return slices.ContainsFunc(youtubeKey.FindAllStringSubmatch(word, -1), func(m []string) bool {
		return strings.ContainsAny(m[1], "0123456789") && strings.ContainsAny(m[1], "abcdefghijklmnopqrstuvwxyz")
	})
}

// CheckPushName checks the name of a push target against the documented limits.
func CheckPushName(name string) []Finding {
	switch {
	case !strings.ContainsFunc(name, plain.Seen):
		return []Finding{NewLimit("name", "name.blank")}
	case strings.ContainsFunc(name, turns) || !utf8.ValidString(name):
		return []Finding{NewLimit("name", "name.control")}
	case utf8.RuneCountInString(name) > meeting.MaxPushName:
		return []Finding{NewLimit("name", "name.long", "Max", strconv.Itoa(meeting.MaxPushName), "Length", strconv.Itoa(utf8.RuneCountInString(name)))}
	}
	return nil
}

// lookalikes are the scripts that have letters which look like Latin ones.
var lookalikes = []*unicode.RangeTable{unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee, unicode.Coptic, unicode.Lisu, unicode.Deseret}

// MixesScripts reports whether a name has Latin letters and such that only look like them: one of
// the other scripts alone, or Chinese beside Latin, is how people write.
func MixesScripts(name string) bool {
	name = norm.NFKC.String(name)
	return strings.ContainsFunc(name, func(r rune) bool { return unicode.Is(unicode.Latin, r) }) &&
		strings.ContainsFunc(name, func(r rune) bool { return unicode.In(r, lookalikes...) })
}

// turns reports whether r moves the text around it.
func turns(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

// Check checks an address and its key, against what can work at all and against what is
// known of the service. A combined address is taken apart. now decides what has expired.
func (p Preset) Check(address string, key secret.String, now time.Time) (meeting.PushAddress, []Finding) {
	a, err := meeting.SplitPush(address, key)
	var fs []Finding
	var faults meeting.PushFaults
	if errors.As(err, &faults) {
		for _, f := range faults {
			field := "url"
			switch f {
			case meeting.PushFaultKeyMissing, meeting.PushFaultKeyCharacters, meeting.PushFaultKeyLong:
				field = "key"
			}
			fs = append(fs, NewLimit(field, "push."+string(f), "Preset", p.ID, "Example", p.Example))
		}
	}
	if u, err := url.Parse(a.URL); err == nil && u.Host != "" && len(p.hosts) > 0 && !p.owns(u) {
		if other := Detect(a.URL); other.ID != GenericPreset {
			fs = append(fs, warning("url", "preset.other", "Preset", p.ID, "Detected", other.ID))
		} else {
			fs = append(fs, warning("url", "preset.host", "Preset", p.ID, "Example", p.Example))
		}
	}
	if p.key != nil && !a.Key.IsZero() && !p.key.MatchString(a.Key.Reveal()) {
		fs = append(fs, warning("key", "preset.key", "Preset", p.ID))
	}
	if a.URL == "" {
		return a, fs
	}
	warnings := a.Warnings(now)
	if !slices.Contains(warnings, meeting.PushWarnKeyInAddress) && holdsKey(a.URL) {
		warnings = append(warnings, meeting.PushWarnKeyInAddress)
	}
	for _, w := range warnings {
		field := "key"
		if w == meeting.PushWarnNoApp || w == meeting.PushWarnKeyInAddress {
			field = "url"
		}
		fs = append(fs, warning(field, "push."+string(w), "Preset", p.ID, "Example", p.Example))
	}
	return a, fs
}

// holdsKey reports whether an address has something of a key's shape behind its server.
func holdsKey(address string) bool {
	_, rest, _ := strings.Cut(address, "://")
	_, path, _ := strings.Cut(rest, "/")
	return MayBeIngest(path)
}

// CheckTogether checks whether the targets in add can be set beside those that a meeting
// has: not more than its provider's rules allow, none twice, unless only the provider is to
// decide what is the same. What is set already is not counted again.
func CheckTogether(rules meeting.PushRules, has, add []meeting.PushTarget, twice bool) []Finding {
	var fs []Finding
	if rules.Replaces {
		return checkOne(has, add, twice)
	}
	count := map[meeting.PushPlatform]int{}
	seen := map[string]string{}
	for _, t := range has {
		count[t.Platform]++
		seen[t.URL] = t.Name
	}
	for i, t := range add {
		if name, is := seen[t.URL]; is && !twice {
			if slices.ContainsFunc(add[:i], func(a meeting.PushTarget) bool { return a.URL == t.URL }) {
				fs = append(fs, NewLimit("url", "twice", "Name", t.Name, "With", name))
			}
			continue
		}
		seen[t.URL] = t.Name
		count[t.Platform]++
	}
	if rules.WeChat > 0 && count[meeting.PushWeChat] > rules.WeChat {
		fs = append(fs, NewLimit("url", "wechat.one"))
	}
	if n := count[meeting.PushThirdParty]; rules.Others > 0 && n > rules.Others {
		fs = append(fs, NewLimit("url", "many", "Max", strconv.Itoa(rules.Others), "Count", strconv.Itoa(n)))
	}
	return fs
}

// checkOne is [CheckTogether] where a meeting has one address: another takes its place, if
// whoever sets it knows that.
func checkOne(has, add []meeting.PushTarget, replace bool) []Finding {
	switch {
	case len(add) > 1:
		return []Finding{NewLimit("url", "one", "Count", strconv.Itoa(len(add)))}
	case len(add) == 1 && len(has) > 0 && !replace && !meeting.SamePushAddress(has[0].URL, add[0].URL):
		return []Finding{warning("url", "replaces", "Name", has[0].Name, "Host", Host(has[0].URL))}
	}
	return nil
}

// Fold makes names equal that people take for the same: upper and lower case, full-width
// and half-width, blanks, and whatever nobody sees. It is empty for a name of which nothing
// is seen.
func Fold(s string) string {
	// Compatibility characters may fold to blanks and to what is invisible, so these go last.
	s = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s)))
	return strings.Join(strings.FieldsFunc(strings.Map(func(r rune) rune {
		if plain.Hidden(r) {
			return -1
		}
		return r
	}, s), plain.Blank), " ")
}
