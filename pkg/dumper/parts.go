package dumper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"
)

// Part is a part of a database that is dumped by itself: for PostgreSQL an archive
// in pg_dump's custom format, for MySQL a dump in SQL.
type Part struct {
	Name        string // "schema", "data", "data-1" …: it tells nothing of what is in it
	Definitions bool   // no rows: what comes before all data, and after
	Size        int64  // bytes on the server, without indexes
	Light       bool   // it takes longer to begin than to dump: definitions, a few rows

	args []string
}

// TableContent is what was dumped of a table.
type TableContent struct {
	Schema  string `json:"schema,omitempty"` // PostgreSQL only
	Table   string `json:"table"`
	Part    string `json:"part"` // the name of the part it is in
	Rows    int64  `json:"rows"`
	Bytes   int64  `json:"bytes"`             // of its rows in the dump
	Counted bool   `json:"counted,omitempty"` // Rows is what the server counted, and not only what went by
}

// Name is what people call the table, quoted where SQL wants it.
func (t TableContent) Name() string {
	if t.Schema == "" {
		return t.Table
	}
	return pgTableName{t.Schema, t.Table}.String()
}

// Contents says which table is in which part.
type Contents struct {
	Version int            `json:"version"` // 1
	Parts   []string       `json:"parts"`   // the names of the parts with rows, in the order of their files
	Tables  []TableContent `json:"tables"`
}

// maxContents bounds what ReadContents takes, in bytes: some 500 000 tables.
const maxContents = 64 << 20

// WriteContents writes them as JSON.
func WriteContents(w io.Writer, c Contents) error {
	c.Version = 1
	return json.NewEncoder(w).Encode(c)
}

// ReadContents reads what WriteContents wrote, to the end of r. It refuses more
// than 64 MiB, and a table in a part that is not there.
func ReadContents(r io.Reader) (c Contents, err error) {
	limited := &io.LimitedReader{R: r, N: maxContents + 1}
	text, err := io.ReadAll(limited)
	if err != nil {
		return c, err
	}
	if len(text) > maxContents {
		return c, fmt.Errorf("the backup's list of tables has more than %d MiB", maxContents>>20)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("the backup's list of tables cannot be read: %w", err)
	}
	if c.Version != 1 {
		return c, fmt.Errorf("the backup's list of tables has version %d, and this dbacked knows 1: use a newer one", c.Version)
	}
	parts := map[string]bool{}
	for _, p := range c.Parts {
		if parts[p] {
			return c, errors.New("the backup's list of tables names a part twice")
		}
		parts[p] = true
	}
	for _, t := range c.Tables {
		if !parts[t.Part] {
			return c, fmt.Errorf("the backup's list of tables has a table in a part %q, which it does not name", t.Part)
		}
	}
	return c, nil
}

// Source is a part as a restore reads it: it gives use a reader which ends only
// where the part does, whole and authentic, and returns use's error, or its own.
// It may be called again, and reads anew.
type Source func(ctx context.Context, use func(ctx context.Context, r io.Reader) error) error

// PartSource is a part with rows.
type PartSource struct {
	Name string // as in Contents
	Source
	// Check gives the same, to a reader that restores nothing; nil: Source does.
	Check Source
}

// Parts are a backup that was dumped in parts, as a restore reads it.
type Parts struct {
	Schema   Source
	Data     []PartSource // the largest first
	Contents Contents
}

// check says whether the parts are those that the contents speak of.
func (parts Parts) check() error {
	there := map[string]bool{}
	for _, part := range parts.Data {
		there[part.Name] = true
	}
	for _, name := range parts.Contents.Parts {
		if !there[name] {
			return fmt.Errorf("%w: the backup's list of tables names the part %s, which is not there", ErrIncomplete, name)
		}
		delete(there, name)
	}
	for name := range there {
		return fmt.Errorf("%w: the backup's list of tables does not name the part %s", ErrIncomplete, name)
	}
	return nil
}

// check is the source that is read before anything is restored.
func (p PartSource) check() Source {
	if p.Check != nil {
		return p.Check
	}
	return p.Source
}

// eachPart gives every part to use, so many at once. The first failure ends them
// all, and is the result.
func eachPart(ctx context.Context, parts []PartSource, jobs int, use func(ctx context.Context, part PartSource) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, jobs))
	for _, part := range parts {
		begin(ctx, g, func() error { return use(ctx, part) })
	}
	return g.Wait()
}

// begin has a group do some work, when it has room for that, unless it has failed
// by then.
func begin(ctx context.Context, g *errgroup.Group, work func() error) {
	g.Go(func() error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return work()
	})
}
