//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/systemd"
)

// service, socket and dropIn are names of what belongs to an instance.
func service(instance string) string { return "dbacked@" + instance + ".service" }
func socket(instance string) string  { return "dbacked@" + instance + ".socket" }
func dropIn(unit string) string      { return "/etc/systemd/system/" + unit + ".d/e2e.conf" }

// property returns a property of a unit.
func (m *machine) property(t *testing.T, unit, name string) string {
	t.Helper()
	return strings.TrimSpace(m.run(t, "systemctl", "show", "--value", "--property="+name, unit))
}

// expectProperties compares properties of a unit: NAME=VALUE.
func (m *machine) expectProperties(t *testing.T, unit string, want ...string) {
	t.Helper()
	for _, w := range want {
		name, value, _ := strings.Cut(w, "=")
		if got := m.property(t, unit, name); got != value {
			t.Errorf("%s: %s is %q, not %q", unit, name, got, value)
		}
	}
}

// configure writes a drop-in for the rest of the test.
func (m *machine) configure(t *testing.T, unit, text string) {
	t.Helper()
	m.write(t, dropIn(unit), text, 0o644)
	m.run(t, "systemctl", "daemon-reload")
	t.Cleanup(func() {
		os.Remove(m.path(dropIn(unit)))
		m.run(t, "systemctl", "daemon-reload")
	})
}

// edit changes a file for the rest of the test.
func (m *machine) edit(t *testing.T, name string, mode os.FileMode, change func(string) string) {
	t.Helper()
	before := m.read(t, name)
	m.write(t, name, change(before), mode)
	t.Cleanup(func() { m.write(t, name, before, mode) })
}

// event returns the fields of an event of an instance, for [journal.await].
func event(instance, name string) []string {
	return []string{"MESSAGE_ID=" + systemd.MessageID(name), "DBACKED_INSTANCE=" + instance}
}

// eventually waits for what no event tells of.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(eventTimeout)
	for !is() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("not within %v: %s", eventTimeout, what)
		}
	}
}

// session gives a database's client statements that end with the answer "held",
// and keeps it connected until end is called, or the test ends.
func (m *machine) session(t *testing.T, statements string, args ...string) (end func()) {
	t.Helper()
	cmd := m.command(context.Background(), args...)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	end = sync.OnceFunc(func() { in.Close(); cmd.Wait() })
	t.Cleanup(end)
	_, err = fmt.Fprintln(in, statements)
	must(t, err)
	answer, err := bufio.NewReader(out).ReadString('\n')
	if strings.TrimSpace(answer) != "held" {
		t.Fatalf("%q: %q, %v", statements, answer, err)
	}
	return end
}

// processes returns the PIDs, in the machine, of the programs of a name.
func (m *machine) processes(t *testing.T, name string) []string {
	t.Helper()
	r := m.try(t, "pidof", name)
	if r.status > 1 {
		t.Fatalf("pidof: %s", r.err)
	}
	return strings.Fields(r.out)
}
