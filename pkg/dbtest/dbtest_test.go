package dbtest

import "testing"

func TestServersAnswer(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *Server{
		"PostgreSQL 15": func(t *testing.T) *Server { return Postgres(t) },
		"MariaDB 10.11": func(t *testing.T) *Server { return MariaDB(t) },
		"PostgreSQL 17": func(t *testing.T) *Server { return PostgresFrom(t, Chroot(t, "trixie"), "17") },
		"PostgreSQL 18": func(t *testing.T) *Server { return PostgresFrom(t, Chroot(t, "sid"), "18") },
		"MySQL 9":       func(t *testing.T) *Server { return MySQLFrom(t, Chroot(t, "sid")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			db := "test"
			s.SQL(t, map[string]string{"postgresql": "postgres"}[s.Engine], "CREATE DATABASE test")
			s.SQL(t, db, "CREATE TABLE x (i int)")
			s.SQL(t, db, "INSERT INTO x VALUES (1), (2)")
			if got := s.SQL(t, db, "SELECT sum(i) FROM x"); got != "3" {
				t.Errorf("sum is %q", got)
			}
			s.Sample(t, "sample")
			if dump := s.PlainDump(t, "sample"); len(dump) < 15<<20 {
				t.Errorf("the sample's dump has %d bytes", len(dump))
			}
		})
	}
}
