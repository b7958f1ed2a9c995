package dumper

import (
	"context"
	"fmt"
	"io"
)

// mysqlSchemaSize bounds the definitions, which a restore keeps in memory.
const mysqlSchemaSize = 64 << 20

// mysqlMarker stands between the three dumps that are the definitions: the
// tables, without triggers; the triggers, events and routines; the views, which may
// call functions. No dump has such a line: a routine's text could, but a dump
// follows the marker.
const mysqlMarker = "\n-- dbacked: after the data\n"

// schemaRuns are the options for these.
func (m *MySQL) schemaRuns(tables mysqlTables) [][]string {
	noViews := make([]string, len(tables.views))
	for i, v := range tables.views {
		noViews[i] = "--ignore-table=" + m.conn.Database + "." + v
	}
	none := []string{"--no-data", "--skip-triggers", "--skip-routines", "--skip-events"}
	first := append(none[:len(none):len(none)], noViews...)
	second := append([]string{"--no-data", "--no-create-info"}, noViews...)
	runs := [][]string{append(first, "--", m.conn.Database), append(second, "--", m.conn.Database)}
	if len(tables.views) > 0 {
		views := append(none[:len(none):len(none)], "--", m.conn.Database)
		runs = append(runs, append(views, tables.views...))
	}
	return runs
}

// dumpSchema writes the definitions to w.
func (s *MySQLSnapshot) dumpSchema(ctx context.Context, w io.Writer) error {
	limited := &mysqlBound{w: w, left: mysqlSchemaSize}
	for i, args := range s.m.schemaRuns(s.tables) {
		if i > 0 {
			if _, err := io.WriteString(limited, mysqlMarker); err != nil {
				return err
			}
		}
		run, err := s.m.program(ctx, s.tool.path, append(s.args[:len(s.args):len(s.args)], args...)...)
		if err != nil {
			return err
		}
		proof := &mysqlProof{w: limited}
		if err := run.output(ctx, proof); err != nil {
			return err
		}
		if err := proof.check(run.name()); err != nil {
			return err
		}
	}
	return nil
}

// mysqlBound fails when more is written than it lets pass.
type mysqlBound struct {
	w    io.Writer
	left int
}

func (b *mysqlBound) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, fmt.Errorf("the definitions have more than %d MiB: dump in one stream, with DBACKED_JOBS=1", mysqlSchemaSize>>20)
	}
	return b.w.Write(p)
}
