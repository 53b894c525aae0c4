package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/policy"
	"meetbot/bot/settings"
	"meetbot/config"
)

// writeSettings answers an operator's question with what is set for each place.
func writeSettings(ctx context.Context, store *jobs.Store, w io.Writer) error {
	all, err := settings.New(store).All(ctx)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	for _, r := range all {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// placesSettings is what is set for each place. Where there is no store yet, that is nothing.
func placesSettings(ctx context.Context, p process) ([]settings.Record, error) {
	cfg, err := load(only(p.lookup, storeVariables...))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(cfg.DataDir, storeMark)); err != nil && cfg.NATS.URL == "" {
		return nil, nil
	}
	var b bytes.Buffer
	if err := ask(ctx, p, question{Op: "settings"}, &b); err != nil {
		return nil, fmt.Errorf("the settings of channels: %w", err)
	}
	var all []settings.Record
	for d := json.NewDecoder(&b); d.More(); {
		var r settings.Record
		if err := d.Decode(&r); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// settingLines say what is set for each place.
func settingLines(all []settings.Record) []policyLine {
	var lines []policyLine
	for _, r := range all {
		where := r.Place().Key()
		if r.Channel == "" {
			where += "*"
		}
		for _, name := range grammar.Settings() {
			if v := r.Values[name]; v != "" {
				lines = append(lines, policyLine{"set", where, name + " " + v, "set by " + r.By + " on " + r.At.UTC().Format("2006-01-02")})
			}
		}
	}
	return lines
}

// placeOf reads a place as the audit log writes it: "slack:T1:C1".
func placeOf(s string, all chat.Kinds) (chat.Place, error) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 || parts[2] == "" || !slices.ContainsFunc(all, func(k chat.Kind) bool { return string(k.Name) == parts[0] }) {
		return chat.Place{}, fmt.Errorf("--place %q: write it as PLATFORM:TEAM:CHANNEL, such as slack:T1:C1; the audit log and bot jobs ID name places so", s)
	}
	return chat.Place{Platform: chat.Platform(parts[0]), Team: parts[1], Channel: parts[2]}, nil
}

// here is what is set for a place, of all that is set.
func here(all []settings.Record, p chat.Place) settings.Here {
	var h settings.Here
	for _, r := range all {
		switch {
		case r.Platform != p.Platform || r.Team != p.Team:
		case r.Channel == p.Channel:
			h.Channel = r
		case r.Channel == "":
			h.Team = r
		}
	}
	return h
}

// placeLines say what holds in a place, and for a person there.
func placeLines(cfg config.Config, all []settings.Record, place chat.Place, person string) []policyLine {
	h := here(all, place)
	where := place.Key()
	var lines []policyLine
	for _, name := range grammar.Settings() {
		switch value, from := h.Get(name); {
		case from == settings.Channel:
			lines = append(lines, policyLine{"here", where, name + " " + value, "this channel"})
		case from == settings.Team:
			lines = append(lines, policyLine{"here", where, name + " " + value, "all channels"})
		case name == "provider" && cfg.MeetProvider != "":
			lines = append(lines, policyLine{"here", where, name + " " + cfg.MeetProvider, "MEET_PROVIDER"})
		}
	}
	if person == "" {
		return lines
	}
	person = strings.TrimPrefix(person, string(place.Platform)+":")
	pol := policyFrom(cfg)
	pol.Platforms = kinds(cfg)
	u := chat.User{ID: person}
	for _, of := range []struct {
		what, variable string
		right          chat.Rights
	}{{"/meet", "MEET_ALLOW", chat.RightMeet}, {"/livepush", "LIVEPUSH_ALLOW", chat.RightPush}, {"/meet settings", "SETTINGS_ALLOW", chat.RightSettings}} {
		can, why := "yes", of.variable
		verdict := pol.Judge(place, u, of.right)
		switch admin := pol.Admin(place, u); {
		case admin == policy.Yes && pol.Platforms.Of(place.Platform).Local:
			why = "whoever uses it has the credentials anyway"
		case admin == policy.Yes:
			why = "ADMINS"
		case verdict == policy.No && admin == policy.LookUp:
			can, why = "depends", "only if a group or role in ADMINS has them"
		case verdict == policy.No:
			can, why = "no", of.variable+" and ADMINS do not name them here"
		default:
			switch {
			case verdict == policy.LookUp && pol.Unlisted(of.right):
				can, why = "depends", "the platform decides: "+pol.Platforms.Of(place.Platform).Members[of.right]
			case verdict == policy.LookUp:
				can, why = "depends", "a group or role in "+of.variable+" may have them"
			}
			if of.right == chat.RightSettings {
				break
			}
			for _, l := range h.Lists() {
				switch l.Judge(place, u) {
				case policy.No:
					can, why = "no", "the settings of the place do not let them"
				case policy.LookUp:
					if can != "no" {
						can, why = "depends", why+"; a group or role in the settings of the place may decide"
					}
				}
			}
		}
		lines = append(lines, policyLine{"person", where, person + ": " + of.what + " " + can, why})
	}
	return lines
}
