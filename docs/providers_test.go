package docs_test

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

// TestWhatPeopleSeeIsWhatTheyRead looks for the sentences that the tables of guesses quote.
func TestWhatPeopleSeeIsWhatTheyRead(t *testing.T) {
	files, err := filepath.Glob("../bot/texts/*.en.json")
	require.NoError(t, err)
	var all strings.Builder
	for _, path := range files {
		var texts map[string]string
		require.NoError(t, json.Unmarshal([]byte(read(t, path)), &texts))
		for _, text := range texts {
			all.WriteString(strings.ToLower(text) + "\n")
		}
	}
	names := strings.NewReplacer("Tencent Meeting", "{{.Provider}}", "SYSTEC umeeting", "{{.Provider}}", "Zoom", "{{.Provider}}")
	quoted := 0
	for line := range strings.Lines(read(t, "providers.md")) {
		cells := strings.Split(line, " | ")
		if len(cells) != 4 { // guess, switch, what people see, what the doctor says
			continue
		}
		for _, m := range regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(cells[2], -1) {
			quoted++
			for piece := range strings.SplitSeq(names.Replace(m[1]), "…") {
				assert.True(t, strings.Contains(all.String(), strings.ToLower(strings.TrimSpace(piece))), "no text says %q", m[1])
			}
		}
	}
	assert.Greater(t, quoted, 15)
}
