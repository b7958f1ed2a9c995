package dumper

import (
	"context"
	"fmt"
	"io"
	"regexp"
)

// Dump writes the database to w as SQL, as the dump program makes it. It
// returns nil only if the program ended with status 0, what it wrote begins as a
// dump and its last line is the closing one. Before it starts, it makes sure
// that the account sees every object: the programs leave out silently what they
// are not shown.
func (m *MySQL) Dump(ctx context.Context, w io.Writer) error {
	if err := m.CheckOptions(); err != nil {
		return err
	}
	s, err := m.open(ctx, m.conn.Database)
	if err != nil {
		return err
	}
	defer s.close()
	t, err := m.dumpTool(ctx, s.server)
	if err != nil {
		return err
	}
	if err := m.preflight(ctx, s, t); err != nil {
		return err
	}
	args, err := m.dumpArgs(ctx, s, t)
	if err != nil {
		return err
	}
	run, err := m.program(ctx, t.path, args...)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() { defer close(watched); m.watchLocks(ctx, s, cancel) }()
	proof := &mysqlProof{w: w}
	err = run.output(ctx, proof)
	cancel(nil)
	<-watched
	if err != nil {
		return m.explain(err)
	}
	return proof.check(run.name())
}

// mysqlProof passes a dump through, and keeps what shows that it is whole: its
// beginning and its end.
type mysqlProof struct {
	w    io.Writer
	size int64
	head []byte
	end  mysqlEnd
}

// mysqlHeadSize is how much of a dump's beginning is looked at.
const mysqlHeadSize = 512

func (p *mysqlProof) Write(b []byte) (int, error) {
	if missing := mysqlHeadSize - len(p.head); missing > 0 {
		p.head = append(p.head, b[:min(missing, len(b))]...)
	}
	p.end.see(b)
	p.size += int64(len(b))
	return p.w.Write(b)
}

func (p *mysqlProof) check(tool string) error {
	switch {
	case p.size == 0:
		return fmt.Errorf("%w: %s ended well but wrote nothing", ErrIncomplete, tool)
	case !mysqlHead.Match(p.head):
		return fmt.Errorf("%w: what %s wrote does not begin as a dump of MySQL or MariaDB", ErrIncomplete, tool)
	case !p.end.closed():
		return fmt.Errorf("%w: %s ended well after %d bytes, but without the closing line \"-- Dump completed\": "+
			"it was cut; look for what ended it (memory, a wrapper script, a full disk)", ErrIncomplete, tool, p.size)
	}
	return nil
}

var (
	mysqlHead    = regexp.MustCompile(`\A(?:/\*M?!999999\\-[^\n]*\n)?-- (?:MySQL|MariaDB) dump `)
	mysqlClosing = regexp.MustCompile(`\n-- Dump completed(?: on \d{4}-\d\d-\d\d +\d{1,2}:\d\d:\d\d)?\r?\n\z`)
)

// mysqlEnd keeps the last bytes of what it is shown.
type mysqlEnd struct{ buf []byte }

const mysqlEndSize = 128

func (e *mysqlEnd) see(b []byte) {
	if len(b) >= mysqlEndSize {
		e.buf = append(e.buf[:0], b[len(b)-mysqlEndSize:]...)
		return
	}
	if over := len(e.buf) + len(b) - mysqlEndSize; over > 0 {
		e.buf = append(e.buf[:0], e.buf[over:]...)
	}
	e.buf = append(e.buf, b...)
}

// closed says whether the last line is the one that ends a dump.
func (e *mysqlEnd) closed() bool { return mysqlClosing.Match(e.buf) }
