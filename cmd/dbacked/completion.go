package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// Help shows how it is used.
func (*completionCommand) Help() string {
	return `The packages install these scripts where the shells look for them.

Examples:
  source <(dbacked completion bash)
  dbacked completion zsh > ~/.zfunc/_dbacked
  dbacked completion fish > ~/.config/fish/completions/dbacked.fish`
}

func (c *completionCommand) Run(a *app, k *kong.Context) error {
	script := map[string]func([]commandDoc) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell]
	_, err := fmt.Fprint(a.out, script(reference(k.Model)))
	return err
}

// kinds of values that shells complete by themselves
const (
	anyValue = iota
	fileValue
	folderValue
)

// kind tells what a flag's value is, by its placeholder.
func (f flagDoc) kind() int {
	switch {
	case strings.Contains(f.placeholder, "FILE"):
		return fileValue
	case strings.Contains(f.placeholder, "DIR"):
		return folderValue
	}
	return anyValue
}

// given are all ways to write a flag.
func (f flagDoc) given() []string {
	if f.short == "" {
		return []string{"--" + f.name}
	}
	return []string{"--" + f.name, "-" + f.short}
}
