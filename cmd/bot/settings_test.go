package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/bot/settings"
	"meetbot/config"
)

func TestPolicySaysWhatHoldsInAPlace(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"DATA_DIR": t.TempDir() + "/data", "MEET_ALLOW": "slack:user:U1,slack:user:U2,slack:user:U5,slack:group:S1",
		"SETTINGS_ALLOW": "slack:user:U1", "ADMINS": "slack:user:U9",
	}
	store, err := jobs.Open(t.Context(), jobs.Config{Dir: env["DATA_DIR"]})
	require.NoError(t, err)
	set := func(channel string, values map[string]string) {
		c := settings.Change{Job: "job"}
		for name, v := range values {
			c.Of = append(c.Of, settings.Value{Name: name, To: v})
		}
		at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		require.NoError(t, settings.New(store).Change(t.Context(), settings.Record{Platform: "slack", Team: "T1", Channel: channel}, "slack:U9", at, c))
	}
	set("C1", map[string]string{"provider": "tencent", "deny": "user:U2"})
	set("", map[string]string{"live": "on", "allow": "user:U1,user:U2,group:S2"})
	require.NoError(t, store.Close())

	out, _, err := invoke(t, env, "policy")
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^  slack +person U1 +\(SETTINGS_ALLOW\)`, out)
	assert.Regexp(t, `(?m)^  discord +nobody but admins +\(SETTINGS_ALLOW replaces`, out)
	assert.Regexp(t, `(?m)^  slack:T1:C1 +provider tencent +\(set by slack:U9 on 2026-11-22\)`, out)
	assert.Regexp(t, `(?m)^  slack:T1:\* +live on `, out)

	out, _, err = invoke(t, env, "policy", "--place", "slack:T1:C1")
	require.NoError(t, err)
	assert.Regexp(t, `provider tencent +\(this channel\)`, out)
	assert.Regexp(t, `live on +\(all channels\)`, out)
	for person, want := range map[string]string{
		"U1":       `U1: /meet yes +\(MEET_ALLOW\)`,
		"slack:U2": `U2: /meet no +\(the settings of the place`,
		"U3":       `U3: /meet depends +\(a group or role in MEET_ALLOW may have them; a group or role in the settings`,
		"U5":       `U5: /meet depends +\(MEET_ALLOW; a group or role in the settings`,
		"U9":       `U9: /meet yes +\(ADMINS\)`,
	} {
		out, _, err = invoke(t, env, "policy", "--place", "slack:T1:C1", "--person", person)
		require.NoError(t, err)
		assert.Regexp(t, want, out)
	}
	assert.Regexp(t, `U9: /livepush yes`, mustInvoke(t, env, "policy", "--place", "slack:T1:C1", "--person", "U9"))
	assert.Regexp(t, `U3: /livepush depends +\(the platform decides: full members`, mustInvoke(t, env, "policy", "--place", "slack:T1:C1", "--person", "U3"))
	assert.Regexp(t, `U1: /meet settings yes +\(SETTINGS_ALLOW\)`, mustInvoke(t, env, "policy", "--place", "slack:T1:C1", "--person", "U1"))
	assert.Regexp(t, `U2: /meet settings no +\(SETTINGS_ALLOW and ADMINS`, mustInvoke(t, env, "policy", "--place", "slack:T1:C1", "--person", "U2"))

	for _, args := range [][]string{{"--place", "C1"}, {"--place", "elsewhere:T1:C1"}, {"--person", "U1"}} {
		_, _, err = invoke(t, env, append([]string{"policy"}, args...)...)
		assert.ErrorContains(t, err, "slack:T1:C1", args)
	}
}

func mustInvoke(t *testing.T, env map[string]string, args ...string) string {
	t.Helper()
	out, _, err := invoke(t, env, args...)
	require.NoError(t, err)
	return out
}

func TestAPlaceIsReadAsItIsWritten(t *testing.T) {
	all := kinds(config.Config{})
	for _, p := range []chat.Place{{Platform: "slack", Team: "T1", Channel: "C1"}, {Platform: "discord", Channel: "7"}} {
		got, err := placeOf(p.Key(), all)
		require.NoError(t, err)
		assert.Equal(t, p, got)
	}
}
