package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
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
// damaged, and the rest of it read. Of a store at work, files that it drops meanwhile are
// passed over.
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
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a running store drops files that it has compacted
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
	return t.walk([]byte{0}, []byte{0xff})
}

type tableReader struct {
	it      sstable.Iterator
	emit    func(key, value []byte, order uint64, deleted bool) error
	damaged func(error)
}

// walk reads what is from the one key to below the other. A block that cannot be read is
// gone around.
func (t *tableReader) walk(from, to []byte) error {
	for {
		last, err := t.read(from, to)
		var bad *badBlock
		if !errors.As(err, &bad) {
			return err
		}
		t.damaged(bad.err)
		if last != nil {
			from = append(bytes.Clone(last), 0)
		}
		// The first key at which another block is read, or another fault found.
		low, high := from, to
		for middle := between(low, high); middle != nil; middle = between(low, high) {
			kv := t.it.SeekGE(middle, 0)
			if kv == nil && t.it.Error() != nil && t.it.Error().Error() == bad.err.Error() {
				low = middle
			} else {
				high = middle
			}
		}
		if bytes.Equal(high, to) {
			return nil
		}
		from = high
	}
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

// rawLog reads a log.
func rawLog(path string, emit func(key, value []byte, order uint64, deleted bool) error, damaged func(error)) error {
	num, err := logNumber(path)
	if err != nil {
		return nil // none of the database's
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	err = readLog(content, num, func(repr []byte) error {
		if len(repr) < batchrepr.HeaderLen {
			return nil
		}
		order := uint64(batchrepr.ReadSeqNum(repr))
		for batch := batchrepr.Read(repr); ; order++ {
			kind, key, value, ok, err := batch.Next()
			if err != nil {
				damaged(err)
				return nil
			}
			if !ok {
				return nil
			}
			if err := emit(key, value, order, kind != pebble.InternalKeyKindSet); err != nil {
				return err
			}
		}
	})
	if errors.Is(err, errBadLog) {
		damaged(err)
		return nil
	}
	return err
}

func logNumber(path string) (uint32, error) {
	num, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(path), ".log"), 10, 32)
	return uint32(num), err
}
