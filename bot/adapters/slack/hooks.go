package slack

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"meetbot/bot/adapters/kit"
)

// hooks counts the uses of response_urls, and finds one again for a form that was opened
// from it. What is lost with a restart is found out from Slack's answer.
type hooks struct {
	now func() time.Time
	mu  sync.Mutex
	by  *kit.Cache[*hook]
}

func newHooks(now func() time.Time) *hooks {
	return &hooks{now: now, by: kit.NewCache[*hook](hookLife, maxHooks, now)}
}

type hook struct {
	origin *origin // once it is to be found again
	uses   int
}

const maxHooks = 20_000

func hookID(url string) string {
	sum := sha256.Sum256([]byte(url))
	return hex.EncodeToString(sum[:8])
}

// open returns the record of a response_url that can still be used, or nil.
func (h *hooks) open(o origin) *hook {
	const margin = 10 * time.Second
	if o.Hook == "" || h.now().Sub(o.At) > hookLife-margin {
		return nil
	}
	id := hookID(o.Hook)
	k, known := h.by.Get(id)
	if !known {
		k = &hook{}
		h.by.Put(id, k)
	}
	return k
}

// take reports whether a response_url can be used once more, and counts that.
func (h *hooks) take(o origin) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.open(o)
	if k == nil || k.uses >= hookUses {
		return false
	}
	k.uses++
	return true
}

func (h *hooks) used(o origin) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k := h.open(o); k != nil {
		return k.uses
	}
	return hookUses
}

func (h *hooks) exhaust(o origin) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k := h.open(o); k != nil {
		k.uses = hookUses
	}
}

// remember returns an ID under which [hooks.recall] finds the response_url; empty if it
// cannot be used.
func (h *hooks) remember(o origin) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.open(o)
	if k == nil {
		return ""
	}
	k.origin = &o
	return hookID(o.Hook)
}

func (h *hooks) recall(id string) origin {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k, known := h.by.Get(id); known && k.origin != nil && h.now().Sub(k.origin.At) < hookLife {
		return *k.origin
	}
	return origin{At: h.now()}
}
