package jobs

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/jobs/jobstest"
)

func TestProbeTellsHowManyReplicasAreUpToDate(t *testing.T) {
	c, err := jobstest.NewCluster(t.TempDir())
	require.NoError(t, err)
	defer c.Close()
	ctx := t.Context()
	cfg := Config{NATSURL: c.URL(), Keys: [][]byte{[]byte(strings.Repeat("k", KeySize))}}

	found, err := ProbeCluster(t.Context(), cfg)
	require.NoError(t, err)
	assert.False(t, found.Stored, "a look makes nothing")
	assert.GreaterOrEqual(t, found.APILevel, MinAPILevel)

	s, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		found, err := ProbeCluster(ctx, cfg)
		assert.NoError(t, err)
		assert.Equal(t, Cluster{Version: found.Version, APILevel: found.APILevel, RTT: found.RTT, Stored: true, Replicas: 3, Current: 3, Leader: true}, found)
	}, time.Minute, 50*time.Millisecond)

	c.Stop(1)
	require.Eventually(t, func() bool {
		found, err := ProbeCluster(t.Context(), cfg)
		return err == nil && found.Leader && found.Current == 2
	}, 30*time.Second, 50*time.Millisecond)

	cfg.Keys = [][]byte{[]byte(strings.Repeat("x", KeySize))}
	_, err = ProbeCluster(t.Context(), cfg)
	assert.ErrorIs(t, err, ErrWrongKey)
}
