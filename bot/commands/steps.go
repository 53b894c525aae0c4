package commands

import (
	"context"
	"fmt"
	"slices"

	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
)

// steps is what one verb does, as steps of a job.
type steps struct {
	// next says how the job goes on, and fills the outbox when it is through.
	next func(*run, context.Context) (jobs.Next, error)
	// call and reconcile are set where the verb changes something that must not happen
	// twice. See [jobs.Handler].
	call      func(*run, context.Context) error
	reconcile func(*run, context.Context) error
}

// stepsOf says what every verb does that [grammar] declares as a job.
func stepsOf() map[grammar.Verb]steps {
	return map[grammar.Verb]steps{
		grammar.VerbMeet:      {next: (*run).meetNext, call: (*run).meetCall, reconcile: (*run).meetReconcile},
		grammar.VerbSameDest:  {next: (*run).meetNext, call: (*run).meetCall, reconcile: (*run).meetReconcile},
		grammar.VerbMeetList:  {next: (*run).listNext},
		grammar.VerbMeetEnd:   {next: (*run).endAsk},
		grammar.VerbEndYes:    {next: (*run).endNext, call: (*run).endCall, reconcile: (*run).endReconcile},
		grammar.VerbMeetShare: {next: (*run).shareNext},
		grammar.VerbStartLink: {next: (*run).startLinkNext},
		grammar.VerbQR:        {next: (*run).qrNext},
		grammar.VerbCopy:      {next: (*run).copyNext},

		grammar.VerbPush:             {next: (*run).pushNext, call: (*run).pushCall, reconcile: (*run).pushReconcile},
		grammar.VerbPushTo:           {next: (*run).pushNext, call: (*run).pushCall, reconcile: (*run).pushReconcile},
		grammar.VerbPushOff:          {next: (*run).pushNext, call: (*run).pushCall, reconcile: (*run).pushReconcile},
		grammar.VerbPushStatus:       {next: (*run).statusNext},
		grammar.VerbPushSave:         {next: (*run).saveNext},
		grammar.VerbPushDestinations: {next: (*run).destinationsNext},
		grammar.VerbPushForget:       {next: (*run).forgetNext},
		grammar.VerbPushLog:          {next: (*run).logNext},
		grammar.VerbRevoke:           {next: (*run).revokeNext},

		grammar.VerbCreateAnyway: {next: (*run).repeatNext},
		grammar.VerbRunExpired:   {next: (*run).repeatNext},
		grammar.VerbRetry:        {next: (*run).repeatNext},
		grammar.VerbTencent:      {next: (*run).repeatNext},
		grammar.VerbApprove:      {next: (*run).approveNext},
		grammar.VerbReject:       {next: (*run).approveNext},
		grammar.VerbAskHost:      {next: (*run).askHostNext},

		grammar.VerbCards:  {next: (*run).cardsNext},
		grammar.VerbEvent:  {next: (*run).eventNext},
		grammar.VerbRemind: {next: (*run).remindNext},

		grammar.VerbApproval: {next: (*run).approvalNext},
	}
}

// CallingVerbs returns the verbs that call a provider in a way whose outcome may be unknown.
func CallingVerbs() []grammar.Verb {
	var calling []grammar.Verb
	for v, s := range stepsOf() {
		if s.call != nil {
			calling = append(calling, v)
		}
	}
	slices.Sort(calling)
	return calling
}

// declaredSteps returns [stepsOf], after making sure that exactly the verbs that are
// declared as jobs have steps.
func declaredSteps() map[grammar.Verb]steps {
	all := stepsOf()
	jobs := 0
	for _, d := range grammar.Verbs() {
		if !d.IsJob() {
			continue
		}
		jobs++
		if s := all[d.Verb]; s.next == nil || (s.call == nil) != (s.reconcile == nil) {
			panic(fmt.Sprintf("commands: %q is declared, and its steps are incomplete", d.Verb))
		}
	}
	if len(all) != jobs {
		panic("commands: a verb has steps, and is not declared as a job")
	}
	return all
}
