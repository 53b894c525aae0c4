package goldentest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOnlyWhatDiffersIsShown(t *testing.T) {
	for _, tt := range []struct{ name, want, got, diff string }{
		{"Same", "a\nb\n", "a\nb\n", ""},
		{"Changed", "a\nb\nc\n", "a\nx\nc\n", "line 2\n- b\n+ x\n"},
		{"Added", "a\nc\n", "a\nb\nc\n", "line 2\n+ b\n"},
		{"Removed", "a\nb\nc\n", "a\nc\n", "line 2\n- b\n"},
		{"TwoPlaces", "1\n2\n3\n4\n5\n", "0\n2\n3\n4\n6\n", "line 1\n- 1\n+ 0\nline 5\n- 5\n+ 6\n"},
		{"NoNewlineAtTheEnd", "a\n", "a", "line 2\n- \n"},
		{"Empty", "", "a", "line 1\n- \n+ a\n"},
	} {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.diff, diff(tt.want, tt.got)) })
	}
}
