package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"

	"meetbot/bot/chat"
	"meetbot/bot/commands"
	"meetbot/bot/grammar"
	"meetbot/bot/policy"
	"meetbot/config"
	"meetbot/config/secret"
	"meetbot/meeting"
)

// rowOf is the row of the provider that an account is at.
func rowOf(a config.Account) providerRow {
	all := providerRows()
	return all[slices.IndexFunc(all, func(r providerRow) bool { return string(r.kind.ID) == a.Provider })]
}

func accountID(a config.Account) meeting.Provider { return meeting.Provider(a.Provider).At(a.Name) }

// configuredRows are the rows of what is configured: by variables, and then each account of
// PROVIDERS_FILE as if it were a provider of its own, with its settings and no other's.
func configuredRows(cfg config.Config) []providerRow {
	all := slices.DeleteFunc(providerRows(), func(r providerRow) bool { return !r.on(cfg) })
	for _, a := range cfg.Accounts() {
		all = append(all, rowOf(a).of(a))
	}
	return all
}

// of is the row with an account's settings in the place of the variables'.
func (r providerRow) of(a config.Account) providerRow {
	own := r
	own.kind, _ = providerKinds().Kind(accountID(a))
	own.variables = "PROVIDERS_FILE, account " + a.Name
	own.places = entries(a.Places)
	own.settings = func(c config.Config) config.Provider { return r.settings(c.In(a)) }
	own.open = func(c config.Config) (commands.Provider, error) { return r.open(c.In(a)) }
	if r.webhook != nil {
		own.webhook = func(c config.Config, to listener) (string, http.Handler, error) {
			_, h, err := r.webhook(c.In(a), to)
			return cmp.Or(a.WebhookPath, "/"+a.Provider+"/events/"+a.Name), h, err
		}
	}
	if r.token != nil {
		own.token = func(_ *config.Config, token secret.String) {
			in := config.Config{Providers: a.Settings}
			r.token(&in, token)
			a.Settings = in.Providers
		}
	}
	own.examine = func(ctx context.Context, d *doctor, c config.Config, _ providerRow) []finding {
		plain := r // which takes the settings as they are changed
		plain.kind = own.kind
		var found []finding
		if r.examine != nil {
			found = r.examine(ctx, d, c.In(a), plain)
		} else {
			found, _ = d.ping(ctx, c.In(a), plain)
		}
		for i, f := range found {
			found[i].Says, found[i].Fix = a.Words(f.Says), a.Words(f.Fix)
		}
		return found
	}
	return own
}

// variable is what one of its settings is called.
func (r providerRow) variable(name string) string {
	if r.kind.ID.Account() != "" {
		return r.variables + ", " + strings.ToLower(name)
	}
	return strings.TrimSuffix(r.variables, "*") + name
}

// usable says which providers and accounts a place may use, first what /meet uses there: its own
// accounts, the nearest first, and then those that serve every place, the usual one before the
// others. Whoever sits at the operator's own terminal may use all.
func usable(rows []providerRow, first meeting.Provider, platforms chat.Kinds) func(chat.Place) []meeting.Provider {
	return func(place chat.Place) []meeting.Provider {
		type ranked struct {
			id   meeting.Provider
			rank int
		}
		var all []ranked
		for _, row := range rows {
			rank := policy.Nearness(row.places, place)
			switch {
			case row.places != nil && rank == 0 && !platforms.Of(place.Platform).Local:
				continue
			case row.kind.ID == first:
				rank = max(rank, 0)
			case rank == 0:
				rank = -1
			}
			all = append(all, ranked{row.kind.ID, rank})
		}
		slices.SortStableFunc(all, func(a, b ranked) int { return b.rank - a.rank })
		ids := make([]meeting.Provider, len(all))
		for i, r := range all {
			ids[i] = r.id
		}
		return ids
	}
}

// withAccounts tells the bot of the accounts of PROVIDERS_FILE. Without the file everything is
// as it is without them.
func withAccounts(c *commands.Config, cfg config.Config, platforms chat.Kinds) error {
	if len(cfg.Accounts()) == 0 {
		return nil
	}
	rows := slices.DeleteFunc(configuredRows(cfg), func(r providerRow) bool { return c.Providers[r.kind.ID] == nil })
	for _, row := range rows {
		if id := row.kind.ID; id.Account() != "" {
			c.Parser.Accounts = append(c.Parser.Accounts, id)
		}
	}
	c.Parser.Here = usable(rows, c.Parser.Default, platforms)
	for _, a := range cfg.Accounts() {
		usual, err := usualOptions(a)
		if err != nil {
			return err
		}
		own := c.Accounts[accountID(a)]
		own.Usual = usual
		c.Accounts[accountID(a)] = own
	}
	return nil
}

// usualOptions reads an account's options as the bot reads them of people.
func usualOptions(a config.Account) (meeting.Instant, error) {
	if a.Options == "" {
		return meeting.Instant{}, nil
	}
	id := meeting.Provider(a.Provider)
	p := grammar.New(grammar.Config{Kinds: providerKinds(), Providers: []meeting.Provider{id}, Default: id})
	d := p.Parse(chat.Request{Command: "meet", Text: "topic " + a.Options})
	ask := grammar.AskOf(d)
	fault := func(fix string) error {
		return &config.Error{Faults: []config.Fault{{Variable: "PROVIDERS_FILE, account " + a.Name + ", options", Fix: fix}}}
	}
	switch {
	case ask == nil && d.Reply != nil && len(d.Reply.Fields) > 0:
		return meeting.Instant{}, fault(d.Reply.Fields[0].Name + ": " + d.Reply.Fields[0].Value)
	case ask == nil && d.Reply != nil:
		return meeting.Instant{}, fault(oneLine(d.Reply.Title + " " + d.Reply.Text))
	case ask == nil || ask.Verb != grammar.VerbMeet || ask.Meet.Topic != "topic" || ask.Provider != "" || ask.Meet.Passcode != "" || len(ask.Hosts) > 0:
		return meeting.Instant{}, fault("write options of /meet and nothing else, such as --mute --duration 45; no topic, provider, hosts or passcode")
	}
	usual := ask.Meet
	usual.Topic = ""
	return usual, nil
}

// accountsCommand is `bot accounts`.
func accountsCommand(_ context.Context, p process) error {
	f := flags("accounts")
	schema := f.Bool("schema", false, "print the JSON schema of the file instead")
	if err := parse(f, p, "Checks PROVIDERS_FILE and lists the accounts in it. It connects to nothing; bot doctor does."); err != nil {
		return err
	}
	if *schema {
		out, err := config.Schema(names(config.Config{})...)
		if err != nil {
			return err
		}
		return write(p.stdout, string(out))
	}
	cfg, err := load(p.lookup)
	if err != nil {
		return err
	}
	if len(cfg.Accounts()) == 0 {
		return errors.New("PROVIDERS_FILE is not set: it names the file that has the accounts")
	}
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ACCOUNT\tPROVIDER\tEVENTS AT\tSERVES\tOPTIONS")
	for _, a := range cfg.Accounts() {
		if _, err := usualOptions(a); err != nil {
			return err
		}
		var places []string
		for _, at := range a.Places {
			places = append(places, at.String())
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", a.Name, a.Provider, cmp.Or(a.WebhookPath, "-"), cmp.Or(strings.Join(places, ", "), "every place"), cmp.Or(a.Options, "-"))
	}
	_ = tw.Flush() // a strings.Builder takes everything
	return write(p.stdout, b.String())
}
