package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What shells, editors, consoles and other systems leave around a value is told by name at
// the start: a service that is sent it says only that it refuses the token. None of these
// messages repeats the value.

const quotes = "\"'`“”„‟‘’‚‛«»‹›「」『』＂＇"

var (
	assignment  = regexp.MustCompile(`^(?:export\s+|set\s+|\$env:)?[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\s*=`)
	placeholder = regexp.MustCompile(`(?i)replace[-_ ]?me|change[-_ ]?me`)
	notASecret  = regexp.MustCompile(`(?i)^(?:your|my)[-_]|^<[^<>]*>$|\.\.\.$|…`)
	unexpanded  = regexp.MustCompile(`^\$\{?[A-Z_]+\}?$`)
	scheme      = regexp.MustCompile(`(?i)^(?:bot|bearer|token)\s`)
)

// leftovers returns what is around or inside of a variable's value and does not belong
// there; nil if there is nothing.
func leftovers(value string, isSecret bool) error {
	if placeholder.MatchString(value) || unexpanded.MatchString(value) || isSecret && notASecret.MatchString(value) {
		return errors.New("this is an example's placeholder; set your own value")
	}
	runes := []rune(value)
	switch first, last := runes[0], runes[len(runes)-1]; {
	case strings.IndexByte(value, 0) >= 0, strings.HasPrefix(value, "\xff\xfe"), strings.HasPrefix(value, "\xfe\xff"):
		return errors.New("this is UTF-16, which some editors and PowerShell write; save it as UTF-8 without a byte order mark")
	case first == '\ufeff':
		return errors.New("this begins with a byte order mark; save it as UTF-8 without one")
	case quoted(value):
		return errRemoveQuotes
	case assignment.MatchString(value):
		return errors.New("remove the variable's name and the =, and keep the value")
	case strings.HasSuffix(value, `\n`), strings.HasSuffix(value, `\r`):
		return errors.New(`this ends with a written-out line break, a backslash and a letter; remove it`)
	case isSecret && scheme.MatchString(value):
		return errors.New("remove the word in front, “Bot” or “Bearer”, and keep the token")
	case !isSecret && (invisible(first) || invisible(last)):
		return errInvisible
	}
	return nil
}

var (
	errRemoveQuotes = errors.New("remove the quotes; in a file, and in Docker's --env-file, they are part of the value")
	errInvisible    = errors.New("this contains a character that does not belong, perhaps an invisible one; copy it again")
)

// quoted reports whether a quote stands before or behind a value that is not empty.
func quoted(value string) bool {
	first, _ := utf8.DecodeRuneInString(value)
	last, _ := utf8.DecodeLastRuneInString(value)
	return strings.ContainsRune(quotes, first) || strings.ContainsRune(quotes, last)
}

// invisible reports whether r shows nothing: at an end it was copied along.
func invisible(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf) }

// oneWord refuses what no token has: blanks, line breaks, and characters that are not ASCII.
func oneWord(value string) error {
	switch {
	case strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return errors.New("this contains a blank or a line break; copy it again, on one line")
	case strings.ContainsFunc(value, func(r rune) bool { return r > unicode.MaxASCII }):
		return errInvisible
	}
	return nil
}

// slackTokens says of the tokens that Slack makes what each is.
//
// https://docs.slack.dev/authentication/tokens
var slackTokens = []struct{ prefix, what string }{
	{"xoxe.xox", "this token rotates: it expires after twelve hours, and the bot does not renew it"},
	{"xoxe-", "this is a refresh token"},
	{"xoxp-", "this is a user token"},
	{"xoxb-", "this is the bot token, which goes into SLACK_BOT_TOKEN"},
	{"xapp-", "this is an app-level token, which goes into SLACK_APP_TOKEN"},
	{"xoxc-", "this is a browser's token"},
	{"xoxa-", "this is a legacy token"},
}

// slackToken accepts a token of one kind. fix says where the right one is found.
func slackToken(prefix, fix string) func(string) error {
	return func(v string) error {
		if strings.HasPrefix(v, prefix) && len(v) > len(prefix) {
			return nil
		}
		if plain, err := base64.StdEncoding.DecodeString(v); err == nil && strings.HasPrefix(string(plain), prefix) {
			return errors.New("this is the token in base64; decode it (in a Kubernetes Secret, put the plain token under stringData: instead of data:)")
		}
		for _, t := range slackTokens {
			if strings.HasPrefix(v, t.prefix) {
				return fmt.Errorf("%s; %s", t.what, fix)
			}
		}
		return errors.New(fix)
	}
}
