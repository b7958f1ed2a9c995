package dumper

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// restoreTool is the pg_restore for an archive and a server: of the server's own
// release if that reads the archive, else the next newer one, else an older one.
// Since 17, pg_restore begins with SET transaction_timeout, which older servers
// refuse: for those it writes a script, from which that is taken, for psql.
func (p *Postgres) restoreTool(ctx context.Context, a *pgArchive, server pgRelease) (plan pgPlan, err error) {
	needed := pgReads(a.header.Minor)
	found, err := p.findTools(ctx, "pg_restore", func(t pgTool) bool { return t.chosen && t.release == server && t.release >= needed })
	if err != nil {
		return plan, err
	}
	for _, t := range found {
		psql := ""
		if t.release >= 1700 && server < 1700 {
			psql = filepath.Join(filepath.Dir(t.path), "psql")
			if _, err := os.Stat(psql); err != nil {
				continue
			}
		}
		if t.release >= needed && (plan.program.path == "" || pgBetter(t, plan.program, server)) {
			plan = pgPlan{program: t, psql: psql}
		}
	}
	if plan.program.path == "" {
		return plan, fmt.Errorf("the dump was made by pg_dump %s and needs pg_restore %s or newer: install the package postgresql-client-%s, or name its folder in DBACKED_TOOLS_PATH; %s",
			a.header.ToolVersion, needed, max(needed, server), pgFound("pg_restore", found))
	}
	return plan, nil
}

// pgBetter says whether a fits a server better than b.
func pgBetter(a, b pgTool, server pgRelease) bool {
	if script := func(t pgTool) bool { return t.release >= 1700 && server < 1700 }; script(a) != script(b) {
		return script(b)
	}
	if (a.release >= server) != (b.release >= server) {
		return a.release >= server
	}
	if a.release == b.release {
		return a.chosen && !b.chosen
	}
	return (a.release < b.release) == (a.release >= server)
}

// pgReads is the first release whose pg_restore reads a version of the format.
func pgReads(minor int) pgRelease {
	switch {
	case minor >= 16:
		return 1700
	case minor == 15:
		return 1600
	case minor == 14:
		return 1200
	case minor == 13:
		return 1000
	}
	return 900
}

// runScript lets pg_restore write a script, and psql run it. psql sees the end of
// the script only when pg_restore has ended well.
func (p *Postgres) runScript(ctx context.Context, plan pgPlan, a *pgArchive, args []string, conninfo, application string) error {
	p.log.Warn("only a pg_restore that is newer than the server reads this dump: it is restored as a script by psql")
	from, err := p.loader(plan.program.path, application, append(args, "--file=-")...)
	if err != nil {
		return err
	}
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
		script := &pgScript{w: w}
		err := from.input(ctx, a.body, script)
		if err == nil {
			err = script.flush()
		}
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

// pgScript passes a script on without the setting that older servers do not know.
// It is among the first lines.
type pgScript struct {
	w    io.Writer
	head []byte
	done bool
}

func (s *pgScript) Write(b []byte) (int, error) {
	const line = "SET transaction_timeout = 0;\n"
	if s.done {
		return s.w.Write(b)
	}
	s.head = append(s.head, b...)
	at := bytes.Index(s.head, []byte(line))
	if at < 0 && len(s.head) < 64<<10 {
		return len(b), nil
	}
	s.done = true
	if at >= 0 {
		s.head = append(s.head[:at], s.head[at+len(line):]...)
	}
	if _, err := s.w.Write(s.head); err != nil {
		return 0, err
	}
	s.head = nil
	return len(b), nil
}

// flush passes on what waits for the setting: a script that is short lacks it.
func (s *pgScript) flush() error {
	_, err := s.w.Write(s.head)
	s.head = nil
	return err
}
