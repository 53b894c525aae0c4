package config

import (
	"reflect"
	"slices"
	"strings"

	"meetbot/config/secret"
)

// Providers are the settings of the meeting providers: each field is a [Provider], and the
// field's name is its name in MEET_PROVIDER and in front of its variables.
type Providers struct {
	Systec  Systec
	Tencent Tencent
	Zoom    Zoom
}

// Provider is what the settings of a meeting provider tell of themselves.
type Provider interface {
	On() bool        // it is configured
	HTTP() bool      // what it reports by itself arrives at HTTPAddr
	Needs() []string // the variables that it cannot do without
	// Accounts returns the provider's user as whom the bot acts for everybody, and who acts
	// as which; both empty where it has none.
	Accounts() (bot string, persons Users)

	// combinations reports whether any of it was set, and what does not fit.
	combinations(c checker) (wanted bool)
}

// all returns the providers, in the order of their declaration.
func (p Providers) all() []Provider {
	v := reflect.ValueOf(p)
	all := make([]Provider, v.NumField())
	for i := range all {
		all[i] = v.Field(i).Interface().(Provider)
	}
	return all
}

// names returns their names, in the same order.
func (p Providers) names() []string { return fields(reflect.TypeFor[Providers]()) }

// fields returns the names of a struct's fields in lower case.
func fields(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		names = append(names, strings.ToLower(t.Field(i).Name))
	}
	return names
}

// Prefixes returns what the variables of platforms and providers begin with, as "SLACK_".
func Prefixes() []string {
	var all []string
	for _, name := range slices.Concat(fields(reflect.TypeFor[Platforms]()), fields(reflect.TypeFor[Providers]())) {
		all = append(all, strings.ToUpper(name)+"_")
	}
	return all
}

// Systec is SYSTEC umeeting; on when ApiKey is set.
type Systec struct {
	ApiKey    secret.String `split_words:"true" desc:"API key; turns SYSTEC umeeting on"`
	ApiSecret secret.String `split_words:"true" desc:"API secret that belongs to the key"`
	BaseURL   string        `split_words:"true" default:"https://api.systeccloud.com/umeeting" desc:"base URL of the API" check:"url"`
	Capacity  int           `split_words:"true" default:"25" desc:"number of participants of a meeting made without --capacity" min:"1"`
}

// On implements [Provider].
func (s Systec) On() bool { return !s.ApiKey.IsZero() }

// HTTP implements [Provider]: it reports nothing by itself.
func (Systec) HTTP() bool { return false }

// Needs implements [Provider].
func (Systec) Needs() []string { return []string{"SYSTEC_API_KEY", "SYSTEC_API_SECRET"} }

// Accounts implements [Provider].
func (Systec) Accounts() (string, Users) { return "", nil }

func (s Systec) combinations(c checker) bool {
	if !c.any(s.Needs()...) {
		return false
	}
	c.needs("SYSTEC umeeting needs both the key and the secret", s.Needs()...)
	return true
}

// Tencent is Tencent Meeting; on when SecretID is set.
type Tencent struct {
	AppID         string        `split_words:"true" desc:"AppId of the enterprise; turns Tencent Meeting on" check:"digits" fix:"use the number that Tencent Meeting shows as AppId"`
	SdkID         string        `split_words:"true" desc:"SdkId, if Tencent gave you one"`
	SecretID      secret.String `split_words:"true" desc:"SecretId of the application"`
	SecretKey     secret.String `split_words:"true" desc:"SecretKey of the application"`
	UserID        string        `split_words:"true" desc:"userid of the account that the bot acts as"`
	Users         Users         `split_words:"true" desc:"people who act as accounts of their own: {people}"`
	InstanceID    int           `split_words:"true" default:"1" desc:"terminal type (instanceid) that the bot names in its calls" min:"1"`
	BaseURL       string        `split_words:"true" default:"https://api.meeting.qq.com" desc:"base URL of the API" check:"url"`
	WebhookToken  secret.String `split_words:"true" desc:"token of the event subscription; turns events on, at /tencent/events"`
	WebhookAESKey secret.String `split_words:"true" desc:"EncodingAESKey of the subscription, if it is encrypted" check:"aes43" fix:"use the 43 characters that Tencent Meeting shows as EncodingAESKey"`
}

// On implements [Provider].
func (t Tencent) On() bool { return !t.SecretID.IsZero() }

// HTTP implements [Provider].
func (t Tencent) HTTP() bool { return !t.WebhookToken.IsZero() }

// Needs implements [Provider].
func (Tencent) Needs() []string {
	return []string{"TENCENT_APP_ID", "TENCENT_SECRET_ID", "TENCENT_SECRET_KEY"}
}

// Accounts implements [Provider].
func (t Tencent) Accounts() (string, Users) { return t.UserID, t.Users }

func (t Tencent) combinations(c checker) bool {
	c.only("TENCENT_WEBHOOK_TOKEN", "TENCENT_WEBHOOK_AES_KEY")
	if !c.any(append(t.Needs(), "TENCENT_SDK_ID", "TENCENT_USER_ID", "TENCENT_USERS", "TENCENT_WEBHOOK_TOKEN")...) {
		return false
	}
	c.needs("Tencent Meeting needs all of "+strings.Join(t.Needs(), ", "), t.Needs()...)
	if !c.any("TENCENT_USER_ID", "TENCENT_USERS") {
		c.fault("TENCENT_USER_ID", "set it to the account that the bot acts as, or map people to their own accounts with TENCENT_USERS")
	}
	return true
}

// Zoom is on when ClientSecret is set.
type Zoom struct {
	AccountID    string        `split_words:"true" desc:"ID of the account"`
	ClientID     string        `split_words:"true" desc:"client ID of the application"`
	ClientSecret secret.String `split_words:"true" desc:"client secret of the application; turns Zoom on"`
	UserID       string        `split_words:"true" desc:"user who hosts for everybody without an entry in ZOOM_USERS: an email address or an ID"`
	Users        Users         `split_words:"true" desc:"people who host as Zoom users of their own: {people}"`
	BaseURL      string        `split_words:"true" default:"https://api.zoom.us/v2" desc:"base URL of the API" check:"url"`
	OauthURL     string        `split_words:"true" default:"https://zoom.us/oauth/token" desc:"URL that gives out access tokens" check:"url"`
	WebhookToken secret.String `split_words:"true" desc:"secret token of the application; turns events on, at /zoom/events"`
}

// On implements [Provider].
func (z Zoom) On() bool { return !z.ClientSecret.IsZero() }

// HTTP implements [Provider].
func (z Zoom) HTTP() bool { return !z.WebhookToken.IsZero() }

// Needs implements [Provider].
func (Zoom) Needs() []string {
	return []string{"ZOOM_ACCOUNT_ID", "ZOOM_CLIENT_ID", "ZOOM_CLIENT_SECRET"}
}

// Accounts implements [Provider].
func (z Zoom) Accounts() (string, Users) { return z.UserID, z.Users }

func (z Zoom) combinations(c checker) bool {
	if !c.any(append(z.Needs(), "ZOOM_USER_ID", "ZOOM_USERS", "ZOOM_WEBHOOK_TOKEN")...) {
		return false
	}
	c.needs("Zoom needs all of "+strings.Join(z.Needs(), ", "), z.Needs()...)
	c.needs("this user hosts for everybody without an entry in ZOOM_USERS", "ZOOM_USER_ID")
	return true
}
