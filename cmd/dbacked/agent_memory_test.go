package main

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProgramMappings(t *testing.T) {
	const smaps = `00400000-00f61000 r-xp 00000000 fe:01 192                                /usr/bin/dbacked
Size:              11652 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me sd 
00f61000-01c41000 r--p 00b61000 fe:01 192                                /usr/bin/dbacked
Anonymous:             0 kB
01c41000-01c51000 r--p 01841000 fe:01 192                                /usr/bin/dbacked
Anonymous:             4 kB
01c51000-01d4f000 rw-p 01851000 fe:01 192                                /usr/bin/dbacked
Anonymous:             0 kB
c000000000-c000400000 r--p 00000000 00:00 0 
Anonymous:             0 kB
7f0000000000-7f0000001000 r--p 00000000 fe:01 193                        /usr/lib/other
Anonymous:             0 kB
`
	want := []mapping{{0x400000, 0xf61000}, {0xf61000, 0x1c41000}}
	if diff := cmp.Diff(want, programMappings(smaps, "/usr/bin/dbacked"), cmp.AllowUnexported(mapping{})); diff != "" {
		t.Error(diff)
	}
	if list := programMappings("garbage\n-- r--p x x /p\nAnonymous: 0 kB\n", "/p"); list != nil {
		t.Errorf("of garbage: %v", list)
	}
}

// TestRelease gives back pages of this very program, which goes on all the same.
func TestRelease(t *testing.T) {
	before := residentFile(t)
	release()
	after := residentFile(t)
	t.Logf("%d KiB of files in memory, then %d", before, after)
	if after >= before {
		t.Errorf("%d KiB of files were in memory, and still %d are", before, after)
	}
	if !slices.IsSorted([]string{"a", "b"}) {
		t.Error("the program is not what it was")
	}
}

// residentFile is how much of this process's memory is that of files, in KiB. A file
// in a tmpfs counts as shared memory.
func residentFile(t *testing.T) (sum int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && (fields[0] == "RssFile:" || fields[0] == "RssShmem:") {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}
