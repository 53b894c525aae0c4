package meeting

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheNextStateOfAMeeting(t *testing.T) {
	for _, tt := range []struct{ was, said, want State }{
		{StateReady, StateUnknown, StateReady},
		{StateReady, StateRunning, StateRunning},
		{StateReady, StateReady, StateReady},
		{StateUnknown, StateReady, StateReady},
		{StateRunning, StateReady, StateEmpty},
		{StateEmpty, StateReady, StateEmpty},
		{StateEmpty, StateRunning, StateRunning},
		{StateRunning, StateExpired, StateExpired},
		{StateExpired, StateReady, StateExpired},
		{StateExpired, StateUnlisted, StateExpired},
		{StateExpired, StateRunning, StateRunning},
		{StateExpired, StateEnded, StateEnded},
		{StateEnded, StateRunning, StateEnded},
		{StateEnded, StateUnlisted, StateEnded},
		{StateCancelled, StateEnded, StateCancelled},
		{StateDeleted, StateReady, StateDeleted},
		{StateRecycled, StateRunning, StateRecycled},
		{StateRunning, StateUnlisted, StateUnlisted},
		{StateUnlisted, StateRunning, StateRunning},
		{StateUnlisted, StateReady, StateReady},
	} {
		assert.Equal(t, tt.want, tt.was.Next(tt.said), "%q, then %q", tt.was, tt.said)
	}
}
