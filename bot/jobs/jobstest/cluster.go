// Package jobstest runs, for tests and measurements, a NATS cluster in the caller's
// process that a store can be opened on.
package jobstest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// Cluster is three NATS servers in this process, on the loopback interface.
type Cluster struct {
	dir      string
	accounts []string
	options  []*server.Options
	servers  []*server.Server
	wires    []ends // between the servers, of [NewSplittable]
}

// NewCluster starts three servers that keep their data in dir. With accounts, each of them
// has streams of its own, and whoever connects needs its [Cluster.Credentials].
func NewCluster(dir string, accounts ...string) (*Cluster, error) {
	return newCluster(dir, false, accounts)
}

// NewSplittable is [NewCluster] of which one server can be cut off from the others.
func NewSplittable(dir string) (*Cluster, error) { return newCluster(dir, true, nil) }

// tries is how often a cluster is begun anew, as another program may take a port first.
const tries = 3

func newCluster(dir string, splittable bool, accounts []string) (c *Cluster, err error) {
	for i := range tries {
		c = &Cluster{dir: filepath.Join(dir, fmt.Sprint("cluster", i)), accounts: accounts, servers: make([]*server.Server, 3)}
		if err = c.begin(splittable); err == nil {
			return c, nil
		}
		c.Close()
	}
	return nil, err
}

func (c *Cluster) begin(splittable bool) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	config, err := c.authorize()
	if err != nil {
		return err
	}
	var routes []*url.URL
	for i := range c.servers {
		client, err := freePort()
		if err != nil {
			return err
		}
		route, err := freePort()
		if err != nil {
			return err
		}
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", route)})
		o := &server.Options{
			ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: client, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: filepath.Join(c.dir, fmt.Sprintf("nats%d", i)), SyncAlways: true,
			JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 64 << 30,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: route},
		}
		if config != "" {
			if err := o.ProcessConfigString(config); err != nil {
				return err
			}
		}
		c.options = append(c.options, o)
	}
	for i, o := range c.options {
		o.Routes = routes
		if splittable {
			o.Cluster.Advertise = "127.0.0.1:1" // nobody is to find a way around the wires
			if o.Routes, err = c.between(i, routes); err != nil {
				return err
			}
		}
		if err := c.Start(i); err != nil {
			return err
		}
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, s := range c.servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == len(c.servers) {
				return nil
			}
		}
	}
	return errors.New("the cluster elected no leader")
}

// authorize makes the accounts' keys and the configuration that lets them in.
func (c *Cluster) authorize() (config string, err error) {
	if len(c.accounts) == 0 {
		return "", nil
	}
	var b strings.Builder
	b.WriteString("accounts {\n")
	for _, name := range c.accounts {
		user, err := nkeys.CreateUser()
		if err != nil {
			return "", err
		}
		public, err := user.PublicKey()
		if err != nil {
			return "", err
		}
		seed, err := user.Seed()
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(c.Credentials(name), seed, 0o600); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "  %s { jetstream: enabled, users: [{ nkey: %s }] }\n", name, public)
	}
	b.WriteString("}\n")
	return b.String(), nil
}

// Credentials is the path of an account's key.
func (c *Cluster) Credentials(account string) string { return filepath.Join(c.dir, account+".nk") }

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
	return nil
}

// Leader returns the server that leads a stream, of the first account if there are any;
// -1 while none does.
func (c *Cluster) Leader(stream string) int {
	account := "$G"
	if len(c.accounts) > 0 {
		account = c.accounts[0]
	}
	for i, s := range c.servers {
		if s.JetStreamIsStreamLeader(account, stream) {
			return i
		}
	}
	return -1
}

// Stop takes a server away.
func (c *Cluster) Stop(i int) {
	c.servers[i].Shutdown()
	c.servers[i].WaitForShutdown()
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
	for _, w := range c.wires {
		w.set(false)
		_ = w.listener.Close()
	}
}

// FreeAddress returns an address on the loopback interface that nobody listens on, with a
// port that no system gives to those who connect or ask for any: whoever is stopped and
// started finds it free again.
func FreeAddress() (string, error) {
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.N(10_000)))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", errors.New("no port is free")
}

func freePort() (int, error) {
	address, err := FreeAddress()
	if err != nil {
		return 0, err
	}
	_, port, _ := strings.Cut(address, ":")
	return strconv.Atoi(port)
}
