// Command bot makes meetings and sets live pushes from chat: in Slack, in Discord, and,
// with nothing configured, in the terminal against a sandbox.
//
// Each sub-command is in a file of its own. Running the bot is in serve.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // an image has no zones of its own

	"meetbot/bot/grammar"
	"meetbot/bot/plain"
	"meetbot/config"
	"meetbot/meeting/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills at once
	p := process{args: os.Args[1:], lookup: os.LookupEnv, environ: os.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	if err := run(ctx, p); err != nil {
		fmt.Fprintln(plain.Escape(os.Stderr), "bot:", err)
		os.Exit(1)
	}
}

// process is what a command has of the process that it runs in.
type process struct {
	args    []string // without the program's name
	lookup  func(string) (string, bool)
	environ []string // as [os.Environ] gives it
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	sandbox func(*sandbox.Config) // of a test
}

// subcommand is one thing that the binary does.
type subcommand struct {
	name  string
	args  string // as the help shows them
	about string
	run   func(context.Context, process) error // p.args are its own
	// chats says that it draws on the terminal by itself. What any other prints may come from
	// strangers, and must not control the terminal.
	chats bool
}

func subcommands() []subcommand {
	return []subcommand{
		{"", "", "run the configured chat platforms; with none, chat in the terminal", serve, true},
		{"console", "", "chat in the terminal, even if chat platforms are configured", serveConsole, true},
		{"manifest", manifestUsage(), "print what to register with the platform", manifest, false},
		{"doctor", "[--json] [--send CHANNEL] [--try-provider]", "check the setup: one line per check, with the fix; exit with 1 if there is a fault", doctorCommand, false},
		{"accounts", "[--schema]", "check PROVIDERS_FILE and list its accounts; print the JSON schema of the file", accountsCommand, false},
		{"policy", "[--json] [--place PLACE [--person PERSON]]", "show who can do what, and why", policyCommand, false},
		{"jobs", "[--all] [--json] | ID [--settle done|failed|retry] | RECORD [--drop]", "list the jobs under way and those that need somebody; show or settle one", jobsCommand, false},
		{"workspaces", "[--json] | ID --revoke", "list the workspaces that have installed the Slack app; remove it from one", workspacesCommand, false},
		{"audit", "", "print the audit log as JSON lines", auditCommand, false},
		{"backup", "DIR", "copy the embedded store into a new directory, also while the bot runs", backupCommand, false},
		{"export", "[--salvage]", "print the store as JSON lines; its secrets stay encrypted", exportCommand, false},
		{"import", "[--first-format]", "read an export from standard input into a store that no bot uses, with the same ENCRYPTION_KEY", importCommand, false},
		{"healthcheck", "", "exit with 0 if the running bot answers on OPS_ADDR; for a container's health check", healthcheck, false},
		{"version", "", "print the version", version, false},
	}
}

func run(ctx context.Context, p process) error {
	name := ""
	if len(p.args) > 0 {
		name, p.args = p.args[0], p.args[1:]
	}
	switch name {
	case "help":
		return help(p.stdout)
	case "-v", "-V", "-version", "--version":
		name = "version"
	}
	if asksHelp(name) {
		return help(p.stdout)
	}
	all := subcommands()
	i := slices.IndexFunc(all, func(c subcommand) bool { return c.name == name })
	if i < 0 {
		return noSubcommand(name, all)
	}
	c := all[i]
	if !c.chats {
		p.stdout, p.stderr = plain.Escape(p.stdout), plain.Escape(p.stderr)
	}
	if len(p.args) == 1 && asksHelp(p.args[0]) && (c.args == "" || c.name == "manifest") { // no flags of its own
		return write(p.stdout, "Usage:\n"+c.usage())
	}
	if err := c.run(ctx, p); !errors.Is(err, flag.ErrHelp) {
		return err
	}
	return nil
}

// noSubcommand says what may have been meant.
func noSubcommand(name string, all []subcommand) error {
	known := []string{"help"}
	for _, c := range all[1:] { // the first has no name
		known = append(known, c.name)
	}
	if near := grammar.Nearest(strings.ToLower(strings.TrimLeft(name, "-/")), known); near != "" {
		return fmt.Errorf("%q: unknown command; did you mean bot %s? bot -h lists them", name, near)
	}
	return fmt.Errorf("%q: unknown command; bot -h lists them", name)
}

func asksHelp(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }

func (c subcommand) usage() string {
	return fmt.Sprintf("  %s\n        %s\n", strings.Join(strings.Fields("bot "+c.name+" "+c.args), " "), c.about)
}

func help(w io.Writer) error {
	var b strings.Builder
	b.WriteString("meetbot: meetings and live pushes from chat.\n\nUsage:\n")
	for _, c := range subcommands() {
		b.WriteString(c.usage())
	}
	b.WriteString("\nEnvironment variables. With none set, the bot runs in the terminal against a sandbox.\n\n")
	return errors.Join(config.Usage(&b, names(config.Config{})...), write(w, b.String()))
}

func write(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}

func noArgs(p process) error {
	if len(p.args) > 0 {
		return fmt.Errorf("%q: unexpected argument; bot -h shows what each command takes", p.args[0])
	}
	return nil
}
