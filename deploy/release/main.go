// Command release describes binaries that were built: what is linked into them, and
// under which licences.
//
//	release sbom BINARY       CycloneDX 1.6 as JSON
//	release licenses BINARY…  the licences' texts, by module
//	release oci ARCHIVE VERSION ROOT SBOM…  an archive of images, of the directories that
//	                          deploy/build.sh has made and their bills of materials
//	release unpack ARCHIVE PLATFORM DIR     the files of one of these images
//
// It reads what Go's linker wrote into the binary, and the modules' own files, so it says
// what was shipped and not what go.mod might have led to. The output is the same for the
// same binaries.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	switch {
	case len(args) == 2 && args[0] == "sbom":
		b, err := readBinary(args[1])
		if err != nil {
			return err
		}
		return writeSBOM(b, out)
	case len(args) >= 2 && args[0] == "licenses":
		var all []binary
		for _, path := range args[1:] {
			b, err := readBinary(path)
			if err != nil {
				return err
			}
			all = append(all, b)
		}
		return writeLicenses(all, out)
	case len(args) >= 5 && len(args)%2 == 1 && args[0] == "oci":
		var all []contents
		for pair := range slices.Chunk(args[3:], 2) {
			all = append(all, contents{pair[0], pair[1]})
		}
		return writeOCI(args[1], args[2], all)
	case len(args) == 4 && args[0] == "unpack":
		return unpackOCI(args[1], args[2], args[3])
	}
	return errors.New("usage: release sbom BINARY | licenses BINARY… | oci ARCHIVE VERSION ROOT SBOM… | unpack ARCHIVE PLATFORM DIR")
}
