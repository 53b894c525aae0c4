package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Cluster is what [ProbeCluster] found.
type Cluster struct {
	Version  string // of the server that answered
	APILevel int    // of its JetStream
	RTT      time.Duration
	// Stored says that a store is there; the rest is about it.
	Stored   bool
	Replicas int // that it is kept in
	Current  int // of which are reachable and up to date, the leader among them
	Leader   bool
}

// MinAPILevel is the JetStream API level that a cluster needs: NATS server 2.12.
const MinAPILevel = minAPILevel

// ProbeCluster looks at the cluster that cfg names, and at the store there if there is
// one. It changes nothing. It returns [ErrWrongKey] if the keys do not fit the store; what
// was found before an error is returned with it.
func ProbeCluster(ctx context.Context, cfg Config) (Cluster, error) {
	cfg = withDefaults(cfg)
	var c Cluster
	options := []nats.Option{nats.Name("meetbot-probe"), nats.NoReconnect(), nats.Timeout(3 * time.Second)}
	if cfg.NATSCreds != "" {
		option, err := credentials(cfg.NATSCreds)
		if err != nil {
			return c, fmt.Errorf("NATS credentials: %w", err)
		}
		options = append(options, option)
	}
	nc, err := nats.Connect(cfg.NATSURL, options...)
	if err != nil {
		return c, fmt.Errorf("connect: %w", err)
	}
	defer nc.Close()
	c.Version = nc.ConnectedServerVersion()
	if c.RTT, err = nc.RTT(); err != nil {
		return c, fmt.Errorf("connect: %w", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return c, err
	}
	account, err := js.AccountInfo(ctx)
	if err != nil {
		return c, fmt.Errorf("ask for JetStream: %w", err)
	}
	c.APILevel = account.API.Level
	stream, err := js.Stream(ctx, cfg.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("look at stream %s: %w", cfg.Name, err)
	}
	info := stream.CachedInfo()
	c.Stored, c.Replicas = true, info.Config.Replicas
	if info.Cluster == nil { // a server on its own
		c.Leader, c.Current = true, 1
	} else {
		if c.Leader = info.Cluster.Leader != ""; c.Leader {
			c.Current = 1
		}
		for _, r := range info.Cluster.Replicas {
			if r.Current && !r.Offline {
				c.Current++
			}
		}
	}
	return c, probeKey(ctx, cfg, nc, js)
}

// probeKey checks that the keys open the store's own record.
func probeKey(ctx context.Context, cfg Config, nc *nats.Conn, js jetstream.JetStream) error {
	seal, err := newSealer(cfg.Keys)
	if err != nil {
		return err
	}
	e := &natsEngine{log: cfg.Log, name: cfg.Name, prefix: cfg.Name, attempt: 3 * time.Second, nc: nc, js: js}
	record, err := e.get(ctx, metaKey)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the store's own record: %w", err)
	}
	var m meta
	if err := json.Unmarshal(record.body, &m); err != nil {
		return fmt.Errorf("the store's own record: %w", err)
	}
	_, err = seal.open(metaKey, m.Subkey)
	return err
}

// FreeBytes returns what is free for this process on the disk of a directory. New jobs are
// refused below [Config.MinFree].
func FreeBytes(dir string) (uint64, error) { return freeBytes(dir) }
