package main

import (
	"fmt"
	"strings"
)

// lineLength is the most that a line of a page should have.
const lineLength = 78

// roff is a page of the manual, in the macros of man(7).
type roff struct{ strings.Builder }

// newPage begins a page: its name in capitals, its section, and a date.
func newPage(name string, section int, date string) *roff {
	p := new(roff)
	fmt.Fprintf(p, ".\\\" Made by \"dbacked manual\".\n.TH %s %d %s %s %s\n", quoted(strings.ToUpper(name)), section, `"`+date+`"`, quoted("dbacked "+version), quoted("dbacked"))
	p.WriteString(".nh\n.ad l\n") // commands and paths are not to be broken or stretched
	return p
}

func (p *roff) section(title string)    { fmt.Fprintf(p, ".SH %s\n", quoted(title)) }
func (p *roff) subsection(title string) { fmt.Fprintf(p, ".SS %s\n", quoted(title)) }

// name is the line that apropos(1) and whatis(1) read.
func (p *roff) name(name, summary string) {
	p.section("NAME")
	p.fill(strings.Fields(name + " - " + summary))
}

// text writes paragraphs, parted by empty lines.
func (p *roff) text(text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			p.WriteString(".PP\n")
		}
		p.fill(strings.Fields(paragraph))
	}
}

// fill writes words in lines that are not too long.
func (p *roff) fill(words []string) {
	line := ""
	for _, word := range words {
		word = escape(word)
		if line != "" && len(line)+1+len(word) > lineLength {
			p.line(line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	p.line(line)
}

// next begins a paragraph that is not the first.
func (p *roff) next() { p.WriteString(".PP\n") }

// item writes a term, which is in roff already, and what it means.
func (p *roff) item(term, meaning string) {
	p.WriteString(".TP\n")
	p.line(term)
	p.text(meaning)
}

// example writes lines as they are.
func (p *roff) example(lines ...string) {
	p.WriteString(".RS 4\n.nf\n")
	for _, line := range lines {
		p.line(escape(line))
	}
	p.WriteString(".fi\n.RE\n")
}

// seeAlso writes references to other pages, as in "dbacked(1)".
func (p *roff) seeAlso(pages ...string) {
	p.section("SEE ALSO")
	for i, page := range pages {
		name, section, _ := strings.Cut(page, "(")
		comma := ","
		if i == len(pages)-1 {
			comma = ""
		}
		fmt.Fprintf(p, ".BR %s (%s%s\n", escape(name), section, comma)
	}
}

// line writes a line of text, which must not look like a request.
func (p *roff) line(text string) {
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	p.WriteString(text + "\n")
}

// bold and italic set text that is not in roff yet.
func bold(text string) string   { return `\fB` + escape(text) + `\fR` }
func italic(text string) string { return `\fI` + escape(text) + `\fR` }

// quoted is an argument of a macro.
func quoted(text string) string {
	return `"` + strings.ReplaceAll(escape(text), `"`, `\(dq`) + `"`
}

// escape makes text stand for itself. A dash is a dash that can be copied, and
// what old terminals lack is written in ASCII.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...", "’", `\(aq`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
}
