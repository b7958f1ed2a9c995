package main

import (
	"fmt"
	"strings"
)

// bashHead finds out what is being completed: the command, how many arguments
// stand before the cursor, and the flag whose value is wanted. To bash, "=" is a
// word of its own.
const bashHead = `# bash completion of dbacked, made by "dbacked completion bash"

_dbacked_instances() {
	local file
	for file in "${DBACKED_CONFIG_DIRECTORY:-/etc/dbacked}"/*.env; do
		[[ -e $file ]] && basename "$file" .env
	done
}

_dbacked_words() { # WORDS
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

_dbacked_paths() { # file|directory
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -A "$1" -- "$cur")
}

_dbacked() {
	local cur=${COMP_WORDS[COMP_CWORD]} flag='' command=${COMP_WORDS[1]} flags='' valued='' count=0 i
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		_dbacked_words "$_dbacked_commands"
		return
	fi
	_dbacked_flags "$command"
	for ((i = 2; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		=) flag= ;;
		-*)
			flag=
			[[ " $valued " == *" ${COMP_WORDS[i]} "* ]] && flag=${COMP_WORDS[i]}
			[[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))
			;;
		*) if [[ $flag ]]; then flag=; else ((count++)); fi ;;
		esac
	done
	[[ $cur == = ]] && cur=
	if [[ $flag ]]; then
		_dbacked_value "$flag"
	elif [[ $cur == -* ]]; then
		_dbacked_words "$flags"
	else
		_dbacked_argument "$command" "$count"
	fi
}
`

// bashCompletion is the script for bash.
func bashCompletion(commands []commandDoc) string {
	var s strings.Builder
	s.WriteString(bashHead)
	var names []string
	for _, c := range commands {
		names = append(append(names, c.name), c.aliases...)
	}
	fmt.Fprintf(&s, "\n_dbacked_commands='%s --help'\n", strings.Join(names, " "))
	s.WriteString("\n_dbacked_flags() { # COMMAND\n\tcase $1 in\n")
	for _, c := range commands {
		var all, valued []string
		for _, f := range c.flags() {
			all = append(all, f.given()...)
			if f.placeholder != "" {
				valued = append(valued, f.given()...)
			}
		}
		fmt.Fprintf(&s, "\t%s)\n\t\tflags='%s'\n\t\tvalued='%s'\n\t\t;;\n", strings.Join(append([]string{c.name}, c.aliases...), " | "), strings.Join(all, " "), strings.Join(valued, " "))
	}
	s.WriteString("\tesac\n}\n")
	bashValues(&s, commands)
	bashArguments(&s, commands)
	s.WriteString("\ncomplete -F _dbacked dbacked\n")
	return s.String()
}

// bashValues completes the values of flags; a flag means the same in every
// command.
func bashValues(s *strings.Builder, commands []commandDoc) {
	s.WriteString("\n_dbacked_value() { # FLAG\n\tcase $1 in\n")
	seen := map[string]bool{}
	for _, c := range commands {
		for _, f := range c.flags() {
			if seen[f.name] {
				continue
			}
			seen[f.name] = true
			pattern := strings.Join(f.given(), " | ")
			switch {
			case len(f.values) > 0:
				fmt.Fprintf(s, "\t%s) _dbacked_words '%s' ;;\n", pattern, strings.Join(f.values, " "))
			case f.kind() == fileValue:
				fmt.Fprintf(s, "\t%s) _dbacked_paths file ;;\n", pattern)
			case f.kind() == folderValue:
				fmt.Fprintf(s, "\t%s) _dbacked_paths directory ;;\n", pattern)
			}
		}
	}
	s.WriteString("\tesac\n}\n")
}

func bashArguments(s *strings.Builder, commands []commandDoc) {
	s.WriteString("\n_dbacked_argument() { # COMMAND COUNT\n\tcase $1:$2 in\n")
	for _, c := range commands {
		for _, name := range append([]string{c.name}, c.aliases...) {
			switch {
			case c.takesInstance():
				fmt.Fprintf(s, "\t%s:0) _dbacked_words \"$(_dbacked_instances)\" ;;\n", name)
			case len(c.args) > 0 && len(c.args[0].values) > 0:
				fmt.Fprintf(s, "\t%s:0) _dbacked_words '%s' ;;\n", name, strings.Join(c.args[0].values, " "))
			}
		}
	}
	s.WriteString("\tesac\n}\n")
}
