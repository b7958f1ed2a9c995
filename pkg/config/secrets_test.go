package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestSecretNeverPrints(t *testing.T) {
	s := NewSecret("hunter2")
	holder := struct {
		Open   Secret
		closed Secret
		list   []Secret
		byName map[string]Secret
	}{s, s, []Secret{s}, map[string]Secret{"a": s}}
	marshalled, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	zap.New(core).Info("x", zap.Any("any", holder), zap.Stringer("stringer", s), zap.Reflect("r", s))
	logged := fmt.Sprint(logs.All()[0].ContextMap())
	printed := string(marshalled) + logged + s.String() + fmt.Sprint(s, &s, holder, Flags{DatabaseFlags: DatabaseFlags{DBPassword: s}})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		printed += fmt.Sprintf(verb, s) + fmt.Sprintf(verb, holder) + fmt.Sprintf(verb, &holder)
	}
	if strings.Contains(printed, "hunter2") || strings.Contains(printed, "68756e74657232") {
		t.Error("the secret was printed:", printed)
	}
	if string(marshalled) != `{"Open":"[secret]"}` || s.Reveal() != "hunter2" || !s.IsSet() {
		t.Error(string(marshalled))
	}
	var none Secret
	if none.IsSet() || none.Reveal() != "" || none.String() != hidden || !none.Equal(NewSecret("")) || none.Equal(s) {
		t.Error("the zero Secret is set")
	}
	environ, err := json.Marshal(Environ{"A=hunter2", "B=c"})
	if err != nil || string(environ) != `"[A B]"` {
		t.Errorf("%s, %v", environ, err)
	}
}

func TestSecretFiles(t *testing.T) {
	for content, want := range map[string]string{
		"pw": "pw", "pw\n": "pw", "pw\r\n": "pw", "pw\n\n": "pw\n", " pw \n": " pw ", "a\nb": "a\nb", `p$a"'\` + "\n": `p$a"'\`,
	} {
		path := write(t, content, 0o600)
		c := mustLoad(t, setup{need: NeedDatabase, environ: minimal(t), envFile: "DBACKED_DB_PASSWORD_FILE=" + path})
		if got := c.Database.Password.Reveal(); got != want {
			t.Errorf("%q: got %q, want %q", content, got, want)
		}
		if len(c.Warnings) != 0 || !strings.HasSuffix(c.Source("db-password"), "shop.env:1") {
			t.Errorf("warnings %q, source %s", c.Warnings, c.Source("db-password"))
		}
	}
	for content, says := range map[string]string{"": "is empty", "\n": "is empty", "a\x00b": "NUL byte"} {
		got := problems(t, setup{need: NeedDatabase, environ: with(minimal(t), varDBPassword+fileSuffix, write(t, content, 0o600))})
		wantOne(t, got, "DBACKED_DB_PASSWORD_FILE (--db-password-file), set in the environment", says)
	}
	path := write(t, "pw\n", 0o644)
	c := mustLoad(t, setup{need: NeedDatabase, environ: minimal(t), flags: Flags{DatabaseFlags: DatabaseFlags{DBPasswordFile: path}}})
	wantOne(t, c.Warnings, "every user of this machine can read "+path+": chmod 600 "+path)
}

func TestBothFormsOfASecret(t *testing.T) {
	path := write(t, "from-file", 0o600)
	both := map[string]string{varDBPassword: "itself", varDBPassword + fileSuffix: path}
	const says = "DBACKED_DB_PASSWORD (--db-password) and DBACKED_DB_PASSWORD_FILE (--db-password-file) are both given"
	flags := Flags{DatabaseFlags: DatabaseFlags{DBPassword: NewSecret("itself"), DBPasswordFile: path}}
	file := "DBACKED_DB_PASSWORD=itself\nDBACKED_DB_PASSWORD_FILE=" + path + "\n"
	for name, s := range map[string]setup{
		"flags":       {environ: minimal(t), flags: flags},
		"environment": {environ: with(both, varDBType, "pg", varDBName, "d", varDBUsername, "u")},
		"file":        {environ: minimal(t), envFile: file},
		"json":        {environ: minimal(t), json: `{"dbPassword":"itself","dbPasswordFile":"` + path + `"}`},
	} {
		s.need = NeedDatabase
		got := problems(t, s)
		if wantOne(t, got, says); len(got) != 1 {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, test := range []struct {
		environ map[string]string
		envFile string
		want    string
	}{
		{with(minimal(t), varDBPassword, "itself"), "DBACKED_DB_PASSWORD_FILE=" + path, "itself"},
		{with(minimal(t), varDBPassword+fileSuffix, path), "DBACKED_DB_PASSWORD=itself", "from-file"},
		{with(minimal(t), varDBPassword, "itself"), file, "itself"},
	} {
		c := mustLoad(t, setup{need: NeedDatabase, environ: test.environ, envFile: test.envFile})
		if c.Database.Password.Reveal() != test.want || c.Source("--db-password") != "environment" {
			t.Errorf("%s: got %q from %s", test.envFile, c.Database.Password.Reveal(), c.Source("db-password"))
		}
	}
}

func TestPasswordAsAFlagIsWarnedAbout(t *testing.T) {
	flags := Flags{DatabaseFlags: DatabaseFlags{DBPassword: NewSecret("hunter2")}}
	c := mustLoad(t, setup{need: NeedDatabase, environ: minimal(t), flags: flags})
	wantOne(t, c.Warnings, "--db-password as a flag is visible to every user of this machine in ps: use --db-password-file, "+
		"DBACKED_DB_PASSWORD_FILE or DBACKED_DB_PASSWORD in the env file")
	if c.Database.Password.Reveal() != "hunter2" || strings.Contains(strings.Join(c.Warnings, ""), "hunter2") {
		t.Errorf("%+v", c)
	}
}

func TestWorldReadableSettingsAreWarnedAbout(t *testing.T) {
	for content, want := range map[string]int{
		"DBACKED_DB_PASSWORD=x\n": 1, "AWS_SECRET_ACCESS_KEY=x\n": 1, "DBACKED_DB_HOST=h\nDBACKED_DB_PASSWORD_FILE=/x\n": 0,
		"DBACKED_PRIVATE_KEY='x'\n": 1,
	} {
		folder := t.TempDir()
		path := filepath.Join(folder, "shop.env")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil { //nolint:gosec // that is what is tested
			t.Fatal(err)
		}
		c := mustLoad(t, setup{flags: Flags{CommonFlags: CommonFlags{ConfigDirectory: folder}}})
		if len(c.Warnings) != want || want == 1 && !strings.Contains(c.Warnings[0], "chmod 600 "+path) {
			t.Errorf("%q: %q", content, c.Warnings)
		}
	}
}

// TestSecretThroughAPipe is --db-password-file <(pass show db).
func TestSecretThroughAPipe(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	if _, err := writer.WriteString("through-a-pipe\n"); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/dev/fd/%d", reader.Fd())
	c := mustLoad(t, setup{need: NeedDatabase, environ: with(minimal(t), varDBPassword+fileSuffix, path)})
	if c.Database.Password.Reveal() != "through-a-pipe" {
		t.Errorf("got %q", c.Database.Password.Reveal())
	}
}

// TestPipeWithoutAWriter would hang for ever if opening waited for one.
func TestPipeWithoutAWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	got := problems(t, setup{need: NeedDatabase, environ: with(minimal(t), varDBPassword+fileSuffix, path)})
	wantOne(t, got, path+" is empty")
}
