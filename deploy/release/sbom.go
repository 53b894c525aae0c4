package main

import (
	"crypto/sha256"
	"fmt"
	"io"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func writeSBOM(b binary, out io.Writer) error {
	bom := cdx.NewBOM()
	bom.SpecVersion = cdx.SpecVersion1_6
	// The same binary has the same bill of materials: its number is made from the binary,
	// and it has no date.
	sum := sha256.Sum256([]byte("bill of materials of " + b.sha256))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // a UUID of version 8
	bom.SerialNumber = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
	root := cdx.Component{
		BOMRef: "meetbot", Type: cdx.ComponentTypeApplication, Name: "meetbot", Version: b.version,
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: b.sha256}},
		Properties: &[]cdx.Property{{Name: "file", Value: b.name}, {Name: "target", Value: b.target}},
	}
	bom.Metadata = &cdx.Metadata{Component: &root}
	var components []cdx.Component
	var refs []string
	for _, m := range b.modules {
		ref := "pkg:golang/" + m.path + "@" + m.version
		c := cdx.Component{
			BOMRef: ref, PackageURL: ref, Type: cdx.ComponentTypeLibrary, Name: m.path, Version: m.version, Scope: cdx.ScopeRequired,
		}
		var licenses cdx.Licenses
		for _, id := range m.licenses {
			licenses = append(licenses, cdx.LicenseChoice{License: &cdx.License{ID: id}})
		}
		c.Licenses = &licenses
		if m.sum != "" { // of the module's files, not of its archive: no hash in CycloneDX's sense
			c.Properties = &[]cdx.Property{{Name: "go.sum", Value: m.sum}}
		}
		components, refs = append(components, c), append(refs, ref)
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: root.BOMRef, Dependencies: &refs}}
	return cdx.NewBOMEncoder(out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6)
}
