package jobs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/jobs/jobstest"
)

const (
	deployedEnv = "JOBS_TEST_NATS_URL"
	credsEnv    = "JOBS_TEST_NATS_CREDS"
)

// deployed is the life of a child that uses the cluster of deploy/nats.
func deployed() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := Open(ctx, Config{
		NATSURL: os.Getenv(deployedEnv), NATSCreds: os.Getenv(credsEnv), Keys: [][]byte{make([]byte, KeySize)},
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	fired := make(chan struct{}, 1)
	go func() {
		ended <- s.Run(ctx, &script{timer: func(context.Context, Timer) error { fired <- struct{}{}; return nil }})
	}()
	if _, err := s.Enqueue(ctx, Job{ID: "x"}); err != nil {
		return err
	}
	for j := (Job{}); !j.State.Finished(); time.Sleep(10 * time.Millisecond) {
		if j, err = s.Get(ctx, "x"); err != nil {
			return err
		}
	}
	rev, err := s.PutDoc(ctx, Doc{Key: []string{"a", "b"}})
	if err != nil {
		return err
	}
	if docs, err := s.Docs(ctx, 0, "a"); err != nil || len(docs) != 1 {
		return fmt.Errorf("%d documents: %w", len(docs), err)
	}
	if err := s.DeleteDoc(ctx, rev, "a", "b"); err != nil {
		return err
	}
	if err := s.SetTimer(ctx, Timer{Key: "t", At: time.Now()}); err != nil {
		return err
	}
	select {
	case <-fired:
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, _, err := s.engine.Load(ctx, kindJob); err != nil {
		return err
	}
	for i := range 100 {
		go func() { _, _ = s.Enqueue(ctx, Job{ID: fmt.Sprint(i), State: Done}) }()
	}
	if _, err := s.Enqueue(ctx, Job{ID: "last", State: Done}); err != nil {
		return err
	}
	stop()
	if err := <-ended; err != nil {
		return err
	}
	return s.Close()
}

// The example for operators works: TLS for clients and between nodes, a user with no
// more rights than the bot needs, and writes that are synced.
func TestDeployedCluster(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("../../deploy/nats/nats.conf")
	require.NoError(t, err)
	dir := t.TempDir()
	authority := newAuthority(t, dir)
	user, err := nkeys.CreateUser()
	require.NoError(t, err)
	public, err := user.PublicKey()
	require.NoError(t, err)
	seed, err := user.Seed()
	require.NoError(t, err)
	creds := filepath.Join(dir, "bot.nk")
	require.NoError(t, os.WriteFile(creds, seed, 0o600))

	config := string(example)
	var routes []string
	for i := range 3 {
		route, err := jobstest.FreeAddress()
		require.NoError(t, err)
		routes = append(routes, route)
		config = strings.Replace(config, fmt.Sprintf("n%d:6222", i+1), route, 1)
	}
	var urls []string
	for i := range 3 {
		name := fmt.Sprintf("n%d", i+1)
		authority.certify(t, filepath.Join(dir, name), name)
		text := strings.NewReplacer(
			"$NODE", name, "$BOT_NKEY", public,
			"0.0.0.0:4222", "127.0.0.1:-1", "0.0.0.0:6222", routes[i],
			"/etc/nats/tls/ca.crt", filepath.Join(dir, "ca.crt"),
			"/etc/nats/tls/node", filepath.Join(dir, name),
			"/data", filepath.Join(dir, "data"+name),
		).Replace(config)
		path := filepath.Join(dir, name+".conf")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		o, err := server.ProcessConfigFile(path)
		require.NoError(t, err)
		o.NoSigs, o.NoLog = true, true
		assert.True(t, o.SyncAlways)
		s, err := server.NewServer(o)
		require.NoError(t, err)
		s.Start()
		defer s.WaitForShutdown()
		defer s.Shutdown()
		require.True(t, s.ReadyForConnections(20*time.Second))
		urls = append(urls, strings.ReplaceAll(s.ClientURL(), "nats://", "tls://"))
	}
	all := strings.Join(urls, ",")

	exe, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, exe, "-test.run=^$")
	child.Env = append(os.Environ(), childEnv+"="+dir, credsEnv+"="+creds,
		deployedEnv+"="+all, "SSL_CERT_FILE="+filepath.Join(dir, "ca.crt"))
	out, err := child.CombinedOutput()
	require.NoError(t, err, "%s", out)

	stranger := exec.CommandContext(ctx, exe, "-test.run=^$")
	stranger.Env = append(os.Environ(), childEnv+"="+dir, deployedEnv+"="+all, "SSL_CERT_FILE="+filepath.Join(dir, "ca.crt"))
	out, err = stranger.CombinedOutput()
	require.Error(t, err, "nobody gets in without the key")
	assert.Contains(t, string(out), "Authorization Violation")
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	writePEM(t, filepath.Join(dir, "ca.crt"), "CERTIFICATE", der)
	return &authority{cert, key}
}

// certify writes path.crt and path.key, for a node with the given name on loopback.
func (a *authority) certify(t *testing.T, path, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	writePEM(t, path+".crt", "CERTIFICATE", der)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	writePEM(t, path+".key", "PRIVATE KEY", private)
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}
