package commands

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/trace"

	"meetbot/bot/spans"
)

// Outcome is how a job ended, as [jobs.Job.Outcome] has it in a word. Metrics and traces have
// no others.
type Outcome int

const (
	outcomeCreated  Outcome = iota
	outcomeSameWish         // an earlier job does the same
	outcomeUnknown          // the provider never answered, and nothing can be found out
	outcomeRefused
	outcomeWithdrawn  // too old to be run unasked
	outcomeUnreadable // the record is of another version
	outcomeInternal   // a fault of the bot
	outcomeListed
	outcomeAsked // a question was put, or a form given
	outcomeEnded
	outcomeShared
	outcomeShown
	outcomeSet
	outcomeOff
	outcomePartly // some of several destinations
	outcomeSaved
	outcomeForgotten
	outcomeRevoked
	outcomeApprove
	outcomeReject
	outcomeHeard // an event
	outcomeDrawn // cards
	outcomeNotNeeded
	outcomeReminded
	outcomeStarted // the provider was asked to start the live, and took it
	outcomeStopped
	outcomeReported
	outcomes int = iota
)

var outcomeWords = [outcomes]string{
	outcomeCreated:    "created",
	outcomeSameWish:   "same_wish",
	outcomeUnknown:    "unknown",
	outcomeRefused:    "refused",
	outcomeWithdrawn:  "withdrawn",
	outcomeUnreadable: "unreadable",
	outcomeInternal:   "internal",
	outcomeListed:     "listed",
	outcomeAsked:      "asked",
	outcomeEnded:      "ended",
	outcomeShared:     "shared",
	outcomeShown:      "shown",
	outcomeSet:        "set",
	outcomeOff:        "off",
	outcomePartly:     "partly",
	outcomeSaved:      "saved",
	outcomeForgotten:  "forgotten",
	outcomeRevoked:    "revoked",
	outcomeApprove:    "approve",
	outcomeReject:     "reject",
	outcomeHeard:      "heard",
	outcomeDrawn:      "drawn",
	outcomeNotNeeded:  "not_needed",
	outcomeReminded:   "reminded",
	outcomeStarted:    "started",
	outcomeStopped:    "stopped",
	outcomeReported:   "reported",
}

func (o Outcome) String() string { return outcomeWords[o] }

// failed reports whether it is the bot's or a provider's fault rather than an answer.
func (o Outcome) failed() bool {
	return o == outcomeUnknown || o == outcomeInternal || o == outcomeUnreadable
}

// Done reports whether a job whose outcome that word is did what was asked of it.
func Done(word string) bool {
	switch Outcome(slices.Index(outcomeWords[:], word)) {
	case outcomeRefused, outcomeUnknown, outcomeWithdrawn, outcomeUnreadable, outcomeInternal:
		return false
	}
	return true
}

// markFailed marks the span of a job whose outcome is a failure.
func markFailed(ctx context.Context, outcome string) {
	if i := slices.Index(outcomeWords[:], outcome); i >= 0 && Outcome(i).failed() {
		spans.Fail(trace.SpanFromContext(ctx), outcome)
	}
}

// Outcomes returns all of them.
func Outcomes() []Outcome { return valuesTo[Outcome](outcomes) }

// OutcomeUnknown is what an alert is about.
const OutcomeUnknown = outcomeUnknown

// Operation is what is asked of a provider, as metrics call it.
type Operation int

const (
	opCreate Operation = iota
	opGet
	opList
	opEnd
	opPoll
	opByCode
	opCanCreate
	opSetPush
	opPushes
	opStartURL
	opViewers
	opStartLive
	opStopLive
	opRecordings
	opReplays
	opParticipants
	operations int = iota
)

var operationWords = [operations]string{
	opCreate:       "create",
	opGet:          "get",
	opList:         "list",
	opEnd:          "end",
	opPoll:         "poll",
	opByCode:       "by_code",
	opCanCreate:    "can_create",
	opSetPush:      "set_push",
	opPushes:       "pushes",
	opStartURL:     "start_url",
	opViewers:      "viewers",
	opStartLive:    "start_live",
	opStopLive:     "stop_live",
	opRecordings:   "recordings",
	opReplays:      "replays",
	opParticipants: "participants",
}

func (o Operation) String() string { return operationWords[o] }

// Operations returns all of them.
func Operations() []Operation { return valuesTo[Operation](operations) }

func valuesTo[T ~int](n int) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = T(i)
	}
	return all
}
