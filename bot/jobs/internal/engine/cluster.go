package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

// OpenCluster opens the engine on the cluster that cfg names. Nothing there is changed if
// check returns an error.
func OpenCluster(ctx context.Context, cfg Config, check Check) (Engine, error) {
	options := []nats.Option{
		nats.Name("meetbot"), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 250*time.Millisecond), nats.Timeout(3 * time.Second),
		nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(2),
		nats.ReconnectBufSize(-1), // an answer is waited for with a limit; nothing is sent later behind our back
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				cfg.Log.Warn("lost the NATS server", "err", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			cfg.Log.Info("connected to a NATS server again", "server", nc.ConnectedServerName())
		}),
	}
	if cfg.Creds != "" {
		option, err := credentials(cfg.Creds)
		if err != nil {
			return nil, fmt.Errorf("NATS credentials: %w", err)
		}
		options = append(options, option)
	}
	nc, err := nats.Connect(cfg.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("NATS: %w", err)
	}
	e := &natsEngine{
		log: cfg.Log, name: cfg.Stream, replicas: cfg.Replicas, maxBytes: cfg.MaxBytes, queues: cfg.Queues,
		attempt: 600 * time.Millisecond, tellCurrent: cfg.Current, failed: make(chan struct{}),
	}
	if err := e.start(ctx, nc, check); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// credentials reads a credentials file of an operator-mode account, or the seed of an
// nkey.
func credentials(path string) (nats.Option, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if bytes.Contains(content, []byte("-----BEGIN NATS USER JWT-----")) {
		return nats.UserCredentials(path), nil
	}
	return nats.NkeyOptionFromSeed(path)
}
