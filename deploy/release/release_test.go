package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// built builds this very program, as a release names it.
func built(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "meetbot_v1.2.3_linux_amd64")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

func TestTheSBOMFollowsTheSchemaAndIsComplete(t *testing.T) {
	path := built(t)
	var out, again bytes.Buffer
	require.NoError(t, run([]string{"sbom", path}, &out))
	require.NoError(t, run([]string{"sbom", path}, &again))
	assert.Equal(t, out.String(), again.String(), "the same binary has the same bill of materials")

	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(out.Bytes()))
	require.NoError(t, err)
	require.NoError(t, cycloneDX(t).Validate(doc))

	var bom cdx.BOM
	require.NoError(t, json.Unmarshal(out.Bytes(), &bom))
	assert.Equal(t, "v1.2.3", bom.Metadata.Component.Version)
	licenses := map[string]string{}
	for _, c := range *bom.Components {
		licenses[c.Name] = (*c.Licenses)[0].License.ID
	}
	assert.Equal(t, "Apache-2.0", licenses["github.com/CycloneDX/cyclonedx-go"])
	assert.Equal(t, "BSD-3-Clause", licenses[standardLibrary])
	assert.NotContains(t, licenses, "github.com/stretchr/testify", "what tests need is not shipped")
}

func TestAnIncompleteSBOMDoesNotPass(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"a"}]}`))
	require.NoError(t, err)
	assert.Error(t, cycloneDX(t).Validate(doc))
}

// cycloneDX is the published schema, which comes with the library.
func cycloneDX(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	const base = "http://cyclonedx.org/schema/"
	for name, file := range map[string]string{
		"bom-1.6.schema.json": "bom-1.6.schema.json", "spdx.schema.json": "spdx.schema.json", "jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	} {
		f, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "schema", file))
		require.NoError(t, err)
		doc, err := jsonschema.UnmarshalJSON(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.NoError(t, c.AddResource(base+name, doc))
	}
	s, err := c.Compile(base + "bom-1.6.schema.json")
	require.NoError(t, err)
	return s
}

func TestTheLicencesAreThereInFull(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run([]string{"licenses", built(t)}, &out))
	assert.Contains(t, out.String(), "\ngithub.com/CycloneDX/cyclonedx-go v0.12.0: Apache-2.0\n")
	assert.Contains(t, out.String(), "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION")
	assert.Contains(t, out.String(), "The Go Authors")
}

func TestAModuleWithoutALicenceStopsTheRelease(t *testing.T) {
	path := built(t)
	b, err := readBinary(path)
	require.NoError(t, err)
	require.NotEmpty(t, b.modules)
	dir := t.TempDir()
	m := module{path: "example.com/x", version: "v1.0.0"}
	require.ErrorContains(t, m.readLicenses(nil, dir), "no licence")
}

func TestWhatIsNoGoBinaryIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o600))
	assert.Error(t, run([]string{"sbom", path}, &bytes.Buffer{}))
	assert.Error(t, run([]string{"sbom"}, &bytes.Buffer{}))
}
