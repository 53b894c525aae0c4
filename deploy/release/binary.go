package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	classifier "github.com/google/licenseclassifier/v2"
	"github.com/google/licenseclassifier/v2/assets"
)

// binary is a program and what is linked into it.
type binary struct {
	name    string
	version string
	sha256  string
	target  string // linux/amd64
	modules []module
}

// module is something that is linked in.
type module struct {
	path, version string
	sum           string // as in go.sum; empty for the standard library
	licenses      []string
	texts         []text
}

// text is a file with a licence or a notice.
type text struct {
	name, content string
}

// standardLibrary is what the Go version of the binary is listed as.
const standardLibrary = "std"

func readBinary(path string) (binary, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return binary{}, err
	}
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return binary{}, fmt.Errorf("%s: %w", path, err)
	}
	sum := sha256.Sum256(content)
	b := binary{name: filepath.Base(path), sha256: hex.EncodeToString(sum[:])}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	b.target = settings["GOOS"] + "/" + settings["GOARCH"]
	if v, ok := strings.CutPrefix(b.name, "meetbot_"); ok {
		b.version, _, _ = strings.Cut(v, "_") // -trimpath leaves the stamp out of what can be read
	}

	c, err := assets.DefaultClassifier()
	if err != nil {
		return binary{}, err
	}
	std := module{path: standardLibrary, version: strings.TrimPrefix(info.GoVersion, "go")}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return binary{}, fmt.Errorf("go env GOROOT: %w", err)
	}
	if err := std.readLicenses(c, strings.TrimSpace(string(root))); err != nil {
		return binary{}, err
	}
	b.modules = append(b.modules, std)
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		m := module{path: d.Path, version: d.Version, sum: d.Sum}
		dir, err := moduleDir(d.Path, d.Version, d.Sum)
		if err != nil {
			return binary{}, err
		}
		if err := m.readLicenses(c, dir); err != nil {
			return binary{}, err
		}
		b.modules = append(b.modules, m)
	}
	slices.SortFunc(b.modules, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return b, nil
}

// moduleDir returns where a module's source is, if it is what the binary was linked from.
func moduleDir(path, version, sum string) (string, error) {
	out, err := exec.Command("go", "mod", "download", "-json", path+"@"+version).Output()
	var m struct{ Dir, Sum, Error string }
	if jerr := json.Unmarshal(out, &m); jerr != nil || m.Error != "" || err != nil {
		return "", fmt.Errorf("fetch %s@%s: %w", path, version, errors.Join(err, jerr, errors.New(m.Error)))
	}
	if m.Sum != sum {
		return "", fmt.Errorf("%s@%s has checksum %s; the binary was linked from %s", path, version, m.Sum, sum)
	}
	return m.Dir, nil
}

// licenseFile is what a licence or a notice is called at the root of a module.
var licenseFile = regexp.MustCompile(`(?i)^(li[cs]en[cs]es?|copying|notice|unlicense|patents)([-_.].*)?$`)

// readLicenses finds what a module is licensed under. A module whose licence is not
// recognised is an error: somebody has to look before it is shipped.
func (m *module) readLicenses(c *classifier.Classifier, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !licenseFile.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		m.texts = append(m.texts, text{e.Name(), string(content)})
		for _, match := range c.Match(content).Matches {
			if match.MatchType == "License" && !slices.Contains(m.licenses, match.Name) {
				m.licenses = append(m.licenses, match.Name)
			}
		}
	}
	if len(m.licenses) == 0 {
		return fmt.Errorf("%s@%s: no licence is recognised in %s", m.path, m.version, dir)
	}
	slices.Sort(m.licenses)
	return nil
}
