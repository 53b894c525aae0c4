package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

// namespace is where the chart's examples are installed.
const namespace = "meetbot"

// charted renders a chart with each of the values in its ci directory, and checks what
// comes out as every manifest is checked.
func charted(m *manifests, dir string, out io.Writer) error {
	c, err := loader.LoadDir(dir)
	if err != nil {
		return err
	}
	examples, err := filepath.Glob(filepath.Join(dir, "ci", "*-values.yaml"))
	if err != nil {
		return err
	}
	if len(examples) == 0 {
		return fmt.Errorf("%s has no ci/*-values.yaml", dir)
	}
	var faults []error
	for _, path := range examples {
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n, err := renderedWith(m, c, path, raw)
		for _, message := range lint.AllWithKubeVersion(dir, mustValues(raw), namespace, nil).Messages {
			if message.Severity >= support.WarningSev {
				err = errors.Join(err, fmt.Errorf("%s: %w", path, message.Err))
			}
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if _, err := fmt.Fprintf(out, "%s: %d, as they should be\n", path, n); err != nil {
			return err
		}
	}
	return errors.Join(faults...)
}

// mustValues reads values that were read before.
func mustValues(raw []byte) map[string]any {
	values, _ := chartutil.ReadValues(raw)
	return values
}

// renderedWith returns how many resources the chart makes of these values, and what is
// wrong with them.
func renderedWith(m *manifests, c *chart.Chart, name string, raw []byte) (int, error) {
	files, err := render(c, raw)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	total := 0
	var faults []error
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(file, ".yaml") {
			continue
		}
		n, err := m.check(name+": "+file, []byte(files[file]))
		total += n
		if err != nil {
			faults = append(faults, err)
		}
	}
	return total, errors.Join(faults...)
}

// render returns what the chart makes, by template. Values that its schema does not allow
// are an error.
func render(c *chart.Chart, raw []byte) (map[string]string, error) {
	values, err := chartutil.ReadValues(raw)
	if err != nil {
		return nil, err
	}
	all, err := chartutil.ToRenderValues(c, values, chartutil.ReleaseOptions{Name: "meetbot", Namespace: namespace, IsInstall: true}, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.Render(c, all)
}
