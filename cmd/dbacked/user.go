package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/dbacked/dbacked/pkg/config"
)

// unitUser is who dbacked@.service runs as.
const unitUser = "dbacked"

// identity is a user, as the kernel knows one.
type identity struct {
	name, home string
	uid, gid   int
	groups     []int
}

// settle makes what root runs by hand act as the user of the instance's service,
// once the configuration and the keys have been read: what it writes
// must belong to that user, and what it runs needs no more rights than the
// service has. With --run-as it is that user instead, who may read the backups
// all the same. Elsewhere nothing changes.
func (a *app) settle(c *config.Config) error {
	if a.runAs != "" {
		return a.become(c, a.runAs)
	}
	if os.Geteuid() != 0 {
		return nil
	}
	who, err := owner(c)
	if err != nil || who == nil {
		return err
	}
	if err := who.assume(); err != nil {
		return fmt.Errorf("acting as user %s: %w", who.name, err)
	}
	c.Environ = who.environ(c.Environ)
	return nil
}

// become is settle for --run-as.
func (a *app) become(c *config.Config, name string) error {
	if os.Geteuid() != 0 {
		return &usageError{fmt.Errorf("--run-as %s: only root can act as another user: sudo dbacked …", name)}
	}
	who, err := lookUp(user.Lookup(name))
	if err != nil {
		return &usageError{fmt.Errorf("--run-as: %w", err)}
	}
	if who.uid == 0 {
		return nil
	}
	if err := keepReading(who.assume); err != nil {
		return fmt.Errorf("acting as user %s: %w", name, err)
	}
	c.Environ = who.environ(c.Environ)
	return nil
}

// owner is the user of an instance: the one whose state folder it is; for an
// instance that never ran, the one of the unit. nil is root, who goes on as such.
func owner(c *config.Config) (*identity, error) {
	for _, dir := range []string{c.StateDirectory, filepath.Dir(c.StateDirectory)} {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok || stat.Uid == 0 {
			return nil, nil
		}
		return lookUp(user.LookupId(strconv.Itoa(int(stat.Uid))))
	}
	if c.Source("DBACKED_STATE_DIRECTORY") != "default" {
		return nil, nil
	}
	who, err := lookUp(user.Lookup(unitUser))
	if err != nil {
		return nil, nil // dbacked is not installed as a service
	}
	// As systemd does for StateDirectory=.
	dir := filepath.Dir(c.StateDirectory)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	return who, os.Chown(dir, who.uid, who.gid)
}

func lookUp(u *user.User, err error) (*identity, error) {
	if err != nil {
		return nil, err
	}
	who := &identity{name: u.Username, home: u.HomeDir}
	if who.uid, err = strconv.Atoi(u.Uid); err != nil {
		return nil, err
	}
	if who.gid, err = strconv.Atoi(u.Gid); err != nil {
		return nil, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		gid, err := strconv.Atoi(id)
		if err != nil {
			return nil, err
		}
		who.groups = append(who.groups, gid)
	}
	return who, nil
}

// assume gives up root for good, in all threads.
func (i *identity) assume() error {
	if err := syscall.Setgroups(i.groups); err != nil {
		return err
	}
	if err := syscall.Setresgid(i.gid, i.gid, i.gid); err != nil {
		return err
	}
	return syscall.Setresuid(i.uid, i.uid, i.uid)
}

// environ is an environment in which the tools find this user's files.
func (i *identity) environ(environ config.Environ) config.Environ {
	own := []string{"HOME=" + i.home, "USER=" + i.name, "LOGNAME=" + i.name}
	return slices.Concat(slices.DeleteFunc(slices.Clone(environ), func(assignment string) bool {
		name, _, _ := strings.Cut(assignment, "=")
		return name == "HOME" || name == "USER" || name == "LOGNAME" || strings.HasPrefix(name, "SUDO_")
	}), own)
}
