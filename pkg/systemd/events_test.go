package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

const catalogFile = "../../systemd/dbacked.catalog"

// entry is an entry of the catalogue.
type entry struct {
	headers map[string]string
	body    string
}

func readCatalog(t *testing.T) map[string]entry {
	t.Helper()
	data, err := os.ReadFile(catalogFile)
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]entry{}
	for part := range strings.SplitSeq("\n"+regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(data), ""), "\n-- ") {
		id, rest, _ := strings.Cut(part, "\n")
		if strings.TrimSpace(id) == "" {
			continue
		}
		head, body, ok := strings.Cut(rest, "\n\n")
		if _, double := entries[id]; double || !ok {
			t.Errorf("the entry %s is there twice, or has no text", id)
		}
		e := entry{map[string]string{}, strings.TrimSpace(body)}
		for line := range strings.Lines(head) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			e.headers[name] = value
		}
		entries[id] = e
	}
	return entries
}

func TestEachEventIsExplained(t *testing.T) {
	entries := readCatalog(t)
	wellFormed := regexp.MustCompile(`^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$`)
	for _, e := range Events() {
		got, ok := entries[e.MessageID]
		if !ok || !wellFormed.MatchString(e.MessageID) {
			t.Errorf("%s: %s has no entry, or is no random id", e.Name, e.MessageID)
			continue
		}
		delete(entries, e.MessageID)
		if MessageID(e.Name) != e.MessageID {
			t.Errorf("%s is there twice", e.Name)
		}
		for _, name := range []string{"Subject", "Defined-By", "Support", "Documentation"} {
			if got.headers[name] == "" {
				t.Errorf("%s: no %s", e.Name, name)
			}
		}
		if !strings.Contains(got.headers["Subject"], "@DBACKED_INSTANCE@") || !strings.Contains(got.body, "\n    ") {
			t.Errorf("%s: the entry does not name the instance, or no command", e.Name)
		}
	}
	for id := range entries {
		t.Errorf("%s is no event", id)
	}
	if MessageID("no-such-event") != "" {
		t.Error("an event that is none has an id")
	}
}

// journalctl shows a field that an entry lacks, or that is longer than 256
// bytes, by its name. So the catalogue may use short ones only that are there.
func TestCatalogUsesFieldsThatAreThere(t *testing.T) {
	also := map[string]string{
		EventBackupStarted: "DBACKED_REASON",
		EventBackupProved:  "DBACKED_BACKUP_ID",
		EventBackupPartial: "DBACKED_BACKUP_ID",
		EventBackupFailed:  "DBACKED_STAGE",
	}
	variable := regexp.MustCompile(`@([A-Z_]+)@`) // as systemd reads it: no digits
	entries := readCatalog(t)
	for _, e := range Events() {
		text := entries[e.MessageID].headers["Subject"] + "\n" + entries[e.MessageID].body
		for _, m := range variable.FindAllStringSubmatch(text, -1) {
			if m[1] != "DBACKED_INSTANCE" && m[1] != also[e.Name] {
				t.Errorf("%s: @%s@ may not be there", e.Name, m[1])
			}
		}
		for line := range strings.Lines(text) {
			if len(line) > 79 {
				t.Errorf("%s: a long line: %s", e.Name, line)
			}
		}
	}
}

// What the program logs as an event must be one.
func TestLoggedEventsAreKnown(t *testing.T) {
	logged := regexp.MustCompile(`zap\.String\("event", "([^"]*)"\)`)
	found := 0
	for _, pattern := range []string{"../*/*.go", "../../cmd/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil || strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, m := range logged.FindAllStringSubmatch(string(data), -1) {
				found++
				if MessageID(m[1]) == "" {
					t.Errorf("%s logs the event %q, which has no explanation", file, m[1])
				}
			}
		}
	}
	if found == 0 {
		t.Error("no event is logged anywhere")
	}
}

func TestJournalctlTakesTheCatalog(t *testing.T) {
	_, err := exec.LookPath("journalctl")
	dbtest.Need(t, "journalctl", err)
	root := t.TempDir()
	folder := filepath.Join(root, "usr/lib/systemd/catalog")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(catalogFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "dbacked.catalog"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(arg string) string {
		out, err := exec.CommandContext(t.Context(), "journalctl", "--root="+root, arg).CombinedOutput()
		if err != nil {
			t.Fatalf("journalctl %s: %v: %s", arg, err, out)
		}
		return string(out)
	}
	if said := run("--update-catalog"); said != "" {
		t.Errorf("journalctl complains: %s", said)
	}
	var want, got []string
	for _, e := range Events() {
		want = append(want, e.MessageID)
	}
	for line := range strings.Lines(run("--list-catalog")) {
		id, _, _ := strings.Cut(line, " ")
		got = append(got, id)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
