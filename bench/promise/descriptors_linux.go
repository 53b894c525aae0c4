package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// noDescriptors lets the bot's process open no more files than it has.
func (t *troubled) noDescriptors() (func(), error) {
	pid := t.bot.PID()
	open, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	if err != nil {
		return nil, err
	}
	var was unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &was); err != nil {
		return nil, err
	}
	now := was
	now.Cur = uint64(len(open))
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &now, nil); err != nil {
		return nil, err
	}
	return func() { t.note(unix.Prlimit(pid, unix.RLIMIT_NOFILE, &was, nil)) }, nil
}
