package discord

import "time"

// Discord's limits. Lengths are in characters.
const (
	// https://docs.discord.com/developers/components/reference
	maxText          = 4000 // all text displays of a message together
	maxComponents    = 40   // of a message, nested ones included
	maxRowButtons    = 5    //
	maxButtonLabel   = 80   //
	maxButtonURL     = 512  //
	maxCustomID      = 100  //
	maxSelectOptions = 25   //
	maxOptionLabel   = 100  // label, value and description of a select's option
	maxInput         = 4000 // a text input's value
	maxPlaceholder   = 100  // of a text input
	maxLabel         = 45   // of a modal's label
	maxLabelHint     = 100  //

	// https://docs.discord.com/developers/interactions/receiving-and-responding
	maxModalTitle  = 45
	maxModalFields = 5 // top-level components of a modal, texts included

	// https://docs.discord.com/developers/interactions/application-commands
	maxCommands        = 100 // global ones, and as many of a guild
	maxCommandText     = 8000
	maxDescription     = 100
	maxCommandOptions  = 25
	maxChoices         = 25
	maxChoice          = 100 // name and value of a choice
	maxOptionLength    = 6000
	maxMentionedPeople = 100 // allowed_mentions.users

	// https://docs.discord.com/developers/resources/channel
	maxThreadName = 100
	threadArchive = 1440 // minutes without a message until a thread is archived
	maxNonce      = 25
	maxHistory    = 100 // messages in one look at a channel's history

	// tokenLife is how long an interaction's token can be used, less a margin for the way:
	// https://docs.discord.com/developers/interactions/receiving-and-responding#followup-messages
	tokenLife = 15*time.Minute - 20*time.Second
	// ackBefore is when an interaction has to be acknowledged: Discord gives up after 3 s.
	ackBefore = 2900 * time.Millisecond

	// https://docs.discord.com/developers/topics/rate-limits
	globalRate        = 45               // calls a second with the bot's token; Discord's limit is 50
	maxInvalid        = 5000             // then nothing is sent with the bot's token
	maxInvalidAtAll   = 8000             // nor with interactions' tokens: somebody waits for those
	invalidWindow     = 10 * time.Minute // Discord bans an address for 10,000 invalid requests in it
	defaultRetryAfter = 5 * time.Second  // where a 429 does not say
	editInterval      = time.Second      // ours: between edits of one message; Discord takes five in 5 s for a whole channel
	maxRateWait       = 3 * time.Second  // longer waits are the job layer's

	// maxAge is how far a signed request's timestamp may be off, either way.
	maxAge = 5 * time.Minute
	// maxAnswer is how much of an answer to a REST call is read.
	maxAnswer = 4 << 20
	// maxEvent is how large a gateway event may be: READY lists up to 2,500 guilds.
	maxEvent = 8 << 20
)
