package dumper

import (
	"context"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// TestSession asks over the unix socket, one and the same session each time, and
// gets no other when that was ended.
func TestSession(t *testing.T) {
	for name, c := range map[string]struct {
		start func(testing.TB) *dbtest.Server
		of    func(*dbtest.Server) interface {
			Session(context.Context) (Session, error)
		}
		first       string // a database that is there
		number, end string
		null        string
	}{
		"PostgreSQL": {
			start: func(t testing.TB) *dbtest.Server { return dbtest.Postgres(t) },
			of: func(s *dbtest.Server) interface {
				Session(context.Context) (Session, error)
			} {
				return pgFor(t, s, "postgres")
			},
			first: "postgres", number: "SELECT pg_backend_pid()::text", end: "SELECT pg_terminate_backend(", null: "SELECT NULL::text",
		},
		"MariaDB": {
			start: func(t testing.TB) *dbtest.Server { return dbtest.MariaDB(t) },
			of: func(s *dbtest.Server) interface {
				Session(context.Context) (Session, error)
			} {
				return mysqlFor(t, s, "")
			},
			number: "SELECT CONNECTION_ID()", end: "KILL (", null: "SELECT NULL",
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := c.start(t)
			s, err := c.of(server).Session(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			first, err := s.Ask(t.Context(), c.number)
			if again, err2 := s.Ask(t.Context(), c.number); err != nil || err2 != nil || first == "" || first != again {
				t.Fatalf("session %q, then %q: %v, %v", first, again, err, err2)
			}
			if null, err := s.Ask(t.Context(), c.null); null != "" || err != nil {
				t.Errorf("NULL is %q, %v", null, err)
			}
			server.SQL(t, c.first, c.end+first+")")
			for range 3 {
				if other, err := s.Ask(t.Context(), c.number); err == nil {
					t.Errorf("it goes on as session %s", other)
				}
			}
		})
	}
}
