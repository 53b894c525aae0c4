package main

import (
	"archive/tar"
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The user that the bot runs as, and the directory that is that user's.
const (
	nonroot = 65532
	dataDir = "data"
)

const (
	cycloneDXType = "application/vnd.cyclonedx+json"
	refName       = "org.opencontainers.image.ref.name"
)

// contents is what one image holds: the directory that deploy/build.sh has made, and the
// bill of materials of the bot in it.
type contents struct{ root, sbom string }

// writeOCI writes an archive of an OCI image layout: one image for each platform under one
// name, and the bill of materials of each as an artifact that refers to it. The same
// contents give the same bytes.
//
// https://github.com/opencontainers/image-spec/blob/main/image-layout.md
func writeOCI(path, version string, all []contents) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	top := index
	for _, c := range all {
		img, platform, err := image(c.root, version)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &platform}})
		bom, err := artifact(c.sbom, img)
		if err != nil {
			return err
		}
		top = mutate.AppendManifests(top, mutate.IndexAddendum{Add: bom, Descriptor: v1.Descriptor{ArtifactType: cycloneDXType}})
	}
	top = mutate.AppendManifests(top, mutate.IndexAddendum{Add: index, Descriptor: v1.Descriptor{Annotations: map[string]string{refName: version}}})

	dir, err := os.MkdirTemp("", "oci-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is in the temporary directory
	if _, err := layout.Write(dir, top); err != nil {
		return err
	}
	archive, err := archived(dir, func(string) int { return 0 })
	if err != nil {
		return err
	}
	return os.WriteFile(path, archive, 0o644)
}

// image makes the image of one directory, as the Dockerfile describes it.
func image(root, version string) (v1.Image, v1.Platform, error) {
	platform, err := platformOf(filepath.Join(root, "bot"))
	if err != nil {
		return nil, platform, err
	}
	files, err := archived(root, func(name string) int {
		if name == dataDir || strings.HasPrefix(name, dataDir+"/") {
			return nonroot
		}
		return 0
	})
	if err != nil {
		return nil, platform, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, platform, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if img, err = mutate.AppendLayers(img, layer); err != nil {
		return nil, platform, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, platform, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
	config.Created, config.History = v1.Time{Time: time.Unix(0, 0).UTC()}, nil
	config.Config = v1.Config{
		User: fmt.Sprintf("%d:%d", nonroot, nonroot), Env: []string{"DATA_DIR=/" + dataDir},
		Volumes: map[string]struct{}{"/" + dataDir: {}}, ExposedPorts: map[string]struct{}{"8080/tcp": {}}, Entrypoint: []string{"/bot"},
		Healthcheck: &v1.HealthConfig{
			Test: []string{"CMD", "/bot", "healthcheck"}, Interval: 15 * time.Second, Timeout: 5 * time.Second, StartPeriod: 2 * time.Minute, Retries: 4,
		},
		Labels: map[string]string{"org.opencontainers.image.title": "meetbot", "org.opencontainers.image.version": version},
	}
	img, err = mutate.ConfigFile(img, config)
	return img, platform, err
}

// platformOf reads from a program what it was built for.
func platformOf(program string) (v1.Platform, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return v1.Platform{}, fmt.Errorf("%s: %w", program, err)
	}
	var p v1.Platform
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS":
			p.OS = s.Value
		case "GOARCH":
			p.Architecture = s.Value
		}
	}
	if p.OS != "linux" {
		return p, fmt.Errorf("%s is for %s; an image is for linux", program, p)
	}
	if p.Architecture == "arm64" {
		p.Variant = "v8"
	}
	return p, nil
}

// artifact makes a manifest that says of an image what is linked into it.
//
// https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage
func artifact(sbom string, of v1.Image) (mutate.Appendable, error) {
	content, err := os.ReadFile(sbom)
	if err != nil {
		return nil, err
	}
	subject, err := partial.Descriptor(of)
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), cycloneDXType)
	if img, err = mutate.AppendLayers(img, static.NewLayer(content, cycloneDXType)); err != nil {
		return nil, err
	}
	about, ok := mutate.Subject(img, *subject).(v1.Image)
	if !ok {
		return nil, errors.New("an image with a subject is no image")
	}
	return about, nil
}

// archived packs a directory. Only names, contents and whether something can be run are
// taken over: what else a file has depends on the machine.
func archived(root string, owner func(name string) int) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		h := &tar.Header{Name: name, Mode: 0o644, Uid: owner(name), Gid: owner(name), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		switch {
		case d.IsDir():
			h.Typeflag, h.Name, h.Mode = tar.TypeDir, name+"/", 0o755
			if info.Mode()&fs.ModeSticky != 0 {
				h.Mode = 0o1777
			} else if info.Mode().Perm()&0o077 == 0 {
				h.Mode = 0o700
			}
		case info.Mode().IsRegular():
			h.Typeflag, h.Size = tar.TypeReg, info.Size()
			if info.Mode()&0o100 != 0 {
				h.Mode = 0o755
			}
		default:
			return fmt.Errorf("%s is neither a file nor a directory", path)
		}
		if err := w.WriteHeader(h); err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, f)
		return errors.Join(err, f.Close())
	})
	return out.Bytes(), errors.Join(err, w.Close())
}

// unpackOCI writes the files of an archive's image for a platform, as linux/amd64, into an
// empty directory, and who owns them where that is allowed.
func unpackOCI(archive, platform, dir string) error {
	work, err := os.MkdirTemp("", "oci-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck // it is in the temporary directory
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it is only read
	if err := untar(f, work); err != nil {
		return err
	}
	img, err := imageFor(work, platform)
	if err != nil {
		return err
	}
	files := mutate.Extract(img)
	return errors.Join(untar(files, dir), files.Close())
}

// imageFor finds an image in a layout.
func imageFor(dir, platform string) (v1.Image, error) {
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	manifest, err := top.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, d := range manifest.Manifests {
		if d.Annotations[refName] == "" {
			continue
		}
		index, err := top.ImageIndex(d.Digest)
		if err != nil {
			return nil, err
		}
		images, err := index.IndexManifest()
		if err != nil {
			return nil, err
		}
		for _, d := range images.Manifests {
			if d.Platform != nil && d.Platform.OS+"/"+d.Platform.Architecture == platform {
				return index.Image(d.Digest)
			}
		}
	}
	return nil, fmt.Errorf("there is no image for %s", platform)
}

// untar unpacks directories and files, and nothing outside of dir.
func untar(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // it is only a handle
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.FromSlash(strings.TrimSuffix(h.Name, "/"))
		switch h.Typeflag {
		case tar.TypeDir:
			if err := root.MkdirAll(name, 0o755); err != nil {
				return err
			}
		case tar.TypeReg:
			if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				return err
			}
			out, err := root.Create(name)
			if err != nil {
				return err
			}
			_, err = io.Copy(out, t)
			if err := errors.Join(err, out.Close()); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is neither a file nor a directory", h.Name)
		}
		if os.Getuid() == 0 {
			if err := root.Chown(name, h.Uid, h.Gid); err != nil {
				return err
			}
		}
		if err := root.Chmod(name, h.FileInfo().Mode()); err != nil {
			return err
		}
	}
}
