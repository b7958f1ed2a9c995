//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// commandTimeout is how long any command may take.
const commandTimeout = 2 * time.Minute

// result is how a command ended.
type result struct {
	out, err string
	status   int
}

// try runs a program in the machine, by root.
func (m *machine) try(t *testing.T, args ...string) result {
	t.Helper()
	return m.feed(t, "", args...)
}

// feed is try with something to read from standard input.
func (m *machine) feed(t *testing.T, input string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	var out, err bytes.Buffer
	cmd := m.command(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &err
	failure := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](failure); failure != nil && (!exited || ctx.Err() != nil) {
		t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), failure, &out, &err)
	}
	return result{out.String(), err.String(), cmd.ProcessState.ExitCode()}
}

// run runs a program that must succeed, and returns what it wrote to its
// standard output.
func (m *machine) run(t *testing.T, args ...string) string {
	t.Helper()
	r := m.try(t, args...)
	if r.status != 0 {
		t.Fatalf("%s: exit status %d\n%s%s", strings.Join(args, " "), r.status, r.out, r.err)
	}
	return r.out
}

// sh runs a shell script that must succeed.
func (m *machine) sh(t *testing.T, format string, args ...any) string {
	t.Helper()
	return m.run(t, "bash", "-euc", fmt.Sprintf(format, args...))
}

// as begins a command of another user. (runuser would write to the journal.)
func as(user string) []string {
	return []string{"setpriv", "--reuid=" + user, "--regid=" + user, "--init-groups", "--"}
}

// sudo is what an administrator types.
func (m *machine) sudo(t *testing.T, args ...string) string {
	t.Helper()
	return m.run(t, slices.Concat(as("admin"), []string{"sudo"}, args)...)
}

// write makes a file of the machine, with its folders.
func (m *machine) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	path := m.path(name)
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), mode))
	must(t, os.Chmod(path, mode))
}

// read returns a file of the machine.
func (m *machine) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(m.path(name))
	must(t, err)
	return string(text)
}

// postgres runs statements as the database's administrator and returns what they
// answer, without decoration.
func (m *machine) postgres(t *testing.T, database, statements string) string {
	t.Helper()
	return strings.TrimSpace(m.run(t, slices.Concat(as("postgres"), []string{"psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statements})...))
}

// mariadb is the same for MariaDB.
func (m *machine) mariadb(t *testing.T, statements string) string {
	t.Helper()
	return strings.TrimSpace(m.run(t, "mariadb", "--batch", "--skip-column-names", "-e", statements))
}
