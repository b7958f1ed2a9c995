package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dbtest"
)

const testDate = "2026-11-23"

// model is the command line as kong sees it.
func model(t *testing.T) *kong.Application {
	t.Helper()
	parser, err := kong.New(new(commands), kong.Name("dbacked"))
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model
}

// eachFlag calls f with every command and flag that is not hidden, as kong
// knows them.
func eachFlag(t *testing.T, f func(command, flag string)) {
	t.Helper()
	count := 0
	for _, node := range model(t).Children {
		if node.Hidden {
			continue
		}
		f(node.Name, "help")
		for _, flag := range node.Flags {
			if !flag.Hidden {
				count++
				f(node.Name, flag.Name)
			}
		}
	}
	if count < 50 {
		t.Errorf("only %d flags were looked at", count)
	}
}

func TestManualHasEveryCommandAndFlag(t *testing.T) {
	t.Parallel()
	pages := manual(reference(model(t)), testDate)
	eachFlag(t, func(command, flag string) {
		page, ok := pages["dbacked-"+command+".1"]
		if !ok {
			t.Fatalf("there is no page of dbacked %s", command)
		}
		if !strings.Contains(page, `\fB\-\-`+escape(flag)+`\fR`) {
			t.Errorf("the page of dbacked %s does not have --%s", command, flag)
		}
		if !strings.Contains(pages["dbacked.1"], `\fBdbacked\-`+escape(command)+`\fR(1)`) {
			t.Errorf("dbacked(1) does not name dbacked %s", command)
		}
	})
	for name, page := range pages {
		if strings.Contains(page, "dbacked manual ") || strings.Contains(page, `\-\-job\fR`) || strings.Contains(name, "manual") {
			t.Errorf("%s speaks of what is hidden", name)
		}
	}
}

func TestManualHasEverySettingAndStatus(t *testing.T) {
	t.Parallel()
	pages := manual(reference(model(t)), testDate)
	for _, s := range config.Settings() {
		if !strings.Contains(pages["dbacked.env.5"], bold(s.Variable)+"\n") {
			t.Errorf("dbacked.env(5) does not have %s", s.Variable)
		}
	}
	for name := range config.Credentials() {
		if !strings.Contains(pages["dbacked.env.5"], bold("."+name)) {
			t.Errorf("dbacked.env(5) does not have the credential %s", name)
		}
	}
	for name, page := range pages {
		if strings.HasSuffix(name, ".5") || strings.HasPrefix(page, ".so ") {
			continue
		}
		_, section, _ := strings.Cut(page, `.SH "EXIT STATUS"`)
		section, _, _ = strings.Cut(section, ".SH ")
		if got := strings.Count(section, ".TP"); got != len(exitMeanings()) {
			t.Errorf("%s explains %d exit statuses of %d", name, got, len(exitMeanings()))
		}
	}
}

// Neither of the two programs that show manuals has anything to say about ours.
func TestManualIsClean(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newScreen(os.Stdin, os.Stdout, os.Stderr)
	if status := run(t.Context(), []string{"manual", dir}, s, []string{"SOURCE_DATE_EPOCH=1795449600"}); status != exitOK {
		t.Fatalf("exit status %d", status)
	}
	files, err := filepath.Glob(dir + "/man[15]/*")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d pages: %v", len(files), err)
	}
	handwritten, err := filepath.Glob("../../packaging/man/*.[15]")
	if err != nil || len(handwritten) < 2 {
		t.Fatalf("%d pages in packaging/man: %v", len(handwritten), err)
	}
	for _, program := range []string{"mandoc", "man"} {
		_, err := exec.LookPath(program)
		dbtest.Need(t, program, err)
	}
	for _, file := range append(files, handwritten...) {
		lint := exec.Command("mandoc", "-Tlint", "-Wall", file)
		if text, err := os.ReadFile(file); err != nil || strings.HasPrefix(string(text), ".so ") {
			continue // it includes a page by the path that it will have
		}
		if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("mandoc -Tlint: %v\n%s", err, out)
		}
		man := exec.Command("man", "--warnings=w", "-l", file)
		man.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANROFFSEQ=")
		var said strings.Builder
		man.Stderr = &said
		if err := man.Run(); err != nil || said.Len() > 0 {
			t.Errorf("man %s: %v\n%s", file, err, said.String())
		}
	}
}

func TestRoff(t *testing.T) {
	t.Parallel()
	p := newPage("dbacked-x", 1, testDate)
	p.text(".pgpass isn't a request, nor is \\fB; --flag …\n\nsecond")
	want := `.\" Made by "dbacked manual".
.TH "DBACKED\-X" 1 "2026-11-23" "dbacked ` + escape(version) + `" "dbacked"
.nh
.ad l
\&.pgpass isn\(aqt a request, nor is \efB; \-\-flag ...
.PP
second
`
	if diff := cmp.Diff(want, p.String()); diff != "" {
		t.Error(diff)
	}
}

// Values that are completed are ones that the help speaks of.
func TestWordsAreInTheHelp(t *testing.T) {
	t.Parallel()
	settings := config.Settings()
	for _, c := range reference(model(t)) {
		for _, f := range c.flags() {
			i := slices.IndexFunc(settings, func(s config.Setting) bool { return s.Flag == "--"+f.name })
			if i < 0 {
				continue
			}
			for _, word := range f.values {
				if !strings.Contains(settings[i].Meaning, word) {
					t.Errorf("--%s offers %q, of which its help does not speak: %s", f.name, word, settings[i].Meaning)
				}
			}
		}
	}
}

func TestPageDate(t *testing.T) {
	t.Parallel()
	if got := pageDate([]string{"A=b", "SOURCE_DATE_EPOCH=1795449600"}); got != testDate {
		t.Errorf("got %s", got)
	}
}
