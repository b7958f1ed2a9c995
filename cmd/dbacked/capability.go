package main

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// keepReading calls drop, which gives up root, and keeps of root's capabilities
// the one to read any file: backups and state belong to the service's user, and
// whoever restores them is another. Programs that this process runs do not get
// it.
func keepReading(drop func() error) error {
	if err := all(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1); err != nil {
		return err
	}
	if err := drop(); err != nil {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	const only = 1 << unix.CAP_DAC_READ_SEARCH
	data := [2]unix.CapUserData{{Effective: only, Permitted: only}}
	return all(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])))
}

// all makes a system call in every thread of this process.
func all(number, a, b uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall(number, a, b, 0); errno != 0 {
		return errno
	}
	return nil
}
