// Package goldentest compares what a test made with a golden file. A test that fails shows how
// they differ, line by line, and nothing else.
package goldentest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Check fails t if got is not what the file holds. With -update it writes the file.
func Check(t testing.TB, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; go test -update writes it", err)
	}
	if d := diff(string(want), got); d != "" {
		t.Errorf("%s (- in the file, + now):\n%s", file, d)
	}
}

// diff returns the lines that differ, each group with the line of the file where it begins;
// empty if none does.
func diff(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	at := 0
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b, at = a[1:], b[1:], at+1
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	// common[i][j] is how many lines a[i:] and b[j:] have in common, in their order.
	common := make([][]int32, len(a)+1)
	for i := range common {
		common[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out strings.Builder
	apart := false
	line := func(i int, sign, text string) {
		if !apart {
			fmt.Fprintf(&out, "line %d\n", at+i+1)
		}
		apart = true
		fmt.Fprintln(&out, sign+text)
	}
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j, apart = i+1, j+1, false
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			line(i, "- ", a[i])
			i++
		default:
			line(i, "+ ", b[j])
			j++
		}
	}
	return out.String()
}
