// Package chat has the words between a chat platform and the commands: all that the author
// of an adapter reads.
//
// An adapter turns a platform's event into a [Request] and has it parsed, a pure function
// done in microseconds, before anything is acknowledged. The [Decision] is a [Form] to
// open, a private [Reply] to give at once, or something to accept. What is accepted is on
// disk before the adapter acknowledges. Later the adapter, which is the platform's
// [Poster], renders and delivers each [Post]. Where it can look people up it is a
// [Directory] as well.
//
// The package knows no platform and no provider. What others must know of a platform is its
// [Kind], which its adapter declares.
package chat

import (
	"strings"
	"time"
)

// Platform names a chat platform: see [Kind].
type Platform string

// PlaceKind says what kind of place a command was given in.
type PlaceKind string

const (
	InChannel PlaceKind = ""       // many people, and threads
	InDirect  PlaceKind = "direct" // one person and the bot
	InGroup   PlaceKind = "group"  // some people in a direct conversation
)

// Place is where something was asked and is answered.
type Place struct {
	Platform Platform `cbor:",omitzero"`
	Team     string   `cbor:",omitzero"` // Slack workspace, Discord guild; empty in a Discord direct message
	Channel  string   `cbor:",omitzero"` // also where Thread is set: the channel that has the thread
	Thread   string   `cbor:",omitzero"` // empty outside of a thread
	// Private says that only its members see Thread: it is a place of its own then, of
	// which others in the channel know nothing.
	Private bool      `cbor:",omitzero"`
	Kind    PlaceKind `cbor:",omitzero"`
}

// Key is the place without its thread, unless that is private, in one word that no other
// place has.
func (p Place) Key() string {
	key := string(p.Platform) + ":" + p.Team + ":" + p.Channel
	if p.Private {
		key += ":" + p.Thread
	}
	return key
}

// Rights says what the platform itself lets a person use where no allow-list is set.
type Rights uint8

const (
	// RightsKnown tells "nothing" from "not looked up": without it [Directory.Profile] is asked.
	RightsKnown Rights = 1 << iota
	RightMeet
	RightPush
	RightSettings // no platform gives it: only a list does
)

// User is a person on one platform.
type User struct {
	ID     string   `cbor:",omitzero"`
	Name   string   `cbor:",omitzero"` // as others see it; may be empty
	Locale string   `cbor:",omitzero"` // BCP 47; empty if not known
	Roles  []string `cbor:",omitzero"` // IDs of roles, where they come with the event (Discord)
	Rights Rights   `cbor:",omitzero"`
}

// UserKey is the person in one word that no other person has: "slack:U123".
func (p Place) UserKey(u User) string { return string(p.Platform) + ":" + u.ID }

// Request is one thing a person did: typed a command, pressed a button, or sent a form.
// Exactly one of Command, Action and Form is set.
type Request struct {
	// ID is the same for the same wish, however often the platform delivers it: 1 to 200
	// bytes, beginning with the platform's name.
	ID    string    `cbor:",omitzero"`
	At    time.Time `cbor:",omitzero"` // when the person did it
	User  User      `cbor:",omitzero"`
	Place Place     `cbor:",omitzero"`

	// Command is the declared name of a command, and what was given with it: Text where
	// people type a line, Options where the platform asks for typed options.
	Command string            `cbor:",omitzero"`
	Text    string            `cbor:",omitzero"`
	Verb    string            `cbor:",omitzero"` // with Options: the declared typed sub-command, as "list" of "meetings"
	Options map[string]string `cbor:",omitzero"` // by declared option name; nil where people type a line

	Action *Action     `cbor:",omitzero"` // a button
	Form   *Submission `cbor:",omitzero"` // a form

	// InTheOpen says that everybody in the place saw the line being typed (a mention).
	InTheOpen bool `cbor:",omitzero"`
	// About is the text of the message that the person wants a meeting about (a message
	// shortcut); with Command "meet" and no Text it is the topic.
	About string `cbor:",omitzero"`
	// Origin is how to answer, in the adapter's own words (a response_url, an interaction
	// token). It is stored encrypted and comes back in each [Post].
	Origin []byte `cbor:",omitzero"`
}

// Action is what a button does. Arg has IDs only: people can read and forge it.
type Action struct {
	Name string
	Arg  string
}

const actionVersion = "v1"

// maxAction is the shortest of the platforms' limits: Discord's custom_id.
const MaxAction = 100

// String is the wire form, at most 100 bytes: "v1:end:systec:1591620888".
func (a Action) String() string { return actionVersion + ":" + a.Name + ":" + a.Arg }

// ParseAction is the inverse of [Action.String].
func ParseAction(s string) (Action, bool) {
	rest, ok := strings.CutPrefix(s, actionVersion+":")
	name, arg, _ := strings.Cut(rest, ":")
	return Action{name, arg}, ok && name != "" && len(s) <= MaxAction
}

// Submission is a form that was filled in.
type Submission struct {
	Form   string // [Form.ID]
	Arg    string // [Form.Arg]
	Fields map[string]string
}
