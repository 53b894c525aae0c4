package hostile

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A run that found something is repeated by its seed.
func TestASeedSaysWhatHappens(t *testing.T) {
	document := []byte(`{"a":{"b":[1,"x",{"c":null}],"d":"text"},"e":2.5}`)
	run := func(seed uint64) (all []string) {
		r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // it is to be repeated
		for range 200 {
			all = append(all, string(JSON(r, document)), string(Form(r, []byte("payload=%7B%22a%22%3A1%7D&b=2"))))
		}
		return all
	}
	assert.Equal(t, run(1), run(1))
	assert.NotEqual(t, run(1), run(2))
	distinct := map[string]bool{}
	for _, s := range run(1) {
		distinct[s] = true
	}
	assert.Greater(t, len(distinct), 200, "and most differ")
}
