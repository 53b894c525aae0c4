// Command validate checks the files that the bot is deployed with.
//
//	validate kubernetes FILE…
//	validate compose FILE…
//	validate helm CHART
//
// It is a module of its own, so that what it needs is no part of the bot.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "validate:", err)
		os.Exit(1)
	}
}

// given stands for what an operator sets: the files refuse to load without.
var given = map[string]string{
	"MEETBOT_IMAGE": "registry.example.com/meetbot@sha256:" + strings.Repeat("0", 64),
	"NATS_IMAGE":    "registry.example.com/nats@sha256:" + strings.Repeat("0", 64),
	"BOT_NKEY":      "U",
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) < 2 {
		return errors.New("usage: validate kubernetes|compose FILE… | helm CHART")
	}
	var check func(name string, content []byte) (int, error)
	switch args[0] {
	case "kubernetes", "helm":
		dir, err := os.MkdirTemp("", "schemas-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir) //nolint:errcheck // it is in the temporary directory
		m, err := newManifests(dir)
		if err != nil {
			return err
		}
		if args[0] == "helm" {
			return charted(m, args[1], out)
		}
		check = m.check
	case "compose":
		check = func(name string, content []byte) (int, error) { return composed(ctx, name, content, given) }
	default:
		return fmt.Errorf("there is no check of %q", args[0])
	}
	var faults []error
	for _, name := range args[1:] {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		n, err := check(name, content)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if _, err := fmt.Fprintf(out, "%s: %d, as they should be\n", name, n); err != nil {
			return err
		}
	}
	return errors.Join(faults...)
}
