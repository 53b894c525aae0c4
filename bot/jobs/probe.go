package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

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
		seal, err := newSealer(cfg.Keys)
		if err != nil {
			return err
		}
		record, err := get(ctx, metaKey)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the store's own record: %w", err)
		}
		var m meta
		if err := json.Unmarshal(record.Body, &m); err != nil {
			return fmt.Errorf("the store's own record: %w", err)
		}
		_, err = seal.open(metaKey, m.Subkey)
		return err
	})
}

// FreeBytes returns what is free for this process on the disk of a directory. New jobs are
// refused below [Config.MinFree].
func FreeBytes(dir string) (uint64, error) { return engine.FreeBytes(dir) }
