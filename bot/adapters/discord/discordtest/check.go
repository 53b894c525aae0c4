package discordtest

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
)

func length(s string) int { return len(utf16.Encode([]rune(s))) }

// CheckMessage says what Discord would refuse in the body of a message, or what ours must
// never be; it returns "" for a good one.
func CheckMessage(b json.RawMessage, files []string) string {
	var body map[string]any
	if json.Unmarshal(b, &body) != nil {
		return "unreadable"
	}
	return checkBody(body, files)
}

func checkBody(body map[string]any, files []string) string {
	flags, _ := body["flags"].(float64)
	mentions, _ := body["allowed_mentions"].(map[string]any)
	parse, listed := mentions["parse"].([]any)
	switch {
	case int(flags)&ComponentsV2 == 0:
		return "no flag for components"
	case body["content"] != nil || body["embeds"] != nil:
		return "content or embeds beside components"
	case !listed || len(parse) > 0:
		return "allowed_mentions lets text notify people"
	}
	count, chars := 0, 0
	ids := map[string]bool{}
	fault := ""
	bad := func(format string, args ...any) { fault = fmt.Sprintf(format, args...) }
	attached := map[string]bool{}
	for _, f := range files {
		attached["attachment://"+f] = true
	}
	raw, _ := json.Marshal(body)
	walk(raw, func(v map[string]any) {
		kind, ok := v["type"].(float64)
		if !ok {
			if u, _ := v["url"].(string); strings.HasPrefix(u, "attachment://") && !attached[u] {
				bad("%s is not attached", u)
			}
			return
		}
		count++
		id, _ := v["custom_id"].(string)
		url, _ := v["url"].(string)
		label, _ := v["label"].(string)
		content, _ := v["content"].(string)
		chars += length(content)
		children, _ := v["components"].([]any)
		switch kind {
		case 1:
			if len(children) < 1 || len(children) > 5 {
				bad("a row of %d buttons", len(children))
			}
		case 2:
			switch {
			case label == "" || length(label) > 80:
				bad("a button's label of %d characters", length(label))
			case (id == "") == (url == ""):
				bad("a button needs a custom_id or a url")
			case len(id) > 100 || id != "" && ids[id]:
				bad("custom_id %q is too long or there twice", id)
			case length(url) > 512:
				bad("a button's URL of %d characters", length(url))
			}
			ids[id] = true
		case 10:
			if strings.TrimSpace(content) == "" {
				bad("an empty text")
			}
		case 17:
			if len(children) == 0 {
				bad("an empty container")
			}
		}
	})
	switch {
	case fault != "":
		return fault
	case count == 0 || count > 40:
		return fmt.Sprintf("%d components", count)
	case chars > 4000:
		return fmt.Sprintf("%d characters", chars)
	}
	return ""
}

// checkCallback says what Discord would refuse as a first response to an interaction.
func checkCallback(kind int, ack Ack, c Call) string {
	var data map[string]any
	if len(ack.Data) > 0 && json.Unmarshal(ack.Data, &data) != nil {
		return "unreadable"
	}
	switch ack.Type {
	case 1:
		return ""
	case 4:
		return checkBody(data, c.Files)
	case 5:
		if flags := ack.Flags(); flags != 0 && flags != Ephemeral {
			return "a deferred response with other flags than EPHEMERAL"
		}
		return ""
	case 8:
		choices, ok := data["choices"].([]any)
		if kind != 4 || !ok || len(choices) > 25 {
			return "not a completion"
		}
		for _, v := range choices {
			choice, _ := v.(map[string]any)
			name, _ := choice["name"].(string)
			value, _ := choice["value"].(string)
			if name == "" || length(name) > 100 || value == "" || length(value) > 100 {
				return "a choice of the wrong length"
			}
		}
		return ""
	case 9:
		if kind == 5 {
			return "a form as the answer to a form"
		}
		return checkModal(data)
	}
	return fmt.Sprintf("type %d", ack.Type)
}

func checkModal(data map[string]any) string {
	id, _ := data["custom_id"].(string)
	title, _ := data["title"].(string)
	parts, _ := data["components"].([]any)
	if id == "" || len(id) > 100 || title == "" || length(title) > 45 || len(parts) < 1 || len(parts) > 5 {
		return "a form of the wrong size"
	}
	for _, p := range parts {
		part, _ := p.(map[string]any)
		switch part["type"] {
		case 10.0:
			continue
		case 18.0:
		default:
			return fmt.Sprintf("component %v in a form", part["type"])
		}
		label, _ := part["label"].(string)
		hint, _ := part["description"].(string)
		inner, _ := part["component"].(map[string]any)
		if label == "" || length(label) > 45 || length(hint) > 100 || inner["custom_id"] == "" {
			return fmt.Sprintf("label %q", label)
		}
		if inner["type"] == 3.0 {
			if options, _ := inner["options"].([]any); len(options) < 1 || len(options) > 25 {
				return "a select of the wrong size"
			}
		}
	}
	return ""
}
