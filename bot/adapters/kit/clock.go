package kit

import (
	"net/http"
	"time"

	"meetbot/config/clock"
)

// Clocked is an [Adapter] that knows its platform's clock.
type Clocked interface {
	Clock() *clock.Theirs
}

// Dated returns the client with each answer's Date noted, and the clock that it tells of.
func Dated(c *http.Client, now func() time.Time) (*http.Client, *clock.Theirs) {
	theirs := clock.New(now)
	own := *c
	own.Transport = theirs.Watch(own.Transport)
	return &own, theirs
}
