package config

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// credentials makes a folder as systemd does for a service.
func credentials(t *testing.T, texts map[string]string) map[string]string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]string{"CREDENTIALS_DIRECTORY": folder}
}

func TestCredentialsOfTheInstance(t *testing.T) {
	given := credentials(t, map[string]string{
		"dbacked.shop.db-password": "hunter2\n",
		"dbacked.shop.ping-url":    "https://hc.example.org/x",
		"dbacked.other.public-key": "not this one's",
	})
	environ := minimal(t)
	delete(environ, varDBPassword)
	c := mustLoad(t, setup{need: all | NeedSchedule, environ: with(environ, "CREDENTIALS_DIRECTORY", given["CREDENTIALS_DIRECTORY"])})
	if got := c.Database.Password.Reveal(); got != "hunter2" {
		t.Errorf("password %q", got)
	}
	if got := c.Agent.PingURL.Reveal(); got != "https://hc.example.org/x" {
		t.Errorf("ping URL %q", got)
	}
	if got := c.Source(varDBPassword); got != "the credential dbacked.shop.db-password" {
		t.Errorf("source %q", got)
	}
}

// TestCredentialsGoLast: what somebody wrote down goes before what lies in a store of credentials.
func TestCredentialsGoLast(t *testing.T) {
	environ := with(minimal(t), "CREDENTIALS_DIRECTORY",
		credentials(t, map[string]string{"dbacked.shop.db-password": "of the credential"})["CREDENTIALS_DIRECTORY"])
	delete(environ, varDBPassword)
	c := mustLoad(t, setup{need: all, environ: environ, envFile: "DBACKED_DB_PASSWORD=of the file\n"})
	if got := c.Database.Password.Reveal(); got != "of the file" {
		t.Errorf("password %q", got)
	}
}

// TestCredentialsFoundOtherwise: a one-shot of root finds them where systemd would.
func TestCredentialsFoundOtherwise(t *testing.T) {
	path := write(t, "hunter2", 0o600)
	var asked []string
	find := func(instance, name string) string {
		asked = append(asked, CredentialName(instance, name))
		if name == "db-password" {
			return path
		}
		return ""
	}
	environ := minimal(t)
	delete(environ, varDBPassword)
	c := mustLoad(t, setup{need: NeedDatabase, environ: environ, options: Loader{Credential: find}})
	if got := c.Database.Password.Reveal(); got != "hunter2" {
		t.Errorf("password %q", got)
	}
	if len(asked) != 1 {
		t.Errorf("asked for %q, and only the database is needed", asked)
	}
}

// TestFileThatSystemdRead: the agent cannot read NAME.env, which is root's, and need not: PID 1 did.
func TestFileThatSystemdRead(t *testing.T) {
	if os.Geteuid() == 0 {
		// Root may read everything; a thread of another user may not.
		t.Cleanup(func() { _ = syscall.Seteuid(0) })
	}
	for _, wasRead := range []bool{false, true} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "shop.env"), []byte("DBACKED_DB_NAME=other\n"), 0); err != nil {
			t.Fatal(err)
		}
		environ := minimal(t)
		var list []string
		for name, value := range environ {
			list = append(list, name+"="+value)
		}
		if os.Geteuid() == 0 {
			_ = os.Chmod(folder, 0o755)
			for dir := folder; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
				_ = os.Chmod(dir, 0o755)
			}
			if err := syscall.Seteuid(65534); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Loader{FileWasRead: wasRead}.Load("shop", Flags{CommonFlags: CommonFlags{ConfigDirectory: folder}}, list, NeedDatabase)
		if os.Geteuid() != 0 {
			_ = syscall.Seteuid(0)
		}
		denied := err != nil && strings.Contains(err.Error(), "permission denied")
		if denied == wasRead {
			t.Errorf("was read %v: %v", wasRead, err)
		}
	}
}
