package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/dbacked/dbacked/pkg/config"
)

type manualCommand struct {
	Dir string `arg:"" help:"Folder that gets man1 and man5."`
}

// Help says what it is for.
func (*manualCommand) Help() string {
	return `For those who make packages: the pages are dated by $SOURCE_DATE_EPOCH when it is set.`
}

func (m *manualCommand) Run(a *app, k *kong.Context) error {
	for name, page := range manual(reference(k.Model), pageDate(a.environ)) {
		path := filepath.Join(m.Dir, "man"+name[len(name)-1:], name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("the manual could not be written: %w", err)
		}
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil { //nolint:gosec // a manual is for everybody
			return fmt.Errorf("the manual could not be written: %w", err)
		}
	}
	return nil
}

// pageDate is the date on each page: that of the sources, so that the same
// sources make the same pages.
func pageDate(environ []string) string {
	at := time.Now()
	for _, e := range environ {
		if value, ok := strings.CutPrefix(e, "SOURCE_DATE_EPOCH="); ok {
			if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
				at = time.Unix(seconds, 0)
			}
		}
	}
	return at.UTC().Format(time.DateOnly)
}

// manual returns every page by the name of its file.
func manual(commands []commandDoc, date string) map[string]string {
	pages := map[string]string{
		"dbacked.1":     overviewPage(commands, date),
		"dbacked.env.5": settingsPage(config.Settings(), date),
	}
	for _, c := range commands {
		pages["dbacked-"+c.name+".1"] = commandPage(c, date)
		for _, alias := range c.aliases {
			pages["dbacked-"+alias+".1"] = fmt.Sprintf(".so man1/dbacked-%s.1\n", c.name)
		}
	}
	return pages
}

// commandPage is the page of one command.
func commandPage(c commandDoc, date string) string {
	p := newPage("dbacked-"+c.name, 1, date)
	p.name("dbacked-"+c.name, asTitle(c.summary))
	p.section("SYNOPSIS")
	p.line(synopsis(c))
	for _, alias := range c.aliases {
		p.WriteString(".br\n")
		c.name = alias
		p.line(synopsis(c))
	}
	p.section("DESCRIPTION")
	p.text(c.summary + "\n\n" + c.detail)
	if len(c.args) > 0 {
		p.section("ARGUMENTS")
		for _, arg := range c.args {
			p.item(italic(arg.name), arg.help)
		}
	}
	p.section("OPTIONS")
	for _, g := range c.groups {
		if g.title != "" {
			p.subsection(g.title)
		}
		for _, f := range g.flags {
			p.item(flagTerm(f), f.help)
		}
	}
	exitSection(p)
	if len(c.examples) > 0 {
		p.section("EXAMPLES")
		p.example(c.examples...)
	}
	p.seeAlso("dbacked(1)", "dbacked.env(5)")
	return p.String()
}

func synopsis(c commandDoc) string {
	text := bold("dbacked " + c.name)
	closing := ""
	for _, arg := range c.args {
		open := " "
		if arg.optional {
			open, closing = " [", closing+"]"
		}
		text += open + italic(arg.name)
	}
	return text + closing + " [" + italic("flags") + "]"
}

func flagTerm(f flagDoc) string {
	term := bold("--" + f.name)
	if f.short != "" {
		term = bold("-"+f.short) + ", " + term
	}
	if f.placeholder != "" {
		term += "=" + italic(f.placeholder)
	}
	return term
}

func exitSection(p *roff) {
	p.section("EXIT STATUS")
	for _, e := range exitMeanings() {
		p.item(bold(strconv.Itoa(e.status)), strings.ToUpper(e.meaning[:1])+e.meaning[1:]+".")
	}
}

// asTitle makes a sentence what stands behind a name: no capital, no full stop.
func asTitle(sentence string) string {
	sentence = strings.TrimSuffix(sentence, ".")
	return strings.ToLower(sentence[:1]) + sentence[1:]
}

// credentialNames are the credentials that an instance can have, sorted.
func credentialNames() []string {
	var names []string
	for name := range config.Credentials() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
