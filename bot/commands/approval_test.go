package commands

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/policy"
	"meetbot/bot/registry"
	"meetbot/meeting"
)

const saveProtected = "/livepush save 主站 --url rtmp://ingest.example.com/live --key canary-key --protected"

func TestWhoNeedsASecondPersonIsToldAtOnceThatItWaits(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet 发布会 --provider tencent --live")
		w.say(ada, channel, saveProtected)
		d := w.bot.Parse(w.request(ada, channel, chat.Request{Command: "livepush", Text: "to 主站", Origin: []byte("token")}))
		asked := w.do(d, ada, channel)
		waits := find(t, asked, chat.SlotPrivate)
		assert.Equal(t, "Waiting for approval", waits.Reply.Title)
		assert.Contains(t, waits.Reply.Text, "in the thread of “发布会”")
		assert.Equal(t, []chat.Slot{chat.SlotPrivate, chat.SlotThread}, slots(asked), "whoever is quick must not be told of before")
		assert.Contains(t, find(t, asked, chat.SlotThread).Reply.Text, "Push “发布会” to 主站?")
		assert.Contains(t, waits.Reply.Text, chat.Instant(time.Now().Add(approvalFor-5*time.Second)))
		assert.Equal(t, "token", string(waits.Origin), "it takes the place of what the platform shows meanwhile")
		assert.Empty(t, find(t, asked, chat.SlotThread).Origin)

		done := w.press(ben, channel, asked, grammar.VerbApprove)
		for _, p := range done {
			if p.Slot == chat.SlotPrivate && p.User.ID == ada.ID {
				assert.Equal(t, "1 of 1 set", p.Reply.Title)
				assert.Equal(t, "token", string(p.Origin))
			}
		}
		for _, p := range done {
			if p.Slot == chat.SlotEdit && p.Reply.Title != "发布会" {
				assert.Equal(t, "Approved: 主站", p.Reply.Title)
				assert.Empty(t, p.Reply.Buttons)
				assert.Equal(t, ben.ID, p.Reply.Fields[1].User.ID)
			}
		}
		assert.Len(t, w.tencent.pushes["806146601"], 1)
		assert.Contains(t, slots(done), chat.SlotEdit)
	})
}

func TestTheQuestionForApprovalIsClosedWhenItsTimeIsOver(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, saveProtected)
		asked := w.say(ada, channel, "/livepush to 主站")
		time.Sleep(approvalFor)
		over := w.settle()
		assert.Equal(t, "Approval timed out: 主站", find(t, over, chat.SlotEdit).Reply.Title)
		assert.Contains(t, find(t, over, chat.SlotPrivate).Reply.Text, "No one approved this")
		assert.Contains(t, w.press(ben, channel, asked, grammar.VerbApprove)[0].Reply.Text, "already decided this")
		assert.Zero(t, w.tencent.sets)
	})
}

func TestTheWordThatItWaitsIsNotSaidWhenItIsOver(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, saveProtected)
		until := time.Now().Add(approvalFor + time.Minute)
		w.room.fail = func(chat.Post) error {
			if time.Now().Before(until) {
				return assert.AnError
			}
			return nil
		}
		w.say(ada, channel, "/livepush to 主站")
		time.Sleep(approvalFor + 5*time.Minute)
		assert.NotContains(t, describe(w.room.take()), "Waiting for approval")
	})
}

func TestNobodyWaitsForASecondPersonWhereThereIsNone(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.bot.Attach(chattest.Console, w.room)
		for _, at := range []chat.Place{
			{Platform: chattest.Console, Channel: "console"},
			{Platform: chattest.Slack, Team: "T2", Channel: "D1", Kind: chat.InDirect},
		} {
			w.say(ada, at, "/meet x --provider tencent --live")
			w.say(ada, at, saveProtected)
			posts := w.say(ada, at, "/livepush to 主站")
			assert.Equal(t, []chat.Slot{chat.SlotPrivate}, slots(posts))
			assert.Contains(t, posts[0].Reply.Text, "no one else can see")
		}
		assert.Zero(t, w.tencent.sets)
	})
}

func TestTheSecondPersonIsAskedWhereOthersAre(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		direct := chat.Place{Platform: chattest.Slack, Team: channel.Team, Channel: "D1", Kind: chat.InDirect}
		w.say(ada, direct, "/meet x --provider tencent --live")
		w.say(ada, channel, saveProtected)
		asked := w.say(ada, channel, "/livepush to 主站 in 806146601")
		assert.Equal(t, channel.Channel, find(t, asked, chat.SlotRoot).Place.Channel, "its card is where only one person is")
		w.press(ben, channel, asked, grammar.VerbReject)

		w.say(ada, channel, "/meet share 806146601")
		asked = w.say(ada, direct, "/livepush to 主站 in 806146601")
		assert.Equal(t, channel.Channel, find(t, asked, chat.SlotThread).Place.Channel)
	})
}

func TestNoOtherNameGetsRoundTheSecondPerson(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, saveProtected)
		w.say(ada, channel, "/livepush save 副本 --url rtmp://ingest.example.com/live --key canary-key")
		for _, line := range []string{
			"/livepush --name 另名 --url rtmp://ingest.example.com/live --key canary-key",
			"/livepush --name 另名 --url rtmp://ingest.example.com/live/canary-key",
			"/livepush to 副本",
		} {
			posts := w.say(ada, channel, line)
			assert.Equal(t, "Waiting for approval", find(t, posts, chat.SlotPrivate).Reply.Title, line)
			w.press(ben, channel, posts, grammar.VerbReject)
		}
		assert.Zero(t, w.tencent.sets)
		elsewhere := chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "D1", Kind: chat.InDirect}
		posts := w.say(ada, elsewhere, "/livepush 806146601 --name 另名 --url rtmp://ingest.example.com/live --key canary-key")
		assert.Contains(t, find(t, posts, chat.SlotPrivate).Reply.Text, "to approve this")
		assert.Zero(t, w.tencent.sets)
		w.say(ada, channel, "/livepush --name 另名 --url rtmp://ingest.example.com/live --key another")
		assert.Equal(t, 1, w.tencent.sets, "another key is another matter")
	})
}

// Off is not on: whoever may push takes a protected destination off the air alone.
func TestAProtectedDestinationIsSwitchedOffAlone(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, saveProtected)
		w.press(ben, channel, w.say(ada, channel, "/livepush to 主站"), grammar.VerbApprove)
		require.Equal(t, 1, w.tencent.sets)
		posts := w.say(ada, channel, "/livepush off 主站")
		assert.Equal(t, "1 of 1 off", find(t, posts, chat.SlotPrivate).Reply.Title)
		assert.Contains(t, find(t, posts, chat.SlotThread).Reply.Text, "turned off: 主站", "everybody is told")
		assert.Contains(t, describe(w.say(ada, channel, "/livepush log")), "turn off 主站")
		assert.False(t, w.tencent.pushes["806146601"][0].Enabled)
		posts = w.say(ada, channel, "/livepush to 主站")
		assert.Equal(t, "Waiting for approval", find(t, posts, chat.SlotPrivate).Reply.Title, "on needs two again")
	})
}

func TestWhatIsApprovedLateIsTriedAgainLikeAnythingElse(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, saveProtected)
		asked := w.say(ada, channel, "/livepush to 主站")
		time.Sleep(8 * time.Minute)
		down := time.Now().Add(20 * time.Second)
		w.tencent.failing(func(op string) error {
			if op == "set_push" && time.Now().Before(down) {
				return refusal(meeting.ErrUnavailable, "")
			}
			return nil
		})
		posts := w.press(ben, channel, asked, grammar.VerbApprove)
		assert.NotContains(t, slots(posts), chat.SlotProgress, "it has only just begun")
		time.Sleep(time.Minute)
		assert.Equal(t, "1 of 1 set", find(t, w.room.take(), chat.SlotPrivate).Reply.Title)
	})
}

func TestAWithdrawnPushKeepsItsKeyForItsButtonAndNoLonger(t *testing.T) {
	kept := func(w *world, r chat.Request) string {
		j, err := w.store.Get(w.t.Context(), jobID(r))
		require.NoError(w.t, err)
		require.Equal(w.t, jobs.Done, j.State)
		return string(j.Data)
	}
	for _, page := range []string{"", "https://bot.example/k/"} {
		inWorld(t, func(c *Config) { c.Parser.KeyPage, c.KeyPageURL = page != "", page }, func(w *world) {
			w.say(ada, channel, "/meet x --provider tencent")
			r := w.request(ada, channel, chat.Request{Command: "livepush", Text: "--name 主站 --url rtmp://ingest.example.com/live --key canary-key"})
			r.At = r.At.Add(-3 * time.Minute)
			posts := w.do(w.bot.Parse(r), ada, channel)
			assert.Contains(t, find(t, posts, chat.SlotPrivate).Reply.Text, "I keep your stream key for this button until")
			assert.Contains(t, kept(w, r), "canary-key")
			time.Sleep(keyOffered)
			assert.NotContains(t, kept(w, r), "canary-key")

			late := find(t, w.press(ada, channel, posts, grammar.VerbRunExpired), chat.SlotPrivate).Reply
			if page == "" {
				assert.Contains(t, late.Text, "I no longer have that command's stream key")
			} else {
				assert.Equal(t, "Enter the stream key of 主站", late.Title)
			}
			assert.Zero(t, w.tencent.sets)
		})
	}
}

func TestTheKeyOfAWithdrawnPushStaysUntilThePersonIsTold(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent")
		back := time.Now().Add(keyOffered + 5*time.Minute)
		w.room.fail = func(chat.Post) error {
			if time.Now().Before(back) {
				return assert.AnError
			}
			return nil
		}
		r := w.request(ada, channel, chat.Request{Command: "livepush", Text: "--name 主站 --url rtmp://ingest.example.com/live --key canary-key"})
		r.At = r.At.Add(-3 * time.Minute)
		w.do(w.bot.Parse(r), ada, channel)
		time.Sleep(keyOffered + 6*time.Minute)
		posts := w.room.take()
		require.Len(t, posts, 1, "told once")
		time.Sleep(keyOffered)
		j, err := w.store.Get(w.t.Context(), jobID(r))
		require.NoError(t, err)
		assert.NotContains(t, string(j.Data), "canary-key")
	})
}

// A protected key is protected in every dress in which somebody may type it.
func TestAProtectedKeyIsGuardedInEveryDress(t *testing.T) {
	for _, line := range []string{
		"--name x --url rtmp://ingest.example.com/live --key canary-key",
		"--name x --url rtmp://ingest.example.com/live --key canary-key?x=1",
		"--name x --url rtmp://ingest.example.com/live --key canary-key&x=1",
		"--name x --url rtmp://INGEST.example.com:1935/live/ --key canary-key",
		"--name x --url rtmp://INGEST.example.com:1935/live/canary-key?x=1",
		"--name x --url rtmp://other.example.com/live --key canary-key/",
	} {
		t.Run(line, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				w.say(ada, channel, "/meet 发布会 --provider tencent --live")
				w.say(ada, channel, saveProtected)
				asked := w.say(ada, channel, "/livepush "+line+" --override")
				assert.Zero(t, w.tencent.sets)
				assert.Equal(t, "Waiting for approval", find(t, asked, chat.SlotPrivate).Reply.Title)
			})
		})
	}
}

// An approval is for exactly what was shown, at the meeting that it was shown for.
func TestAnApprovalIsForWhatWasShown(t *testing.T) {
	const evil = "/livepush save 主站 --url rtmp://evil.example.com/live --key canary-key"
	for name, meanwhile := range map[string]func(w *world){
		"AnotherServer": func(w *world) { w.say(ada, channel, evil) },
		"AnotherKey": func(w *world) {
			w.say(ada, channel, "/livepush save 主站 --url rtmp://ingest.example.com/live --key canary-key-2")
		},
		"AnotherAccount": func(w *world) {
			_, err := w.bot.registry.Change(w.t.Context(), meeting.Ref{Provider: "tencent", ID: "806146601"}, func(r *registry.Registration) bool {
				r.Account = "somebody"
				return true
			})
			require.NoError(w.t, err)
		},
		"TheNumberIsAnothersNow": func(w *world) {
			_, err := w.bot.registry.Change(w.t.Context(), meeting.Ref{Provider: "tencent", ID: "806146601"}, func(r *registry.Registration) bool {
				r.Job = "another"
				return true
			})
			require.NoError(w.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				w.say(ada, channel, "/meet Town hall --provider tencent --live")
				w.say(ada, channel, saveProtected)
				first := w.say(ada, channel, "/livepush to 主站")
				meanwhile(w)
				again := w.press(ben, channel, first, grammar.VerbApprove)
				assert.Zero(t, w.tencent.sets)
				question := find(t, again, chat.SlotThread).Reply
				assert.Contains(t, question.Text, "changed after the approval")
				if name == "AnotherServer" {
					assert.Contains(t, question.Fields[2].Value, "evil.example.com")
					assert.Contains(t, question.Fields[2].Value, "address changed, was ingest.example.com")
				}
				assert.Contains(t, describe(w.press(ben, channel, first, grammar.VerbApprove)), "already decided this", "the first question is not the second")
				assert.Zero(t, w.tencent.sets)
				w.press(ben, channel, again, grammar.VerbApprove)
				assert.Equal(t, 1, w.tencent.sets)
			})
		})
	}
	t.Run("AnotherMeeting", func(t *testing.T) {
		inWorld(t, nil, func(w *world) {
			made := w.say(ada, channel, "/meet Town hall --provider tencent --live")
			w.say(ada, channel, saveProtected)
			asked := w.say(ada, channel, "/livepush to 主站")
			w.press(ada, channel, made, grammar.VerbEndYes)
			w.say(ada, channel, "/meet Prank --provider tencent --live")
			assert.Contains(t, describe(w.press(ben, channel, asked, grammar.VerbApprove)), "“Town hall” is over")
			assert.Zero(t, w.tencent.sets)
		})
	})
}

func TestTheSecondPersonSeesWhatIsToBeSent(t *testing.T) {
	inWorld(t, func(c *Config) {
		c.Policy.Push = []policy.Entry{{Platform: chattest.Slack, Kind: chat.UserEntry, ID: ada.ID}, {Platform: chattest.Slack, Kind: chat.UserEntry, ID: ben.ID}}
		c.Policy.Admins = []policy.Entry{{Platform: chattest.Slack, Kind: chat.UserEntry, ID: "U9"}, {Platform: chattest.Discord, Kind: chat.UserEntry, ID: "1"}}
	}, func(w *world) {
		w.say(ada, channel, "/meet Town hall --provider tencent --live")
		w.say(ada, channel, saveProtected)
		time.Sleep(48 * time.Hour)
		w.say(ada, channel, "/meet Town hall --provider tencent --live")
		question := find(t, w.say(ada, channel, "/livepush to 主站 in 806146602"), chat.SlotThread).Reply
		assert.Equal(t, ada.ID, question.Fields[0].User.ID)
		assert.Equal(t, "Town hall · 806-146-602", question.Fields[1].Value)
		assert.Regexp(t, `^ingest\.example\.com · key [0-9a-f]{12} · .*2 days`, question.Fields[2].Value)
		assert.Equal(t, []chat.User{{ID: ben.ID}, {ID: "U9"}}, question.Mentions)
		assert.NotContains(t, fmt.Sprint(question), "canary-key")
	})
}

func TestWhoApprovesIsOfTheSameWorkspace(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, saveProtected)
		asked := w.say(ada, channel, "/livepush to 主站")
		for _, at := range []chat.Place{{Platform: chattest.Slack, Team: "T666", Channel: "C1"}, {Platform: chattest.Discord, Team: "T1", Channel: "C1"}} {
			w.bot.Attach(chattest.Discord, w.room)
			assert.Contains(t, describe(w.press(ben, at, asked, grammar.VerbApprove)), "the requester's workspace or server")
		}
		assert.Zero(t, w.tencent.sets)
		w.press(ben, channel, asked, grammar.VerbApprove)
		assert.Equal(t, 1, w.tencent.sets)
	})
}

func TestWhoAskedMayWithdraw(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, "/livepush save bili --url rtmp://ingest.example.com/live --key canary-key --protected")
		asked := w.say(ada, channel, "/livepush to bili")
		assert.Contains(t, find(t, asked, chat.SlotPrivate).Reply.Text, "Reject there withdraws it.")
		posts := w.press(ada, channel, asked, grammar.VerbReject)
		assert.Contains(t, describe(posts), "You withdrew this, so I changed nothing.")
		assert.Contains(t, describe(posts), "Rejected: bili", "the question is closed for everybody")
		assert.Contains(t, w.press(ben, channel, asked, grammar.VerbApprove)[0].Reply.Text, "already decided")
		assert.Zero(t, w.tencent.sets)
	})
}

// What is switched off does not go on the air because somebody approves an older request.
func TestWhatWaitsForApprovalIsWithdrawnWhenItIsSwitchedOff(t *testing.T) {
	const withdrawn = "No longer waiting for approval: 主站"
	for _, c := range []struct {
		on   string // what is set besides
		line string
		says string
	}{
		{"one", "off all", "1 of 1 off"},
		{"one", "关闭 全部", "1 of 1 off"},
		{"", "off all", withdrawn},
		{"one", "off 主站", withdrawn},
		{"one", "off 主站，one", "1 of 2 off"},
		{"", "off 两个", withdrawn},
	} {
		t.Run(c.line+c.on, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				w.say(ada, channel, "/meet show --provider tencent --live --host <@U2|ben>")
				w.say(ada, channel, saveProtected)
				w.say(ada, channel, "/livepush save one --url rtmp://one.example.com/live --key k")
				w.say(ada, channel, "/livepush save 两个 --members 主站、one")
				if c.on != "" {
					w.say(ada, channel, "/livepush to "+c.on)
				}
				asked := w.say(ada, channel, "/livepush to 主站")
				posts := w.say(ada, channel, "/livepush "+c.line)
				assert.Contains(t, describe(posts), c.says)
				assert.Contains(t, describe(posts), withdrawn)
				assert.Contains(t, describe(posts), "You withdrew this", "whoever asked hears of it")
				assert.Contains(t, describe(posts), "Rejected: 主站", "the question is closed")
				assert.Contains(t, w.press(ben, channel, asked, grammar.VerbApprove)[0].Reply.Text, "already decided this")
				assert.NotContains(t, w.keys("806146601"), "主站")
			})
		})
	}
}

func TestSwitchingOffWithdrawsNothingElse(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet show --provider tencent --live --host <@U2|ben>")
		w.say(ada, channel, saveProtected)
		w.say(ada, channel, "/livepush save one --url rtmp://one.example.com/live --key k")
		w.say(ada, channel, "/livepush to one")
		asked := w.say(ada, channel, "/livepush to 主站")
		assert.NotContains(t, describe(w.say(ben, channel, "/livepush off one")), "waiting")
		w.press(ben, channel, asked, grammar.VerbApprove)
		assert.Equal(t, map[string]string{"主站": "canary-key"}, w.keys("806146601"))

		w.say(ada, channel, "/livepush off 主站")
		asked = w.say(ada, channel, "/livepush on 主站")
		posts := w.say(ben, channel, "/livepush off all")
		assert.Contains(t, describe(posts), "No longer waiting for approval: 主站")
		assert.Contains(t, describe(posts), "Ben rejected this", "a host may do it, too")
		w.press(bos, channel, asked, grammar.VerbApprove)
		assert.Empty(t, w.keys("806146601"))
	})
}
