package keypage

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"slices"
	"strings"
	"time"

	"meetbot/bot/commands"
	"meetbot/bot/grammar"
	"meetbot/bot/livepush"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

var (
	//go:embed page.html
	pageSource string
	//go:embed page.css
	pageStyle string
)

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// contentSecurityPolicy lets the page have its own style, by hash, and send its own form.
var contentSecurityPolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
}()

// view is everything the template shows. All texts are in the reader's language.
type view struct {
	Lang   string
	Style  template.CSS
	Title  string
	Person string

	Form   *formView
	Done   *doneFields
	Notice string
	Bad    bool // the notice is a refusal, not merely a link that is over
}

type formView struct {
	Token          string
	Meeting        *labelled
	Preset         choiceField
	Name, URL, Key textField
	Override       *labelled // shown when nothing but warnings is in the way
	Faults         []fault
	FaultsTitle    string
	Where          string
	Hints          []hint
	UsualAddress   string
	What           string
	Points         []string
	Until          string
	Submit         string
	Back           *link
}

type labelled struct{ Label, Value string }

type link struct{ Label, URL string }

// fault is a line of the summary above the form. Field is the ID of the field.
type fault struct{ Field, Text string }

type textField struct {
	ID, Label, Hint, Value string
	Max                    int    // UTF-16 units, as HTML counts them; the bot counts characters
	Pattern                string // of the whole value; empty: any
	Fixed                  bool
	Faults                 []string
	Focus                  bool
}

type choiceField struct {
	ID, Label, Value string // Value: the chosen one's label
	Fixed            bool
	Choices          []choice
}

type choice struct {
	Value, Label string
	Selected     bool
}

// hint says where a preset's address and key are found.
type hint struct {
	Preset, Text, Fresh, Address string
	Selected                     bool
}

type doneFields struct {
	Text                         string
	AddressLabel, Address        string
	FingerprintLabel             string
	Fingerprint                  []string // in groups, to be read out
	Close                        string
	Back                         *link
	PlatformLabel, PlatformValue string
}

func newView(t texts.Text, title string) view {
	return view{Lang: t.Locale, Style: template.CSS(pageStyle), Title: title} //nolint:gosec // our own file
}

func noticeView(t texts.Text, n notice) view {
	v := newView(t, t.T("keypage."+n.id+".title"))
	v.Notice, v.Bad = t.T("keypage."+n.id), n.status != 404
	return v
}

// verbID tells the texts for storing a key from those for setting one.
func verbID(f commands.KeyForm) string {
	if f.Verb == grammar.VerbPushSave {
		return "save"
	}
	return "push"
}

// What a browser refuses before anything is sent, so that the key need not be typed again.
// The letters may be full-width: the bot reads them.
const (
	namePattern = `\s*[^\s,，、](?:[^,，、]*[^\s,，、])?\s*`
	urlPattern  = `\s*[Rr][Tt][Mm][Pp][Ss]?[:：][\/／]{2}\S+\s*`
	keyPattern  = `\s*\S+\s*`
)

// back is the way to the conversation in which the link was asked for; nil where the
// platform has none.
func back(t texts.Text, f commands.KeyForm) *link {
	if f.Back == "" {
		return nil
	}
	return &link{Label: t.T("keypage.back", "Chat", t.T("platform."+string(f.Place.Platform))), URL: f.Back}
}

func (p *page) formView(t texts.Text, token string, f commands.KeyForm, e commands.KeyEntry, findings []livepush.Finding) view {
	verb := verbID(f)
	from := t.T("platform." + string(f.Place.Platform))
	v := newView(t, t.T("keypage.title."+verb))
	if f.Name != "" { // several links may be open
		v = newView(t, t.T("keypage.title."+verb+".name", "Name", f.Name))
	}
	if f.Person != "" {
		v.Person = t.T("keypage.for", "Person", f.Person)
	}
	form := &formView{
		Token: formToken(token), Where: t.T("keypage.where"), UsualAddress: t.T("keypage.usual"),
		What: t.T("keypage.what"), Submit: t.T("keypage.submit." + verb),
		Until: t.T("keypage.until", "Minutes", max(1, int(f.Until.Sub(p.cfg.Now())/time.Minute))),
		Name:  textField{ID: "name", Label: t.T("keypage.name"), Hint: t.T("keypage.name.hint"), Value: e.Name, Fixed: f.Fixed || f.NameFixed, Max: 2 * meeting.MaxPushName, Pattern: namePattern},
		URL:   textField{ID: "url", Label: t.T("keypage.url"), Hint: t.T("keypage.url.hint"), Value: e.URL, Max: meeting.MaxPushURL + meeting.MaxPushKey, Pattern: urlPattern},
		Key:   textField{ID: "key", Label: t.T("keypage.key"), Hint: t.T("keypage.key.hint"), Max: meeting.MaxPushURL + meeting.MaxPushKey, Pattern: keyPattern}, // or a whole address
		Back:  back(t, f),
	}
	if form.Name.Fixed {
		form.Name.Value = f.Name
	}
	if f.Meeting != "" {
		form.Meeting = &labelled{t.T("keypage.meeting"), f.Meeting}
	}
	form.Preset, form.Hints = presets(t, f, e.Preset)

	provider := t.Either(f.Provider.EN, f.Provider.ZH)
	form.Points = []string{t.T("keypage.what.path."+verb, "Provider", provider), t.T("keypage.what.chat", "Chat", from)}
	if verb == "save" {
		form.Points = append(form.Points, t.T("keypage.what.revoke", "Chat", from))
	} else {
		form.Points = append(form.Points, t.T("keypage.what.air", "Provider", provider))
	}

	form.mark(t, findings)
	v.Form = form
	return v
}

func presets(t texts.Text, f commands.KeyForm, selected string) (choiceField, []hint) {
	field := choiceField{ID: "preset", Label: t.T("keypage.preset"), Fixed: f.Fixed}
	var hints []hint
	for _, p := range livepush.Presets() {
		is := p.ID == selected
		if f.Fixed && !is {
			continue
		}
		if is {
			field.Value = p.Name(t)
		}
		field.Choices = append(field.Choices, choice{p.ID, p.Name(t), is})
		h := hint{Preset: p.ID, Text: p.Where(t), Address: p.Ingest, Selected: is}
		if p.FreshKey {
			h.Fresh = t.T("keypage.fresh")
		}
		hints = append(hints, h)
	}
	return field, hints
}

// mark puts findings beside their fields and into the summary, and the focus where the
// first of them is.
func (f *formView) mark(t texts.Text, findings []livepush.Finding) {
	if len(findings) == 0 {
		return
	}
	f.FaultsTitle = t.T("keypage.faults.title")
	fields := []*textField{&f.Name, &f.URL, &f.Key}
	for _, field := range fields {
		for _, finding := range findings {
			if finding.Field == field.ID {
				text := finding.Text(t)
				field.Faults = append(field.Faults, text)
				f.Faults = append(f.Faults, fault{field.ID, text})
			}
		}
	}
	if i := slices.IndexFunc(fields, func(x *textField) bool { return len(x.Faults) > 0 && !x.Fixed }); i >= 0 {
		fields[i].Focus = true
	}
	f.Key.Hint = t.T("keypage.key.again")
	if !livepush.Limits(findings) {
		f.Override = &labelled{Label: t.T("keypage.override")}
	}
}

func doneView(t texts.Text, r commands.KeyResult) view {
	verb := verbID(r.Form)
	v := newView(t, t.T("keypage.done."+verb+".title", "Name", r.Name))
	if r.Form.Person != "" {
		v.Person = t.T("keypage.for", "Person", r.Form.Person)
	}
	done := &doneFields{
		Text:         t.T("keypage.done."+verb, "Chat", t.T("platform."+string(r.Form.Place.Platform))),
		AddressLabel: t.T("keypage.url"), Address: r.URL,
		PlatformLabel: t.T("keypage.preset"), PlatformValue: livepush.PresetByID(r.Preset).Name(t),
		FingerprintLabel: t.T("keypage.done.fingerprint"), Close: t.T("keypage.done.close"), Back: back(t, r.Form),
	}
	if r.Split {
		done.AddressLabel = t.T("keypage.done.split")
	}
	for s := r.Fingerprint; s != ""; {
		n := min(4, len(s))
		done.Fingerprint, s = append(done.Fingerprint, s[:n]), s[n:]
	}
	v.Done = done
	return v
}

// Read returns the fingerprint as one text, for those who cannot see its groups.
func (d doneFields) Read() string { return strings.Join(d.Fingerprint, " ") }
