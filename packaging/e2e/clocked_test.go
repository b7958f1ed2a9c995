//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// Where the service with a clock of its own is, and how wrong that is.
const (
	clockedServer = "/usr/local/lib/clocked/dbacked-server"
	clockedBy     = "/usr/local/lib/clocked/wrong-by"
	clockedDropIn = "/run/systemd/system/dbacked-server.service.d/clock.conf"
)

// clocked is the service, with a clock that the tests set: the machines have that of
// this side, which nobody may. It is installed as ever, but for the program.
type clocked struct {
	*machine
	built func() // waits for the program
	by    time.Duration

	twin        *machine // with an agent for the same project
	here, there *gate    // by which the agents of orders reach it, on the two machines
}

// buildClocked builds the program beside whatever else goes on.
func (b *bed) buildClocked(t *testing.T) {
	t.Helper()
	c := &clocked{machine: b.machine}
	c.built = dbtest.StartWithClock(t, "../../cmd/dbacked-server", filepath.Join(b.temp, "dbacked-server"))
	b.clocked = c
}

// install has the service run, or run anew, with a clock that is right.
func (c *clocked) install(t *testing.T) {
	t.Helper()
	c.sudo(t, "apt", "install", "--yes", "dbacked-server")
	c.built()
	program, err := os.ReadFile(filepath.Join(c.temp, "dbacked-server"))
	must(t, err)
	c.write(t, clockedServer, string(program), 0o755)
	c.set(t, time.Now())
	c.write(t, clockedDropIn, fmt.Sprintf("[Service]\nExecStart=\nExecStart=%s serve\nEnvironment=%s=%s\n", clockedServer, dbtest.ClockVariable, clockedBy), 0o644)
	c.run(t, "systemctl", "daemon-reload")
	c.run(t, "systemctl", "restart", "dbacked-server")
	t.Cleanup(func() {
		c.run(t, "rm", "-r", filepath.Dir(clockedDropIn))
		c.run(t, "systemctl", "daemon-reload")
		c.run(t, "systemctl", "restart", "dbacked-server")
	})
}

// now is the time by its clock.
func (c *clocked) now() time.Time { return time.Now().Add(c.by) }

// set sets its clock, to the second.
func (c *clocked) set(t *testing.T, to time.Time) {
	t.Helper()
	c.by = time.Until(to).Round(time.Second)
	if time.Now().Add(c.by).Before(to) {
		c.by += time.Second
	}
	// At once: of half a number it would be right for a moment.
	c.write(t, clockedBy+".new", fmt.Sprint(int(c.by.Seconds())), 0o644)
	must(t, os.Rename(c.path(clockedBy+".new"), c.path(clockedBy)))
}

// admin runs a command of the service, by its clock.
func (c *clocked) admin(t *testing.T, args ...string) string {
	t.Helper()
	return c.sudo(t, slices.Concat([]string{"env", dbtest.ClockVariable + "=" + clockedBy, clockedServer}, args)...)
}

// project is one that the service knows.
type project struct {
	Name, ID, APIKey, Schedule string
	NextDue                    time.Time
}

// create makes a project.
func (c *clocked) create(t *testing.T, name, schedule string) (p project) {
	t.Helper()
	must(t, json.Unmarshal([]byte(c.admin(t, "project", "create", name, "--public-key", "/etc/dbacked/public.pem", "--schedule", schedule, "--json")), &p))
	return p
}

// due is when a backup of a project is due.
func (c *clocked) due(t *testing.T, name string) time.Time {
	t.Helper()
	for line := range strings.Lines(c.admin(t, "project", "list", "--json")) {
		var p project
		must(t, json.Unmarshal([]byte(line), &p))
		if p.Name == name {
			return p.NextDue
		}
	}
	t.Fatalf("there is no project %s", name)
	return time.Time{}
}

// given is a backup that the service gave to an agent.
type given struct {
	ID, State, AgentID string
	Due, Started       time.Time
}

// all are the backups that it gave for a project, the newest first.
func (c *clocked) all(t *testing.T, name string) (all []given) {
	t.Helper()
	for line := range strings.Lines(c.admin(t, "backup", "list", name, "--limit", "1000", "--json")) {
		var g given
		must(t, json.Unmarshal([]byte(line), &g))
		all = append(all, g)
	}
	return all
}
