package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"meetbot/bot/jobs"
	"meetbot/bot/ops"
	"meetbot/config"
)

// A store has one owner. What an operator wants of the store of a running bot goes to it
// through a Unix socket beside the store, which only the bot's own user may open.
const (
	adminSocket  = "admin.sock"
	adminPath    = "/admin"
	maxAdminBody = 4 << 10
	adminSlots   = 4 // questions answered at once
	// errorTrailer says at the end of an answer what was wrong with it.
	errorTrailer = "Bot-Error"
	// maxSocketPath is how long a socket's path may be: 104 bytes on some systems.
	maxSocketPath = 100
)

// question is what an operator asks of a store.
type question struct {
	Op  string `json:"op"`            // health, jobs, job, settle, drop, audit, settings, export, backup, workspaces, revoke
	Job string `json:"job,omitempty"` // of job and settle; of drop, the record's name; of revoke, the workspace's ID
	As  string `json:"as,omitempty"`  // of settle
	All bool   `json:"all,omitempty"` // of jobs: also those that nobody has to look at; of revoke: the saved destinations too
}

// admin answers questions, with lines of JSON.
type admin struct {
	store  *jobs.Store
	health func() ops.Readiness // nil where no bot runs
	log    *slog.Logger
	// settings are those of the platforms, for what has to be asked of one.
	settings func() (config.Config, error)
}

func (a admin) answer(ctx context.Context, q question, w io.Writer) error {
	switch q.Op {
	case "health":
		if a.health == nil {
			return errors.New("no bot is running")
		}
		return json.NewEncoder(w).Encode(a.health())
	case "jobs":
		return a.listJobs(ctx, q.All, w)
	case "job":
		return a.showJob(ctx, q.Job, w)
	case "settle":
		return a.settleJob(ctx, q.Job, q.As, w)
	case "drop":
		return a.dropRecord(ctx, q.Job, w)
	case "workspaces":
		return a.listWorkspaces(ctx, w)
	case "revoke":
		return a.revokeWorkspace(ctx, q.Job, q.All, w)
	case "audit":
		return writeAudit(ctx, a.store, w)
	case "settings":
		return writeSettings(ctx, a.store, w)
	case "export":
		return a.store.Export(ctx, w)
	case "backup":
		return a.store.Backup(ctx, w)
	}
	return fmt.Errorf("the running bot does not know %q: it has another version", q.Op)
}

// addAdmin serves the socket. Without one the bot works as well, so a directory that takes
// no sockets is a warning.
func (g *group) addAdmin(dir string, a admin) {
	ln, err := listenAdmin(dir)
	if err != nil {
		g.log.Warn("no admin socket: bot jobs, audit, export and doctor cannot ask this process", "err", err)
		return
	}
	slots := make(chan struct{}, adminSlots)
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+adminPath, func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			http.Error(w, "too many questions at once; ask again", http.StatusServiceUnavailable)
			return
		}
		var q question
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAdminBody))
		if d.Decode(&q) != nil {
			http.Error(w, "not a question", http.StatusBadRequest)
			return
		}
		out := &started{ResponseWriter: w}
		w.Header().Set("Trailer", errorTrailer)
		if err := a.answer(r.Context(), q, out); err != nil {
			if out.yes {
				w.Header().Set(errorTrailer, url.QueryEscape(err.Error()))
				return
			}
			w.Header().Del("Trailer")
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		}
	})
	s := &http.Server{
		Handler: mux, ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	g.add("admin socket", func(ctx context.Context) error {
		served := make(chan error, 1)
		go func() { served <- s.Serve(ln) }()
		defer func() { _ = os.Remove(filepath.Join(dir, adminSocket)) }() // a stale one is replaced at the next start
		select {
		case err := <-served:
			return err
		case <-ctx.Done():
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if s.Shutdown(ctx) != nil {
			return s.Close()
		}
		return nil
	})
	g.outlive()
}

// started notes whether anything was written.
type started struct {
	http.ResponseWriter
	yes bool
}

func (s *started) Write(b []byte) (int, error) {
	s.yes = true
	return s.ResponseWriter.Write(b)
}

// listenAdmin makes the socket in a directory that nobody else can enter, and moves it to
// its place when its mode is right: there is no moment at which somebody else may open it.
// The store's lock is held, so a socket that is there already is a dead process's.
func listenAdmin(dir string) (net.Listener, error) {
	short, done, err := shortened(dir)
	if err != nil {
		return nil, err
	}
	defer done()
	private, err := os.MkdirTemp(short, ".admin-") // 0700
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(private) }()
	made := filepath.Join(private, "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false) // it is somewhere else by then
	err = os.Chmod(made, 0o600)
	if err == nil {
		err = os.Rename(made, filepath.Join(short, adminSocket))
	}
	if err != nil {
		return nil, errors.Join(err, ln.Close(), os.Remove(made))
	}
	return ln, nil
}

// shortened returns dir, or another name for it that leaves room for a socket's path.
func shortened(dir string) (string, func(), error) {
	if len(dir)+len("/.admin-0123456789/s") <= maxSocketPath {
		return dir, func() {}, nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d", f.Fd()), func() { _ = f.Close() }, nil
}

// errNotRunning says that no bot answers on the socket.
var errNotRunning = errors.New("no bot is running on this DATA_DIR")

// askRunning asks the bot that runs on dir, and copies its answer. It returns
// [errNotRunning] if there is none.
func askRunning(ctx context.Context, dir string, q question, out io.Writer) error {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			short, done, err := shortened(dir)
			if err != nil {
				return nil, errNotRunning
			}
			defer done()
			var d net.Dialer
			conn, err := d.DialContext(ctx, "unix", filepath.Join(short, adminSocket))
			if errors.Is(err, os.ErrPermission) {
				return nil, fmt.Errorf("%s: %w: run it as the bot's own user", adminSocket, os.ErrPermission)
			}
			if err != nil && ctx.Err() == nil {
				return nil, errNotRunning
			}
			return conn, err
		},
	}}
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://bot"+adminPath, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return errors.Unwrap(err) // without the URL that it does not have
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAdminBody)) // what came says enough
		return errors.New(strings.TrimSpace(string(text)))
	}
	if _, err := io.Copy(out, resp.Body); err != nil {
		return fmt.Errorf("the running bot's answer broke off: %w", err)
	}
	if text, err := url.QueryUnescape(resp.Trailer.Get(errorTrailer)); err == nil && text != "" {
		return errors.New(text)
	}
	return nil
}

// storeVariables are all that an operator's commands read: they work while something
// else is configured wrongly.
var storeVariables = []string{
	"DATA_DIR", "NATS_URL", "NATS_CREDS", "NATS_PLAINTEXT", "ENCRYPTION_KEY", "ENCRYPTION_KEY_FILE", "RETENTION", "ERASE_AFTER",
}

// show shows the answer to a question: as it comes, or as print makes it readable.
func show(ctx context.Context, p process, q question, asJSON bool, print func(io.Writer, io.Reader, question) error) error {
	if asJSON {
		return ask(ctx, p, q, p.stdout)
	}
	var lines bytes.Buffer
	if err := ask(ctx, p, q, &lines); err != nil {
		return err
	}
	return print(p.stdout, &lines, q)
}

// ask answers a question about the configured store: the running bot does, or, if none
// runs, this process opens the store.
func ask(ctx context.Context, p process, q question, out io.Writer) error {
	cfg, err := load(only(p.lookup, storeVariables...))
	if err != nil {
		return err
	}
	if cfg.NATS.URL == "" {
		if err := askRunning(ctx, cfg.DataDir, q, out); !errors.Is(err, errNotRunning) {
			return err
		}
	}
	looks := q.Op != "settle" && q.Op != "drop" && q.Op != "revoke"
	store, err := openExisting(ctx, p, cfg, looks)
	if err != nil {
		return err
	}
	return errors.Join(admin{store: store, log: operatorLog(p), settings: func() (config.Config, error) { return slackSettings(p) }}.answer(ctx, q, out), store.Close())
}

// operatorLog is for commands whose output is for people: warnings only.
func operatorLog(p process) *slog.Logger {
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: readable}))
}

// storeMark is the file by which a directory is known to have a store.
const storeMark = "store.json"

// openExisting opens the store that is configured, and makes none. Who only looks changes
// nothing.
func openExisting(ctx context.Context, p process, cfg config.Config, readOnly bool) (*jobs.Store, error) {
	if cfg.NATS.URL == "" {
		if _, err := os.Stat(filepath.Join(cfg.DataDir, storeMark)); err != nil {
			return nil, fmt.Errorf("DATA_DIR %s has no store; set the directory that the bot runs with", cfg.DataDir)
		}
	} else {
		found, err := jobs.ProbeCluster(ctx, storeConfig(cfg, operatorLog(p)))
		if err != nil {
			return nil, fmt.Errorf("NATS_URL: %w", err)
		}
		if !found.Stored {
			return nil, errors.New("NATS_URL: the cluster has no store; start the bot once")
		}
	}
	c := storeConfig(cfg, operatorLog(p))
	c.ReadOnly = readOnly
	return openStore(ctx, c)
}

// storeConfig is what the store is opened with.
func storeConfig(cfg config.Config, log *slog.Logger) jobs.Config {
	keys := make([][]byte, len(cfg.EncryptionKey))
	for i, k := range cfg.EncryptionKey {
		keys[i] = []byte(k.Reveal())
	}
	return jobs.Config{
		Dir: cfg.DataDir, NATSURL: cfg.NATS.URL, NATSCreds: cfg.NATS.Creds, Keys: keys,
		Retention: cfg.Retention, EraseAfter: cfg.EraseAfter, Grace: cfg.ShutdownGrace, Log: log,
	}
}

// linesOf reads an answer that is one value in JSON a line.
func linesOf[T any](r io.Reader) (all []T, err error) {
	for d := json.NewDecoder(r); ; {
		var line T
		switch err := d.Decode(&line); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return all, err
		}
		all = append(all, line)
	}
}
