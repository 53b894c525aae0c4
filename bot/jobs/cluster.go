package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

// cluster is the engine on servers that others run.
type cluster struct{ *natsEngine }

func openCluster(ctx context.Context, cfg Config) (*Store, error) {
	if len(cfg.Keys) == 0 {
		return nil, errors.New("a cluster's store needs an encryption key: every process must have the same")
	}
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
	if cfg.NATSCreds != "" {
		option, err := credentials(cfg.NATSCreds)
		if err != nil {
			return nil, fmt.Errorf("NATS credentials: %w", err)
		}
		options = append(options, option)
	}
	nc, err := nats.Connect(cfg.NATSURL, options...)
	if err != nil {
		return nil, fmt.Errorf("NATS: %w", err)
	}
	e := &natsEngine{
		log: cfg.Log, name: cfg.Name, replicas: cfg.Replicas, maxBytes: cfg.MaxBytes,
		attempt: 600 * time.Millisecond, ackWait: 10 * time.Second,
	}
	if err := e.start(ctx, nc); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return newStore(ctx, cfg, cluster{e})
}

// reopen has nothing to do: the client connects again by itself.
func (cluster) reopen(context.Context) error { return nil }

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
