package metrics

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkScrape is one scrape of 10 000 projects of 100 backups each, of which
// nothing is kept from the last. It prints how long it takes, the processor's time of
// this process, and the size of what is told. (PostgreSQL's own time is not in it.)
func BenchmarkScrape(b *testing.B) {
	for kind, dsn := range dsns(b) {
		b.Run(kind, func(b *testing.B) {
			r := open(b, dsn)
			driver, name := "pgx", dsn
			if file, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
				driver, name = "sqlite", file
			}
			fillProjects(b, driver, name, 10_000, 100)
			now := start
			m := New(r, Options{Public: true, Now: func() time.Time { return now }})
			size, before := 0, cpu(b)
			for b.Loop() {
				now = now.Add(keptFor)
				w := httptest.NewRecorder()
				m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
				size = w.Body.Len()
			}
			b.ReportMetric(float64((cpu(b)-before).Milliseconds())/float64(b.N), "ms-cpu/scrape")
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/scrape")
			b.ReportMetric(float64(size)/1e6, "MB")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fillProjects makes projects with an agent each, and backups that were done.
func fillProjects(b *testing.B, driver, dsn string, projects, backups int) {
	db, err := sql.Open(driver, dsn)
	must(b, err)
	defer db.Close()
	numbers := "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
	for _, text := range []string{
		fmt.Sprintf(numbers, projects) + `INSERT INTO projects (id, name, public_key, schedule, zone, agents_restore, created, next_due, active)
			SELECT 'project-' || i, 'name-of-project-' || i, '', '@daily', 'UTC', 0, 1, 1795690800000, '' FROM n`,
		`INSERT INTO agents (project_id, agent_id, version, last_seen) SELECT id, 'agent', '1', 1795690800000 FROM projects`,
		fmt.Sprintf(numbers, backups) + `INSERT INTO backups (project_id, id, state, agent_id, agent_version, db_type, request_id, asked, due, started, finished,
			lease_until, completing_until, fingerprint, hash, public_key, error, size, files, stage, plain_bytes, stored_bytes)
			SELECT p.id, '20261122T215643Z-' || n.i, 'done', 'agent', '1', 'pg', 'request-' || n.i, 1, n.i, n.i, n.i, 0, 0, '', '', '` + strings.Repeat("k", 800) + `', '', 1000, 1, 'dump', 1, 1 FROM projects p, n`,
		"ANALYZE",
	} {
		_, err := db.Exec(text)
		must(b, err)
	}
}
