package grammartest

import (
	"maps"
	"strings"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
)

// needs is what is typed for an option that a verb cannot do without.
func needs(d grammar.VerbDecl) map[string]string {
	values := map[string]string{}
	for _, o := range d.Options {
		if o.Required {
			values[o.Name] = "主站"
		}
	}
	if d.Verb == grammar.VerbPush || d.Verb == grammar.VerbPushSave {
		maps.Copy(values, map[string]string{"name": "主站", "url": "rtmp://ingest.example.com/live", "key": "canary-key"})
	}
	return values
}

// WaysTo returns every request that leads to a verb, from its declaration.
func WaysTo(d grammar.VerbDecl) map[string]chat.Request {
	ways := map[string]chat.Request{}
	values := needs(d)
	if d.Command != "" {
		words := []string{d.Name}
		for _, o := range d.Options {
			if value := values[o.Name]; value != "" && o.Position > 0 {
				words = append(words, value)
			} else if value != "" {
				words = append(words, "--"+o.Name, value)
			}
		}
		line := strings.TrimSpace(strings.Join(words, " "))
		ways["line"] = chat.Request{Command: d.Command, Text: line}
		if _, keyed := values["key"]; !keyed { // else it is told that everybody has seen the key
			ways["mention"] = chat.Request{Command: d.Command, Text: line, InTheOpen: true}
		}
		if d.Command == "livepush" && d.Name == "" {
			ways["bare line"] = chat.Request{Command: d.Command}
		}
		if d.Verb == grammar.VerbMeet {
			ways["shortcut"] = chat.Request{Command: d.Command, About: "The build is red"}
		}
	}
	if d.Typed != "" {
		ways["typed options"] = chat.Request{Command: d.Typed, Verb: d.TypedSub, Options: values}
	}
	if d.Form != "" {
		ways["form"] = chat.Request{Form: &chat.Submission{Form: d.Form, Fields: values}}
	}
	if d.Button != "" {
		arg := map[grammar.Takes]string{
			grammar.TakesMeeting: "tencent:806146601", grammar.TakesAnyMeeting: "tencent:806146601",
			grammar.TakesJob: "job", grammar.TakesDestination: "destination", grammar.TakesAddress: "tencent:806146601/all",
		}[d.Takes]
		ways["button"] = chat.Request{Action: &chat.Action{Name: d.Button, Arg: arg}}
	}
	return ways
}
