package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// healthcheck is `bot healthcheck`, for a container's health check: the image has no
// other program to ask with.
func healthcheck(ctx context.Context, p process) error {
	if err := noArgs(p); err != nil {
		return err
	}
	cfg, err := load(only(p.lookup, "OPS_ADDR"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(cfg.OpsAddr)+"/livez", nil)
	if err != nil {
		return fmt.Errorf("OPS_ADDR: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the bot does not answer on OPS_ADDR: %w", errors.Unwrap(err))
	}
	_ = resp.Body.Close() // nothing is read
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the bot answers %s", resp.Status)
	}
	return nil
}

// reachable is an address to ask, for one to listen on.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}
