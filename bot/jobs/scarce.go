package jobs

import (
	"errors"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// What a process can run out of in the middle of a command, as of a disk. What is left is for the
// jobs that are under way.
var (
	errDescriptors = errors.New("too few file descriptors are left: raise the limit (ulimit -n, LimitNOFILE)")
	errMemory      = errors.New("too little memory is left: raise GOMEMLIMIT and what the container may use")
)

// scarce returns what the process is almost out of; nil: nothing.
func scarce() error {
	if descriptors() != nil {
		return errDescriptors
	}
	if memoryShort() {
		if runtime.GC(); memoryShort() { // what is known is of the last collection
			return errMemory
		}
	}
	return nil
}

// memoryShort reports whether four fifths of the memory that the process was given (GOMEMLIMIT) are
// in use by what no collection frees. Beyond that, collecting takes most of the processor.
func memoryShort() bool {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 { // there is none
		return false
	}
	used := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(used)
	return used[0].Value.Uint64()+used[1].Value.Uint64() > uint64(limit)/5*4
}
