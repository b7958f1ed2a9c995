package main

import (
	"fmt"
	"strings"
)

const fishHead = `# fish completion of dbacked, made by "dbacked completion fish"

function __dbacked_instances
	set -l folder /etc/dbacked
	set -q DBACKED_CONFIG_DIRECTORY; and set folder $DBACKED_CONFIG_DIRECTORY
	for file in $folder/*.env
		string replace -r '.*/(.*)\.env$' '$1' -- $file
	end
end

complete -c dbacked -f
`

// fishCompletion is the script for fish.
func fishCompletion(commands []commandDoc) string {
	var s strings.Builder
	s.WriteString(fishHead)
	for _, c := range commands {
		names := strings.Join(append([]string{c.name}, c.aliases...), " ")
		for _, name := range append([]string{c.name}, c.aliases...) {
			fmt.Fprintf(&s, "complete -c dbacked -n __fish_use_subcommand -a %s -d %s\n", name, fishQuoted(asTitle(c.summary)))
		}
		when := "-n " + fishQuoted("__fish_seen_subcommand_from "+names)
		for _, f := range c.flags() {
			fmt.Fprintf(&s, "complete -c dbacked %s%s\n", when, fishFlag(f))
		}
		switch {
		case c.takesInstance():
			fmt.Fprintf(&s, "complete -c dbacked %s -a '(__dbacked_instances)'\n", when)
		case len(c.args) > 0 && len(c.args[0].values) > 0:
			fmt.Fprintf(&s, "complete -c dbacked %s -a %s\n", when, fishQuoted(strings.Join(c.args[0].values, " ")))
		}
	}
	return s.String()
}

func fishFlag(f flagDoc) string {
	text := " -l " + f.name
	if f.short != "" {
		text += " -s " + f.short
	}
	switch {
	case f.placeholder == "":
	case len(f.values) > 0:
		text += " -x -a " + fishQuoted(strings.Join(f.values, " "))
	case f.kind() == fileValue:
		text += " -r -F"
	case f.kind() == folderValue:
		text += " -x -a '(__fish_complete_directories)'"
	default:
		text += " -x"
	}
	return text + " -d " + fishQuoted(f.brief)
}

// fishQuoted is one word in fish.
func fishQuoted(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}
