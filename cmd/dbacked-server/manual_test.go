package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// model is the command line.
func model(t *testing.T) *kong.Kong {
	t.Helper()
	parser, err := kong.New(new(commands), kong.Name("dbacked-server"))
	must(t, err)
	return parser
}

// flags are those of all commands, each once.
func flags(t *testing.T) (all []*kong.Flag) {
	t.Helper()
	for _, leaf := range model(t).Model.Leaves(true) {
		for _, group := range leaf.AllFlags(true) {
			for _, flag := range group {
				if !slices.ContainsFunc(all, func(f *kong.Flag) bool { return f.Name == flag.Name }) {
					all = append(all, flag)
				}
			}
		}
	}
	return all
}

// TestManualSaysEverything wants each command, flag and variable in the manual.
func TestManualSaysEverything(t *testing.T) {
	text, err := os.ReadFile("../../packaging/man/dbacked-server.1")
	must(t, err)
	page := strings.ReplaceAll(string(text), `\-`, "-")
	for _, leaf := range model(t).Model.Leaves(true) {
		if name := leaf.Path(); !strings.Contains(page, "\n.B dbacked-server "+name) {
			t.Errorf("the manual does not say %q", name)
		}
	}
	found := flags(t)
	if len(found) < 10 {
		t.Errorf("only %d flags", len(found))
	}
	for _, flag := range found {
		if !strings.Contains(page, "--"+flag.Name) {
			t.Errorf("the manual does not say --%s", flag.Name)
		}
		for _, name := range flag.Envs {
			if !strings.Contains(page, name) {
				t.Errorf("the manual does not say %s", name)
			}
		}
	}
}
