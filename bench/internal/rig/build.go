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
// which has compiled nearly all of it.
func Build(ctx context.Context, dir string) (string, error) { return build(ctx, dir, nil, "bot") }

// BuildShipped is Build without cgo, as the bot is shipped: with it the store's cache lies outside
// of Go's heap. Everything is compiled once more, for minutes.
func BuildShipped(ctx context.Context, dir string) (string, error) {
	return build(ctx, dir, []string{"CGO_ENABLED=0"}, "bot")
}

// What is added to the bot: see [BuildKillable].
var (
	//go:embed testdata/killpoint.go
	killpoint []byte
	//go:embed testdata/machine.go
	machine []byte
	//go:embed testdata/disk.go
	disk []byte
	//go:embed testdata/enginepoint.go
	enginepoint []byte
)

// Where the bot's own code asks for the machine's clock and for the disk.
const (
	clockDefault = "cfg.machine = time.Now\n"
	diskDefault  = "return openPebble(ctx, cfg, lock, fresh, check, vfs.Default)"
	diskChanged  = "return busily(openPebble(ctx, cfg, lock, fresh, check, killableDisk(troubledDisk(vfs.Default))))"
)

// saveFunc is the function that every save of a job goes through.
const saveFunc = "func (s *Store) write(ctx context.Context, key string, j *Job, expect uint64, held bool) error {"

// putDocFunc and deleteDocFunc are the functions that change documents.
const (
	putDocFunc    = "func (s *Store) PutDoc(ctx context.Context, d Doc) (uint64, error) {"
	deleteDocFunc = "func (s *Store) DeleteDoc(ctx context.Context, rev uint64, key ...string) error {"
)

// Armed is the variable with the path of a file that tells a bot of [BuildKillable] where
// to kill itself; Trace that of a file to which it writes every place that it passed.
//
// Clock is that of a file with the nanoseconds by which the machine's clock was set, and Disk that
// of one that says how the embedded store's disk is: slow, silent, refusing, wrong, or nothing.
const (
	Armed = "PROMISE_ARMED"
	Trace = "PROMISE_TRACE"
	Clock = "PROMISE_CLOCK"
	Disk  = "PROMISE_DISK"
)

// OwnWork are the instants of the embedded store's own work at which a bot of [BuildKillable] can be
// told to kill itself. It erases and copies itself all the time then.
func OwnWork() []string {
	return []string{
		"store: a log is begun", "store: a log is dropped", "store: a table is begun", "store: a table is synced", "store: a table is dropped",
		"store: the list of tables is synced", "store: a copy takes a table", "store: a copy takes the log",
	}
}

// Arm tells the bot where to kill itself; an empty point nowhere. Only jobs that were made
// since then count, and only they are traced.
func Arm(path, point string, since time.Time) error {
	return os.WriteFile(path, []byte(fmt.Sprintf("%d\n%s\n", since.UnixNano(), point)), 0o600)
}

// BuildKillable builds the bot with additions: right after it saved a job, or which workspace has it, and
// in the store's own work, it looks whether this is where it was told to kill itself, since nothing else
// could hit such an instant; and the machine's clock and the disk are as files say.
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
	if strings.Count(string(source), clockDefault) != 1 {
		return "", fmt.Errorf("%s: the store's clock is not where it was; correct clockDefault", name)
	}
	changed := strings.Replace(string(source), saveFunc, strings.Replace(saveFunc, ") write(", ") save(", 1), 1)
	for _, f := range []struct{ signature, name, renamed string }{{putDocFunc, "PutDoc(", "putDoc("}, {deleteDocFunc, "DeleteDoc(", "deleteDoc("}} {
		if strings.Count(changed, f.signature) != 1 {
			return "", fmt.Errorf("%s: %s is not where it was", name, f.name)
		}
		changed = strings.Replace(changed, f.signature, strings.Replace(f.signature, f.name, f.renamed, 1), 1)
	}
	changed = strings.Replace(changed, clockDefault, "cfg.machine = machineNow\n", 1)
	engine := filepath.Join(root, "bot", "jobs", "internal", "engine")
	pebble, err := os.ReadFile(filepath.Join(engine, "pebble.go"))
	if err != nil {
		return "", err
	}
	if strings.Count(string(pebble), diskDefault) != 1 {
		return "", fmt.Errorf("%s: the disk is not where it was; correct diskDefault", engine)
	}
	replace := map[string]string{}
	for path, content := range map[string]string{
		name: changed, filepath.Join(root, "bot", "jobs", "killpoint.go"): string(killpoint), filepath.Join(root, "bot", "jobs", "machine.go"): string(machine),
		filepath.Join(engine, "pebble.go"):      strings.Replace(string(pebble), diskDefault, diskChanged, 1),
		filepath.Join(engine, "troubled.go"):    string(disk),
		filepath.Join(engine, "enginepoint.go"): string(enginepoint),
	} {
		replace[path] = filepath.Join(dir, "overlay-"+filepath.Base(path))
		if err := os.WriteFile(replace[path], []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	overlay := filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err = errors.Join(err, os.WriteFile(overlay, text, 0o600)); err != nil {
		return "", err
	}
	return build(ctx, dir, nil, "bot-killable", "-overlay", overlay)
}

func build(ctx context.Context, dir string, env []string, name string, flags ...string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	args := append([]string{"build", "-ldflags", "-s -w", "-o", path}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/bot")...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the bot: %w\n%s", err, out)
	}
	return path, nil
}
