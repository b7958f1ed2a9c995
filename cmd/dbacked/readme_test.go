package main

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/config"
)

var update = flag.Bool("update", false, "write the table of settings into README.md")

const readmePath = "../../README.md"

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(readmePath)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestReadmeHasEverySetting(t *testing.T) {
	var table strings.Builder
	table.WriteString("\n| flag | variable | default | meaning |\n|---|---|---|---|\n")
	escape := strings.NewReplacer("|", `\|`)
	for _, s := range config.Settings() {
		name := ""
		if s.Flag != "" {
			name = "`" + s.Flag + "`"
		}
		fmt.Fprintf(&table, "| %s | `%s` | %s | %s |\n", name, s.Variable, escape.Replace(s.Default), escape.Replace(s.Meaning))
	}
	table.WriteString("\n")
	marked := regexp.MustCompile(`(?s)(<!-- settings: [^>]*-->\n)(.*?)(<!-- settings end -->)`)
	text := readme(t)
	want := marked.ReplaceAllString(text, "${1}"+strings.ReplaceAll(table.String(), "$", "$$")+"${3}")
	if *update {
		if err := os.WriteFile(readmePath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text != want {
		t.Error("README.md is behind the settings: go test ./cmd/dbacked -run Readme -update")
	}
}

func TestReadmeHasEveryCommand(t *testing.T) {
	text := readme(t)
	for f := range reflect.TypeFor[commands]().Fields() {
		if _, hidden := f.Tag.Lookup("hidden"); hidden {
			continue
		}
		if name := strings.ToLower(f.Name); !strings.Contains(text, "| `dbacked "+name) {
			t.Errorf("README.md does not show dbacked %s", name)
		}
	}
}

func TestReadmeHasEveryExitStatus(t *testing.T) {
	text := readme(t)
	for _, e := range exitMeanings() {
		if !strings.Contains(text, fmt.Sprintf("\n| %d | %s |\n", e.status, e.meaning)) {
			t.Errorf("README.md does not explain status %d as the manual does", e.status)
		}
	}
}
