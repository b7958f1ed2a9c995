//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	minIdle    = 65 * time.Second // one tick of the watchdog at least
	maxIdleRSS = 24 << 10         // KiB
	// maxSwitches is how many voluntary context switches an idle agent may make for
	// each tick of its watchdog, over settled or longer.
	maxSwitches = 30
	settled     = 10 * time.Minute
	// settling is how many more it may make in a shorter time, since the last
	// backup's garbage is collected once.
	settling = 120
)

// idleness is when an agent began to wait, undisturbed.
type idleness struct {
	pid      string
	since    time.Time
	switches int
}

// idleBegins: from here to idle nobody speaks to the instance of that name.
func idleBegins(t *testing.T, b *bed) {
	b.journal.await(t, 0, event("idle", "backup-proved")...)
	pid := b.property(t, service("idle"), "MainPID")
	b.waiting = idleness{pid, time.Now(), b.switches(t, pid)}
}

// idle: an agent that waits takes little memory, and wakes seldom.
func idle(t *testing.T, b *bed) {
	least := minIdle
	if text := os.Getenv("DBACKED_E2E_IDLE"); text != "" {
		var err error
		least, err = time.ParseDuration(text)
		must(t, err)
	}
	w := b.waiting
	<-time.After(time.Until(w.since.Add(least)))
	waited := time.Since(w.since)
	made := b.switches(t, w.pid) - w.switches
	rss := b.statusNumber(t, filepath.Join("/proc", w.pid, "status"), "VmRSS")
	tick := b.watchdogTick(t, "idle")
	each := float64(made) / (float64(waited) / float64(tick))
	t.Logf("idle for %v: RSS %d KiB; %d voluntary context switches, %.1f for each tick of %v", waited.Round(time.Second), rss, made, each, tick)
	if rss >= maxIdleRSS {
		t.Errorf("the RSS of an idle agent is %d KiB, not below %d", rss, maxIdleRSS)
	}
	allowed := maxSwitches * float64(waited) / float64(tick)
	if waited < settled {
		allowed += settling
	}
	if float64(made) > allowed {
		t.Errorf("these are more than %.0f", allowed)
	}
}

// watchdogTick is how often an agent tells its watchdog that it lives: twice in
// the time that it has.
func (b *bed) watchdogTick(t *testing.T, instance string) time.Duration {
	t.Helper()
	text := b.property(t, service(instance), "WatchdogUSec")
	limit, err := time.ParseDuration(strings.ReplaceAll(strings.ReplaceAll(text, "min", "m"), " ", ""))
	if err != nil || limit == 0 {
		t.Fatalf("WatchdogUSec=%s: %v", text, err)
	}
	return limit / 2
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
