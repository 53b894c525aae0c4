package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheTerminalSpeaksThePersonsLanguage(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{name: "NothingSaid", want: "en"},
		{name: "Chinese", env: map[string]string{"LANG": "zh_CN.UTF-8"}, want: "zh-CN"},
		{name: "English", env: map[string]string{"LANG": "en_US.UTF-8"}, want: "en"},
		{name: "TheStrongerVariable", env: map[string]string{"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, want: "en"},
		{name: "EmptySaysNothing", env: map[string]string{"LC_ALL": "", "LC_MESSAGES": "zh_TW"}, want: "zh-CN"},
		{name: "OursBeforeTheTerminals", env: map[string]string{"LOCALE": "en", "LANG": "zh_CN.UTF-8"}, want: "en"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lookup := func(name string) (string, bool) { v, ok := tt.env[name]; return v, ok }
			cfg, err := load(lookup)
			require.NoError(t, err)
			assert.Equal(t, tt.want, consoleConfig(process{lookup: lookup}, cfg, true).Locale)
		})
	}
}
