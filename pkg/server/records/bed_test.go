package records

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is when a test begins; backups are due at each full hour.
var start = time.Date(2026, 11, 26, 12, 30, 0, 0, time.UTC)

func hourly(_ Project, after time.Time) time.Time { return after.Truncate(time.Hour).Add(time.Hour) }

// bed is a database with one project.
type bed struct {
	*Store
	t       testing.TB
	dsn     string
	project Project
	now     time.Time
}

// dsns makes a new database of each kind.
func dsns(t testing.TB) map[string]string {
	t.Helper()
	s := dbtest.Postgres(t)
	return map[string]string{
		"sqlite":     "sqlite:" + filepath.Join(t.TempDir(), "a b%.db"),
		"postgresql": fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres?sslmode=disable", s.User, s.Port),
	}
}

// onEach runs a test on each kind of database.
func onEach(t *testing.T, test func(t *testing.T, b *bed)) {
	t.Parallel()
	for kind, dsn := range dsns(t) {
		t.Run(kind, func(t *testing.T) {
			b := &bed{t: t, dsn: dsn, now: start}
			b.Store = open(t, dsn)
			b.project = b.newProject("shop")
			test(t, b)
		})
	}
}

func open(t testing.TB, dsn string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dsn, Options{Next: hourly})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (b *bed) newProject(name string) Project {
	b.t.Helper()
	p, err := b.CreateProject(b.t.Context(), Project{Name: name, Schedule: "0 * * * *", Zone: "UTC"}, b.now)
	b.ok(err)
	return p
}

func (b *bed) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) is(err, want error) {
	b.t.Helper()
	if !errors.Is(err, want) {
		b.t.Fatalf("error %v, want %v", err, want)
	}
}

func (b *bed) passes(d time.Duration) { b.now = b.now.Add(d) }

// ask asks for a backup; request is "" for an agent of 2018.
func (b *bed) ask(agent, request string) (Backup, error) {
	b.t.Helper()
	given, _, err := b.Give(b.t.Context(), b.project.ID, Ask{AgentID: agent, AgentVersion: "1", DBType: "pg", RequestID: request}, b.now)
	return given, err
}

func (b *bed) given(agent, request string) Backup {
	b.t.Helper()
	given, err := b.ask(agent, request)
	b.ok(err)
	return given
}

func (b *bed) notDue(agent, request string) {
	b.t.Helper()
	_, err := b.ask(agent, request)
	b.is(err, ErrNotDue)
}

func (b *bed) part(of Backup, number int) error {
	_, err := b.AskPart(b.t.Context(), of.ProjectID, of.ID, of.AgentID, "backup", Part{Number: number, MD5: "x"}, b.now)
	return err
}

func (b *bed) begin(of Backup, fingerprint string) (Verdict, Backup, error) {
	return b.BeginDone(b.t.Context(), of.ProjectID, of.ID, of.AgentID, fingerprint, b.now)
}

func (b *bed) done(of Backup) {
	b.t.Helper()
	v, begun, err := b.begin(of, "all")
	b.ok(err)
	if v != DoneNow {
		b.t.Fatalf("verdict %d", v)
	}
	begun.Size = 7
	b.ok(b.EndDone(b.t.Context(), begun, b.now))
}

func (b *bed) state(of Backup, want string) {
	b.t.Helper()
	got, err := b.Backup(b.t.Context(), of.ProjectID, of.ID)
	b.ok(err)
	if got.State != want {
		b.t.Fatalf("the backup is %s, not %s", got.State, want)
	}
}

func (b *bed) nextDue(want time.Time) {
	b.t.Helper()
	p, err := b.Project(b.t.Context(), b.project.ID)
	b.ok(err)
	if !p.NextDue.Equal(want) {
		b.t.Fatalf("due at %v instead of %v", p.NextDue, want)
	}
}
