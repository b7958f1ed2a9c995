package main

import (
	"fmt"
	"strings"
)

const zshHead = `#compdef dbacked
# zsh completion of dbacked, made by "dbacked completion zsh"

_dbacked_instances() {
	local -a instances
	instances=(${DBACKED_CONFIG_DIRECTORY:-/etc/dbacked}/*.env(N:t:r))
	_describe instance instances
}

_dbacked() {
	local curcontext=$curcontext state line
	local -a commands
	_arguments -C '(- *)--help[show help]' '1:command:->command' '*::argument:->argument'
	case $state in
	command)
		commands=(
`

// zshCompletion is the script for zsh.
func zshCompletion(commands []commandDoc) string {
	var s strings.Builder
	s.WriteString(zshHead)
	for _, c := range commands {
		for _, name := range append([]string{c.name}, c.aliases...) {
			fmt.Fprintf(&s, "\t\t\t%s\n", shellQuoted(name+":"+asTitle(c.summary)))
		}
	}
	s.WriteString("\t\t)\n\t\t_describe command commands\n\t\t;;\n\targument)\n\t\tcase $words[1] in\n")
	for _, c := range commands {
		fmt.Fprintf(&s, "\t\t%s)\n\t\t\t_arguments", strings.Join(append([]string{c.name}, c.aliases...), "|"))
		for _, f := range c.flags() {
			for _, given := range f.given() {
				fmt.Fprintf(&s, " \\\n\t\t\t\t%s", shellQuoted(zshFlag(given, f)))
			}
		}
		for i, arg := range c.args {
			fmt.Fprintf(&s, " \\\n\t\t\t\t%s", shellQuoted(zshArgument(i, arg)))
		}
		s.WriteString("\n\t\t\t;;\n")
	}
	s.WriteString("\t\tesac\n\t\t;;\n\tesac\n}\n\n")
	// Autoloaded, this file is the function itself; sourced, it has to be told.
	s.WriteString("if [[ $funcstack[1] == _dbacked ]]; then\n\t_dbacked \"$@\"\nelse\n\tcompdef _dbacked dbacked\nfi\n")
	return s.String()
}

func zshFlag(given string, f flagDoc) string {
	help := "[" + strings.NewReplacer("[", `\[`, "]", `\]`).Replace(f.brief) + "]"
	if f.placeholder == "" {
		return given + help
	}
	if strings.HasPrefix(given, "--") {
		given += "="
	}
	action := ""
	switch {
	case len(f.values) > 0:
		action = "(" + strings.Join(f.values, " ") + ")"
	case f.kind() == fileValue:
		action = "_files"
	case f.kind() == folderValue:
		action = "_files -/"
	}
	return given + help + ":" + strings.ReplaceAll(f.placeholder, ":", " ") + ":" + action
}

func zshArgument(i int, arg argDoc) string {
	action := ""
	switch {
	case len(arg.values) > 0:
		action = "(" + strings.Join(arg.values, " ") + ")"
	case i == 0 && arg.name == "NAME":
		action = "_dbacked_instances"
	}
	optional := ":"
	if arg.optional {
		optional = "::"
	}
	return fmt.Sprintf("%d%s%s:%s", i+1, optional, arg.name, action)
}

// shellQuoted is one word in bash and zsh.
func shellQuoted(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
