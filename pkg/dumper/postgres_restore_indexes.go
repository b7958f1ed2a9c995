package dumper

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

// pgIndexes are the entries of the definitions, and what can be made of them as soon
// as one table has its rows, while others are still filled.
type pgIndexes struct {
	entries []int               // all, in their order
	tables  map[int]pgTableName // by the entry that makes each
	after   map[int]bool        // what comes after the data
	needs   map[int][]int       // of the indexes, and the constraints that make one
	words   map[int][]int       // comments and labels, by what they are about
}

func newPgIndexes() *pgIndexes {
	return &pgIndexes{tables: map[int]pgTableName{}, after: map[int]bool{}, needs: map[int][]int{}, words: map[int][]int{}}
}

func (x *pgIndexes) note(e pgarchive.Entry) {
	x.entries = append(x.entries, e.ID)
	if e.Desc == "TABLE" {
		x.tables[e.ID] = pgTableName{e.Namespace, e.Tag}
	}
	if pgAfterData(e.Desc) {
		x.after[e.ID] = true
	}
	switch e.Desc {
	case "INDEX", "CONSTRAINT":
		x.needs[e.ID] = e.Dependencies
	case "COMMENT", "SECURITY LABEL":
		for _, id := range e.Dependencies {
			x.words[id] = append(x.words[id], e.ID)
		}
	}
}

// pgEarly is what can be made as soon as a part is there, by the part's name: each is
// an index with its comments, which have no section of their own, but that of what
// comes before them in the list.
type pgEarly map[string][][]int

// early are those, in the order of the archive, that need the rows of one of these
// tables, and of no other, and nothing that comes after the data itself.
func (x *pgIndexes) early(of map[pgTableName]string) pgEarly {
	early := pgEarly{}
	for _, id := range x.entries {
		needs := x.needs[id]
		if slices.ContainsFunc(needs, func(id int) bool { return x.after[id] }) {
			continue
		}
		on := map[pgTableName]bool{}
		for _, id := range needs {
			if name, ok := x.tables[id]; ok {
				on[name] = true
			}
		}
		if len(on) != 1 {
			continue
		}
		for name := range on {
			if part, ok := of[name]; ok {
				early[part] = append(early[part], append([]int{id}, x.words[id]...))
			}
		}
	}
	return early
}

// earlyIndexes are those of the tables that have a part for themselves, by the names
// of these. A script, for psql, is for all at once.
func (r *pgRestoring) earlyIndexes(jobs int) pgEarly {
	if jobs == 1 || r.plan.psql != "" {
		return nil
	}
	inPart := map[string][]pgTableName{}
	for _, t := range r.parts.Contents.Tables {
		inPart[t.Part] = append(inPart[t.Part], pgTableName{t.Schema, t.Table})
	}
	alone := map[pgTableName]string{}
	for part, tables := range inPart {
		if len(tables) == 1 {
			alone[tables[0]] = part
		}
	}
	return r.schema.indexes.early(alone)
}

// fill restores the data, so many parts at once. Once all are begun, the jobs that
// have nothing left to fill make the indexes of the tables that are full: a table
// that is larger than all others keeps none of them waiting.
func (r *pgRestoring) fill(ctx context.Context, jobs int, early pgEarly) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(jobs)
	filled := make(chan string, len(r.parts.Data))
	for _, part := range r.parts.Data {
		begin(ctx, g, func() error {
			if err := r.fillFrom(ctx, part, jobs); err != nil {
				return err
			}
			filled <- part.Name
			return nil
		})
	}
	for range r.parts.Data {
		select {
		case <-ctx.Done():
			return g.Wait()
		case name := <-filled:
			for _, entries := range early[name] {
				begin(ctx, g, func() error { return r.afterData(ctx, 1, entries) })
			}
		}
	}
	return g.Wait()
}

// complete makes what comes after the data and was not made early. pg_restore
// refreshes materialized views, and makes event triggers, when all else is there,
// one after the other.
func (r *pgRestoring) complete(ctx context.Context, jobs int, early pgEarly) error {
	if r.plan.psql != "" {
		return lateError(r.p.load(ctx, r.plan, r.schema.reader(), r.with("--section=post-data")))
	}
	made := map[int]bool{}
	for _, indexes := range early {
		for _, id := range slices.Concat(indexes...) {
			made[id] = true
		}
	}
	rest := slices.DeleteFunc(slices.Clone(r.schema.indexes.entries), func(id int) bool { return made[id] })
	return r.afterData(ctx, jobs, rest)
}

// afterData makes those entries, of what comes after the data.
func (r *pgRestoring) afterData(ctx context.Context, jobs int, entries []int) error {
	application, conninfo := r.p.session()
	t, err := r.p.loader(r.plan.program.path, application, r.with("--section=post-data", fmt.Sprintf("--jobs=%d", jobs), "--use-list=/dev/stdin", conninfo)...)
	if err != nil {
		return err
	}
	t.file = r.schema.file
	t.args = append(t.args, t.filePath())
	var list bytes.Buffer
	for _, id := range entries {
		fmt.Fprintf(&list, "%d;\n", id)
	}
	return lateError(t.input(ctx, &list, io.Discard))
}

func lateError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("making the indexes and what else comes after the data: %w", err)
}
