package engine

import (
	"context"
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

// ProbeCluster looks at the cluster that cfg names, and at the records there if there are
// any, which check may read. It changes nothing. What was found before an error is
// returned with it.
func ProbeCluster(ctx context.Context, cfg Config, check Check) (Cluster, error) {
	var c Cluster
	options := []nats.Option{nats.Name("meetbot-probe"), nats.NoReconnect(), nats.Timeout(3 * time.Second)}
	if cfg.Creds != "" {
		option, err := credentials(cfg.Creds)
		if err != nil {
			return c, fmt.Errorf("NATS credentials: %w", err)
		}
		options = append(options, option)
	}
	nc, err := nats.Connect(cfg.URL, options...)
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
	stream, err := js.Stream(ctx, cfg.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("look at stream %s: %w", cfg.Stream, err)
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
	return c, check(getter(cfg, nc, js))
}

// getter reads records without a stream of its own.
func getter(cfg Config, nc *nats.Conn, js jetstream.JetStream) func(context.Context, string) (Entry, error) {
	return (&natsEngine{log: cfg.Log, name: cfg.Stream, prefix: cfg.Stream, attempt: 3 * time.Second, nc: nc, js: js}).Get
}
