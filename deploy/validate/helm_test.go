package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart/loader"
	"sigs.k8s.io/yaml"
)

const chartDir = "../helm/meetbot"

func TestBrokenValuesAreRefused(t *testing.T) {
	m, err := newManifests(t.TempDir())
	require.NoError(t, err)
	c, err := loader.LoadDir(chartDir)
	require.NoError(t, err)
	for _, tt := range []broken{
		{"Unchanged", "config:", "config:", ""},
		{"NoDigest", "  digest: sha256:0000000000000000000000000000000000000000000000000000000000000000", "  repository: example.com/meetbot", "digest"},
		{"Tag", "digest: sha256:0000000000000000000000000000000000000000000000000000000000000000", "digest: v1.0.0", "digest"},
		{"UnknownValue", "config:", "replica: 2\nconfig:", "replica"},
		{"OneReplica", "config:", "replicas: 1\nconfig:", "replicas"},
		{"SecretInTheConfig", "config:", "config:\n  SLACK_BOT_TOKEN: xoxb-1", "SLACK_BOT_TOKEN"},
		{"ClusterInClear", "config:", "nats:\n  url: nats://nats:4222\nconfig:", "nats"},
		{"NumberAsText", "ADMINS: slack:user:U0ADMIN", "TENCENT_APP_ID: 200000001", "TENCENT_APP_ID"},
		{"NoMemoryLimit", "config:", "resources:\n  limits: {memory: null}\nconfig:", "no limit of memory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := renderedWith(m, c, "values.yaml", tt.of(t, chartDir+"/ci/single-values.yaml"))
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			assert.Contains(t, err.Error(), tt.want)
		})
	}
}

func TestTheChartFollowsItsValues(t *testing.T) {
	c, err := loader.LoadDir(chartDir)
	require.NoError(t, err)
	for _, tt := range []struct {
		values, kind string
		network      bool
		config       map[string]string
	}{
		{"single", "StatefulSet", false, map[string]string{
			"ADMINS": "slack:user:U0ADMIN", "DATA_DIR": "/data/meetbot", "GOMEMLIMIT": "400MiB", "HTTP_ADDR": ":8080", "LOG_FORMAT": "json", "OPS_ADDR": ":9090",
			"ENCRYPTION_KEY_FILE":  "/run/secrets/meetbot-key/ENCRYPTION_KEY",
			"SLACK_APP_TOKEN_FILE": "/run/secrets/meetbot/SLACK_APP_TOKEN", "SLACK_BOT_TOKEN_FILE": "/run/secrets/meetbot/SLACK_BOT_TOKEN",
			"SYSTEC_API_KEY_FILE": "/run/secrets/meetbot/SYSTEC_API_KEY", "SYSTEC_API_SECRET_FILE": "/run/secrets/meetbot/SYSTEC_API_SECRET",
		}},
		{"cluster", "Deployment", true, map[string]string{
			"GOMEMLIMIT": "400MiB", "HTTP_ADDR": ":8080", "LOG_FORMAT": "json", "OPS_ADDR": ":9090", "PUBLIC_URL": "https://meetbot.example.com",
			"ENCRYPTION_KEY_FILE":  "/run/secrets/meetbot-key/ENCRYPTION_KEY",
			"SLACK_APP_TOKEN_FILE": "/run/secrets/meetbot/SLACK_APP_TOKEN", "SLACK_BOT_TOKEN_FILE": "/run/secrets/meetbot/SLACK_BOT_TOKEN",
			"NATS_CREDS": "/run/secrets/meetbot/bot.nk", "SSL_CERT_FILE": "/run/secrets/meetbot/ca.crt",
			"NATS_URL": "tls://nats-0.nats.nats.svc:4222,tls://nats-1.nats.nats.svc:4222,tls://nats-2.nats.nats.svc:4222",
		}},
	} {
		t.Run(tt.values, func(t *testing.T) {
			raw, err := os.ReadFile(chartDir + "/ci/" + tt.values + "-values.yaml")
			require.NoError(t, err)
			files, err := render(c, raw)
			require.NoError(t, err)
			assert.Contains(t, files["meetbot/templates/bot.yaml"], "\nkind: "+tt.kind+"\n")
			assert.Equal(t, tt.network, strings.Contains(files["meetbot/templates/network.yaml"], "kind: Ingress\n"))
			if tt.network {
				assert.Contains(t, files["meetbot/templates/network.yaml"], "  name: meetbot-key\n  namespace: meetbot\n")
			}
			_, configMap, ok := strings.Cut(files["meetbot/templates/config.yaml"], "kind: ConfigMap\n")
			require.True(t, ok)
			var config struct{ Data map[string]string }
			require.NoError(t, yaml.Unmarshal([]byte(configMap), &config))
			assert.Equal(t, tt.config, config.Data)
		})
	}
}
