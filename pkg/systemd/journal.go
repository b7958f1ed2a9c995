package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"go.uber.org/zap/zapcore"
)

// journalSocket is where journald takes entries in its native format.
const journalSocket = "/run/systemd/journal/socket"

// journalLimit bounds the wait for a journal that does not read: a log must not
// hold up a backup for ever.
const journalLimit = 10 * time.Second

// ToJournal tells whether what is written to f goes to the journal, and so
// whether entries with fields can replace it: JOURNAL_STREAM in environ names
// f's device and inode.
func ToJournal(f *os.File, environ []string) bool {
	var device, inode uint64
	if _, err := fmt.Sscanf(lookup(environ, "JOURNAL_STREAM"), "%d:%d", &device, &inode); err != nil {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Dev == device && stat.Ino == inode
}

// NewJournalCore returns a core that writes entries to the journal of this
// machine, with the zap fields as fields:
//
//   - "backup" is DBACKED_BACKUP_ID, every other one DBACKED_ and its name in
//     upper case; each element of a list is a field of its own;
//   - "event" gives the entry its MESSAGE_ID, too;
//   - MESSAGE is one line: the message and, after a colon, the field "error";
//   - PRIORITY follows from the level.
//
// Values that are too long for the journal are cut.
func NewJournalCore(level zapcore.LevelEnabler) (zapcore.Core, error) {
	return newJournalCore(level, journalSocket)
}

func newJournalCore(level zapcore.LevelEnabler, socket string) (zapcore.Core, error) {
	s := &sender{socket: socket, limit: journalLimit}
	if err := s.dial(); err != nil {
		return nil, fmt.Errorf("the journal cannot be reached: %w; is systemd-journald running?", err)
	}
	return &core{LevelEnabler: level, sender: s}, nil
}

// core is a zapcore.Core.
type core struct {
	zapcore.LevelEnabler
	fields []zapcore.Field
	sender *sender
}

// With keeps the fields as they are: they are read when an entry is written.
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	return &core{LevelEnabler: c.LevelEnabler, fields: joined(c.fields, fields), sender: c.sender}
}

func (c *core) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	list := entryFields(e, joined(c.fields, fields))
	err := c.sender.send(encode(list, valueMax))
	if errors.Is(err, syscall.EMSGSIZE) || errors.Is(err, syscall.ENOBUFS) {
		err = c.sender.send(encode(list, valueMin)) // a machine with small buffers
	}
	if err != nil {
		return fmt.Errorf("an entry for the journal is lost: %w", err)
	}
	return nil
}

// Sync has nothing to do: an entry is with journald when Write returns.
func (c *core) Sync() error { return nil }

func joined(a, b []zapcore.Field) []zapcore.Field {
	return append(a[:len(a):len(a)], b...)
}

// sender sends datagrams to journald. The socket is connected: only so does the
// kernel tell when a full queue has room again.
type sender struct {
	socket string
	limit  time.Duration

	mu   sync.Mutex
	conn *net.UnixConn
}

func (s *sender) dial() error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	if s.conn != nil {
		_ = s.conn.Close()
	}
	s.conn = conn
	return nil
}

// send sends one entry, once more when the socket was made anew.
func (s *sender) send(data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.write(data)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOTCONN) || errors.Is(err, syscall.ECONNRESET) {
		if err = s.dial(); err == nil {
			err = s.write(data)
		}
	}
	return err
}

func (s *sender) write(data []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.limit)); err != nil {
		return err
	}
	_, err := s.conn.Write(data)
	return err
}

// priority is a level as syslog has it.
func priority(l zapcore.Level) journal.Priority {
	switch {
	case l >= zapcore.DPanicLevel:
		return journal.PriCrit
	case l == zapcore.ErrorLevel:
		return journal.PriErr
	case l == zapcore.WarnLevel:
		return journal.PriWarning
	case l == zapcore.InfoLevel:
		return journal.PriInfo
	}
	return journal.PriDebug
}
