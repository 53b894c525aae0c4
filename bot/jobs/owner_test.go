//go:build linux || darwin || freebsd

package jobs

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAKeyIsTheBotsOrRoots(t *testing.T) {
	for _, tt := range []struct {
		owner, self int
		want        bool
	}{{1000, 1000, false}, {0, 1000, false}, {1001, 1000, true}, {1001, 0, false}, {0, 0, false}} {
		assert.Equal(t, tt.want, strange(tt.owner, tt.self), "%d's key, read by %d", tt.owner, tt.self)
	}
}
