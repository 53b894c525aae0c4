package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// Nothing looks from time to time whether tables are to be merged: each merge has to begin the next.
func TestTablesAreMergedByThemselves(t *testing.T) {
	t.Parallel()
	p := openOn(t, t.TempDir(), vfs.Default, Config{})
	defer func() { require.NoError(t, p.Close()) }()
	db := p.in.Load().db
	body := make([]byte, 1<<10)
	for i := range 40 { // tables that overlap, which are to be merged from four on
		for k := range 4 {
			_, err := p.Put(t.Context(), JoinKey("job", fmt.Sprint(i), fmt.Sprint(k)), body, 0, 0, false)
			require.NoError(t, err)
		}
		require.NoError(t, db.Flush())
	}
	require.Eventually(t, func() bool {
		m := db.Metrics()
		return m.Compact.Count > 0 && m.Compact.NumInProgress == 0 && m.Levels[0].Sublevels < 4
	}, 30*time.Second, 10*time.Millisecond)
}
