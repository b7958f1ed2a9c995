package config

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
)

const jsonAgentID = "agentId"

// formerKeys are those of the former agent that mean nothing here and harm nobody.
func formerKeys() []string {
	return []string{"daemon", "daemonName", "configDirectory", "configFileUsed"}
}

// readJSON takes the former agent's config.json apart: an object of texts, where the port may be a number.
func (l *loader) readJSON(path string, content []byte) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(content, &object); err != nil {
		l.problem("%s is not a JSON object: %s: mend it, or move its settings to NAME.env", path, jsonErrorText(content, err))
		return
	}
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		l.readJSONKey(path, key, object[key])
	}
}

func (l *loader) readJSONKey(path, key string, raw json.RawMessage) {
	if string(raw) == "null" || slices.Contains(formerKeys(), key) {
		return
	}
	at := slices.IndexFunc(l.settings, func(s Setting) bool { return s.JSONKey == key })
	switch {
	case at < 0 && key != jsonAgentID:
		l.warn("%s: %q is not a setting and has no effect", path, key)
		return
	}
	var text string
	var number json.Number
	switch {
	case json.Unmarshal(raw, &text) == nil:
	case at >= 0 && l.settings[at].Variable == varDBPort && json.Unmarshal(raw, &number) == nil:
		text = number.String()
	default:
		l.problem("%s: %q must be a text in double quotes, it is %s", path, key, jsonType(raw))
		return
	}
	if strings.ContainsRune(text, 0) {
		l.problem("%s: %q holds a NUL character, which no setting can", path, key)
		return
	}
	if key == jsonAgentID {
		l.config.AgentID = text
		return
	}
	l.layers.put(fromJSON, l.settings[at].Variable, path, text)
}

func jsonType(raw json.RawMessage) string {
	switch strings.TrimSpace(string(raw))[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a text"
	case 't', 'f':
		return "true or false"
	}
	return "a number"
}

// jsonErrorText says where the text stops being JSON, without quoting from it.
func jsonErrorText(content []byte, err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		before := string(content[:min(int(syntax.Offset), len(content))])
		return "syntax error in line " + strconv.Itoa(1+strings.Count(before, "\n"))
	}
	return "it holds " + jsonType(json.RawMessage(content))
}
