package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Raw is one version of a record as it lies in a file, also of one that is superseded or
// removed.
type Raw struct {
	Entry
	File    string
	order   uint64 // of the database: what is higher came later
	deleted bool
}

// ReadRaw reads every version of every record that lies in the files of the engine in dir,
// without the database and without changing anything: what of a file is damaged is told to
// damaged, and the rest of it read. Nothing may be at work on the directory.
func ReadRaw(ctx context.Context, dir string, yield func(Raw) error, damaged func(file string, err error)) error {
	dir = filepath.Join(dir, RecordsDir)
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := f.Name()
		emit := func(key, value []byte, order uint64, deleted bool) error {
			if len(key) == 0 || key[0] != indexRecord {
				return nil
			}
			raw := Raw{Entry: Entry{Key: keyOf(key)}, File: name, order: order, deleted: deleted}
			if !deleted {
				r, err := decode(value)
				if err != nil {
					damaged(name, err)
					return nil
				}
				raw.Rev, raw.Body = r.rev, bytes.Clone(r.body)
			}
			return yield(raw)
		}
		var err error
		switch filepath.Ext(name) {
		case ".sst":
			err = rawTable(ctx, filepath.Join(dir, name), emit, func(err error) { damaged(name, err) })
		case ".log":
			err = rawLog(filepath.Join(dir, name), emit, func(err error) { damaged(name, err) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ReadNewest is [ReadRaw] of the newest version of each record that was not removed.
func ReadNewest(ctx context.Context, dir string, yield func(Raw) error, damaged func(file string, err error)) error {
	newest := make(map[string]Raw)
	err := ReadRaw(ctx, dir, func(r Raw) error {
		was, ok := newest[r.Key]
		if !ok || r.after(was) {
			r.Body = nil // a store may be larger than the memory
			newest[r.Key] = r
		}
		return nil
	}, damaged)
	if err != nil {
		return err
	}
	return ReadRaw(ctx, dir, func(r Raw) error {
		want, ok := newest[r.Key]
		if !ok || r.deleted || r.order != want.order || r.Rev != want.Rev {
			return nil
		}
		delete(newest, r.Key)
		return yield(r)
	}, func(string, error) {})
}

// after reports whether r came later than other. The database forgets the order of what
// is in its lowest level, and then what is not there came later.
func (r Raw) after(other Raw) bool {
	if !r.deleted && !other.deleted {
		return r.Rev > other.Rev
	}
	return r.order > other.order
}

// rawTable reads a table.
func rawTable(ctx context.Context, path string, emit func(key, value []byte, order uint64, deleted bool) error, damaged func(error)) (err error) {
	defer func() {
		if v := recover(); v != nil {
			damaged(fmt.Errorf("%v", v))
		}
	}()
	f, err := vfs.Default.Open(path)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		damaged(err)
		return nil
	}
	options := &pebble.Options{}
	options.EnsureDefaults()
	r, err := sstable.NewReader(ctx, readable, options.MakeReaderOptions())
	if err != nil {
		damaged(err)
		return nil
	}
	defer func() { _ = r.Close() }()
	it, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		damaged(err)
		return nil
	}
	defer func() { _ = it.Close() }()
	t := tableReader{it, emit, damaged}
	return t.walk([]byte{0}, []byte{0xff}, 0)
}

type tableReader struct {
	it      sstable.Iterator
	emit    func(key, value []byte, order uint64, deleted bool) error
	damaged func(error)
}

// A block that cannot be read is gone around by halving what is left of the keys, this
// often.
const maxHalvings = 200

// walk reads what is from the one key to below the other.
func (t *tableReader) walk(from, to []byte, halvings int) error {
	last, err := t.read(from, to)
	var bad *badBlock
	if !errors.As(err, &bad) {
		return err
	}
	if halvings == 0 {
		t.damaged(bad.err)
	}
	if last != nil {
		from = append(bytes.Clone(last), 0)
	}
	middle := between(from, to)
	if middle == nil || halvings >= maxHalvings {
		return nil
	}
	if err := t.walk(from, middle, halvings+1); err != nil {
		return err
	}
	return t.walk(middle, to, halvings+1)
}

type badBlock struct{ err error }

func (b *badBlock) Error() string { return b.err.Error() }

// read reads until to or a bad block, and returns the last key that was read.
func (t *tableReader) read(from, to []byte) (last []byte, err error) {
	for kv := t.it.SeekGE(from, 0); kv != nil; kv = t.it.Next() {
		if bytes.Compare(kv.K.UserKey, to) >= 0 {
			return last, nil
		}
		value, _, err := kv.Value(nil)
		if err != nil {
			return last, &badBlock{err}
		}
		last = bytes.Clone(kv.K.UserKey)
		deleted := kv.Kind() != pebble.InternalKeyKindSet
		if err := t.emit(kv.K.UserKey, value, uint64(kv.SeqNum()), deleted); err != nil {
			return last, err
		}
	}
	if err := t.it.Error(); err != nil {
		return last, &badBlock{err}
	}
	return last, nil
}

// between returns a key between the two, with at most 16 bytes more than they have in
// common; nil if there is none.
func between(a, b []byte) []byte {
	common := 0
	for common < len(a) && common < len(b) && a[common] == b[common] {
		common++
	}
	const digits = 16
	at := func(k []byte, i int) int {
		if common+i < len(k) {
			return int(k[common+i])
		}
		return 0
	}
	sum := make([]int, digits)
	carry := 0
	for i := digits - 1; i >= 0; i-- {
		v := at(a, i) + at(b, i) + carry
		sum[i], carry = v&255, v>>8
	}
	middle := bytes.Clone(a[:common])
	rest := carry
	for _, d := range sum {
		v := rest<<8 | d
		middle = append(middle, byte(v>>1))
		rest = v & 1
	}
	if bytes.Compare(middle, a) <= 0 || bytes.Compare(middle, b) >= 0 {
		return nil
	}
	return middle
}

const logBlock = 32 << 10

// rawLog reads a log. After what is damaged it goes on with the next block.
func rawLog(path string, emit func(key, value []byte, order uint64, deleted bool) error, damaged func(error)) (err error) {
	defer func() {
		if v := recover(); v != nil {
			damaged(fmt.Errorf("%v", v))
		}
	}()
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	num, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(path), ".log"), 10, 64)
	if err != nil {
		return nil // none of the database's
	}
	for start := 0; start < len(content); {
		log := logReader(record.NewReader, content[start:], num)
		err := rawBatches(log, emit)
		var stop *stopped
		switch {
		case errors.As(err, &stop):
			return stop.err
		case errors.Is(err, io.EOF):
			return nil
		}
		next := start + (int(log.Offset())/logBlock+1)*logBlock
		if next < len(content) && len(bytes.Trim(content[next:], "\x00")) > 0 {
			damaged(err) // else it is what was being written when the process was killed
		}
		start = next
	}
	return nil
}

// logReader calls [record.NewReader], the type of whose second parameter has no name here.
func logReader[N ~uint64](open func(io.Reader, N) *record.Reader, content []byte, num uint64) *record.Reader {
	return open(bytes.NewReader(content), N(num))
}

// stopped is an error of whoever reads.
type stopped struct{ err error }

func (s *stopped) Error() string { return s.err.Error() }

func rawBatches(log *record.Reader, emit func(key, value []byte, order uint64, deleted bool) error) error {
	for {
		r, err := log.Next()
		if err != nil {
			return err
		}
		repr, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if len(repr) < batchrepr.HeaderLen {
			continue
		}
		order := uint64(batchrepr.ReadSeqNum(repr))
		for batch := batchrepr.Read(repr); ; order++ {
			kind, key, value, ok, err := batch.Next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if err := emit(key, value, order, kind != pebble.InternalKeyKindSet); err != nil {
				return &stopped{err}
			}
		}
	}
}
