package meeting

import "meetbot/config/secret"

// PushPlatform says what kind of service receives a live push.
type PushPlatform int

// The values are Tencent Meeting's platform_type.
const (
	PushWeChat     PushPlatform = 1 // WeChat Channels (微信视频号); at most one per meeting
	PushThirdParty PushPlatform = 2 // any other RTMP ingest; at most ten per meeting
)

// Limits of Tencent Meeting's live push, from
// https://cloud.tencent.com/document/product/1095/58214.
const (
	MaxPushName       = 10 // characters of a push name
	MaxPushWeChat     = 1  // WeChat Channels addresses per meeting
	MaxPushThirdParty = 10 // other addresses per meeting
)

// PushTarget is where a meeting's live stream is pushed to.
type PushTarget struct {
	// Name has 1 to [MaxPushName] characters, not only blanks, no line break. A provider may
	// keep none: it is empty then where it is read back.
	Name     string       `cbor:",omitzero"`
	Platform PushPlatform `cbor:",omitzero"`
	URL      string       `cbor:",omitzero"` // rtmp:// or rtmps://, without the key
	// Key is the stream key (推流密钥): whoever holds it can broadcast on the channel.
	Key     secret.String `cbor:",omitzero"`
	Enabled bool          `cbor:",omitzero"`
	// Page is where viewers watch, for providers that show it: https, empty for none.
	Page string `cbor:",omitzero"`
}
