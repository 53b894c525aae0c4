package sandbox

import (
	"bytes"
	"crypto/subtle"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// role is what a link lets its holder do.
type role string

const (
	roleGuest role = "join"
	roleHost  role = "start"
	roleWatch role = "watch"
)

// page is what the template shows.
type page struct {
	Role     role
	Message  string // instead of a meeting, or why an action failed
	Meeting  *Meeting
	Provider string
	State    string
	Start    string
	KeyAsked bool // host actions need the host key
	KeyKnown bool // and this browser has given it
	Hosting  bool // host actions are possible at all
	Pushes   []Push
}

var stateTexts = map[State]string{
	Waiting:   "Not started, nobody is in · 未开始，无人入会",
	Running:   "Running · 进行中",
	Cancelled: "Cancelled · 已取消",
	Ended:     "Ended · 已结束",
	Deleted:   "Deleted, nobody came · 无人入会，已删除",
}

const (
	textNoLink  = "This link is not one of a meeting here. · 链接无效。"
	textExpired = "This start link has expired. Ask for a new one. · 主持人链接已过期，请重新获取。"
	textOver    = "That is not possible in the meeting's present state. · 会议当前状态不支持此操作。"
	textKey     = "The host key is wrong. · 主持人密钥错误。"
	textNoKey   = "Enter the host key. · 请输入主持人密钥。"
	textPass    = "The passcode is wrong. · 会议密码错误。"
	textMethod  = "Only GET and POST. · 仅支持 GET 和 POST。"
	textForeign = "This form was sent from another site. · 来源不符。"
)

// servePage serves the links' pages. No slow reader holds the lock.
func (s *Server) servePage(w http.ResponseWriter, c call) {
	answer := newBuffer()
	s.mu.Lock()
	s.answerPage(answer, c)
	s.mu.Unlock()
	answer.send(w)
}

// answerPage shows on GET and acts on POST. It is called with s.mu held.
func (s *Server) answerPage(w http.ResponseWriter, c call) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")

	r := c.request
	s.sweep()
	rec, as, expired := s.link(r.URL)
	switch {
	case expired:
		writePage(w, http.StatusGone, page{Message: textExpired})
		return
	case rec == nil:
		writePage(w, http.StatusNotFound, page{Message: textNoLink})
		return
	case strings.HasPrefix(r.URL.Path, "/hls/"):
		playlist(w, rec)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		writePage(w, http.StatusOK, s.pageOf(rec, as, hasPass(r, rec)))
	case http.MethodPost:
		if http.NewCrossOriginProtection().Check(r) != nil {
			writePage(w, http.StatusForbidden, page{Message: textForeign})
			return
		}
		form, err := url.ParseQuery(string(c.body))
		if err != nil {
			form = url.Values{}
		}
		known := hasPass(r, rec)
		status, message := s.act(rec, as, form, known)
		if !known && rec.opens(form) {
			known = true
			givePass(w, rec)
		}
		if message != "" {
			p := s.pageOf(rec, as, known)
			p.Message = message
			writePage(w, status, p)
			return
		}
		http.Redirect(w, r, s.cfg.PublicURL+r.URL.RequestURI(), http.StatusSeeOther)
	default:
		h.Set("Allow", "GET, HEAD, POST")
		writePage(w, http.StatusMethodNotAllowed, page{Message: textMethod})
	}
}

// link finds the meeting that a link is of, and what its holder is there.
func (s *Server) link(u *url.URL) (r *record, as role, expired bool) {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	switch kind {
	case "j":
		if r := s.byID[rest]; r != nil && r.Provider == Systec && equal(u.Query().Get("pwd"), r.joinSlug) {
			return r, roleGuest, false
		}
	case "wc":
		number, _, _ := strings.Cut(rest, "/")
		if r := s.find(number); r != nil && r.Provider == Zoom && equal(u.Query().Get("pwd"), r.joinSlug) {
			return r, roleGuest, false
		}
	case "dm":
		if r := s.byLink[rest]; r != nil && r.Provider == Tencent && rest == r.joinSlug {
			return r, roleGuest, false
		}
	case "s":
		r := s.byID[rest]
		if valid, expired := s.startLink(rest, u.Query()); valid && r != nil {
			return r, roleHost, expired
		}
	case "l":
		if r := s.byLink[rest]; r != nil && r.LiveEnabled && rest == r.watchSlug {
			return r, roleWatch, false
		}
	case "rec":
		if r := s.byLink[rest]; r != nil && len(r.recorded) > 0 && rest == r.watchSlug {
			return r, roleWatch, false
		}
	case "hls":
		slug, file, _ := strings.Cut(rest, "/")
		if r := s.byLink[slug]; r != nil && r.LiveEnabled && slug == r.watchSlug && file == "live.m3u8" {
			return r, roleWatch, false
		}
	}
	return nil, "", false
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// opens reports whether the meeting's host key was given.
func (r *record) opens(form url.Values) bool {
	return !r.HostKey.IsZero() && equal(form.Get("host_key"), r.HostKey.Reveal())
}

// A browser that has given the host key gets a cookie until it is closed, with something
// random in it and never the key. Its path is left to the browser, which knows it where a
// proxy adds to it; its name says which meeting it is for.
func passCookie(r *record) string { return "host-" + r.ID }

func givePass(w http.ResponseWriter, r *record) {
	if r.hostPass == "" {
		r.hostPass = randomHex(16)
	}
	http.SetCookie(w, &http.Cookie{
		Name: passCookie(r), Value: r.hostPass, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: strings.HasPrefix(r.base, "https://"),
	})
}

func hasPass(req *http.Request, r *record) bool {
	c, err := req.Cookie(passCookie(r))
	return err == nil && r.hostPass != "" && equal(c.Value, r.hostPass)
}

// act does what a button asks; the message says why not. keyKnown says that this browser
// has given the host key before.
func (s *Server) act(r *record, as role, form url.Values, keyKnown bool) (status int, message string) {
	action := form.Get("action")
	if as == roleWatch {
		return http.StatusForbidden, textOver
	}
	if action == "enter" {
		if r.Passcode != "" && r.Provider != Zoom && !equal(form.Get("passcode"), r.Passcode) {
			return http.StatusForbidden, textPass
		}
		name := []rune(strings.TrimSpace(form.Get("name")))
		if len(name) == 0 {
			name = []rune("guest")
		}
		return outcome(s.join(r, string(name[:min(len(name), 64)])))
	}
	if as != roleHost && r.Provider == Zoom { // whose start link alone makes a host
		return http.StatusForbidden, textOver
	}
	if as != roleHost && !r.HostKey.IsZero() && !keyKnown && !r.opens(form) {
		if strings.TrimSpace(form.Get("host_key")) == "" {
			return http.StatusForbidden, textNoKey
		}
		return http.StatusForbidden, textKey
	}
	switch action {
	case "host":
		return outcome(s.join(r, r.host()))
	case "live":
		return outcome(s.setLive(r, true))
	case "unlive":
		return outcome(s.setLive(r, false))
	case "end":
		return outcome(s.end(r, endedByHost))
	}
	return http.StatusBadRequest, textOver
}

func outcome(err error) (int, string) {
	if err != nil {
		return http.StatusConflict, textOver
	}
	return http.StatusOK, ""
}

func (s *Server) pageOf(r *record, as role, keyKnown bool) page {
	m := r.snapshot()
	p := page{
		Role: as, Meeting: &m, State: stateTexts[r.State], Start: r.Start.In(beijing).Format(systecTime) + " (UTC+8)",
		Provider: "SYSTEC umeeting", KeyAsked: as == roleGuest && !r.HostKey.IsZero(), KeyKnown: keyKnown, Hosting: as != roleWatch,
	}
	switch r.Provider {
	case Tencent:
		p.Provider = "Tencent Meeting · 腾讯会议"
	case Zoom:
		p.Provider = "Zoom"
		p.Hosting = as == roleHost
		m.Passcode = "" // the link has it
	}
	if as != roleWatch {
		p.Pushes = m.Pushes
	}
	return p
}

func writePage(w http.ResponseWriter, status int, p page) {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		http.Error(w, "page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the browser has gone
}

// playlist answers play_addr: an empty HLS playlist while the meeting is live.
func playlist(w http.ResponseWriter, r *record) {
	if !r.Live {
		http.Error(w, "not live", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
	_, _ = w.Write([]byte("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n"))
}
