package main

import (
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
	"meetbot/bot/chat"
	"meetbot/bot/installs"
	"meetbot/bot/livepush"
	"meetbot/config"
)

const workspacesHelp = `Usage: bot workspaces [--json]
       bot workspaces ID --revoke [--forget]

Lists the workspaces and organisations that have installed the Slack app (SLACK_CLIENT_ID).

  --json    Print JSON lines.
  --revoke  Have Slack remove the app from the workspace or organisation with that ID, and erase its
            token from the store. Its jobs end, and nobody there can use the bot until the app is
            installed again; to keep it out, take its ID out of SLACK_TEAMS too.
            Saved destinations stay, with their stream keys, in case the app comes back.
  --forget  Erase them too. Also for a workspace that has removed the app already.
`

// workspacesCommand is `bot workspaces`.
func workspacesCommand(ctx context.Context, p process) error {
	f := flags("workspaces")
	asJSON := f.Bool("json", false, "")
	revoke := f.Bool("revoke", false, "")
	forget := f.Bool("forget", false, "")
	id, err := parseAround(f, p, workspacesHelp)
	switch {
	case err != nil:
		return err
	case len(id) > 1 || len(id) == 1 && !*revoke:
		return fmt.Errorf("%q: unexpected argument; bot workspaces lists them, and bot workspaces ID --revoke removes one", id[len(id)-1])
	case *forget && !*revoke:
		return errors.New("--forget: add --revoke, as in bot workspaces T0123456789 --revoke --forget")
	case *revoke && len(id) == 0:
		return errors.New("--revoke: name the workspace, as in bot workspaces T0123456789 --revoke")
	}
	q := question{Op: "workspaces"}
	if *revoke {
		q = question{Op: "revoke", Job: id[0], All: *forget}
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
	Destinations int       `json:"destinations"`        // that are saved there
	Forgotten    bool      `json:"forgotten,omitempty"` // they were erased
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
		l := lineOfWorkspace(in)
		if l.Destinations, err = a.destinationsOf(ctx, in, false); err != nil {
			return err
		}
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

// revokeWorkspace has the platform remove the app, and erases the token; with forget the saved
// destinations too. Whoever serves the workspace finds out within seconds.
func (a admin) revokeWorkspace(ctx context.Context, id string, forget bool, w io.Writer) error {
	in, err := a.installs().Get(ctx, id)
	gone := errors.Is(err, installs.ErrNone)
	switch {
	case gone && !forget:
		return fmt.Errorf("%q has not installed the app; bot workspaces lists those that have", id)
	case gone:
		in.ID = id
	case err != nil:
		return err
	default:
		if err := a.remove(ctx, in); err != nil {
			return err
		}
	}
	l := lineOfWorkspace(in)
	l.Removed, l.Forgotten = !gone, forget
	if l.Destinations, err = a.destinationsOf(ctx, in, forget); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(l)
}

// remove has the platform remove the app, and erases the token.
func (a admin) remove(ctx context.Context, in installs.Installation) error {
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
	a.log.WarnContext(ctx, "operator revoked an installation", "team", in.ID)
	if err := a.note(ctx, in.ID, audit.Line{Action: audit.Uninstall, Outcome: "removed"}); err != nil {
		return fmt.Errorf("the app is removed, but the bot could not write the audit log: %w", err)
	}
	return nil
}

// note writes what the operator did about a workspace to the audit log.
func (a admin) note(ctx context.Context, id string, l audit.Line) error {
	now := time.Now()
	l.At, l.Asked, l.Who, l.Where = now, now, audit.Operator, string(slack.Platform)+":"+id
	l.Job, l.Step = "workspaces", strings.TrimSpace(id+" "+now.UTC().Format(time.RFC3339Nano)+" "+l.Destination)
	return audit.New(a.store).Append(context.WithoutCancel(ctx), l)
}

// destinationsOf counts what is saved in a workspace, or in those of an organisation, and with erase
// erases it.
func (a admin) destinationsOf(ctx context.Context, in installs.Installation, erase bool) (n int, err error) {
	dests := livepush.NewDestinations(a.store, time.Now)
	for _, team := range append([]string{in.ID}, in.Teams...) {
		all, err := dests.All(ctx, livepush.Scope(chat.Place{Platform: slack.Platform, Team: team}, ""))
		if err != nil {
			return n, err
		}
		n += len(all)
		if !erase {
			continue
		}
		for _, d := range all {
			if err := dests.Forget(ctx, d); err != nil {
				return n, fmt.Errorf("erase a destination of %s: %w; try again", team, err)
			}
			if err := a.note(ctx, team, audit.Line{Action: audit.Forget, Destination: d.Name, Outcome: "forgotten"}); err != nil {
				return n, fmt.Errorf("a destination is erased, but the bot could not write the audit log: %w", err)
			}
		}
	}
	return n, nil
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

// revoked says what was erased, and what was not.
func revoked(l workspaceLine) string {
	text := fmt.Sprintf("Removed the app from %s (%s), and erased its token.\n", l.ID, l.Name)
	if !l.Removed {
		text = l.ID + " has not installed the app.\n"
	}
	const stay = "Saved destinations that stay, with their stream keys: %d. To erase them"
	switch {
	case l.Forgotten:
		text += fmt.Sprintf("Saved destinations erased, with their stream keys: %d.\n", l.Destinations)
	case l.Destinations > 0 && l.Organisation: // which workspaces it had is not known any more
		text += fmt.Sprintf(stay+", with each of %s as the ID: bot workspaces ID --revoke --forget\n", l.Destinations, strings.Join(l.Workspaces, ", "))
	case l.Destinations > 0:
		text += fmt.Sprintf(stay+": bot workspaces %s --revoke --forget\n", l.Destinations, l.ID)
	}
	return text
}

func printWorkspaces(w io.Writer, lines io.Reader, q question) error {
	all, err := linesOf[workspaceLine](lines)
	if err != nil {
		return err
	}
	if q.Op == "revoke" && len(all) == 1 {
		return write(w, revoked(all[0]))
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
