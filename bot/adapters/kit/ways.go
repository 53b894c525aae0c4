package kit

import (
	"errors"
	"fmt"

	"meetbot/bot/chat"
)

// ErrClosed says that a way to a person or a channel will not open by itself.
var ErrClosed = errors.New("closed")

// Way is one way to deliver a message; what it returns says where the message is. It returns
// an error that matches [ErrClosed] where the next is to be tried.
type Way[R any] func() (R, error)

// Closed returns err as one that matches [ErrClosed].
func Closed(err error) error { return fmt.Errorf("%w: %w", ErrClosed, err) }

// Deliver tries the ways in turn. The first that is not closed delivers, or says why it
// cannot now: the same way again later is better than two messages. With persist the rest is
// tried all the same, since the message waits already. Where all are closed it returns
// [chat.ErrLost] with what closed the last.
func Deliver[R any](persist bool, ways ...Way[R]) (R, error) {
	var none R
	var passing, closed error
	for _, way := range ways {
		r, err := way()
		switch {
		case err == nil:
			return r, nil
		case errors.Is(err, ErrClosed):
			closed = err
			continue
		case passing == nil:
			passing = err
		}
		if !persist {
			break
		}
	}
	if passing != nil {
		return none, passing
	}
	return none, fmt.Errorf("%w: %w", chat.ErrLost, closed)
}
