// Command pictures draws the pictures of the README: what people see in the terminal, in
// Slack and Discord, and on the key page.
//
//	go run ./bench/pictures
//
// It runs the bot as it is shipped among stand-ins for everything that it talks to, does
// what people do before a show, and draws what the bot really sent. What is another each
// time (numbers, addresses, times) is replaced, so the same bot gives the same pictures.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"meetbot/bench/internal/rig"
)

func main() {
	if err := write(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

// directory is where the pictures are, from the root of the tree.
const directory = "docs/pictures"

func write(ctx context.Context) error {
	root, err := rig.Root()
	if err != nil {
		return err
	}
	all, err := draw(ctx)
	if err != nil {
		return err
	}
	dir := filepath.Join(root, filepath.FromSlash(directory))
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, picture := range all {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(picture), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// draw returns all pictures, by the names of their files.
func draw(ctx context.Context) (map[string]string, error) {
	work, err := os.MkdirTemp("", "pictures-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work) //nolint:errcheck // it is in the temporary directory
	binary, err := rig.Build(ctx, work)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, l := range languages {
		dir := filepath.Join(work, l.locale)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
		s, err := play(ctx, binary, dir, l)
		if err != nil {
			return nil, err
		}
		if s.terminal, err = terminal(ctx, binary, dir, l); err != nil {
			return nil, err
		}
		for _, m := range modes {
			of, err := s.pictures(m, l)
			if err != nil {
				return nil, err
			}
			for name, picture := range of {
				all[fmt.Sprintf("%s.%s.%s.svg", name, l.locale, m.name)] = picture
			}
		}
	}
	return all, nil
}

// pictures draws a session in one mode.
func (s seen) pictures(m mode, l language) (map[string]string, error) {
	var faults []error
	posts := map[string]posted{}
	for name, from := range map[string]struct {
		message json.RawMessage
		private bool
		read    func(json.RawMessage, language, bool) (posted, error)
	}{
		"card":     {s.card.Blocks, false, slackPost},
		"links":    {s.links.Blocks, false, slackPost},
		"start":    {s.start.Blocks, true, slackPost},
		"set":      {s.set.Blocks, true, slackPost},
		"approval": {s.approval.Blocks, false, slackPost},
		"failed":   {s.failed.Blocks, true, slackPost},
		"board":    {s.board.Blocks, false, slackPost},
		"dcard":    {s.dcard.Body, false, discordPost},
		"dprivate": {s.dprivate.Body, true, discordPost},
		"dthread":  {s.dthread[0].Body, false, discordPost},
	} {
		p, err := from.read(from.message, l, from.private)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
		posts[name] = p
	}
	page, err := pagePicture(m, l.titles["keypage"], l.person, s.page)
	if err = errors.Join(append(faults, err)...); err != nil {
		return nil, err
	}
	one := func(names ...string) (of []posted) {
		for _, n := range names {
			of = append(of, posts[n])
		}
		return of
	}
	return map[string]string{
		"terminal": terminalPicture(m, l.titles["terminal"], s.terminal),
		"slack":    slackPicture(m, l, l.titles["slack"], "# "+l.channel, one("card", "set"), one("links", "start")),
		"approval": slackPicture(m, l, l.titles["approval"], l.thread, one("approval"), nil),
		"board":    slackPicture(m, l, l.titles["board"], "# "+l.channel, one("board"), nil),
		"error":    slackPicture(m, l, l.titles["error"], "# "+l.channel, one("failed"), nil),
		"discord":  discordPicture(m, l, l.titles["discord"], one("dcard"), l.topic, one("dthread", "dprivate")),
		"keypage":  page,
	}, nil
}
