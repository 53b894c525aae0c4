package main

import (
	"regexp"
	"slices"
	"strings"

	"meetbot/bot/grammar"
	"meetbot/config"
)

// orchestrated are the variables that Docker links and Kubernetes services make.
var orchestrated = regexp.MustCompile(`_(?:SERVICE_(?:HOST|PORT.*)|PORT(?:_\d+_(?:TCP|UDP).*)?|ENV_.*|NAME)$`)

// misspelt returns what is set in the environment as if it were the bot's, and is none of
// its variables: a name that begins as theirs do, or nearly is one. Values are not looked at.
//
// Others that PROVIDERS_FILE names are known.
func misspelt(environ []string, others ...string) []config.Fault {
	var known []string
	// OTEL_ has more variables than the bot's, which its library reads.
	prefixes := append(config.Prefixes(), "NATS_", "LIVEPUSH_")
	secrets := map[string]bool{}
	for _, v := range config.Variables() {
		known = append(known, v.Name)
		if v.Secret {
			known = append(known, v.Name+"_FILE")
			secrets[v.Name] = true
		}
	}
	var all []config.Fault
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		upper := strings.ToUpper(name)
		if value == "" || slices.Contains(known, name) || slices.Contains(others, name) || strings.HasPrefix(upper, "OTEL_") {
			continue
		}
		plain, file := strings.CutSuffix(upper, "_FILE")
		ours := slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(upper, p) }) && !orchestrated.MatchString(upper)
		near := grammar.Nearest(upper, known)
		switch {
		case slices.Contains(known, upper):
			all = append(all, config.Fault{Variable: name, Fix: "write it " + upper})
		case file && slices.Contains(known, plain) && !secrets[plain]:
			all = append(all, config.Fault{Variable: name, Fix: "set " + plain + " itself: only a secret can be a file"})
		case near != "" && (ours || len(upper) >= 7):
			all = append(all, config.Fault{Variable: name, Fix: "did you mean " + near + "?"})
		case ours:
			all = append(all, config.Fault{Variable: name, Fix: "remove it, or correct its name: bot -h lists the variables"})
		}
	}
	return all
}
