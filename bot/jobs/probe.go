package jobs

import (
	"context"

	"meetbot/bot/jobs/internal/engine"
)

// Cluster is what [ProbeCluster] found.
type Cluster = engine.Cluster

// MinAPILevel is the JetStream API level that a cluster needs: NATS server 2.12.
const MinAPILevel = engine.MinAPILevel

// ProbeCluster looks at the cluster that cfg names, and at the store there if there is
// one. It changes nothing. It returns [ErrWrongKey] if the keys do not fit the store; what
// was found before an error is returned with it.
func ProbeCluster(ctx context.Context, cfg Config) (Cluster, error) {
	cfg = withDefaults(cfg)
	return engine.ProbeCluster(ctx, cfg.engine(), func(get func(context.Context, string) (engine.Entry, error)) error {
		return checkMeta(ctx, cfg, get)
	})
}

// FreeBytes returns what is free for this process on the disk of a directory. New jobs are
// refused below [Config.MinFree].
func FreeBytes(dir string) (uint64, error) { return engine.FreeBytes(dir) }

// Writable returns why this process may not write into a directory; it changes nothing there.
func Writable(dir string) error { return engine.Writable(dir) }
