package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"meetbot/bot/adapters/keypage"
	"meetbot/bot/adapters/kit"
	"meetbot/bot/jobs"
	"meetbot/config"
)

// What free space is enough: jobs refuses new work below the first.
const (
	leastFree = 64 << 20
	someFree  = 1 << 30
)

// store looks at the directory of the embedded engine.
func (d *doctor) store(context.Context) []finding {
	if d.cfg.NATS.URL != "" {
		return nil // see engine
	}
	if !d.cfg.Chat() && !d.cfg.IsSet("DATA_DIR") {
		return []finding{noted("the console keeps nothing: its store is temporary")}
	}
	dir := d.cfg.DataDir
	fix := directoryFix(dir)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		parent := filepath.Dir(filepath.Clean(dir))
		if err := jobs.Writable(parent); err != nil {
			return []finding{fault("DATA_DIR does not exist, and the bot cannot make it: "+d.text(err), fix)}
		}
		return []finding{ok("DATA_DIR does not exist yet; the bot makes it at its first start")}
	case err != nil:
		return []finding{fault("the bot cannot read DATA_DIR: "+d.text(err), fix)}
	case !info.IsDir():
		return []finding{fault("DATA_DIR is not a directory", fix)}
	}
	var all []finding
	if err := jobs.Writable(dir); err != nil {
		all = append(all, fault("the bot cannot write to DATA_DIR: "+d.text(err), fix))
	} else {
		all = append(all, ok("the bot can write to DATA_DIR"))
	}
	all = append(all, d.space(dir))
	all = append(all, d.modes(dir, info)...)
	_, err = os.Stat(filepath.Join(dir, "key"))
	if d.cfg.Chat() && err == nil && d.cfg.EncryptionKey == nil {
		all = append(all, warn("the encryption key is beside the store: a backup of DATA_DIR holds both and protects nothing",
			"move the content of DATA_DIR/key to where you keep secrets, and set ENCRYPTION_KEY_FILE"))
	}
	return all
}

func (d *doctor) space(dir string) finding {
	free, err := jobs.FreeBytes(dir)
	says := fmt.Sprintf("%d MiB are free on DATA_DIR's disk", free>>20)
	switch {
	case err != nil:
		return warn("the free space on DATA_DIR's disk is unknown: "+d.text(err), "look at it with df")
	case free < leastFree:
		return fault(says+", so the bot refuses new commands", "free at least 1 GiB")
	case free < someFree:
		return warn(says, "free some: below 64 MiB the bot refuses new commands")
	}
	return ok("%s", says)
}

// modes finds what others on this machine may read or change.
func (d *doctor) modes(dir string, info fs.FileInfo) []finding {
	var all []finding
	if info.Mode().Perm()&0o022 != 0 {
		all = append(all, fault("other users can write to DATA_DIR", "run chmod go-w on it"))
	} else if info.Mode().Perm()&0o055 != 0 {
		all = append(all, warn("other users can look into DATA_DIR", "run chmod 700 on it"))
	}
	for _, name := range []string{"key", storeMark} {
		if f, err := os.Stat(filepath.Join(dir, name)); err == nil && f.Mode().Perm()&0o077 != 0 {
			all = append(all, fault(fmt.Sprintf("other users can read %s in DATA_DIR", name), "run chmod 600 on it"))
		}
	}
	for _, name := range d.secretFiles() {
		path, _ := d.lookup(name)
		if f, err := os.Stat(path); err == nil && f.Mode().Perm()&0o007 != 0 {
			all = append(all, warn("every user of this machine can read the file that "+name+" names", "run chmod o= on it"))
		}
	}
	return all
}

// secretFiles are the variables that name a file with a secret.
func (d *doctor) secretFiles() []string {
	var set []string
	for _, name := range secretVariables() {
		if path, _ := d.lookup(name + "_FILE"); path != "" {
			set = append(set, name+"_FILE")
		}
	}
	if d.cfg.NATS.Creds != "" {
		set = append(set, "NATS_CREDS")
	}
	return set
}

// engine opens the store if nobody has it open, and looks at the cluster if there is one.
func (d *doctor) engine(ctx context.Context) []finding {
	if d.cfg.NATS.URL != "" {
		return d.cluster(ctx)
	}
	if d.running || !d.cfg.Chat() && !d.cfg.IsSet("DATA_DIR") {
		return nil // the running bot has told; the console's store is temporary
	}
	if _, err := os.Stat(filepath.Join(d.cfg.DataDir, storeMark)); err != nil {
		return []finding{noted("there is no store yet; the bot makes it at its first start")}
	}
	c := storeConfig(d.cfg, silentLog())
	c.ReadOnly = true
	store, err := jobs.Open(ctx, c)
	switch {
	case errors.Is(err, jobs.ErrInUse):
		return []finding{fault("another process uses DATA_DIR and has no admin socket", "find out which one, and stop it: a store is one process's")}
	case errors.Is(err, jobs.ErrWrongKey):
		return []finding{fault("the store was written with another key", "set ENCRYPTION_KEY to the key that wrote it; of several, the newest first")}
	case errors.Is(err, jobs.ErrDamaged):
		return []finding{fault("the bot cannot open the store: "+d.text(err), "restore a backup, or save what is still readable with bot export --salvage and import that into an empty DATA_DIR")}
	case err != nil && diskFull(d.cfg.DataDir):
		return []finding{fault("the bot cannot open the store: "+d.text(err), "free some space on DATA_DIR's disk")}
	case errors.As(err, new(syscall.Errno)):
		return []finding{fault("the bot cannot open the store: "+d.text(err), directoryFix(d.cfg.DataDir))}
	case err != nil:
		return []finding{fault("the bot cannot open the store: "+d.text(err), "look it up under “It does not start” in docs/operating.md")}
	}
	defer func() { _ = store.Close() }() // nothing was written
	return []finding{d.readStore(ctx, store)}
}

// readStore reads every record.
func (d *doctor) readStore(ctx context.Context, store *jobs.Store) finding {
	began := time.Now()
	bad, err := store.Unreadable(ctx, 0)
	switch {
	case err != nil:
		return fault("the store is damaged: "+d.text(err), "restore a backup, or save what is still readable with bot export --salvage and import that into an empty DATA_DIR")
	case len(bad) > 0:
		return fault(fmt.Sprintf("the bot cannot read %s", several(len(bad), "record")), "list them with bot jobs, and drop each with bot jobs RECORD --drop")
	}
	return ok("the bot can read every record of the store (%v)", time.Since(began).Round(100*time.Microsecond))
}

func (d *doctor) cluster(ctx context.Context) []finding {
	c, err := jobs.ProbeCluster(ctx, storeConfig(d.cfg, silentLog()))
	var all []finding
	if c.Version != "" {
		all = append(all, ok("NATS server %s answers in %v", c.Version, c.RTT.Round(10*time.Microsecond)))
	}
	if c.APILevel > 0 && c.APILevel < jobs.MinAPILevel {
		all = append(all, fault(fmt.Sprintf("the JetStream API level is %d; the bot needs %d", c.APILevel, jobs.MinAPILevel), "upgrade the NATS servers to 2.12 or newer"))
	}
	switch {
	case errors.Is(err, jobs.ErrWrongKey):
		return append(all, fault("the store on the cluster was written with another key", "set ENCRYPTION_KEY to the key that wrote it; of several, the newest first"))
	case err != nil && c.Version == "":
		return append(all, fault("the bot reaches no NATS server: "+d.text(err), "check NATS_URL and NATS_CREDS, and that the servers run"))
	case err != nil:
		return append(all, fault("the cluster does not answer: "+d.text(err), "check that JetStream is on for the account of NATS_CREDS, and that a majority of the servers run"))
	case !c.Stored:
		return append(all, noted("the cluster has no store yet; the bot makes it at its first start"))
	case !c.Leader:
		all = append(all, fault("the store has no leader, so the bot can write nothing", "start the servers that are down: a majority has to run"))
	case c.Current < c.Replicas:
		all = append(all, fault(fmt.Sprintf("%d of %d replicas of the store are up to date", c.Current, c.Replicas), "start the server that is down, before another one fails"))
	case c.Replicas < 3:
		all = append(all, warn(fmt.Sprintf("the store has %d replica: it is lost with that server's disk", c.Replicas), "run three NATS servers as one cluster"))
	default:
		all = append(all, ok("all %d replicas of the store are up to date", c.Replicas))
	}
	return all
}

// addresses tries the ports that the bot will listen on.
func (d *doctor) addresses(ctx context.Context) []finding {
	var all []finding
	if !d.cfg.Chat() && !d.cfg.NeedsHTTP() && !d.cfg.IsSet("OPS_ADDR") {
		return nil
	}
	if host, _, err := net.SplitHostPort(d.cfg.OpsAddr); err == nil {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			all = append(all, noted("OPS_ADDR listens on every network; let only your monitoring in"))
		}
	}
	if d.running && d.cfg.PublicURL != "" {
		all = append(all, d.publicURL(ctx))
	}
	if d.running || d.cfg.NATS.URL != "" { // then the ports may be the running bot's
		return all
	}
	try := []struct{ name, addr string }{{"OPS_ADDR", d.cfg.OpsAddr}}
	if d.cfg.NeedsHTTP() {
		try = append(try, struct{ name, addr string }{"HTTP_ADDR", d.cfg.HTTPAddr})
	}
	for _, t := range try {
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "tcp", t.addr)
		if err != nil {
			var op *net.OpError
			if errors.As(err, &op) {
				err = op.Err
			}
			all = append(all, fault("the bot cannot listen on "+t.name+": "+d.text(err), "set a free address"))
			continue
		}
		_ = ln.Close() // it was only tried
		all = append(all, ok("%s is free", t.name))
	}
	return all
}

// publicURL fetches a key-entry page that is none, the way people reach it.
func (d *doctor) publicURL(ctx context.Context) finding {
	const fix = "let the reverse proxy forward to HTTP_ADDR; if people reach the address and only this machine does not, ignore this"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(d.cfg.PublicURL, "/")+keypage.Path+"doctor", nil)
	if err != nil {
		return fault("PUBLIC_URL is not a valid address: "+d.text(err), "write it as https://HOST")
	}
	resp, err := d.client("PUBLIC_URL").Do(req)
	if err != nil {
		return warn("this machine does not reach PUBLIC_URL: "+d.text(kit.Scrub(err)), fix)
	}
	_ = resp.Body.Close() // only its head is looked at
	// The page forbids to be kept, whatever it has to say.
	if resp.StatusCode >= 500 || resp.Header.Get("Cache-Control") != "no-store" {
		return warn(fmt.Sprintf("something other than the key-entry page answers under PUBLIC_URL, with status %d", resp.StatusCode), fix)
	}
	return ok("the key-entry page answers under PUBLIC_URL")
}

// proxyVariables are what Go's HTTP client reads, the first that is set counting.
var proxyVariables = []string{"HTTPS_PROXY", "https_proxy"}

// proxy tries to reach the outbound proxy, through which everything goes.
func (d *doctor) proxy(ctx context.Context) []finding {
	for _, name := range proxyVariables {
		value, _ := d.lookup(name)
		if value == "" {
			continue
		}
		u, err := url.Parse(value)
		if err != nil || u.Host == "" { // as Go does, for "proxy:3128"
			u, err = url.Parse("http://" + value)
		}
		if err != nil || u.Hostname() == "" {
			return []finding{fault(name+" is not the address of a proxy", "write it as http://HOST:PORT")}
		}
		ports := map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}
		port := u.Port()
		if port == "" {
			port = ports[u.Scheme]
		}
		if ports[u.Scheme] == "" {
			return []finding{fault(name+" has a scheme that the bot does not support", "use http, https or socks5")}
		}
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
		if err != nil {
			var op *net.OpError
			if errors.As(err, &op) {
				err = op.Err
			}
			return []finding{fault("this machine does not reach the outbound proxy of "+name+": "+d.text(err), "check its host and port, or unset it")}
		}
		_ = conn.Close() // it was only tried
		return []finding{ok("this machine reaches the outbound proxy of %s; the other checks went through it", name)}
	}
	return []finding{noted("no outbound proxy is set (HTTPS_PROXY)")}
}

func secretVariables() []string {
	var names []string
	for _, v := range config.Variables() {
		if v.Secret {
			names = append(names, v.Name)
		}
	}
	return names
}
