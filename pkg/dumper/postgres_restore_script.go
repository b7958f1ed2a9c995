package dumper

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
)

// runScript lets write write a script, and psql run it. psql sees the end of the
// script only when write has ended well.
func (p *Postgres) runScript(ctx context.Context, plan pgPlan, write func(ctx context.Context, application string, w io.Writer) error) error {
	application, conninfo := p.session()
	words := []string{"--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--file=-", conninfo}
	if plan.single {
		words = append(words, "--single-transaction")
	}
	to, err := p.loader(plan.psql, application, words...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := write(ctx, application, w)
		w.CloseWithError(err) // nil is the end of the script
		ended <- err
	}()
	err = to.input(ctx, r, io.Discard)
	_ = r.CloseWithError(err)
	if err != nil {
		cancel(err)
	}
	if second := <-ended; err == nil {
		err = second
	}
	return err
}

// writeScript lets a pg_restore with those arguments make a script of an archive,
// for the session of that name.
func (p *Postgres) writeScript(ctx context.Context, plan pgPlan, application string, body io.Reader, args []string, w io.Writer) error {
	return p.writeListed(ctx, plan, application, body, nil, args, w)
}

// writeListed is writeScript, of the entries alone that the list names, if there is
// one, and in its order.
func (p *Postgres) writeListed(ctx context.Context, plan pgPlan, application string, body io.Reader, list *os.File, args []string, w io.Writer) error {
	args = append(append([]string(nil), args...), "--file=-")
	if plan.single {
		args = append(args, "--single-transaction")
	}
	from, err := p.loader(plan.program.path, application, args...)
	if err != nil {
		return err
	}
	if list != nil {
		from.file = list
		from.args = append(from.args, "--use-list="+from.filePath())
	}
	script := &pgScript{w: w, old: plan.newer(), inner: plan.single}
	err = from.input(ctx, body, script)
	if exit, ok := errors.AsType[*ExitError](err); list != nil && ok && exit.Code == 0 {
		// It has all that the list names. Whether the archive is whole, its end tells.
		_, err = io.Copy(io.Discard, body)
	}
	if err != nil {
		return err
	}
	return script.flush()
}

// newer says that pg_restore begins its scripts with a setting that the server does
// not know.
func (p *pgPlan) newer() bool { return p.program.release >= 1700 && p.server < 1700 }

const (
	pgScriptHead = 8 << 10 // bytes in which a script's BEGIN and settings are
	pgScriptTail = 1 << 10 // and its COMMIT
)

// pgScript passes a script on that pg_restore writes.
type pgScript struct {
	w     io.Writer
	old   bool // without the setting transaction_timeout, which servers before 17 do not know
	inner bool // without its BEGIN and COMMIT: it is a piece of a larger transaction
	held  []byte
	begun bool
}

// A pg_restore that is not told of a single transaction writes a BEGIN and a
// COMMIT around large objects, and that COMMIT would end psql's transaction too.
// One that is writes them at the very beginning and the very end alone.
const (
	pgScriptBegin   = "\nBEGIN;\n"
	pgScriptCommit  = "\nCOMMIT;\n"
	pgScriptTimeout = "\nSET transaction_timeout = 0;\n"
)

var errScript = errors.New("the script that pg_restore wrote is not understood: its transaction does not begin and end where expected")

func (s *pgScript) Write(b []byte) (int, error) {
	s.held = append(s.held, b...)
	if !s.begun && len(s.held) < pgScriptHead {
		return len(b), nil
	}
	if err := s.begin(); err != nil {
		return 0, err
	}
	if n := len(s.held) - pgScriptTail; n > 0 {
		if _, err := s.w.Write(s.held[:n]); err != nil {
			return 0, err
		}
		s.held = append(s.held[:0], s.held[n:]...)
	}
	return len(b), nil
}

// begin takes out of the head what does not belong there.
func (s *pgScript) begin() error {
	if s.begun {
		return nil
	}
	s.begun = true
	head, rest := s.held[:min(len(s.held), pgScriptHead)], s.held[min(len(s.held), pgScriptHead):]
	at := bytes.Index(head, []byte(pgScriptBegin))
	if s.inner && at < 0 {
		return errScript
	}
	if s.inner {
		head = pgWithout(head, at, pgScriptBegin)
	}
	if at := bytes.Index(head, []byte(pgScriptTimeout)); s.old && at >= 0 {
		head = pgWithout(head, at, pgScriptTimeout)
	}
	s.held = append(head[:len(head):len(head)], rest...)
	return nil
}

// flush passes on the end of a script that is complete.
func (s *pgScript) flush() error {
	if err := s.begin(); err != nil {
		return err
	}
	if s.inner {
		at := bytes.LastIndex(s.held, []byte(pgScriptCommit))
		if at < 0 {
			return errScript
		}
		s.held = pgWithout(s.held, at, pgScriptCommit)
	}
	_, err := s.w.Write(s.held)
	s.held = nil
	return err
}

// pgWithout is a text without a line that begins with the line break at.
func pgWithout(text []byte, at int, line string) []byte {
	return append(text[:at+1:at+1], text[at+len(line):]...)
}
