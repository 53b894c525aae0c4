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
	ApiKey    secret.String `split_words:"true" desc:"turns SYSTEC umeeting on"`
	ApiSecret secret.String `split_words:"true" desc:"goes with the key"`
	BaseURL   string        `split_words:"true" default:"https://api.systeccloud.com/umeeting" desc:"base of the API" check:"url"`
	Capacity  int           `split_words:"true" default:"25" desc:"participants of a meeting for which none were named" min:"1"`
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
	c.needs("SYSTEC umeeting needs key and secret", s.Needs()...)
	return true
}

// Tencent is Tencent Meeting; on when SecretID is set.
type Tencent struct {
	AppID         string        `split_words:"true" desc:"turns Tencent Meeting on: the enterprise's AppId" check:"digits" fix:"use the number that Tencent Meeting shows as AppId"`
	SdkID         string        `split_words:"true" desc:"SdkId, where one was assigned"`
	SecretID      secret.String `split_words:"true" desc:"SecretId"`
	SecretKey     secret.String `split_words:"true" desc:"SecretKey"`
	UserID        string        `split_words:"true" desc:"the account that the bot acts as"`
	Users         Users         `split_words:"true" desc:"who acts as which account: {people}"`
	InstanceID    int           `split_words:"true" default:"1" desc:"the terminal type that is named in calls" min:"1"`
	BaseURL       string        `split_words:"true" default:"https://api.meeting.qq.com" desc:"base of the API" check:"url"`
	WebhookToken  secret.String `split_words:"true" desc:"turns event subscription on, at /tencent/events"`
	WebhookAESKey secret.String `split_words:"true" desc:"EncodingAESKey of the subscription, where it is encrypted" check:"aes43" fix:"use the 43 characters that Tencent Meeting shows as EncodingAESKey"`
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
		c.fault("TENCENT_USER_ID", "set it to the account that the bot acts as, or map people to their own with TENCENT_USERS")
	}
	return true
}

// Zoom is on when ClientSecret is set.
type Zoom struct {
	AccountID    string        `split_words:"true" desc:"the account's ID"`
	ClientID     string        `split_words:"true" desc:"the application's client ID"`
	ClientSecret secret.String `split_words:"true" desc:"turns Zoom on: the application's client secret"`
	UserID       string        `split_words:"true" desc:"the user who hosts for everybody else: an address or an ID"`
	Users        Users         `split_words:"true" desc:"who hosts as which user: {people}"`
	BaseURL      string        `split_words:"true" default:"https://api.zoom.us/v2" desc:"base of the API" check:"url"`
	OauthURL     string        `split_words:"true" default:"https://zoom.us/oauth/token" desc:"where access tokens are given out" check:"url"`
	WebhookToken secret.String `split_words:"true" desc:"turns events on, at /zoom/events: the application's secret token"`
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
	c.needs("it hosts the meetings of everybody who has no Zoom user in ZOOM_USERS", "ZOOM_USER_ID")
	return true
}
