package dumper

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
)

// pgSchemaSize bounds the definitions, which are kept in memory.
const pgSchemaSize = 256 << 20

// pgSchema is the archive with the definitions, in a file in memory, since a
// pg_restore with several jobs needs one that it can seek in.
type pgSchema struct {
	file    *os.File
	size    int64
	archive *pgArchive
	tables  map[pgTableName]bool // that it makes
	indexes *pgIndexes
}

// keepSchema reads the definitions to their end. The caller calls close.
func keepSchema(ctx context.Context, from Source) (s *pgSchema, err error) {
	s = &pgSchema{}
	if s.file, err = memfile(nil); err != nil {
		return nil, fmt.Errorf("keeping them in memory: %w", err)
	}
	if err := from(ctx, s.keep); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *pgSchema) keep(_ context.Context, r io.Reader) error {
	held := newPgHeld(Part{Definitions: true})
	indexes := newPgIndexes()
	a, err := openUpTo(r, held, pgHeadSize, indexes.note)
	if err != nil {
		return err
	}
	defer a.close()
	s.size, err = io.Copy(s.file, io.LimitReader(a.body, pgSchemaSize+1))
	switch {
	case err != nil:
		return err
	case s.size > pgSchemaSize:
		return fmt.Errorf("they have more than %d MiB", pgSchemaSize>>20)
	}
	a.whole = true
	s.archive, s.tables, s.indexes = a, held.defined, indexes
	return nil
}

func (s *pgSchema) close() { _ = s.file.Close() }

func (s *pgSchema) reader() io.Reader { return io.NewSectionReader(s.file, 0, s.size) }

// needPsql finds the psql that belongs to the pg_restore.
func (r *pgRestoring) needPsql() error {
	if r.plan.psql != "" {
		return nil
	}
	r.plan.psql = filepath.Join(filepath.Dir(r.plan.program.path), "psql")
	if _, err := os.Stat(r.plan.psql); err != nil {
		return fmt.Errorf("restoring a backup that was made in parallel into a database that exists needs the psql beside %s: %w; install it, or let dbacked make the database (--create)", r.plan.program.path, err)
	}
	return nil
}

// writeDrops writes what drops the objects of the definitions, in the order in
// which that is possible: the sections alone do not know it, since what comes
// after the data hangs on what comes before. It is how the script of all
// definitions begins.
func (r *pgRestoring) writeDrops(ctx context.Context, application string, w io.Writer) error {
	from, err := r.p.loader(r.plan.program.path, application, r.with(append(pgClean, "--file=-", "--single-transaction")...)...)
	if err != nil {
		return err
	}
	drops := &pgDrops{}
	if err := from.input(ctx, r.schema.reader(), drops); err != nil {
		return err
	}
	script := &pgScript{w: w, old: r.plan.newer(), inner: true}
	if _, err := script.Write(drops.script()); err != nil {
		return err
	}
	return script.flush()
}

// pgDrops keeps the beginning of a script, up to where it makes the first object.
type pgDrops struct {
	text []byte
	done bool
}

// pgFirstMade is how a script begins to make something.
const pgFirstMade = "\n--\n-- Name: "

func (d *pgDrops) Write(b []byte) (int, error) {
	if d.done {
		return len(b), nil
	}
	from := max(0, len(d.text)-len(pgFirstMade))
	d.text = append(d.text, b...)
	if at := bytes.Index(d.text[from:], []byte(pgFirstMade)); at >= 0 {
		d.text, d.done = d.text[:from+at+1], true
	}
	return len(b), nil
}

// pgRestrict is how newer scripts begin: none of psql's own commands is taken
// until the same word ends that.
var pgRestrict = regexp.MustCompile(`(?m)^\\restrict (\w+)$`)

// script is what was kept, ended as a script ends.
func (d *pgDrops) script() []byte {
	if !d.done {
		return d.text
	}
	text := append(d.text, pgScriptCommit...)
	if m := pgRestrict.FindSubmatch(text); m != nil {
		text = append(append(append(text, `\unrestrict `...), m[1]...), '\n')
	}
	return text
}
