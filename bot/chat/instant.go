package chat

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// An instant is a value in a text, as a person is one in a reply: only the adapter knows in
// which zone its reader lives. It stands there as a mark of private-use characters, which
// nobody can type: the parser drops them.
const (
	instantOpen  = "\ue000"
	instantClose = "\ue001"
)

var instants = regexp.MustCompile(instantOpen + `(\d{1,12})` + instantClose + "|[" + instantOpen + instantClose + "]")

// Instant is t as it stands in a text, to the second.
func Instant(t time.Time) string { return instantOpen + strconv.FormatInt(t.Unix(), 10) + instantClose }

// WriteInstants writes the instants in a text in the way of a platform. Half a mark, which
// cutting a text leaves, is dropped.
func WriteInstants(s string, write func(time.Time) string) string {
	if !strings.ContainsAny(s, instantOpen+instantClose) { // as nearly every text
		return s
	}
	return instants.ReplaceAllStringFunc(s, func(mark string) string {
		unix, err := strconv.ParseInt(mark[min(len(instantOpen), len(mark)):max(len(mark)-len(instantClose), len(instantOpen))], 10, 64)
		if err != nil {
			return ""
		}
		return write(time.Unix(unix, 0))
	})
}

// InstantLen returns the length in bytes of the instant that s begins with; 0: it begins with none.
func InstantLen(s string) int {
	if !strings.HasPrefix(s, instantOpen) {
		return 0
	}
	return instants.FindStringIndex(s)[1]
}

// WriteInstants returns r with the instants in its texts written out.
func (r Reply) WriteInstants(write func(time.Time) string) Reply {
	for _, s := range []*string{&r.Title, &r.Text, &r.Note, &r.Copy, &r.QRCaption} {
		*s = WriteInstants(*s, write)
	}
	fields := make([]Field, len(r.Fields))
	for i, f := range r.Fields {
		f.Name, f.Value = WriteInstants(f.Name, write), WriteInstants(f.Value, write)
		fields[i] = f
	}
	if r.Fields != nil {
		r.Fields = fields
	}
	return r
}

// Clock writes an instant in the zone of now, with the day where that is another one.
func Clock(at, now time.Time) string {
	at = at.In(now.Location())
	if at.YearDay() == now.YearDay() && at.Year() == now.Year() {
		return at.Format("15:04")
	}
	return at.Format("2006-01-02 15:04")
}
