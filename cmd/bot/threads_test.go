package main

import (
	"runtime/pprof"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestThreadsAreHeldFromTheStart(t *testing.T) {
	holdThreads()
	assert.GreaterOrEqual(t, pprof.Lookup("threadcreate").Count(), heldThreads)
}
