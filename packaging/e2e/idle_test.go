//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

const (
	idleTime   = 65 * time.Second // as long as this was measured by default: one tick
	maxIdleRSS = 24 << 10         // KiB
	// maxSwitches is how many voluntary context switches an idle agent may make for
	// each tick of its watchdog.
	maxSwitches = 30
)

// idle: an agent that waits takes little memory, and wakes seldom.
func idle(t *testing.T, b *bed) {
	measure := idleTime
	if text := os.Getenv("DBACKED_E2E_IDLE"); text != "" {
		var err error
		measure, err = time.ParseDuration(text)
		must(t, err)
	}
	eventually(t, "the agent is idle", func() bool { return b.status(t, "idle").Running == nil })
	usec, err := strconv.Atoi(b.property(t, service("idle"), "WatchdogUSec"))
	if err != nil {
		usec = int(2 * time.Minute / time.Microsecond)
	}
	tick := time.Duration(usec) * time.Microsecond / 2
	pid := b.property(t, service("idle"), "MainPID")
	before := b.switches(t, pid)
	<-time.After(measure)
	made := b.switches(t, pid) - before
	rss := b.statusNumber(t, filepath.Join("/proc", pid, "status"), "VmRSS")
	ticks := float64(measure) / float64(tick)
	t.Logf("idle for %v: RSS %d KiB; %d voluntary context switches, %.1f for each tick of %v", measure, rss, made, float64(made)/ticks, tick)
	if rss >= maxIdleRSS {
		t.Errorf("the RSS of an idle agent is %d KiB, not below %d", rss, maxIdleRSS)
	}
	if float64(made) > maxSwitches*ticks {
		t.Errorf("more than %d for each tick", maxSwitches)
	}
}

// switches is the sum of the voluntary context switches of all threads.
func (b *bed) switches(t *testing.T, pid string) (sum int) {
	t.Helper()
	threads, err := filepath.Glob(b.path("/proc/" + pid + "/task/*/status"))
	if err != nil || len(threads) == 0 {
		t.Fatalf("process %s has no threads (%v)", pid, err)
	}
	root := b.path("/")
	for _, name := range threads {
		inside, err := filepath.Rel(root, name)
		must(t, err)
		sum += b.statusNumber(t, inside, "voluntary_ctxt_switches")
	}
	return sum
}

// statusNumber reads a number from a file of /proc.
func (b *bed) statusNumber(t *testing.T, name, key string) int {
	t.Helper()
	match := regexp.MustCompile(`(?m)^` + key + `:\s*([0-9]+)`).FindStringSubmatch(b.read(t, name))
	if match == nil {
		t.Fatalf("%s has no %s", name, key)
	}
	n, err := strconv.Atoi(match[1])
	must(t, err)
	return n
}
