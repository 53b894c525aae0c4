package docs_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"

	"meetbot/meeting/sandbox"
)

// Each switch of the sandbox stands for something that nobody knows, and the page of
// guesses says what follows if it is the other way.
func TestEveryGuessIsWrittenDown(t *testing.T) {
	page := read(t, "providers.md")
	quirks := reflect.TypeFor[sandbox.Quirks]()
	for i := range quirks.NumField() {
		assert.Contains(t, page, "`"+quirks.Field(i).Name+"`")
	}
}
