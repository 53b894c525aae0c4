package ops

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/config"
)

// collector sends spans to an OpenTelemetry collector over HTTP. It is the client of
// OpenTelemetry's own exporter. The client that comes with that links the whole of gRPC
// (https://github.com/open-telemetry/opentelemetry-go/issues/2579), three times as much
// as everything else that traces need.
//
// https://opentelemetry.io/docs/specs/otlp/#otlphttp
type collector struct {
	url    string
	header http.Header
	gzip   bool
	http   *http.Client
	life   context.Context // of requests: what is under way ends when the bot does
	end    context.CancelFunc
}

const (
	maxAnswer   = 64 << 10 // of the collector's that is read
	firstPause  = time.Second
	uploadTries = 4 // the SDK's own limit is 30 s for all of them
)

func newCollector(cfg config.OTEL) (*collector, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{}
	if path := cfg.ExporterOTLPCertificate; path != "" {
		pem, err := readPEM(path)
		roots := x509.NewCertPool()
		if err == nil && !roots.AppendCertsFromPEM(pem) {
			err = errors.New("no certificate in it")
		}
		if err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: %w; set the path of a file with certificates in PEM", err)
		}
		transport.TLSClientConfig.RootCAs = roots
	}
	if cfg.ExporterOTLPClientCertificate != "" {
		cert, certErr := readPEM(cfg.ExporterOTLPClientCertificate)
		key, keyErr := readPEM(cfg.ExporterOTLPClientKey)
		err := errors.Join(certErr, keyErr)
		var pair tls.Certificate
		if err == nil {
			pair, err = tls.X509KeyPair(cert, key)
		}
		if err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, OTEL_EXPORTER_OTLP_CLIENT_KEY: %w; set the paths of a certificate and its key in PEM", err)
		}
		transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	c := &collector{
		url: cfg.TracesURL(), gzip: cfg.ExporterOTLPCompression == "gzip", header: make(http.Header),
		http: kit.HTTPClient(&http.Client{Transport: transport, Timeout: time.Duration(cfg.ExporterOTLPTimeout) * time.Millisecond}),
	}
	for name, value := range cfg.Headers() {
		c.header.Set(name, value)
	}
	c.header.Set("Content-Type", "application/x-protobuf")
	if c.gzip {
		c.header.Set("Content-Encoding", "gzip")
	}
	c.life, c.end = context.WithCancel(context.Background())
	return c, nil
}

// readPEM reads a file, and does not say which in its error: what is set as a path may be
// the secret itself.
func readPEM(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	var p *fs.PathError
	if errors.As(err, &p) {
		return nil, p.Err
	}
	return b, err
}

// Start implements otlptrace.Client.
func (c *collector) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *collector) Stop(context.Context) error {
	c.end()
	return nil
}

// UploadTraces implements otlptrace.Client. It tries again what may pass, until ctx is done.
func (c *collector) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	// Byte for byte what the protocol calls an ExportTraceServiceRequest.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	if c.gzip {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(body) // a buffer takes everything
		_ = w.Close()
		body = b.Bytes()
	}
	try := 0
	return kit.Retry(ctx, kit.Pauses{First: firstPause, Longest: firstPause << uploadTries, Jitter: true}, func(ctx context.Context) (kit.Verdict, error) {
		try++
		after, err := c.post(ctx, body)
		if err == nil || after < 0 || try == uploadTries {
			return kit.Stop, err
		}
		return kit.Again, &chat.RetryAfter{After: after, Err: err}
	}, nil)
}

// post makes one request. If it failed, after says how long to wait at least before it is
// made again; below zero, that it would fail again.
func (c *collector) post(ctx context.Context, body []byte) (after time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return -1, kit.Scrub(err)
	}
	req.Header = c.header.Clone()
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, kit.Scrub(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		if n := rejected(answer); err == nil && n > 0 {
			return -1, fmt.Errorf("the collector refused %d spans", n)
		}
		return 0, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return time.Duration(min(max(seconds, 0), 3600)) * time.Second, errors.New("the collector answered " + statusText(resp.StatusCode))
	}
	// What else it says is not repeated: it may quote what it was sent.
	return -1, errors.New("the collector answered " + statusText(resp.StatusCode))
}

func statusText(code int) string { return strconv.Itoa(code) + " " + http.StatusText(code) }

// rejected reads partial_success.rejected_spans of an ExportTraceServiceResponse.
func rejected(answer []byte) uint64 {
	const partialSuccess, rejectedSpans = 1, 1
	partial, _ := protowire.ConsumeBytes(field(answer, partialSuccess, protowire.BytesType))
	spans, n := protowire.ConsumeVarint(field(partial, rejectedSpans, protowire.VarintType))
	if n < 0 {
		return 0
	}
	return spans
}

// field returns what follows the tag of a message's field; nil if it has none.
func field(message []byte, number protowire.Number, kind protowire.Type) []byte {
	for len(message) > 0 {
		num, typ, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil
		}
		message = message[n:]
		if num == number && typ == kind {
			return message
		}
		if n = protowire.ConsumeFieldValue(num, typ, message); n < 0 {
			return nil
		}
		message = message[n:]
	}
	return nil
}

// ErrCollector is what [CheckTraces] returns if the collector takes no traces.
var ErrCollector = errors.New("no traces delivered")

// CheckTraces asks the collector whether it takes traces, with a request that has none. It
// sends nothing if no collector is configured. An error that does not match [ErrCollector]
// is the configuration's, and [NewTraces] would return it as well.
func CheckTraces(ctx context.Context, cfg config.OTEL) error {
	if cfg.TracesURL() == "" {
		return nil
	}
	c, err := newCollector(cfg)
	if err != nil {
		return err
	}
	defer c.end()
	defer c.http.CloseIdleConnections()
	c.gzip = false
	c.header.Del("Content-Encoding")
	if _, err := c.post(ctx, nil); err != nil {
		return fmt.Errorf("%w: %w", ErrCollector, err)
	}
	return nil
}

// complainEvery is how often it is logged that traces cannot be delivered.
const complainEvery = time.Minute

// complaining logs now and then what an exporter cannot deliver. OpenTelemetry itself would
// write each error to standard error.
type complaining struct {
	sdktrace.SpanExporter
	log *slog.Logger

	mu   sync.Mutex
	said time.Time
	lost int // since
}

func (c *complaining) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		c.complain(err, len(spans))
	}
	return nil
}

func (c *complaining) complain(err error, spans int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost += spans
	if time.Since(c.said) < complainEvery {
		return
	}
	c.log.Warn("traces not delivered; commands are not affected", "spans", c.lost, "err", Scrub(err.Error()))
	c.said, c.lost = time.Now(), 0
}
