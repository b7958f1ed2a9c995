package main

import (
	"fmt"
	"os"
	"testing"
)

// A process that systemd started was given NAME.env by it; one that inherited
// its variables was not.
func TestFileWasReadBySystemd(t *testing.T) {
	t.Parallel()
	for environ, want := range map[string]bool{
		fmt.Sprintf("SYSTEMD_EXEC_PID=%d", os.Getpid()):  true,
		fmt.Sprintf("SYSTEMD_EXEC_PID=%d", os.Getppid()): false,
		"INVOCATION_ID=5d1f0a":                           false,
	} {
		a := &app{environ: []string{"HOME=/", environ}}
		if got := a.loader().FileWasRead; got != want {
			t.Errorf("%s: %v", environ, got)
		}
	}
}
