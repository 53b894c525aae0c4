package discord

import (
	"fmt"
	"hash/fnv"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bwmarrin/discordgo"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
)

// message is the body of every call that posts or edits a message.
//
// Messages are made of components ("components v2"): their links are not unfurled, they
// need no permission to embed, and the number of a component can be chosen, by which a
// message is recognised as ours and as which.
//
// https://docs.discord.com/developers/components/using-message-components
type message struct {
	Components      []discordgo.MessageComponent      `json:"components"`
	Flags           discordgo.MessageFlags            `json:"flags"`
	AllowedMentions *discordgo.MessageAllowedMentions `json:"allowed_mentions"`
	Attachments     []attachment                      `json:"attachments,omitempty"`
	Nonce           string                            `json:"nonce,omitempty"`
	EnforceNonce    bool                              `json:"enforce_nonce,omitempty"`

	files []file
}

type attachment struct {
	ID       string `json:"id"` // which of the files, from 0
	Filename string `json:"filename"`
}

var colours = map[chat.Tone]int{
	chat.Neutral: 0x5865f2, chat.Good: 0x2ecc71, chat.Warning: 0xf1c40f, chat.Bad: 0xe74c3c,
}

// look is what a message shows besides its reply.
type look struct {
	Key  string // of the post; empty: the message is never looked for
	Note string
}

// firstMark is below the numbers by which messages are known, and above those that
// Discord gives to the components that have none.
const firstMark = 1 << 20

// mark is the number by which a message with this key is known.
func mark(key string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return firstMark + 1 + int(h.Sum32()&0x3fffffff)
}

const qrName = "qr.png"

// render is pure. It also says which parts had no room or no place.
func render(r chat.Reply, l look) (message, []string) {
	w := &writer{components: 1}
	w.compose(r, l)
	colour := colours[r.Tone]
	body := discordgo.Container{Components: w.parts, AccentColor: &colour}
	if l.Key != "" {
		body.ID = mark(l.Key)
	}
	m := message{
		Components: []discordgo.MessageComponent{body},
		Flags:      discordgo.MessageFlagsIsComponentsV2,
		// Nobody is notified but whom the reply names, whatever its text says.
		AllowedMentions: &discordgo.MessageAllowedMentions{Parse: []discordgo.AllowedMentionType{}, Users: notified(r.Mentions)},
		files:           w.files,
	}
	for i, f := range w.files {
		m.Attachments = append(m.Attachments, attachment{ID: strconv.Itoa(i), Filename: f.Name})
	}
	return m, w.lost
}

func notified(users []chat.User) []string {
	var ids []string
	for _, u := range users {
		if isID(u.ID) && !slices.Contains(ids, u.ID) && len(ids) < maxMentionedPeople {
			ids = append(ids, u.ID)
		}
	}
	return ids
}

// writer collects the parts of a message within Discord's limits.
type writer struct {
	parts      []discordgo.MessageComponent
	files      []file
	components int // with nested ones
	lost       []string
}

// maxField is how many characters of a field's value are shown: the other fields need room too.
const maxField = 1000

// compose puts the reply's parts in order. What must not be cut (secrets, links, people)
// takes its room first, then fields, then what is to be copied, then the text.
func (w *writer) compose(r chat.Reply, l look) {
	room := maxText - 100 // line breaks, fences
	take := func(s string) string { room -= kit.Len(s) + 1; return s }
	fit := func(what, s string, limit int) string {
		s, shortened := kit.Cut(s, max(0, min(limit, room)))
		if shortened {
			w.lost = append(w.lost, what)
		}
		return take(s)
	}

	var fixed, people []string
	var long []file
	// What must not be cut and is longer than a message becomes a file.
	whole := func(name, value, raw string) {
		if line := named(name, value); kit.Len(line) < room/2 {
			fixed = append(fixed, take(line))
		} else {
			long = append(long, file{Name: fmt.Sprintf("link-%d.txt", len(long)+1), Type: "text/plain; charset=utf-8", Data: []byte(name + "\n" + raw + "\n")})
		}
	}
	var links []discordgo.MessageComponent
	for _, s := range r.Secrets {
		value := code(s.Value.Reveal())
		if s.Link {
			value = s.Value.Reveal()
		}
		whole(s.Name, value, s.Value.Reveal())
	}
	for _, k := range r.Links {
		if !isButtonURL(k.URL) {
			whole(k.Label, k.URL, k.URL)
			continue
		}
		label, _ := kit.Cut(k.Label, maxButtonLabel)
		links = append(links, discordgo.Button{Label: label, Style: discordgo.LinkButton, URL: k.URL})
	}
	for _, u := range r.Mentions {
		switch m := mention(u); {
		case slices.Contains(people, m):
		case kit.Len(m) >= room/2:
			w.lost = append(w.lost, "mention")
		default:
			people = append(people, take(m))
		}
	}
	var small []string
	for _, note := range []string{r.Note, l.Note} {
		if note != "" {
			small = append(small, "-# "+fit("note", escape(oneLine(note)), 500))
		}
	}
	var body []string
	if r.Title != "" {
		body = append(body, "### "+fit("title", escape(oneLine(r.Title)), 300))
	}
	var fields []string
	for _, f := range r.Fields {
		value, shortened := kit.Cut(escape(f.Value), maxField)
		if shortened {
			value = strings.TrimRight(value, "\\")
			w.lost = append(w.lost, "field")
		}
		line := named(f.Name, value)
		switch {
		case f.Heading:
			line = "### " + escape(oneLine(f.Name))
		case f.User != nil:
			line = named(f.Name, mention(*f.User))
		}
		if kit.Len(line) >= room {
			w.lost = append(w.lost, "field")
			continue // one that follows may be shorter
		}
		fields = append(fields, take(line))
	}
	copied := ""
	if r.Copy != "" {
		copied = fence(fit("copy", r.Copy, maxText))
	}
	if r.Text != "" {
		body = append(body, strings.TrimRight(fit("text", escape(r.Text), maxText), "\\"))
	}

	w.text(strings.Join(body, "\n"))
	w.text(strings.Join(append(fields, fixed...), "\n"))
	for _, f := range long {
		w.files = append(w.files, f)
		w.parts = append(w.parts, discordgo.FileComponent{File: discordgo.UnfurledMediaItem{URL: "attachment://" + f.Name}})
		w.components++
	}
	w.text(strings.Join(people, " "))
	w.text(copied)
	if r.QR != "" {
		w.qr(r.QR, r.QRCaption)
	}
	w.buttons(append(links, w.actions(r.Buttons)...))
	w.text(strings.Join(small, "\n"))
	if len(w.parts) == 0 { // Discord refuses an empty message
		w.text("…")
	}
}

func (w *writer) text(s string) {
	if strings.TrimSpace(s) != "" {
		w.parts = append(w.parts, discordgo.TextDisplay{Content: s})
		w.components++
	}
}

func (w *writer) qr(text, caption string) {
	png, err := kit.QR(text)
	if err != nil { // longer than a QR code can be
		w.lost = append(w.lost, "qr")
		return
	}
	item := discordgo.MediaGalleryItem{Media: discordgo.UnfurledMediaItem{URL: "attachment://" + qrName}}
	if caption, _ = kit.Cut(caption, 1024); caption != "" {
		item.Description = &caption
	}
	w.files = append(w.files, file{Name: qrName, Type: "image/png", Data: png})
	w.parts = append(w.parts, discordgo.MediaGallery{Items: []discordgo.MediaGalleryItem{item}})
	w.components++
}

// actions returns the buttons that ask something of the bot. What they carry is IDs.
func (w *writer) actions(buttons []chat.Button) []discordgo.MessageComponent {
	var all []discordgo.MessageComponent
	var seen []string
	for i, b := range buttons {
		id := b.Action.String()
		if len(id) > maxCustomID || slices.Contains(seen, id) { // Discord refuses the whole message
			w.lost = append(w.lost, "button "+b.Action.Name)
			continue
		}
		seen = append(seen, id)
		style := discordgo.SecondaryButton
		switch {
		case b.Danger:
			style = discordgo.DangerButton
		case i == 0:
			style = discordgo.PrimaryButton
		}
		label, _ := kit.Cut(b.Label, maxButtonLabel)
		all = append(all, discordgo.Button{Label: label, Style: style, CustomID: id})
	}
	return all
}

func (w *writer) buttons(all []discordgo.MessageComponent) {
	for row := range slices.Chunk(all, maxRowButtons) {
		if w.components+1+len(row)+1 > maxComponents { // one is kept for the small print
			w.lost = append(w.lost, "buttons")
			return
		}
		w.parts = append(w.parts, discordgo.ActionsRow{Components: row})
		w.components += 1 + len(row)
	}
}

func isButtonURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= maxButtonURL && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

func mention(u chat.User) string {
	if isID(u.ID) {
		return "<@" + u.ID + ">"
	}
	return escape(u.Name)
}

func named(name, value string) string {
	name = escape(oneLine(name))
	if colon := kit.Colon(name); colon != ": " {
		return "**" + name + "**" + colon + value
	}
	return "**" + name + ":** " + value
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// code shows s as it is, whatever is in it.
func code(s string) string {
	s = oneLine(s)
	if strings.Contains(s, "`") {
		return "`` " + s + " ``"
	}
	return "`" + s + "`"
}

// fence shows s as it is, in a block to be copied. The block ends at three backticks, so
// that none stays in it.
func fence(s string) string {
	return "```\n" + strings.ReplaceAll(s, "```", "`\u200b`\u200b`") + "\n```"
}

var (
	// plainURL is as much of a URL as Discord makes a link of, without what could end it
	// early or begin some markup.
	plainURL  = regexp.MustCompile(`https?://[A-Za-z0-9\-._~:/?#@!$&+,;=%]+`)
	lineStart = regexp.MustCompile(`(?m)^(\s*)([#>+\-]|\d+\.)`)
	markup    = strings.NewReplacer(
		`\`, `\\`, "*", `\*`, "_", `\_`, "~", `\~`, "|", `\|`, "`", "\\`",
		"<", `\<`, "[", `\[`, "]", `\]`, "(", `\(`, ")", `\)`,
	)
)

// escape makes text from outside show as it was typed. URLs stay links. Mentions do
// nothing whether escaped or not: see AllowedMentions in [render].
//
// https://docs.discord.com/developers/reference#message-formatting
func escape(s string) string {
	var b strings.Builder
	for s != "" {
		at := plainURL.FindStringIndex(s)
		if at == nil {
			at = []int{len(s), len(s)}
		}
		b.WriteString(lineStart.ReplaceAllStringFunc(markup.Replace(s[:at[0]]), escapeLineStart))
		b.WriteString(s[at[0]:at[1]])
		s = s[at[1]:]
	}
	return chat.WriteInstants(b.String(), instant)
}

// instant is a time that each reader sees in their own zone, with the day.
//
// https://docs.discord.com/developers/reference#message-formatting-timestamp-styles
func instant(at time.Time) string { return fmt.Sprintf("<t:%d:f>", at.Unix()) }

func escapeLineStart(s string) string {
	i := strings.IndexAny(s, "#>+-.")
	return s[:i] + `\` + s[i:]
}
