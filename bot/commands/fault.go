package commands

import (
	"errors"
	"time"

	"meetbot/bot/texts"
	"meetbot/meeting"
)

// faultOf turns a provider's error into a sentence for people. What the provider wrote
// is not shown; the log has the error, with the provider's trace id.
func (r *run) faultOf(err error) *texts.Message {
	r.log.Warn("provider refused", "job", r.job.ID, "verb", r.w.Ask.Verb, "err", err)
	var api *meeting.APIError
	if errors.As(err, &api) {
		provider := r.providerName(api.Provider)
		switch api.Reason {
		case meeting.ReasonNone, meeting.ReasonAnswer:
		case meeting.ReasonField, meeting.ReasonUnsupported:
			return texts.NewMessage("fault."+string(api.Reason), "Provider", provider, "Field", api.Field)
		default:
			return texts.NewMessage("fault."+string(api.Reason), "Provider", provider)
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

// errorKinds are the words for a provider's errors.
var errorKinds = []struct {
	err  error
	kind string
}{
	{meeting.ErrNotFound, "not_found"},
	{meeting.ErrNotPermitted, "not_permitted"},
	{meeting.ErrInvalid, "invalid"},
	{meeting.ErrLimit, "limit"},
	{meeting.ErrRateLimited, "rate_limited"},
	{meeting.ErrCredentials, "credentials"},
	{meeting.ErrUnavailable, "unavailable"},
	{meeting.ErrOutcomeUnknown, "outcome_unknown"},
}

const kindInternal = "internal" // what is in no list

// ErrorKind names a provider's error in one word, for metrics and traces; empty for nil.
func ErrorKind(err error) string {
	if err == nil {
		return ""
	}
	for _, k := range errorKinds {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	return kindInternal
}

// ErrorKinds returns every word of [ErrorKind] but the empty one.
func ErrorKinds() []string {
	words := []string{kindInternal}
	for _, k := range errorKinds {
		words = append(words, k.kind)
	}
	return words
}

func (b *Bot) observe(p meeting.Provider, op Operation, err error, began time.Time) {
	if f := b.cfg.Observe.Called; f != nil {
		f(p, op.String(), ErrorKind(err), time.Since(began))
	}
}

func (r *run) providerName(p meeting.Provider) string { return r.t.T("provider." + string(p)) }
