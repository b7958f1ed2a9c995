//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// eventTimeout is how long an event may be waited for.
const eventTimeout = 45 * time.Second

// entry is an entry of the journal: its fields, of which those that are no text
// are left out.
type entry map[string]string

func (e entry) String() string {
	return fmt.Sprintf("%s[%s]: %s", e["SYSLOG_IDENTIFIER"], e["_PID"], e["MESSAGE"])
}

// journal is the machine's, as it grows.
type journal struct {
	mu      sync.Mutex
	entries []entry
	grown   chan struct{} // closed and replaced with each entry
	ended   bool

	stop func() // and wait
}

// follow reads the journal of this boot until the machine stops.
func follow(t *testing.T, m *machine) *journal {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	j := &journal{grown: make(chan struct{}), stop: func() { cancel(); <-done }}
	cmd := m.command(ctx, "journalctl", "--boot", "--follow", "--lines=all", "--output=json", "--all")
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	go func() {
		defer close(done)
		defer cmd.Wait()
		decoder := json.NewDecoder(out)
		for {
			var fields map[string]any
			if decoder.Decode(&fields) != nil {
				j.add(nil)
				return
			}
			e := entry{}
			for name, value := range fields {
				if text, ok := value.(string); ok {
					e[name] = text
				}
			}
			j.add(e)
		}
	}()
	return j
}

func (j *journal) add(e entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e == nil {
		j.ended = true
	} else {
		j.entries = append(j.entries, e)
	}
	close(j.grown)
	j.grown = make(chan struct{})
}

// mark writes an entry into the journal and returns its place there: what comes
// from here on was written later.
func (m *machine) mark(t *testing.T) int {
	t.Helper()
	conn, err := net.Dial("unixgram", m.path("/run/systemd/journal/socket"))
	must(t, err)
	defer conn.Close()
	from, text := m.journal.size(), "mark "+rand.Text()
	_, err = fmt.Fprintf(conn, "MESSAGE=%s\nPRIORITY=7\nSYSLOG_IDENTIFIER=e2e\n", text)
	must(t, err)
	m.journal.await(t, from, "MESSAGE="+text)
	entries, _, _ := m.journal.since(from)
	return from + slices.IndexFunc(entries, func(e entry) bool { return e["MESSAGE"] == text })
}

func (j *journal) size() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.entries)
}

// since returns the entries from a mark on.
func (j *journal) since(mark int) (entries []entry, grown <-chan struct{}, ended bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.entries[mark:len(j.entries):len(j.entries)], j.grown, j.ended
}

// await waits for an entry that has all the fields; a value that ends in "*" is
// the beginning of one.
func (j *journal) await(t *testing.T, mark int, fields ...string) entry {
	t.Helper()
	return j.awaitFor(t, eventTimeout, mark, fields...)
}

func (j *journal) awaitFor(t *testing.T, limit time.Duration, mark int, fields ...string) entry {
	t.Helper()
	e, err := j.find(limit, mark, fields...)
	must(t, err)
	return e
}

// find is awaitFor beside a test.
func (j *journal) find(limit time.Duration, mark int, fields ...string) (entry, error) {
	timeout := time.After(limit)
	for from := mark; ; {
		entries, grown, ended := j.since(from)
		for _, e := range entries {
			if e.has(fields) {
				return e, nil
			}
		}
		from += len(entries)
		if ended {
			return nil, fmt.Errorf("the journal ended before an entry with %q", fields)
		}
		select {
		case <-grown:
		case <-timeout:
			return nil, fmt.Errorf("no entry with %q in %v; there were:\n%s", fields, limit, j.text(mark))
		}
	}
}

func (e entry) has(fields []string) bool {
	for _, field := range fields {
		name, want, _ := strings.Cut(field, "=")
		got, ok := e[name]
		prefix, begins := strings.CutSuffix(want, "*")
		if !ok || begins && !strings.HasPrefix(got, prefix) || !begins && got != want {
			return false
		}
	}
	return true
}

// count tells how many entries from a mark on have the fields.
func (j *journal) count(mark int, fields ...string) (n int) {
	entries, _, _ := j.since(mark)
	for _, e := range entries {
		if e.has(fields) {
			n++
		}
	}
	return n
}

// text is the journal from a mark on, for people.
func (j *journal) text(mark int) string {
	entries, _, _ := j.since(mark)
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintln(&b, e)
	}
	return b.String()
}
