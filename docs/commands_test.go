package docs_test

import (
	"fmt"
	"strings"
	"testing"

	"meetbot/bot/chat"
	"meetbot/bot/goldentest"
	"meetbot/bot/grammar"
	"meetbot/bot/livepush"
	"meetbot/bot/texts"
	"meetbot/meeting"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
	"meetbot/meeting/zoom"
)

func TestTheCommandsPageFollowsFromTheDeclarations(t *testing.T) {
	goldentest.Check(t, "commands.md", commandsPage())
}

// pageWords are what the page itself says, in each language.
var pageWords = map[string]map[string]string{
	"en": {
		"title":    "English",
		"type":     "In Slack and in the terminal",
		"typed":    "In Discord",
		"typedHow": "Options are typed fields there. `*` marks a required one.",
		"line":     "what you type", "what": "what it does", "option": "option", "meaning": "meaning", "also": "also",
		"examples": "Examples",
		"only":     " (%s only)",
		"presets":  "Streaming services", "address": "address looks like", "where": "where the key is", "fresh": "new key for each session", "yes": "yes",
	},
	"zh-CN": {
		"title":    "简体中文",
		"type":     "在 Slack 和终端中",
		"typed":    "在 Discord 中",
		"typedHow": "选项在 Discord 中是单独的输入框，带 `*` 的必填。",
		"line":     "输入", "what": "作用", "option": "选项", "meaning": "含义", "also": "也可写作",
		"examples": "示例",
		"only":     "（仅 %s）",
		"presets":  "直播平台", "address": "推流地址形如", "where": "密钥在哪里", "fresh": "每场直播一个新密钥", "yes": "是",
	},
}

// commandsPage renders everything that people can ask, from the declarations alone.
func commandsPage() string {
	var b strings.Builder
	b.WriteString("<!-- Generated: go test ./docs -update -->\n\n# Commands\n")
	b.WriteString("\n[English](#english) · [简体中文](#简体中文)\n")
	kinds := meeting.Kinds{systec.Kind, tencent.Kind, zoom.Kind}
	p := grammar.New(grammar.Config{Kinds: kinds, Providers: []meeting.Provider{"systec", "tencent", "zoom"}, Default: "systec", Accounts: []meeting.Provider{"zoom@sales"}})
	account, _ := kinds.Kind("zoom@sales") // with one there is an option to choose it
	for _, locale := range texts.Locales {
		t, words := grammar.Text(chat.Kind{}, locale), pageWords[locale]
		fmt.Fprintf(&b, "\n## %s\n\n### %s\n", words["title"], words["type"])
		for _, command := range []string{"meet", "livepush"} {
			typedSection(&b, p.Help(t, command), command, words)
		}
		presetSection(&b, words, t)
		fmt.Fprintf(&b, "\n### %s\n\n%s\n", words["typed"], words["typedHow"])
		for _, c := range grammar.TypedDeclarations(append(kinds, account)...) {
			optionsSection(&b, c, words, t)
		}
	}
	return b.String()
}

// typedSection is a command as people type it: its help, as a page.
func typedSection(b *strings.Builder, help chat.Reply, command string, words map[string]string) {
	fmt.Fprintf(b, "\n#### /%s\n\n%s\n", command, help.Text)
	aliases := map[string][]string{}
	for _, v := range grammar.Declarations(systec.Kind, tencent.Kind, zoom.Kind, meeting.Kind{ID: "zoom@sales"}) {
		for _, o := range v.Options {
			aliases["--"+o.Name] = o.Aliases
		}
	}
	fmt.Fprintf(b, "\n| %s | %s |\n| --- | --- |\n", words["line"], words["what"])
	for _, f := range help.Fields {
		name, _, _ := strings.Cut(f.Name, " ")
		switch {
		case f.Heading:
			fmt.Fprintf(b, "\n%s:\n\n| %s | %s | %s |\n| --- | --- | --- |\n", f.Name, words["option"], words["meaning"], words["also"])
		case strings.HasPrefix(name, "--"):
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", cell(f.Name), cell(f.Value), cell(strings.Join(aliases[name], ", ")))
		default:
			fmt.Fprintf(b, "| `%s` | %s |\n", cell(f.Name), cell(f.Value))
		}
	}
	fmt.Fprintf(b, "\n%s:\n\n```text\n%s\n```\n", words["examples"], strings.TrimRight(help.Copy, "\n"))
	verbAliases(b, command, words)
}

// verbAliases lists the other words for a command's verbs.
func verbAliases(b *strings.Builder, command string, words map[string]string) {
	var lines []string
	for _, v := range grammar.Declarations(systec.Kind, tencent.Kind, zoom.Kind, meeting.Kind{ID: "zoom@sales"}) {
		if v.Command == command && v.Name != "" && len(v.Aliases) > 0 {
			lines = append(lines, fmt.Sprintf("`%s`: %s", v.Name, strings.Join(v.Aliases, ", ")))
		}
	}
	fmt.Fprintf(b, "\n%s: %s\n", words["also"], strings.Join(lines, " · "))
}

// presetSection lists the streaming services that the bot knows.
func presetSection(b *strings.Builder, words map[string]string, t texts.Text) {
	fmt.Fprintf(b, "\n#### %s\n\n| --preset | %s | %s | %s |\n| --- | --- | --- | --- |\n", words["presets"], words["address"], words["where"], words["fresh"])
	for _, p := range livepush.Presets() {
		fresh := ""
		if p.FreshKey {
			fresh = words["yes"]
		}
		fmt.Fprintf(b, "| `%s` %s | `%s` | %s | %s |\n", p.ID, p.Name(t), cell(p.Example), cell(p.Where(t)), fresh)
	}
}

// optionsSection is a command where options are typed, with its sub-commands.
func optionsSection(b *strings.Builder, c grammar.TypedDecl, words map[string]string, t texts.Text) {
	section := func(name string, d grammar.TypedDecl) {
		fmt.Fprintf(b, "\n#### /%s\n\n%s\n", name, d.Describe(t))
		if len(d.Options) == 0 {
			return
		}
		fmt.Fprintf(b, "\n| %s | %s |\n| --- | --- |\n", words["option"], words["meaning"])
		for _, o := range d.Options {
			mark, only := "", ""
			if o.Required {
				mark = "*"
			}
			if takers := o.Takers(); len(takers) < len(o.Providers) {
				var names []string
				for _, k := range takers {
					names = append(names, t.Either(k.Product.EN, k.Product.ZH))
				}
				only = fmt.Sprintf(words["only"], t.Join(names))
			}
			fmt.Fprintf(b, "| `%s`%s | %s%s |\n", o.NameIn(t), mark, cell(o.Describe(t)), only)
		}
	}
	if len(c.Subs) == 0 {
		section(c.NameIn(t, ""), c)
		return
	}
	for _, s := range c.Subs {
		section(c.NameIn(t, "")+" "+s.NameIn(t, c.Name), s)
	}
}

// cell makes a text fit for a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
}
