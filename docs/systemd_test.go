package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// machine is a root directory in which the documents' commands for a service are carried
// out, in the order in which an operator would. Its systemctl does what systemd does to the
// directory of the unit, and nothing else.
type machine struct {
	t    *testing.T
	root string
	env  []string // beside the process's own
}

const systemctl = `#!/bin/sh
case "$*" in
"enable --now meetbot"|"start meetbot")
	mkdir -p ROOT/var/lib/private/meetbot
	ln -sfn private/meetbot ROOT/var/lib/meetbot
	printf '/meet Weekly sync\n' | DATA_DIR=ROOT/var/lib/meetbot MEET_PROVIDER=sandbox \
		ENCRYPTION_KEY_FILE=ROOT/etc/meetbot/secrets/ENCRYPTION_KEY OPS_ADDR= ROOT/usr/local/bin/bot console >ROOT/session 2>&1 ;;
esac
`

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, root: t.TempDir()}
	for _, dir := range []string{"usr/local/bin", "etc/systemd/system", "var/lib/private", "backup", "bin"} {
		require.NoError(t, os.MkdirAll(filepath.Join(m.root, dir), 0o700))
	}
	repository, err := filepath.Abs("..")
	require.NoError(t, err)
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", filepath.Join(m.root, "meetbot_v1.2.3_linux_amd64"), "./cmd/bot")
	build.Dir = repository
	said, err := build.CombinedOutput()
	require.NoError(t, err, string(said))
	require.NoError(t, os.Symlink(filepath.Join(repository, "deploy"), filepath.Join(m.root, "deploy")))
	require.NoError(t, os.WriteFile(filepath.Join(m.root, "bin", "systemctl"), []byte(strings.ReplaceAll(systemctl, "ROOT", m.root)), 0o700))
	return m
}

var absolute = regexp.MustCompile(`(^|[\s=])/(usr/local|etc|var/lib|backup)\b`)

// do types what the section of a page says to type, but for lines that skip has.
func (m *machine) do(page, heading, skip string) {
	m.t.Helper()
	_, section, found := strings.Cut(read(m.t, page), "\n"+strings.Trim(heading, "`")+"\n")
	require.True(m.t, found, "%s has no %s", page, heading)
	if end := regexp.MustCompile(`(?m)^#{1,3} `).FindStringIndex(section); end != nil {
		section = section[:end[0]]
	}
	var lines []string
	for _, block := range shellBlock.FindAllStringSubmatch("\n"+section, -1) {
		for line := range strings.SplitSeq(strings.ReplaceAll(block[1], "\\\n", " "), "\n") {
			if line = strings.TrimSpace(remark.ReplaceAllString(line, "")); line != "" && !shown.MatchString(line) && !regexp.MustCompile(skip).MatchString(line) {
				lines = append(lines, absolute.ReplaceAllString(line, "${1}"+m.root+"/$2"))
			}
		}
	}
	require.NotEmpty(m.t, lines)
	m.sh(strings.Join(lines, "\n"))
}

func (m *machine) sh(script string) string {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), "sh", "-euc", "umask 022\n"+script)
	cmd.Dir = m.root
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(m.root, "bin")+":"+filepath.Join(m.root, "usr/local/bin")+":"+os.Getenv("PATH"), "TMPDIR="+m.t.TempDir())
	cmd.Env = append(cmd.Env, m.env...)
	said, err := cmd.CombinedOutput()
	require.NoError(m.t, err, "%s\n%s", script, said)
	return string(said)
}

func (m *machine) mode(path string) os.FileMode {
	m.t.Helper()
	info, err := os.Stat(filepath.Join(m.root, path))
	require.NoError(m.t, err)
	return info.Mode().Perm()
}

// jobs is what the bot says of the commands in a store.
func (m *machine) jobs(dir string) string {
	return m.sh("DATA_DIR=" + m.root + dir + " ENCRYPTION_KEY_FILE=" + m.root + "/etc/meetbot/secrets/ENCRYPTION_KEY bot jobs --all")
}

func TestAServiceIsInstalledBackedUpRestoredAndGivenANewKey(t *testing.T) {
	for _, program := range []string{"openssl", "install", "sh"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s in PATH", program)
		}
	}
	m := newMachine(t)
	m.do("install.md", `## systemd`, `^GOBIN=|^journalctl|daemon-reload`)
	assert.Equal(t, os.FileMode(0o755), m.mode("usr/local/bin/bot"))
	assert.Equal(t, os.FileMode(0o700), m.mode("etc/meetbot/secrets"))
	assert.Equal(t, os.FileMode(0o600), m.mode("etc/meetbot/env"))
	assert.Equal(t, os.FileMode(0o600), m.mode("etc/meetbot/secrets/ENCRYPTION_KEY"))
	assert.FileExists(t, filepath.Join(m.root, "etc/systemd/system/meetbot.service"))
	require.Contains(t, m.jobs("/var/lib/meetbot"), "meet")

	m.env = []string{"DATA_DIR=" + m.root + "/var/lib/meetbot", "ENCRYPTION_KEY_FILE=" + m.root + "/etc/meetbot/secrets/ENCRYPTION_KEY"}
	m.do("operating.md", `### Copy, while the bot runs or not`, `^$`)
	m.env = nil
	copies, err := filepath.Glob(filepath.Join(m.root, "backup", "meetbot-*"))
	require.NoError(t, err)
	require.Len(t, copies, 1)
	info, err := os.Lstat(copies[0])
	require.NoError(t, err)
	assert.True(t, info.IsDir(), "a link is no backup")
	assert.Equal(t, m.jobs("/var/lib/meetbot"), m.jobs(strings.TrimPrefix(copies[0], m.root)))

	m.sh("cd " + m.root + " && DATA_DIR=$PWD/var/lib/meetbot ENCRYPTION_KEY_FILE=$PWD/etc/meetbot/secrets/ENCRYPTION_KEY bot export > records-2026-01-31.jsonl")
	before := m.jobs("/var/lib/meetbot")
	m.do("operating.md", `### Restore`, `^bot jobs`)
	assert.Equal(t, before, m.jobs("/var/lib/meetbot"))
	target, err := os.Readlink(filepath.Join(m.root, "var/lib/meetbot"))
	require.NoError(t, err)
	assert.Equal(t, "private/meetbot", target, "the link is where it was")

	key := filepath.Join(m.root, "ENCRYPTION_KEY")
	old, err := os.ReadFile(filepath.Join(m.root, "etc/meetbot/secrets/ENCRYPTION_KEY"))
	require.NoError(t, err)
	for _, mode := range []os.FileMode{0o600, 0o400} {
		require.NoError(t, os.RemoveAll(key))
		require.NoError(t, os.WriteFile(key, old, mode))
		if os.Getuid() != 0 && mode == 0o400 {
			continue // root alone may write to it
		}
		m.do("operating.md", `### ENCRYPTION_KEY`, `^$`)
		assert.Equal(t, mode, m.mode("ENCRYPTION_KEY"))
		now, err := os.ReadFile(key)
		require.NoError(t, err)
		first, second, two := strings.Cut(strings.TrimSpace(string(now)), ",")
		assert.True(t, two)
		assert.Len(t, first, 44)
		assert.Equal(t, strings.TrimSpace(string(old)), second)
		m.sh("DATA_DIR=" + m.root + "/var/lib/meetbot ENCRYPTION_KEY_FILE=" + key + " bot jobs --all")
		old = now
	}
}
