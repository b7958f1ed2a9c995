package dumper

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// fakeTool is a folder with a program that says a version.
func fakeTool(t *testing.T, name, version string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	text := "#!/bin/sh\necho '" + name + " (PostgreSQL) " + version + "'\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPickTool(t *testing.T) {
	v96, v16, v18, v19 := fakeTool(t, "pg_dump", "9.6.24"), fakeTool(t, "pg_dump", "16.9 (Debian)"), fakeTool(t, "pg_dump", "18.1"), fakeTool(t, "pg_dump", "19beta1")
	for _, test := range []struct {
		paths  []string
		server pgRelease
		want   string // folder
	}{
		{[]string{v96, v16, v18}, 1600, v16}, // the first that is good enough
		{[]string{v96, v18, v16}, 1600, v18},
		{[]string{v96, v16, v19}, 1700, v19},
		{[]string{v96, v16}, 906, v96},
		{[]string{v96, v16, "/no/such/folder"}, 1800, ""},
	} {
		p := NewPostgres(Connection{}, Limits{}, Tools{Path: test.paths, Environ: []string{"PATH=/usr/bin"}}, nil)
		got, err := p.dumpTool(context.Background(), test.server)
		if test.want == "" {
			wantError(t, err, "needs a pg_dump that is not older", "postgresql-client-18", v16+"/pg_dump (16)")
			continue
		}
		if err != nil || filepath.Dir(got.path) != test.want {
			t.Errorf("for %s: %+v, %v", test.server, got, err)
		}
	}
	bad := t.TempDir()
	if err := os.WriteFile(filepath.Join(bad, "pg_dump"), []byte("#!/bin/sh\necho hello"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := NewPostgres(Connection{}, Limits{}, Tools{Path: []string{bad}}, nil).dumpTool(context.Background(), 1500)
	wantError(t, err, "DBACKED_TOOLS_PATH names, does not run", "not a version")
}

// TestDebiansWrapperIsNotATool: it chooses among versions by rules of its own.
func TestDebiansWrapperIsNotATool(t *testing.T) {
	for _, path := range pgInstalled("pg_dump", "/usr/bin:"+fakeTool(t, "pg_dump", "15.1")) {
		if filepath.Dir(path) == "/usr/bin" || pgIsScript(path) {
			t.Errorf("found %s", path)
		}
	}
}

func TestPgBetter(t *testing.T) {
	tool := func(r pgRelease) pgTool { return pgTool{release: r, path: r.String()} }
	for _, test := range []struct {
		server pgRelease
		order  []pgRelease // best first
	}{
		{1500, []pgRelease{1500, 1600, 1400, 1300, 1700, 1800}},
		{1700, []pgRelease{1700, 1800, 1600, 1500}},
	} {
		for i := range test.order {
			for j := range test.order {
				if i != j && pgBetter(tool(test.order[i]), tool(test.order[j]), test.server) != (i < j) {
					t.Errorf("for %s: %s against %s", test.server, test.order[i], test.order[j])
				}
			}
		}
	}
}

func TestParsePgRelease(t *testing.T) {
	for text, want := range map[string]string{"15.18 (Debian 15.18-0+deb12u1)": "15", "9.6.24": "9.6", "19beta1": "19", "10": "10"} {
		if got, err := parsePgRelease(text); err != nil || got.String() != want {
			t.Errorf("%s is %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x15", "99999999999999999999", "-1"} {
		if got, err := parsePgRelease(text); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}

func TestPostgresOptions(t *testing.T) {
	for _, test := range []struct {
		options []string
		refused string
	}{
		{nil, ""},
		{[]string{"--schema=a", "-T", "-Fp", "--exclude-table-data=x", "-vO", "-n", "s", "--no-unlogged-table-data", "--role=x", "--no-comments"}, ""},
		{[]string{"--enable-row-security"}, "enable-row-security"},
		{[]string{"--enable-r"}, "enable-row-security"},
		{[]string{"-Fp"}, "format"},
		{[]string{"-vFp"}, "format"},
		{[]string{"--format", "p"}, "format"},
		{[]string{"--form=p"}, "format"},
		{[]string{"-f", "x"}, "file"},
		{[]string{"-j4"}, "jobs"},
		{[]string{"-Z9"}, "compress"},
		{[]string{"-s"}, "schema-only"},
		{[]string{"--schema-only"}, "schema-only"},
		{[]string{"-vd", "x"}, "dbname"},
		{[]string{"-h", "x"}, "host"},
		{[]string{"--lock-wait-timeout=1"}, "lock-wait-timeout"},
		{[]string{"--"}, ""},
		{[]string{"--version"}, "version"},
		{[]string{"-W"}, "password"},
	} {
		err := NewPostgres(Connection{}, Limits{}, Tools{Options: test.options}, nil).CheckOptions()
		if test.refused != "" {
			wantError(t, err, "DBACKED_DUMPER_OPTIONS", "--"+test.refused)
		} else if (err != nil) != (len(test.options) == 1 && test.options[0] == "--") {
			t.Errorf("%q: %v", test.options, err)
		}
	}
}
