package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// broken is a file with one thing changed for the worse.
type broken struct {
	name, old, new string
	want           string // in what is said of it
}

func (b broken) of(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(content), b.old, "the case does not fit the file any more")
	return []byte(strings.Replace(string(content), b.old, b.new, 1))
}

func TestBrokenManifestsAreRefused(t *testing.T) {
	m, err := newManifests(t.TempDir())
	require.NoError(t, err)
	for _, tt := range []broken{
		{"Unchanged", "replicas: 1", "replicas: 1", ""},
		{"UnknownField", "replicas: 1", "replica: 1", "replica"},
		{"WrongType", "replicas: 1", "replicas: one", "replicas"},
		{"MissingSelector", "  selector:\n    matchLabels:\n      app.kubernetes.io/name: meetbot\n  template", "  template", "selector"},
		{"UnknownVersion", "apiVersion: apps/v1", "apiVersion: apps/v9", "schema"},
		{"DeepUnknownField", "fsGroup: 65532\n", "fsgroup: 65532\n", "fsgroup"},
		{"TwiceTheSameKey", "serviceName: meetbot", "serviceName: meetbot\n  serviceName: other", "already set"},
		{"Root", "runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"},
		{"NoSeccomp", "type: RuntimeDefault", "type: Unconfined", "seccomp"},
		{"Capabilities", "drop: [ALL]", "drop: [NET_RAW]", "capabilities"},
		{"WritableRoot", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "root file system"},
		{"ApiToken", "automountServiceAccountToken: false", "automountServiceAccountToken: true", "token"},
		{"NoProbe", "          readinessProbe:\n            httpGet:\n              path: /readyz\n              port: ops\n            periodSeconds: 5\n            timeoutSeconds: 3\n", "", "probe"},
		{"SecretInTheEnvironment", "- configMapRef:\n                name: meetbot", "- secretRef:\n                name: meetbot", "Secret in its environment"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := m.check("single.yaml", tt.of(t, "../kubernetes/single.yaml"))
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			assert.Contains(t, err.Error(), tt.want)
		})
	}
	t.Run("Empty", func(t *testing.T) {
		_, err := m.check("empty.yaml", []byte("---\n"))
		assert.Error(t, err)
	})
}

func TestBrokenComposeFilesAreRefused(t *testing.T) {
	for _, tt := range []broken{
		{"Unchanged", "init: false", "init: false", ""},
		{"UnknownField", "mem_limit: 512m", "memory_limit: 512m", "memory_limit"},
		{"UnknownSecret", "secrets: [SLACK_BOT_TOKEN", "secrets: [OTHER", "OTHER"},
		{"UnknownVolume", "- data:/data", "- other:/data", "other"},
		{"Tag", "${MEETBOT_IMAGE:?the image by its digest, as …/meetbot@sha256:…}", "meetbot:latest", "digest"},
		{"Root", `user: "65532:65532"`, `user: "0:0"`, "root"},
		{"WritableRoot", "read_only: true", "read_only: false", "root file system"},
		{"Privileges", `["no-new-privileges:true"]`, "[]", "privileges"},
		{"Capabilities", "cap_drop: [ALL]", "cap_drop: []", "capabilities"},
		{"NoHealthcheck", "test: [CMD, /bot, healthcheck]", "disable: true", "healthcheck"},
		{"SecretInTheEnvironment", "SLACK_BOT_TOKEN_FILE: /run/secrets/SLACK_BOT_TOKEN", "SLACK_BOT_TOKEN: xoxb-1", "SLACK_BOT_TOKEN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := composed(t.Context(), "../compose.yaml", tt.of(t, "../compose.yaml"), given)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			assert.Contains(t, err.Error(), tt.want)
		})
	}
	t.Run("NothingGiven", func(t *testing.T) {
		_, err := composed(t.Context(), "../compose.yaml", broken{}.of(t, "../compose.yaml"), nil)
		require.Error(t, err)
		assert.Contains(t, err.Error(), "MEETBOT_IMAGE")
	})
}
