package config

import (
	"errors"
	"net/url"
	"strings"

	"meetbot/config/secret"
)

// OTEL says where traces go. It has the standard variables of an OTLP exporter over HTTP;
// each also under its name for traces alone, OTEL_EXPORTER_OTLP_TRACES_…, which wins. The
// rest of the standard's (sampling, batching, resource) is read by OpenTelemetry itself.
//
// https://opentelemetry.io/docs/specs/otel/protocol/exporter/
type OTEL struct {
	ExporterOTLPEndpoint          string        `split_words:"true" desc:"URL of an OpenTelemetry collector that takes traces over HTTP, such as http://otel-collector:4318; unset: no traces" check:"collector"`
	ExporterOTLPTracesEndpoint    string        `split_words:"true" desc:"the same with its path, if that is not /v1/traces" check:"collector"`
	ExporterOTLPHeaders           secret.String `split_words:"true" desc:"headers that the bot sends to the collector: api-key=…,x-tenant=…" check:"headers" specific:"OTEL_EXPORTER_OTLP_TRACES_HEADERS"`
	ExporterOTLPProtocol          string        `split_words:"true" desc:"http/protobuf, the only protocol" oneof:"http/protobuf" specific:"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"`
	ExporterOTLPCompression       string        `split_words:"true" default:"none" desc:"compression: gzip or none" oneof:"gzip none" specific:"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"`
	ExporterOTLPTimeout           int           `split_words:"true" default:"10000" desc:"time limit of one request to the collector, in milliseconds" min:"1" specific:"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"`
	ExporterOTLPCertificate       string        `split_words:"true" desc:"path of the CA certificates (PEM) that the collector's certificate must come from" specific:"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"`
	ExporterOTLPClientCertificate string        `split_words:"true" desc:"path of the client certificate (PEM) that the bot shows to the collector" specific:"OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE"`
	ExporterOTLPClientKey         string        `split_words:"true" desc:"path of the client certificate's key (PEM)" specific:"OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"`
	SDKDisabled                   string        `split_words:"true" desc:"true turns traces off"`
}

// TracesURL is where traces are sent; empty if they are not.
func (o OTEL) TracesURL() string {
	switch {
	case strings.EqualFold(o.SDKDisabled, "true"):
		return ""
	case o.ExporterOTLPTracesEndpoint != "":
		return o.ExporterOTLPTracesEndpoint
	case o.ExporterOTLPEndpoint != "":
		return strings.TrimRight(o.ExporterOTLPEndpoint, "/") + "/v1/traces"
	}
	return ""
}

// Headers are what is sent with traces.
func (o OTEL) Headers() map[string]string {
	headers, _ := parseHeaders(o.ExporterOTLPHeaders.Reveal()) // checked when it was loaded
	return headers
}

// parseHeaders reads pairs in the format of W3C Baggage without properties: commas
// between them, values percent-encoded.
func parseHeaders(v string) (map[string]string, error) {
	headers := make(map[string]string)
	for pair := range strings.SplitSeq(v, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || err != nil || !headerName(name) || strings.ContainsFunc(value, control) {
			return nil, errors.New("use NAME=VALUE,NAME=VALUE with percent-encoded values")
		}
		headers[name] = value
	}
	return headers, nil
}

func headerName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// checkCollector accepts http as well: a collector is mostly a neighbour, and traces have
// nothing secret in them.
func checkCollector(v string) error {
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("use a full URL such as http://otel-collector:4318")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("use a URL without a user name, ? or #; credentials go into OTEL_EXPORTER_OTLP_HEADERS")
	}
	return nil
}
