package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yannh/kubeconform/pkg/validator"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// The schemas are Kubernetes' own OpenAPI document, from its source at this version. It is
// fetched like any module and compared with its checksum.
const (
	kubernetes    = "k8s.io/kubernetes@v1.36.3"
	kubernetesSum = "h1:qDQdoMiluAE2Eab6Fa52YV+WjiGz9mZFFoagEA6cI+o="
	openAPI       = "api/openapi-spec/swagger.json"
)

// manifests checks Kubernetes manifests: each document strictly against its schema, and
// each pod against the restricted security standard.
type manifests struct {
	schemas  validator.Validator
	security policy.Evaluator
}

// newManifests makes the schemas' files in dir.
func newManifests(dir string) (*manifests, error) {
	doc, err := openAPIDocument()
	if err != nil {
		return nil, err
	}
	if err := writeSchemas(doc, dir); err != nil {
		return nil, err
	}
	v, err := validator.New([]string{filepath.Join(dir, "{{ .ResourceKind }}{{ .KindSuffix }}.json")}, validator.Opts{Strict: true})
	if err != nil {
		return nil, err
	}
	e, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	return &manifests{v, e}, err
}

func openAPIDocument() ([]byte, error) {
	cmd := exec.Command("go", "mod", "download", "-json", kubernetes)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var module struct{ Dir, Sum, Error string }
	if jerr := json.Unmarshal(out, &module); jerr != nil || module.Error != "" || err != nil {
		return nil, fmt.Errorf("fetch %s: %w", kubernetes, errors.Join(err, jerr, errors.New(module.Error)))
	}
	if module.Sum != kubernetesSum {
		return nil, fmt.Errorf("%s has checksum %s, not %s", kubernetes, module.Sum, kubernetesSum)
	}
	return os.ReadFile(filepath.Join(module.Dir, filepath.FromSlash(openAPI)))
}

// schema is a JSON schema, as far as it has to be changed.
type schema = map[string]any

// writeSchemas writes one strict JSON schema for every kind, with all that it refers to.
func writeSchemas(doc []byte, dir string) error {
	var spec struct{ Definitions map[string]schema }
	if err := json.Unmarshal(doc, &spec); err != nil {
		return fmt.Errorf("%s: %w", openAPI, err)
	}
	for name, d := range spec.Definitions {
		if strings.HasSuffix(name, ".api.resource.Quantity") {
			d["type"] = []string{"string", "number"}
			continue
		}
		tighten(d)
	}
	written := 0
	for name, d := range spec.Definitions {
		var kinds []struct{ Group, Version, Kind string }
		raw, err := json.Marshal(d["x-kubernetes-group-version-kind"])
		if err != nil {
			return err
		}
		// Options of calls, as DeleteOptions, are of many groups, and nobody writes them.
		if json.Unmarshal(raw, &kinds) != nil || len(kinds) != 1 {
			continue
		}
		needed := map[string]schema{}
		collect(spec.Definitions, name, needed)
		b, err := json.Marshal(schema{"$ref": "#/definitions/" + name, "definitions": needed})
		if err != nil {
			return err
		}
		k := kinds[0]
		parts := []string{k.Kind}
		if k.Group != "" {
			group, _, _ := strings.Cut(k.Group, ".")
			parts = append(parts, group)
		}
		file := strings.ToLower(strings.Join(append(parts, k.Version), "-")) + ".json"
		if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
			return err
		}
		written++
	}
	if written < 50 {
		return fmt.Errorf("%s has only %d kinds", openAPI, written)
	}
	return nil
}

// tighten makes a field that is not documented an error, and lets ports and the like be
// numbers or names.
func tighten(v any) {
	switch v := v.(type) {
	case map[string]any:
		if v["format"] == "int-or-string" {
			v["type"] = []string{"string", "integer"}
			delete(v, "format")
		}
		_, open := v["additionalProperties"]
		if _, ok := v["properties"].(map[string]any); ok && !open {
			v["additionalProperties"] = false
		}
		for x := range maps.Values(v) {
			tighten(x)
		}
	case []any:
		for _, x := range v {
			tighten(x)
		}
	}
}

// collect adds the definition and all that it refers to.
func collect(all map[string]schema, name string, into map[string]schema) {
	if _, ok := into[name]; ok || all[name] == nil {
		return
	}
	into[name] = all[name]
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				collect(all, strings.TrimPrefix(ref, "#/definitions/"), into)
			}
			for x := range maps.Values(v) {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(all[name])
}

// check returns how many resources are in a file, and what is wrong with them.
func (m *manifests) check(name string, content []byte) (int, error) {
	var faults []error
	n := 0
	for _, r := range m.schemas.Validate(name, io.NopCloser(bytes.NewReader(content))) {
		switch r.Status {
		case validator.Empty:
			continue
		case validator.Valid:
			n++
		default:
			faults = append(faults, fmt.Errorf("%s: %w", name, r.Err))
			continue
		}
		spec, err := podSpec(r.Resource.Bytes)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
			continue
		}
		if spec == nil {
			continue
		}
		level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
		if result := policy.AggregateCheckResults(m.security.EvaluatePod(level, &spec.ObjectMeta, &spec.Spec)); !result.Allowed {
			faults = append(faults, fmt.Errorf("%s: the restricted standard forbids it: %s", name, result.ForbiddenDetail()))
		}
		faults = append(faults, hardening(name, spec)...)
	}
	if n == 0 && faults == nil {
		faults = append(faults, fmt.Errorf("%s has no resources", name))
	}
	return n, errors.Join(faults...)
}

// podSpec returns the pod that a resource makes, or nil.
func podSpec(raw []byte) (*corev1.PodTemplateSpec, error) {
	var head struct{ Kind string }
	if err := yaml.Unmarshal(raw, &head); err != nil {
		return nil, err
	}
	switch head.Kind {
	case "Deployment":
		var d appsv1.Deployment
		return &d.Spec.Template, yaml.UnmarshalStrict(raw, &d)
	case "StatefulSet":
		var s appsv1.StatefulSet
		return &s.Spec.Template, yaml.UnmarshalStrict(raw, &s)
	case "Pod", "Job", "CronJob", "DaemonSet", "ReplicaSet":
		return nil, fmt.Errorf("kind %s is not expected: teach podSpec to look into it", head.Kind)
	}
	return nil, nil
}

// hardening is what the restricted standard leaves open and we do not.
func hardening(name string, pod *corev1.PodTemplateSpec) []error {
	var faults []error
	fault := func(text string) { faults = append(faults, fmt.Errorf("%s: %s", name, text)) }
	if t := pod.Spec.AutomountServiceAccountToken; t == nil || *t {
		fault("the pod gets a token of the API server")
	}
	for _, c := range pod.Spec.Containers {
		s := c.SecurityContext
		if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
			fault("container " + c.Name + " can write to its root file system")
		}
		if c.ReadinessProbe == nil || c.LivenessProbe == nil || c.StartupProbe == nil {
			fault("container " + c.Name + " lacks a probe")
		}
		if c.Resources.Limits.Memory().IsZero() {
			fault("container " + c.Name + " has no limit of memory")
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				fault("container " + c.Name + " has a secret in its environment: mount it as a file")
			}
		}
		if slices.ContainsFunc(c.EnvFrom, func(e corev1.EnvFromSource) bool { return e.SecretRef != nil }) {
			fault("container " + c.Name + " has a whole Secret in its environment: mount it as files")
		}
	}
	return faults
}
