package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.env")
	must(t, os.WriteFile(file, []byte("# a comment\nDBACKED_SERVER_DATA=\"/srv/a b\"\nDBACKED_SERVER_FILES=s3://bucket/$x\nAWS_SECRET_ACCESS_KEY=of-the-file\n"), 0o600))
	names := []string{"DBACKED_SERVER_DATA", "DBACKED_SERVER_FILES", "AWS_SECRET_ACCESS_KEY"}
	for _, test := range []struct {
		path, environ string
		args          []string
		want          string
	}{
		{file, "AWS_SECRET_ACCESS_KEY=own", []string{"project", "list"}, "/srv/a b s3://bucket/$x own"},
		{file, "", []string{"serve"}, "/srv/a b s3://bucket/$x of-the-file"},
		{file, "", []string{"serve", "--data", "here"}, "  "},
		{file, "", []string{"serve", "--data=here"}, "  "},
		{file, "", []string{"--database=postgres://x", "serve"}, "  "},
		{file, "DBACKED_SERVER_DATA=/srv/c", []string{"serve"}, "/srv/c  "},
		{file + ".not", "", []string{"serve"}, "  "},
	} {
		for _, name := range names {
			t.Setenv(name, "") // puts back what there was
			must(t, os.Unsetenv(name))
		}
		if name, value, found := strings.Cut(test.environ, "="); found {
			must(t, os.Setenv(name, value))
		}
		must(t, settings(test.path, test.args))
		var got []string
		for _, name := range names {
			got = append(got, os.Getenv(name))
		}
		if joined := strings.Join(got, " "); joined != test.want {
			t.Errorf("%s %q: %q instead of %q", test.environ, test.args, joined, test.want)
		}
	}
	must(t, os.WriteFile(file, []byte("A=1\nDBACKED SERVER=2\n"), 0o600))
	if err := settings(file, nil); err == nil || !strings.Contains(err.Error(), file+", line 2") {
		t.Errorf("a wrong line: %v", err)
	}
}

// TestExampleNamesEverySetting wants each variable in the package's server.env, as a
// comment, and nothing set.
func TestExampleNamesEverySetting(t *testing.T) {
	text, err := os.ReadFile("../../packaging/examples/server.env")
	must(t, err)
	for _, flag := range flags(t) {
		for _, name := range flag.Envs {
			if !strings.Contains(string(text), "\n#"+name+"=") {
				t.Errorf("server.env does not explain %s", name)
			}
		}
	}
	for line := range strings.Lines(string(text)) {
		if line != "\n" && !strings.HasPrefix(line, "#") {
			t.Errorf("server.env sets %s", line)
		}
	}
}
