package main

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// idleGC keeps the heap of a process that mostly waits small: without it, scrapes
// add 2 MiB.
const idleGC = 50

// release gives back to the system what an agent that waits has no use for: free
// heap, and the pages of this program's own file that a start or a run went
// through, which are most of what it would occupy. Those that are needed again come
// back from the page cache.
func release() {
	debug.FreeOSMemory()
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range programMappings(string(smaps), program) {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.begin, m.end-m.begin, syscall.MADV_DONTNEED)
	}
}

// mapping is a part of this process's memory.
type mapping struct{ begin, end uintptr }

// programMappings returns, of what /proc/self/smaps tells, the mappings of the
// program's file that are as they are in the file: read-only, and without a page of
// their own (which a loader's relocations would leave). What is given back of any
// other is lost.
func programMappings(smaps, program string) (list []mapping) {
	var m mapping
	ours := false
	for line := range strings.Lines(smaps) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 3 && fields[0] == "Anonymous:":
			if ours && fields[1] == "0" {
				list = append(list, m)
			}
		case len(fields) >= 5 && len(fields[1]) == 4:
			// 00400000-00f61000 r-xp 00000000 fe:01 192    /usr/bin/dbacked
			readOnly := fields[1][1] == '-' && fields[1][3] == 'p'
			var ok bool
			m, ok = parseRange(fields[0])
			ours = ok && readOnly && strings.HasSuffix(strings.TrimSuffix(line, "\n"), " "+program)
		}
	}
	return list
}

func parseRange(text string) (m mapping, ok bool) {
	from, to, _ := strings.Cut(text, "-")
	begin, err := strconv.ParseUint(from, 16, strconv.IntSize)
	if err != nil {
		return mapping{}, false
	}
	end, err := strconv.ParseUint(to, 16, strconv.IntSize)
	return mapping{uintptr(begin), uintptr(end)}, err == nil && begin < end
}
