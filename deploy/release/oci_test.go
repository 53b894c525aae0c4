package main

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// root makes a directory as deploy/build.sh does, with a program in place of the bot.
func root(t *testing.T, arch string) contents {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600))
	cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, "bot"), source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "etc", "passwd"), []byte("nonroot\n"), 0o640))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "tmp"), 0o755))
	require.NoError(t, os.Chmod(filepath.Join(dir, "tmp"), 0o777|fs.ModeSticky))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "data"), 0o700))
	sbom := filepath.Join(t.TempDir(), "sbom.json")
	require.NoError(t, os.WriteFile(sbom, []byte(`{"bomFormat":"CycloneDX","of":"`+arch+`"}`), 0o600))
	return contents{dir, sbom}
}

func TestTheArchiveIsAnImageForEachPlatform(t *testing.T) {
	amd, arm := root(t, "amd64"), root(t, "arm64")
	archive, again := filepath.Join(t.TempDir(), "a.tar"), filepath.Join(t.TempDir(), "b.tar")
	for _, path := range []string{archive, again} {
		require.NoError(t, run([]string{"oci", path, "v1.2.3", amd.root, amd.sbom, arm.root, arm.sbom}, nil))
	}
	one, err := os.ReadFile(archive)
	require.NoError(t, err)
	two, err := os.ReadFile(again)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(one, two), "the same contents give the same bytes")

	dir := t.TempDir()
	require.NoError(t, untar(bytes.NewReader(one), dir))
	top, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	require.NoError(t, validate.Index(top))
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		img, err := imageFor(dir, platform)
		require.NoError(t, err)
		config, err := img.ConfigFile()
		require.NoError(t, err)
		assert.Equal(t, platform, config.OS+"/"+config.Architecture)
		assert.Equal(t, "v1.2.3", config.Config.Labels["org.opencontainers.image.version"])
	}

	unpacked := t.TempDir()
	require.NoError(t, run([]string{"unpack", archive, "linux/arm64", unpacked}, nil))
	modes := map[string]fs.FileMode{}
	require.NoError(t, filepath.WalkDir(unpacked, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == unpacked {
			return err
		}
		info, err := d.Info()
		name, _ := filepath.Rel(unpacked, path)
		modes[filepath.ToSlash(name)] = info.Mode()
		return err
	}))
	assert.Equal(t, map[string]fs.FileMode{
		"bot": 0o755, "data": fs.ModeDir | 0o700, "etc": fs.ModeDir | 0o755, "etc/passwd": 0o644, "tmp": fs.ModeDir | fs.ModeSticky | 0o777,
	}, modes, "whatever the modes were on the machine")
	assert.Error(t, run([]string{"unpack", archive, "linux/s390x", t.TempDir()}, nil))
}

// TestTheBillOfMaterialsRefersToItsImage reads the layout as a registry would.
func TestTheBillOfMaterialsRefersToItsImage(t *testing.T) {
	amd := root(t, "amd64")
	archive := filepath.Join(t.TempDir(), "a.tar")
	require.NoError(t, run([]string{"oci", archive, "v1.2.3", amd.root, amd.sbom}, nil))
	f, err := os.Open(archive)
	require.NoError(t, err)
	defer f.Close() //nolint:errcheck // it is only read
	dir := t.TempDir()
	require.NoError(t, untar(f, dir))
	img, err := imageFor(dir, "linux/amd64")
	require.NoError(t, err)
	digest, err := img.Digest()
	require.NoError(t, err)
	top, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	manifest, err := top.IndexManifest()
	require.NoError(t, err)
	found := false
	for _, d := range manifest.Manifests {
		if d.ArtifactType != cycloneDXType {
			continue
		}
		found = true
		bom, err := top.Image(d.Digest)
		require.NoError(t, err)
		m, err := bom.Manifest()
		require.NoError(t, err)
		assert.Equal(t, digest, m.Subject.Digest)
		require.Len(t, m.Layers, 1)
		content, err := os.ReadFile(filepath.Join(dir, "blobs", "sha256", m.Layers[0].Digest.Hex))
		require.NoError(t, err)
		want, err := os.ReadFile(amd.sbom)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(content))
	}
	assert.True(t, found)
}

func TestWhatIsNoImageIsRefused(t *testing.T) {
	c := root(t, "amd64")
	archive := filepath.Join(t.TempDir(), "a.tar")
	require.NoError(t, os.Symlink("/etc/shadow", filepath.Join(c.root, "etc", "shadow")))
	assert.ErrorContains(t, writeOCI(archive, "v1", []contents{c}), "neither a file nor a directory")

	mac := root(t, "amd64")
	cmd := exec.Command("go", "build", "-o", filepath.Join(mac.root, "bot"), ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=darwin", "GOARCH=arm64")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.ErrorContains(t, writeOCI(archive, "v1", []contents{mac}), "an image is for linux")

	var evil bytes.Buffer
	w := tar.NewWriter(&evil)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "../outside", Typeflag: tar.TypeReg, Mode: 0o644}))
	require.NoError(t, w.Close())
	assert.Error(t, untar(&evil, t.TempDir()))
}

// TestTheImageIsAsTheDockerfileSays compares the two ways to make an image.
func TestTheImageIsAsTheDockerfileSays(t *testing.T) {
	raw, err := os.ReadFile("../../Dockerfile")
	require.NoError(t, err)
	_, last, ok := strings.Cut(string(raw), "FROM scratch\n")
	require.True(t, ok)
	says := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z]+) (.*)$`).FindAllStringSubmatch(last, -1) {
		says[m[1]] = m[2]
	}
	img, _, err := image(root(t, "amd64").root, "v1")
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	c := config.Config
	assert.Equal(t, says["USER"], c.User)
	assert.Equal(t, []string{says["ENV"]}, c.Env)
	assert.Contains(t, c.Volumes, says["VOLUME"])
	assert.Contains(t, c.ExposedPorts, says["EXPOSE"]+"/tcp")
	assert.Equal(t, says["ENTRYPOINT"], `["`+strings.Join(c.Entrypoint, `", "`)+`"]`)
	h := c.Healthcheck
	assert.Equal(t, says["HEALTHCHECK"], `--interval=15s --timeout=5s --start-period=2m --retries=4 CMD ["`+strings.Join(h.Test[1:], `", "`)+`"]`)
	assert.Equal(t, "15s 5s 2m0s 4", strings.Join([]string{h.Interval.String(), h.Timeout.String(), h.StartPeriod.String(), "4"}, " "))
}
