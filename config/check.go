package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// checks are the shapes that a `check` tag names. Their errors say what to set instead, unless
// a `fix` tag does.
var checks = map[string]func(string) error{
	"addr": func(v string) error {
		_, port, err := net.SplitHostPort(v)
		if n, nerr := strconv.ParseUint(port, 10, 16); err != nil || nerr != nil || n == 0 {
			return errors.New("use HOST:PORT or :PORT, with a port from 1 to 65535")
		}
		return nil
	},
	"url":       checkURL,
	"nats":      checkNATS,
	"collector": checkCollector,
	"headers": func(v string) error {
		_, err := parseHeaders(v)
		return err
	},
	"xoxb":      slackToken("xoxb-", "use the Bot User OAuth Token on the app's OAuth & Permissions page, which begins with xoxb-"),
	"xapp":      slackToken("xapp-", "use an app-level token, which begins with xapp-"),
	"slackapp":  matching(`^[0-9]+\.[0-9]+$`, "use the Client ID under Basic Information, App Credentials: two numbers with a dot between them"),
	"command":   matching(`^/[a-z0-9_-]{1,31}$`, "use a slash and up to 31 lower-case letters, digits, - or _"),
	"snowflake": matching(`^[0-9]{15,20}$`, "use the numeric ID"),
	"ed25519":   matching(`^[0-9a-fA-F]{64}$`, "use the 64 hexadecimal digits of the public key"),
	"digits":    matching(`^[0-9]+$`, "use a number"),
	"aes43": func(v string) error {
		if b, err := base64.StdEncoding.DecodeString(v + "="); err != nil || len(b) != 32 {
			return errors.New("use the 43 characters of a 32-byte key")
		}
		return nil
	},
}

func matching(pattern, fix string) func(string) error {
	re := regexp.MustCompile(pattern)
	return func(v string) error {
		if !re.MatchString(v) {
			return errors.New(fix)
		}
		return nil
	}
}

// checkURL accepts https, and http on the loopback interface: credentials travel there.
func checkURL(v string) error {
	u, err := url.Parse(v)
	switch {
	case strings.ContainsFunc(v, invisible):
		return errInvisible
	case err != nil || u.Hostname() == "":
		return errors.New("use a full URL such as https://meet.example.com")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("use a URL without a user name, ? or #")
	case u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return errors.New("use https:// (http:// is accepted for localhost only)")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func checkNATS(v string) error {
	list, err := entries(v)
	if err != nil {
		return err
	}
	for _, e := range list {
		u, err := url.Parse(e)
		if err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls" {
			return errors.New("use tls://HOST:4222 or nats://HOST:4222, several comma-separated")
		}
		if u.User != nil {
			return errors.New("take the user name and password out of the URL, and set NATS_CREDS")
		}
	}
	return nil
}

// checker finds what is wrong although each value by itself is right.
type checker struct {
	set   map[string]bool
	fault func(variable, fix string)
}

// any reports whether one of the variables is set.
func (c checker) any(variables ...string) bool {
	return slices.ContainsFunc(variables, func(v string) bool { return c.set[v] })
}

// needs reports what is missing for something that is wanted.
func (c checker) needs(because string, variables ...string) {
	for _, v := range variables {
		if !c.set[v] {
			c.fault(v, "set it as well: "+because)
		}
	}
}

// only reports what is useless without the variable that turns its part on.
func (c checker) only(on string, variables ...string) {
	for _, v := range variables {
		if c.set[v] && !c.set[on] {
			c.fault(on, "set it as well, or remove "+v)
			return
		}
	}
}

// names reports what is in a list and names nobody on any platform.
func (c *Config) names(all AllNames, fault func(variable, fix string)) {
	for _, l := range []struct {
		variable string
		list     Principals
	}{{"MEET_ALLOW", c.MeetAllow}, {"LIVEPUSH_ALLOW", c.LivepushAllow}, {"SETTINGS_ALLOW", c.SettingsAllow}, {"ADMINS", c.Admins}} {
		for i, p := range l.list {
			if !all.entry(p) {
				fault(l.variable, fmt.Sprintf("entry %d: write it like one of %s", i+1, all.examples()))
				break
			}
		}
	}
	users := func(p Provider, variable string) {
		_, persons := p.Accounts()
		if slices.ContainsFunc(slices.Collect(maps.Keys(persons)), func(who string) bool { return !all.person(who) }) {
			fault(variable, "use "+all.people())
		}
	}
	for i, p := range c.Providers.all() {
		users(p, strings.ToUpper(c.Providers.names()[i])+"_USERS")
	}
	for _, a := range c.accounts {
		users(a.settings(), "PROVIDERS_FILE, account "+a.Name+", users")
	}
}

// provider finds what is wrong with the meeting providers, and with the choice of one.
func (c *Config) provider(check checker, chat bool) {
	var on, wanted []string
	names, all := c.Providers.names(), c.Providers.all()
	var ways []string // to configure one
	for i, p := range all {
		if p.combinations(check) {
			wanted = append(wanted, names[i])
		}
		if p.On() {
			on = append(on, names[i])
		}
		if names[i] == c.MeetProvider && !slices.Contains(wanted, names[i]) {
			check.fault("MEET_PROVIDER", "set "+sentence(p.Needs(), "and")+" as well, or remove it")
		}
		ways = append(ways, sentence(p.Needs(), "and"))
	}
	for _, a := range c.accounts {
		names = append(names, a.Name)
		if wanted = append(wanted, a.Name); a.Places == nil { // those with places are used there
			on = append(on, a.Name)
		}
	}
	unread := c.ProvidersFile != "" && c.accounts == nil // what is wrong there was told
	switch {
	case unread:
	case c.MeetProvider != "" && !slices.Contains(append(names, sandboxName), c.MeetProvider):
		check.fault("MEET_PROVIDER", "use one of: "+strings.Join(append(names, sandboxName), ", "))
	case c.MeetProvider != "":
	case len(on) > 1:
		check.fault("MEET_PROVIDER", "set it to "+sentence(on, "or")+", the one that /meet uses: several providers are configured")
	case len(wanted) == 0 && chat:
		check.fault("MEET_PROVIDER", "configure "+strings.Join(ways, ", or ")+"; or set it to sandbox to try the bot without a provider")
	}
}

// sentence lists words as a sentence has them: "a, b and c".
func sentence(words []string, last string) string {
	n := len(words) - 1
	if n < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:n], ", ") + " " + last + " " + words[n]
}

// inClear reports whether a server that is not on this machine is reached without TLS.
func (n NATS) inClear() bool {
	list, _ := entries(n.URL) // checked when it was loaded
	return slices.ContainsFunc(list, func(e string) bool {
		u, err := url.Parse(e)
		return err == nil && u.Scheme == "nats" && !loopback(u.Hostname())
	})
}

// combinations finds what is wrong although each value by itself is right.
func (c *Config) combinations(fault func(variable, fix string)) {
	check := checker{c.set, fault}
	needs, only := check.needs, check.only
	chat := false
	for _, p := range c.Platforms.all() {
		p.combinations(check)
		chat = chat || c.set[p.Switch()]
	}

	c.provider(check, chat)

	only("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY")
	only("OTEL_EXPORTER_OTLP_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE")

	only("NATS_URL", "NATS_CREDS", "NATS_PLAINTEXT")
	if c.NATS.Plaintext != "true" && c.NATS.inClear() {
		fault("NATS_URL", "use tls:// (nats:// is accepted for localhost, and with NATS_PLAINTEXT=true: anybody on the way can then read and change what is sent)")
	}
	if u, err := url.Parse(c.OTEL.TracesURL()); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) && !c.OTEL.ExporterOTLPHeaders.IsZero() {
		fault("OTEL_EXPORTER_OTLP_ENDPOINT", "use https:// (http:// is accepted for localhost, and without OTEL_EXPORTER_OTLP_HEADERS, which it would send unencrypted)")
	}
	if c.set["NATS_URL"] {
		needs("every process that uses the cluster needs the same key", "ENCRYPTION_KEY")
	}
	if c.NeedsHTTP() && c.HTTPAddr == c.OpsAddr {
		fault("OPS_ADDR", "use a different address from HTTP_ADDR, which the public may reach")
	}
}
