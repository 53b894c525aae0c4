package jobs

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A key that others may read, or may have planted, is refused, as ssh does. A configured key
// is the operator's own business.
func TestAKeyThatIsNotTheBotsAloneIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		dir, file os.FileMode
		keys      [][]byte
		refused   bool
	}{
		{"AsItIsMade", 0o700, 0o600, nil, false},
		{"ReadOnly", 0o700, 0o400, nil, false},
		{"AGroupsDirectory", 0o770, 0o600, nil, false},
		{"Planted", 0o777, 0o644, nil, true},
		{"OpenDirectory", 0o777, 0o600, nil, true},
		{"ReadableByAll", 0o700, 0o644, nil, true},
		{"ReadableByTheGroup", 0o700, 0o640, nil, true},
		{"Configured", 0o777, 0o644, [][]byte{testKey(2)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			require.NoError(t, os.Mkdir(dir, 0o700))
			planted := base64.StdEncoding.EncodeToString(testKey(1))
			require.NoError(t, os.WriteFile(filepath.Join(dir, keyFile), []byte(planted), 0o600))
			require.NoError(t, os.Chmod(filepath.Join(dir, keyFile), tt.file))
			require.NoError(t, os.Chmod(dir, tt.dir))
			s, err := openDir(t, Config{Dir: dir, Keys: tt.keys})
			if tt.refused {
				require.ErrorIs(t, err, ErrOpenToOthers)
				assert.ErrorContains(t, err, "chmod")
				assert.NotContains(t, err.Error(), planted)
				_, err := os.Stat(filepath.Join(dir, storeFile))
				assert.ErrorIs(t, err, os.ErrNotExist, "nothing was made")
				return
			}
			require.NoError(t, err)
			require.NoError(t, s.Close())
		})
	}
}
