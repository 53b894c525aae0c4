package main

import (
	"runtime"
	"sync"
)

// heldThreads are more than a busy bot uses, which is about ten.
const heldThreads = 16

// holdThreads has the process take its threads at its start. Go makes one whenever all others wait
// in the kernel, as for a disk that is slow, and ends the process if it gets none. Those that it has
// it keeps.
func holdThreads() {
	var there sync.WaitGroup
	leave := make(chan struct{})
	for range heldThreads {
		there.Add(1)
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			there.Done()
			<-leave
		}()
	}
	there.Wait()
	close(leave)
}
