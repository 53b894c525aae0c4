package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"meetbot/bot/adapters/slack"
	"meetbot/bot/audit"
	"meetbot/bot/installs"
	"meetbot/config"
)

const workspacesHelp = `Usage: bot workspaces [--json]
       bot workspaces ID --revoke

Lists the workspaces and organisations that have installed the Slack app (SLACK_CLIENT_ID).

  --json    Print JSON lines.
  --revoke  Have Slack remove the app from the workspace or organisation with that ID, and erase its
            token from the store. Its jobs end, and nobody there can use the bot until the app is
            installed again; to keep it out, take its ID out of SLACK_TEAMS too.
`

// workspacesCommand is `bot workspaces`.
func workspacesCommand(ctx context.Context, p process) error {
	f := flags("workspaces")
	asJSON := f.Bool("json", false, "")
	revoke := f.Bool("revoke", false, "")
	id, err := parseAround(f, p, workspacesHelp)
	switch {
	case err != nil:
		return err
	case len(id) > 1 || len(id) == 1 && !*revoke:
		return fmt.Errorf("%q: unexpected argument; bot workspaces lists them, and bot workspaces ID --revoke removes one", id[len(id)-1])
	case *revoke && len(id) == 0:
		return errors.New("--revoke: name the workspace, as in bot workspaces T0123456789 --revoke")
	}
	q := question{Op: "workspaces"}
	if *revoke {
		q = question{Op: "revoke", Job: id[0]}
	}
	return show(ctx, p, q, *asJSON, printWorkspaces)
}

// workspaceLine is an installation as operators see it.
type workspaceLine struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Organisation bool      `json:"organisation,omitempty"`
	Enterprise   string    `json:"enterprise,omitempty"`
	Workspaces   []string  `json:"workspaces,omitempty"` // of an organisation, as far as the bot has heard of them
	By           string    `json:"installed_by,omitempty"`
	At           time.Time `json:"installed"`
	Expires      time.Time `json:"token_expires,omitzero"`
	Refused      string    `json:"refused,omitempty"` // why Slack gave no next token
	Removed      bool      `json:"removed,omitempty"`
}

func lineOfWorkspace(in installs.Installation) workspaceLine {
	return workspaceLine{
		ID: in.ID, Name: in.Name, Organisation: in.Org, Enterprise: in.Enterprise, Workspaces: in.Teams,
		By: in.By, At: in.At, Expires: in.Expires, Refused: in.Refused,
	}
}

func (a admin) installs() *installs.Store { return installs.New(a.store, string(slack.Platform)) }

func (a admin) listWorkspaces(ctx context.Context, w io.Writer) error {
	all, err := a.installs().All(ctx)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	for _, in := range all {
		if err := enc.Encode(lineOfWorkspace(in)); err != nil {
			return err
		}
	}
	return nil
}

// revokeWorkspace has the platform remove the app, and erases the token. Whoever serves the
// workspace finds out within seconds.
func (a admin) revokeWorkspace(ctx context.Context, id string, w io.Writer) error {
	in, err := a.installs().Get(ctx, id)
	if errors.Is(err, installs.ErrNone) {
		return fmt.Errorf("%q has not installed the app; bot workspaces lists those that have", id)
	}
	if err != nil {
		return err
	}
	cfg, err := a.settings()
	if err != nil {
		return err
	}
	if err := uninstall(ctx, cfg, in); err != nil && !errors.Is(err, slack.ErrTokenRefused) { // refused: it is removed already
		return fmt.Errorf("Slack did not remove the app, so nothing was changed: %w; try again", err) //nolint:staticcheck // a name
	}
	if err := a.installs().Remove(ctx, in); err != nil {
		if errors.Is(err, installs.ErrChanged) {
			return errors.New("the installation changed meanwhile; look at bot workspaces, and try again")
		}
		return err
	}
	a.log.WarnContext(ctx, "operator revoked an installation", "team", id)
	now := time.Now()
	line := audit.Line{
		At: now, Asked: now, Who: audit.Operator, Where: string(slack.Platform) + ":" + id, Action: audit.Uninstall, Outcome: "removed",
		Job: "workspaces", Step: id + " " + now.UTC().Format(time.RFC3339Nano),
	}
	if err := audit.New(a.store).Append(context.WithoutCancel(ctx), line); err != nil {
		return fmt.Errorf("the app is removed, but the bot could not write the audit log: %w", err)
	}
	l := lineOfWorkspace(in)
	l.Removed = true
	return json.NewEncoder(w).Encode(l)
}

// uninstall has Slack remove the app.
func uninstall(ctx context.Context, cfg config.Config, in installs.Installation) error {
	for _, p := range platforms() {
		if p.kind(cfg).Name != slack.Platform {
			continue
		}
		a, err := p.open(cfg, parts{log: silentLog()})
		if err != nil {
			return err
		}
		if u, can := a.(*slack.Adapter); can {
			return u.Uninstall(ctx, in)
		}
	}
	return errors.New("SLACK_CLIENT_ID is not set")
}

// slackVariables are what an app of several workspaces is configured with.
var slackVariables = []string{
	"SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET", "SLACK_CLIENT_SECRET_FILE", "SLACK_APP_TOKEN", "SLACK_APP_TOKEN_FILE",
	"SLACK_SIGNING_SECRET", "SLACK_SIGNING_SECRET_FILE", "SLACK_API_URL", "PUBLIC_URL",
}

// slackSettings reads them, whatever meeting provider there is.
func slackSettings(p process) (config.Config, error) {
	some := only(p.lookup, slackVariables...)
	return loadSome(p.lookup, func(name string) (string, bool) {
		if name == "MEET_PROVIDER" {
			return "sandbox", true
		}
		return some(name)
	})
}

func printWorkspaces(w io.Writer, lines io.Reader, q question) error {
	var all []workspaceLine
	for d := json.NewDecoder(bufio.NewReader(lines)); ; {
		var l workspaceLine
		err := d.Decode(&l)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		all = append(all, l)
	}
	if q.Op == "revoke" && len(all) == 1 {
		return write(w, fmt.Sprintf("Removed the app from %s (%s), and erased its token.\n", all[0].ID, all[0].Name))
	}
	if len(all) == 0 {
		return write(w, "No workspace has installed the app.\n")
	}
	slices.SortFunc(all, func(a, b workspaceLine) int { return strings.Compare(a.ID, b.ID) })
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ID\tNAME\tKIND\tINSTALLED\tBY\tTOKEN")
	for _, l := range all {
		kind, token := "workspace", "does not expire"
		if l.Organisation {
			kind = fmt.Sprintf("organisation, %d workspaces seen", len(l.Workspaces))
		}
		if !l.Expires.IsZero() {
			token = "until " + l.Expires.UTC().Format(time.RFC3339)
		}
		if l.Refused != "" {
			token += ", then reinstall: " + l.Refused
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.Name, kind, l.At.UTC().Format(time.RFC3339), l.By, token)
	}
	_ = tw.Flush() // a strings.Builder takes everything
	return write(w, b.String())
}
