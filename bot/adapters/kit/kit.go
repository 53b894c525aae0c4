// Package kit has what adapters do alike: remembering for a while ([Cache]), trying again
// ([Retry]), trying every way to a person ([Deliver]), pacing calls and edits ([Pace],
// [Edits]), cutting text where a reader would, and reporting an adapter's health. It knows no
// platform. Its [Adapter] is what the binary runs.
package kit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
	"github.com/skip2/go-qrcode"
)

// AckTimeout bounds accepting a request: both platforms give up after 3 s, and the
// acknowledgement has to travel back.
const AckTimeout = 2400 * time.Millisecond

// Len is the length of s as the platforms count it at their strictest: in UTF-16 units.
func Len(s string) int {
	n := 0
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

// Cut returns s if it is at most limit long (see [Len]), else as many whole characters
// as fit with an ellipsis after them. It reports whether anything was cut.
func Cut(s string, limit int) (string, bool) {
	// A UTF-16 unit has at most three bytes.
	if len(s) <= limit || len(s) <= 3*limit && Len(s) <= limit {
		return s, false
	}
	if limit < 1 {
		return "", true
	}
	n, end := 0, 0
	for g := graphemes.FromString(s); g.Next(); {
		n += Len(g.Value())
		if n > limit-1 {
			break
		}
		end = g.End()
	}
	return s[:end] + "…", true
}

const qrSize = 512 // pixels

// QR returns a PNG image of text as a QR code.
func QR(text string) ([]byte, error) {
	png, err := qrcode.Encode(text, qrcode.Medium, qrSize)
	if err != nil {
		return nil, fmt.Errorf("make a QR code of %d bytes: %w", len(text), err)
	}
	return png, nil
}

// Contain runs f, and logs a panic in it instead of letting it end the process: an event
// that cannot be handled is delivered again, and must not take everything else down each
// time. net/http does the same around its handlers. The panic's value may quote what a
// person typed and is not logged.
func Contain(ctx context.Context, log *slog.Logger, what string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "panic", "in", what, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
	}()
	f()
}

// ErrPanic is returned by [Guard] for a part that panicked.
var ErrPanic = errors.New("panic")

// Guard runs a part, and turns a panic in it into an error, so that it is started again and
// does not take the process down. The panic is logged as [Contain] does, and counted.
func Guard(ctx context.Context, log *slog.Logger, part string, o Observer, f func() error) (err error) {
	err = ErrPanic
	Contain(ctx, log, part, func() { err = f() })
	if errors.Is(err, ErrPanic) && o.Failed != nil {
		o.Failed(part, "panic")
	}
	return err
}

// Scrub returns err without the URL that net/http puts into it, since a webhook's URL is a
// secret, and without what came over the wire: net/http quotes an answer that it cannot read.
func Scrub(err error) error {
	urlErr, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err
	}
	return scrubbed{urlErr.Op + ": " + cause(urlErr.Err), urlErr.Err}
}

// Unquoted returns err with a text that has nothing of an address, and nothing that came over
// the wire.
func Unquoted(err error) error { return scrubbed{cause(err), err} }

type scrubbed struct {
	text string
	err  error
}

func (s scrubbed) Error() string { return s.text }
func (s scrubbed) Unwrap() error { return s.err }

// cause says of err what has nothing from the wire.
func cause(err error) string {
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, io.ErrUnexpectedEOF, io.EOF, http.ErrSchemeMismatch, net.ErrClosed} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if e, ok := errors.AsType[*ProxyError](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*net.OpError](err); ok { // a DNSError is in one
		return e.Error()
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e.Error()
	}
	return "the connection or the answer cannot be used"
}

// codePattern is what platforms' codes look like: "not_in_channel", "BASE_TYPE_BAD_LENGTH". Their
// tokens have other characters, so that none is taken for a code.
var codePattern = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)

// Code returns what a platform sent as a code, for logs and errors, or "other" if it is none.
func Code(sent string) string {
	if !codePattern.MatchString(sent) {
		return "other"
	}
	return sent
}

// Colon is what stands between a label and its value, in the writing of the label.
func Colon(label string) string {
	const cjk = '\u2e80' // the first of their characters, signs included
	if r, _ := utf8.DecodeLastRuneInString(label); r >= cjk && r != utf8.RuneError {
		return "："
	}
	return ": "
}
