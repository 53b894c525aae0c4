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
	resp, err := askOps(ctx, cfg.OpsAddr, "/livez")
	if err != nil {
		return fmt.Errorf("the bot does not answer on OPS_ADDR: %w", err)
	}
	_ = resp.Body.Close() // nothing is read
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the bot answers %s", resp.Status)
	}
	return nil
}

// askOps asks the bot that runs on this machine, whatever store it uses.
func askOps(ctx context.Context, addr, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(addr)+path, nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, errors.Unwrap(err) // what is around it repeats the address
	}
	return resp, nil
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
