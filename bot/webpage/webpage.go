// Package webpage is what the bot's pages have in common: what a browser is told with each answer.
package webpage

import (
	"net/http"
	"time"
)

// Deadline is for reading a request of a page.
const Deadline = 10 * time.Second

// Defend sets what every answer of a page has, and bounds the time in which its request is read.
// The pages' addresses have something secret in them, so nobody is told of them. policy is the
// page's Content-Security-Policy.
func Defend(w http.ResponseWriter, policy string) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(Deadline)) // best effort: the server has its own
}
