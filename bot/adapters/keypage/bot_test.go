package keypage

import (
	"context"
	"fmt"
	"meetbot/meeting"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/commands"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
)

// posts receives what the bot tells people.
type posts chan chat.Post

func (p posts) Post(_ context.Context, post chat.Post) (chat.Receipt, error) {
	p <- post
	return chat.Receipt{Place: post.Place, Message: "1"}, nil
}

// conversation is a person with a running bot and its page.
type conversation struct {
	t     *testing.T
	bot   *commands.Bot
	posts posts
	n     int
}

func newConversation(t *testing.T) *conversation {
	t.Helper()
	store, err := jobs.OpenMemory(jobs.Config{})
	require.NoError(t, err)
	var handler http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	bot := commands.New(commands.Config{
		Parser: grammar.Config{Kinds: meeting.Kinds{systec.Kind, tencent.Kind}, Locale: "en", KeyPage: true}, KeyPageURL: srv.URL + Path,
	}, store)
	handler, err = New(Config{Links: bot, PublicURL: srv.URL})
	require.NoError(t, err)
	c := &conversation{t: t, bot: bot, posts: make(posts, 16)}
	bot.Attach(chattest.Slack, c.posts)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- store.Run(ctx, bot) }()
	t.Cleanup(func() {
		srv.Close()
		cancel()
		assert.NoError(t, <-stopped)
		assert.NoError(t, store.Close())
	})
	return c
}

func (c *conversation) say(text string) chat.Reply {
	c.t.Helper()
	c.n++
	d := c.bot.Parse(chat.Request{
		ID: fmt.Sprint("slack:test:", c.n), At: time.Now(), Command: "livepush", Text: text,
		Place: chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C1"},
		User: chat.User{
			ID: "U1", Name: "Ann", Locale: "en", Rights: chat.RightsKnown | chat.RightMeet | chat.RightPush,
		},
	})
	require.NotNil(c.t, d.Ask, "%+v", d)
	require.Zero(c.t, c.bot.Accept(c.t.Context(), d))
	return c.hear()
}

// hear returns the next thing that the bot says, which must be private.
func (c *conversation) hear() chat.Reply {
	c.t.Helper()
	select {
	case p := <-c.posts:
		assert.True(c.t, p.Slot.Private(), "%s", p.Slot)
		shown := fmt.Sprintf("%+v", p.Reply)
		for _, s := range p.Reply.Secrets {
			shown += s.Value.Reveal()
		}
		assert.NotContains(c.t, shown, canary)
		return p.Reply
	case <-time.After(20 * time.Second):
		require.Fail(c.t, "the bot said nothing")
		return chat.Reply{}
	}
}

var hiddenToken = regexp.MustCompile(`name="form" value="([^"]+)"`)

func TestAKeyReachesTheStoreThroughThePageAlone(t *testing.T) {
	c := newConversation(t)
	reply := c.say("save bili --preset bilibili")
	require.Len(t, reply.Secrets, 1, "%+v", reply)
	link := reply.Secrets[0].Value.Reveal()

	served := do(t, http.MethodGet, link, nil)
	require.Equal(t, http.StatusOK, served.StatusCode, served.body)
	assert.Contains(t, served.body, "For Ann")
	assert.Contains(t, served.body, "within 9 min")
	form := filled("form", hiddenToken.FindStringSubmatch(served.body)[1], "key", "?streamname=live_1&key="+canary)

	// A fault first: it does not use the link up.
	broken := filled("form", form.Get("form"), "key", "")
	res := do(t, http.MethodPost, link, broken, "Sec-Fetch-Site", "same-origin")
	require.Equal(t, http.StatusUnprocessableEntity, res.StatusCode)
	assert.Contains(t, res.body, "The stream key is missing.")

	// Then many times at once.
	var wg sync.WaitGroup
	var mu sync.Mutex
	status := map[int]int{}
	var done string
	for range 8 {
		wg.Go(func() {
			res := do(t, http.MethodPost, link, form, "Sec-Fetch-Site", "same-origin")
			mu.Lock()
			defer mu.Unlock()
			if status[res.StatusCode]++; res.StatusCode == http.StatusOK {
				done = res.body
			}
		})
	}
	wg.Wait()
	assert.Equal(t, map[int]int{http.StatusOK: 1, http.StatusNotFound: 7}, status)

	saved := c.hear()
	assert.Equal(t, chat.Good, saved.Tone)
	require.NotEmpty(t, saved.Buttons)
	assert.Equal(t, string(grammar.VerbRevoke), saved.Buttons[0].Action.Name)
	fingerprint := regexp.MustCompile(`[0-9a-f]{12}`).FindString(fmt.Sprint(saved.Fields))
	require.NotEmpty(t, fingerprint, "%+v", saved.Fields)
	assert.Contains(t, strings.ReplaceAll(done, " ", ""), fingerprint, "the page and the chat show the same")
	assert.NotContains(t, done, canary)

	assert.Contains(t, do(t, http.MethodGet, link, nil).body, "This link has been used")
	assert.Contains(t, fmt.Sprint(c.say("destinations").Fields), fingerprint)
	assert.Empty(t, c.posts, "nothing else was said")
}
