package rig

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Cluster is three NATS servers in this process.
type Cluster struct {
	options []*server.Options
	servers []*server.Server
}

// NewCluster starts three servers that keep their data in dir.
func NewCluster(dir string) (_ *Cluster, err error) {
	c := &Cluster{}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	var routes []*url.URL
	for i := range 3 {
		addr, err := freePort()
		if err != nil {
			return nil, err
		}
		_, p, _ := net.SplitHostPort(addr)
		port, _ := strconv.Atoi(p)
		routes = append(routes, &url.URL{Scheme: "nats", Host: addr})
		c.options = append(c.options, &server.Options{
			ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: filepath.Join(dir, fmt.Sprintf("nats%d", i)), SyncAlways: true,
			JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 8 << 30,
			Cluster: server.ClusterOpts{Name: "promise", Host: "127.0.0.1", Port: port},
		})
	}
	c.servers = make([]*server.Server, 3)
	for i, o := range c.options {
		o.Routes = routes
		if err := c.Start(i); err != nil {
			return nil, err
		}
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, s := range c.servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == 3 {
				return c, nil
			}
		}
	}
	return nil, errors.New("the cluster elected no leader")
}

// URL names all three.
func (c *Cluster) URL() string {
	var all []string
	for _, o := range c.options {
		all = append(all, fmt.Sprintf("nats://127.0.0.1:%d", o.Port))
	}
	return strings.Join(all, ",")
}

// Start starts a server where it was.
func (c *Cluster) Start(i int) error {
	o := *c.options[i]
	s, err := server.NewServer(&o)
	if err != nil {
		return err
	}
	c.servers[i] = s
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		return fmt.Errorf("node %d did not start", i)
	}
	c.options[i].Port = s.Addr().(*net.TCPAddr).Port
	return nil
}

// Lose takes a server away. Without a leader named, it is the one that leads the stream.
func (c *Cluster) Lose(stream string) int {
	lost := 0
	for i, s := range c.servers {
		if s.JetStreamIsStreamLeader("$G", stream) {
			lost = i
		}
	}
	c.servers[lost].Shutdown()
	c.servers[lost].WaitForShutdown()
	return lost
}

// Close ends the servers.
func (c *Cluster) Close() {
	for _, s := range c.servers {
		if s != nil {
			s.Shutdown()
		}
	}
	for _, s := range c.servers {
		if s != nil {
			s.WaitForShutdown()
		}
	}
}
