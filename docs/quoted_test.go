package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheLogsWordsThatAreQuotedAreWritten looks in the program for the messages by which the
// pages for operators say what to look for.
func TestTheLogsWordsThatAreQuotedAreWritten(t *testing.T) {
	var program strings.Builder
	for _, root := range []string{"../bot", "../cmd", "../meeting", "../config"} {
		require.NoError(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			b, err := os.ReadFile(path)
			program.Write(b)
			return err
		}))
	}
	pages, err := filepath.Glob("alerts/*.md")
	require.NoError(t, err)
	message := regexp.MustCompile("`([A-Za-z][^`\n=/]*)`")
	command := regexp.MustCompile(`^(?:bot|docker|kubectl|systemctl)\b`)
	quoted := 0
	for _, path := range append(pages, "operating.md", "slack.md", "discord.md") {
		for _, m := range message.FindAllStringSubmatch(read(t, path), -1) {
			if len(strings.Fields(m[1])) < 3 || command.MatchString(m[1]) {
				continue
			}
			quoted++
			for piece := range strings.SplitSeq(m[1], "…") { // a value is left out there
				assert.True(t, strings.Contains(program.String(), strings.Trim(piece, " ;:")), "%s quotes %q, which nothing says", path, m[1])
			}
		}
	}
	assert.Greater(t, quoted, 10)
}
