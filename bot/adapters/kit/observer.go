package kit

import (
	"time"

	"meetbot/bot/signed"
)

// Observer is told of what an adapter does, for metrics. Nil functions are not called: see
// [Observer.Complete].
type Observer struct {
	// Acked: an event of that kind ("command", "action", "button", "form", "mention",
	// "shortcut", "complete", "ping") was acknowledged that long after it arrived.
	Acked func(kind string, took time.Duration)
	// Duplicate: an event or a click had been accepted before.
	Duplicate func()
	// Rejected: a request to the HTTP endpoints was not taken for the platform's.
	Rejected func(signed.Reason)
	// Waited: a rate limit held a call back for so long.
	Waited func(d time.Duration)
	// Failed: the platform refused a call, or could not be reached. The kind is the
	// platform's error code, "http_" and the status, or "transport".
	Failed func(call, kind string)
}

// Complete returns the observer without nil functions.
func (o Observer) Complete() Observer {
	if o.Acked == nil {
		o.Acked = func(string, time.Duration) {}
	}
	if o.Duplicate == nil {
		o.Duplicate = func() {}
	}
	if o.Rejected == nil {
		o.Rejected = func(signed.Reason) {}
	}
	if o.Waited == nil {
		o.Waited = func(time.Duration) {}
	}
	if o.Failed == nil {
		o.Failed = func(string, string) {}
	}
	return o
}
