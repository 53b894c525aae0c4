package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// palette is the colours of one platform, in light or dark.
type palette struct {
	ground, panel, ink, quiet, line, link, code, primary, danger, button, accent string
}

const (
	sans = `system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif`
	mono = `ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Noto Sans Mono CJK SC',monospace`
)

// run is text of one look.
type run struct {
	text                      string
	bold, code, quiet, linked bool
	colour                    string // unless it follows from the rest
}

// canvas is an SVG that grows downwards.
type canvas struct {
	palette
	b    strings.Builder
	y    float64
	said []string // all text, for people who do not see the picture
}

func (c *canvas) rect(x, y, w, h, radius float64, fill, stroke string) {
	if stroke != "" {
		stroke = fmt.Sprintf(` stroke="%s"`, stroke)
	}
	fmt.Fprintf(&c.b, "<rect x=\"%.4g\" y=\"%.4g\" width=\"%.4g\" height=\"%.4g\" rx=\"%.4g\" fill=\"%s\"%s/>\n", x, y, w, h, radius, fill, stroke)
}

// put draws one run at a baseline and returns where it ends. The text is made as long as
// it was reckoned to be, so that no font of the reader's moves anything.
func (c *canvas) put(x, y, size float64, r run) float64 {
	end := x + r.width(size)
	// A blank at either end would be dropped.
	blanks := r
	blanks.text = r.text[:len(r.text)-len(strings.TrimLeft(r.text, " "))]
	x += blanks.width(size)
	if r.text = strings.Trim(r.text, " "); r.text == "" {
		return end
	}
	w := r.width(size)
	fill, attrs := c.ink, ""
	switch {
	case r.colour != "":
		fill = r.colour
	case r.linked:
		fill = c.link
	case r.quiet:
		fill = c.quiet
	}
	if r.bold {
		attrs += ` font-weight="700"`
	}
	if r.code {
		attrs += fmt.Sprintf(` font-family="%s"`, mono)
		if c.code != "" {
			c.rect(x-2, y-size*0.95, w+4, size*1.3, 3, c.code, "")
		}
	}
	fmt.Fprintf(&c.b, "<text x=\"%.5g\" y=\"%.5g\" font-size=\"%.4g\" fill=\"%s\" textLength=\"%.5g\" lengthAdjust=\"spacingAndGlyphs\"%s>%s</text>\n",
		x, y, size, fill, w, attrs, escaped(r.text))
	return end
}

// paragraph draws runs between x and x+w, wrapped, and moves down.
func (c *canvas) paragraph(x, w, size float64, runs ...run) {
	for _, line := range wrap(runs, size, w) {
		c.y += size * 1.46
		at := x
		for _, r := range line {
			at = c.put(at, c.y-size*0.36, size, r)
		}
	}
	c.say(runs...)
}

func (c *canvas) say(runs ...run) {
	var b strings.Builder
	for _, r := range runs {
		b.WriteString(r.text)
	}
	if s := strings.Join(strings.Fields(b.String()), " "); s != "" {
		c.said = append(c.said, s)
	}
}

// document is the whole picture.
func (c *canvas) document(w float64, title string) string {
	ground := ""
	if c.ground != "" {
		ground = fmt.Sprintf("<rect x=\"0.5\" y=\"0.5\" width=\"%.4g\" height=\"%.4g\" rx=\"8\" fill=\"%s\" stroke=\"%s\"/>\n", w-1, c.y-1, c.ground, c.line)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%.4g" height="%.4g" viewBox="0 0 %.4g %.4g" role="img" aria-labelledby="t d" font-family="%s">
<title id="t">%s</title>
<desc id="d">%s</desc>
%s%s</svg>
`, w, c.y, w, c.y, sans, escaped(title), escaped(strings.Join(c.said, ". ")), ground, c.b.String())
}

var xmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func escaped(s string) string { return xmlText.Replace(s) }

// helvetica is how wide the characters from the blank to ~ are, in thousandths of the
// size: the metrics that Helvetica and Arial share.
var helvetica = [...]int{
	278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
	556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
	1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
	667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
	333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
	556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
}

// width reckons how wide the text is.
func (r run) width(size float64) float64 {
	w := 0
	for _, c := range r.text {
		switch {
		case c == '\ufe0f' || c == '\u200b':
		case wide(c):
			if r.code {
				w += 1200
			} else {
				w += 1000
			}
		case r.code:
			w += 600
		case c >= ' ' && int(c-' ') < len(helvetica):
			w += helvetica[c-' ']
		case c > 0x2190: // symbols
			w += 1200
		default:
			w += 556
		}
	}
	n := float64(w) * size / 1000
	if r.bold && !r.code {
		n *= 1.06
	}
	return n
}

func wide(c rune) bool {
	k := width.LookupRune(c).Kind()
	return k == width.EastAsianWide || k == width.EastAsianFullwidth
}

// wrap breaks runs into lines: at blanks, between Chinese characters, and inside of a word
// only if it is wider than a line.
func wrap(runs []run, size, limit float64) [][]run {
	var lines [][]run
	var line []run
	at := 0.0
	end := func() { lines, line, at = append(lines, line), nil, 0 }
	for _, r := range runs {
		for i, part := range strings.Split(r.text, "\n") {
			if i > 0 {
				end()
			}
			for _, word := range words(part) {
				piece := r
				piece.text = word
				w := piece.width(size)
				if at+piece.trimmed().width(size) > limit && at > 0 {
					end()
					if strings.TrimSpace(word) == "" {
						continue
					}
				}
				for w > limit { // an address
					n := len(word)
					for ; n > 0; _, n = trimLast(word, n) {
						piece.text = word[:n]
						if piece.width(size) <= limit {
							break
						}
					}
					line = append(line, piece)
					end()
					word = word[n:]
					piece.text = word
					w = piece.width(size)
				}
				if n := len(line); n > 0 && line[n-1].same(piece) {
					line[n-1].text += word
				} else {
					line = append(line, piece)
				}
				at += w
			}
		}
	}
	end()
	return lines
}

func trimLast(s string, n int) (rune, int) {
	r, size := utf8.DecodeLastRuneInString(s[:n])
	return r, n - size
}

func (r run) trimmed() run {
	r.text = strings.TrimRight(r.text, " ")
	return r
}

func (r run) same(other run) bool {
	other.text = r.text
	return r == other
}

// closing may not begin a line.
const closing = "，。；：？！、）”’》」,.;:?!)"

// words splits a text where a line may end; blanks stay with the word before.
func words(s string) []string {
	var all []string
	from := 0
	runes := []rune(s)
	for i := 1; i <= len(runes); i++ {
		if i == len(runes) || (runes[i-1] == ' ' && runes[i] != ' ') ||
			((wide(runes[i-1]) || wide(runes[i])) && !strings.ContainsRune(closing, runes[i]) && !strings.ContainsRune("（“‘《「(", runes[i-1])) {
			all = append(all, string(runes[from:i]))
			from = i
		}
	}
	return all
}
