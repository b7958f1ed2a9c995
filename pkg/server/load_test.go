package server

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// BenchmarkPolls lets agents ask over HTTP, in vain, as they do every five minutes:
// 8 at a time, in turn for each project. It prints what one poll costs this process
// (client and server), what 10 000 or so projects would take of a core, the 99th
// percentile, and what is resident. PostgreSQL's own time is not in it.
func BenchmarkPolls(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgresql"} {
		for _, projects := range []int{1_000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", kind, projects), func(b *testing.B) { benchmarkPolls(b, kind, projects) })
		}
	}
}

func benchmarkPolls(b *testing.B, kind string, projects int) {
	driver, dsn := "sqlite", filepath.Join(b.TempDir(), "server.db")
	open := "sqlite:" + dsn
	if kind != "sqlite" {
		s := dbtest.Postgres(b)
		driver, dsn = "pgx", fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres?sslmode=disable", s.User, s.Port)
		open = dsn
	}
	r, err := records.Open(b.Context(), open, records.Options{Next: func(records.Project, time.Time) time.Time { return time.Time{} }})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	fillProjects(b, driver, dsn, projects)
	s := httptest.NewServer(New(r, files.Store(nil), Options{}))
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()

	took := make([]time.Duration, b.N)
	before := processor(b)
	b.ResetTimer()
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := worker; i < b.N; i += 8 {
				began := time.Now()
				poll(b, client, s.URL, i%projects)
				took[i] = time.Since(began)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	each := float64((processor(b) - before).Microseconds()) / float64(b.N)
	slices.Sort(took)
	b.ReportMetric(each, "µs-cpu/poll")
	b.ReportMetric(each*float64(projects)/300/1e6*100, "%core")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
	b.ReportMetric(resident(b), "MiB")
	b.ReportMetric(0, "ns/op")
}

func poll(b *testing.B, client *http.Client, url string, project int) {
	q, err := http.NewRequest(http.MethodPost, url+"/projects/own/backups", strings.NewReader(`{"agentId":"a","agentVersion":"1","dbType":"pg","requestId":"r"}`))
	if err != nil {
		b.Error(err)
		return
	}
	q.Header.Set("Authorization", fmt.Sprintf("ApiKey key-%d", project))
	got, err := client.Do(q)
	if err != nil {
		b.Error(err)
		return
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusConflict {
		b.Errorf("%d", got.StatusCode)
	}
}

// fillProjects makes projects that are not due, each with a key, at once.
func fillProjects(b *testing.B, driver, dsn string, n int) {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	t, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		b.Fatal(err)
	}
	later := time.Now().Add(24 * time.Hour).UnixMilli()
	for i := range n {
		sum := sha256.Sum256(fmt.Appendf(nil, "key-%d", i))
		_, err := t.Exec(`INSERT INTO projects (id, name, public_key, schedule, zone, agents_restore, created, next_due, active) VALUES ($1, $1, '', '@daily', 'UTC', 0, 1, $2, '')`, fmt.Sprint("p", i), later)
		if err == nil {
			_, err = t.Exec(`INSERT INTO api_keys (id, project_id, kind, label, hash, created, last_used, revoked) VALUES ($1, $2, 'agent', '', $3, 1, 0, 0)`, fmt.Sprint("k", i), fmt.Sprint("p", i), hex.EncodeToString(sum[:]))
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := t.Commit(); err != nil {
		b.Fatal(err)
	}
	if _, err := db.Exec("ANALYZE"); err != nil {
		b.Fatal(err)
	}
}

func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is what this process has in memory, in MiB.
func resident(b *testing.B) float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	var size, pages float64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		b.Fatal(err)
	}
	return pages * float64(os.Getpagesize()) / (1 << 20)
}
