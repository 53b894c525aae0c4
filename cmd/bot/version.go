package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is stamped by the build: -ldflags "-X main.release=v1.2.3".
var release string

func version(_ context.Context, p process) error {
	if err := noArgs(p); err != nil {
		return err
	}
	return write(p.stdout, fmt.Sprintf("meetbot %s %s/%s %s\n", buildVersion(), runtime.GOOS, runtime.GOARCH, runtime.Version()))
}

// buildVersion is the release, or else the revision that was built.
func buildVersion() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) > 12 {
				v += " " + s.Value[:12]
			}
		}
	}
	return v
}
