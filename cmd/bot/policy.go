package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"meetbot/bot/chat"
	"meetbot/config"
)

// policyVariables are those that say who may do what.
func policyVariables() []string {
	all := []string{"MEET_ALLOW", "LIVEPUSH_ALLOW", "SETTINGS_ALLOW", "ADMINS", "START_LINK", "RECORDINGS", "PARTICIPANTS", "MEET_PROVIDER", "PROVIDERS_FILE"}
	for _, v := range config.Variables() {
		for _, row := range providerRows() {
			if strings.HasPrefix(v.Name, strings.TrimSuffix(row.variables, "*")) {
				all = append(all, v.Name, v.Name+"_FILE")
			}
		}
	}
	return all
}

// policyLine is one answer to "who may, and why".
type policyLine struct {
	What  string `json:"what"`  // "meet", "livepush", "settings", "admin", "act_as", "start_link", "recordings", "participants", "set"; of a place "here", "person"
	Where string `json:"where"` // platform; empty: everywhere
	Who   string `json:"who"`
	Why   string `json:"why"`
}

// policyCommand is `bot policy`.
func policyCommand(ctx context.Context, p process) error {
	f := flags("policy")
	asJSON := f.Bool("json", false, "print JSON lines")
	at := f.String("place", "", "show what holds in one `PLACE`, such as slack:T1:C1")
	person := f.String("person", "", "with --place, show what one `PERSON` can do there, such as U1")
	if err := parse(f, p, "Shows who can do what, and why."); err != nil {
		return err
	}
	cfg, err := loadSome(p.lookup, func(name string) (string, bool) {
		if slices.Contains(policyVariables(), name) || !config.IsVariable(name) { // the file may name any other
			return p.lookup(name)
		}
		return "", false
	})
	if err != nil {
		return err
	}
	set, unread := placesSettings(ctx, p)
	lines := append(policyOf(cfg), settingLines(set)...)
	if *at != "" {
		place, err := placeOf(*at, kinds(cfg))
		if err != nil {
			return err
		}
		if unread != nil { // a deny may be among them
			return unread
		}
		lines = placeLines(cfg, set, place, *person)
	} else if *person != "" {
		return errors.New("--person: say where with --place, such as --place slack:T1:C1")
	}
	if *asJSON {
		enc := json.NewEncoder(p.stdout)
		for _, l := range lines {
			if err := enc.Encode(l); err != nil {
				return err
			}
		}
		return unread
	}
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	what := ""
	for _, l := range lines {
		if l.What != what {
			if what = l.What; b.Len() > 0 {
				fmt.Fprintln(tw)
			}
			fmt.Fprintln(tw, policyTitles[what])
		}
		fmt.Fprintf(tw, "  %s\t%s\t(%s)\n", l.Where, l.Who, l.Why)
	}
	_ = tw.Flush() // a strings.Builder takes everything
	return errors.Join(write(p.stdout, b.String()), unread)
}

var policyTitles = map[string]string{
	"meet":       "Can use /meet, and end, share and list their own meetings",
	"livepush":   "Can use /livepush on meetings that they asked for or host, and approve what others ask for",
	"settings":   "Can use /meet settings, which changes what a channel has set",
	"set":        "Has been set for a place (* is every channel); admins are not bound by allow and deny",
	"here":       "Holds in the place",
	"person":     "Can, there",
	"any_here":   "Can use /livepush on every meeting of their channel, whoever asked for it",
	"admin":      "Can do everything, at other people's meetings too: end, push, read the audit log",
	"act_as":     "Acts as which account of the provider, and so reaches which meetings",
	"start_link": "Sees the start link, which makes whoever opens it the host",
}

// policyOf says what the configuration amounts to, as the command layer decides.
func policyOf(cfg config.Config) []policyLine {
	var lines []policyLine
	add := func(what, where, who, why string) { lines = append(lines, policyLine{what, where, who, why}) }
	const holdsAnyway = "has the credentials anyway"
	all := kinds(cfg)

	list := func(what, variable string, list config.Principals, right chat.Rights) {
		for _, k := range all {
			place := string(k.Name)
			people, channels := named(list, k)
			switch {
			case k.Local:
				add(what, place, "whoever uses it", holdsAnyway)
			case list == nil && right == chat.RightSettings:
				add(what, place, "nobody but admins", variable+" is not set")
			case list == nil:
				add(what, place, k.Members[right], variable+" is not set")
			case len(people)+len(channels) == 0:
				add(what, place, "nobody but admins", variable+" replaces the default, and names nobody here")
			default:
				add(what, place, strings.Join(append(people, channels...), ", "), variable)
			}
		}
	}
	list("meet", "MEET_ALLOW", cfg.MeetAllow, chat.RightMeet)
	list("livepush", "LIVEPUSH_ALLOW", cfg.LivepushAllow, chat.RightPush)
	for _, k := range all {
		people, _ := named(cfg.LivepushAllow, k)
		switch {
		case k.Local:
		case len(people) > 0:
			add("any_here", string(k.Name), strings.Join(people, ", "), "LIVEPUSH_ALLOW names them, not only their channel")
		default:
			add("any_here", string(k.Name), "nobody but admins", "LIVEPUSH_ALLOW names no person or group here")
		}
	}
	list("settings", "SETTINGS_ALLOW", cfg.SettingsAllow, chat.RightSettings)
	for _, k := range all {
		people, channels := named(cfg.Admins, k)
		switch admins := append(people, channels...); {
		case k.Local:
			add("admin", string(k.Name), "whoever uses it", holdsAnyway)
		case len(admins) > 0:
			add("admin", string(k.Name), strings.Join(admins, ", "), "ADMINS")
		default:
			add("admin", string(k.Name), "nobody", "ADMINS names nobody here")
		}
	}
	if cfg.Sandbox() {
		add("act_as", "", "the sandbox", "nothing in it is real")
	}
	for _, row := range configuredRows(cfg) {
		if !row.kind.Can.Accounts {
			continue
		}
		own, persons := row.settings(cfg).Accounts()
		for _, who := range slices.Sorted(maps.Keys(persons)) {
			place, id, _ := strings.Cut(who, ":")
			add("act_as", place, id+" acts as "+persons[who], row.variable("USERS")+": reaches every meeting that the provider lets this account reach")
		}
		if own != "" {
			add("act_as", "", "everybody else through "+own,
				row.variable("USER_ID")+": reaches only meetings that the bot made for them, that they host, or as above; admins reach every meeting of the account")
		} else {
			add("act_as", "", "nobody else", row.variable("USER_ID")+" is not set")
		}
	}
	if cfg.StartLink == "thread" {
		add("start_link", "", "everybody who can read the thread", "START_LINK=thread")
	} else {
		add("start_link", "", "whoever asked for the meeting, its hosts (--host), and admins", "START_LINK=requester")
	}
	if cfg.Recordings == "thread" {
		add("recordings", "", "everybody who can read the thread", "RECORDINGS=thread")
	} else {
		add("recordings", "", "whoever asked for the meeting, and its hosts (--host)", "RECORDINGS=requester")
	}
	if cfg.Participants == "thread" {
		add("participants", "", "everybody who can read the thread", "PARTICIPANTS=thread")
	} else {
		add("participants", "", "nobody", "PARTICIPANTS=off")
	}
	return lines
}

// named returns the entries of a list for a platform, those for whole channels apart.
func named(list config.Principals, k chat.Kind) (people, channels []string) {
	for _, p := range list {
		if p.Platform != string(k.Name) {
			continue
		}
		for _, e := range k.Entries {
			switch who := strings.TrimSpace(e.People + " " + p.ID); {
			case string(e.Kind) != p.Kind:
			case e.Kind.Place() && e.Kind != chat.EveryEntry:
				channels = append(channels, who)
			default:
				people = append(people, who)
			}
		}
	}
	return people, channels
}
