package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"meetbot/config/near"
	"meetbot/config/secret"
)

// Account is one of several accounts of a meeting provider, as PROVIDERS_FILE has it. Its
// fields there are those of the provider's variables; each secret is given by the name of a
// variable or of a file.
type Account struct {
	Name     string
	Provider string    // as in MEET_PROVIDER
	Settings Providers // the provider's, and no other's
	// WebhookPath is where what it reports by itself arrives; empty: it reports nothing.
	WebhookPath string
	Places      Principals // that it serves; nil: every place
	Options     string     // of /meet, as people type them
	variables   []string
}

// Accounts are those of PROVIDERS_FILE, in its order.
func (c Config) Accounts() []Account { return c.accounts }

// WithAccounts returns c with other accounts.
func (c Config) WithAccounts(all []Account) Config {
	c.accounts = all
	return c
}

// In returns c with an account's settings in the place of the provider's variables.
func (c Config) In(a Account) Config {
	c.Providers, c.accounts = a.Settings, nil
	return c
}

// Named are the variables whose names PROVIDERS_FILE has.
func (c Config) Named() []string {
	var all []string
	for _, a := range c.accounts {
		all = append(all, a.variables...)
	}
	return all
}

// Words returns a text about the provider's variables with the names that they have in the file.
func (a Account) Words(text string) string {
	prefix := strings.ToUpper(a.Provider) + "_"
	return regexp.MustCompile(`\b`+prefix+`[A-Z_]+`).ReplaceAllStringFunc(text, func(v string) string {
		return strings.ToLower(strings.TrimPrefix(v, prefix))
	})
}

// settings are the account's.
func (a Account) settings() Provider {
	i := slices.Index(a.Settings.names(), a.Provider)
	return a.Settings.all()[i]
}

// Bounds of the file.
const (
	maxAccounts = 50
	maxOptions  = 500 // bytes
)

var (
	accountName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	fieldName   = regexp.MustCompile(`^[A-Za-z_-]{1,32}$`)
	envName     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)
	webhookPath = regexp.MustCompile(`^(?:/[a-z0-9_-]{1,64}){2,6}$`)
	yamlLine    = regexp.MustCompile(`line [0-9]+`)
)

const (
	useName   = "use 1 to 32 lower-case letters, digits and dashes, not the name of a provider, and not the word default"
	useSecret = "a secret does not belong in the file: write {env: VARIABLE}, or {file: PATH}"
)

// accountsFile reads PROVIDERS_FILE. What is wrong is told by account and field, and no
// message repeats a value.
type accountsFile struct {
	lookup func(string) (string, bool)
	names  AllNames
	fault  func(variable, fix string)
}

func (f accountsFile) wrong(where, fix string) {
	f.fault(strings.TrimSuffix("PROVIDERS_FILE, "+where, ", "), fix)
}

func (f accountsFile) load(path string) []Account {
	root, err := parseAccounts(path)
	if err != nil {
		f.wrong("", err.Error())
		return nil
	}
	top, ok := f.fields(root, "", []string{"accounts"})
	if !ok {
		return nil
	}
	list := top["accounts"]
	switch {
	case list == nil || list.Kind != yaml.SequenceNode || len(list.Content) == 0:
		f.wrong("accounts", "write a list with an entry for each account")
		return nil
	case len(list.Content) > maxAccounts:
		f.wrong("accounts", fmt.Sprintf("keep at most %d", maxAccounts))
		return nil
	}
	var all []Account
	names, paths := map[string]bool{}, map[string]bool{}
	for i, node := range list.Content {
		a, ok := f.account(node, "account "+strconv.Itoa(i+1))
		if !ok {
			continue
		}
		switch {
		case names[a.Name]:
			f.wrong("account "+a.Name, "another account has this name: give each its own")
		case a.WebhookPath != "" && paths[a.WebhookPath]:
			f.wrong("account "+a.Name+", webhook_path", "another account has this path: give each its own")
		}
		names[a.Name], paths[a.WebhookPath] = true, true
		all = append(all, a)
	}
	return all
}

// parseAccounts reads the file as YAML, of which JSON is a part.
func parseAccounts(path string) (*yaml.Node, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer file.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return nil, cause(err)
	case len(b) > maxFile:
		return nil, fmt.Errorf("the file is longer than %d KiB", maxFile>>10)
	}
	var doc, second yaml.Node
	in := yaml.NewDecoder(bytes.NewReader(b))
	err = in.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the file is empty; bot accounts --schema prints what it can have")
	case err != nil: // its text may repeat what is there
		return nil, errors.New("the file is neither YAML nor JSON; look at " + cmp.Or(yamlLine.FindString(err.Error()), "its first line"))
	case !errors.Is(in.Decode(&second), io.EOF):
		return nil, errors.New("the file has more than one document; keep one")
	}
	return doc.Content[0], nil
}

// fields returns the values of a mapping that may have the given keys.
func (f accountsFile) fields(node *yaml.Node, where string, known []string) (map[string]*yaml.Node, bool) {
	if node.Kind != yaml.MappingNode {
		f.wrong(where, "write it as fields with values: "+strings.Join(known, ", "))
		return nil, false
	}
	fields, ok := map[string]*yaml.Node{}, true
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i].Value, node.Content[i+1]
		at := strings.TrimPrefix(where+", "+key, ", ")
		switch {
		case !fieldName.MatchString(key):
			f.wrong(where, "one of the fields has no proper name; use "+strings.Join(known, ", "))
			ok = false
		case !slices.Contains(known, key):
			fix := "unknown field; use one of " + strings.Join(known, ", ")
			if meant := near.Word(strings.ReplaceAll(strings.ToLower(key), "-", "_"), known); meant != "" {
				fix = "unknown field; did you mean " + meant + "?"
			}
			f.wrong(at, fix)
			ok = false
		case fields[key] != nil:
			f.wrong(at, "the field is there twice; keep one")
			ok = false
		case value.Kind == yaml.AliasNode || value.Anchor != "":
			f.wrong(at, "write the value itself: anchors and aliases are not supported")
			ok = false
		case value.Kind == yaml.ScalarNode && value.Tag == "!!null": // as if it were not there
		default:
			fields[key] = value
		}
	}
	return fields, ok
}

// settingsOf pairs the fields of the provider's settings in c with their names in the file.
func settingsOf(c *Config, provider string) map[string]leaf {
	prefix, all := strings.ToUpper(provider)+"_", map[string]leaf{}
	for _, l := range leaves(c) {
		if name, ok := strings.CutPrefix(l.Name, prefix); ok {
			all[strings.ToLower(name)] = l
		}
	}
	return all
}

// common are the fields of every account.
func common(settings map[string]leaf) []string {
	fields := []string{"name", "provider", "places", "options"}
	if _, reports := settings["webhook_token"]; reports {
		fields = append(fields, "webhook_path")
	}
	return fields
}

func (f accountsFile) account(node *yaml.Node, where string) (a Account, ok bool) {
	value := func(key string) string { // of a field that is read before the others are
		for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			if n := node.Content[i+1]; node.Content[i].Value == key && n.Kind == yaml.ScalarNode {
				return n.Value
			}
		}
		return ""
	}
	kinds := Providers{}.names()
	a.Name, a.Provider = value("name"), value("provider")
	switch {
	case node.Kind != yaml.MappingNode:
		f.wrong(where, "write it as fields with values, beginning with name and provider")
		return a, false
	case !accountName.MatchString(a.Name), slices.Contains(kinds, a.Name), a.Name == sandboxName, a.Name == "default":
		f.wrong(where+", name", useName)
		return a, false
	case !slices.Contains(kinds, a.Provider):
		f.wrong("account "+a.Name+", provider", "use one of: "+strings.Join(kinds, ", "))
		return a, false
	}
	where = "account " + a.Name

	var c Config
	settings := settingsOf(&c, a.Provider)
	known := append(common(settings), slices.Sorted(maps.Keys(settings))...)
	fields, ok := f.fields(node, where, known)
	check := checker{set: map[string]bool{}, fault: func(variable, fix string) {
		f.wrong(where+", "+a.Words(variable), a.Words(fix))
		ok = false
	}}
	prefix := strings.ToUpper(a.Provider) + "_"
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		l := settings[name]
		text, err := f.value(l, fields[name], &a)
		check.set[l.Name] = fields[name] != nil
		if err == nil && text == "" {
			text = l.Default
		}
		if err == nil && text != "" {
			err = l.assign(text)
		}
		if err != nil {
			check.fault(prefix+strings.ToUpper(name), err.Error())
		}
	}
	a.Settings = c.Providers
	if !a.settings().combinations(check) && ok {
		check.fault(a.settings().Needs()[0], "set it as well: an account needs "+strings.Join(a.settings().Needs(), ", "))
	}
	f.whereabouts(&a, fields, check.fault)
	return a, ok
}

// whereabouts reads the fields that every account has.
func (f accountsFile) whereabouts(a *Account, fields map[string]*yaml.Node, fault func(field, fix string)) {
	read := func(name string, several bool) string {
		text, err := plainValue(fields[name], several)
		if err != nil {
			fault(name, err.Error())
		}
		return text
	}
	if list := read("places", true); list != "" {
		err := a.Places.Set(list)
		if i := slices.IndexFunc(a.Places, func(p Principal) bool { return !f.names.place(p) }); err == nil && i >= 0 {
			err = fmt.Errorf("entry %d: write it like one of %s", i+1, f.names.places())
		}
		if err != nil {
			fault("places", err.Error())
		}
	} else if fields["places"] != nil {
		fault("places", "name at least one, or remove it: the account then serves every place")
	}
	if a.Options = read("options", false); len(a.Options) > maxOptions {
		fault("options", fmt.Sprintf("keep it to %d bytes", maxOptions))
	}
	events := "/" + a.Provider + "/events"
	switch path := read("webhook_path", false); {
	case path != "" && !a.settings().HTTP():
		fault("webhook_path", "set webhook_token as well: without it nothing is taken there")
	case path != "" && (!webhookPath.MatchString(path) || !strings.HasPrefix(path, "/"+a.Provider+"/") || path == events):
		fault("webhook_path", "use a path of lower-case letters, digits, - and _ below /"+a.Provider+"/, such as "+events+"/NAME")
	case a.settings().HTTP():
		a.WebhookPath = cmp.Or(path, events+"/"+a.Name)
	}
}

// value returns the text of a field, and what a secret's says where to find.
func (f accountsFile) value(l leaf, node *yaml.Node, a *Account) (string, error) {
	if node == nil || !l.Secret {
		_, several := l.field.Addr().Interface().(*Users)
		return plainValue(node, several)
	}
	if node.Kind != yaml.MappingNode || len(node.Content) != 2 {
		return "", errors.New(useSecret)
	}
	text, err := plainValue(node.Content[1], false)
	if err != nil || text == "" {
		return "", errors.New(useSecret)
	}
	switch node.Content[0].Value {
	case "env":
		if !envName.MatchString(text) {
			return "", errors.New(useSecret)
		}
		a.variables = append(a.variables, text)
		value, _ := f.lookup(text)
		if value = strings.TrimSpace(value); value == "" {
			return "", errors.New("the variable that env names is not set")
		}
		return value, nil
	case "file":
		value, err := l.read(only{l.Name + "_FILE": text}.lookup)
		if err != nil {
			err = errors.New(strings.TrimPrefix(err.Error(), l.Name+"_FILE: "))
		}
		return value, err
	}
	return "", errors.New(useSecret)
}

// only is an environment of its own.
type only map[string]string

func (o only) lookup(name string) (string, bool) {
	value, ok := o[name]
	return value, ok
}

// plainValue returns a value as a variable has it: several with commas, a mapping as pairs.
func plainValue(node *yaml.Node, several bool) (string, error) {
	if node == nil {
		return "", nil
	}
	one := func(n *yaml.Node) (string, error) {
		switch {
		case n.Kind != yaml.ScalarNode || n.Anchor != "" || !slices.Contains([]string{"!!str", "!!int", "!!bool", "!!float"}, n.Tag):
			return "", errors.New("write a plain value")
		case strings.ContainsFunc(n.Value, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return "", errors.New("remove the line break or control character")
		}
		return strings.TrimSpace(n.Value), nil
	}
	if !several || node.Kind != yaml.SequenceNode && node.Kind != yaml.MappingNode {
		return one(node)
	}
	var list []string
	for i, n := range node.Content {
		text, err := one(n)
		switch {
		case err != nil:
			return "", err
		case text == "" || strings.Contains(text, ","):
			return "", errors.New("one entry is empty, or has a comma in it")
		case node.Kind == yaml.MappingNode && i%2 == 1:
			list[len(list)-1] += "=" + text
		default:
			list = append(list, text)
		}
	}
	return strings.Join(list, ","), nil
}

// Schema is the JSON schema of PROVIDERS_FILE.
func Schema(names ...Names) ([]byte, error) {
	type object = map[string]any
	all := AllNames(names)
	text := func(about string) object { return object{"type": "string", "description": about} }
	secretly := object{
		"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
		"properties": object{
			"env":  object{"type": "string", "description": "name of the variable that has the secret", "pattern": envName.String()},
			"file": object{"type": "string", "description": "path of the file that has the secret"},
		},
	}
	var kinds []any
	for _, provider := range (Providers{}).names() {
		var c Config
		settings := settingsOf(&c, provider)
		name, places := text("name of the account, which people type after --account"), text("where the account serves, as "+all.places()+"; without it: everywhere")
		name["pattern"] = accountName.String()
		places["type"] = []string{"string", "array"}
		places["items"], places["minItems"] = object{"type": "string"}, 1
		options := text("options of /meet that hold unless others are typed, as people type them")
		options["maxLength"] = maxOptions
		properties := object{"name": name, "provider": object{"const": provider}, "places": places, "options": options}
		if slices.Contains(common(settings), "webhook_path") {
			path := text("path under which events arrive; without it: /" + provider + "/events/NAME")
			path["pattern"] = webhookPath.String()
			properties["webhook_path"] = path
		}
		needs := []string{"name", "provider"}
		for field, l := range settings {
			p := text(Account{Provider: provider}.Words(all.describe(l.Description)))
			if l.Default != "" {
				p["default"] = l.Default
			}
			switch l.field.Addr().Interface().(type) {
			case *secret.String:
				maps.Copy(p, secretly)
			case *int:
				p["type"] = []string{"integer", "string"}
			case *Users:
				p["type"] = []string{"string", "array", "object"}
				p["items"], p["additionalProperties"] = object{"type": "string"}, object{"type": "string"}
			default:
				p["type"] = []string{"string", "integer"}
			}
			properties[field] = p
			v := reflect.ValueOf(c.Providers).FieldByNameFunc(func(n string) bool { return strings.EqualFold(n, provider) })
			if slices.Contains(v.Interface().(Provider).Needs(), l.Name) {
				needs = append(needs, field)
			}
		}
		slices.Sort(needs)
		kinds = append(kinds, object{
			"if":   object{"properties": object{"provider": object{"const": provider}}, "required": []string{"provider"}},
			"then": object{"properties": properties, "required": needs, "additionalProperties": false},
		})
	}
	schema, err := json.MarshalIndent(object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "PROVIDERS_FILE",
		"description": "Several accounts of meeting providers, as YAML or JSON. A secret is the name of a variable or of a file, never the secret itself.",
		"type":        "object", "required": []string{"accounts"}, "additionalProperties": false,
		"properties": object{"accounts": object{
			"type": "array", "minItems": 1, "maxItems": maxAccounts,
			"items": object{"type": "object", "required": []string{"name", "provider"}, "properties": object{"provider": object{"enum": Providers{}.names()}}, "allOf": kinds},
		}},
	}, "", "  ")
	return append(schema, '\n'), err
}
