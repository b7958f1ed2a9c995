package systemd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// journalAt returns a logger that writes to a socket.
func journalAt(t *testing.T, socket string) (*zap.Logger, *core) {
	t.Helper()
	c, err := newJournalCore(zapcore.InfoLevel, socket)
	if err != nil {
		t.Fatal(err)
	}
	own := c.(*core)
	t.Cleanup(func() { own.sender.conn.Close() })
	return zap.New(c), own
}

// entry is the next one that came, by its fields; several values of one field
// are joined by a bar.
func (r *receiver) entry() map[string]string {
	r.t.Helper()
	fields, err := decode(r.next())
	if err != nil {
		r.t.Fatal(err)
	}
	entry := map[string]string{}
	for _, f := range fields {
		if before, ok := entry[f.name]; ok {
			f.value = before + "|" + f.value
		}
		entry[f.name] = f.value
	}
	return entry
}

func TestEntry(t *testing.T) {
	r := newReceiver(t)
	log, _ := journalAt(t, r.path)
	log = log.With(zap.String("instance", "shop"), zap.String("stage", "none"))
	log.Named("agent").Error("backup failed", zap.String("event", EventBackupFailed), zap.String("stage", "dump"),
		zap.Duration("duration", 90*time.Second+500*time.Millisecond),
		zap.Error(errors.New("pg_dump: error: no rights\nHINT:  GRANT SELECT ON …\n")))
	want := map[string]string{
		"MESSAGE":           "backup failed: pg_dump: error: no rights; HINT:  GRANT SELECT ON …",
		"MESSAGE_ID":        MessageID(EventBackupFailed),
		"PRIORITY":          "3",
		"SYSLOG_IDENTIFIER": "dbacked",
		"DBACKED_INSTANCE":  "shop",
		"DBACKED_EVENT":     "backup-failed",
		"DBACKED_STAGE":     "dump", // the later one
		"DBACKED_DURATION":  "1m30.5s",
		"DBACKED_ERROR":     "pg_dump: error: no rights\nHINT:  GRANT SELECT ON …\n",
		"DBACKED_LOGGER":    "agent",
	}
	if diff := cmp.Diff(want, r.entry()); diff != "" {
		t.Error(diff)
	}
}

type lines struct{ A, B string }

func TestFieldsOfAllKinds(t *testing.T) {
	r := newReceiver(t)
	log, _ := journalAt(t, r.path)
	log.Warn("kinds", zap.String("backup", "20261123T133123Z-49f70d"),
		zap.Int64("plain_bytes", 1<<40), zap.Bool("held", true), zap.Float64("ratio", 0.25),
		zap.Time("next", time.Date(2026, 11, 23, 2, 0, 0, 0, time.FixedZone("", 3600))),
		zap.Strings("files", []string{"0000.dbacked", "0001.dbacked"}), zap.ByteString("bytes", []byte("text")),
		zap.Binary("binary", []byte("raw")), zap.Any("struct", lines{"a", "b"}), zap.Stringer("nothing", (*pointer)(nil)),
		zap.Error(nil), zap.NamedError("cleanup", errors.New("left")), zap.Any("broken", func() {}),
		zap.Dict("server", zap.String("version", "15.18"), zap.Int("port", 5432)),
		zap.Namespace("tool"), zap.String("name", "pg_dump"))
	got := r.entry()
	if !strings.HasPrefix(got["DBACKED_BROKEN"], "0x") {
		t.Errorf("what has no form: %q", got["DBACKED_BROKEN"])
	}
	delete(got, "DBACKED_BROKEN")
	want := map[string]string{
		"MESSAGE": "kinds", "PRIORITY": "4", "SYSLOG_IDENTIFIER": "dbacked",
		"DBACKED_BACKUP_ID":      "20261123T133123Z-49f70d",
		"DBACKED_PLAIN_BYTES":    "1099511627776",
		"DBACKED_HELD":           "true",
		"DBACKED_RATIO":          "0.25",
		"DBACKED_NEXT":           "2026-11-23T01:00:00Z",
		"DBACKED_FILES":          "0000.dbacked|0001.dbacked",
		"DBACKED_BYTES":          "text",
		"DBACKED_BINARY":         "raw",
		"DBACKED_STRUCT":         `{"A":"a","B":"b"}`,
		"DBACKED_NOTHING":        "<nil>",
		"DBACKED_CLEANUP":        "left",
		"DBACKED_SERVER_VERSION": "15.18",
		"DBACKED_SERVER_PORT":    "5432",
		"DBACKED_TOOL_NAME":      "pg_dump",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// pointer is a Stringer whose nil pointer panics.
type pointer struct{ name string }

func (n *pointer) String() string { return n.name }

func TestWithDoesNotShareFields(t *testing.T) {
	r := newReceiver(t)
	log, _ := journalAt(t, r.path)
	log = log.With(zap.Int("a", 1)).With(zap.Int("b", 2)).With(zap.Int("c", 3)) // whose list has room
	one, two := log.With(zap.Int("n", 1)), log.With(zap.Int("n", 2))
	one.Info("one", zap.Int("m", 1))
	two.Info("two", zap.Int("m", 2))
	for _, want := range []string{"1", "2"} {
		if got := r.entry(); got["DBACKED_N"] != want || got["DBACKED_M"] != want || got["DBACKED_A"] != "1" {
			t.Errorf("%s: %v", want, got)
		}
	}
}

func TestLevels(t *testing.T) {
	r := newReceiver(t)
	log, c := journalAt(t, r.path)
	log.Debug("below the level of the core")
	log.Info("info")
	if got := r.entry()["MESSAGE"]; got != "info" {
		t.Errorf("%q came", got)
	}
	for level, want := range map[zapcore.Level]string{
		zapcore.DebugLevel: "7", zapcore.InfoLevel: "6", zapcore.WarnLevel: "4",
		zapcore.ErrorLevel: "3", zapcore.DPanicLevel: "2", zapcore.FatalLevel: "2",
	} {
		if err := c.Write(zapcore.Entry{Level: level}, nil); err != nil {
			t.Fatal(err)
		}
		if got := r.entry()["PRIORITY"]; got != want {
			t.Errorf("%v: %q, want %q", level, got, want)
		}
	}
	if err := c.Sync(); err != nil {
		t.Error(err)
	}
}

// A value must not become a field, end an entry, or steer a terminal.
func TestValuesCannotForge(t *testing.T) {
	r := newReceiver(t)
	log, _ := journalAt(t, r.path)
	log.Info("a\nPRIORITY=0\x1b[2J\n", zap.String("stage", "dump\nMESSAGE=all is well\n\x00\xff"), zap.String("x\nPRIORITY=0\n", "1"))
	want := map[string]string{
		"MESSAGE": "a; PRIORITY=0\ufffd[2J", "PRIORITY": "6", "SYSLOG_IDENTIFIER": "dbacked",
		"DBACKED_STAGE":         "dump\nMESSAGE=all is well\n\ufffd\ufffd",
		"DBACKED_X_PRIORITY_0_": "1",
	}
	if diff := cmp.Diff(want, r.entry()); diff != "" {
		t.Error(diff)
	}
}

func TestLongValuesAreCut(t *testing.T) {
	r := newReceiver(t)
	log, c := journalAt(t, r.path)
	log = log.With(zap.String("instance", "shop"), zap.String("event", EventBackupFailed))
	long := errors.New(strings.Repeat("é", 1<<16))
	var many []zap.Field
	for i := range 20 {
		many = append(many, zap.String(fmt.Sprintf("a%d", i), long.Error()))
	}
	check := func(what string, limit int) {
		t.Helper()
		log.Error("backup failed", append(many, zap.Error(long))...)
		got := r.entry()
		if got["DBACKED_INSTANCE"] != "shop" || got["MESSAGE_ID"] == "" || !strings.HasPrefix(got["MESSAGE"], "backup failed: éé") {
			t.Errorf("%s: the short fields are lost: %.200v", what, got)
		}
		if v := got["DBACKED_A0"]; len(v) > limit || len(v) < limit-10 || !strings.HasSuffix(v, "é… (cut)") {
			t.Errorf("%s: a value of %d bytes, the limit is %d", what, len(v), limit)
		}
	}
	check("usual", valueMax)
	if err := c.sender.conn.SetWriteBuffer(16 << 10); err != nil {
		t.Fatal(err)
	}
	check("small buffers", valueMin)
}

func TestJournalIsMadeAnew(t *testing.T) {
	r := newReceiver(t)
	log, _ := journalAt(t, r.path)
	r.conn.Close()
	os.Remove(r.path)
	r = receiverAt(t, r.path)
	log.Info("still there")
	if got := r.entry()["MESSAGE"]; got != "still there" {
		t.Errorf("%q came", got)
	}
}

func TestJournalGoesAway(t *testing.T) {
	r := newReceiver(t)
	_, c := journalAt(t, r.path)
	r.conn.Close()
	os.Remove(r.path)
	for range 2 {
		err := c.Write(zapcore.Entry{Message: "lost"}, nil)
		if err == nil || !strings.Contains(err.Error(), "an entry for the journal is lost") {
			t.Errorf("it was not told: %v", err)
		}
	}
	r = receiverAt(t, r.path)
	if err := c.Write(zapcore.Entry{Message: "back"}, nil); err != nil {
		t.Error(err)
	}
	if got := r.entry()["MESSAGE"]; got != "back" {
		t.Errorf("%q came", got)
	}
}

// A journal that does not read must not hold up a backup for ever, and one that
// reads again gets what follows.
func TestJournalDoesNotRead(t *testing.T) {
	r := newReceiver(t)
	_, c := journalAt(t, r.path)
	c.sender.limit = 20 * time.Millisecond
	sent := 0
	var err error
	for ; err == nil && sent < 1<<20; sent++ {
		err = c.Write(zapcore.Entry{Message: "full"}, nil)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("after %d entries: %v", sent, err)
	}
	c.sender.limit = patience
	written := make(chan error, 1)
	go func() { written <- c.Write(zapcore.Entry{Message: "room"}, nil) }()
	for r.entry()["MESSAGE"] != "room" {
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

func TestNoJournal(t *testing.T) {
	_, err := newJournalCore(zapcore.InfoLevel, filepath.Join(t.TempDir(), "none"))
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "is systemd-journald running?") {
		t.Error(err)
	}
}

func TestToJournal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	other := filepath.Join(t.TempDir(), "other")
	for value, want := range map[string]bool{
		fmt.Sprintf("%d:%d", stat.Dev, stat.Ino):   true,
		fmt.Sprintf("%d:%d", stat.Dev, stat.Ino+1): false, // stderr was redirected since
		fmt.Sprintf("%d:%d", stat.Dev+1, stat.Ino): false,
		fmt.Sprint(stat.Dev):                       false,
		"":                                         false,
		other:                                      false,
	} {
		if got := ToJournal(file, []string{"JOURNAL_STREAM=" + value}); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
	if ToJournal(nil, []string{"JOURNAL_STREAM=1:1"}) || ToJournal(file, nil) {
		t.Error("nothing goes to the journal")
	}
}
