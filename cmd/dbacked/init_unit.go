package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/dbacked/dbacked/pkg/config"
)

// dropInMark begins a drop-in of init's, which it may then replace.
const dropInMark = "# Written by dbacked init"

// dropInPaths are where a drop-in goes that the service needs, and its weekly
// verification too.
func (w *wizard) dropInPaths(name string) []string {
	var out []string
	for _, unit := range []string{"dbacked@", "dbacked-verify@"} {
		out = append(out, filepath.Join(w.unitDirectory, unit+w.draft.name+".service.d", name))
	}
	return out
}

// dropIns are the texts of the drop-ins by their names, "" for one that is not
// needed.
func dropIns(c *config.Config) map[string]string {
	return map[string]string{"storage.conf": storageDropIns(c), "paths.conf": pathsDropIn(c)}
}

// storageDropIn lets the service write to a storage that is not the state
// folder, which it may write anyway.
func storageDropIn(c *config.Config) string {
	path := c.Storage.Path
	if c.Storage.Scheme != config.SchemeFile {
		return ""
	}
	if path == stateRoot || strings.HasPrefix(path+"/", filepath.Join(stateRoot, c.Instance)+"/") {
		return ""
	}
	text := fmt.Sprintf(`%s: the backups of %s lie outside the state folder.

[Unit]
# Where this is a mount of its own, nothing is written before it is there: else an
# unmounted disk fills the root.
RequiresMountsFor=%s

[Service]
# With a "-": a folder that is not there yet keeps the service from writing, not from
# running.
ReadWritePaths=%s
`, dropInMark, c.Instance, unitWord(path), unitWord("-"+path))
	if hiddenFromService(path) {
		text += "# The sandbox hides what is around it.\n" + openHome(path) + "BindPaths=" + unitWord("-"+path) + "\n"
	}
	return text
}

// storageDropIns is storageDropIn for all places. Only the first must be there: the
// service runs without the others, and says so.
func storageDropIns(c *config.Config) string {
	text := storageDropIn(c)
	for i, s := range c.Places {
		if i == 0 {
			continue
		}
		one := storageDropIn(c.At(s))
		_, service, found := strings.Cut(one, "[Service]\n")
		switch {
		case !found:
		case text == "":
			text = fmt.Sprintf("%s: the backups of %s lie outside the state folder.\n\n[Service]\n%s", dropInMark, c.Instance, service)
		default:
			text += service
		}
	}
	return text
}

// openHome lets paths below the homes be shown: without it, nobody may even pass
// the closed folder above them.
func openHome(path string) string {
	if hiddenFromService(path) && !strings.HasPrefix(path, "/tmp") && !strings.HasPrefix(path, "/var/tmp") {
		return "ProtectHome=tmpfs\n"
	}
	return ""
}

// pathsDropIn shows the service what it reads and the sandbox hides: a socket in
// /tmp, a certificate in a home.
func pathsDropIn(c *config.Config) string {
	d := c.Database
	var home string
	var lines strings.Builder
	for _, path := range append([]string{d.Socket(), d.TLS.CA, d.TLS.Cert, d.TLS.Key}, d.ToolsPath...) {
		if !hiddenFromService(path) {
			continue
		}
		if folder := filepath.Dir(path); path == d.Socket() && c.Database.Type == config.MySQL && folder != "/tmp" {
			path = folder // a server makes its socket anew at its start
		}
		if home == "" {
			home = openHome(path)
		}
		lines.WriteString("BindReadOnlyPaths=" + unitWord("-"+path) + "\n")
	}
	if lines.Len() == 0 {
		return ""
	}
	return fmt.Sprintf("%s: the sandbox of %s hides what is below /home, /root and /tmp.\n\n[Service]\n%s%s", dropInMark, c.Instance, home, lines.String())
}

// unitWord writes a path as one word of a unit file, where "%" begins a
// specifier, a backslash keeps the next character, and quotes all but these.
func unitWord(path string) string {
	plain := strings.IndexFunc(path, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/._-", r)
	}) < 0
	if plain {
		return path
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(path) {
		switch c := path[i]; c {
		case '%':
			b.WriteString("%%")
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// enable starts the service, now and at boot, if that is wanted.
func (w *wizard) enable(ctx context.Context) error {
	unit := "dbacked@" + w.draft.name
	later := "sudo systemctl enable --now " + unit
	if w.flags.Force {
		later += " && sudo systemctl restart " + unit
	}
	wanted := w.flags.Enable
	if wanted != nil && !*wanted || !w.hasSystemd() {
		w.say("\nTo start it, now and at boot: %s", later)
		return nil
	}
	if wanted == nil {
		yes, err := w.agrees(ctx, fmt.Sprintf("\nStart %s, now and at boot?", unit))
		if err != nil || !yes {
			w.say("To start it: %s", later)
			return err
		}
	}
	commands := [][]string{{"daemon-reload"}, {"enable", "--now", unit}}
	switch {
	case w.flags.Root != "":
		commands = [][]string{{"--root=" + w.flags.Root, "enable", unit}}
	case w.flags.Force: // it may run, with what it was told at its start
		commands = [][]string{{"daemon-reload"}, {"enable", unit}, {"restart", unit}}
	}
	for _, args := range commands {
		cmd := exec.CommandContext(ctx, "systemctl", args...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("systemctl %s: %w: %s; what was written stays, see journalctl -u %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)), unit)
		}
	}
	w.good("%s is enabled: systemctl status %s, journalctl -u %s", unit, unit, unit)
	return nil
}

// hasSystemd tells whether there is a systemd to tell of the service, and a unit.
func (w *wizard) hasSystemd() bool {
	if _, err := exec.LookPath("systemctl"); err != nil || os.Geteuid() != 0 {
		return false
	}
	installed := false
	for _, dir := range []string{"/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system", "/usr/local/lib/systemd/system"} {
		if _, err := os.Stat(filepath.Join("/", w.flags.Root, dir, "dbacked@.service")); err == nil {
			installed = true
		}
	}
	if w.flags.Root != "" {
		return installed
	}
	_, err := os.Stat("/run/systemd/system")
	return err == nil && installed
}
