package slack

import "time"

// What Slack takes, in UTF-16 units where it is text.
const (
	// https://docs.slack.dev/reference/block-kit/blocks/
	maxBlocks       = 50
	maxSectionText  = 3000
	maxFields       = 10
	maxFieldText    = 2000
	maxContextText  = 2000
	maxElements     = 25 // of an actions block
	maxTextSections = 4  // ours: longer texts are cut, not spread over the whole screen

	// https://docs.slack.dev/reference/block-kit/block-elements/button-element/
	maxButtonText  = 75
	maxButtonValue = 2000
	maxButtonURL   = 3000

	// https://docs.slack.dev/reference/block-kit/composition-objects/confirmation-dialog-object/
	maxConfirmTitle  = 100
	maxConfirmText   = 300
	maxConfirmButton = 30

	// https://docs.slack.dev/reference/views/modal-views/
	maxModalTitle  = 24 // its title and both of its buttons
	maxModalBlocks = 100
	maxMetadata    = 3000
	maxCallbackID  = 255

	// https://docs.slack.dev/reference/block-kit/blocks/input-block/ and the elements in it
	maxLabel       = 2000
	maxHint        = 2000
	maxPlaceholder = 150
	maxInput       = 3000
	maxOptions     = 100
	maxOptionText  = 75
	maxOptionValue = 150

	// https://docs.slack.dev/reference/methods/chat.postEphemeral: 4,000 bytes; every
	// character is at most 3 of them for one UTF-16 unit.
	maxFallback = 1300

	// https://docs.slack.dev/interactivity/handling-user-interaction#message_responses
	hookUses = 5
	hookLife = 30 * time.Minute

	// https://docs.slack.dev/apis/web-api/rate-limits: one message per second and channel
	postInterval = time.Second
	// How long a post waits for its turn before it is handed back to be tried later.
	postPatience = 3 * time.Second

	// https://docs.slack.dev/apis/events-api/using-socket-mode#connect: at most 10
	maxConnections     = 10
	defaultConnections = 2

	maxConcurrent = 256 // ours: events being acknowledged

	// https://docs.slack.dev/authentication/verifying-requests-from-slack
	maxSkew = 5 * time.Minute

	// https://docs.slack.dev/reference/app-manifest
	maxCommand     = 32
	maxDescription = 2000
	maxUsageHint   = 1000
)
