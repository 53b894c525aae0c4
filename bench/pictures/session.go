package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"meetbot/bench/internal/rig"
	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/adapters/slack/slacktest"
)

// language is what the people of a session speak.
type language struct {
	locale       string // of the bot
	slack        string
	discord      string
	topic        string
	channel      string
	person       string
	only         string // over a message that Slack shows to one person
	onlyDiscord  string
	thread       string // Slack's word over the thread
	wrongCommand string
	titles       map[string]string
}

var languages = []language{
	{"en", "en-US", "en-US", "Friday show", "live-team", "Ada", "Only visible to you", "Only you can see this", "Thread", "/meet --liev Friday show", map[string]string{
		"terminal": "The bot in a terminal: a meeting is made, and a push address is set",
		"slack":    "Slack: the card of a meeting in a channel, its thread with the links, and the start link that only the requester sees",
		"discord":  "Discord: the card of a meeting in a channel, its thread with the links, and the private answer",
		"keypage":  "The key page on a phone: where the stream key of a destination is entered",
		"approval": "Slack: a push to a protected destination waits for a second person",
		"error":    "Slack: a mistyped option, and what to type instead",
		"board":    "Slack: the board of a channel, with a destination that is on and one on standby",
	}},
	{"zh-CN", "zh-CN", "zh-CN", "周五秀", "直播组", "小雅", "仅对您可见", "只有您才能看到此消息", "消息列", "/meet --liev 周五秀", map[string]string{
		"terminal": "终端：创建会议，并设置推流地址",
		"slack":    "Slack：频道里的会议卡片、消息列里的链接，以及仅发起人可见的主持人链接",
		"discord":  "Discord：频道里的会议卡片、子区里的链接，以及私密回复",
		"keypage":  "手机上的密钥页面：在这里输入推流密钥",
		"approval": "Slack：推流到受保护的目标，等待另一人审批",
		"error":    "Slack：选项写错时，提示应该输入什么",
		"board":    "Slack：频道的推流看板，一个目标已开启，一个待开启",
	}},
}

// seen is what one session showed.
type seen struct {
	terminal                                  string
	card, links, start, set, approval, failed slacktest.Message
	board                                     slacktest.Message
	dcard, dprivate                           discordtest.Message
	dthread                                   []discordtest.Message
	page                                      string // the key page, as HTML
}

const (
	channel  = "C0LIVE"
	ada      = "U0ADA"
	bo       = "U0BO"
	dchannel = "500000000000000001"
	dada     = "400000000000000001"

	within = 30 * time.Second

	publicURL = "https://bot.example.com"
)

// play runs the bot as it is shipped, among stand-ins for everything that it talks to, and
// does what people do before a show.
func play(ctx context.Context, binary, dir string, l language) (s seen, err error) {
	r, err := rig.New(rig.Options{})
	if err != nil {
		return s, err
	}
	defer r.Close()
	bot, err := r.NewBot(binary, dir, "LOCALE="+l.locale, "PUBLIC_URL="+publicURL)
	if err != nil {
		return s, err
	}
	defer bot.Close()
	if err := bot.Start(ctx); err != nil {
		return s, err
	}
	r.Slack.SetUser(slacktest.User{ID: ada, Name: l.person, Locale: l.slack})
	r.Slack.SetUser(slacktest.User{ID: bo, Name: "Bo", Locale: l.slack})

	w := workspace{ctx: ctx, rig: r, bot: bot}
	s.page = w.save("bili", "bilibili", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=live_1_2&key=canary-bili", " --preset bilibili")
	w.save("vip", "generic", "rtmp://push.example.com/live/", "canary-vip-stream", " --protected")
	w.slash("/meet " + l.topic + " --live --provider tencent")
	s.card = w.message("the card", func(m slacktest.Message) bool { return m.To == "" && m.Thread == "" && !m.Hook })
	inThread := func(m slacktest.Message) bool { return m.Thread == s.card.TS }
	s.links = w.message("the links", func(m slacktest.Message) bool { return inThread(m) && m.To == "" })
	s.start = w.message("the start link", func(m slacktest.Message) bool { return inThread(m) && m.To == ada })
	w.slash("/livepush to bili")
	s.card = w.message("the card with its destination", func(m slacktest.Message) bool {
		return m.TS == s.card.TS && strings.Contains(string(m.Blocks), "bili")
	})
	s.set = w.message("what became of the push", func(m slacktest.Message) bool {
		return m.To == ada && m.Thread == "" && strings.Contains(string(m.Blocks), "v1:copy:")
	})
	w.save("spare", "generic", "rtmp://spare.example.com/live/", "canary-spare-stream", "")
	w.slash("/livepush to spare --standby")
	w.message("the card with what is on standby", func(m slacktest.Message) bool {
		return m.TS == s.card.TS && strings.Contains(string(m.Blocks), "spare")
	})
	w.slash("/livepush board")
	s.board = w.message("the board", func(m slacktest.Message) bool {
		return m.To == "" && strings.Contains(string(m.Blocks), "v1:copyboard:")
	})
	w.slash("/livepush to vip")
	s.approval = w.message("the request for approval", func(m slacktest.Message) bool {
		return inThread(m) && m.To == "" && strings.Contains(string(m.Blocks), "approve")
	})
	w.slash(l.wrongCommand)
	s.failed = w.message("the error", func(m slacktest.Message) bool { return m.To == ada && strings.Contains(string(m.Blocks), "--liev") })
	if w.err != nil {
		return s, fmt.Errorf("slack: %w\n%s", w.err, bot.LogTail())
	}

	d := r.Discord
	here := discordtest.InGuild(dchannel)
	d.Until("the gateway", func() bool { return d.Connected() > 0 })
	d.Send(d.Command(dada, here, l.discord, "meet", discordtest.Option{Name: "topic", Value: l.topic},
		discordtest.Option{Name: "provider", Value: "tencent"}, discordtest.Option{Name: "live", Value: true}))
	d.Until("the card, its thread and the answer", func() bool {
		threads := d.Threads(dchannel)
		if len(d.In(dchannel)) == 0 || len(threads) == 0 || len(d.In(threads[0].ID)) == 0 {
			return false
		}
		private := d.For(dada)
		return len(private) > 0 && !private[len(private)-1].Loading()
	})
	s.dcard, s.dthread = d.In(dchannel)[0], d.In(d.Threads(dchannel)[0].ID)
	s.dprivate = d.For(dada)[len(d.For(dada))-1]
	return s, nil
}

// workspace is Ada in a Slack workspace. After an error it does nothing more.
type workspace struct {
	ctx context.Context
	rig *rig.Rig
	bot *rig.Bot
	err error

	entered []string // messages whose link was used
}

func (w *workspace) slash(line string) {
	if w.err != nil {
		return
	}
	command, text, _ := strings.Cut(line, " ")
	ack, err := w.rig.Slack.Deliver(w.ctx, w.bot.HTTP(), w.rig.Slack.Slash(channel, ada, command, text), 0)
	if err == nil && ack.Status != http.StatusOK {
		err = fmt.Errorf("%s: status %d", line, ack.Status)
	}
	w.err = err
}

// message waits for a message for which f holds, and returns the newest.
func (w *workspace) message(what string, f func(slacktest.Message) bool) (found slacktest.Message) {
	if w.err != nil {
		return found
	}
	ctx, cancel := context.WithTimeout(w.ctx, within)
	defer cancel()
	if err := w.rig.Slack.Wait(ctx, func() bool {
		ok := false
		for _, m := range w.rig.Slack.Messages() {
			if f(m) {
				found, ok = m, true
			}
		}
		return ok
	}); err != nil {
		var all strings.Builder
		for _, m := range w.rig.Slack.Messages() {
			fmt.Fprintf(&all, "to=%q thread=%q %s\n", m.To, m.Thread, m.Blocks)
		}
		w.err = fmt.Errorf("%s does not come: %w\n%s", what, err, all.String())
	}
	return found
}

var (
	keyLink   = regexp.MustCompile(regexp.QuoteMeta(publicURL) + `(/k/[\w-]+)`)
	formToken = regexp.MustCompile(`name="form" value="([^"]+)"`)
)

// save saves a destination as people do, on the key page, and returns the page as it was
// served.
func (w *workspace) save(name, preset, address, key, options string) (html string) {
	w.slash("/livepush save " + name + options)
	m := w.message("the link to the key page", func(m slacktest.Message) bool {
		return m.To == ada && keyLink.MatchString(string(m.Blocks)) && !slices.Contains(w.entered, m.TS)
	})
	w.entered = append(w.entered, m.TS)
	if w.err != nil {
		return ""
	}
	page := w.bot.HTTP().Base + keyLink.FindStringSubmatch(string(m.Blocks))[1]
	if html, w.err = w.fetch(http.MethodGet, page, nil); w.err != nil {
		return ""
	}
	token := formToken.FindStringSubmatch(html)
	if token == nil {
		w.err = errors.New("the key page has no form")
		return ""
	}
	_, w.err = w.fetch(http.MethodPost, page, url.Values{
		"form": {token[1]}, "preset": {preset}, "name": {name}, "url": {address}, "key": {key},
	})
	return html
}

func (w *workspace) fetch(method, address string, form url.Values) (string, error) {
	req, err := http.NewRequestWithContext(w.ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := w.bot.HTTP().Client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s of the key page: status %d: %s", method, resp.StatusCode, body)
	}
	return string(body), err
}

// terminal is a session at the console: two commands, through a pipe.
func terminal(ctx context.Context, binary, dir string, l language) (string, error) {
	r, err := rig.New(rig.Options{})
	if err != nil {
		return "", err
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "console")
	cmd.Env = append(r.Providers(), "DATA_DIR="+filepath.Join(dir, "console"), "HOME="+dir, "TZ=UTC", "LOCALE="+l.locale)
	cmd.Stdin = strings.NewReader("/meet --provider tencent --live " + l.topic + "\n" +
		`/livepush --name bili --url rtmp://live-push.bilivideo.com/live-bvc/ --key "?streamname=live_1_2&key=canary-of-the-pictures"` + "\n")
	said, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("console: %w\n%s", err, said)
	}
	return string(said), nil
}
