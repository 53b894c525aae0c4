package slack

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/clipperhouse/uax29/v2/graphemes"
	slackapi "github.com/slack-go/slack"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
)

// message is what Slack is given to show.
type message struct {
	text   string // for notifications, and where blocks are not shown
	blocks []slackapi.Block
	cut    bool // something had to be left out
}

// look is what rendering depends on besides the reply.
type look struct {
	// card shows links as buttons; otherwise their text can be read and copied.
	card bool
	// files says that QR codes can be shown.
	files bool
	// notes are small print of the adapter's own.
	notes []string
}

// render turns a reply into blocks. It is a pure function: everything in the reply is
// text, whatever it looks like to Slack, and nothing in it mentions anybody but
// Reply.Mentions and Field.User. Secrets are in the blocks alone, never in the text that
// a locked screen shows.
func render(r chat.Reply, how look) message {
	c := canvas{}
	title := ""
	if r.Title != "" {
		title = symbol(r.Tone) + bold(r.Title)
	} else if r.Text != "" {
		r.Text = symbol(r.Tone) + r.Text
	}
	paragraphs, all := pieces(r.Text, maxSectionText, maxTextSections)
	if title != "" && len(paragraphs) == 1 && kit.Len(title)+1+kit.Len(paragraphs[0]) <= maxSectionText {
		title, paragraphs = title+"\n"+paragraphs[0], nil
	}
	c.section(title)
	for _, p := range paragraphs {
		c.section(p)
	}
	if !all {
		c.cut = true
		c.section("…")
	}
	c.section(mentions(r.Mentions))
	c.secrets(r.Secrets)
	if !how.card {
		c.links(r.Links)
	}
	c.fields(r.Fields)
	if r.Copy != "" {
		// Three of them would end the block.
		c.section("```\n" + fit(strings.ReplaceAll(r.Copy, "```", "'''"), maxSectionText-8) + "\n```")
	}
	c.actions(r, how)
	notes := how.notes
	if r.Note != "" {
		notes = append([]string{r.Note}, notes...)
	}
	for _, note := range notes {
		c.add(slackapi.NewContextBlock("", mrkdwn(fit(note, maxContextText))))
	}
	if len(c.blocks) > maxBlocks {
		c.blocks, c.cut = c.blocks[:maxBlocks], true
	}
	return message{text: fallback(r), blocks: c.blocks, cut: c.cut}
}

// textAlone turns a reply into text, for when Slack takes no blocks. Buttons are lost, and
// secrets are left out: a locked screen shows this text.
func textAlone(r chat.Reply, how look) message {
	lines := []string{symbol(r.Tone) + cmp.Or(r.Title, r.Text)}
	if r.Title != "" {
		lines = append(lines, r.Text)
	}
	for _, l := range r.Links {
		lines = append(lines, l.Label+kit.Colon(l.Label)+l.URL)
	}
	for _, f := range r.Fields {
		value := f.Value
		if f.User != nil {
			value = f.User.Name
		}
		lines = append(lines, f.Name+kit.Colon(f.Name)+value)
	}
	lines = append(append(lines, r.Copy, r.Note), how.notes...)
	lines = slices.DeleteFunc(lines, func(s string) bool { return strings.TrimSpace(s) == "" })
	text := fit(strings.Join(lines, "\n"), maxSectionText)
	return message{text: cmp.Or(mentions(r.Mentions)+text, "…"), cut: !fits(strings.Join(lines, "\n"), maxSectionText)}
}

func symbol(t chat.Tone) string {
	switch t {
	case chat.Good:
		return "✅ "
	case chat.Warning:
		return "⚠️ "
	case chat.Bad:
		return "❌ "
	}
	return ""
}

// fallback is what a notification shows.
func fallback(r chat.Reply) string {
	parts := []string{}
	if r.Title != "" {
		parts = append(parts, symbol(r.Tone)+r.Title)
	}
	if r.Text != "" {
		parts = append(parts, r.Text)
	}
	if len(parts) == 0 {
		for _, f := range r.Fields {
			if f.User == nil {
				parts = append(parts, f.Name+kit.Colon(f.Name)+f.Value)
			}
		}
		for _, l := range r.Links {
			parts = append(parts, l.Label)
		}
		for _, s := range r.Secrets {
			parts = append(parts, s.Name)
		}
		if r.QRCaption != "" {
			parts = append(parts, r.QRCaption)
		}
	}
	text := strings.TrimSpace(strings.Join(parts, "\n"))
	if text == "" {
		return "…" // Slack takes no message without text
	}
	return fit(text, maxFallback)
}

// canvas collects blocks.
type canvas struct {
	blocks []slackapi.Block
	cut    bool
}

func (c *canvas) add(b slackapi.Block) { c.blocks = append(c.blocks, b) }

// section adds marked-up text that is within its limit.
func (c *canvas) section(text string) {
	if text != "" {
		c.add(slackapi.NewSectionBlock(mrkdwn(text), nil, nil))
	}
}

func (c *canvas) fields(fields []chat.Field) {
	var texts []*slackapi.TextBlockObject
	flush := func() {
		for n := range slices.Chunk(texts, maxFields) {
			c.add(slackapi.NewSectionBlock(nil, n, nil))
		}
		texts = nil
	}
	for _, f := range fields {
		if f.Heading {
			flush()
			c.add(slackapi.NewDividerBlock())
			c.section(bold(fit(f.Name, maxFieldText)))
			continue
		}
		head := bold(f.Name) + "\n"
		var text string
		if f.User != nil {
			text = head + mention(*f.User)
		} else {
			text = head + fit(f.Value, max(maxFieldText-kit.Len(head), 1))
		}
		if kit.Len(text) > maxFieldText {
			text, c.cut = fit(f.Name+kit.Colon(f.Name)+f.Value, maxFieldText), true
		}
		texts = append(texts, mrkdwn(text))
	}
	flush()
}

func (c *canvas) secrets(secrets []chat.SecretField) {
	for _, s := range secrets {
		value := s.Value.Reveal()
		switch {
		case value == "":
		case s.Link:
			c.link(s.Name, value)
		case strings.ContainsAny(value, "`\n") || kit.Len(escape(value)) > maxSectionText/2:
			c.literal(s.Name, slackapi.NewRichTextSectionTextElement(value, nil))
		default:
			c.section(bold(fit(s.Name, maxButtonText)) + "\n`" + escape(value) + "`")
		}
	}
}

// links adds links that can be read, several to a section.
func (c *canvas) links(links []chat.Link) {
	var lines []string
	length := 0
	flush := func() {
		c.section(strings.Join(lines, "\n"))
		lines, length = nil, 0
	}
	for _, l := range links {
		target, ok := target(l.URL)
		line := bold(fit(l.Label, maxButtonText)) + "  <" + target + ">"
		if !ok || kit.Len(line) > maxSectionText {
			flush()
			c.link(l.Label, l.URL)
			continue
		}
		if length += kit.Len(line) + 1; length > maxSectionText {
			flush()
			length = kit.Len(line)
		}
		lines = append(lines, line)
	}
	flush()
}

// link adds one link. It is never cut: what is too long for a section goes into a rich
// text, and what is no web address stays text.
func (c *canvas) link(name, raw string) {
	to, ok := target(raw)
	switch line := bold(fit(name, maxButtonText)) + "\n<" + to + ">"; {
	case ok && kit.Len(line) <= maxSectionText:
		c.section(line)
	case ok:
		c.literal(name, &slackapi.RichTextSectionLinkElement{Type: slackapi.RTSELink, URL: raw})
	default:
		c.literal(name, slackapi.NewRichTextSectionTextElement(raw, nil))
	}
}

// literal adds something that Slack does not look for markup in.
func (c *canvas) literal(name string, e slackapi.RichTextSectionElement) {
	name, _ = kit.Cut(name, maxButtonText)
	c.add(slackapi.NewRichTextBlock("", slackapi.NewRichTextSection(
		slackapi.NewRichTextSectionTextElement(name+"\n", &slackapi.RichTextSectionTextStyle{Bold: true}), e)))
}

func (c *canvas) actions(r chat.Reply, how look) {
	var elements []slackapi.BlockElement
	add := func(b *slackapi.ButtonBlockElement) {
		// Every action_id of a message is another one; what the button asks is its value.
		b.ActionID = fmt.Sprintf("b%d", len(elements))
		elements = append(elements, b)
	}
	if how.card {
		for _, l := range r.Links {
			if _, ok := target(l.URL); !ok || kit.Len(l.URL) > maxButtonURL {
				c.link(l.Label, l.URL)
				continue
			}
			b := slackapi.NewButtonBlockElement("", "", label(l.Label, maxButtonText))
			b.URL = l.URL
			if len(elements) == 0 {
				b.Style = slackapi.StylePrimary
			}
			add(b)
		}
	}
	for _, button := range r.Buttons {
		value := button.Action.String()
		if button.Action.Name == string(grammar.VerbQR) && !how.files || len(value) > maxButtonValue {
			continue
		}
		b := slackapi.NewButtonBlockElement("", value, label(button.Label, maxButtonText))
		if button.Danger {
			b.Style = slackapi.StyleDanger
		}
		if q := button.Confirm; q != nil {
			b.Confirm = slackapi.NewConfirmationBlockObject(label(q.Title, maxConfirmTitle), label(q.Text, maxConfirmText),
				label(q.Yes, maxConfirmButton), label(q.No, maxConfirmButton))
			if button.Danger {
				b.Confirm.Style = slackapi.StyleDanger
			}
		}
		add(b)
	}
	for len(elements) > 0 {
		n := min(len(elements), maxElements)
		c.add(slackapi.NewActionBlock("", elements[:n]...))
		elements = elements[n:]
	}
}

// mrkdwn is marked-up text. Verbatim: Slack adds no links and mentions of its own.
func mrkdwn(text string) *slackapi.TextBlockObject {
	return &slackapi.TextBlockObject{Type: slackapi.MarkdownType, Text: text, Verbatim: true}
}

// https://docs.slack.dev/messaging/formatting-message-text#escaping
var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func escape(s string) string { return chat.WriteInstants(escaper.Replace(s), instant) }

// instant is a time that each reader sees in their own zone, with the day in a word where it
// has one; a client that cannot shows it in UTC.
//
// https://docs.slack.dev/messaging/formatting-message-text#date-formatting
func instant(at time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time}|%s>", at.Unix(), at.UTC().Format("2006-01-02 15:04 UTC"))
}

// fit escapes s and cuts it so that what Slack counts is within the limit.
func fit(s string, limit int) string {
	if fits(s, limit) {
		return escape(s)
	}
	return escape(s[:within(s, limit-1)]) + "…"
}

// fits reports whether s is within the limit once it is escaped. A UTF-16 unit has at
// most three bytes.
func fits(s string, limit int) bool { return len(s) <= 3*limit && kit.Len(escape(s)) <= limit }

// within returns how many bytes of s are whole characters, or instants, within the limit.
func within(s string, limit int) int {
	n, end := 0, 0
	for end < len(s) {
		size := chat.InstantLen(s[end:])
		if size == 0 {
			g := graphemes.FromString(s[end:])
			g.Next()
			size = g.End()
		}
		if n += kit.Len(escape(s[end : end+size])); n > limit {
			break
		}
		end += size
	}
	return end
}

// bold makes text stand out, unless it has characters that would end that.
func bold(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if s == "" || strings.ContainsAny(s, "*_~`") {
		return fit(s, maxSectionText/2)
	}
	return "*" + fit(s, maxSectionText/2) + "*"
}

var userID = regexp.MustCompile(`^[UW][A-Z0-9]{1,30}$`)

func mention(u chat.User) string {
	if userID.MatchString(u.ID) {
		return "<@" + u.ID + ">"
	}
	return fit(u.Name, maxFieldText/2)
}

func mentions(users []chat.User) string {
	var all []string
	for _, u := range users {
		if m := mention(u); m != "" && len(all) < 50 {
			all = append(all, m)
		}
	}
	s := strings.Join(all, " ")
	if kit.Len(s) > maxSectionText {
		return ""
	}
	return s
}

// target is a web address as it is written between angle brackets. It reports whether raw
// is one.
func target(raw string) (string, bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.ContainsAny(raw, " \t\r\n") {
		return "", false
	}
	return strings.NewReplacer("&", "&amp;", "<", "%3C", ">", "%3E", "|", "%7C").Replace(raw), true
}

// pieces escapes text and splits it into at most max parts within the limit, between
// paragraphs or lines where it can, never within a character. It reports whether that was
// all of it.
func pieces(text string, limit, max int) (parts []string, all bool) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		if len(parts) == max {
			return parts, false
		}
		if fits(text, limit) {
			return append(parts, escape(text)), true
		}
		end := within(text, limit)
		if end == 0 { // one character longer than a whole section is no text
			return parts, false
		}
		if i := strings.LastIndex(text[:end], "\n\n"); i > end/2 {
			end = i
		} else if i := strings.LastIndex(text[:end], "\n"); i > end/2 {
			end = i
		}
		parts = append(parts, escape(strings.TrimSpace(text[:end])))
		text = text[end:]
	}
	return parts, true
}
