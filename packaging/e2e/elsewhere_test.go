//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// elsewhere is another machine, this one, on which backups of vault are restored:
// with the private key, the key that signs them, pinned before anything happened,
// and a credential that may only read.
type elsewhere struct {
	program string
	environ []string
	server  *dbtest.Server
}

func (b *bed) elsewhere(t *testing.T, trust string) *elsewhere {
	t.Helper()
	dir := t.TempDir()
	e := &elsewhere{program: filepath.Join(dir, "dbacked"), server: dbtest.Postgres(t)}
	for from, to := range map[string]string{"/usr/bin/dbacked": e.program, privateKey: filepath.Join(dir, "private.pem"), passphrase: filepath.Join(dir, "passphrase")} {
		must(t, os.WriteFile(to, []byte(b.read(t, from)), 0o700))
		must(t, os.Chmod(to, 0o700))
	}
	must(t, os.WriteFile(filepath.Join(dir, "secret"), []byte(b.outside.SecretKey), 0o600))
	door := dbtest.NewFaultProxy(t, b.outside.Host, b.policy(t, "s3-restore-policy.json", "vault"))
	e.environ = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LANG=C.UTF-8",
		"DBACKED_CONFIG_DIRECTORY=" + dir, "DBACKED_STATE_DIRECTORY=" + filepath.Join(dir, "state"),
		"DBACKED_STORAGE=" + inBucket, "DBACKED_S3_ENDPOINT=" + door.Endpoint,
		"DBACKED_S3_ACCESS_KEY_ID=" + b.outside.AccessKey, "DBACKED_S3_SECRET_ACCESS_KEY_FILE=" + filepath.Join(dir, "secret"),
		"DBACKED_TRUST=" + trust,
		"DBACKED_PRIVATE_KEY_FILE=" + filepath.Join(dir, "private.pem"), "DBACKED_PRIVATE_KEY_PASSPHRASE_FILE=" + filepath.Join(dir, "passphrase"),
		"DBACKED_DB_TYPE=pg", "DBACKED_DB_HOST=" + e.server.Socket, "DBACKED_DB_PORT=" + strconv.Itoa(e.server.Port), "DBACKED_DB_USERNAME=postgres",
	}
	return e
}

// dbacked runs the program here.
func (e *elsewhere) dbacked(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	var out, err bytes.Buffer
	cmd := exec.CommandContext(ctx, e.program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = e.environ, &out, &err
	failure := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](failure); failure != nil && !exited {
		t.Fatalf("%s: %v", strings.Join(args, " "), failure)
	}
	return result{out.String(), err.String(), cmd.ProcessState.ExitCode()}
}

// expect compares the end of a command, and looks for words in what it says.
func (e *elsewhere) expect(t *testing.T, status int, words []string, args ...string) {
	t.Helper()
	r := e.dbacked(t, args...)
	t.Logf("dbacked %s: %d\n%s%s", strings.Join(args, " "), r.status, r.out, r.err)
	if r.status != status {
		t.Errorf("exit status %d, not %d", r.status, status)
	}
	for _, w := range words {
		if !strings.Contains(r.out+r.err, w) {
			t.Errorf("it does not say %q", w)
		}
	}
}

// empty makes a database to restore into.
func (e *elsewhere) empty(t *testing.T, name string) string {
	t.Helper()
	e.server.SQL(t, "postgres", "CREATE DATABASE "+name)
	return name
}

// expectForged: of the backups that somebody made up, one is not taken, and the one
// that the machine's own key signed is believed until it is opened. Those that were
// there before are restored as ever, by their ids.
func (e *elsewhere) expectForged(t *testing.T, x *thief) {
	into := e.empty(t, "forged")
	e.expect(t, 0, []string{x.stranger, "origin not proved", x.believed, x.first, x.second, x.third}, "list", x.instance)
	e.expect(t, 77, []string{x.stranger, "origin not proved", "the newest backup whose origin is proved is"}, "restore", x.instance, "--last-backup", "--yes", "--db-name", into)
	e.expect(t, 65, nil, "restore", x.instance, x.believed, "--yes", "--db-name", into)
	if n := e.server.SQL(t, into, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"); n != "0" {
		t.Errorf("something of what was forged is in the database: %s", n)
	}
	for _, id := range []string{x.first, x.second, x.third} {
		e.expect(t, 0, nil, "verify", x.instance, id)
	}
}

// expectFound: what is hidden is found, restored equal, and named.
func (e *elsewhere) expectFound(t *testing.T, x *thief, want string) {
	e.expect(t, 1, []string{dumpFile + " was overwritten", "only in older versions"}, "verify", x.instance, x.first)
	for id, saw := range map[string]string{x.first: "was overwritten", x.second: "was removed", x.third: "was overwritten"} {
		into := e.empty(t, "found_"+id[len(id)-6:])
		e.expect(t, 0, []string{id + "/manifest " + saw, id + "/" + dumpFile + " " + saw}, "restore", x.instance, id, "--yes", "--no-owner", "--no-privileges", "--db-name", into)
		if got := e.server.SQL(t, into, digestItems); got != want {
			t.Errorf("restored %s, not %s", got, want)
		}
	}
}
