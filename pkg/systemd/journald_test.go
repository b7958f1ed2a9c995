package systemd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// journald is a real one, with folders of its own, where the catalogue is
// installed.
type journald struct {
	t   *testing.T
	pid int
}

// startJournald runs it in a mount namespace, so that the machine's own journal
// is not touched. As a journal of a namespace it leaves the kernel's log alone.
func startJournald(t *testing.T) *journald {
	t.Helper()
	const program = "/lib/systemd/systemd-journald"
	_, err := os.Stat(program)
	dbtest.Need(t, "systemd-journald", err)
	_, err = os.Stat("/etc/machine-id")
	dbtest.Need(t, "a machine id", err)
	if os.Geteuid() != 0 {
		dbtest.Need(t, "mounts", errors.New("only root can make them"))
	}
	catalog, err := filepath.Abs(catalogFile)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "sh", "-euc", `
		mount -t tmpfs tmpfs /run
		mount -t tmpfs tmpfs /var/lib/systemd
		mount -t tmpfs tmpfs /var/log
		mount -t tmpfs tmpfs /usr/lib/systemd/catalog
		mkdir -p /var/lib/systemd/catalog /run/log/journal
		cp "$1" /usr/lib/systemd/catalog/
		journalctl --update-catalog
		exec "$0" test`, program, catalog)
	ready := newReceiver(t)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+ready.path)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		dbtest.Need(t, "unshare", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for !strings.Contains(ready.next(), "READY=1") {
	}
	return &journald{t, cmd.Process.Pid}
}

func (j *journald) logger() *zap.Logger {
	j.t.Helper()
	// its /run is seen here through the process
	log, _ := journalAt(j.t, fmt.Sprintf("/proc/%d/root/run/systemd/journal.test/socket", j.pid))
	return log
}

// journalctl reads the entries of dbacked as they come.
func (j *journald) journalctl(args ...string) *bufio.Reader {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	arguments := append([]string{
		fmt.Sprintf("--target=%d", j.pid), "--mount",
		"journalctl", "--namespace=test", "--follow", "--lines=all", "--no-pager",
	}, args...)
	cmd := exec.CommandContext(ctx, "nsenter", append(arguments, "SYSLOG_IDENTIFIER=dbacked")...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	cmd.Stderr = j.t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		j.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		j.t.Fatal(err)
	}
	j.t.Cleanup(func() {
		cancel()
		cmd.Wait()
	})
	return bufio.NewReader(out)
}

func TestRealJournal(t *testing.T) {
	j := startJournald(t)
	log := j.logger().With(zap.String("instance", "shop"))
	log.Info("agent ready", zap.String("event", EventAgentReady))
	log.Error("backup failed", zap.String("event", EventBackupFailed), zap.String("stage", "dump"),
		zap.Strings("files", []string{"a", "b"}), zap.Error(errors.New("pg_dump: no\nHINT: "+strings.Repeat("long ", 100_000))))
	log.Info("backup proved", zap.String("event", EventBackupProved), zap.String("backup", "20261123T133123Z-49f70d"))

	t.Run("fields", func(t *testing.T) {
		entries := json.NewDecoder(j.journalctl("--output=json", "--all"))
		var ready, failed map[string]any
		if err := errors.Join(entries.Decode(&ready), entries.Decode(&failed)); err != nil {
			t.Fatal(err)
		}
		if failed["DBACKED_ERROR"] == nil || !strings.HasSuffix(failed["DBACKED_ERROR"].(string), "(cut)") {
			t.Errorf("the error is %.200v", failed["DBACKED_ERROR"])
		}
		got := map[string]any{}
		for _, name := range []string{"DBACKED_INSTANCE", "DBACKED_STAGE", "DBACKED_FILES", "MESSAGE_ID", "PRIORITY", "_TRANSPORT", "_PID"} {
			got[name] = failed[name]
		}
		want := map[string]any{
			"DBACKED_INSTANCE": "shop", "DBACKED_STAGE": "dump", "DBACKED_FILES": []any{"a", "b"}, "PRIORITY": "3",
			"MESSAGE_ID": MessageID(EventBackupFailed), "_TRANSPORT": "journal", "_PID": fmt.Sprint(os.Getpid()),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("explanations", func(t *testing.T) {
		out := j.journalctl("--catalog")
		for _, want := range []string{
			"agent ready", "dbacked status shop",
			"backup failed: pg_dump: no; HINT: long long", `in its stage "dump"`, "sudo dbacked check shop", "journalctl -u dbacked@shop -n 100",
			"backup proved", "sudo dbacked verify shop 20261123T133123Z-49f70d",
		} {
			for {
				line, err := out.ReadString('\n')
				if err != nil {
					t.Fatalf("no %q: %v", want, err)
				}
				if strings.Contains(line, "DBACKED_") && !strings.Contains(line, "DBACKED_PING_URL") {
					t.Errorf("a field is shown by its name: %s", line)
				}
				if strings.Contains(line, want) {
					break
				}
			}
		}
	})
}

// Each explanation as a person sees it; go test -v shows them all.
func TestRealExplanations(t *testing.T) {
	j := startJournald(t)
	log := j.logger().With(zap.String("instance", "shop"))
	for _, e := range Events() {
		log.Warn("this is "+e.Name, zap.String("event", e.Name), zap.String("reason", "due"), zap.String("stage", "dump"), zap.String("backup", "20261123T133123Z-49f70d"))
	}
	log.Warn("the end")
	out := j.journalctl("--catalog")
	var all strings.Builder
	for !strings.Contains(all.String(), "the end") {
		line, err := out.ReadString('\n')
		all.WriteString(line)
		if errors.Is(err, io.EOF) {
			t.Fatalf("journalctl ended:\n%s", &all)
		}
	}
	t.Log(&all)
	for _, e := range Events() {
		_, after, _ := strings.Cut(all.String(), "this is "+e.Name+"\n")
		text, _, _ := strings.Cut(after, "this is ")
		if !strings.Contains(text, "Subject: ") || !strings.Contains(text, "shop") {
			t.Errorf("%s is not explained: %s", e.Name, text)
		}
	}
}
