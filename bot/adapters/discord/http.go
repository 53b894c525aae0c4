package discord

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/signed"
)

const (
	headerSignature = "X-Signature-Ed25519"
	headerTimestamp = "X-Signature-Timestamp"
)

// Path is where Discord sends interactions.
const Path = "/discord/interactions"

// scheme is how Discord signs requests: over the raw body with the application's key, at most
// five minutes ago or ahead.
//
// https://docs.discord.com/developers/interactions/overview#setting-up-an-endpoint-validating-security-request-headers
func scheme(key ed25519.PublicKey) signed.Scheme {
	return signed.Scheme{Sent: signedAt, Old: maxAge, Ahead: maxAge, Valid: func(r *http.Request, body []byte) bool {
		return signedBy(key, r.Header, body)
	}}
}

// signedAt reads when a request was signed, if it has something that looks like a signature.
func signedAt(h http.Header) (time.Time, bool) {
	seconds, err := strconv.ParseInt(h.Get(headerTimestamp), 10, 64)
	return time.Unix(seconds, 0), err == nil && len(h.Get(headerSignature)) == hex.EncodedLen(ed25519.SignatureSize)
}

func signedBy(key ed25519.PublicKey, h http.Header, body []byte) bool {
	timestamp := h.Get(headerTimestamp)
	signature, err := hex.DecodeString(h.Get(headerSignature))
	if err != nil || len(key) != ed25519.PublicKeySize || len(signature) != ed25519.SignatureSize {
		return false
	}
	signed := make([]byte, 0, len(timestamp)+len(body))
	return ed25519.Verify(key, append(append(signed, timestamp...), body...), signature)
}

// Endpoint implements [kit.Receiver].
func (a *Adapter) Endpoint() (string, http.Handler) {
	if a.key == nil {
		return "", nil
	}
	return "/discord/", a.Handler()
}

// Handler takes interactions over HTTP, at [Path]. It answers 404 where no public key is
// set, and a bare 401 to what Discord did not send or has sent before.
func (a *Adapter) Handler() http.Handler {
	mux := http.NewServeMux()
	if a.key != nil {
		mux.HandleFunc("POST "+Path, a.gate.Handler(a.serve))
	}
	return mux
}

func (a *Adapter) serve(w http.ResponseWriter, r *http.Request, body []byte, received time.Time) {
	in, err := parseInteraction(body)
	if err != nil {
		a.log.WarnContext(r.Context(), "interaction not understood", "err", err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	defer a.acks.end(in.ID)
	// Not the request's own context: Discord may hang up, and the answer goes another way.
	ctx, cancel := context.WithDeadline(context.WithoutCancel(r.Context()), received.Add(kit.AckTimeout))
	defer cancel()
	c := a.answer(ctx, in)
	if c == nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	answer, contentType, err := call{Body: c, Files: c.files}.encode()
	if err != nil { // unreachable: every callback can be encoded
		a.log.ErrorContext(ctx, "answer not encoded", "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	if _, err := w.Write(answer); err != nil {
		a.log.WarnContext(ctx, "acknowledgement not sent", "err", err)
		return
	}
	_ = http.NewResponseController(w).Flush()
	a.cfg.Observe.Acked(c.kind, time.Since(received))
}

// unseen reports whether a signed request was not seen before.
func (a *Adapter) unseen(r *http.Request, body []byte) bool {
	sum := sha256.New()
	sum.Write([]byte(r.Header.Get(headerTimestamp) + "\n"))
	sum.Write(body)
	return a.seen.First(string(sum.Sum(nil)))
}
