package commands

import (
	"iter"
	"log/slog"
	"strings"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// run is one step of one job: what was asked, what is known by now, and what is to be said.
type run struct {
	job   *jobs.Job
	w     *work
	t     texts.Text
	now   func() time.Time
	log   *slog.Logger
	note  func(chat.Platform) string // ID of the small print of every message there; empty: none
	kinds meeting.Kinds
	// here are the providers and accounts that the place may use.
	here []meeting.Provider
	// text speaks a language as a platform writes commands; platform is the one that the
	// command came from.
	text     func(on chat.Platform, locales ...string) texts.Text
	platform chat.Kind
}

// kind is what is true of a provider; of one that nobody knows any more, nothing.
func (r *run) kind(p meeting.Provider) meeting.Kind { return kindOf(r.kinds, p) }

func kindOf(all meeting.Kinds, p meeting.Provider) meeting.Kind {
	k, _ := all.Kind(p)
	return k
}

// public is the language of what everybody sees where the command ran.
func (r *run) public() texts.Text {
	if r.w.Public == "" {
		return r.t
	}
	return r.text(r.w.Request.Place.Platform, r.w.Public)
}

// endAs says how the job ends, should it not be repeated.
func (r *run) endAs(o Outcome) { r.job.Outcome = o.String() }

func (r *run) close() error {
	data, err := records.Encode(r.w)
	if err == nil {
		r.job.Data = data
		r.leave()
	}
	return err
}

// leave ends a step that has not changed r.w since it was opened or closed.
func (r *run) leave() { r.job.Memo = r.w }

// clock shows an instant, which each reader sees in their own zone.
func (r *run) clock(at time.Time) string { return chat.Instant(at) }

func (r *run) links(m meeting.Meeting) []chat.Link { return linksOf(r.t, m) }

// delivery is one post of a job, as its outbox keeps it. What is zero comes from the
// request.
type delivery struct {
	Slot  chat.Slot     `cbor:",omitzero"`
	Reply chat.Reply    `cbor:",omitzero"`
	Place *chat.Place   `cbor:",omitzero"`
	User  *chat.User    `cbor:",omitzero"`
	Root  *chat.Receipt `cbor:",omitzero"`
	Edit  *chat.Receipt `cbor:",omitzero"`
	// Card is the meeting whose card the message is: its receipt is remembered, and an
	// edit shows the meeting as it is when the edit is made.
	Card meeting.Ref `cbor:",omitzero"`
	// Of is the job that made the meeting, where the number may be another's by now.
	Of string `cbor:",omitzero"`
	// Board is the key of the place whose board the message is, or was. An edit shows the board as
	// it is when the edit is made; one of no message is of the job's own root, which is the board
	// from then on and has Reply.
	Board string `cbor:",omitzero"`
}

// put adds a delivery to the outbox.
func (r *run) put(d delivery) {
	body, err := records.Encode(d)
	if err != nil { // unreachable: every field of a delivery can be encoded
		r.log.Error("delivery not encoded", "job", r.job.ID, "err", err)
		return
	}
	lane, rank := d.order(r.platform.Aside)
	if r.platform.Local { // nothing is slow there, and people read it from the top
		rank = 0
	}
	r.job.Outbox = append(r.job.Outbox, jobs.Delivery{Body: body, Lane: lane, Rank: rank, Label: r.labelOf(d)})
}

// order says which deliveries d waits for, and how it ranks among the others: the person who
// asked comes first, as soon as the platform can tell one person alone.
func (d delivery) order(aside bool) (lane string, rank int) {
	alone := 2
	if aside {
		alone = 0
	}
	switch d.Slot {
	case chat.SlotPrivate:
		return "alone", alone
	case chat.SlotDirect:
		if d.User != nil {
			return "direct " + d.User.ID, alone
		}
		return "direct", alone
	case chat.SlotEdit: // of a message that is there already
		if d.Edit == nil {
			return "", 1
		}
		return "edit " + d.Edit.Place.Key() + " " + d.Edit.Message, 4
	case chat.SlotRoot, chat.SlotSettle:
		return "", 1
	}
	return "", 3
}

// labelOf says to an operator what a delivery is, and where it goes.
func (r *run) labelOf(d delivery) string {
	label := strings.ReplaceAll(string(d.Slot), "_", " ")
	if d.Place != nil && *d.Place != r.w.Request.Place {
		label += " in " + d.Place.Key()
	}
	if d.User != nil && d.User.ID != r.w.Request.User.ID {
		label += " to " + d.User.ID
	}
	return label
}

// tell adds a private answer to the requester, where the command ran.
func (r *run) tell(reply chat.Reply) { r.put(delivery{Slot: chat.SlotPrivate, Reply: reply}) }

// answer ends the job with a private answer to the requester.
func (r *run) answer(o Outcome, reply chat.Reply) (jobs.Next, error) {
	r.endAs(o)
	r.tell(reply)
	return jobs.Deliver(), nil
}

// settle resolves a placeholder that everybody sees and that nothing will come of. The
// reason is told privately.
func (r *run) settle() {
	if grammar.Declared(r.w.Ask.Verb).Public && r.w.Ask.Doubt == "" {
		id := "settled.created"
		switch r.w.Ask.Verb {
		case grammar.VerbMeetShare:
			id = "settled.shared"
		case grammar.VerbPushBoard:
			id = "settled.board"
		}
		r.put(delivery{Slot: chat.SlotSettle, Reply: chat.Reply{Text: r.public().T(id)}})
	}
}

func joinNotes(a, b string) string {
	if a == "" || a == b {
		return b
	}
	return a + " · " + b
}

// smallPrint is the text that says, in the sandbox, that nothing is real: with where its links
// open, if people who see them sit elsewhere.
func (c Config) smallPrint(on chat.Platform) string {
	switch {
	case !c.Parser.Sandbox:
		return ""
	case c.SandboxHere && !c.Platforms.Of(on).Local:
		return "sandbox.note.here"
	}
	return "sandbox.note"
}

// marked says, in the sandbox, that nothing is real.
func (r *run) marked(t texts.Text, reply chat.Reply, on chat.Platform) chat.Reply {
	if id := r.note(on); id != "" {
		reply.Note = joinNotes(reply.Note, t.T(id))
	}
	return reply
}

func (r *run) post(d delivery) chat.Post {
	req := r.w.Request
	p := chat.Post{Slot: d.Slot, Place: req.Place, User: req.User, Origin: req.Origin, Asked: req.At, Root: d.Root, Edit: d.Edit, Flat: d.Board != ""}
	if d.Place != nil { // somewhere else than where the command ran: its token is of no use there
		p.Place, p.Origin = *d.Place, nil
	}
	if d.User != nil {
		p.User = *d.User
	}
	t := r.t
	if !d.Slot.Private() {
		t = r.public()
	}
	p.Reply = r.marked(t, d.Reply, p.Place.Platform)
	return p
}

// posted is the receipt of a delivery, as the outbox keeps it.
type posted struct {
	Slot    chat.Slot    `cbor:",omitzero"`
	Receipt chat.Receipt `cbor:",omitzero"`
}

// root returns the message that this job posted for everybody.
func (r *run) root() *chat.Receipt {
	for p := range r.sent() {
		if p.Slot == chat.SlotRoot {
			return &p.Receipt
		}
	}
	return nil
}

// sent are the receipts of what the job has posted.
func (r *run) sent() iter.Seq[posted] {
	return func(yield func(posted) bool) {
		for _, item := range r.job.Outbox {
			if item.State != jobs.Sent {
				continue
			}
			if p, err := records.Decode[posted](item.Receipt); err == nil && !yield(p) {
				return
			}
		}
	}
}

// cardOf returns the meeting's card that is nearest to where the command ran: people are
// mentioned there, so it has to be on the same platform.
func (r *run) cardOf(reg registry.Registration) *chat.Receipt {
	place := r.w.Request.Place
	if card := reg.ThreadAt(place); card != nil {
		return card
	}
	for _, c := range reg.Cards {
		if c.Receipt.Place.Platform == place.Platform && c.Receipt.Place.Team == place.Team {
			return &c.Receipt
		}
	}
	return nil
}
