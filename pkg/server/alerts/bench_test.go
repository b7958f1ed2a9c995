package alerts

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// BenchmarkLook is one look at 10 000 projects of 50 backups each, of which nothing
// is to be told. It prints the processor's time of this process, and what share of a
// core one look each half minute takes. (PostgreSQL's own is not in it.)
func BenchmarkLook(b *testing.B) {
	s := dbtest.Postgres(b)
	for kind, dsn := range map[string][2]string{
		"sqlite":     {"sqlite", filepath.Join(b.TempDir(), "server.db")},
		"postgresql": {"pgx", fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres?sslmode=disable", s.User, s.Port)},
	} {
		b.Run(kind, func(b *testing.B) {
			name := dsn[1]
			if dsn[0] == "sqlite" {
				name = "sqlite:" + name
			}
			r, err := records.Open(b.Context(), name, records.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			fill(b, dsn)
			now := start
			runner := New(r, Options{Now: func() time.Time { return now }})
			runner.look(b.Context()) // reads all that ended
			before := cpu(b)
			for b.Loop() {
				now = now.Add(30 * time.Second / 100)
				turn, _, err := r.TakeTurn(b.Context(), time.Millisecond, now)
				if err != nil {
					b.Fatal(err)
				}
				if err := runner.compare(b.Context(), turn, now); err != nil {
					b.Fatal(err)
				}
			}
			each := (cpu(b) - before).Seconds() / float64(b.N)
			b.ReportMetric(each*1000, "ms-cpu/look")
			b.ReportMetric(each/30*100, "%core")
			if open, err := r.OpenAlerts(b.Context()); err != nil || len(open) != 0 {
				b.Fatalf("%d alerts, %v", len(open), err)
			}
		})
	}
}

// fill writes projects of which nothing is to be told.
func fill(b *testing.B, dsn [2]string) {
	db, err := sql.Open(dsn[0], dsn[1])
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	now := start.UnixMilli()
	const numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
	for _, statement := range []string{
		fmt.Sprintf("INSERT INTO projects "+numbers+"SELECT CAST(i AS TEXT), CAST(i AS TEXT), 'key', '@daily', 'UTC', 0, 1, %d, '' FROM n", 10_000, now+86400_000),
		"INSERT INTO api_keys SELECT id, id, 'agent', '', id, 1, 0, 0 FROM projects",
		fmt.Sprintf("INSERT INTO agents SELECT id, 'agent', '1', %d FROM projects", now),
		fmt.Sprintf("INSERT INTO backups (project_id, id, state, agent_id, agent_version, db_type, request_id, asked, due, started, finished, lease_until, completing_until, fingerprint, hash, public_key, error, size, stage, plain_bytes, stored_bytes) "+
			numbers+"SELECT p.id, CAST(n.i AS TEXT), 'done', 'agent', '1', 'pg', '', 1, 1, %d - CAST(n.i AS BIGINT) * 86400000, %d - CAST(n.i AS BIGINT) * 86400000 + 60000, 0, 0, '', '', 'key', '', 1000, '', 0, 0 FROM projects p, n", 50, now, now),
		"ANALYZE",
	} {
		if _, err := db.ExecContext(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
