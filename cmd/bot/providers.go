package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"meetbot/bot/commands"
	"meetbot/config"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/sandbox"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
)

// inSandbox starts the sandbox and points the configuration at it.
func inSandbox(ctx context.Context, cfg *config.Config) (*sandbox.Server, error) {
	users := []sandbox.User{{ID: sandbox.DefaultUser}}
	for _, id := range slices.Sorted(maps.Values(cfg.Tencent.Users)) {
		if !slices.ContainsFunc(users, func(u sandbox.User) bool { return u.ID == id }) {
			users = append(users, sandbox.User{ID: id})
		}
	}
	s, err := sandbox.Start(ctx, "127.0.0.1:0", sandbox.Config{Users: users})
	if err != nil {
		return nil, err
	}
	made := s.Config()
	cfg.Systec.ApiKey, cfg.Systec.ApiSecret, cfg.Systec.BaseURL = secret.New(made.SystecKey), made.SystecSecret, s.SystecURL()
	cfg.Tencent.AppID, cfg.Tencent.SdkID = made.TencentAppID, made.TencentSDKID
	cfg.Tencent.SecretID, cfg.Tencent.SecretKey = secret.New(made.TencentSecretID), made.TencentSecretKey
	cfg.Tencent.UserID, cfg.Tencent.BaseURL = sandbox.DefaultUser, s.TencentURL()
	cfg.MeetProvider = string(systec.Kind.ID)
	return s, nil
}

// A providerRow is all that the rest of the program has to be told of a meeting provider.
type providerRow struct {
	kind      meeting.Kind
	variables string // what to set for it
	on        func(config.Config) bool
	open      func(config.Config) (commands.Provider, error)
}

// providerRows returns the providers that there are, in the order of lists. The first
// that is configured is the one that /meet uses, if nothing else is said.
func providerRows() []providerRow {
	return []providerRow{
		{
			kind: systec.Kind, variables: "SYSTEC_*",
			on: func(c config.Config) bool { return c.Systec.On() },
			open: func(c config.Config) (commands.Provider, error) {
				client, err := systec.New(systec.Config{
					Key: c.Systec.ApiKey, Secret: c.Systec.ApiSecret, BaseURL: c.Systec.BaseURL, Capacity: c.Systec.Capacity,
				})
				return systec.Provider{Client: client}, err
			},
		},
		{
			kind: tencent.Kind, variables: "TENCENT_*",
			on: func(c config.Config) bool { return c.Tencent.On() },
			open: func(c config.Config) (commands.Provider, error) {
				client, err := tencent.New(tencent.Config{
					AppID: c.Tencent.AppID, SDKID: c.Tencent.SdkID, SecretID: c.Tencent.SecretID.Reveal(), SecretKey: c.Tencent.SecretKey,
					UserID: c.Tencent.UserID, Users: slices.Sorted(maps.Values(c.Tencent.Users)), InstanceID: c.Tencent.InstanceID, BaseURL: c.Tencent.BaseURL,
				})
				return tencent.Provider{Client: client}, err
			},
		},
	}
}

// providerKinds are the providers that there are.
func providerKinds() meeting.Kinds {
	var all meeting.Kinds
	for _, row := range providerRows() {
		all = append(all, row.kind)
	}
	return all
}

// providerIDs are the IDs of the providers that there are.
func providerIDs() []meeting.Provider {
	var all []meeting.Provider
	for _, k := range providerKinds() {
		all = append(all, k.ID)
	}
	return all
}

// providers makes the clients of what is configured, and says which one /meet uses.
func providers(cfg config.Config) (all map[meeting.Provider]commands.Provider, first meeting.Provider, err error) {
	all = make(map[meeting.Provider]commands.Provider)
	for _, row := range providerRows() {
		if !row.on(cfg) {
			continue
		}
		client, err := row.open(cfg)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", row.variables, err)
		}
		all[row.kind.ID] = client
		first = cmp.Or(first, row.kind.ID)
	}
	if len(all) == 0 {
		return nil, "", errors.New("no meeting provider is configured")
	}
	return all, cmp.Or(meeting.Provider(cfg.MeetProvider), first), nil
}

// hear has a bot hear what Tencent Meeting reports.
func hear(bot *commands.Bot) func(context.Context, tencent.Event) error {
	return func(ctx context.Context, e tencent.Event) error {
		said, ok := e.Neutral()
		if !ok {
			return nil
		}
		said.At = cmp.Or(said.At, time.Now())
		return bot.Hear(ctx, said)
	}
}

// pushProvider is the ID of a configured provider whose meetings take push addresses; empty
// for none.
func pushProvider(cfg config.Config) string {
	for _, row := range providerRows() {
		if row.on(cfg) && row.kind.Can.LivePush {
			return string(row.kind.ID)
		}
	}
	return ""
}
