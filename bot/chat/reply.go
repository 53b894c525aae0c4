package chat

import (
	"context"
	"errors"
	"slices"
	"time"

	"meetbot/config/secret"
)

// Tone is how a reply looks.
type Tone string

const (
	Neutral Tone = ""
	Good    Tone = "good"
	Warning Tone = "warning"
	Bad     Tone = "bad"
)

// Reply is a message to somebody, free of any platform's markup: an adapter renders it.
// All texts are plain text in the reader's language; some of it was typed by people, so
// the adapter escapes everything.
type Reply struct {
	Tone   Tone    `json:",omitempty"`
	Title  string  `json:",omitempty"`
	Text   string  `json:",omitempty"` // paragraphs, separated by blank lines
	Fields []Field `json:",omitempty"`
	// Secrets are shown in clear. They are there only when the reply goes to the one
	// person they are for, or the operator chose otherwise (START_LINK).
	Secrets []SecretField `json:",omitempty"`
	Links   []Link        `json:",omitempty"`
	Buttons []Button      `json:",omitempty"`
	// Copy is a block of plain text made to be copied elsewhere.
	Copy string `json:",omitempty"`
	// QR is a text to be shown as a QR code, with its caption.
	QR, QRCaption string `json:",omitempty"`
	// Mentions are people to be notified, where the platform can.
	Mentions []User `json:",omitempty"`
	Note     string `json:",omitempty"` // small print: "SANDBOX", "as of 14:02"
}

// Field is a labelled value. With User set, its value is that person, mentioned.
type Field struct {
	Name  string
	Value string `json:",omitempty"`
	User  *User  `json:",omitempty"`
	// Heading says that it has no value, and that the fields after it belong together.
	Heading bool `json:",omitempty"`
}

// SecretField is a labelled secret; Link says that it is a URL to follow.
type SecretField struct {
	Name  string
	Value secret.String
	Link  bool
}

// Link is a URL to follow. Its text is shown as well where a button has no room for it.
type Link struct {
	Label string
	URL   string
}

// Button asks something of the bot.
type Button struct {
	Label   string
	Action  Action
	Danger  bool     `json:",omitempty"`
	Confirm *Confirm `json:",omitempty"`
}

// Confirm is what is asked before a button does anything. A platform that cannot ask (see
// [Kind.Confirms]) gets no button with one, but one whose answer is the question.
type Confirm struct{ Title, Text, Yes, No string }

// Form asks for values. Where a platform has no forms, the adapter asks one by one.
type Form struct {
	ID     string // which form it is: "push", "save", "meet"
	Arg    string // IDs only, given back in the [Submission]
	Title  string // at most 24 characters
	Intro  string
	Submit string
	Fields []FormField
}

// FieldKind is the kind of a form's field.
type FieldKind string

const (
	TextField   FieldKind = ""
	MaskedField FieldKind = "secret" // masked where the platform can
	ChoiceField FieldKind = "choice"
	ListField   FieldKind = "list" // some of the choices; its value is theirs, with commas between
	NumberField FieldKind = "number"
	UserField   FieldKind = "user" // a person's ID, in a field where the platform lets people choose one
)

// FormField is one value of a form.
type FormField struct {
	Name        string
	Label       string // at most 45 characters
	Hint        string // at most 100 characters
	Placeholder string
	Kind        FieldKind
	Required    bool // with Only: where that is met, so no platform can know it before the form is sent
	Extra       bool // left out where the platform's form has no room (Discord: five fields)
	Max         int  // characters; 0: the platform's own limit
	Value       string
	Choices     []Choice
	Propose     bool `json:",omitempty"` // [Bot.Ready] gives it the choices that there are; without any a list is left out
	// Only says what another field has to have for this one to mean anything; nil: anything.
	// Where fields are asked one by one, it is not asked otherwise.
	Only *Precondition `json:",omitempty"`
}

// Needed reports whether a form cannot be sent with the field empty, whatever the others are.
func (f FormField) Needed() bool { return f.Required && f.Only == nil }

// Precondition is met if a field has one of the values; an empty one is a field left empty.
type Precondition struct {
	Field  string
	Values []string
}

// Met reports whether p is met by the values of a form.
func (p *Precondition) Met(fields map[string]string) bool {
	return p == nil || slices.Contains(p.Values, fields[p.Field])
}

// Choice is one of several values.
type Choice struct {
	Label string
	Value string
}

// Slot is where a [Post] goes, seen from the place where the command was given.
type Slot string

const (
	// SlotRoot is the message everybody sees. In a thread it is a reply there.
	SlotRoot Slot = "root"
	// SlotThread is a reply that everybody sees in the root's thread; in place where there
	// can be no thread.
	SlotThread Slot = "thread"
	// SlotThreadPrivate is for the requester alone, in the root's thread. [ErrSkip] where
	// the platform cannot.
	SlotThreadPrivate Slot = "thread_private"
	// SlotPrivate is for the requester alone, where the command ran; by direct message
	// when that is not possible any more. Never for others to see.
	SlotPrivate Slot = "private"
	// SlotDirect is a direct message to Post.User.
	SlotDirect Slot = "direct"
	// SlotEdit replaces the message in Post.Edit.
	SlotEdit Slot = "edit"
	// SlotSettle replaces a placeholder that everybody sees (Discord's public deferred
	// response) when there is nothing to show for it. [ErrSkip] where there is none.
	SlotSettle Slot = "settle"
	// SlotProgress is a passing word to the requester that it takes longer; tried once.
	SlotProgress Slot = "progress"
)

// Private reports whether only one person sees what is posted in s.
func (s Slot) Private() bool {
	switch s {
	case SlotThreadPrivate, SlotPrivate, SlotDirect, SlotProgress:
		return true
	}
	return false
}

// Post is one message to be delivered.
type Post struct {
	// Key is the same for the same message of the same job, at most 25 characters: a
	// platform that can recognise a repeat gets it (Discord's nonce).
	Key    string
	Slot   Slot
	Place  Place
	User   User   // the requester; with [SlotDirect] the person to tell
	Origin []byte // of the request
	Asked  time.Time
	Reply  Reply
	Root   *Receipt // the root message, once there is one
	Edit   *Receipt // with [SlotEdit]
	// Flat says of a root that nothing will be said beneath it: no thread is opened for it.
	Flat bool
	// Tried says that an earlier try may have been delivered although no receipt is known:
	// an adapter that can look for its own message by Key does so first.
	Tried bool
}

// Receipt says where a message is.
type Receipt struct {
	Place   Place  `cbor:",omitzero"` // Thread is where replies to the message go
	Message string `cbor:",omitzero"` // the platform's ID
	InPlace bool   `cbor:",omitzero"` // it has no thread: replies go beside it
}

// What a [Poster] returns besides *[RetryAfter].
var (
	// ErrSkip: the platform has no place for this post, and nobody misses it.
	ErrSkip = errors.New("the platform has no place for this post")
	// ErrLost: every way to the person is closed for good.
	ErrLost = errors.New("no way to the person is left")
	// ErrTaken: another bot answers the request, which does not share this one's store.
	ErrTaken = errors.New("another bot has answered the request")
	// ErrGone: the message to edit does not exist any more.
	ErrGone = errors.New("the message is gone")
)

// RetryAfter is the error of a call that may be repeated after the given time and not
// earlier.
type RetryAfter struct {
	After time.Duration
	Err   error
}

func (e *RetryAfter) Error() string { return e.Err.Error() }
func (e *RetryAfter) Unwrap() error { return e.Err }

// Poster delivers messages on one platform. It tries the platform's ways in turn (the
// request's own token, the bot's token, a direct message) and returns [ErrLost] when
// none is left, a *[RetryAfter] when it was told to wait, and any other error when a
// later try may succeed.
type Poster interface {
	Post(ctx context.Context, p Post) (Receipt, error)
}

// Claimer is a [Poster] on a platform where one request may reach several processes, of which
// one can answer it.
type Claimer interface {
	// Claim returns once it is known whether the request of that origin is this process's to
	// carry out, or that of one that shares its store. The error matches [ErrTaken] where it is not.
	Claim(ctx context.Context, origin []byte) error
}

// Profile is what a platform knows of a person.
type Profile struct {
	Name   string
	Locale string
	Rights Rights // with RightsKnown
}

// Directory is a [Poster] that can look people up. A look-up that fails refuses. It may believe
// for some minutes what it was told, but not where it is asked [Afresh].
type Directory interface {
	Profile(ctx context.Context, place Place, userID string) (Profile, error)
	InGroup(ctx context.Context, place Place, userID, groupID string) (bool, error)
}

type afresh struct{}

// Afresh returns a context in which a [Directory] asks its platform, whatever it remembers.
func Afresh(ctx context.Context) context.Context { return context.WithValue(ctx, afresh{}, true) }

// IsAfresh reports whether ctx is, or comes from, one of [Afresh].
func IsAfresh(ctx context.Context) bool { return ctx.Value(afresh{}) != nil }

// Decision is what becomes of a [Request]. Exactly one of Form, Reply, Faults and Ask is
// set.
type Decision struct {
	Form  *Form
	Reply *Reply // private, to be given at once; nothing is stored
	// Faults are what is wrong with a submitted form, by field name.
	Faults map[string]string

	// Ask is what the person asks for, complete; opaque to an adapter, which hands the
	// Decision to [commands.Bot.Accept].
	Ask any
	// Public says that the answer begins with a message that everybody sees; otherwise
	// every answer is private. Discord fixes it with the deferred response.
	Public  bool
	Request Request // what [commands.Bot.Accept] stores with the Ask; what was typed is in the Ask alone
}

// Acceptance is the answer to [commands.Bot.Accept].
type Acceptance struct {
	// Reply is set when the request was not accepted: to be shown privately.
	Reply *Reply
	// Duplicate says that this wish was accepted before: nothing more is to be done.
	Duplicate bool
}

// Bot is what an adapter asks of the commands.
type Bot interface {
	// Parse decides what becomes of a request, without any input or output.
	Parse(r Request) Decision
	// Accept returns once the decision is durable, or with what to tell instead.
	Accept(ctx context.Context, d Decision) Acceptance
	// Ready makes a decision's form ready to be opened: its fields get the choices that there
	// are, and who may not send it gets a Reply instead. Another decision stays as it is. What
	// cannot be looked up while ctx lasts is left out; the right is checked again later.
	Ready(ctx context.Context, d Decision) Decision
	// Complete proposes values for the named option of the command in r.
	Complete(ctx context.Context, r Request, option, typed string) []Choice
}
