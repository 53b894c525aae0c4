package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bench/internal/rig"
)

// TestThePicturesAreOfThisBot draws all pictures again.
func TestThePicturesAreOfThisBot(t *testing.T) {
	root, err := rig.Root()
	require.NoError(t, err)
	dir := filepath.Join(root, filepath.FromSlash(directory))
	all, err := draw(t.Context())
	require.NoError(t, err)
	there, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range there {
		assert.Contains(t, all, e.Name(), "a picture of nothing")
	}
	for name, want := range all {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if assert.NoError(t, err, "run: go run ./bench/pictures") {
			assert.True(t, want == string(got), "%s is stale; run: go run ./bench/pictures, and look at it", name)
		}
	}
	for name, picture := range all {
		assert.Less(t, len(picture), 24<<10, name)
		assert.NotContains(t, picture, "canary", "%s shows a secret", name)
		assert.NotContains(t, picture, "127.0.0.1", name)
		assert.Contains(t, picture, `role="img" aria-labelledby="t d"`, name)
		d := xml.NewDecoder(strings.NewReader(picture))
		said := map[string]string{}
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, name)
			start, ok := token.(xml.StartElement)
			if ok && (start.Name.Local == "title" || start.Name.Local == "desc") {
				var text string
				require.NoError(t, d.DecodeElement(&text, &start))
				said[start.Name.Local] = text
			}
		}
		assert.NotEmpty(t, said["title"], name)
		assert.NotEmpty(t, said["desc"], name)
	}
}

func TestTextIsWrapped(t *testing.T) {
	lines := func(text string, limit float64) (all []string) {
		for _, line := range wrap([]run{{text: text}}, 10, limit) {
			var b strings.Builder
			for _, r := range line {
				b.WriteString(r.text)
			}
			all = append(all, strings.TrimRight(b.String(), " "))
		}
		return all
	}
	for _, tt := range []struct {
		name, text string
		limit      float64
		want       []string
	}{
		{"Short", "one two", 100, []string{"one two"}},
		{"AtBlanks", "one two three", 40, []string{"one two", "three"}},
		{"AtLineBreaks", "one\ntwo", 100, []string{"one", "two"}},
		{"LongWord", "aaaaaaaaaa", 30, []string{"aaaaa", "aaaaa"}},
		{"BetweenChineseCharacters", "会议开始后", 30, []string{"会议开", "始后"}},
		{"NoLineBeginsWithAStop", "会议。", 20, []string{"会", "议。"}},
	} {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, lines(tt.text, tt.limit)) })
	}
}

func TestMarkupIsRead(t *testing.T) {
	en := languages[0]
	assert.Equal(t, []run{{}, {text: "By", bold: true}, {text: " "}, {text: "@Ada", linked: true}, {text: " at "}, {text: "20:15"}, {text: " <b>"}},
		mrkdwn("*By* <@"+ada+"> at <!date^1^{time}|12:00 UTC> &lt;b&gt;", en))
	got := discordText(`**Asked\_by:** <@`+dada+`> until <t:1:t> \*`, en)
	require.Len(t, got, 1)
	assert.Equal(t, []run{{}, {text: "Asked_by:", bold: true}, {text: " "}, {text: "@Ada", linked: true}, {text: " until "}, {text: "20:15"}, {text: " *"}}, got[0].runs)
}
