package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"meetbot/config"
	"meetbot/config/secret"
)

// accounts writes a file of accounts and returns the environment that names it.
func accounts(t testing.TB, text string) env {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "accounts.yaml")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key"), []byte("canary-file\n"), 0o600))
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600))
	return env{"PROVIDERS_FILE": path, "SCHOOL_ID": "canary-id", "SCHOOL_KEY": "canary-key", "HOOK": "canary-hook"}
}

const school = `
accounts:
  - name: school
    provider: tencent
    app_id: 200000001
    secret_id: {env: SCHOOL_ID}
    secret_key: {file: DIR/key}
    user_id: ops
`

func TestAnAccountHasTheSettingsOfItsProvider(t *testing.T) {
	c, err := config.Load(accounts(t, school+`
    users: {"slack:U1": alice, "discord:42": bob}
    base_url: https://voov.example.com
    webhook_token: {env: HOOK}
    places: ["slack:team:T1", "discord:channel:1"]
    options: --mute --duration 45
  - {"name": "sales", "provider": "systec", "api_key": {"env": "SCHOOL_ID"}, "api_secret": {"env": "SCHOOL_KEY"}, "capacity": 50, "places": "console"}
`).lookup, names...)
	require.NoError(t, err)
	require.Len(t, c.Accounts(), 2)
	a, b := c.Accounts()[0], c.Accounts()[1]
	assert.Equal(t, config.Tencent{
		AppID: "200000001", SecretID: secret.New("canary-id"), SecretKey: secret.New("canary-file"), UserID: "ops",
		Users: config.Users{"slack:U1": "alice", "discord:42": "bob"}, InstanceID: 1, BaseURL: "https://voov.example.com", WebhookToken: secret.New("canary-hook"),
	}, a.Settings.Tencent)
	assert.False(t, a.Settings.Systec.On())
	assert.Equal(t, config.Principals{{"slack", "team", "T1"}, {"discord", "channel", "1"}}, a.Places)
	assert.Equal(t, "/tencent/events/school", a.WebhookPath)
	assert.Equal(t, "--mute --duration 45", a.Options)
	assert.Equal(t, 50, b.Settings.Systec.Capacity)
	assert.Equal(t, "https://api.systeccloud.com/umeeting", b.Settings.Systec.BaseURL, "the default")
	assert.Empty(t, b.WebhookPath, "it reports nothing")
	assert.Equal(t, []string{"SCHOOL_ID", "HOOK", "SCHOOL_ID", "SCHOOL_KEY"}, c.Named())

	assert.False(t, c.Sandbox())
	assert.True(t, c.NeedsHTTP())
	in := c.In(b)
	assert.False(t, in.Tencent.On(), "nothing of another account")
	assert.True(t, in.Systec.On())
	assert.Empty(t, in.Accounts())
}

func TestWhatIsWrongWithAnAccountIsToldByNameAndField(t *testing.T) {
	t.Parallel()
	zoomer := "\n  - {name: sales, provider: zoom, account_id: a, client_id: b, client_secret: {env: SCHOOL_KEY}, user_id: o@example.com"
	tests := map[string]struct{ text, at, fix string }{
		"Empty":             {"", "", "empty"},
		"OnlyAComment":      {"#canary\n", "", "empty"},
		"OnlyAMark":         {"---\n", "", "fields with values"},
		"Null":              {"null", "", "fields with values"},
		"MergeKey":          {"accounts:\n  - {name: school, provider: zoom, <<: {user_id: canary}}\n", "account school", "no proper name"},
		"NotYAML":           {"accounts:\n\t- x: [canary-key", "", "look at line 2"},
		"TwoDocuments":      {school + "---\naccounts: []\n", "", "more than one document"},
		"AList":             {"[1, 2]", "", "fields with values: accounts"},
		"NoAccounts":        {"accounts: []", "accounts", "a list"},
		"OtherTop":          {"acounts: []", "acounts", "did you mean accounts?"},
		"AWord":             {"accounts: [canary-key]", "account 1", "name and provider"},
		"LiteralSecret":     {strings.Replace(school, "{env: SCHOOL_ID}", "canary-id", 1), "account school, secret_id", "{env: VARIABLE}"},
		"SecretAsVariable":  {strings.Replace(school, "SCHOOL_ID", "canary-id", 1), "account school, secret_id", "{env: VARIABLE}"},
		"SecretInAList":     {strings.Replace(school, "{env: SCHOOL_ID}", "[canary-id]", 1), "account school, secret_id", "{env: VARIABLE}"},
		"BothWays":          {strings.Replace(school, "{env: SCHOOL_ID}", "{env: SCHOOL_ID, file: x}", 1), "account school, secret_id", "{env: VARIABLE}"},
		"VariableUnset":     {strings.Replace(school, "SCHOOL_ID", "OTHER", 1), "account school, secret_id", "is not set"},
		"NoSuchFile":        {strings.Replace(school, "DIR/key", "DIR/none", 1), "account school, secret_key", "no such file"},
		"Misspelt":          {school + "    user-ids: canary-key\n", "account school, user-ids", "did you mean user_id?"},
		"Unknown":           {school + "    colour: red\n", "account school, colour", "use one of name, provider"},
		"OfAnotherProvider": {school + "    capacity: 5\n", "account school, capacity", "unknown field"},
		"KeyIsNoName":       {school + "    \"canary key\": 5\n", "account school", "no proper name"},
		"Twice":             {school + "    user_id: x\n", "account school, user_id", "there twice"},
		"Alias":             {"accounts:\n  - &x {name: school, provider: zoom}\n  - *x\n", "account 2", "fields with values"},
		"Anchor":            {school + "    sdk_id: &x 5\n", "account school, sdk_id", "anchors"},
		"Tagged":            {school + "    sdk_id: !secret 5\n", "account school, sdk_id", "plain value"},
		"Binary":            {school + "    sdk_id: !!binary aGk=\n", "account school, sdk_id", "plain value"},
		"Mapping":           {school + "    sdk_id: {env: SCHOOL_ID}\n", "account school, sdk_id", "plain value"},
		"LineBreak":         {school + "    sdk_id: \"a\\nb\"\n", "account school, sdk_id", "line break"},
		"BadNumber":         {strings.Replace(school, "200000001", "canary", 1), "account school, app_id", "AppId"},
		"BadAddress":        {school + "    base_url: http://voov.example.com\n", "account school, base_url", "https://"},
		"Missing":           {strings.Replace(school, "    user_id: ops\n", "", 1), "account school, user_id", "users"},
		"Needs":             {"accounts:\n  - {name: school, provider: systec}\n", "account school, api_key", "api_key, api_secret"},
		"NoName":            {"accounts:\n  - {provider: systec}\n", "account 1, name", "lower-case"},
		"BadName":           {strings.Replace(school, "name: school", "name: The canary", 1), "account 1, name", "lower-case"},
		"ProvidersName":     {strings.Replace(school, "name: school", "name: tencent", 1), "account 1, name", "not the name of a provider"},
		"SandboxName":       {strings.Replace(school, "name: school", "name: sandbox", 1), "account 1, name", "not the name"},
		"DefaultName":       {strings.Replace(school, "name: school", "name: default", 1), "account 1, name", "default"},
		"NoProvider":        {"accounts:\n  - {name: school}\n", "account school, provider", "use one of: systec"},
		"SameName":          {school + strings.TrimPrefix(school, "\naccounts:\n"), "account school", "give each its own"},
		"PlaceIsAPerson":    {school + "    places: slack:user:U1\n", "account school, places", "slack:team:T1"},
		"PlaceIsNone":       {school + "    places: [\"slack:team:canary\"]\n", "account school, places", "entry 1"},
		"NoPlaces":          {school + "    places: []\n", "account school, places", "at least one"},
		"PersonIsNone":      {school + "    users: {U1: alice}\n", "account school, users", "PLATFORM:PERSON"},
		"PathWithoutToken":  {school + "    webhook_path: /tencent/x\n", "account school, webhook_path", "webhook_token"},
		"PathElsewhere":     {school + "    webhook_token: {env: HOOK}\n    webhook_path: /slack/events\n", "account school, webhook_path", "below /tencent/"},
		"PathOfTheVariable": {school + "    webhook_token: {env: HOOK}\n    webhook_path: /tencent/events\n", "account school, webhook_path", "below /tencent/"},
		"PathTwice": {
			"accounts:" + zoomer + ", webhook_token: {env: HOOK}, webhook_path: /zoom/a}" + strings.Replace(zoomer, "sales", "other", 1) + ", webhook_token: {env: HOOK}, webhook_path: /zoom/a}\n",
			"account other, webhook_path", "another account",
		},
		"ManyOptions": {school + "    options: " + strings.Repeat("x", 501) + "\n", "account school, options", "500 bytes"},
		"TooMany":     {"accounts: [" + strings.Repeat("x,", 50) + "x]", "accounts", "at most 50"},
		"TooLong":     {strings.Repeat("#canary\n", 10000), "", "longer than 64 KiB"},
		"TooDeep":     {strings.Repeat("[", 20000), "", "neither YAML nor JSON"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(accounts(t, tt.text).lookup, names...)
			var bad *config.Error
			require.ErrorAs(t, err, &bad)
			at := strings.TrimSuffix("PROVIDERS_FILE, "+tt.at, ", ")
			fix := ""
			for _, f := range bad.Faults {
				if f.Variable == at {
					fix = f.Fix
				}
			}
			assert.Contains(t, fix, tt.fix, "%v", bad)
			assert.NotContains(t, err.Error(), "canary")
		})
	}
}

func TestTheUsualProviderMayBeAnAccount(t *testing.T) {
	with := func(e env, more ...string) error {
		_, err := config.Load(e.with(more...).lookup, names...)
		return err
	}
	var bad *config.Error
	two := accounts(t, school+strings.Replace(strings.TrimPrefix(school, "\naccounts:\n"), "school", "other", 1))
	require.NoError(t, with(accounts(t, school)), "there is one")
	require.ErrorAs(t, with(two), &bad)
	assert.Equal(t, []config.Fault{{"MEET_PROVIDER", "set it to school or other, the one that /meet uses: several providers are configured"}}, bad.Faults)
	require.NoError(t, with(two, "MEET_PROVIDER", "other"))
	require.NoError(t, with(two, "MEET_PROVIDER", "sandbox"))
	require.ErrorAs(t, with(two, "MEET_PROVIDER", "third"), &bad)
	require.Len(t, bad.Faults, 1)
	assert.Equal(t, "MEET_PROVIDER", bad.Faults[0].Variable)
	assert.Regexp(t, `^use one of: systec, .*, school, other, sandbox$`, bad.Faults[0].Fix)
	require.NoError(t, with(accounts(t, school+"    places: slack:team:T1\n"), "SYSTEC_API_KEY", "k", "SYSTEC_API_SECRET", "s"), "that with places is used there")
}

func TestTheSchemaTakesWhatTheBotTakes(t *testing.T) {
	raw, err := config.Schema(names...)
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("accounts.json", doc))
	s, err := c.Compile("accounts.json")
	require.NoError(t, err)
	validate := func(text string) error {
		var v any
		require.NoError(t, yaml.Unmarshal([]byte(text), &v))
		b, err := json.Marshal(v)
		require.NoError(t, err)
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		require.NoError(t, err)
		return s.Validate(doc)
	}
	example, err := os.ReadFile("../deploy/accounts.example.yaml")
	require.NoError(t, err)
	require.NoError(t, validate(string(example)))
	require.NoError(t, validate(school))
	for name, text := range map[string]string{
		"Secret":  strings.Replace(school, "{env: SCHOOL_ID}", "canary", 1),
		"Unknown": school + "    capacity: 5\n",
		"Missing": strings.Replace(school, "    app_id: 200000001\n", "", 1),
		"Name":    strings.Replace(school, "school", "School", 1),
	} {
		require.Error(t, validate(text), name)
	}
}

func TestTheExampleCanBeUsed(t *testing.T) {
	example, err := os.ReadFile("../deploy/accounts.example.yaml")
	require.NoError(t, err)
	e := accounts(t, strings.ReplaceAll(string(example), "/run/secrets/school-tencent-key", "DIR/key"))
	for _, v := range []string{"SCHOOL_TENCENT_SECRET_ID", "SCHOOL_TENCENT_WEBHOOK_TOKEN", "OVERSEAS_TENCENT_SECRET_ID", "OVERSEAS_TENCENT_SECRET_KEY", "SALES_ZOOM_CLIENT_SECRET"} {
		e[v] = "canary"
	}
	c, err := config.Load(e.lookup, names...)
	require.NoError(t, err)
	assert.Len(t, c.Accounts(), 3)
}

// FuzzAccounts: whatever is in the file, the bot names the fault and repeats nothing of it.
func FuzzAccounts(f *testing.F) {
	f.Add(school)
	f.Add(strings.Replace(school, "{env: SCHOOL_ID}", "canary-id", 1))
	f.Add("accounts: [{name: a, provider: zoom, <<: {x: y}}]")
	f.Add("#\n")
	f.Add("a: &a [*a]")
	f.Add("accounts:\n - &a {name: *a}")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Load(accounts(t, text).lookup, names...)
		var bad *config.Error
		if err != nil {
			require.True(t, errors.As(err, &bad))
			assert.NotContains(t, err.Error(), "canary-")
			return
		}
		require.NotEmpty(t, c.Accounts())
		for _, a := range c.Accounts() {
			assert.Regexp(t, `^[a-z0-9][a-z0-9-]{0,31}$`, a.Name)
			assert.True(t, a.WebhookPath == "" || strings.HasPrefix(a.WebhookPath, "/"+a.Provider+"/"), a.WebhookPath)
		}
	})
}
