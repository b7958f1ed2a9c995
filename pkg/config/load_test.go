package config

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLoadEverything(t *testing.T) {
	private, public := keyPEM(t)
	ca, cert, key := write(t, "ca", 0o644), write(t, "cert", 0o644), write(t, "key", 0o600)
	tools := t.TempDir()
	c := mustLoad(t, setup{need: all | NeedPrivateKey, envFile: strings.Join([]string{
		"DBACKED_DB_TYPE=MariaDB", "DBACKED_DB_HOST=[::1]", "DBACKED_DB_PORT=3307", "DBACKED_DB_USERNAME=u",
		`DBACKED_DB_PASSWORD='p$a "w'`, "DBACKED_DB_NAME='we ird'", `DBACKED_DUMPER_OPTIONS="--a='b c' -d"`,
		"DBACKED_DB_TLS_MODE=verify-full", "DBACKED_DB_TLS_CA=" + ca, "DBACKED_DB_TLS_CERT=" + cert, "DBACKED_DB_TLS_KEY=" + key,
		"DBACKED_TOOLS_PATH=" + tools + ":/usr/bin", "DBACKED_STORAGE=file:///srv/my%20backups/",
		"DBACKED_PUBLIC_KEY=\"" + public + "\"", "DBACKED_PRIVATE_KEY=\"" + private + "\"", "DBACKED_PRIVATE_KEY_PASSPHRASE=pp",
		"DBACKED_COMPRESSION=zstd:19", "DBACKED_FORMAT=legacy", `DBACKED_TRUST="a+1a2b3c4d+AbC/+= , b+00000000+Zz"`,
		"DBACKED_CONNECT_TIMEOUT=1s", "DBACKED_LOCK_TIMEOUT=2s", "DBACKED_STALL_TIMEOUT=3s", "DBACKED_STOP_TIMEOUT=1h30m",
		"DBACKED_STATE_DIRECTORY=/state", "",
	}, "\n"), json: `{"agentId": "agent-1", "daemonName": "x", "daemon": true, "apikey": null}`})
	want := &Config{
		Instance: "shop", AgentID: "agent-1", ConfigDirectory: c.ConfigDirectory, StateDirectory: "/state",
		Database: Database{
			Type: MySQL, Host: "::1", Port: 3307, Username: "u", Password: NewSecret(`p$a "w`), Name: "we ird",
			TLS:           TLS{Mode: "verify-full", CA: ca, Cert: cert, Key: key},
			DumperOptions: []string{"--a=b c", "-d"}, ToolsPath: []string{tools, "/usr/bin"},
		},
		Keys:        Keys{PublicKeys: public, PrivateKey: NewSecret(private), Passphrase: NewSecret("pp")},
		Storage:     Storage{Scheme: "file", Path: "/srv/my backups"},
		Lock:        LockStorage,
		Places:      Places{{Scheme: "file", Path: "/srv/my backups"}},
		Compression: "zstd:19", Format: FormatLegacy,
		Timeouts: Timeouts{time.Second, 2 * time.Second, 3 * time.Second, 90 * time.Minute},
		Parallel: Parallel{Jobs: max(2, runtime.GOMAXPROCS(0)/2), BlockLimit: time.Minute},
		Trust:    []string{"a+1a2b3c4d+AbC/+=", "b+00000000+Zz"},
	}
	ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "sources" }, cmp.Ignore())
	if diff := cmp.Diff(want, c, ignore); diff != "" {
		t.Error(diff)
	}
}

func TestDefaults(t *testing.T) {
	socket := t.TempDir()
	pg := mustLoad(t, setup{need: all, environ: minimal(t), socket: socket})
	if d := pg.Database; d.Host != socket || d.Socket() != socket || d.Port != 5432 {
		t.Errorf("PostgreSQL with a socket folder: %+v", d)
	}
	pg = mustLoad(t, setup{need: all, environ: minimal(t)})
	if d := pg.Database; d.Host != "localhost" || d.Socket() != "" {
		t.Errorf("PostgreSQL without a socket folder: %+v", d)
	}
	my := mustLoad(t, setup{need: all, environ: with(minimal(t), varDBType, "mysql"), socket: socket})
	if d := my.Database; d.Host != "localhost" || d.Port != 3306 {
		t.Errorf("MySQL: %+v", d)
	}
	if pg.StateDirectory != "/var/lib/dbacked/shop/.state" || pg.Storage.String() != "file:///var/lib/dbacked" {
		t.Errorf("state in %s, storage %s", pg.StateDirectory, pg.Storage)
	}
}

func TestStateDirectory(t *testing.T) {
	for _, test := range []struct{ name, systemd, own, want string }{
		{"", "", "", "/var/lib/dbacked/shop/.state"},
		{"", "/var/lib/private/x:/y", "", "/var/lib/private/x/.state"},
		{"", "relative", "", "/var/lib/dbacked/shop/.state"},
		{"", "/var/lib/x", "/own", "/own"},
		{"-", "", "", ""},
	} {
		environ := with(nil, "STATE_DIRECTORY", test.systemd, varStateDirectory, test.own)
		if c := mustLoad(t, setup{name: test.name, environ: environ}); c.StateDirectory != test.want {
			t.Errorf("%+v: got %q", test, c.StateDirectory)
		}
	}
}

// TestCommandsNeedLittle: a value that a command does not need cannot stop it, in a disaster least of all.
func TestCommandsNeedLittle(t *testing.T) {
	broken := "DBACKED_DB_PORT=x\nDBACKED_DB_PASSWORD_FILE=/nonexistent\nDBACKED_PUBLIC_KEY=/nonexistent\nDBACKED_PRIVATE_KEY=/nonexistent\n"
	c := mustLoad(t, setup{need: NeedStorage, envFile: broken + "DBACKED_STORAGE=file:///srv\n"})
	if c.Storage.Path != "/srv" || c.Database.Port != 0 {
		t.Errorf("%+v", c)
	}
	if got := problems(t, setup{need: WantPrivateKey, envFile: broken}); len(got) != 1 {
		t.Errorf("a private key that is given and wanted must be right: %q", got)
	}
	none := mustLoad(t, setup{name: "-", need: WantPrivateKey})
	if none.Instance != "" || none.Keys.PrivateKey.IsSet() || none.Storage != (Storage{}) {
		t.Errorf("%+v", none)
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	s := setup{need: all | NeedPrivateKey, environ: map[string]string{varDBPort: "0", varFormat: "2"}}
	_, folder, err := s.load(t)
	var wrong *Error
	if !errors.As(err, &wrong) {
		t.Fatal(err)
	}
	for _, variable := range []string{varDBType, varDBUsername, varDBName, varPublicKey, varPrivateKey, varDBPort, varFormat} {
		flag := newLoader(0).setting(variable)
		wantOne(t, wrong.Problems, flag.String())
	}
	wantOne(t, wrong.Problems, "DBACKED_DB_USERNAME (--db-username) is missing: User to connect as")
	wantOne(t, []string{wrong.Hint}, "looked for these in flags, the environment, "+folder+"/config.json (there is no such file), "+
		folder+"/shop.env (there is no such file)")
	if len(wrong.Problems) != 7 {
		t.Errorf("%d problems", len(wrong.Problems))
	}
	text := err.Error()
	if !strings.HasPrefix(text, `configuration of "shop" has 7 problems:`+"\n  - ") || strings.Count(text, "\n") != 8 {
		t.Error(text)
	}
	one := &Error{Problems: []string{"x"}}
	if one.Error() != "configuration: x" {
		t.Error(one)
	}
}

// TestLoadItself goes through the exported function, with this process's environment.
func TestLoadItself(t *testing.T) {
	flags := Flags{CommonFlags: CommonFlags{ConfigDirectory: t.TempDir()}}
	c, err := Load("shop", flags, os.Environ(), NeedStorage)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(fmt.Sprint(c.Environ), "PATH") || c.Instance != "shop" {
		t.Errorf("%+v", c)
	}
}

func TestConfigDirectory(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	c := mustLoad(t, setup{flags: Flags{CommonFlags: CommonFlags{ConfigDirectory: "."}}})
	if c.ConfigDirectory != folder {
		t.Errorf("got %q, want %q", c.ConfigDirectory, folder)
	}
	got := problems(t, setup{flags: Flags{CommonFlags: CommonFlags{ConfigDirectory: "/nonexistent/x"}}})
	wantOne(t, got, "DBACKED_CONFIG_DIRECTORY (--config-directory), given as a flag: DIR: there is no such file")
	got = problems(t, setup{flags: Flags{CommonFlags: CommonFlags{ConfigDirectory: write(t, "", 0o600)}}})
	wantOne(t, got, "is not a folder")
	wantOne(t, problems(t, setup{envFile: "DBACKED_CONFIG_DIRECTORY=/x"}), "DIR/shop.env:1: DBACKED_CONFIG_DIRECTORY cannot move")
}
