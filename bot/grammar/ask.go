package grammar

import (
	"meetbot/bot/chat"
	"meetbot/meeting"
)

// Verb names one thing that can be asked, on every platform alike.
type Verb string

const (
	VerbMeet      Verb = "meet"
	VerbMeetList  Verb = "meet list"
	VerbMeetEnd   Verb = "meet end"
	VerbMeetShare Verb = "meet share"

	VerbPush             Verb = "livepush" // set one address, given with the command
	VerbPushTo           Verb = "livepush to"
	VerbPushOff          Verb = "livepush off"
	VerbPushStatus       Verb = "livepush status"
	VerbPushSave         Verb = "livepush save"
	VerbPushDestinations Verb = "livepush destinations"
	VerbPushForget       Verb = "livepush forget"
	VerbPushLog          Verb = "livepush log"

	// What only buttons ask. Ask.Arg is the button's.
	VerbStartLink Verb = "start"    // Arg: a meeting.Ref
	VerbQR        Verb = "qr"       // Arg: a meeting.Ref
	VerbCopy      Verb = "copy"     // Arg: a meeting.Ref
	VerbEndYes    Verb = "endyes"   // Arg: a meeting.Ref; the answer to "really end it?"
	VerbAnother   Verb = "another"  // Arg: a job; its command again, as a new wish
	VerbNow       Verb = "now"      // Arg: a job that was withdrawn as too old
	VerbAgain     Verb = "again"    // Arg: a job whose outcome is unknown
	VerbTencent   Verb = "tencent"  // Arg: a job that pushed to a meeting which cannot; a Tencent meeting instead
	VerbApprove   Verb = "approve"  // Arg: a job
	VerbReject    Verb = "reject"   // Arg: a job
	VerbRevoke    Verb = "revoke"   // Arg: a saved destination's ID
	VerbSameDest  Verb = "samedest" // Arg: a meeting.Ref; a new meeting with its destinations
	VerbAskHost   Verb = "askhost"  // Arg: a job; asks who can to do it

	// VerbPushForm opens the push form; a button's Arg is a meeting.Ref, or empty.
	VerbPushForm Verb = "push"
)

// Ask is what a request asks for: the same value whichever platform it came from.
type Ask struct {
	Verb Verb

	// VerbMeet.
	Provider meeting.Provider // empty: the default
	Meet     meeting.Instant  // Topic empty: "<name>'s meeting"
	Hosts    []string         // user IDs given with --host
	Mentions []chat.User      // people mentioned in the topic, where they are names

	// Meeting is the MEETING argument as it was given, or a meeting.Ref; empty where none was.
	Meeting string

	// Names are destinations.
	Names []string
	// Push is the address of VerbPush and VerbPushSave. Key empty: to be asked for.
	Push meeting.PushTarget
	// Split says that Push was made from one combined address.
	Split bool
	// KeyTyped says that the key was typed into the chat platform.
	KeyTyped bool
	// Override lets warnings pass that are not documented limits.
	Override bool

	// Page is a destination's watch page, with VerbPushSave.
	Page string
	// Preset is a destination's platform in the catalogue, with VerbPushSave.
	Preset string
	// Protected asks that changes to a destination be approved by a second person.
	Protected bool
	// People and Channels may use the destination, besides its owner.
	People, Channels []string

	// Arg is a button's.
	Arg string
}

// Kind is the kind of an option's value.
type Kind string

const (
	KindText    Kind = "text"
	KindInt     Kind = "int"
	KindBool    Kind = "bool"
	KindChoice  Kind = "choice"
	KindUser    Kind = "user"
	KindMeeting Kind = "meeting"     // a number, an ID, a URL; completed from recent meetings
	KindDest    Kind = "destination" // completed from saved destinations
	KindSecret  Kind = "secret"
)

// OptionDecl declares one option of a command, for parser, help, forms, registration
// and completion alike. Texts are message IDs: see [texts.Text].
type OptionDecl struct {
	Name     string // of the flag, and of the typed option
	Aliases  []string
	Kind     Kind
	Required bool
	List     bool // takes several, separated by a comma of any kind
	// Position is the place among the positional arguments, from 1; 0: a flag only.
	Position int
	Min, Max int // of a number; of a text: characters
	Choices  []chat.Choice
	Unit     string
	// Provider is the only provider that has it; empty: both.
	Provider meeting.Provider
}

// VerbDecl declares one thing that users can ask.
type VerbDecl struct {
	Verb    Verb
	Command string   // on text platforms: "meet" or "livepush"
	Name    string   // on text platforms: the verb's word; empty for the command itself
	Aliases []string // Chinese words and spellings
	// Typed and TypedSub name the command and sub-command where options are typed
	// (Discord); TypedSub empty: a flat command.
	Typed    string
	TypedSub string
	Right    chat.Rights // RightMeet or RightPush: which allow-list guards it
	Public   bool        // its answer begins with a message that everybody sees
	Options  []OptionDecl
}

// AskOf returns what a decision asks for; nil if it asks for nothing.
func AskOf(d chat.Decision) *Ask {
	ask, _ := d.Ask.(*Ask)
	return ask
}
