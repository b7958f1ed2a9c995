package dumper

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

func (r *pgTableRestore) run(ctx context.Context) error {
	p := r.restoring.p
	err := p.runScript(ctx, r.restoring.plan, func(ctx context.Context, application string, w io.Writer) error {
		for _, step := range []func(context.Context, string, io.Writer) error{
			r.writeBefore, r.definitions(r.picked.before), r.writeData, r.definitions(r.picked.after), r.definitions(r.picked.last), r.writeAfter,
		} {
			if err := step(ctx, application, w); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return p.failedRestore(ctx, err, RestoreOptions{})
	}
	return nil
}

// writeBefore writes what has the tables that exist ready for their rows. Nobody
// else writes into them meanwhile.
func (r *pgTableRestore) writeBefore(_ context.Context, _ string, w io.Writer) error {
	var sql strings.Builder
	fmt.Fprintf(&sql, "SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET row_security = off; SET lock_timeout = %d;\n", r.restoring.p.limits.Lock.Milliseconds())
	sql.WriteString("SELECT pg_catalog.set_config('search_path', '', false);\n")
	var filled []string
	for _, t := range r.existing {
		if !r.rows[t.name] {
			continue
		}
		if r.options.Force {
			filled = append(filled, "ONLY "+t.ident())
			continue
		}
		fmt.Fprintf(&sql, "LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE;\n", t.ident())
		refuse := fmt.Sprintf("BEGIN IF EXISTS (SELECT FROM ONLY %s) THEN RAISE EXCEPTION USING MESSAGE = %s; END IF; END",
			t.ident(), pgText("the table "+t.name.String()+" has rows, which came in just now"))
		fmt.Fprintf(&sql, "DO %s;\n", pgText(refuse))
	}
	if len(filled) > 0 { // all at once, since one may refer to another
		fmt.Fprintf(&sql, "TRUNCATE TABLE %s;\n", strings.Join(filled, ", "))
	}
	for _, t := range r.existing {
		for _, g := range t.triggers {
			fmt.Fprintf(&sql, "ALTER TABLE %s DISABLE TRIGGER %s;\n", t.ident(), pgIdent(g.name))
		}
	}
	_, err := io.WriteString(w, sql.String())
	return err
}

// writeAfter has the triggers be as they were.
func (r *pgTableRestore) writeAfter(_ context.Context, _ string, w io.Writer) error {
	enable := map[string]string{"R": "REPLICA ", "A": "ALWAYS "}
	for _, t := range r.existing {
		for _, g := range t.triggers {
			if _, err := fmt.Fprintf(w, "ALTER TABLE %s ENABLE %sTRIGGER %s;\n", t.ident(), enable[g.enabled], pgIdent(g.name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// definitions writes what makes some of the objects.
func (r *pgTableRestore) definitions(ids []int) func(context.Context, string, io.Writer) error {
	return func(ctx context.Context, application string, w io.Writer) error {
		return r.write(ctx, application, r.restoring.schema.reader(), ids, w)
	}
}

// write writes a script of the entries of an archive, in that order.
func (r *pgTableRestore) write(ctx context.Context, application string, body io.Reader, ids []int, w io.Writer) error {
	if len(ids) == 0 {
		_, err := io.Copy(io.Discard, body)
		return err
	}
	var list strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&list, "%d;\n", id)
	}
	file, err := memfile([]byte(list.String()))
	if err != nil {
		return fmt.Errorf("keeping the list of objects in memory: %w", err)
	}
	defer file.Close()
	return r.restoring.p.writeListed(ctx, r.restoring.plan, application, body, file, r.restoring.args, w)
}

// writeData writes the rows, of the parts that hold some of the tables.
func (r *pgTableRestore) writeData(ctx context.Context, application string, w io.Writer) error {
	for _, part := range r.restoring.parts.Data {
		if !slices.Contains(r.report.Parts, part.Name) {
			continue
		}
		if err := r.writePart(ctx, application, part, w); err != nil {
			return fmt.Errorf("restoring the part %s: %w", part.Name, err)
		}
	}
	return nil
}

// pgRestPart is the part that has the sequences.
const pgRestPart = "data"

// reads tells whether a part holds something that is restored.
func (r *pgTableRestore) reads(part string) bool {
	if r.whole || part == pgRestPart && len(r.picked.sequences) > 0 {
		return true
	}
	for _, t := range r.restoring.parts.Contents.Tables {
		if t.Part == part && r.rows[pgTableName{t.Schema, t.Table}] {
			return true
		}
	}
	return false
}

func (r *pgTableRestore) writePart(ctx context.Context, application string, part PartSource, w io.Writer) error {
	return part.Source(ctx, func(ctx context.Context, in io.Reader) error {
		var ids []int
		held := newPgHeld(Part{Name: part.Name})
		a, err := openUpTo(in, held, pgSchemaSize, func(e pgarchive.Entry) {
			if name := (pgTableName{e.Namespace, e.Tag}); e.Desc == "TABLE DATA" && r.rows[name] || e.Desc == "SEQUENCE SET" && r.picked.sequences[name] {
				ids = append(ids, e.ID)
			}
		})
		if err != nil {
			return err
		}
		defer a.close()
		switch made := r.restoring.schema.archive; {
		case !a.whole:
			return fmt.Errorf("its table of contents has more than %d MiB", pgSchemaSize>>20)
		case a.header.Minor != made.header.Minor:
			return fmt.Errorf("%w: another pg_dump (%s) made it than the definitions (%s)", ErrOtherRows, a.header.ToolVersion, made.header.ToolVersion)
		}
		if err := r.write(ctx, application, a.body, ids, w); err != nil {
			return err
		}
		if r.whole {
			r.counted(held)
			return nil
		}
		return r.restoring.parts.Contents.compare(part.Name, held)
	})
}

// counted takes note of what went by, where nothing told before.
func (r *pgTableRestore) counted(held *pgHeld) {
	for i, t := range r.report.Tables {
		for name, c := range held.tables {
			if name.String() == t.Name {
				r.report.Tables[i].Rows = c.rows
			}
		}
	}
}
