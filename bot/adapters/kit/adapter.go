package kit

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"meetbot/bot/chat"
)

// Adapter is a platform's part of the running bot. Where it can look people up it is a
// [chat.Directory] as well. [Receiver] and [Examined] are for those that can more.
type Adapter interface {
	chat.Poster
	// Run returns when ctx is done and what is under way is acknowledged, or with what keeps
	// the adapter from going on; an error that matches [ErrTokenRefused] is for good.
	Run(ctx context.Context) error
	Health() Health
}

// Receiver is an [Adapter] whose platform sends its requests over HTTP.
type Receiver interface {
	// Endpoint returns what the handler serves everything under, as "/acme/"; empty: the
	// requests come another way.
	Endpoint() (path string, h http.Handler)
}

// Probed is an [Adapter] that can ask its platform, before it runs and at the cost of a call or
// two, whether the credentials are accepted. The error matches [ErrTokenRefused] where they
// are not; any other says that it is not known.
type Probed interface {
	Probe(ctx context.Context) error
}

// Finisher is an [Adapter] that is told when a command which was given there has ended, and
// whether what was asked was done.
type Finisher interface {
	Finished(done bool)
}

// Examined is an [Adapter] that can be looked at before people find out what is wrong. It is
// not running then, and has no bot.
type Examined interface {
	Examine(ctx context.Context, c Circumstances) []Finding
}

// Circumstances are what an adapter cannot know of itself.
type Circumstances struct {
	Running bool             // another process runs the bot with these settings
	Named   []chat.EntryKind // what allow-lists name on the platform
}

// ErrTokenRefused says that the platform does not accept the bot's credentials: no call will
// succeed until there are others.
var ErrTokenRefused = errors.New("the token is refused")

// ErrOtherBot says that another bot uses the same token and does not share the store: it does
// not know what this one has made, nor this one what it has.
var ErrOtherBot = errors.New("another bot uses the same token and does not share this one's store")

// Refused returns an error that matches [ErrTokenRefused], in the platform's own words.
func Refused(text string) error { return refused(text) }

type refused string

func (r refused) Error() string      { return string(r) }
func (refused) Is(target error) bool { return target == ErrTokenRefused }

// Level says how bad a [Finding] is.
type Level string

const (
	Fine    Level = "ok"
	Note    Level = "note" // what cannot be checked, or is so by choice
	Warning Level = "warning"
	Fault   Level = "fault"
)

// Finding is one thing that an examination has to say.
type Finding struct {
	Level Level
	Says  string
	Err   error  // said behind, scrubbed
	Fix   string // of a fault or a warning
}

// OK says that something is right.
func OK(says string, args ...any) Finding {
	return Finding{Level: Fine, Says: fmt.Sprintf(says, args...)}
}

// Noted says what cannot be checked, or is so by choice.
func Noted(says string, args ...any) Finding {
	return Finding{Level: Note, Says: fmt.Sprintf(says, args...)}
}

// Warn says what may go wrong, and what to do about it.
func Warn(says, fix string) Finding { return Finding{Level: Warning, Says: says, Fix: fix} }

// Faulty says what is wrong, and what to do about it.
func Faulty(says, fix string) Finding { return Finding{Level: Fault, Says: says, Fix: fix} }

// Because returns f with the error that it is about.
func (f Finding) Because(err error) Finding {
	f.Err = err
	return f
}

// NetworkFix is what to do where a platform does not answer.
const NetworkFix = "check the network, and HTTPS_PROXY if there is one"
