package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitDetail(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text, detail string
		examples     []string
	}{
		{"", "", nil},
		{"Some.\n\nMore.", "Some.\n\nMore.", nil},
		{"Examples:\n  dbacked x", "", []string{"dbacked x"}},
		{"Some.\n\nExamples:\n  dbacked x\n\n  dbacked y", "Some.", []string{"dbacked x", "dbacked y"}},
	} {
		detail, examples := splitDetail(test.text)
		if diff := cmp.Diff(test.examples, examples); detail != test.detail || diff != "" {
			t.Errorf("%q: %q\n%s", test.text, detail, diff)
		}
	}
}

func TestSynopsis(t *testing.T) {
	t.Parallel()
	name, backup := argDoc{name: "NAME", optional: true}, argDoc{name: "BACKUP", optional: true}
	for _, test := range []struct {
		args []argDoc
		want string
	}{
		{nil, `\fBdbacked x\fR [\fIflags\fR]`},
		{[]argDoc{name}, `\fBdbacked x\fR [\fINAME\fR] [\fIflags\fR]`},
		{[]argDoc{name, backup}, `\fBdbacked x\fR [\fINAME\fR [\fIBACKUP\fR]] [\fIflags\fR]`},
		{[]argDoc{{name: "SHELL"}}, `\fBdbacked x\fR \fISHELL\fR [\fIflags\fR]`},
	} {
		if got := synopsis(commandDoc{name: "x", args: test.args}); got != test.want {
			t.Errorf("%s instead of %s", got, test.want)
		}
	}
}

// What a help text may hold stays text in each of the languages.
func TestFlagsAreQuoted(t *testing.T) {
	t.Parallel()
	odd := flagDoc{name: "odd", short: "o", placeholder: "DIR:DIR", brief: `it's [a] "b" \ $c`}
	word := flagDoc{name: "word", placeholder: "WORD", brief: "w", values: []string{"x", "y"}}
	plain := flagDoc{name: "plain", brief: "p"}
	for _, test := range []struct{ got, want string }{
		{shellQuoted(zshFlag("--odd", odd)), `'--odd=[it'\''s \[a\] "b" \ $c]:DIR DIR:_files -/'`},
		{shellQuoted(zshFlag("-o", odd)), `'-o[it'\''s \[a\] "b" \ $c]:DIR DIR:_files -/'`},
		{zshFlag("--word", word), "--word=[w]:WORD:(x y)"},
		{zshFlag("--plain", plain), "--plain[p]"},
		{fishFlag(odd), ` -l odd -s o -x -a '(__fish_complete_directories)' -d 'it\'s [a] "b" \\ $c'`},
		{fishFlag(word), ` -l word -x -a 'x y' -d 'w'`},
		{fishFlag(plain), ` -l plain -d 'p'`},
		{fishFlag(flagDoc{name: "f", placeholder: "PEM|FILE", brief: "f"}), ` -l f -r -F -d 'f'`},
		{flagTerm(odd), `\fB\-o\fR, \fB\-\-odd\fR=\fIDIR:DIR\fR`},
		{withName("/etc/dbacked/NAME.env"), `\fB/etc/dbacked/\fR\fINAME\fR\fB.env\fR`},
		{withName("dbacked.target"), `\fBdbacked.target\fR`},
		{quoted(`a "b" -`), `"a \(dqb\(dq \-"`},
		{asTitle("Show the version."), "show the version"},
	} {
		if test.got != test.want {
			t.Errorf("%s\ninstead of\n%s", test.got, test.want)
		}
	}
}
