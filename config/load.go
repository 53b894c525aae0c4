package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kelseyhightower/envconfig"

	"meetbot/config/secret"
)

// maxFile bounds the file that a _FILE variable names, in bytes.
const maxFile = 64 << 10

// Variable describes one environment variable.
type Variable struct {
	Name        string
	Default     string
	Description string
	Secret      bool   // NAME_FILE is accepted as well
	Rotate      string // how to change a secret; empty: the manual says it
}

// Variables lists every variable, in the order of their declaration. What depends on the
// platforms' names is described with those given.
func Variables(names ...Names) []Variable {
	var list []Variable
	for _, l := range leaves(&Config{}) {
		l.Description = AllNames(names).describe(l.Description)
		list = append(list, l.Variable)
	}
	return list
}

// IsVariable reports whether it is one of the bot's variables, or the _FILE of one.
func IsVariable(name string) bool {
	return slices.ContainsFunc(leaves(&Config{}), func(l leaf) bool { return name == l.Name || l.Secret && name == l.Name+"_FILE" })
}

// Usage writes the variables for a person at a terminal.
func Usage(w io.Writer, names ...Names) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range Variables(names...) {
		text := v.Description
		if v.Default != "" {
			text += " (default " + v.Default + ")"
		}
		if v.Secret {
			text += " *"
		}
		lines := wrap(text, 66)
		fmt.Fprintf(tw, "  %s\t%s\n", v.Name, lines[0])
		for _, l := range lines[1:] {
			fmt.Fprintf(tw, "\t%s\n", l)
		}
	}
	fmt.Fprintln(tw, "\n  * a secret: you can set NAME_FILE to the path of a file that holds it instead")
	return tw.Flush()
}

// Markdown returns the variables as the table in docs/configuration.md.
func Markdown(names ...Names) string {
	var b strings.Builder
	b.WriteString("| variable | default | what |\n| --- | --- | --- |\n")
	for _, v := range Variables(names...) {
		def, name := v.Default, "`"+v.Name+"`"
		if def != "" {
			def = "`" + def + "`"
		}
		if v.Secret {
			name += " \\*"
		}
		about := v.Description
		if v.Rotate != "" {
			about += "; to rotate it: " + v.Rotate
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, def, about)
	}
	return b.String()
}

func wrap(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		if *last != "" && len(*last)+1+len(word) > width {
			lines = append(lines, word)
			continue
		}
		*last = strings.TrimPrefix(*last+" "+word, " ")
	}
	return lines
}

// Fault is one thing that is wrong with the environment. It has no value in it.
type Fault struct {
	Variable string
	Fix      string
}

// Error is everything that is wrong with the environment.
type Error struct{ Faults []Fault }

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("the configuration cannot be used:")
	for _, f := range e.Faults {
		fmt.Fprintf(&b, "\n  %s: %s", f.Variable, f.Fix)
	}
	return b.String()
}

// Load reads the variables with lookup, which is [os.LookupEnv] or stands in for it. An
// empty variable counts as unset. Lists of people may name what names have. The error is an
// *[Error] with every fault.
//
// envconfig.Process is not used: it reads the process's environment only, stops at the
// first fault, and prints the value. The declarations, their names and types are its own.
func Load(lookup func(string) (string, bool), names ...Names) (Config, error) {
	c := Config{set: make(map[string]bool)}
	var faults []Fault
	fault := func(variable, fix string) {
		if !slices.ContainsFunc(faults, func(f Fault) bool { return f.Variable == variable }) {
			faults = append(faults, Fault{variable, fix})
		}
	}
	for _, l := range leaves(&c) {
		name := l.Name
		l.choose(lookup)
		value, err := l.read(lookup)
		c.set[name] = value != ""
		if err == nil && value == "" {
			value = l.Default
		}
		if err == nil && value != "" {
			err = l.assign(value)
		}
		if err != nil {
			c.set[name] = true // it was meant: nothing is said of it being missing
			fault(l.Name, err.Error())
		}
	}
	if c.ProvidersFile != "" {
		before := len(faults)
		if c.accounts = (accountsFile{lookup, names, fault}).load(c.ProvidersFile); len(faults) > before {
			c.accounts = nil
		}
	}
	c.names(names, fault)
	c.combinations(fault)
	if faults != nil {
		return Config{}, &Error{faults}
	}
	return c, nil
}

// leaf is one variable and the field it goes to.
type leaf struct {
	Variable
	field reflect.Value
	tag   reflect.StructTag
}

// leaves pairs the names that envconfig derives with the fields, which it visits in the
// order of their declaration.
func leaves(c *Config) []leaf {
	var names strings.Builder
	const format = "{{range .}}{{usage_key .}}\n{{end}}"
	if err := envconfig.Usagef("", c, &names, format); err != nil {
		panic(err) // unreachable: the struct and the template are constant
	}
	next := strings.Fields(names.String())
	var list []leaf
	var walk func(s reflect.Value)
	walk = func(s reflect.Value) {
		for i := range s.NumField() {
			f, field := s.Type().Field(i), s.Field(i)
			if !f.IsExported() {
				continue
			}
			_, setter := field.Addr().Interface().(envconfig.Setter)
			switch {
			case f.Type.Kind() == reflect.Struct && !setter:
				walk(field)
			default:
				_, isSecret := field.Interface().(secret.String)
				_, isKeys := field.Interface().(Keys)
				list = append(list, leaf{
					Variable: Variable{next[0], f.Tag.Get("default"), f.Tag.Get("desc"), isSecret || isKeys, f.Tag.Get("rotate")},
					field:    field, tag: f.Tag,
				})
				next = next[1:]
			}
		}
	}
	walk(reflect.ValueOf(c).Elem())
	return list
}

// choose takes the variable's more specific name where one is set.
func (l *leaf) choose(lookup func(string) (string, bool)) {
	specific := l.tag.Get("specific")
	value, _ := lookup(specific)
	path, _ := lookup(specific + "_FILE")
	if specific != "" && (value != "" || l.Secret && path != "") {
		l.Name = specific
	}
}

// read returns the variable's value, or the contents of the file that its _FILE names.
func (l leaf) read(lookup func(string) (string, bool)) (string, error) {
	value, _ := lookup(l.Name)
	value = strings.TrimSpace(value)
	if !l.Secret {
		return value, nil
	}
	path, _ := lookup(l.Name + "_FILE")
	path = strings.TrimSpace(path)
	switch {
	case path == "":
		return value, nil
	case value != "":
		return "", fmt.Errorf("set either it or %s_FILE, and unset the other", l.Name)
	}
	if err := leftovers(path, false); err != nil {
		return "", fmt.Errorf("%s_FILE: %w", l.Name, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", l.Name, cause(err))
	}
	defer f.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", l.Name, cause(err))
	}
	value = strings.TrimSpace(string(b))
	if value == "" || len(b) > maxFile {
		return "", fmt.Errorf("%s_FILE: the file must hold the secret and nothing else", l.Name)
	}
	return value, nil
}

// cause is err without the path, which may be a secret that was put into the wrong variable.
func cause(err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return fmt.Errorf("%s the file: %w", pathErr.Op, pathErr.Err)
	}
	return err
}

// assign puts a value that is not empty into the field.
func (l leaf) assign(value string) error {
	if err := leftovers(value, l.Secret); err != nil {
		return err
	}
	if _, isToken := l.field.Interface().(secret.String); isToken && l.tag.Get("check") != "headers" {
		if err := oneWord(value); err != nil {
			return err
		}
	}
	if check := checks[l.tag.Get("check")]; check != nil {
		if err := check(value); err != nil {
			if fix := l.tag.Get("fix"); fix != "" { // where it is found, in the words of who gives it out
				return errors.New(fix)
			}
			return err
		}
	}
	if oneof := l.tag.Get("oneof"); oneof != "" && !slices.Contains(strings.Fields(oneof), value) {
		return fmt.Errorf("use one of: %s", strings.ReplaceAll(oneof, " ", ", "))
	}
	switch p := l.field.Addr().Interface().(type) {
	case envconfig.Setter:
		return p.Set(value)
	case *string:
		*p = value
	case *int:
		least, _ := strconv.Atoi(l.tag.Get("min"))
		n, err := strconv.Atoi(value)
		if err != nil || n < least {
			return fmt.Errorf("use a whole number from %d", least)
		}
		*p = n
	case *time.Duration:
		least, _ := time.ParseDuration(l.tag.Get("min"))
		d, err := time.ParseDuration(value)
		if err != nil || d < least {
			return fmt.Errorf("use a duration of %s or more, such as %s", l.tag.Get("min"), l.tag.Get("default"))
		}
		*p = d
	default:
		panic("no way to set " + l.Name) // unreachable: a test loads every variable
	}
	return nil
}
