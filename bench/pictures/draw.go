package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"os/user"
	"regexp"
	"strings"
)

// mode is light or dark.
type mode struct {
	name                     string
	slack, discord, terminal palette
	page                     string // the media query of the page's other colours becomes this
	frame, frameLine         string
}

var modes = []mode{
	{
		name:     "light",
		slack:    palette{ground: "#ffffff", panel: "#f8f8f8", ink: "#1d1c1d", quiet: "#616061", line: "#dddddd", link: "#1264a3", code: "#f2f2f2", primary: "#007a5a", danger: "#e01e5a", button: "#ffffff"},
		discord:  palette{ground: "#ffffff", panel: "#f2f3f5", ink: "#2e3338", quiet: "#5c5e66", line: "#e1e2e4", link: "#006ce7", code: "#e3e5e8", primary: "#5865f2", danger: "#da373c", button: "#4e5058"},
		terminal: palette{ground: "#ffffff", ink: "#24292f", quiet: "#57606a", line: "#d0d7de", link: "#0969da", primary: "#116329", danger: "#a40e26", accent: "#8250df"},
		page:     "not all", frame: "#d9dce3", frameLine: "#b9bdc7",
	},
	{
		name:     "dark",
		slack:    palette{ground: "#1a1d21", panel: "#222529", ink: "#d1d2d3", quiet: "#ababad", line: "#3b3d41", link: "#5aa9e6", code: "#2c2f33", primary: "#148567", danger: "#e8506f", button: "#1a1d21"},
		discord:  palette{ground: "#313338", panel: "#2b2d31", ink: "#dbdee1", quiet: "#a6a9b1", line: "#3f4147", link: "#5eb0ff", code: "#1e1f22", primary: "#5865f2", danger: "#da373c", button: "#4e5058"},
		terminal: palette{ground: "#0d1117", ink: "#e6edf3", quiet: "#9198a1", line: "#30363d", link: "#58a6ff", primary: "#3fb950", danger: "#f85149", accent: "#bc8cff"},
		page:     "all", frame: "#2b303c", frameLine: "#454b59",
	},
}

const textSize = 15

// message draws what was posted, between x and x+w: avatar, name, and its parts.
func (c *canvas) message(p posted, x, w float64, discord bool) {
	c.y += 12
	if p.note != "" && !discord {
		c.paragraph(x+44, w-44, 12, run{text: p.note, quiet: true})
	}
	top := c.y
	radius := 5.0
	if discord {
		radius = 18
	}
	c.rect(x, top, 36, 36, radius, "#3346c9", "")
	fmt.Fprintf(&c.b, `<g transform="translate(%.5g %.5g)" fill="none" stroke="#fff" stroke-width="1.75" stroke-linecap="round"><circle cx="12" cy="12" r="3"/><path d="M7.8 16.2a6 6 0 0 1 0-8.4M16.2 7.8a6 6 0 0 1 0 8.4M5 19a10 10 0 0 1 0-14M19 5a10 10 0 0 1 0 14"/></g>`+"\n", x+6, top+6)
	at := c.put(x+44, top+13, textSize, run{text: "meetbot", bold: true})
	badge, badgeInk := c.line, c.quiet
	if discord {
		badge, badgeInk = "#5865f2", "#ffffff"
	}
	c.rect(at+6, top+1, 30, 15, 3, badge, "")
	c.put(at+11, top+12.5, 10, run{text: "APP", bold: true, colour: badgeInk})
	c.put(at+44, top+13, 12, run{text: "20:15", quiet: true})
	c.y = top + 20
	x, w = x+44, w-44
	if discord {
		// The box lies below the text, and its height is known only afterwards.
		inner := &canvas{palette: c.palette, y: c.y + 10}
		inner.parts(p, x+18, w-34, true)
		inner.y += 12
		c.rect(x, c.y+2, w, inner.y-c.y-2, 8, c.panel, c.line)
		c.rect(x, c.y+2, 4, inner.y-c.y-2, 2, p.accent, "")
		c.b.WriteString(inner.b.String())
		c.y, c.said = inner.y, append(c.said, inner.said...)
		if p.note != "" {
			c.y += 4
			c.paragraph(x, w, 12, run{text: p.note, quiet: true})
		}
		return
	}
	c.parts(p, x, w, false)
	c.y = max(c.y, top+38)
}

func (c *canvas) parts(p posted, x, w float64, discord bool) {
	for _, part := range p.parts {
		size := part.size
		if size == 0 {
			size = textSize
		}
		switch {
		case part.rule:
			c.y += 8
			c.rect(x, c.y, w, 1, 0, c.line, "")
			c.y += 8
		case part.fixed:
			inner := &canvas{palette: c.palette, y: c.y + 10}
			inner.paragraph(x+10, w-20, size, part.runs...)
			c.rect(x, c.y+4, w, inner.y-c.y+2, 4, c.code, c.line)
			c.b.WriteString(inner.b.String())
			c.y, c.said = inner.y+10, append(c.said, inner.said...)
		case part.cells != nil:
			c.cells(part.cells, x, w)
		case part.buttons != nil:
			c.buttons(part.buttons, x, w, discord)
		default:
			if !discord {
				c.y += 3
			}
			c.paragraph(x, w, size, part.runs...)
		}
	}
}

// cells draws a table of two columns, row by row.
func (c *canvas) cells(cells [][]run, x, w float64) {
	c.y += 6
	for i := 0; i < len(cells); i += 2 {
		top, bottom := c.y, c.y
		for j, cell := range cells[i:min(i+2, len(cells))] {
			c.y = top
			c.paragraph(x+float64(j)*w/2, w/2-12, textSize, cell...)
			bottom = max(bottom, c.y)
		}
		c.y = bottom + 6
	}
}

func (c *canvas) buttons(all []button, x, w float64, discord bool) {
	const height = 32
	c.y += 8
	at := x
	for _, b := range all {
		label := run{text: b.label, bold: true}
		if discord && b.link {
			label.text += " ↗"
		}
		width := label.width(13) + 26
		if at > x && at+width > x+w {
			at = x
			c.y += height + 8
		}
		fill, stroke, ink := c.button, c.line, c.ink
		switch {
		case discord:
			stroke, ink = "", "#ffffff"
			if b.primary {
				fill = c.primary
			} else if b.danger {
				fill = c.danger
			}
		case b.primary:
			fill, stroke, ink = c.primary, "", "#ffffff"
		case b.danger:
			stroke, ink = c.danger, c.danger
		}
		c.rect(at, c.y, width, height, 5, fill, stroke)
		label.colour = ink
		c.put(at+13, c.y+20.5, 13, label)
		c.said = append(c.said, "["+b.label+"]")
		at += width + 8
	}
	c.y += height + 2
}

// slackPicture is messages in a place, and the thread beside it if there is one.
func slackPicture(m mode, l language, title, place string, root, thread []posted) string {
	c := &canvas{palette: m.slack}
	const left, gap = 560.0, 16.0
	w := left
	c.heading(18, place)
	start := c.y
	for _, p := range root {
		c.message(p, 18, left-36, false)
	}
	bottom := c.y
	if thread != nil {
		w = 2*left - 60
		c.y = 0
		c.heading(left+gap, l.thread)
		c.y = start
		for _, p := range thread {
			c.message(p, left+gap, w-left-2*gap, false)
		}
		bottom = max(bottom, c.y)
		c.rect(left, 0, 1, bottom+18, 0, c.line, "")
	}
	c.y = bottom + 18
	return c.document(w, title)
}

func (c *canvas) heading(x float64, text string) {
	c.put(x, 28, 16, run{text: text, bold: true})
	c.y = 44
}

// discordPicture is a channel with a message, and the thread below it.
func discordPicture(m mode, l language, title string, root []posted, name string, thread []posted) string {
	c := &canvas{palette: m.discord}
	const w = 640.0
	c.heading(18, "# "+l.channel)
	for _, p := range root {
		c.message(p, 18, w-36, true)
	}
	if thread != nil {
		c.y += 14
		from := c.y
		c.paragraph(62, w-80, 14, run{text: "└ " + name, bold: true})
		for _, p := range thread {
			c.message(p, 62, w-80, true)
		}
		c.rect(38, from-8, 2, c.y-from, 1, c.line, "")
	}
	c.y += 18
	return c.document(w, title)
}

var (
	stretches = regexp.MustCompile(` {2,}|[│┊╰] ?|[^ │┊╰]+(?: [^ ]+)*`)
	// changed is a card that follows the meeting, which it does when it has the time.
	changed = regexp.MustCompile(`(?m)^↻.*\n(?:.+\n)*\n?`)
)

// terminalPicture is what the console wrote.
func terminalPicture(m mode, title, text string) string {
	c := &canvas{palette: m.terminal, y: 16}
	const size, columns = 13.0, 80
	who := "root"
	if u, err := user.Current(); err == nil && u.Username != "" {
		who = u.Username
	}
	text = changed.ReplaceAllString(text, "")
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		line = strings.ReplaceAll(steady(line), "@"+who, "@ada")
		r := run{code: true}
		switch {
		case strings.HasPrefix(line, "›"):
			r.bold = true
		case strings.HasPrefix(line, "#console"), strings.HasPrefix(line, "╰─"), strings.HasPrefix(line, "◇"):
			r.colour = c.accent
		case strings.HasPrefix(line, "┊ ✔"):
			r.colour = c.primary
		case strings.HasPrefix(line, "┊ ✘"):
			r.colour = c.danger
		}
		c.y += size * 1.5
		// Each stretch stands in its column.
		x := 18.0
		for _, stretch := range stretches.FindAllString(line, -1) {
			r.text = stretch
			x = c.put(x, c.y-4, size, r)
		}
		c.say(run{text: line})
	}
	c.y += 18
	return c.document(36+columns*size*0.6, title)
}

// pagePicture is the key page as the bot serves it, on a telephone. It is the page itself,
// with its own style sheet, so it needs a viewer that shows HTML, as browsers do.
func pagePicture(m mode, title, person, html string) (string, error) {
	body, style, err := pageOf(html, person)
	if err != nil {
		return "", err
	}
	style = strings.ReplaceAll(style, "(prefers-color-scheme: dark)", m.page)
	c := &canvas{y: 0}
	const w, h, edge = 390.0, 1090.0, 14.0
	c.y = h + 2*edge
	c.rect(1, 1, w+2*edge-2, h+2*edge-2, 34, m.frame, m.frameLine)
	fmt.Fprintf(&c.b, `<switch><foreignObject x="%.4g" y="%.4g" width="%.4g" height="%.4g" requiredExtensions="http://www.w3.org/1999/xhtml"><body xmlns="http://www.w3.org/1999/xhtml" style="border-radius:22px;overflow:hidden;height:%.4gpx"><style>%s</style>%s</body></foreignObject><text x="40" y="60">%s</text></switch>`+"\n",
		edge, edge, w, h, h, escaped(style), body, escaped(title))
	c.said = []string{strings.Join(strings.Fields(tags.ReplaceAllString(body, " ")), " ")}
	return c.document(w+2*edge, title), nil
}

var (
	tags       = regexp.MustCompile(`<[^>]*>|&[a-z]+;`)
	styleSheet = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	mainPart   = regexp.MustCompile(`(?s)<main>.*</main>`)
	hidden     = regexp.MustCompile(`<input type="hidden"[^>]*>`)
	void       = regexp.MustCompile(`<(input|br|hr|meta)\b([^>]*?)/?>`)
	bare       = regexp.MustCompile(`\s(required|selected|checked|autofocus|data-[\w-]+)([\s/>])`)
	comments   = regexp.MustCompile(`(?s)/\*.*?\*/`)
)

// pageOf makes XML of the page's HTML, without what is another each time.
func pageOf(html, person string) (body, style string, err error) {
	sheet := styleSheet.FindStringSubmatch(html)
	body = mainPart.FindString(html)
	if sheet == nil || body == "" {
		return "", "", fmt.Errorf("the key page has no style or no main part")
	}
	body = steady(hidden.ReplaceAllString(body, ""))
	body = strings.ReplaceAll(body, "&nbsp;", " ")
	body = strings.ReplaceAll(body, "<svg ", `<svg xmlns="http://www.w3.org/2000/svg" `)
	body = strings.ReplaceAll(body, strings.ToLower(ada), person) // what the stand-in for Slack calls her
	body = void.ReplaceAllString(body, "<$1$2/>")
	for bare.MatchString(body) {
		body = bare.ReplaceAllString(body, ` $1="$1"$2`)
	}
	body = strings.ReplaceAll(body, ` autofocus="autofocus"`, "")
	d := xml.NewDecoder(strings.NewReader(body))
	for {
		if _, err := d.Token(); err == io.EOF {
			return body, comments.ReplaceAllString(sheet[1], ""), nil
		} else if err != nil {
			return "", "", fmt.Errorf("the key page is no XML: %w", err)
		}
	}
}
