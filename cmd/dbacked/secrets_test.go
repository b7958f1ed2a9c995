package main

import (
	"bytes"
	"os"
	"path/filepath"
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
// the tool hands it on.
func (b *bed) wantHidden(r *running, tool string) {
	b.t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	b.must(err)
	places := append(lines, filepath.Join("/proc", tool, "environ"))
	seen := 0
	for _, place := range places {
		text, err := os.ReadFile(place)
		if err != nil {
			continue // processes come and go
		}
		if bytes.Contains(text, []byte(b.db)) || place == places[len(places)-1] && len(text) > 0 {
			seen++
		}
		for what, secret := range b.secrets() {
			if bytes.Contains(text, []byte(secret)) {
				b.t.Errorf("%s is in %s: %q", what, place, text)
			}
		}
		if bytes.Contains(text, []byte("DBACKED_")) && place == places[len(places)-1] {
			b.t.Errorf("the tool's environment has dbacked's own settings: %q", text)
		}
	}
	if seen < 2 {
		b.t.Error("the tool was not seen")
	}
}
