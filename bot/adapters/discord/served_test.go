package discord

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
)

const elsewhere = "666000000000000001"

// walled makes a world whose adapter serves [discordtest.GuildID] alone.
func walled(t *testing.T, how transport) *world {
	w := still(t, how)
	w.a.served = servedGuilds{discordtest.GuildID}
	w.run(how)
	return w
}

func TestOneVariableOrBothNameTheServersThatAreServed(t *testing.T) {
	w := still(t, overGateway)
	for name, tt := range map[string]struct {
		id     string
		guilds []string
		want   servedGuilds
	}{
		"Neither": {"", nil, nil},
		"One":     {"1", nil, servedGuilds{"1"}},
		"List":    {"", []string{"1", "2"}, servedGuilds{"1", "2"}},
		"Both":    {"3", []string{"1", "2"}, servedGuilds{"1", "2", "3"}},
		"Twice":   {"2", []string{"1", "2"}, servedGuilds{"1", "2"}},
	} {
		cfg := w.a.cfg
		cfg.GuildID, cfg.Guilds = tt.id, tt.guilds
		a, err := New(cfg, w.bot, nil)
		require.NoError(t, err, name)
		assert.Equal(t, tt.want, a.served, name)
	}
	cfg := w.a.cfg
	cfg.Guilds = []string{"1", "x"}
	_, err := New(cfg, w.bot, nil)
	require.ErrorContains(t, err, "DISCORD_GUILDS")
}

// TestAnotherServerIsRefused: whatever is done there, nothing is accepted, completed or looked
// up, and whoever did it is told so privately.
func TestAnotherServerIsRefused(t *testing.T) {
	for _, how := range []transport{overGateway, overHTTP} {
		t.Run(string(how), func(t *testing.T) {
			w := walled(t, how)
			there := discordtest.InGuild("9001")
			there.Guild = elsewhere
			inThread := discordtest.InThread("9002", "9001")
			inThread.Guild = elsewhere
			for name, in := range map[string]*discordtest.Interaction{
				"Command":  meetIn(w, there),
				"InThread": meetIn(w, inThread),
				"Button":   w.server.Click(alice, there, "1", "v1:approve:0123456789"),
				"Form":     w.server.Submit(alice, there, "v1:push:", map[string]any{"name": "x"}),
				"Reopen":   w.server.Click(alice, there, "1", "v1:"+reopen+":1"),
			} {
				ack := w.send(in)
				assert.Equal(t, 4, ack.Type, name)
				assert.Equal(t, discordtest.Ephemeral, ack.Flags()&discordtest.Ephemeral, name)
				assert.Contains(t, string(ack.Data), "I'm not enabled in this server", name)
			}
			ack := w.send(w.server.Complete(alice, there, "meetings end", discordtest.Option{Name: "meeting", Value: "1", Focused: true}))
			assert.JSONEq(t, `{"choices":[]}`, string(ack.Data))
			assert.Empty(t, w.bot.jobs())
			assert.Equal(t, 1, strings.Count(w.log.String(), "guild_id="+elsewhere), "one line, however many")

			p, err := w.a.Profile(t.Context(), chat.Place{Platform: Platform, Team: elsewhere, Channel: "9001"}, alice)
			require.NoError(t, err)
			assert.Equal(t, chat.RightsKnown, p.Rights)
			in, err := w.a.InGroup(t.Context(), chat.Place{Platform: Platform, Team: elsewhere, Channel: "9001"}, alice, "77")
			require.NoError(t, err)
			assert.False(t, in)
			assert.Zero(t, w.server.Called("GET /guilds/{guild_id}/members/{user_id}"))

			w.job(meetIn(w, discordtest.InGuild(channel))) // at home all is as ever
		})
	}
}

func TestADirectMessageIsForMembersOfTheServersThatAreServed(t *testing.T) {
	w := walled(t, overGateway)
	w.server.Join(alice, discordtest.Member{})
	w.job(meetIn(w, discordtest.InDirect(dm)))

	stranger := w.server.Command(bob, discordtest.InDirect("5004"), "zh-CN", "meet")
	ack := w.send(stranger)
	assert.Equal(t, 4, ack.Type)
	assert.Contains(t, string(ack.Data), "机器人只为特定服务器的成员服务")
	ack = w.send(w.server.Complete(bob, discordtest.InDirect("5004"), "meetings end", discordtest.Option{Name: "meeting", Value: "1", Focused: true}))
	assert.JSONEq(t, `{"choices":[]}`, string(ack.Data))

	w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
		if strings.HasPrefix(c.Route, "/guilds/") {
			return &discordtest.Fault{Status: http.StatusForbidden, Code: 50001}
		}
		return nil
	})
	ack = w.send(w.server.Command("333", discordtest.InDirect("5005"), "en-US", "meet"))
	assert.Equal(t, 4, ack.Type, "a look-up that fails refuses")
	assert.Len(t, w.bot.jobs(), 1)
}

func TestAnIDThatIsNoneIsRefused(t *testing.T) {
	w := still(t, overGateway)
	in := meetIn(w, discordtest.InGuild(channel))
	for field, value := range map[string]string{"guild_id": "1\x1b]0;x\x07", "channel_id": "../1", "id": "-1"} {
		var payload map[string]any
		require.NoError(t, json.Unmarshal(in.Payload, &payload))
		payload[field] = value
		b, err := json.Marshal(payload)
		require.NoError(t, err)
		_, err = parseInteraction(b)
		require.Error(t, err, field)
	}
}

func TestTheDoctorSaysWhoMayAddTheBot(t *testing.T) {
	yes, no := true, false
	guilds := []guildCheck{{ID: discordtest.GuildID}, {ID: elsewhere}}
	for name, tt := range map[string]struct {
		public *bool
		served servedGuilds
		level  kit.Level
		says   string
	}{
		"AnybodyAndEverywhere": {&yes, nil, kit.Warning, "anybody may add the bot"},
		"AnybodyAndAList":      {&yes, servedGuilds{discordtest.GuildID}, kit.Note, "it serves only those"},
		"TheOwner":             {&no, nil, kit.Fine, "only the application's owner"},
		"NotSaid":              {nil, nil, kit.Note, "does not say"},
	} {
		a := &Adapter{served: tt.served}
		found := a.examinePublic(checked{Public: tt.public, Guilds: guilds})
		require.Len(t, found, 1, name)
		assert.Equal(t, tt.level, found[0].Level, name)
		assert.Contains(t, found[0].Says, tt.says, name)
	}
	a := &Adapter{served: servedGuilds{discordtest.GuildID, "1"}}
	var said []string
	for _, f := range a.examineGuilds(checked{Guilds: guilds}) {
		said = append(said, string(f.Level)+" "+f.Says)
	}
	assert.Equal(t, []string{
		"ok in server " + discordtest.GuildID + " the bot has its permissions; a channel may still take some away",
		"note the bot is in server " + elsewhere + ", which it does not serve: it refuses everybody there",
		"fault the bot is not in the server 1, which DISCORD_GUILDS or DISCORD_GUILD_ID names",
	}, said)
}
