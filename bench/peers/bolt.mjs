// Slack's own library at the same work: a signed command is acknowledged, and answered
// with one message. Nothing is kept.
import bolt from "@slack/bolt";

const { App, HTTPReceiver } = bolt;
const receiver = new HTTPReceiver({
  signingSecret: process.env.SLACK_SIGNING_SECRET,
  endpoints: ["/slack/commands"],
});
const app = new App({
  token: process.env.SLACK_BOT_TOKEN,
  receiver,
  clientOptions: { slackApiUrl: process.env.SLACK_API_URL },
});
app.command("/meet", async ({ command, ack, client }) => {
  await ack();
  await client.chat.postEphemeral({ channel: command.channel_id, user: command.user_id, text: "You have no meetings here." });
});
const server = await app.start({ port: 0, host: "127.0.0.1" });
console.log(server.address().port);
