package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dbacked/dbacked/pkg/config"
)

// credentialStores are the folders in which systemd looks for what LoadCredential=
// names, and those for LoadCredentialEncrypted=.
func credentialStores() (plain, encrypted []string) {
	return []string{"/etc/credstore", "/run/credstore", "/usr/lib/credstore"},
		[]string{"/etc/credstore.encrypted", "/run/credstore.encrypted", "/usr/lib/credstore.encrypted"}
}

// loader reads the configuration of a one-shot. Root's finds the credentials of
// the instance where systemd would; one that runs in a unit is given them.
func (a *app) loader() config.Loader {
	loader := config.Loader{FileWasRead: startedBySystemd(a.environ)}
	for _, assignment := range a.environ {
		if strings.HasPrefix(assignment, "CREDENTIALS_DIRECTORY=") {
			return loader
		}
	}
	if os.Geteuid() == 0 {
		loader.Credential = a.credential
	}
	return loader
}

// startedBySystemd tells whether this process is the main one of a unit, as that
// of the weekly verification, and not one that a unit's process started, as a
// shell on a desktop.
func startedBySystemd(environ []string) bool {
	return slices.Contains(environ, fmt.Sprintf("SYSTEMD_EXEC_PID=%d", os.Getpid()))
}

// credential returns a path at which an instance's credential can be read.
func (a *app) credential(instance, name string) string {
	plain, encrypted := credentialStores()
	file := config.CredentialName(instance, name)
	for _, dir := range plain {
		path := filepath.Join(dir, file)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	for _, dir := range encrypted {
		path := filepath.Join(dir, file)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		opened, err := a.decryptCredential(path)
		if err != nil {
			a.warn(fmt.Sprintf("the credential %s cannot be opened: %v", path, err))
			continue
		}
		return opened
	}
	return ""
}

// decryptCredential has systemd-creds open a credential into memory.
func (a *app) decryptCredential(path string) (string, error) {
	fd, err := unix.MemfdCreate("dbacked-credential", unix.MFD_CLOEXEC)
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), "credential")
	cmd := exec.Command("systemd-creds", "decrypt", path, "-")
	cmd.Stdout = f
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		_ = f.Close()
		return "", fmt.Errorf("systemd-creds: %v: %s", err, strings.TrimSpace(said.String()))
	}
	if _, err := f.Seek(0, 0); err != nil {
		return "", err
	}
	a.held = append(a.held, f) // open for as long as its path may be used
	return fmt.Sprintf("/proc/self/fd/%d", fd), nil
}
