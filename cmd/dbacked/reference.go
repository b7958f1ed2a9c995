package main

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/dbacked/dbacked/pkg/config"
)

// commandDoc is a command as the manual and the completions tell of it: what
// kong's model says, without what is hidden.
type commandDoc struct {
	name     string
	aliases  []string
	summary  string // one sentence
	detail   string // paragraphs
	examples []string
	args     []argDoc
	groups   []groupDoc
}

// argDoc is an argument that is no flag.
type argDoc struct {
	name     string // "NAME"
	help     string
	optional bool
	values   []string // all it can be; none: anything
}

// groupDoc is what --help shows under one title.
type groupDoc struct {
	title string // empty for the flags of the command itself
	flags []flagDoc
}

// flagDoc is a flag.
type flagDoc struct {
	name, short string
	placeholder string // of its value; empty for a switch
	help        string // with default and variable
	brief       string // without them
	values      []string
}

const examplesTitle = "Examples:"

// reference walks kong's model.
func reference(app *kong.Application) []commandDoc {
	format := describeFlag(config.Settings())
	var docs []commandDoc
	for _, node := range app.Children {
		if node.Hidden {
			continue
		}
		detail, examples := splitDetail(node.Detail)
		doc := commandDoc{name: node.Name, aliases: node.Aliases, summary: node.Help, detail: detail, examples: examples}
		for _, arg := range node.Positional {
			doc.args = append(doc.args, argDoc{
				name: strings.ToUpper(arg.Name), help: arg.Help, optional: !arg.Required, values: words(arg),
			})
		}
		doc.groups = groupsOf(append([]*kong.Flag{app.HelpFlag}, node.Flags...), format)
		docs = append(docs, doc)
	}
	return docs
}

// splitDetail parts what a command's Help method says from its examples.
func splitDetail(text string) (detail string, examples []string) {
	detail, list, _ := strings.Cut(text, examplesTitle)
	for line := range strings.Lines(list) {
		if line = strings.TrimSpace(line); line != "" {
			examples = append(examples, line)
		}
	}
	return strings.TrimSpace(detail), examples
}

func groupsOf(flags []*kong.Flag, format kong.HelpValueFormatter) []groupDoc {
	groups := []groupDoc{{}}
	for _, flag := range flags {
		if flag == nil || flag.Hidden {
			continue
		}
		title := ""
		if flag.Group != nil {
			title = flag.Group.Title
		}
		i := slices.IndexFunc(groups, func(g groupDoc) bool { return g.title == title })
		if i < 0 {
			i = len(groups)
			groups = append(groups, groupDoc{title: title})
		}
		groups[i].flags = append(groups[i].flags, flagOf(flag, format))
	}
	return groups
}

func flagOf(flag *kong.Flag, format kong.HelpValueFormatter) flagDoc {
	doc := flagDoc{name: flag.Name, help: format(flag.Value), brief: flag.Help, values: words(flag.Value)}
	if flag.Short != 0 {
		doc.short = string(flag.Short)
	}
	if !flag.IsBool() {
		doc.placeholder = flag.PlaceHolder
		if doc.placeholder == "" {
			doc.placeholder = strings.ToUpper(flag.Name)
		}
	}
	return doc
}

// words are the values that are worth completing.
func words(v *kong.Value) []string {
	if v.Enum != "" {
		return v.EnumSlice()
	}
	if v.Flag == nil {
		return nil
	}
	switch v.Name {
	case "db-type":
		return []string{"pg", "mysql"}
	case "db-tls-mode":
		return []string{"disable", "prefer", "require", "verify-ca", "verify-full"}
	case "compression":
		return []string{"zstd", "gzip", "none"}
	case "format":
		return []string{"1", "legacy"}
	case "schedule":
		return []string{"@hourly", "@daily", "@weekly", "@monthly"}
	}
	return nil
}

// flags are all flags of the command.
func (c commandDoc) flags() []flagDoc {
	var all []flagDoc
	for _, g := range c.groups {
		all = append(all, g.flags...)
	}
	return all
}

// takesInstance tells whether the first argument is the name of an instance.
func (c commandDoc) takesInstance() bool {
	return len(c.args) > 0 && c.args[0].name == "NAME"
}
