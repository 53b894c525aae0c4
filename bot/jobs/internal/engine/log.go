package engine

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// The log's format (Pebble's record package, with sync offsets): blocks of 32 KiB hold
// chunks of a checksum of what is after the length (4 bytes), the length (2), a type, the
// number of the log (4), up to where it was synced (8), and the length's bytes. A record is
// one chunk, or a first, middle ones and a last.
const (
	logBlock  = 32 << 10
	chunkHead = 19

	chunkFull, chunkFirst, chunkMiddle, chunkLast = 9, 10, 11, 12
)

// errBadLog is a log in the middle of which something is not as it was written.
var errBadLog = errors.New("the log was changed after it was written")

// chunkAt returns the chunk at pos.
func chunkAt(content []byte, pos int, num uint32) (kind byte, payload []byte, ok bool) {
	left := min(logBlock-pos%logBlock, len(content)-pos)
	if left < chunkHead {
		return 0, nil, false
	}
	b := content[pos : pos+left]
	size := int(binary.LittleEndian.Uint16(b[4:]))
	kind = b[6]
	if kind < chunkFull || kind > chunkLast || binary.LittleEndian.Uint32(b[7:]) != num || chunkHead+size > left {
		return 0, nil, false
	}
	crc := crc32.Checksum(b[6:chunkHead+size], crc32.MakeTable(crc32.Castagnoli))
	if binary.LittleEndian.Uint32(b) != (crc>>15|crc<<17)+0xa282ead8 {
		return 0, nil, false
	}
	return kind, b[chunkHead : chunkHead+size], true
}

// readLog calls yield with the records of a log. Pebble takes what it cannot read in the
// last block of a log for a write that was interrupted. It is none if something after it
// says that it was synced: then readLog returns errBadLog, after it has read what is left.
func readLog(content []byte, num uint32, yield func([]byte) error) error {
	var parts []byte
	whole := true // parts has every chunk so far
	bad, unread := false, -1
	for pos := 0; pos < len(content); {
		kind, payload, ok := chunkAt(content, pos, num)
		if !ok {
			if rest := logBlock - pos%logBlock; rest < chunkHead {
				pos += rest
				continue
			}
			next := pos + 1
			for ; next < len(content); next++ {
				if _, _, ok = chunkAt(content, next, num); ok {
					break
				}
			}
			if !ok {
				break
			}
			if unread < 0 && !zero(content[pos:next]) {
				unread = pos
			}
			pos, whole = next, false
			continue
		}
		if synced := binary.LittleEndian.Uint64(content[pos+11:]); unread >= 0 && synced > uint64(unread) {
			bad = true
		}
		pos += chunkHead + len(payload)
		switch kind {
		case chunkFull, chunkFirst:
			parts, whole = nil, true
		}
		parts = append(parts, payload...)
		if whole && (kind == chunkFull || kind == chunkLast) {
			if err := yield(parts); err != nil {
				return err
			}
		}
	}
	if bad {
		return errBadLog
	}
	return nil
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
