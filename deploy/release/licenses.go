package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// writeLicenses writes which licence each module is under, and then the texts.
func writeLicenses(all []binary, out io.Writer) error {
	var modules []module
	for _, b := range all {
		for _, m := range b.modules {
			if !slices.ContainsFunc(modules, func(have module) bool { return have.path == m.path && have.version == m.version }) {
				modules = append(modules, m)
			}
		}
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.path+a.version, b.path+b.version) })
	w := bufio.NewWriter(out)
	fmt.Fprint(w, "meetbot contains these modules. Their licences follow.\n\n")
	for _, m := range modules {
		fmt.Fprintf(w, "%s %s: %s\n", m.path, m.version, strings.Join(m.licenses, ", "))
	}
	for _, m := range modules {
		for _, t := range m.texts {
			fmt.Fprintf(w, "\n%s\n%s %s, %s\n\n%s\n", strings.Repeat("=", 80), m.path, m.version, t.name, strings.TrimRight(t.content, "\n"))
		}
	}
	return w.Flush()
}
