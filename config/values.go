package config

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"meetbot/config/secret"
)

// Principal is whom an allow-list lets in. Its Kind is one of the platform's [Names]; empty,
// it is everybody there.
type Principal struct {
	Platform string
	Kind     string
	ID       string
}

// String is the form in which it was configured: "slack:user:U1".
func (p Principal) String() string {
	if p.Kind == "" {
		return p.Platform
	}
	return p.Platform + ":" + p.Kind + ":" + p.ID
}

// Principals is an allow-list.
type Principals []Principal

var principalPattern = regexp.MustCompile(`^([a-z]+)(?::([a-z]+):([^\s:]+))?$`)

// Set implements envconfig's Setter.
func (p *Principals) Set(value string) error {
	list, err := entries(value)
	if err != nil {
		return err
	}
	*p = nil
	for _, e := range list {
		m := principalPattern.FindStringSubmatch(e)
		if m == nil {
			m = []string{"", "", "", ""} // that nobody has: told when the platforms are asked
		}
		*p = append(*p, Principal{m[1], m[2], m[3]})
	}
	return nil
}

// IDs is a list of Discord's IDs.
type IDs []string

// Set implements envconfig's Setter.
func (ids *IDs) Set(value string) error {
	list, err := entries(value)
	if err != nil {
		return err
	}
	for i, id := range list {
		if err := checks["snowflake"](id); err != nil {
			return fmt.Errorf("entry %d: %w (Discord: Developer Mode, Copy ID)", i+1, err)
		}
	}
	*ids = list
	return nil
}

// Teams is a list of IDs of Slack's workspaces and organisations.
type Teams []string

var teamPattern = regexp.MustCompile(`^[TE][A-Z0-9]{1,30}$`)

// Set implements envconfig's Setter.
func (t *Teams) Set(value string) error {
	list, err := entries(value)
	if err != nil {
		return err
	}
	for i, id := range list {
		if !teamPattern.MatchString(id) {
			return fmt.Errorf("entry %d: use the ID of a workspace (T…) or of an organisation (E…), which is in the address of Slack in a browser", i+1)
		}
	}
	*t = list
	return nil
}

// Words is a list of words.
type Words []string

// Set implements envconfig's Setter.
func (w *Words) Set(value string) error {
	list, err := entries(value)
	*w = list
	return err
}

// Users maps a person, as "slack:U123", to the provider's account that acts for them.
type Users map[string]string

var userPattern = regexp.MustCompile(`^([a-z]+:[^\s:=]+)=(\S+)$`)

// nextUser is another person's entry behind an account, after some other mark than a comma.
var nextUser = regexp.MustCompile(`[;|][a-z]+:[^\s:=]+=`)

// Set implements envconfig's Setter.
func (u *Users) Set(value string) error {
	list, err := entries(value)
	if err != nil {
		return err
	}
	*u = make(Users, len(list))
	for i, e := range list {
		m := userPattern.FindStringSubmatch(e)
		if m != nil && nextUser.MatchString(m[2]) {
			return fmt.Errorf("entry %d: separate the people with a comma", i+1)
		}
		if m == nil {
			return fmt.Errorf("entry %d: use PLATFORM:PERSON=ACCOUNT", i+1)
		}
		if _, twice := (*u)[m[1]]; twice {
			return fmt.Errorf("entry %d: this person has an entry already; keep one of the two", i+1)
		}
		(*u)[m[1]] = m[2]
	}
	return nil
}

// Keys are encryption keys of 32 bytes each, the newest first. [secret.String.Reveal]
// gives the bytes, no longer in base64.
type Keys []secret.String

// Set implements envconfig's Setter.
func (k *Keys) Set(value string) error {
	list, err := entries(value)
	if err != nil {
		return err
	}
	*k = nil
	seen := make(map[string]bool)
	for i, e := range list {
		b, err := base64.StdEncoding.DecodeString(e)
		if err != nil || len(b) != 32 {
			return fmt.Errorf("entry %d: use 32 bytes in base64; `openssl rand -base64 32` makes them", i+1)
		}
		if bytes.Count(b, b[:1]) == len(b) {
			return fmt.Errorf("entry %d: this key repeats one byte, which anybody can guess; make one with `openssl rand -base64 32`", i+1)
		}
		if seen[string(b)] {
			return fmt.Errorf("entry %d: this key is in the list twice; remove one", i+1)
		}
		seen[string(b)] = true
		*k = append(*k, secret.New(string(b)))
	}
	return nil
}

// entries splits a comma-separated list.
func entries(value string) ([]string, error) {
	if strings.ContainsAny(value, "，、") {
		return nil, errors.New("separate the entries with a comma: this has a Chinese one, “，” or “、”")
	}
	list := strings.Split(strings.TrimSuffix(strings.TrimSpace(value), ","), ",")
	for i, e := range list {
		list[i] = strings.TrimSpace(e)
		if list[i] == "" {
			return nil, errors.New("remove the empty entry between two commas")
		}
		if quoted(list[i]) {
			return nil, fmt.Errorf("entry %d: %w", i+1, errRemoveQuotes)
		}
	}
	return list, nil
}
