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
	cfg.MeetProvider = string(meeting.Systec)
	return s, nil
}

// providers makes the clients of what is configured, and says which one /meet uses.
func providers(cfg config.Config) (all map[meeting.Provider]commands.Provider, first meeting.Provider, err error) {
	all = make(map[meeting.Provider]commands.Provider)
	if cfg.Tencent.On() {
		c, err := tencent.New(tencent.Config{
			AppID: cfg.Tencent.AppID, SDKID: cfg.Tencent.SdkID, SecretID: cfg.Tencent.SecretID.Reveal(), SecretKey: cfg.Tencent.SecretKey,
			UserID: cfg.Tencent.UserID, InstanceID: cfg.Tencent.InstanceID, BaseURL: cfg.Tencent.BaseURL,
		})
		if err != nil {
			return nil, "", fmt.Errorf("TENCENT_*: %w", err)
		}
		all[meeting.Tencent], first = tencentProvider{c}, meeting.Tencent
	}
	if cfg.Systec.On() {
		c, err := systec.New(systec.Config{
			Key: cfg.Systec.ApiKey, Secret: cfg.Systec.ApiSecret, BaseURL: cfg.Systec.BaseURL, Capacity: cfg.Systec.Capacity,
		})
		if err != nil {
			return nil, "", fmt.Errorf("SYSTEC_*: %w", err)
		}
		all[meeting.Systec], first = systecProvider{c}, meeting.Systec
	}
	if len(all) == 0 {
		return nil, "", errors.New("no meeting provider is configured")
	}
	return all, cmp.Or(meeting.Provider(cfg.MeetProvider), first), nil
}

// hear turns Tencent Meeting's events into what the cards show.
func hear(bot *commands.Bot) func(context.Context, tencent.Event) error {
	return func(ctx context.Context, e tencent.Event) error {
		heard := commands.Event{ID: e.TraceID + ":" + e.Name, At: cmp.Or(e.At, time.Now()), Ref: e.Ref}
		switch e.Kind {
		case tencent.EventStarted:
			heard.State = meeting.StateRunning
		case tencent.EventCancelled:
			heard.State = meeting.StateCancelled
		case tencent.EventEnded:
			heard.State = meeting.StateEnded
			if e.EndType == tencent.EndEmptyEarly { // it may be entered again
				heard.State = meeting.StateReady
			}
		case tencent.EventLiveStart:
			heard.Live = commands.LiveOn
		case tencent.EventLiveEnd:
			heard.Live = commands.LiveOff
		default:
			return nil
		}
		return bot.Hear(ctx, heard)
	}
}

// systecProvider is SYSTEC, which has no accounts to act as.
type systecProvider struct{ *systec.Client }

func (p systecProvider) Get(ctx context.Context, _, id string) (meeting.Meeting, error) {
	return p.Client.Get(ctx, id)
}

func (p systecProvider) List(ctx context.Context, _, userKey string) ([]meeting.Meeting, error) {
	return p.Client.List(ctx, systec.ListOptions{UserKey: userKey})
}

func (p systecProvider) End(ctx context.Context, _, id string) error { return p.Client.End(ctx, id) }

// tencentProvider is Tencent Meeting, which does not mark meetings with a text of ours.
type tencentProvider struct{ *tencent.Client }

func (p tencentProvider) List(ctx context.Context, account, _ string) ([]meeting.Meeting, error) {
	return p.Client.List(ctx, account)
}
