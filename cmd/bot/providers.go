package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"meetbot/bot/commands"
	"meetbot/bot/policy"
	"meetbot/bot/signed"
	"meetbot/config"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/sandbox"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
	"meetbot/meeting/zoom"
)

// A providerRow is all that the rest of the program has to be told of a meeting provider.
type providerRow struct {
	kind      meeting.Kind
	variables string // what to set for it
	settings  func(config.Config) config.Provider
	open      func(config.Config) (commands.Provider, error)
	// sandbox points its settings at the sandbox; nil: the sandbox does not play it, and it is
	// not there while meetings are made in the sandbox.
	sandbox func(*config.Config, *sandbox.Server)
	// token sets what the sandbox's reports are verified with; nil: it reports nothing there.
	token func(*config.Config, secret.String)
	// webhook takes what it reports by itself, at the path; nil: it reports nothing.
	webhook func(config.Config, listener) (path string, h http.Handler, err error)
	// examine is the doctor's look at it; nil: it is asked for nothing.
	examine func(context.Context, *doctor, config.Config, providerRow) []finding
	places  []policy.Entry // that an account serves; nil: all
	// refusals are what the doctor says and advises of its refusals, where the general
	// sentence does not do.
	refusals map[meeting.Reason]refusal
}

// listener is told what a provider reports.
type listener struct {
	now     func() time.Time // the provider's clock
	hear    func(context.Context, meeting.Event) error
	refused func(signed.Reason) // a request that claimed to be the provider's
	log     *slog.Logger
}

// refusal is what the doctor says of one, and what to do.
type refusal struct{ says, fix string }

func (r providerRow) on(c config.Config) bool { return r.settings(c).On() }

// providerRows returns the providers that there are, in the order of lists. The first
// that is configured is the one that /meet uses, if nothing else is said.
func providerRows() []providerRow {
	return []providerRow{
		{
			kind: systec.Kind, variables: "SYSTEC_*",
			settings: func(c config.Config) config.Provider { return c.Systec },
			open: func(c config.Config) (commands.Provider, error) {
				client, err := systec.New(systec.Config{
					Key: c.Systec.ApiKey, Secret: c.Systec.ApiSecret, BaseURL: c.Systec.BaseURL, Capacity: c.Systec.Capacity,
				})
				return systec.Provider{Client: client}, err
			},
			sandbox: func(c *config.Config, s *sandbox.Server) {
				made := s.Config()
				c.Systec.ApiKey, c.Systec.ApiSecret, c.Systec.BaseURL = secret.New(made.SystecKey), made.SystecSecret, s.SystecURL()
			},
			examine: examineSystec,
		},
		{
			kind: tencent.Kind, variables: "TENCENT_*",
			settings: func(c config.Config) config.Provider { return c.Tencent },
			open: func(c config.Config) (commands.Provider, error) {
				client, err := tencent.New(tencent.Config{
					AppID: c.Tencent.AppID, SDKID: c.Tencent.SdkID, SecretID: c.Tencent.SecretID.Reveal(), SecretKey: c.Tencent.SecretKey,
					UserID: c.Tencent.UserID, Users: slices.Sorted(maps.Values(c.Tencent.Users)), InstanceID: c.Tencent.InstanceID, BaseURL: c.Tencent.BaseURL,
				})
				return tencent.Provider{Client: client}, err
			},
			sandbox: func(c *config.Config, s *sandbox.Server) {
				made := s.Config()
				c.Tencent.AppID, c.Tencent.SdkID = made.TencentAppID, made.TencentSDKID
				c.Tencent.SecretID, c.Tencent.SecretKey = secret.New(made.TencentSecretID), made.TencentSecretKey
				c.Tencent.UserID, c.Tencent.BaseURL = sandbox.DefaultUser, s.TencentURL()
			},
			token: func(c *config.Config, token secret.String) {
				c.Tencent.WebhookToken, c.Tencent.WebhookAESKey = token, secret.String{}
			},
			webhook: func(c config.Config, to listener) (string, http.Handler, error) {
				h, err := tencent.NewWebhook(tencent.WebhookConfig{
					Token: c.Tencent.WebhookToken, AESKey: c.Tencent.WebhookAESKey, Refused: to.refused, Log: to.log, Now: to.now,
					Handle: func(ctx context.Context, e tencent.Event) error {
						said, ok := e.Neutral()
						if !ok {
							return nil
						}
						if said.At.IsZero() {
							said.At = to.now()
						}
						return to.hear(ctx, said)
					},
				})
				return "/tencent/events", h, err
			},
			examine: examineTencent,
			refusals: map[meeting.Reason]refusal{
				meeting.ReasonUnknownSecretID: {"Tencent Meeting does not know TENCENT_SECRET_ID", "copy the application's SecretId again"},
				meeting.ReasonSignature:       {"Tencent Meeting refuses the signature", "copy the application's SecretKey to TENCENT_SECRET_KEY again"},
				meeting.ReasonAccount:         {"the account that the bot acts as is not registered", "set TENCENT_USER_ID to the userid of a registered member"},
			},
		},
		{
			kind: zoom.Kind, variables: "ZOOM_*",
			settings: func(c config.Config) config.Provider { return c.Zoom },
			open: func(c config.Config) (commands.Provider, error) {
				return zoom.New(zoom.Config{
					AccountID: c.Zoom.AccountID, ClientID: c.Zoom.ClientID, ClientSecret: c.Zoom.ClientSecret,
					UserID: c.Zoom.UserID, Users: slices.Sorted(maps.Values(c.Zoom.Users)), BaseURL: c.Zoom.BaseURL, OAuthURL: c.Zoom.OauthURL,
				})
			},
			sandbox: func(c *config.Config, s *sandbox.Server) {
				made := s.Config()
				c.Zoom.AccountID, c.Zoom.ClientID, c.Zoom.ClientSecret = made.ZoomAccountID, made.ZoomClientID, made.ZoomClientSecret
				c.Zoom.UserID, c.Zoom.BaseURL, c.Zoom.OauthURL = sandbox.DefaultUser, s.ZoomURL(), s.ZoomOAuthURL()
			},
			token: func(c *config.Config, token secret.String) { c.Zoom.WebhookToken = token },
			webhook: func(c config.Config, to listener) (string, http.Handler, error) {
				h, err := zoom.NewWebhook(zoom.WebhookConfig{Token: c.Zoom.WebhookToken, BaseURL: c.Zoom.BaseURL, Now: to.now, Handle: to.hear, Refused: to.refused, Log: to.log})
				return "/zoom/events", h, err
			},
			examine: examineZoom,
			refusals: map[meeting.Reason]refusal{
				meeting.ReasonAccount: {"ZOOM_USER_ID is not a user of the account", "set it to the address of a user with a licence"},
				meeting.ReasonScope:   {"the application lacks a scope", "add it to the application, on its page Scopes"},
			},
		},
	}
}

// inSandbox starts the sandbox and points the configuration at it, and at nothing else. What
// plays in it may be changed; nil: nothing is. A named account has a sandbox of its own.
func inSandbox(ctx context.Context, cfg *config.Config, change func(*sandbox.Config)) (map[string]*sandbox.Server, error) {
	all := map[string]*sandbox.Server{}
	start := func(account string, persons func(yield func(string) bool)) error {
		users := []sandbox.User{{ID: sandbox.DefaultUser}}
		for id := range persons {
			if !slices.ContainsFunc(users, func(u sandbox.User) bool { return u.ID == id }) {
				users = append(users, sandbox.User{ID: id})
			}
		}
		played := sandbox.Config{Users: users, RecordingAfter: 45 * time.Second}
		if cfg.Chat() && cfg.PublicURL != "" { // people are elsewhere, and reach the bot there
			played.PublicURL = strings.TrimRight(cfg.PublicURL, "/") + sandboxPages(account)
		}
		if change != nil {
			change(&played)
		}
		s, err := sandbox.Start(ctx, "127.0.0.1:0", played)
		if err == nil {
			all[account] = s
		}
		return err
	}
	persons := func(c config.Config) func(yield func(string) bool) {
		return func(yield func(string) bool) {
			for _, row := range providerRows() {
				_, persons := row.settings(c).Accounts()
				for _, id := range slices.Sorted(maps.Values(persons)) {
					if !yield(id) {
						return
					}
				}
			}
		}
	}
	if err := start("", persons(*cfg)); err != nil {
		return nil, err
	}
	cfg.MeetProvider = ""
	for _, row := range providerRows() {
		if row.sandbox != nil {
			row.sandbox(cfg, all[""])
			cfg.MeetProvider = cmp.Or(cfg.MeetProvider, string(row.kind.ID))
		}
	}
	accounts := slices.Clone(cfg.Accounts())
	for i, a := range accounts {
		in := cfg.In(a)
		if err := start(a.Name, persons(in)); err != nil {
			return all, err
		}
		if row := rowOf(a); row.sandbox != nil {
			row.sandbox(&in, all[a.Name])
		}
		accounts[i].Settings = in.Providers
	}
	*cfg = cfg.WithAccounts(accounts)
	return all, nil
}

// sandboxPages is where PUBLIC_URL has the pages of an account's sandbox.
func sandboxPages(account string) string {
	return strings.TrimSuffix("/sandbox-"+account, "-")
}

// providerKinds are the providers that there are.
func providerKinds() meeting.Kinds {
	var all meeting.Kinds
	for _, row := range providerRows() {
		all = append(all, row.kind)
	}
	return all
}

// offeredKinds are those that people are offered: what is configured, or all while nothing is.
func offeredKinds(cfg config.Config) meeting.Kinds {
	var on, named meeting.Kinds
	for _, row := range providerRows() {
		if slices.ContainsFunc(configuredRows(cfg), func(c providerRow) bool { return row.kind.ID.Covers(c.kind.ID) }) {
			on = append(on, row.kind)
		}
	}
	for _, row := range configuredRows(cfg) {
		if row.kind.ID.Account() != "" {
			named = append(named, row.kind)
		}
	}
	if len(on) == 0 {
		return providerKinds()
	}
	return append(on, named...)
}

// providerVariables are what to set for one of them, as a sentence has it.
func providerVariables() string {
	var all []string
	for _, row := range providerRows() {
		all = append(all, row.variables)
	}
	return strings.Join(all, " or ")
}

// providerIDs are the IDs of the providers that there are, and of the accounts of the configuration.
func providerIDs(cfg config.Config) []meeting.Provider {
	var all []meeting.Provider
	for _, k := range providerKinds() {
		all = append(all, k.ID)
	}
	for _, a := range cfg.Accounts() {
		all = append(all, accountID(a))
	}
	return all
}

// providers makes the clients of what is configured, and says which one /meet uses; none where
// each account has its places.
func providers(cfg config.Config, sandboxed bool) (all map[meeting.Provider]commands.Provider, first meeting.Provider, err error) {
	all = make(map[meeting.Provider]commands.Provider)
	for _, row := range configuredRows(cfg) {
		if sandboxed && row.sandbox == nil {
			continue
		}
		client, err := row.open(cfg)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", row.variables, err)
		}
		id := row.kind.ID
		all[id] = client
		switch {
		case cfg.MeetProvider == string(id), cfg.MeetProvider != "" && cfg.MeetProvider == id.Account():
			first = id
		case cfg.MeetProvider == "" && row.places == nil:
			first = cmp.Or(first, id)
		}
	}
	if len(all) == 0 {
		return nil, "", errors.New("no meeting provider is configured")
	}
	return all, first, nil
}

// pushProvider is the ID of a configured provider whose meetings take push addresses; empty
// for none.
func pushProvider(cfg config.Config) string {
	for _, row := range configuredRows(cfg) {
		if row.kind.Can.LivePush {
			return string(row.kind.ID.Kind())
		}
	}
	return ""
}
