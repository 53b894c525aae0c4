package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// boards keep one message of a place up to date that shows everything that is pushed from there.
//
// The message is posted first, and is the place's board once that is written down; the next
// edit shows what changed in between. What a crash leaves behind an edit is left to the job that
// was to make it. A board takes the place of an earlier one, which says so in its last edit.
type boards struct {
	store    records.Store
	registry interface {
		Pushed(ctx context.Context, p chat.Place) (regs []registry.Registration, all bool, _ error)
	}
	cards cards
	queue queue
	text  func(on chat.Platform, locales ...string) texts.Text
}

// board is the document board/PLACE.
type board struct {
	Place  chat.Place // whose meetings it shows
	At     chat.Receipt
	Locale string
	Asked  time.Time // when it was asked for: a later one stays
	// Former are earlier boards that do not say yet that there is another.
	Former []chat.Receipt

	revision uint64
}

const (
	docBoard = "board"
	// mostFormer bounds them: more are forgotten as they are.
	mostFormer = 10
)

func readBoard(ctx context.Context, docs interface {
	Doc(ctx context.Context, key ...string) (jobs.Doc, error)
}, place string,
) (board, error) {
	doc, err := docs.Doc(ctx, docBoard, place)
	if err != nil {
		return board{}, err
	}
	b, err := records.Decode[board](doc.Value)
	b.revision = doc.Revision
	return b, err
}

// change rewrites the board of a place, as often as others get in between. When f returns false
// nothing is written.
func (h boards) change(ctx context.Context, place string, f func(*board) bool) (board, error) {
	for {
		b, err := readBoard(ctx, h.store, place)
		if err != nil && !errors.Is(err, jobs.ErrNotFound) {
			return b, err
		}
		if !f(&b) {
			return b, nil
		}
		value, err := records.Encode(b)
		if err != nil {
			return b, err
		}
		b.revision, err = h.store.PutDoc(ctx, jobs.Doc{Key: []string{docBoard, place}, Value: value, Revision: b.revision})
		if !errors.Is(err, jobs.ErrConflict) {
			return b, err
		}
	}
}

// next posts the board.
func (h boards) next(ctx context.Context, r *run) (jobs.Next, error) {
	place := r.w.Request.Place
	reply, err := h.draw(ctx, r.public(), place, place.Platform)
	if err != nil {
		return jobs.Next{}, err
	}
	r.put(delivery{Slot: chat.SlotRoot, Reply: reply, Board: place.Key()})
	r.put(delivery{Slot: chat.SlotEdit, Reply: reply, Board: place.Key()})
	return r.answer(outcomeShown, chat.Reply{Tone: chat.Good, Title: r.t.T("board.done")})
}

// redraw brings one message up to date: the board, or one that was it.
func (h boards) redraw(_ context.Context, r *run) (jobs.Next, error) {
	r.endAs(outcomeDrawn)
	r.put(delivery{Slot: chat.SlotEdit, Place: &r.w.Card.Place, Edit: r.w.Card, Board: r.w.Ask.Arg})
	return jobs.Deliver(), nil
}

// copy gives what the board shows as text to be pasted.
func (h boards) copy(ctx context.Context, r *run) (jobs.Next, error) {
	v, err := h.view(ctx, r.t, r.w.Request.Place)
	if err != nil {
		return jobs.Next{}, err
	}
	reply := chat.Reply{Title: r.t.T("copy.title"), Copy: v.copied(r.t)}
	if len(v.shows) == 0 {
		reply = chat.Reply{Text: r.t.T("board.none")}
	}
	return r.answer(outcomeShown, reply)
}

// redrawBoards has the boards of places show a meeting as it is.
func (h queue) redrawBoards(ctx context.Context, reg registry.Registration, places ...string) error {
	return h.redrawBoardsFor(ctx, reg, "", places...)
}

// redrawBoardsFor does it for a reason beside the meeting's changes.
func (h queue) redrawBoardsFor(ctx context.Context, reg registry.Registration, because string, places ...string) error {
	if !reg.Pushed() && (reg.Before == nil || !reg.Before.Pushed()) {
		return nil
	}
	for _, place := range places {
		b, err := readBoard(ctx, h.store, place)
		switch {
		case errors.Is(err, jobs.ErrNotFound), errors.Is(err, records.ErrUnreadable):
			continue
		case err != nil:
			return err
		}
		if err := h.redrawBoard(ctx, place, b.At, fmt.Sprintf("%s:%d%s", reg.Ref(), reg.Version(), because)); err != nil {
			return err
		}
	}
	return nil
}

// redrawBoard has one message brought up to date, once for the same reason.
func (h queue) redrawBoard(ctx context.Context, place string, at chat.Receipt, because string) error {
	req := chat.Request{ID: fmt.Sprintf("board:%s:%s:%s:%s", place, at.Place.Key(), at.Message, because), At: h.now()}
	return h.own(ctx, work{Request: req, Ask: grammar.Ask{Verb: grammar.VerbBoards, Arg: place}, Card: &at})
}

// edit shows on a message what it is to show now. One that people have deleted is forgotten.
func (h boards) edit(ctx context.Context, r *run, d delivery, poster chat.Poster, p chat.Post) (chat.Receipt, error) {
	var shown []byte
	at := d.Edit
	if at == nil {
		if at = r.root(); at == nil || at.Message == "" {
			return chat.Receipt{}, fmt.Errorf("%w: a board that cannot be edited", chat.ErrSkip)
		}
		if err := h.take(ctx, r, d.Board, *at); err != nil {
			return chat.Receipt{}, err
		}
		shown, _ = records.Encode(r.marked(r.public(), d.Reply, at.Place.Platform))
	}
	p.Place, p.Edit, p.Origin = at.Place, at, nil
	for range 5 { // it changes while it is edited, and the edit for that may have gone before this one
		reply, t, current, err := h.now(ctx, d.Board, *at)
		if err != nil {
			return *at, err
		}
		p.Reply = r.marked(t, reply, at.Place.Platform)
		now, err := records.Encode(p.Reply)
		if err != nil || bytes.Equal(now, shown) {
			return *at, err
		}
		_, err = post(ctx, poster, p)
		if errors.Is(err, chat.ErrGone) {
			return *at, errors.Join(chat.ErrSkip, h.drop(ctx, d.Board, *at))
		}
		if err != nil {
			return *at, err
		}
		if !current {
			return *at, h.drop(ctx, d.Board, *at)
		}
		shown = now
	}
	return *at, nil // it changes all the time, and each change has an edit of its own
}

// now is what a message is to show, in its language, and whether it is the place's board.
func (h boards) now(ctx context.Context, place string, at chat.Receipt) (reply chat.Reply, t texts.Text, current bool, _ error) {
	b, err := readBoard(ctx, h.store, place)
	t = h.text(at.Place.Platform, b.Locale)
	switch {
	case errors.Is(err, jobs.ErrNotFound): // the one that took its place was deleted
		return chat.Reply{Text: t.T("board.over")}, t, false, nil
	case err != nil:
		return reply, t, false, err
	case b.At != at:
		return chat.Reply{Text: t.T("board.replaced")}, t, false, nil
	}
	reply, err = h.draw(ctx, t, b.Place, at.Place.Platform)
	return reply, t, true, err
}

// take makes a message the board of a place, and has the earlier ones say so. It may be repeated.
func (h boards) take(ctx context.Context, r *run, place string, at chat.Receipt) error {
	asked := r.w.Request.At
	b, err := h.change(ctx, place, func(b *board) bool {
		was := b.At
		switch {
		case was == at, slices.Contains(b.Former, at):
			return false
		case asked.Before(b.Asked):
			b.Former = append(b.Former, at)
		case was.Message != "":
			b.Former = append(b.Former, was)
			fallthrough
		default:
			b.Place, b.At, b.Locale, b.Asked = r.w.Request.Place, at, r.public().Locale, asked
		}
		b.Former = b.Former[max(0, len(b.Former)-mostFormer):]
		return true
	})
	if err != nil {
		return err
	}
	for _, former := range b.Former {
		if err := h.queue.redrawBoard(ctx, place, former, "replaced"); err != nil {
			return err
		}
	}
	return nil
}

// drop forgets a message that is not there any more, or that says that it is no board.
func (h boards) drop(ctx context.Context, place string, at chat.Receipt) error {
	b, err := h.change(ctx, place, func(b *board) bool {
		n := len(b.Former)
		b.Former = slices.DeleteFunc(b.Former, func(f chat.Receipt) bool { return f == at })
		return len(b.Former) < n
	})
	if err != nil || b.At != at {
		return err
	}
	err = h.store.DeleteDoc(ctx, b.revision, docBoard, place)
	if errors.Is(err, jobs.ErrConflict) { // another one has taken its place
		return nil
	}
	return err
}

// What a board has room for, on every platform.
const (
	mostOnBoard     = 10 // meetings
	mostBoardPushes = 30 // of all of them
	mostBoardText   = 2600
	mostBoardLinks  = 25 // with the buttons

	maxBoardTopic  = 60
	maxBoardReason = 200
)

// boardView is what a board shows.
type boardView struct {
	shows []boardShow
	more  int  // meetings that there is no room for
	all   bool // those are counted
}

// boardShow is a meeting on a board.
type boardShow struct {
	reg           registry.Registration
	topic         string
	state, watch  string
	pushes        []boardPush
	more          int // addresses that there is no room for
	trouble, live bool
}

// boardPush is one address of a meeting, or what is told of one.
type boardPush struct {
	name, text, bare string // bare has no times and people
	push             registry.Push
}

// view reads what is pushed from a place: what is live first, and then the newest.
func (h boards) view(ctx context.Context, t texts.Text, place chat.Place) (boardView, error) {
	regs, all, err := h.registry.Pushed(ctx, place)
	if err != nil {
		return boardView{}, err
	}
	slices.SortStableFunc(regs, func(a, b registry.Registration) int { return liveness(b) - liveness(a) })
	v := boardView{all: all}
	room, pushes := mostBoardText, mostBoardPushes
	for i, reg := range regs {
		s := h.show(t, reg)
		length := utf8.RuneCountInString(s.topic + s.state + s.watch)
		fit := 0
		for _, p := range s.pushes {
			length += utf8.RuneCountInString(p.name + p.text)
			if fit == pushes || length > room {
				break
			}
			fit++
		}
		if i == mostOnBoard || fit == 0 {
			v.more = len(regs) - i
			break
		}
		s.pushes, s.more = s.pushes[:fit], len(s.pushes)-fit
		room, pushes = room-length, pushes-fit
		v.shows = append(v.shows, s)
	}
	return v, nil
}

func liveness(reg registry.Registration) int {
	switch {
	case !reg.LiveAt.IsZero():
		return 2
	case reg.Meeting.State == meeting.StateRunning:
		return 1
	}
	return 0
}

func (h boards) show(t texts.Text, reg registry.Registration) boardShow {
	s := boardShow{
		reg: reg, topic: shortened(reg.Meeting.Topic, maxBoardTopic), state: h.cards.stateText(t, reg), watch: audienceText(t, reg),
		live: !reg.LiveAt.IsZero(), trouble: slices.ContainsFunc(reg.Words, func(w registry.Word) bool { return !slices.Contains(quiet, w.Said.ID) }),
	}
	for _, p := range reg.Pushes {
		bare := h.setText(t, reg, p)
		parts := []string{bare}
		if !p.At.IsZero() {
			parts = append(parts, t.T("board.since", "Time", chat.Instant(p.At)))
		}
		if p.By != "" {
			parts = append(parts, t.T("board.by", "Name", p.By))
		}
		for _, w := range reg.Words {
			if w.Name == p.Name {
				said := h.wordText(t, reg, w)
				parts, bare = append(parts, said), bare+" · "+said
			}
		}
		s.pushes = append(s.pushes, boardPush{shortened(p.Name, maxBoardTopic), joined(parts), bare, p})
	}
	for _, w := range reg.Words {
		if slices.ContainsFunc(reg.Pushes, func(p registry.Push) bool { return p.Name == w.Name }) {
			continue
		}
		bare := h.wordText(t, reg, w)
		parts := []string{bare, chat.Instant(w.At)}
		if w.By != "" {
			parts = append(parts, t.T("board.by", "Name", w.By))
		}
		s.pushes = append(s.pushes, boardPush{shortened(w.Name, maxBoardTopic), joined(parts), bare, registry.Push{}})
	}
	return s
}

// quiet are the words that nobody has to look after.
var quiet = []string{"step.absent", "step.off.set"}

// setText says what is known of an address that is set.
func (h boards) setText(t texts.Text, reg registry.Registration, p registry.Push) string {
	id := "step.off.set"
	switch {
	case p.Enabled && kindOf(h.cards.kinds, reg.Ref().Provider).Push.Replaces: // nothing is switched there
		id = "step.set"
	case p.Enabled:
		id = "step.on.set"
	case p.Standby:
		id = "board.standby"
	}
	if !p.Read {
		switch id {
		case "step.off.set":
			id = "board.off.unread"
		case "board.standby":
			id = "board.standby.unread"
		default:
			id = "step.unread"
		}
	}
	return t.T(id)
}

// wordText says what became of an address that is not as it was wanted. The provider is called
// as the board's readers call it.
func (h boards) wordText(t texts.Text, reg registry.Registration, w registry.Word) string {
	said := w.Said
	if said.ID == "step."+string(callReplaced) { // without the option: nobody types a push here
		said.ID = "board.other_key"
	}
	said.Args = append(slices.Clone(said.Args), "Provider", nameOf(t, h.cards.kinds, reg.Ref().Provider))
	return shortened(oneSpace(said.In(t)), maxBoardReason)
}

func joined(parts []string) string {
	all := ""
	for _, p := range parts {
		all = joinNotes(all, p)
	}
	return all
}

// shortened cuts a text, and shows that it did.
func shortened(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return cutRunes(s, n-1) + "…"
}

// draw is the board of a place as everything is.
func (h boards) draw(ctx context.Context, t texts.Text, place chat.Place, on chat.Platform) (chat.Reply, error) {
	v, err := h.view(ctx, t, place)
	if err != nil {
		return chat.Reply{}, err
	}
	reply := chat.Reply{Title: t.T("board.title")}
	if len(v.shows) == 0 {
		reply.Text = t.T("board.none")
	}
	var off, stop []chat.Button
	for _, s := range v.shows {
		reply.Fields = append(reply.Fields, chat.Field{Name: s.topic, Heading: true}, chat.Field{Name: t.T("field.state"), Value: s.state})
		for _, p := range s.pushes {
			reply.Fields = append(reply.Fields, chat.Field{Name: p.name, Value: p.text})
			if p.push.Enabled && p.push.Page != "" && !slices.ContainsFunc(reply.Links, func(l chat.Link) bool { return l.URL == p.push.Page }) {
				reply.Links = append(reply.Links, chat.Link{Label: t.T("link.watch_at", "Name", p.name), URL: p.push.Page})
			}
		}
		if s.more > 0 {
			reply.Fields = append(reply.Fields, chat.Field{Name: "…", Value: t.T("board.more_pushes", "Count", strconv.Itoa(s.more))})
		}
		if s.watch != "" {
			reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.viewers"), Value: s.watch})
		}
		each, all := h.buttons(t, s, on)
		if len(v.shows) > 1 {
			for _, buttons := range [][]chat.Button{each, all} {
				for i := range buttons {
					buttons[i].Label += " · " + s.topic
				}
			}
		}
		off, stop = append(off, each...), append(stop, all...)
		switch {
		case s.trouble:
			reply.Tone = chat.Warning
		case s.live && reply.Tone == chat.Neutral:
			reply.Tone = chat.Good
		}
	}
	if len(v.shows) == 0 {
		return reply, nil
	}
	room := mostBoardLinks - len(stop) - 1
	var notes []string
	switch {
	case v.more > 0 && !v.all:
		notes = append(notes, t.T("board.more_least", "Count", strconv.Itoa(v.more)))
	case v.more > 0:
		notes = append(notes, t.T("board.more", "Count", strconv.Itoa(v.more)))
	}
	if len(off) > room {
		off, notes = off[:room], append(notes, t.T("board.more_buttons"))
	}
	reply.Text = texts.Paragraphs(notes...)
	reply.Links = reply.Links[:min(len(reply.Links), room-len(off))]
	reply.Buttons = slices.Concat(off, stop, []chat.Button{{Label: t.T("board.copy"), Action: grammar.Press(grammar.VerbBoardCopy, "")}})
	return reply, nil
}

// buttons take a meeting off the air: each address, and all, as its card does.
func (h boards) buttons(t texts.Text, s boardShow, on chat.Platform) (each, all []chat.Button) {
	ref := s.reg.Ref()
	kind := kindOf(h.cards.kinds, ref.Provider)
	if !kind.Push.Replaces {
		for _, p := range s.pushes {
			if p.push.Enabled && p.push.Address != "" {
				each = append(each, chat.Button{Label: t.T("button.off", "Name", p.name), Action: grammar.PressOff(ref, p.push.Address)})
			}
		}
	}
	return each, h.cards.stopButton(t, s.reg, on)
}

// copied is the view as plain text.
func (v boardView) copied(t texts.Text) string {
	var b bytes.Buffer
	line := func(name, value string) { fmt.Fprintln(&b, t.T("copy.line", "Name", name, "Value", value)) }
	for i, s := range v.shows {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintln(&b, s.topic)
		for _, p := range s.pushes {
			line(p.name, p.bare)
			if p.push.Enabled && p.push.Page != "" {
				line(t.T("link.watch_at", "Name", p.name), p.push.Page)
			}
		}
	}
	return string(bytes.TrimSpace(b.Bytes()))
}
