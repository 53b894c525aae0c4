package rig

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Root returns the directory of the module that the caller works in.
func Root() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return "", errors.New("not inside the module")
	}
	return filepath.Dir(mod), nil
}

// Build builds the bot into dir and returns its path. It has the flags of a plain go test,
// which has compiled nearly all of it: with -trimpath or CGO_ENABLED=0, as it is shipped,
// everything would be compiled once more, for minutes.
func Build(ctx context.Context, dir string) (string, error) { return build(ctx, dir, "bot") }

//go:embed testdata/killpoint.go
var killpoint []byte

// saveFunc is the function that every save of a job goes through.
const saveFunc = "func (s *Store) write(ctx context.Context, key string, j *Job, expect uint64, held bool) error {"

// Armed is the variable with the path of a file that tells a bot of [BuildKillable] where
// to kill itself; Trace that of a file to which it writes every place that it passed.
const (
	Armed = "PROMISE_ARMED"
	Trace = "PROMISE_TRACE"
)

// Arm tells the bot where to kill itself; an empty point nowhere. Only jobs that were made
// since then count, and only they are traced.
func Arm(path, point string, since time.Time) error {
	return os.WriteFile(path, []byte(fmt.Sprintf("%d\n%s\n", since.UnixNano(), point)), 0o600)
}

// BuildKillable builds the bot with one addition: right after it saved a job it looks
// whether this is where it was told to kill itself. Nothing else could hit the instant
// between a save and what follows.
func BuildKillable(ctx context.Context, dir string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	name := filepath.Join(root, "bot", "jobs", "store.go")
	source, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	if strings.Count(string(source), saveFunc) != 1 {
		return "", fmt.Errorf("%s: the function that saves a job is not where it was; correct saveFunc", name)
	}
	changed := strings.Replace(string(source), saveFunc, strings.Replace(saveFunc, ") write(", ") save(", 1), 1)
	store, added, overlay := filepath.Join(dir, "store.go"), filepath.Join(dir, "killpoint.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {
		name: store, filepath.Join(root, "bot", "jobs", "killpoint.go"): added,
	}})
	if err = errors.Join(err, os.WriteFile(store, []byte(changed), 0o600), os.WriteFile(added, killpoint, 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		return "", err
	}
	return build(ctx, dir, "bot-killable", "-overlay", overlay)
}

func build(ctx context.Context, dir, name string, flags ...string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	args := append([]string{"build", "-ldflags", "-s -w", "-o", path}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/bot")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the bot: %w\n%s", err, out)
	}
	return path, nil
}
