package config

import (
	"reflect"
	"strings"
)

// prefix begins the name of every variable that is dbacked's own.
const prefix = "DBACKED_"

// Setting describes one setting, for manuals and error messages.
type Setting struct {
	Flag     string // "--db-host"; empty for what must not be a flag
	Variable string // "DBACKED_DB_HOST"
	JSONKey  string // "dbHost", its name in config.json; empty where config.json cannot hold it
	Default  string // in words where it depends on something; empty when there is none
	Meaning  string // one or two sentences, those of --help
	Secret   bool   // its value is a secret; the setting with the same variable and _FILE takes a file instead
	index    []int  // of the field in Flags
}

// Settings returns every setting, in the order of Flags.
func Settings() []Setting {
	var all []Setting
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Flags]()) {
		if field.Anonymous {
			continue
		}
		all = append(all, settingOf(field))
	}
	return all
}

func settingOf(field reflect.StructField) Setting {
	name := field.Tag.Get("name")
	s := Setting{
		Variable: field.Tag.Get("variable"),
		Default:  field.Tag.Get("builtin"),
		Meaning:  field.Tag.Get("help"),
		Secret:   field.Type == reflect.TypeFor[Secret](),
		index:    field.Index,
	}
	if s.Variable == "" {
		s.Variable = prefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	}
	if name != "" {
		s.Flag, s.JSONKey = "--"+name, camelCase(name)
	}
	if s.Variable == varConfigDirectory {
		s.JSONKey = ""
	}
	return s
}

// String names the setting in messages, both ways: "DBACKED_DB_HOST (--db-host)".
func (s Setting) String() string {
	if s.Flag == "" {
		return s.Variable
	}
	return s.Variable + " (" + s.Flag + ")"
}

// texts returns what the flags hold for the setting: no text when the flag was not given.
func (s Setting) texts(flags Flags) []string {
	var texts []string
	switch value := reflect.ValueOf(flags).FieldByIndex(s.index).Interface().(type) {
	case string:
		texts = []string{value}
	case Secret:
		texts = []string{value.Reveal()}
	case []string:
		texts = value
	}
	given := make([]string, 0, len(texts))
	for _, text := range texts {
		if text != "" {
			given = append(given, text)
		}
	}
	return given
}

// camelCase turns "db-host" into "dbHost", the former agent's way in config.json.
func camelCase(name string) string {
	words := strings.Split(name, "-")
	for i, word := range words[1:] {
		words[i+1] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, "")
}
