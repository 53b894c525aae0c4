package commands

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"meetbot/bot/audit"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/livepush"
	"meetbot/bot/registry"
	"meetbot/bot/settings"
)

// steps is what one verb does, as steps of a job.
type steps struct {
	// next says how the job goes on, and fills the outbox when it is through.
	next func(context.Context, *run) (jobs.Next, error)
	// call and reconcile are set where the verb changes something that must not happen
	// twice. See [jobs.Handler].
	call      func(context.Context, *run) error
	reconcile func(context.Context, *run) error
}

// parts are what verbs share. Each takes the few that it needs.
type parts struct {
	people    people
	clients   clients
	accounts  accounts
	registry  *registry.Registry
	targets   targets
	cards     cards
	boards    boards
	wishes    wishes
	queue     queue
	polling   polling
	early     early
	audience  audience
	reports   reports
	made      made
	dests     livepush.Destinations
	audit     auditor
	keyPage   keyPage
	saved     saved
	approvals approvals
	carry     carry
	repeat    repeat
	usual     usual
	locale    string
	settings  channelSettings
}

func newParts(b *Bot) parts {
	cfg := b.cfg
	p := parts{registry: b.registry, usual: usual{cfg.Parser.Default, cfg.Parser.Here != nil}, locale: cfg.Parser.Locale}
	p.people = people{policy: cfg.Policy, posters: b.posters, locale: p.locale, settings: settings.New(b.store)}
	p.clients = clients{cfg.Providers, cfg.Observe.Called}
	p.accounts = cfg.Accounts
	p.targets = targets{p.registry, p.people, p.clients, p.accounts, cfg.Parser.Kinds}
	p.cards = cards{platforms: cfg.Platforms, webhooks: cfg.Webhooks, kinds: cfg.Parser.Kinds, startInThread: cfg.StartLinkInThread}
	p.wishes = wishes{b.store, cfg.Retention}
	p.queue = queue{b.store, b.now}
	p.boards = boards{b.store, p.registry, p.cards, p.queue, b.parser.Text}
	p.early = early{b.store, p.queue, b.now}
	pace := newPace(pollsPerMinute)
	p.audience = audience{b.store, p.registry, p.clients, p.queue, pace, newRests(), b.store, cfg.Policy.Admins, b.now, b.log}
	p.made = made{b.store, b.store, p.registry, p.clients, cfg.Webhooks, p.queue, pace, newRests(), cfg.RecordingsInThread, b.now, b.log}
	p.reports = reports{b.store, p.registry, p.clients, p.queue, p.made, audit.New(b.store), cfg.Participants, b.now, b.log}
	p.polling = polling{
		timers: b.store, registry: p.registry, clients: p.clients, queue: p.queue, audience: p.audience, reports: p.reports, pace: pace, now: b.now, log: b.log,
	}
	p.dests = livepush.NewDestinations(b.store, b.now)
	p.audit = auditor{audit.New(b.store)}
	p.settings = channelSettings{p.people.settings, p.people, p.dests, p.audit, &b.cfg}
	p.keyPage = keyPage{cfg.KeyPageURL, keyLinks{b.store, b.now}, p.dests, p.people, p.queue}
	p.saved = saved{p.dests, p.people, p.audit, p.keyPage}
	p.carry = carry{b.store, p.dests, p.clients, b.now}
	p.approvals = approvals{b.store, b.store, p.registry, p.queue, p.audit, p.people, p.dests}
	p.repeat = repeat{b.store, p.people, p.wishes, p.clients, cfg.KeyPageURL != "", func(v grammar.Verb) steps { return b.steps[v] }}
	return p
}

// stepsOf says what every verb does that [grammar] declares as a job.
func stepsOf(p parts) map[grammar.Verb]steps {
	meet := meet{p.clients, p.accounts, p.people, p.wishes, p.registry, handover{p.registry, p.polling, p.early, p.cards}, p.usual}
	same := sameDestinations{meet, p.targets, p.people, p.queue, p.carry, p.registry}
	ending := ending{p.targets, p.clients, p.registry, p.queue, p.reports}
	sharing := sharing{p.targets, p.cards}
	seen := pushSeen{p.registry, p.dests, p.queue}
	live := live{p.targets, p.clients, seen, p.registry, p.queue, p.audit, p.cards.webhooks}
	push := push{
		p.targets, p.clients, pushCalls{p.saved, p.dests, p.audit}, p.approvals, p.keyPage,
		pushReport{p.clients, seen, p.dests, p.keyPage, p.audit, p.carry}, live,
	}
	events := events{p.registry, p.polling, p.targets, p.made}
	repeated := steps{next: p.repeat.next}
	return map[grammar.Verb]steps{
		grammar.VerbMeet:      {next: meet.next, call: meet.call, reconcile: meet.reconcile},
		grammar.VerbSameDest:  {next: same.next, call: meet.call, reconcile: meet.reconcile},
		grammar.VerbMeetList:  {next: listing{p.registry, p.cards}.next},
		grammar.VerbMeetEnd:   {next: ending.askFirst},
		grammar.VerbEndYes:    {next: ending.next, call: ending.call, reconcile: ending.reconcile},
		grammar.VerbMeetShare: {next: sharing.share},
		grammar.VerbQR:        {next: sharing.qr},
		grammar.VerbCopy:      {next: sharing.copy},
		grammar.VerbSettings:  {next: p.settings.next},
		grammar.VerbStartLink: {next: startLinks{p.targets, p.clients, p.registry}.next},

		grammar.VerbPush:             {next: push.next, call: push.call, reconcile: push.reconcile},
		grammar.VerbPushTo:           {next: push.next, call: push.call, reconcile: push.reconcile},
		grammar.VerbPushOff:          {next: push.next, call: push.call, reconcile: push.reconcile},
		grammar.VerbPushOn:           {next: push.next, call: push.call, reconcile: push.reconcile},
		grammar.VerbLiveStart:        {next: live.askStart},
		grammar.VerbLiveStartYes:     {next: live.nextStart, call: live.callStart, reconcile: live.reconcileStart},
		grammar.VerbLiveStop:         {next: live.askStop},
		grammar.VerbLiveStopYes:      {next: live.nextStop, call: live.callStop, reconcile: live.reconcileStop},
		grammar.VerbPushStatus:       {next: pushStatus{p.targets, p.clients, seen, p.cards}.next},
		grammar.VerbPushBoard:        {next: p.boards.next},
		grammar.VerbBoardCopy:        {next: p.boards.copy},
		grammar.VerbPushLog:          {next: changeLog{p.targets, p.audit.log}.next},
		grammar.VerbPushSave:         {next: p.saved.save},
		grammar.VerbPushDestinations: {next: p.saved.list},
		grammar.VerbPushForget:       {next: p.saved.askForget},
		grammar.VerbForgetYes:        {next: p.saved.forget},
		grammar.VerbRevoke:           {next: p.saved.askRevoke},
		grammar.VerbRevokeYes:        {next: p.saved.revoke},

		grammar.VerbCreateAnyway: repeated,
		grammar.VerbRunExpired:   repeated,
		grammar.VerbRetry:        repeated,
		grammar.VerbElsewhere:    repeated,
		grammar.VerbAskHost:      {next: askHost{p.repeat, p.registry, p.wishes}.next},
		grammar.VerbApprove:      {next: p.approvals.decide},
		grammar.VerbReject:       {next: p.approvals.decide},

		grammar.VerbCards:    {next: events.cards},
		grammar.VerbBoards:   {next: p.boards.redraw},
		grammar.VerbEvent:    {next: events.next},
		grammar.VerbRemind:   {next: reminders{p.targets, p.clients}.next},
		grammar.VerbReport:   {next: p.reports.next},
		grammar.VerbUnseen:   {next: p.audience.tellAdmins},
		grammar.VerbApproval: {next: p.approvals.question},
	}
}

// CallingVerbs returns the verbs that call a provider in a way whose outcome may be unknown.
func CallingVerbs() []grammar.Verb {
	var calling []grammar.Verb
	for v, s := range stepsOf(parts{}) {
		if s.call != nil {
			calling = append(calling, v)
		}
	}
	slices.Sort(calling)
	return calling
}

// declaredSteps returns [stepsOf]. A verb that is declared and does nothing, or does
// something and is not declared, is a bug that no bot starts with.
func declaredSteps(p parts) map[grammar.Verb]steps {
	all := stepsOf(p)
	if err := match(all, grammar.Verbs()); err != nil {
		panic(err)
	}
	return all
}

// match makes sure that exactly the verbs that are declared as jobs have steps.
func match(all map[grammar.Verb]steps, declared []grammar.VerbDecl) error {
	rest := maps.Clone(all)
	for _, d := range declared {
		if !d.IsJob() {
			continue
		}
		s := all[d.Verb]
		if s.next == nil || (s.call == nil) != (s.reconcile == nil) {
			return fmt.Errorf("commands: the verb %q is declared, and its steps are incomplete", d.Verb)
		}
		delete(rest, d.Verb)
	}
	for v := range rest {
		return fmt.Errorf("commands: the verb %q has steps, and is not declared as a job", v)
	}
	return nil
}
