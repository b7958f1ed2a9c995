package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestSecretsAreHidden looks at every command line, and at the tool's
// environment, while a backup and a restore run.
func TestSecretsAreHidden(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(10)
		b.fifo("here")
		b.fifo("go")
		// The password in this run's environment, too.
		b = b.with("DBACKED_DB_PASSWORD", password)
		b.wrap(e.dump, stages["before the dump"])
		r := b.start(nil, "backup", "shop")
		b.wantHidden(r, r.reached(b.path("here")))
		b.write("go", []byte("go on\n"))
		r.wait().ok()

		b.wrap(e.restore, here+until+`exec "$REAL" "$@"`)
		r = b.start(nil, "restore", "shop", "-y", "--db-name", b.emptyDatabase())
		b.wantHidden(r, r.reached(b.path("here")))
		b.write("go", []byte("go on\n"))
		r.wait().ok()
	})
}

// wantHidden fails the test if a secret is where others can see it, or where
// the tool hands it on. It looks at the processes of the run alone: what is on
// other command lines of this machine, nobody knows.
func (b *bed) wantHidden(r *running, tool string) {
	b.t.Helper()
	seen := 0
	for _, pid := range append(descendants(r.cmd.Process.Pid), r.cmd.Process.Pid) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			continue // processes come and go
		}
		if strconv.Itoa(pid) == tool && bytes.Contains(line, []byte(b.db)) {
			seen++
		}
		b.wantNoSecret(fmt.Sprintf("the command line of process %d", pid), line)
	}
	environment, err := os.ReadFile(filepath.Join("/proc", tool, "environ"))
	if err != nil || len(environment) == 0 || seen != 1 {
		b.t.Errorf("the tool %s was not seen: %v", tool, err)
	}
	b.wantNoSecret("the tool's environment", environment)
	if bytes.Contains(environment, []byte("DBACKED_")) {
		b.t.Errorf("the tool's environment has dbacked's own settings: %q", environment)
	}
}

func (b *bed) wantNoSecret(place string, text []byte) {
	b.t.Helper()
	for what, secret := range b.secrets() {
		if bytes.Contains(text, []byte(secret)) {
			b.t.Errorf("%s is in %s: %q", what, place, text)
		}
	}
}

// descendants are the processes that a process has started, and those that they
// have.
func descendants(pid int) (all []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is a good one
	for _, list := range lists {
		text, _ := os.ReadFile(list) // a thread that has ended has none
		for _, child := range strings.Fields(string(text)) {
			if n, err := strconv.Atoi(child); err == nil {
				all = append(append(all, n), descendants(n)...)
			}
		}
	}
	return all
}
