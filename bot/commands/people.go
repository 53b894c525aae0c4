package commands

import (
	"context"
	"errors"
	"strings"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/policy"
	"meetbot/bot/settings"
	"meetbot/bot/texts"
)

// people knows who may do what, and what the platforms know of them.
type people struct {
	policy  policy.Policy
	posters map[chat.Platform]chat.Poster
	locale  string // of whom nobody knows it
	// settings have the lists that narrow, in a place, what the policy permits.
	settings settings.Settings
}

func (h people) directory(p chat.Platform) chat.Directory {
	dir, _ := h.posters[p].(chat.Directory)
	return dir
}

// lookUp completes what the event did not say of the person.
func (h people) lookUp(ctx context.Context, r *run) error {
	u := &r.w.Request.User
	if r.w.Locale != "" {
		return nil
	}
	r.w.Locale = h.locale
	if u.Locale != "" {
		r.w.Locale = u.Locale
	}
	if dir := h.directory(r.w.Request.Place.Platform); dir != nil && (u.Locale == "" || u.Name == "") {
		profile, err := dir.Profile(ctx, r.w.Request.Place, u.ID)
		if err != nil {
			return err
		}
		if profile.Locale != "" && u.Locale == "" {
			r.w.Locale = profile.Locale
		}
		if u.Name == "" {
			u.Name = grammar.CleanName(profile.Name)
		}
	}
	r.t = r.text(r.w.Request.Place.Platform, r.w.Locale)
	return nil
}

// nameMentions puts names where a topic has only IDs: a platform may not send both.
func (h people) nameMentions(ctx context.Context, r *run) {
	place := r.w.Request.Place
	dir := h.directory(place.Platform)
	for i := range r.w.Ask.Mentions {
		u := &r.w.Ask.Mentions[i]
		if u.Name != "" || dir == nil {
			continue
		}
		profile, err := dir.Profile(ctx, place, u.ID)
		name := grammar.CleanName(profile.Name)
		if err != nil || name == "" {
			r.log.WarnContext(ctx, "mentioned person not looked up", "job", r.job.ID, "err", err)
			continue
		}
		u.Name = name
		r.w.Ask.Meet.Topic = strings.ReplaceAll(r.w.Ask.Meet.Topic, "@"+u.ID, "@"+u.Name)
	}
}

// mustHave returns the refusal of a person who does not have a right.
func (h people) mustHave(ctx context.Context, r *run, right chat.Rights) error {
	err := h.may(ctx, r.w.Request.Place, r.w.Request.User, right, r.w.Lists)
	if err != nil && !isDenied(err) {
		return h.notLookedUp(ctx, r, err)
	}
	return err
}

// may returns a [denied] of a person who does not have a right at a place with these lists, and
// another error if that could not be looked up. What the lists say is not for those who may
// change them, and does not bind admins.
func (h people) may(ctx context.Context, place chat.Place, u chat.User, right chat.Rights, lists []policy.List) error {
	dir := h.directory(place.Platform)
	allowed, err := h.policy.Permits(ctx, dir, place, u, right)
	switch {
	case err != nil:
		return err
	case !allowed:
		return denied{right: right}
	case len(lists) == 0, right == chat.RightSettings:
		return nil
	}
	if admin, err := h.policy.IsAdmin(ctx, dir, place, u); admin || err != nil {
		return err
	}
	for _, l := range lists {
		if ok, err := l.Permits(ctx, dir, place, u); err != nil {
			return err
		} else if !ok {
			return denied{right, true}
		}
	}
	return nil
}

// mayNow is [people.may] with the lists as they are now.
func (h people) mayNow(ctx context.Context, place chat.Place, u chat.User, right chat.Rights) error {
	here, err := h.settings.Here(ctx, place)
	if err != nil {
		return err
	}
	return h.may(ctx, place, u, right, here.Lists())
}

// same reports whether two people, each seen at a place, are one.
func (h people) same(a chat.Place, u string, b chat.Place, v string) bool {
	return h.policy.Platforms.Same(a, u, b, v)
}

// isAdmin reports whether the person is one. The error is what the person is told.
func (h people) isAdmin(ctx context.Context, r *run) (bool, error) {
	place := r.w.Request.Place
	admin, err := h.policy.IsAdmin(ctx, h.directory(place.Platform), place, r.w.Request.User)
	if err != nil {
		return false, h.notLookedUp(ctx, r, err)
	}
	return admin, nil
}

// named reports whether the list for a right names the person, and not only the place. The
// error is what the person is told.
func (h people) named(ctx context.Context, r *run, right chat.Rights) (bool, error) {
	place := r.w.Request.Place
	named, err := h.policy.Named(ctx, h.directory(place.Platform), place, r.w.Request.User, right)
	if err != nil {
		return false, h.notLookedUp(ctx, r, err)
	}
	return named, nil
}

// notLookedUp is the refusal where nobody knows what a person may.
func (h people) notLookedUp(ctx context.Context, r *run, err error) error {
	r.log.WarnContext(ctx, "permission not looked up", "job", r.job.ID, "err", err)
	return texts.NewMessage("fault.directory")
}

// refusal says who may, and whom to ask: where no list says so, what the platform itself asks
// for, in its own words.
func (h people) refusal(t texts.Text, at chat.Place, no denied) chat.Reply {
	id := map[chat.Rights]string{chat.RightPush: "denied.push", chat.RightSettings: "denied.settings"}[no.right]
	if id == "" {
		id = "denied.meet"
	}
	if own := string(at.Platform) + "." + id; !no.here && h.policy.Unlisted(no.right) && t.Has(own) {
		id = own
	}
	if no.here {
		id += ".here"
	}
	reply := chat.Reply{Tone: chat.Bad, Text: t.Sentences(t.T(id), t.T("denied.whom"))}
	for _, id := range h.policy.People(at, 0) { // elsewhere nobody here can be named
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.admin"), User: &chat.User{ID: id}})
	}
	return reply
}

// denied is the refusal of a person who does not have a right, or for whom what is set for the
// place takes it away.
type denied struct {
	right chat.Rights
	here  bool
}

func isDenied(err error) bool {
	var no denied
	return errors.As(err, &no)
}

func (denied) Error() string { return "refused: the person does not have the right" }
