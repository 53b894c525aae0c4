// Command mutations breaks the product in one way after another, and says which of its suites
// notice each. What none notices is a test that is missing; then it ends with 1.
//
// Nothing in the tree is changed: the compiler is shown the broken file in the place of the real
// one. A mutation whose text is not found exactly once is to be corrected here.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"meetbot/bench/internal/rig"
)

// mutation is one way to break the product.
type mutation struct {
	name     string
	file     string
	old, new string
	suites   []string // packages whose tests are run, the likeliest first
	likely   string   // the tests of the first that are run before all of it; may be empty
}

func main() {
	only := flag.String("only", "", "mutations that have this in their name")
	all := flag.Bool("all", false, "run every suite of a mutation, also when one has noticed it")
	list := flag.Bool("check", false, "only see that every mutation can be made")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *only, *all, *list); err != nil {
		fmt.Fprintln(os.Stderr, "mutations:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, all, check bool) error {
	root, err := rig.Root()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutations-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // best effort: it is in the temporary directory
	var survived []string
	fmt.Println("| the bot … | noticed by |\n| --- | --- |")
	for _, m := range mutations() {
		if !strings.Contains(m.name, only) {
			continue
		}
		overlay, err := m.make(root, dir)
		if err != nil {
			return err
		}
		if check {
			continue
		}
		noticed, err := m.judge(ctx, root, overlay, all)
		if err != nil {
			return err
		}
		said := strings.Join(noticed, ", ")
		if len(noticed) == 0 {
			survived, said = append(survived, m.name), "**nothing**"
		}
		fmt.Printf("| %s | %s |\n", m.name, said)
	}
	if len(survived) > 0 {
		return fmt.Errorf("nothing notices: %s", strings.Join(survived, "; "))
	}
	return nil
}

// make writes the broken file, and the overlay that shows it to the compiler.
func (m mutation) make(root, dir string) (overlay string, err error) {
	path := filepath.Join(root, filepath.FromSlash(m.file))
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return "", fmt.Errorf("%s: what is to be broken is %d times in %s, and not once: correct it", m.name, n, m.file)
	}
	broken := filepath.Join(dir, "broken.go")
	text, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, errors.Join(err, os.WriteFile(broken, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o600), os.WriteFile(overlay, text, 0o600))
}

// suiteWithin bounds one suite: a bot that is broken may wait for ever.
const suiteWithin = 5 * time.Minute

// judge returns which suites notice the mutation.
func (m mutation) judge(ctx context.Context, root, overlay string, all bool) (noticed []string, err error) {
	type part struct{ suite, tests string }
	var parts []part
	if m.likely != "" {
		parts = append(parts, part{m.suites[0], m.likely})
	}
	for _, suite := range m.suites {
		parts = append(parts, part{suite, "."})
	}
	for _, p := range parts {
		if slices.Contains(noticed, p.suite) {
			continue
		}
		suite := p.suite
		ctx, cancel := context.WithTimeout(ctx, suiteWithin+time.Minute)
		cmd := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-count=1", "-failfast", "-timeout", suiteWithin.String(), "-run", p.tests, "./"+suite)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		cancel()
		switch {
		case err == nil:
			continue
		case strings.Contains(string(out), "[build failed]"), strings.Contains(string(out), "[setup failed]"):
			return nil, fmt.Errorf("%s does not compile:\n%s", m.name, out)
		}
		if noticed = append(noticed, suite); !all {
			break
		}
	}
	return noticed, ctx.Err()
}
