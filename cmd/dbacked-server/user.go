package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"syscall"
)

// settle makes what root runs by hand act as the owner of the data folder from here
// on. What root wrote there, such as the files that SQLite keeps beside a database,
// would stop the service, which could not open them. A folder that is root's own, or
// that does not exist yet, changes nothing.
func settle(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the data folder: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	if err := assume(int(owner.Uid), int(owner.Gid)); err != nil {
		return fmt.Errorf("acting as the owner of %s, user %d: %w", dir, owner.Uid, err)
	}
	return nil
}

// assume gives up root for good, in all threads.
func assume(uid, gid int) error {
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return err
	}
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return err
	}
	return syscall.Setresuid(uid, uid, uid)
}

// actor names who works on the command line, for the audit log: who called sudo, if
// root was become by that.
func actor() string {
	if sudoer := os.Getenv("SUDO_USER"); sudoer != "" && os.Geteuid() == 0 {
		return sudoer
	}
	u, err := user.Current()
	if err != nil {
		return fmt.Sprintf("uid %d", os.Getuid())
	}
	return u.Username
}
