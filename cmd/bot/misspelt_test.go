package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"meetbot/config"
)

func TestMisspeltVariablesAreTold(t *testing.T) {
	for _, tt := range []struct{ set, want string }{
		{"SLACK_BOT_TOKN=xoxb-canary", "SLACK_BOT_TOKEN"},
		{"SLACK_TOKEN=canary", ""},
		{"SLAK_BOT_TOKEN=canary", "SLACK_BOT_TOKEN"},
		{"SLACK_BOT_TOKEN_FLIE=/x", "SLACK_BOT_TOKEN_FILE"},
		{"slack_bot_token=canary", "SLACK_BOT_TOKEN"},
		{"DISCORD_APP_ID=1", ""},
		{"DISCORD_BOTTOKEN=canary", "DISCORD_BOT_TOKEN"},
		{"TENCENT_SECRETID=canary", "TENCENT_SECRET_ID"},
		{"TENCENT_APP_ID_FILE=/x", "TENCENT_APP_ID"},
		{"SYSTEC_APIKEY=canary", "SYSTEC_API_KEY"},
		{"ENCRYPTON_KEY=canary", "ENCRYPTION_KEY"},
		{"MEET_PROVDER=systec", "MEET_PROVIDER"},
		{"PUBLICURL=https://x", "PUBLIC_URL"},
		{"NATS_CRED=/x", "NATS_CREDS"},
		{"LIVEPUSH_ALOW=console", "LIVEPUSH_ALLOW"},
	} {
		got := misspelt([]string{"HOME=/x", tt.set, "SLACK_BOT_TOKEN=xoxb-1"})
		if assert.Len(t, got, 1, tt.set) {
			assert.Contains(t, got[0].Fix, tt.want, tt.set)
			assert.NotContains(t, got[0].Variable+got[0].Fix, "canary")
		}
	}
	environ := []string{
		"HOME=/x", "PATH=/bin", "LANG=C", "TERM=xterm", "NO_COLOR=1", "HTTPS_PROXY=http://x", "SSL_CERT_FILE=/x", "GOMEMLIMIT=1", "TZ=UTC", "SLACK_TOKEN=",
		"NATS_SERVICE_HOST=10.0.0.1", "NATS_SERVICE_PORT_CLIENT=4222", "NATS_PORT=tcp://10.0.0.1:4222", "NATS_PORT_4222_TCP_ADDR=10.0.0.1",
		"OTEL_SERVICE_NAME=x", "OTEL_TRACES_SAMPLER=always_on", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=a=b", "LOGNAME=a", "USER=b", "ADMIN=x", "NODE=n1",
	}
	for _, v := range config.Variables() {
		environ = append(environ, v.Name+"=x")
		if v.Secret {
			environ = append(environ, v.Name+"_FILE=x")
		}
	}
	assert.Empty(t, misspelt(environ))
}
