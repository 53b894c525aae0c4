package jobs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fxamacker/cbor/v2"
	"golang.org/x/sync/errgroup"

	"meetbot/bot/jobs/internal/engine"
)

const (
	maxExportLine   = 16 << 20
	importersAtOnce = 128
)

// exportLine is one line of an export. What is private stays sealed, and with it goes
// what it is bound to: a line that was changed is refused.
type exportLine struct {
	Kind  string    `json:"kind"` // "meta", "job", "doc", "timer"
	Key   []string  `json:"key,omitempty"`
	Store *meta     `json:"store,omitempty"` // always the first line
	Job   *jobLine  `json:"job,omitempty"`
	Doc   *docLine  `json:"doc,omitempty"`
	Timer *timeLine `json:"timer,omitempty"`
}

type jobLine struct {
	clearJob
	Sealed []byte `json:"sealed"`
}

type docLine struct {
	clearDoc
	Sealed []byte `json:"sealed"`
}

// timeLine is a timer's; the first format called its time otherwise.
type timeLine struct {
	clearDoc
	At     int64  `json:"at,omitempty"` // of the first format
	Sealed []byte `json:"sealed"`
}

// Export writes every record as a line of JSON, secrets staying encrypted: a store that
// imports them needs the same keys. What is written meanwhile may be in it or not; to
// move a store, stop the process that works on it first. Records that cannot be read are
// left out, and named in the error that then comes at the end.
func (s *Store) Export(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	e, err := s.engine.Get(ctx, metaKey)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	m, err := readMeta(e)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := lines.Encode(exportLine{Kind: kindMeta, Store: &m}); err != nil {
		return err
	}
	var bad badRecords
	for _, kind := range []string{kindJob, kindDoc, kindTimer} {
		var failed error
		err := s.engine.List(ctx, kind, true, func(e engine.Entry) bool {
			line, err := toLine(e)
			if err == nil {
				err = s.decode(e)
			}
			if err != nil {
				bad.add(err)
				return true
			}
			failed = lines.Encode(line)
			return failed == nil
		})
		if failed != nil {
			return fmt.Errorf("export: %w", failed)
		}
		if err != nil {
			bad.add(err)
		}
	}
	return errors.Join(out.Flush(), bad.err("export"))
}

// badRecords collects what was left out.
type badRecords struct {
	n     int
	first []error
}

func (b *badRecords) add(err error) {
	if b.n++; b.n <= 20 {
		b.first = append(b.first, err)
	}
}

func (b *badRecords) err(what string) error {
	if b.n == 0 {
		return nil
	}
	return fmt.Errorf("%s: left out %d that cannot be read: %w", what, b.n, errors.Join(b.first...))
}

func toLine(e engine.Entry) (line exportLine, err error) {
	if line.Kind, line.Key, err = engine.SplitKey(e.Key); err != nil {
		return line, err
	}
	c, sealed, err := split(e)
	if err != nil {
		return line, err
	}
	return line, cbor.Unmarshal(c, line.record(sealed))
}

// record makes room for the line's record and returns its clear part.
func (l *exportLine) record(sealed []byte) any {
	switch l.Kind {
	case kindJob:
		l.Job = &jobLine{Sealed: sealed}
		return &l.Job.clearJob
	case kindDoc:
		l.Doc = &docLine{Sealed: sealed}
		return &l.Doc.clearDoc
	default:
		l.Timer = &timeLine{Sealed: sealed}
		return &l.Timer.clearDoc
	}
}

// Import stores the records of an [Store.Export], and returns how many. Records that are
// there already are left as they are, so an import that broke off can be repeated. A line
// that cannot be read, or that was changed, is left out; what is after it is imported, and
// the error that comes at the end names the lines.
//
// It returns [ErrWrongKey] if the export was made with keys that this store does not
// have, and [ErrConflict] if this store has records of another origin: then nothing was
// changed.
func (s *Store) Import(ctx context.Context, r io.Reader) (int, error) {
	return s.importAs(ctx, r, formatVersion)
}

// ImportFirstFormat is [Store.Import] of an export of the first format. Nothing in that
// says whether what is in clear was changed since: it has to come from where only its owner
// can write.
func (s *Store) ImportFirstFormat(ctx context.Context, r io.Reader) (int, error) {
	return s.importAs(ctx, r, firstFormat)
}

func (s *Store) importAs(ctx context.Context, r io.Reader, format int) (int, error) {
	lines := bufio.NewReaderSize(r, 64<<10)
	var mu sync.Mutex
	var bad badRecords
	leftOut := func(n int, err error) {
		mu.Lock()
		defer mu.Unlock()
		bad.add(fmt.Errorf("line %d: %w", n, err))
	}
	var group errgroup.Group
	group.SetLimit(importersAtOnce)
	var stored atomic.Int64
	begun := false
	var failed error // of the input
	for n := 1; ; n++ {
		text, err := readLine(lines)
		if err != nil && !errors.Is(err, errLongLine) {
			if !errors.Is(err, io.EOF) {
				failed = fmt.Errorf("import, line %d: %w", n, err)
			}
			break
		}
		if n == 1 {
			text = bytes.TrimPrefix(text, byteOrderMark)
		}
		if err == nil && len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		var line exportLine
		if err == nil {
			err = decodeLine(text, &line)
		}
		if !begun {
			if err != nil { // its own words are about JSON
				err = noExport(text)
			} else {
				err = s.importMeta(ctx, line, format)
			}
			if err != nil {
				return 0, fmt.Errorf("import, line %d: %w", n, err)
			}
			begun = true
			continue
		}
		if err != nil {
			leftOut(n, err)
			continue
		}
		at := n
		group.Go(func() error {
			done, err := s.importLine(ctx, line, format)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				leftOut(at, err)
			case done:
				stored.Add(1)
			}
			return nil
		})
	}
	err := errors.Join(failed, group.Wait(), bad.err("import"))
	if err == nil && !begun {
		err = errors.New("import: the input is empty")
	}
	return int(stored.Load()), err
}

var (
	errNoExport = errors.New("this is not the output of bot export")
	errLongLine = fmt.Errorf("longer than %d MiB", maxExportLine>>20)
	errTwoInOne = errors.New("there is more behind the record")
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// noExport says what an input is that does not begin as an export does.
func noExport(text []byte) error {
	switch {
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		return errors.New("this is UTF-16, which PowerShell writes; convert it to UTF-8")
	case bytes.HasPrefix(text, []byte("\x1f\x8b")), bytes.HasPrefix(text, []byte("\x28\xb5\x2f\xfd")):
		return errors.New("this is compressed; decompress it first")
	}
	return errNoExport
}

// readLine returns the next line. One that is too long is skipped, and told as [errLongLine].
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := in.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxExportLine; !long {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil && (!errors.Is(err, io.EOF) || len(line) == 0 && !long):
			return nil, err
		case long:
			return nil, errLongLine
		default:
			return line, nil
		}
	}
}

// decodeLine reads one record. Where the end of a line was lost, the next one is behind it, and
// must not be lost in silence.
func decodeLine(text []byte, line *exportLine) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(line); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errTwoInOne
	}
	return nil
}

// importMeta takes over the other store's fingerprints.
func (s *Store) importMeta(ctx context.Context, line exportLine, format int) error {
	if line.Kind != kindMeta || line.Store == nil {
		return errNoExport
	}
	open := func(sealed []byte) ([]byte, error) { return s.seal.open(metaKey, nil, sealed) }
	if format == firstFormat {
		open = func(sealed []byte) ([]byte, error) { return s.seal.openFirst(metaKey, sealed) }
	}
	if line.Store.Version != format {
		if line.Store.Version == firstFormat {
			return errors.New("the export has the first format: import it with --first-format, if you made it yourself and nobody else could change it since")
		}
		return fmt.Errorf("the export has format %d, this program reads format %d", line.Store.Version, format)
	}
	if err := s.seal.has(line.Store.Needs); err != nil {
		return err
	}
	subkey, err := open(line.Store.Subkey)
	if err != nil || bytes.Equal(subkey, *s.subkey.Load()) {
		return err
	}
	for _, kind := range []string{kindJob, kindDoc, kindTimer} {
		empty := true
		if err := s.engine.List(ctx, kind, false, func(engine.Entry) bool { empty = false; return false }); err != nil {
			return err
		}
		if !empty {
			return fmt.Errorf("this store has records of its own: %w", ErrConflict)
		}
	}
	e, err := s.engine.Get(ctx, metaKey)
	if err != nil {
		return err
	}
	if err := s.putMeta(ctx, subkey, line.Store.Needs, e.Rev); err != nil {
		return err
	}
	s.subkey.Store(&subkey)
	return nil
}

// importLine stores one record, and reports whether it was not there yet.
func (s *Store) importLine(ctx context.Context, line exportLine, format int) (bool, error) {
	var key string
	var err error
	var clear any
	var sealed []byte
	var over time.Time // when the record expires
	switch {
	case line.Kind == kindJob && line.Job != nil && len(line.Key) == 1:
		key, err = jobKey(line.Key[0])
		clear, sealed = line.Job.clearJob, line.Job.Sealed
		if line.Job.State.Finished() {
			over = fromUnix(line.Job.Updated).Add(s.cfg.Retention)
		}
	case line.Kind == kindDoc && line.Doc != nil:
		key, err = docKey(line.Key)
		clear, sealed, over = line.Doc.clearDoc, line.Doc.Sealed, fromUnix(line.Doc.Expires)
	case line.Kind == kindTimer && line.Timer != nil && len(line.Key) == 1:
		key, err = timerKey(line.Key[0])
		if format == firstFormat {
			line.Timer.Expires = line.Timer.At
		}
		clear, sealed = line.Timer.clearDoc, line.Timer.Sealed
	default:
		return false, fmt.Errorf("unknown kind of record %q", line.Kind)
	}
	if err != nil {
		return false, err
	}
	var plain []byte
	if format == firstFormat {
		plain, err = s.seal.openFirst(key, sealed)
	} else {
		var c []byte
		if c, err = cbor.Marshal(clear); err == nil {
			plain, err = s.seal.open(key, c, sealed)
		}
	}
	if err != nil {
		return false, err
	}
	body, err := s.seal.join(key, unlinked(clear), plain)
	if err != nil {
		return false, err
	}
	var ttl time.Duration
	if !over.IsZero() {
		if ttl = over.Sub(s.cfg.Now()); ttl <= 0 {
			return false, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StepTimeout)
	defer cancel()
	_, err = s.put(ctx, key, body, 0, ttl, false, func(e engine.Entry) bool { return bytes.Equal(e.Body, body) })
	if errors.Is(err, ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// unlinked is the clear part of a record that replaces none.
func unlinked(clear any) any { return linked(clear, 0) }

// linked is the clear part of a record that replaces that of revision prev.
func linked(clear any, prev uint64) any {
	switch c := clear.(type) {
	case clearJob:
		c.Prev = prev
		return c
	case clearDoc:
		c.Prev = prev
		return c
	}
	return clear
}

// rotateEvery is the pause between two tries to give up older encryption keys.
const rotateEvery = time.Minute

// rotate seals everything with the newest encryption key, so that the older ones can be
// taken away.
func (s *Store) rotate(ctx context.Context) {
	for told := false; ; told = true {
		left, err := s.reseal(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.WarnContext(ctx, "re-encryption with the newest key broke off, trying again", "err", err)
		case left == 0:
			s.log.InfoContext(ctx, "every record is encrypted with the newest key, and no file holds one with an older key: remove the older keys")
			return
		case !told:
			s.log.InfoContext(ctx, "records of jobs under way still need an older encryption key", "records", left)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(rotateEvery):
		}
	}
}

// reseal seals every record that an older key sealed with the newest one, erases what the
// older ones open, and returns how many are left: a job that is under way is left alone.
func (s *Store) reseal(ctx context.Context) (left int, err error) {
	for _, kind := range []string{kindJob, kindDoc, kindTimer} {
		var old []engine.Entry
		err := s.engine.List(ctx, kind, false, func(e engine.Entry) bool {
			_, sealed, err := split(e)
			if err == nil && sealedWith(sealed) != s.seal.newest && s.decode(e) == nil { // else no key opens it
				old = append(old, e)
			}
			return true
		})
		if err != nil {
			return 0, err
		}
		for _, e := range old {
			switch err := s.resealOne(ctx, e); {
			case errors.Is(err, errUnderWay), errors.Is(err, ErrConflict):
				left++
			case err != nil:
				return 0, err
			}
		}
	}
	if left > 0 {
		return left, nil
	}
	e, err := s.engine.Get(ctx, metaKey)
	if err != nil {
		return 0, err
	}
	if err := s.putMeta(ctx, *s.subkey.Load(), nil, e.Rev); err != nil {
		return 0, err
	}
	return 0, s.engine.Erase(ctx)
}

var errUnderWay = errors.New("the job is under way")

func (s *Store) resealOne(ctx context.Context, e engine.Entry) error {
	line, err := toLine(e)
	if err != nil {
		return err
	}
	var over time.Time
	var clear any
	var plain []byte
	switch line.Kind {
	case kindJob:
		if !line.Job.State.Finished() {
			return errUnderWay
		}
		over, clear = fromUnix(line.Job.Updated).Add(s.cfg.Retention), line.Job.clearJob
		plain, err = s.seal.read(e, &clearJob{})
	case kindDoc:
		over, clear = fromUnix(line.Doc.Expires), line.Doc.clearDoc
		plain, err = s.seal.read(e, &clearDoc{})
	default:
		clear = line.Timer.clearDoc
		plain, err = s.seal.read(e, &clearDoc{})
	}
	if err != nil {
		return err
	}
	var ttl time.Duration
	if !over.IsZero() {
		ttl = max(over.Sub(s.cfg.Now()), time.Second)
	}
	body, err := s.seal.join(e.Key, linked(clear, e.Rev), plain)
	if err != nil {
		return err
	}
	_, err = s.put(ctx, e.Key, body, e.Rev, ttl, false, func(there engine.Entry) bool { return bytes.Equal(there.Body, body) })
	return err
}

// has returns ErrWrongKey unless every named key is there.
func (s *sealer) has(ids []string) error {
	i := slices.IndexFunc(ids, func(id string) bool { return s.aeads[id] == nil })
	if i < 0 {
		return nil
	}
	return fmt.Errorf("records still need key %q, beside the newer ones: %w", ids[i], ErrWrongKey)
}
