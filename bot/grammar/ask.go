package grammar

import (
	"meetbot/bot/chat"
	"meetbot/meeting"
)

// Ask is what a request asks for: the same value whichever platform it came from.
type Ask struct {
	Verb Verb `cbor:",omitzero"`

	// VerbMeet.
	Provider meeting.Provider `cbor:",omitzero"` // empty: the default
	Meet     meeting.Instant  `cbor:",omitzero"` // Topic empty: "<name>'s meeting"
	Hosts    []string         `cbor:",omitzero"` // user IDs given with --host
	Mentions []chat.User      `cbor:",omitzero"` // people mentioned in the topic, where they are names
	Doubt    Doubt            `cbor:",omitzero"` // why the topic may be none; empty: it is one
	Meant    Verb             `cbor:",omitzero"` // with DoubtWord

	// Meeting is the MEETING argument as it was given, or a meeting.Ref; empty where none was.
	Meeting string `cbor:",omitzero"`

	// Names are destinations; none with VerbPushTo: those that are set for the place.
	Names []string `cbor:",omitzero"`
	// All and Which are what [VerbPushOff] and [VerbPushOn] switch besides Names: every address, or the
	// one with that [livepush.Address]. With none of the three the person is asked.
	All   bool   `cbor:",omitzero"`
	Which string `cbor:",omitzero"`
	// Push is the address of VerbPush and VerbPushSave. Key empty: to be asked for.
	Push meeting.PushTarget `cbor:",omitzero"`
	// Standby sets addresses without switching them on.
	Standby bool `cbor:",omitzero"`
	// Split says that Push was made from one combined address.
	Split bool `cbor:",omitzero"`
	// KeyTyped says that the key was typed into the chat platform.
	KeyTyped bool `cbor:",omitzero"`
	// Override lets warnings pass that are not documented limits.
	Override bool `cbor:",omitzero"`

	// Page is a destination's watch page, with VerbPushSave.
	Page string `cbor:",omitzero"`
	// Preset is a destination's platform in the catalogue, with VerbPushSave.
	Preset string `cbor:",omitzero"`
	// Protected asks that changes to a destination be approved by a second person.
	Protected bool `cbor:",omitzero"`
	// People and Channels may use the destination, besides its owner.
	People, Channels []string `cbor:",omitzero"`

	// Set is what VerbSettings sets, by the names of [Settings]; empty takes one back. Nothing
	// at all: what is set is shown. Everywhere sets it for all channels of the team.
	Set        map[string]string `cbor:",omitzero"`
	Everywhere bool              `cbor:",omitzero"`

	// Arg is a button's, or a form's.
	Arg string `cbor:",omitzero"`
}

// AskOf returns what a decision asks for; nil if it asks for nothing.
func AskOf(d chat.Decision) *Ask {
	ask, _ := d.Ask.(*Ask)
	return ask
}
