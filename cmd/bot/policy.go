package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"meetbot/config"
)

// policyVariables are those that say who may do what.
var policyVariables = []string{
	"MEET_ALLOW", "LIVEPUSH_ALLOW", "ADMINS", "START_LINK", "MEET_PROVIDER",
	"TENCENT_APP_ID", "TENCENT_SDK_ID", "TENCENT_SECRET_ID", "TENCENT_SECRET_ID_FILE", "TENCENT_SECRET_KEY", "TENCENT_SECRET_KEY_FILE",
	"TENCENT_USER_ID", "TENCENT_USERS", "SYSTEC_API_KEY", "SYSTEC_API_KEY_FILE", "SYSTEC_API_SECRET", "SYSTEC_API_SECRET_FILE",
}

// policyLine is one answer to "who may, and why".
type policyLine struct {
	What  string `json:"what"`  // "meet", "livepush", "admin", "act_as", "start_link"
	Where string `json:"where"` // platform; empty: everywhere
	Who   string `json:"who"`
	Why   string `json:"why"`
}

// policyCommand is `bot policy`.
func policyCommand(_ context.Context, p process) error {
	f := flags(p, "policy")
	asJSON := f.Bool("json", false, "print JSON lines")
	if err := parse(f, p); err != nil {
		return err
	}
	cfg, err := config.Load(only(p.lookup, policyVariables...))
	if err != nil {
		return err
	}
	lines := policyOf(cfg)
	if *asJSON {
		enc := json.NewEncoder(p.stdout)
		for _, l := range lines {
			if err := enc.Encode(l); err != nil {
				return err
			}
		}
		return nil
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
	return write(p.stdout, b.String())
}

var policyTitles = map[string]string{
	"meet":       "May use /meet and end, share or list their own meetings",
	"livepush":   "May use /livepush on meetings that they asked for or host, and approve what others ask",
	"any_here":   "May set a push on every meeting of their channel, whoever asked for it",
	"admin":      "May do everything, for others too: end, push, read the log",
	"act_as":     "Whose Tencent Meeting account acts, and so whose meetings are within reach",
	"start_link": "Sees the start link, which lets its holder act as host",
}

const fullMembers = "full members; no guests, no bots, nobody of another organisation"

var policyPlaces = []string{"slack", "discord", "console"}

// policyOf says what the configuration amounts to, as the command layer decides.
func policyOf(cfg config.Config) []policyLine {
	var lines []policyLine
	add := func(what, where, who, why string) { lines = append(lines, policyLine{what, where, who, why}) }
	const holdsAnyway = "holds the credentials anyway"

	list := func(what, variable string, list config.Principals, defaults map[string]string) {
		for _, place := range policyPlaces {
			names, channels := named(list, place)
			switch {
			case place == "console":
				add(what, place, "whoever sits at it", holdsAnyway)
			case list == nil:
				add(what, place, defaults[place], variable+" is not set")
			case len(names)+len(channels) == 0:
				add(what, place, "nobody but admins", variable+" replaces the default, and names nobody here")
			default:
				add(what, place, strings.Join(append(names, channels...), ", "), variable)
			}
		}
	}
	list("meet", "MEET_ALLOW", cfg.MeetAllow, map[string]string{
		"slack":   fullMembers,
		"discord": "every member with Manage Events",
	})
	list("livepush", "LIVEPUSH_ALLOW", cfg.LivepushAllow, map[string]string{
		"slack":   fullMembers,
		"discord": "every member with Manage Server",
	})
	for _, place := range policyPlaces[:2] {
		names, _ := named(cfg.LivepushAllow, place)
		switch {
		case len(names) > 0:
			add("any_here", place, strings.Join(names, ", "), "LIVEPUSH_ALLOW names them, not only their channel")
		default:
			add("any_here", place, "nobody but admins", "LIVEPUSH_ALLOW names no person or group here")
		}
	}
	for _, place := range policyPlaces {
		names, channels := named(cfg.Admins, place)
		switch all := append(names, channels...); {
		case place == "console":
			add("admin", place, "whoever sits at it", holdsAnyway)
		case len(all) > 0:
			add("admin", place, strings.Join(all, ", "), "ADMINS")
		default:
			add("admin", place, "nobody", "ADMINS names nobody here")
		}
	}
	switch {
	case cfg.Tencent.On():
		for _, who := range slices.Sorted(maps.Keys(cfg.Tencent.Users)) {
			place, id, _ := strings.Cut(who, ":")
			add("act_as", place, id+" acts as "+cfg.Tencent.Users[who], "TENCENT_USERS: every meeting of that account, by the provider's own rules")
		}
		if cfg.Tencent.UserID != "" {
			add("act_as", "", "everybody else through "+cfg.Tencent.UserID,
				"TENCENT_USER_ID: only meetings that the bot made at their request, that they host, or as above; admins reach every meeting of the account")
		} else {
			add("act_as", "", "nobody else", "TENCENT_USER_ID is not set")
		}
	case cfg.Sandbox():
		add("act_as", "", "the sandbox", "nothing there is real")
	}
	if cfg.StartLink == "thread" {
		add("start_link", "", "everybody who can read the thread", "START_LINK=thread")
	} else {
		add("start_link", "", "who asked for the meeting, its hosts (--host), and admins", "START_LINK=requester")
	}
	return lines
}

// named returns the entries of a list for a platform, those for whole channels apart.
func named(list config.Principals, platform string) (people, channels []string) {
	for _, e := range list {
		if e.Platform != platform {
			continue
		}
		switch e.Kind {
		case "channel":
			channels = append(channels, "everybody in channel "+e.ID)
		case "group":
			people = append(people, "members of user group "+e.ID)
		case "role":
			people = append(people, "members with role "+e.ID)
		case "user":
			people = append(people, "person "+e.ID)
		default:
			people = append(people, "everybody")
		}
	}
	return people, channels
}
