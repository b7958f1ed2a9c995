package dumper

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// stdioBuffer is the buffer of a tool's standard input and output. By themselves
// the tools read and write 4 KiB at a time, a quarter of a million calls for each
// GB. It is small enough that a slow dump does not look stalled.
const stdioBuffer = 64 << 10

// stdioLibrary is how coreutils' stdbuf, which every Debian and Red Hat has, gives
// a program other buffers: a library that is loaded with it and calls setvbuf.
const stdioLibrary = "/usr/libexec/coreutils/libstdbuf.so"

// buffered adds to a tool's environment what gives it larger buffers. Where the
// library is missing, or the environment loads another, the tool is only slower.
func buffered(environ []string) []string {
	preloads := func(entry string) bool { return strings.HasPrefix(entry, "LD_PRELOAD=") }
	if _, err := os.Stat(stdioLibrary); err != nil || slices.ContainsFunc(environ, preloads) {
		return environ
	}
	size := strconv.Itoa(stdioBuffer)
	return append(slices.Clone(environ), "LD_PRELOAD="+stdioLibrary, "_STDBUF_I="+size, "_STDBUF_O="+size)
}
