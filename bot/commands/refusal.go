package commands

import (
	"errors"
	"strconv"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// offering is a refusal with ways out.
type offering struct {
	error
	buttons []chat.Button
}

func (o offering) Unwrap() error { return o.error }

// fault is why the provider did not carry the command out. It has none if an operator
// settled the job.
func (r *run) fault() error {
	if r.w.Fault == nil {
		return texts.NewMessage("fault.internal")
	}
	return r.w.Fault
}

// refuse tells the person why nothing was done: err is a *[texts.Message], a [denied], or
// a provider's error. What may pass is tried again first, and what is none of these is
// returned: the step failed inside.
func (b *Bot) refuse(r *run, err error) (jobs.Next, error) {
	reply := chat.Reply{Tone: chat.Bad}
	var told *texts.Message
	var no denied
	var api *meeting.APIError
	why := "denied" // the ID of the sentence, which has nothing of a person
	switch {
	case errors.As(err, &no):
		reply = b.people.refusal(r.t, r.w.Request.Place, no)
	case errors.As(err, &told):
		reply.Text, why = told.In(r.t), told.ID
	default:
		if n, ok := r.again(err); ok {
			return n, nil
		}
		if !errors.As(err, &api) {
			return jobs.Next{}, err
		}
		fault := r.faultOf(err)
		reply.Text, why = fault.In(r.t), fault.ID
	}
	r.log.Info("command refused", "job", r.job.ID, "verb", r.w.Ask.Verb, "why", why)
	var way offering
	if errors.As(err, &way) {
		reply.Buttons = way.buttons
	}
	r.settle()
	return r.answer(outcomeRefused, reply)
}

// isRefusal reports whether an error is for the person.
func isRefusal(err error) bool {
	var told *texts.Message
	return errors.As(err, &told)
}

// faultOf turns a provider's error into a sentence for people, in a private answer: what the
// provider said itself is in it where no sentence of ours fits. The log has all of it.
func (r *run) faultOf(err error) *texts.Message {
	r.log.Warn("call to a provider failed", "job", r.job.ID, "verb", r.w.Ask.Verb, "err", err)
	r.job.Err = err.Error()
	var api *meeting.APIError
	if errors.As(err, &api) {
		provider := r.providerName(api.Provider)
		switch api.Reason {
		case meeting.ReasonNone, meeting.ReasonAnswer:
		case meeting.ReasonField, meeting.ReasonUnsupported, meeting.ReasonScope:
			return texts.NewMessage("fault."+string(api.Reason), "Provider", provider, "Field", api.Field)
		case meeting.ReasonUnlisted:
			return inItsWords(api, provider)
		default:
			return texts.NewMessage("fault."+string(api.Reason), "Provider", provider)
		}
		if api.Message != "" && (errors.Is(err, meeting.ErrInvalid) || errors.Is(err, meeting.ErrNotPermitted) || errors.Is(err, meeting.ErrLimit)) {
			return inItsWords(api, provider)
		}
		switch {
		case errors.Is(err, errNotSetUp):
			return texts.NewMessage("which.provider", "Provider", provider)
		case errors.Is(err, meeting.ErrNotFound):
			return texts.NewMessage("fault.meeting", "Provider", provider)
		case errors.Is(err, meeting.ErrNotPermitted):
			return texts.NewMessage("fault.not_permitted", "Provider", provider)
		case errors.Is(err, meeting.ErrInvalid):
			return texts.NewMessage("fault.invalid", "Provider", provider)
		case errors.Is(err, meeting.ErrLimit):
			return texts.NewMessage("fault.limit", "Provider", provider)
		case errors.Is(err, meeting.ErrRateLimited):
			return texts.NewMessage("fault.rate", "Provider", provider)
		case errors.Is(err, meeting.ErrCredentials):
			return texts.NewMessage("fault.credentials", "Provider", provider)
		case errors.Is(err, meeting.ErrUnavailable), errors.Is(err, meeting.ErrOutcomeUnknown):
			return texts.NewMessage("fault.unavailable", "Provider", provider)
		}
	}
	return texts.NewMessage("fault.internal")
}

// inItsWords is a refusal in the provider's own words.
func inItsWords(api *meeting.APIError, provider string) *texts.Message {
	id := "fault.said"
	if api.Message == "" {
		id = "fault.unlisted"
	}
	if api.TraceID != "" {
		id += ".trace"
	}
	return texts.NewMessage(id, "Provider", provider, "Said", api.Message, "Code", strconv.Itoa(api.Code), "Trace", api.TraceID)
}

// othersMay reports whether somebody else could do what was refused.
func othersMay(f *texts.Message) bool {
	return f != nil && (f.ID == "fault.not_host" || f.ID == "fault.not_creator" || f.ID == "fault.not_permitted")
}

// patience is how long a look-up at a provider is repeated before the person is told
// that it could not be done.
const patience = 30 * time.Second

// again reports whether a failed look-up is worth another try, and when. Nothing was
// changed by it, so a repeat is harmless.
func (r *run) again(err error) (jobs.Next, bool) {
	if !errors.Is(err, meeting.ErrUnavailable) && !errors.Is(err, meeting.ErrRateLimited) {
		return jobs.Next{}, false
	}
	wait := 2 * time.Second
	var api *meeting.APIError
	if errors.As(err, &api) && api.RetryAfter > wait {
		wait = api.RetryAfter
	}
	r.job.Err = err.Error()
	at := r.now().Add(wait)
	return jobs.RetryAt(at), at.Before(r.w.Since.Add(patience))
}

func (r *run) providerName(p meeting.Provider) string { return nameOf(r.t, r.kinds, p) }

func nameOf(t texts.Text, all meeting.Kinds, p meeting.Provider) string {
	k, ok := all.Kind(p)
	if !ok {
		return string(p)
	}
	return t.Either(k.Name.EN, k.Name.ZH)
}
