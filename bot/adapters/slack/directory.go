package slack

import (
	"context"
	"errors"
	"fmt"
	"meetbot/bot/chat"
	"slices"
	"sync"
	"time"

	slackapi "github.com/slack-go/slack"
)

// How long what Slack says about people is believed. A role taken away works on for so
// long.
const (
	userLife  = 5 * time.Minute
	groupLife = time.Minute
)

// Profile implements [chat.Directory]. Full members of the workspace, or of its
// organisation, may use everything where no list says otherwise; guests, bots,
// deactivated people and people of other organisations nothing.
func (a *Adapter) Profile(ctx context.Context, place chat.Place, userID string) (chat.Profile, error) {
	u, err := fetch(ctx, a, &a.users, "users.info", userID, userLife, func(ctx context.Context) (slackapi.User, error) {
		u, err := a.api.GetUserInfoContext(ctx, userID)
		if err != nil {
			return slackapi.User{}, err
		}
		return *u, nil
	})
	if err != nil {
		return chat.Profile{}, fmt.Errorf("look up a person: %w", err)
	}
	p := chat.Profile{Name: u.Profile.DisplayName, Locale: u.Locale, Rights: chat.RightsKnown}
	if p.Name == "" {
		p.Name = u.RealName
	}
	if p.Name == "" {
		p.Name = u.Name
	}
	if a.isMember(u) {
		p.Rights |= chat.RightMeet | chat.RightPush
	}
	return p, nil
}

func (a *Adapter) isMember(u slackapi.User) bool {
	if u.Deleted || u.IsBot || u.IsStranger || u.IsRestricted || u.IsUltraRestricted || u.IsInvitedUser {
		return false
	}
	self := a.self.Load()
	if self == nil {
		return false
	}
	return u.TeamID == self.team || self.enterprise != "" && u.Enterprise.EnterpriseID == self.enterprise
}

// InGroup implements [chat.Directory]. It needs the scope usergroups:read.
func (a *Adapter) InGroup(ctx context.Context, place chat.Place, userID, groupID string) (bool, error) {
	members, err := fetch(ctx, a, &a.groups, "usergroups.users.list", groupID, groupLife, func(ctx context.Context) ([]string, error) {
		return a.api.GetUserGroupMembersContext(ctx, groupID)
	})
	if err != nil {
		return false, fmt.Errorf("look up user group %s: %w", groupID, err)
	}
	return slices.Contains(members, userID), nil
}

// localeOf returns a person's language if it is known already.
func (a *Adapter) localeOf(userID string) string {
	u, _ := a.users.get(userID, a.now())
	return u.Locale
}

// lookUpTimeout bounds a look-up that several wait for, whoever of them gives up.
const lookUpTimeout = 10 * time.Second

// fetch returns what is remembered under a key or asks Slack once for all who want it.
func fetch[V any](ctx context.Context, a *Adapter, c *cache[V], method, key string, life time.Duration, ask func(context.Context) (V, error)) (V, error) {
	if v, ok := c.get(key, a.now()); ok {
		return v, nil
	}
	flight := a.flights.DoChan(method+" "+key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookUpTimeout)
		defer cancel()
		var v V
		err := a.call(ctx, method, "", func() (err error) {
			v, err = ask(ctx)
			return err
		})
		if err == nil {
			c.put(key, v, a.now().Add(life))
		}
		return v, err
	})
	select {
	case r := <-flight:
		v, ok := r.Val.(V)
		if !ok && r.Err == nil { // unreachable: one method has one type
			r.Err = errors.New("another type")
		}
		return v, r.Err
	case <-ctx.Done():
		var zero V
		return zero, ctx.Err()
	}
}

// cache remembers values for a while. Its zero value is ready.
type cache[V any] struct {
	mu sync.Mutex
	m  map[string]kept[V]
}

type kept[V any] struct {
	value V
	until time.Time
}

const maxKept = 10_000

func (c *cache[V]) get(key string, now time.Time) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.m[key]
	if !ok || now.After(k.until) {
		var zero V
		return zero, false
	}
	return k.value, true
}

func (c *cache[V]) put(key string, v V, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= maxKept {
		c.m = map[string]kept[V]{} // asking again is harmless
	}
	c.m[key] = kept[V]{v, until}
}
