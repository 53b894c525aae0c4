package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// public are variables that sound like secrets and are none.
var public = []string{"DISCORD_PUBLIC_KEY", "BOT_NKEY"}

// composed checks a Compose file: that it loads, as the specification has it and with
// nothing unset, and that what runs the bot is as closed as it can be.
func composed(ctx context.Context, path string, content []byte, env map[string]string) (int, error) {
	project, err := loader.LoadWithContext(ctx, types.ConfigDetails{
		WorkingDir:  filepath.Dir(path),
		ConfigFiles: []types.ConfigFile{{Filename: path, Content: content}},
		Environment: env,
	}, func(o *loader.Options) {
		o.SetProjectName("meetbot", true)
		o.SkipResolveEnvironment = true // the file with settings is the operator's
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	var faults []error
	bots := 0
	for _, name := range slices.Sorted(maps.Keys(project.Services)) {
		s := project.Services[name]
		fault := func(text string) { faults = append(faults, fmt.Errorf("%s: service %s: %s", path, name, text)) }
		if !strings.Contains(s.Image, "@sha256:") {
			fault("its image is not named by a digest")
		}
		if s.Privileged || len(s.CapAdd) > 0 {
			fault("it has more rights than a process needs")
		}
		if !slices.Contains(s.CapDrop, "ALL") {
			fault("it keeps capabilities: drop ALL")
		}
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			fault("it can gain privileges: set no-new-privileges:true")
		}
		if !s.ReadOnly {
			fault("it can write to its root file system: set read_only")
		}
		if s.User == "" || s.User == "root" || strings.HasPrefix(s.User, "0") {
			fault("it runs as root: set user")
		}
		if s.HealthCheck == nil || s.HealthCheck.Disable || len(s.HealthCheck.Test) == 0 {
			fault("it has no healthcheck")
		}
		for variable := range s.Environment {
			for _, word := range []string{"TOKEN", "SECRET", "KEY"} {
				if strings.Contains(variable, word) && !strings.HasSuffix(variable, "_FILE") && !slices.Contains(public, variable) {
					fault(variable + " is a secret in the environment: use a file")
				}
			}
		}
		if strings.HasPrefix(name, "bot") {
			bots++
		}
	}
	if bots == 0 {
		faults = append(faults, errors.New(path+" runs no bot"))
	}
	return len(project.Services), errors.Join(faults...)
}
