//go:build linux || darwin || freebsd

package jobs

import "syscall"

// spare are the file descriptors that have to be left for a new job: without one its outcome
// could be neither found out nor told.
const spare = 16

// descriptors returns an error if the process has hardly a file descriptor left. It opens
// pipes, which need no file: the root may have no devices. Those of os would be made known to
// the poller, at four times the cost.
func descriptors() error {
	var opened []int
	defer func() {
		for _, fd := range opened {
			_ = syscall.Close(fd) // nothing was written to it
		}
	}()
	for range spare / 2 {
		var pair [2]int
		if err := syscall.Pipe(pair[:]); err != nil {
			return err
		}
		opened = append(opened, pair[:]...)
	}
	return nil
}
