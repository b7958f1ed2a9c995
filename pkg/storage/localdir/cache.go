package localdir

import (
	"os"

	"golang.org/x/sys/unix"
)

// trail is how far behind the newest part pages are dropped from the cache:
// by then most of them have been written back.
const trail = 64 << 20

// writeBack starts writing a part to the disk, without waiting for it, and
// drops from the page cache what lies well behind it and is on disk already: a
// backup must not push the database's own pages out. Both are only advice, so
// errors do not matter.
func writeBack(f *os.File, offset, n int64) {
	control(f, func(fd int) {
		_ = unix.SyncFileRange(fd, offset, n, unix.SYNC_FILE_RANGE_WRITE)
		if offset >= trail {
			_ = unix.Fadvise(fd, offset-trail, n, unix.FADV_DONTNEED)
		}
	})
}

// dropCache drops a file that is on disk from the page cache.
func dropCache(f *os.File) {
	control(f, func(fd int) { _ = unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) })
}

// readAhead makes the kernel read further ahead.
func readAhead(f *os.File) {
	control(f, func(fd int) { _ = unix.Fadvise(fd, 0, 0, unix.FADV_SEQUENTIAL) })
}

// control calls use with f's descriptor, which stays open meanwhile.
func control(f *os.File, use func(fd int)) {
	if conn, err := f.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { use(int(fd)) })
	}
}
