package discord

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/bwmarrin/discordgo"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/texts"
)

// permission is one that the bot asks for when it is invited.
type permission struct {
	id        string // as Discord's API calls it; also names its text
	bit       int64
	forThread bool // a thread cannot be opened and answered in without it
}

// permissions are all that the bot asks for. Read Message History lets it find its own
// message after a crash, Attach Files shows QR codes.
//
// https://docs.discord.com/developers/topics/permissions#permissions-bitwise-permission-flags
var permissions = []permission{
	{"VIEW_CHANNEL", discordgo.PermissionViewChannel, true},
	{"SEND_MESSAGES", discordgo.PermissionSendMessages, false},
	{"CREATE_PUBLIC_THREADS", discordgo.PermissionCreatePublicThreads, true},
	{"SEND_MESSAGES_IN_THREADS", discordgo.PermissionSendMessagesInThreads, true},
	{"ATTACH_FILES", discordgo.PermissionAttachFiles, false},
	{"READ_MESSAGE_HISTORY", discordgo.PermissionReadMessageHistory, false},
}

// InviteURL is the address at which somebody who manages a server adds the bot to it.
//
// https://docs.discord.com/developers/topics/oauth2#bot-authorization-flow
func InviteURL(applicationID string) string {
	var bits int64
	for _, p := range permissions {
		bits |= p.bit
	}
	return "https://discord.com/oauth2/authorize?" + url.Values{
		"client_id": {applicationID}, "scope": {"bot applications.commands"},
		"permissions": {strconv.FormatInt(bits, 10)}, "integration_type": {"0"},
	}.Encode()
}

// Manifest is what is registered, as indented JSON for a person to read.
func Manifest(listed chat.Rights, declared []grammar.TypedDecl) ([]byte, error) {
	all, err := Commands(listed, declared)
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(all, "", "  ")
}

// Command is an application command as it is registered: what we set, and nothing that
// Discord adds.
//
// https://docs.discord.com/developers/interactions/application-commands#application-command-object
type Command struct {
	Type        discordgo.ApplicationCommandType `json:"type"`
	Name        string                           `json:"name"`
	Names       map[discordgo.Locale]string      `json:"name_localizations,omitempty"`
	Description string                           `json:"description"`
	// Descriptions has every language but the default's, which is English.
	Descriptions map[discordgo.Locale]string `json:"description_localizations,omitempty"`
	Options      []Option                    `json:"options,omitempty"`
	// Permissions is what a member needs for Discord to show the command; nil: nothing.
	Permissions  *string                                `json:"default_member_permissions"`
	Contexts     []discordgo.InteractionContextType     `json:"contexts"`
	Integrations []discordgo.ApplicationIntegrationType `json:"integration_types"`
}

// Option is an option of a [Command], or a sub-command with options.
type Option struct {
	Type         discordgo.ApplicationCommandOptionType `json:"type"`
	Name         string                                 `json:"name"`
	Names        map[discordgo.Locale]string            `json:"name_localizations,omitempty"`
	Description  string                                 `json:"description"`
	Descriptions map[discordgo.Locale]string            `json:"description_localizations,omitempty"`
	Required     bool                                   `json:"required,omitempty"`
	Autocomplete bool                                   `json:"autocomplete,omitempty"`
	Choices      []OptionChoice                         `json:"choices,omitempty"`
	MinValue     *int                                   `json:"min_value,omitempty"`
	MaxValue     *int                                   `json:"max_value,omitempty"`
	MinLength    *int                                   `json:"min_length,omitempty"`
	MaxLength    *int                                   `json:"max_length,omitempty"`
	Options      []Option                               `json:"options,omitempty"`
}

// OptionChoice is one of several values of an [Option].
type OptionChoice struct {
	Name  string                      `json:"name"`
	Names map[discordgo.Locale]string `json:"name_localizations,omitempty"`
	Value string                      `json:"value"`
}

// locales are the languages that commands are registered in, and which of ours they show.
// Discord falls back between the two Englishes only.
var locales = map[discordgo.Locale]string{
	discordgo.EnglishUS: "en", discordgo.EnglishGB: "en",
	discordgo.ChineseCN: "zh-CN", discordgo.ChineseTW: "zh-CN",
}

func localised(of func(texts.Text) string) (string, map[discordgo.Locale]string) {
	all := make(map[discordgo.Locale]string, len(locales))
	for locale, ours := range locales {
		all[locale] = of(texts.For(ours))
	}
	return of(texts.For("en")), all
}

// Commands returns what is to be registered, from the declarations. Rights in listed are
// guarded by an allow-list: Discord shows their commands to everybody.
func Commands(listed chat.Rights, declared []grammar.TypedDecl) ([]Command, error) {
	if declared == nil {
		declared = grammar.TypedDeclarations()
	}
	var all []Command
	for _, d := range declared {
		c := Command{
			Type: discordgo.ChatApplicationCommand, Name: d.Name, Options: options(d),
			Contexts:     []discordgo.InteractionContextType{discordgo.InteractionContextGuild, discordgo.InteractionContextBotDM},
			Integrations: []discordgo.ApplicationIntegrationType{discordgo.ApplicationIntegrationGuildInstall},
		}
		_, c.Names = localised(func(t texts.Text) string { return d.NameIn(t, "") })
		c.Description, c.Descriptions = localised(func(t texts.Text) string { return d.Describe(t) })
		if listed&d.Right == 0 {
			bits := strconv.FormatInt(rightPermission(d.Right), 10)
			c.Permissions = &bits
		}
		all = append(all, c)
	}
	return all, check(all)
}

// rightPermission is the permission with which Discord shows what a right is needed for, where
// no allow-list is set. Whoever organises events has it; to manage those of others is more.
func rightPermission(r chat.Rights) int64 {
	if r == chat.RightPush {
		return discordgo.PermissionManageGuild
	}
	return discordgo.PermissionCreateEvents
}

func options(d grammar.TypedDecl) []Option {
	var all []Option
	for _, sub := range d.Subs {
		o := Option{Type: discordgo.ApplicationCommandOptionSubCommand, Name: sub.Name, Options: options(sub)}
		_, o.Names = localised(func(t texts.Text) string { return sub.NameIn(t, d.Name) })
		o.Description, o.Descriptions = localised(func(t texts.Text) string { return sub.Describe(t) })
		all = append(all, o)
	}
	for _, decl := range d.Options {
		all = append(all, typed(decl))
	}
	return all
}

func typed(d grammar.OptionDecl) Option {
	o := Option{Type: discordgo.ApplicationCommandOptionString, Name: d.Name, Required: d.Required}
	_, o.Names = localised(func(t texts.Text) string { return d.NameIn(t) })
	o.Description, o.Descriptions = localised(func(t texts.Text) string { return d.Describe(t) })
	switch d.Kind {
	case grammar.KindInt:
		o.Type = discordgo.ApplicationCommandOptionInteger
		o.MinValue, o.MaxValue = positive(d.Min), positive(d.Max)
	case grammar.KindBool:
		o.Type = discordgo.ApplicationCommandOptionBoolean
	case grammar.KindUser:
		o.Type = discordgo.ApplicationCommandOptionUser
	case grammar.KindMeeting, grammar.KindDest, grammar.KindAccount:
		o.Autocomplete = true
	case grammar.KindChoice:
		for _, c := range d.Choices {
			choice := OptionChoice{Value: c.Value}
			choice.Name, choice.Names = localised(func(t texts.Text) string { return d.LabelOf(t, c) })
			o.Choices = append(o.Choices, choice)
		}
	default:
		o.MinLength, o.MaxLength = positive(d.Min), positive(min(d.Max, maxOptionLength))
	}
	return o
}

func positive(n int) *int {
	if n <= 0 {
		return nil
	}
	return &n
}

// check compares the commands with Discord's limits, which it otherwise tells only when
// they are registered.
func check(all []Command) error {
	if len(all) > maxCommands {
		return fmt.Errorf("%d commands; Discord takes %d", len(all), maxCommands)
	}
	for _, c := range all {
		chars := 0
		if err := checkTexts(c.Name, c.Name, c.Names, c.Description, c.Descriptions, &chars); err != nil {
			return err
		}
		if err := checkOptions(c.Name, c.Options, &chars); err != nil {
			return err
		}
		if chars > maxCommandText {
			return fmt.Errorf("command %s has %d characters of text; Discord takes %d", c.Name, chars, maxCommandText)
		}
	}
	return nil
}

func checkOptions(path string, options []Option, chars *int) error {
	if len(options) > maxCommandOptions {
		return fmt.Errorf("command %s has %d options; Discord takes %d", path, len(options), maxCommandOptions)
	}
	seen := map[string]bool{}
	for _, o := range options {
		path := path + " " + o.Name
		if seen[o.Name] {
			return fmt.Errorf("option %s is there twice", path)
		}
		seen[o.Name] = true
		if err := checkTexts(path, o.Name, o.Names, o.Description, o.Descriptions, chars); err != nil {
			return err
		}
		if len(o.Choices) > maxChoices {
			return fmt.Errorf("option %s has %d choices; Discord takes %d", path, len(o.Choices), maxChoices)
		}
		for _, c := range o.Choices {
			if err := checkLength(path, c.Name, maxChoice); err != nil {
				return err
			}
			*chars += kit.Len(c.Name) + kit.Len(c.Value)
		}
		if err := checkOptions(path, o.Options, chars); err != nil {
			return err
		}
	}
	return nil
}

// checkTexts also adds the longest localisation to chars, as Discord counts.
func checkTexts(path, name string, names map[discordgo.Locale]string, text string, texts map[discordgo.Locale]string, chars *int) error {
	longestName, longestText := kit.Len(name), kit.Len(text)
	for _, n := range names {
		if !commandName.MatchString(n) {
			return fmt.Errorf("%s: Discord does not take %q as a name", path, n)
		}
		longestName = max(longestName, kit.Len(n))
	}
	for _, s := range texts {
		if err := checkLength(path, s, maxDescription); err != nil {
			return err
		}
		longestText = max(longestText, kit.Len(s))
	}
	*chars += longestName + longestText
	return nil
}

func checkLength(path, s string, limit int) error {
	if n := kit.Len(s); n < 1 || n > limit {
		return fmt.Errorf("%s: %q has %d characters; Discord takes 1 to %d", path, s, n, limit)
	}
	return nil
}
