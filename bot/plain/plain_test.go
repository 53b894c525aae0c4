package plain

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestEveryCharacterIsBlankHiddenOrSeen(t *testing.T) {
	for _, r := range "a周é\u0301😀ｱ1-·\u06dd" {
		assert.True(t, Seen(r), "%U", r)
	}
	for _, r := range " \t\n\u00a0\u3000\u2003\u2028\u115f\u1160\u3164\uffa0\u2800" {
		assert.True(t, Blank(r), "%U", r)
		assert.False(t, Hidden(r) || Seen(r), "%U", r)
	}
	for _, r := range "\x00\x1b\u007f\u0080\u00ad\u034f\u061c\u17b4\u180b\u180e\u200b\u200c\u200d\u200e\u202e\u2060\u2065\u2066\u206a\ufe0f\ufeff\ufffd\ue000\U0001d173\U000e0001\U000e0041\U000e0100" {
		assert.True(t, Hidden(r), "%U", r)
		assert.False(t, Blank(r) || Seen(r), "%U", r)
	}
}
