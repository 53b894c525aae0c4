package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"meetbot/bot/grammar"
)

// flags returns the options of a sub-command, to be parsed with [parse] or [parseAround].
func flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard) // what is wrong is the error's to say, in one line
	f.Usage = func() {}
	return f
}

// parse parses the options of a sub-command that takes nothing else. about is what its help
// says before the options.
func parse(f *flag.FlagSet, p process, about string) error {
	rest, err := parseAround(f, p, optionHelp(f, about))
	if err != nil {
		return err
	}
	p.args = rest
	return noArgs(p)
}

// parseAround parses options before and after what is none, and returns the latter. Asked for
// help it prints it, and returns [flag.ErrHelp].
func parseAround(f *flag.FlagSet, p process, help string) (rest []string, err error) {
	for args := p.args; ; {
		switch err := f.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			return nil, errors.Join(write(p.stdout, help), err)
		case err != nil:
			return nil, optionError(f, err)
		case f.NArg() == 0:
			return rest, nil
		}
		rest, args = append(rest, f.Arg(0)), f.Args()[1:]
	}
}

// optionError says of package flag's errors which option is wrong, and what to type.
func optionError(f *flag.FlagSet, err error) error {
	if name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); unknown {
		var known []string
		f.VisitAll(func(o *flag.Flag) { known = append(known, o.Name) })
		meant := ""
		if near := grammar.Nearest(strings.TrimPrefix(name, "-"), known); near != "" {
			meant = " did you mean --" + near + "?"
		}
		return fmt.Errorf("--%s: unknown option;%s bot %s -h lists them", name, meant, f.Name())
	}
	if name, missing := strings.CutPrefix(err.Error(), "flag needs an argument: -"); missing {
		return fmt.Errorf("--%s: its value is missing; bot %s -h shows it", name, f.Name())
	}
	return fmt.Errorf("%w; bot %s -h lists the options", err, f.Name())
}

// optionHelp is the help of a sub-command from its options, spelt as people type them.
func optionHelp(f *flag.FlagSet, about string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: bot %s [OPTIONS]\n\n", f.Name())
	if about != "" {
		b.WriteString(about + "\n\n")
	}
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	f.VisitAll(func(o *flag.Flag) {
		value, says := flag.UnquoteUsage(o)
		fmt.Fprintf(tw, "  %s\t%s\n", strings.TrimSpace("--"+o.Name+" "+value), says)
	})
	_ = tw.Flush() // a strings.Builder takes everything
	return b.String()
}
