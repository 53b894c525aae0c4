package main

const (
	jobsSuite     = "bot/jobs"
	engineSuite   = "bot/jobs/internal/engine"
	commandsSuite = "bot/commands"
	slackSuite    = "bot/adapters/slack"
	discordSuite  = "bot/adapters/discord"
	kitSuite      = "bot/adapters/kit"
	signedSuite   = "bot/signed"
	promiseSuite  = "bench/promise"
)

func mutations() []mutation {
	return []mutation{
		{
			name: "acknowledges before the save", file: "bot/commands/bot.go",
			old:    "		_, err = b.store.Enqueue(ctx, j)\n",
			new:    "		go func() { _, _ = b.store.Enqueue(context.WithoutCancel(ctx), j) }()\n",
			suites: []string{commandsSuite, promiseSuite}, likely: "Accept|Busy|Full|Same",
		},
		{
			name: "calls before it has saved that it calls", file: "bot/jobs/call.go",
			old:    "	if s.saved(r.cfg.EnqueueWindow) != nil {\n",
			new:    "	if false {\n",
			suites: []string{jobsSuite, promiseSuite}, likely: "TestPromise|TestProperty|Properties|Kill|ManyAtOnce",
		},
		{
			name: "posts twice", file: "bot/commands/outbox.go",
			old:    "	receipt, err := post(ctx, poster, p)\n",
			new:    "	_, _ = post(ctx, poster, p)\n	receipt, err := post(ctx, poster, p)\n",
			suites: []string{commandsSuite}, likely: "TestMeetPosts|TestTheSameWish",
		},
		{
			name: "repeats a call of unknown outcome", file: "bot/jobs/call.go",
			old:    "	case errors.Is(err, ErrUnknown):\n		s.ended(Unknown)\n",
			new:    "	case errors.Is(err, ErrUnknown):\n		s.begin()\n",
			suites: []string{jobsSuite, commandsSuite}, likely: "Unknown|Hanging|Outcome|Late",
		},
		{
			name: "loses the last message of a job", file: "bot/jobs/record.go",
			old:    "	for _, d := range j.Outbox {\n",
			new:    "	for _, d := range j.Outbox[:max(0, len(j.Outbox)-1)] {\n",
			suites: []string{jobsSuite, commandsSuite}, likely: "Goes|Deliver|Lane|Another",
		},
		{
			name: "believes a stale card", file: "bot/commands/outbox.go",
			old:    "		if !reg.HasCard(*d.Edit) {",
			new:    "		if false {",
			suites: []string{commandsSuite}, likely: "Number|Earlier|LateEdit",
		},
		{
			name: "makes an edit that a newer one has overtaken", file: "bot/adapters/kit/edits.go",
			old:    "	if !newest() {\n",
			new:    "	if !newest() && false {\n",
			suites: []string{kitSuite, slackSuite},
		},
		{
			name: "ignores another replica's lease", file: "bot/jobs/store.go",
			old:    "	at := j.Lease.Add(s.skew())\n",
			new:    "	at := s.cfg.Now()\n",
			suites: []string{jobsSuite}, likely: "Takes|TakenOver|Gone|Process|Lease|Cluster",
		},
		{
			name: "skips an authorisation", file: "bot/commands/handler.go",
			old:    "		if err := b.people.mustHave(ctx, r, d.Right); err != nil {\n",
			new:    "		if err := b.people.mustHave(ctx, r, d.Right); false && err != nil {\n",
			suites: []string{commandsSuite}, likely: "Guard|Denied|Refus|Permit|Rights|May",
		},
		{
			name: "takes an unconfirmed write for stored", file: "bot/jobs/store.go",
			old:    "		if !pause(ctx) {\n			return 0, fmt.Errorf(\"%w: %w\", ErrNotConfirmed, err)\n",
			new:    "		if !pause(ctx) {\n			return expect + 1, nil\n",
			suites: []string{jobsSuite}, likely: "Confirm|Durable|Window|Put|Lost|Saved",
		},
		{
			name: "counts a failed delivery as sent", file: "bot/jobs/runner.go",
			old:    "	default:\n		d.Attempt++\n		j.Attempt++\n",
			new:    "	case d.Attempt == 0:\n		d.State = Sent\n	default:\n		d.Attempt++\n		j.Attempt++\n",
			suites: []string{jobsSuite, commandsSuite}, likely: "Deliver|Lane|Downtime",
		},
		{
			name: "posts to Discord without the nonce that makes a repeat harmless", file: "bot/adapters/discord/rest.go",
			old:    "m.EnforceNonce = nonce, nonce != \"\"",
			new:    "m.EnforceNonce = nonce, nonce == \"\"",
			suites: []string{discordSuite},
		},
		{
			name: "answers privately in the channel", file: "bot/adapters/slack/post.go",
			old:    "	chat.SlotPrivate:       {(*poster).asideInThread,",
			new:    "	chat.SlotPrivate:       {(*poster).inChannel, (*poster).asideInThread,",
			suites: []string{slackSuite},
		},
		{
			name: "forgets a success that comes late", file: "bot/jobs/call.go",
			old:    "			corrected = r.h.Late(ctx, &j, late)\n",
			new:    "			corrected = false\n",
			suites: []string{jobsSuite}, likely: "Late",
		},
		{
			name: "reports a found meeting a second time", file: "bot/commands/handler.go",
			old:    "	case was != nil && l.w.Meeting != nil && was.Ref == l.w.Meeting.Ref,",
			new:    "	case was != nil && l.w.Meeting != nil && was.Ref != l.w.Meeting.Ref,",
			suites: []string{commandsSuite}, likely: "WhatWasFound",
		},
		{
			name: "does not sync what it writes", file: "bot/jobs/internal/engine/pebble.go",
			old:    "	if err := in.apply(b, pebble.Sync); err != nil {\n",
			new:    "	if err := in.apply(b, pebble.NoSync); err != nil {\n",
			suites: []string{engineSuite, jobsSuite}, likely: "Power",
		},
		{
			name: "never says that it takes longer", file: "bot/jobs/promise.go",
			old:    "	if r.taking.Err() != nil || s.told(key) ||",
			new:    "	if r.taking.Err() == nil || s.told(key) ||",
			suites: []string{jobsSuite}, likely: "Notice",
		},
		{
			name: "lets one room hold up the messages of all others", file: "bot/jobs/runner.go",
			old:    "		if d.State != Pending || seen[d.Lane] {\n",
			new:    "		if d.State != Pending || len(seen) > 0 {\n",
			suites: []string{jobsSuite, commandsSuite}, likely: "Lane",
		},
		{
			name: "treats a repeated command as a new one", file: "bot/commands/repeat.go",
			old:    "	if r.w.Repeated { // on purpose\n",
			new:    "	if true { // on purpose\n",
			suites: []string{commandsSuite}, likely: "SameWish",
		},
		{
			name: "keeps a start link for ever", file: "bot/commands/work.go",
			old:    "		m.StartURL, m.HostKey = noSecret, noSecret\n",
			new:    "",
			suites: []string{commandsSuite}, likely: "KeepsNoSecrets",
		},
		{
			name: "carries out what was typed long ago", file: "bot/commands/handler.go",
			old:    "		if r.now().Sub(r.w.Since) > staleAfter {\n",
			new:    "		if r.now().Sub(r.w.Since) > 1000*staleAfter {\n",
			suites: []string{commandsSuite}, likely: "Stale|Waited|Old|Command",
		},
		{
			name: "accepts an unsigned request", file: "bot/signed/signed.go",
			old:    "		case !g.scheme.Valid(r, body):\n",
			new:    "		case g.scheme.Valid == nil:\n",
			suites: []string{signedSuite, slackSuite}, likely: ".",
		},
		{
			name: "follows a clock that somebody sets", file: "bot/jobs/clock.go",
			old:    "	c.shown, c.read = next.Add(min(max(off, -passed/slower), passed/slower)), now\n",
			new:    "	c.shown, c.read = next.Add(off), now\n",
			suites: []string{jobsSuite}, likely: "Clock",
		},
		{
			name: "lets every replica say that it takes longer", file: "bot/jobs/promise.go",
			old:    "	return !errors.Is(err, ErrConflict)\n",
			new:    "	return !errors.Is(err, ErrConflict) || true\n",
			suites: []string{jobsSuite}, likely: "OneReplica",
		},
		{
			name: "leaves it to a dead replica to say that it takes longer", file: "bot/jobs/replicas.go",
			old:    "		s.promiseFor(said.unheard)\n",
			new:    "		_ = said\n",
			suites: []string{jobsSuite}, likely: "DeadReplica",
		},
		{
			name: "carries out what another bot answers", file: "bot/commands/handler.go",
			old:    "errors.Is(err, chat.ErrTaken) {",
			new:    "errors.Is(err, chat.ErrSkip) {",
			suites: []string{commandsSuite}, likely: "AnotherBot",
		},
	}
}
