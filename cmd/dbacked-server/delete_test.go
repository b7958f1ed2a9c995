package main

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// stored makes a done backup of a project in the data of a test, an hour after the one
// before, and returns its id and where its files are.
func stored(t *testing.T, data, project string, hour int) (id, dir string) {
	t.Helper()
	ctx, d := t.Context(), dataFlags{Data: data}
	r, p, err := d.project(ctx, project)
	must(t, err)
	defer r.Close()
	_, folder, err := d.files(ctx, r, zap.NewNop())
	must(t, err)
	defer folder.Close()
	now := time.Now().Add(time.Duration(hour) * 25 * time.Hour)
	b, _, err := r.Give(ctx, p.ID, records.Ask{AgentID: "a"}, now)
	must(t, err)
	sum := md5.Sum([]byte("content"))
	f, err := r.AskPart(ctx, p.ID, b.ID, "a", "backup", records.Part{Number: 1, MD5: base64.StdEncoding.EncodeToString(sum[:])}, now)
	must(t, err)
	done, err := folder.Put(ctx, files.Ref{Project: p.ID, Backup: b.ID, Number: f.Number}, []byte("content"))
	must(t, err)
	f.Size, f.ETag, f.Modified = done.Size, done.ETag, done.Modified
	must(t, r.CompleteFile(ctx, f, "a", "backup"))
	_, b, err = r.BeginDone(ctx, p.ID, b.ID, "a", "all", now)
	must(t, err)
	b.Size = done.Size
	must(t, r.EndDone(ctx, b, now))
	return b.ID, filepath.Join(data, "files", p.ID, b.ID)
}

// refusedWith runs a command that has to fail and say why.
func refusedWith(t *testing.T, data, why string, args ...string) {
	t.Helper()
	if out, err, status := said(t, data, args...); status == exitOK || !strings.Contains(err, why) {
		t.Errorf("%v: %d, %s%s; it should say %q", args, status, out, err, why)
	}
}

// TestDelete deletes, undeletes, keeps and releases, and says what is refused.
func TestDelete(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	well(t, data, nil, "project", "create", "shop")
	first, _ := stored(t, data, "shop", 0)
	refusedWith(t, data, "--last", "backup", "delete", "shop", first, "--yes")
	second, _ := stored(t, data, "shop", 1)
	refusedWith(t, data, "add --yes", "backup", "delete", "shop", first)
	refusedWith(t, data, "there is no backup \"nothing\"", "backup", "delete", "shop", "nothing", "--yes")
	var b admin.Backup
	well(t, data, &b, "backup", "delete", "shop", first, "--yes", "--json", "--why", "it is wrong")
	if b.ID != first || b.State != "done" || b.Removal != "deleted" || b.DeletedWhy != "it is wrong" || b.DeletedBy == "" || b.RemoveAfter.Sub(*b.DeletedAt) != records.DefaultGrace {
		t.Errorf("%+v", b)
	}
	if out := well(t, data, nil, "backup", "list", "shop"); !strings.Contains(out, "deleted until "+b.RemoveAfter.Format(time.DateTime)) {
		t.Error(out)
	}
	refusedWith(t, data, "--last", "backup", "delete", "shop", second, "--yes")
	var again admin.Backup
	well(t, data, &again, "backup", "undelete", "shop", first, "--json")
	if again.ID != first || again.Removal != "" || !again.Kept || again.DeletedAt != nil || again.RemoveAfter != nil {
		t.Errorf("%+v", again)
	}
	refusedWith(t, data, first+" is kept: release it first", "backup", "delete", "shop", first, "--yes")
	well(t, data, nil, "backup", "release", "shop", first)
	well(t, data, &b, "backup", "keep", "shop", second, "--json")
	if out := well(t, data, nil, "backup", "list", "shop"); !b.Kept || !strings.Contains(out, "done, kept") {
		t.Errorf("%+v\n%s", b, out)
	}
	refusedWith(t, data, "files are not removed", "project", "remove", "shop")
	log := well(t, data, nil, "audit", "shop")
	for _, action := range []string{"backup-delete", "backup-undelete", "backup-release", "backup-keep", "it is wrong"} {
		if strings.Count(log, action) != 1 {
			t.Errorf("the audit log says %s not once:\n%s", action, log)
		}
	}
}

// TestDeleteNow lets the service remove what is deleted without grace, and forgets the
// project then.
func TestDeleteNow(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	well(t, data, nil, "project", "create", "shop")
	id, dir := stored(t, data, "shop", 0)
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	well(t, data, nil, "backup", "delete", "shop", id, "--now", "--last", "--yes")
	serve(t, data)
	var b admin.Backup
	for deadline := time.Now().Add(30 * time.Second); b.Removal != "removed"; time.Sleep(20 * time.Millisecond) {
		well(t, data, &b, "backup", "list", "shop", "--json")
		if time.Now().After(deadline) {
			t.Fatalf("%+v", b)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || b.RemovedAt == nil || b.Size != 7 {
		t.Errorf("%v, %+v", err, b)
	}
	refusedWith(t, data, "is removed", "backup", "undelete", "shop", id)
	well(t, data, nil, "project", "remove", "shop")
}

// TestDeleteAsks on a terminal.
func TestDeleteAsks(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	well(t, data, nil, "project", "create", "shop")
	first, _ := stored(t, data, "shop", 0)
	stored(t, data, "shop", 1)
	for _, said := range [][2]string{{"n\n", "nothing was deleted"}, {"y\n", "deleted until"}} {
		answer, want := said[0], said[1]
		text := onTerminal(t, answer, "backup", "delete", "shop", first, "--data", data)
		if !strings.Contains(text, first+" (done, 7 B)") || !strings.Contains(text, "[y/N]") || !strings.Contains(text, want) {
			t.Errorf("%q: %s", answer, text)
		}
	}
}

// onTerminal runs the program on a terminal, answers its question, and returns what was
// shown.
func onTerminal(t *testing.T, answer string, args ...string) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer master.Close()
	raw, err := master.SyscallConn()
	must(t, err)
	var number int
	must(t, raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}))
	must(t, err)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	cmd := program(t, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	must(t, cmd.Start())
	must(t, slave.Close())
	var shown bytes.Buffer
	for part := make([]byte, 1024); ; {
		n, err := master.Read(part)
		asked := bytes.Contains(shown.Bytes(), []byte("[y/N]"))
		shown.Write(part[:n])
		if !asked && bytes.Contains(shown.Bytes(), []byte("[y/N]")) {
			_, err := master.WriteString(answer)
			must(t, err)
		}
		if err != nil { // EIO: nobody is at the other end
			break
		}
	}
	_ = cmd.Wait() // what it showed says how it ended
	return shown.String()
}

// TestRulesOfAProject sets, shows and refuses rules.
func TestRulesOfAProject(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	var p admin.Project
	well(t, data, &p, "project", "create", "plain", "--json")
	if p.Retention != (admin.Kept{Minimum: "1d", Grace: "7d"}) {
		t.Errorf("%+v", p.Retention)
	}
	well(t, data, &p, "project", "create", "shop", "--keep-last", "3", "--keep-daily", "7", "--keep-for", "1w2d", "--json")
	if want := (admin.Kept{Last: 3, Daily: 7, For: "9d", Minimum: "1d", Grace: "7d"}); p.Retention != want {
		t.Errorf("%+v", p.Retention)
	}
	p = admin.Project{}
	well(t, data, &p, "project", "set", "shop", "--keep-last", "0", "--keep-weekly", "4", "--keep-monthly", "12", "--keep-yearly", "2",
		"--keep-for", "0", "--keep-minimum", "36h", "--grace", "2w", "--json")
	want := admin.Kept{Daily: 7, Weekly: 4, Monthly: 12, Yearly: 2, Minimum: "1d12h", Grace: "14d"}
	if p.Retention != want {
		t.Errorf("%+v", p.Retention)
	}
	p = admin.Project{}
	if well(t, data, &p, "project", "show", "shop", "--json"); p.Retention != want {
		t.Errorf("%+v", p.Retention)
	}
	for _, command := range [][]string{{"project", "show", "shop"}, {"project", "list"}, {"audit"}} {
		if out := well(t, data, nil, command...); !strings.Contains(out, "daily 7, weekly 4, monthly 12, yearly 2") {
			t.Errorf("%v: %s", command, out)
		}
	}
	for why, args := range map[string][]string{
		"grace is at least":       {"--grace", "0"},
		"keep-last is":            {"--keep-last=-1"},
		"is not a duration":       {"--keep-for", "often"},
		"keep-for is at least 0":  {"--keep-for", "90000d"},
		"expected a valid 64 bit": {"--keep-daily", "x"},
	} {
		refusedWith(t, data, why, append([]string{"project", "set", "shop"}, args...)...)
	}
}
