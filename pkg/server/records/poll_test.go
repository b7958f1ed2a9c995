package records

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"
)

// BenchmarkPoll is what 10 000 projects do every five minutes: a key is found, and
// no backup is due. It prints the processor's time of this process, and what share
// of a core 33 polls a second take. (PostgreSQL's own is not in it.)
func BenchmarkPoll(b *testing.B) {
	const projects = 10_000
	for kind, dsn := range dsns(b) {
		b.Run(kind, func(b *testing.B) {
			s, err := Open(b.Context(), dsn, Options{Next: hourly})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			keys := fill(b, s, projects)
			before := cpu(b)
			for i := 0; b.Loop(); i++ {
				k, p, err := s.Caller(b.Context(), keys[i%len(keys)])
				if err != nil {
					b.Fatal(err)
				}
				s.Touch(k, "agent", "1", start)
				if _, _, err := s.Give(b.Context(), p.ID, Ask{AgentID: "agent", RequestID: "r"}, start); !errors.Is(err, ErrNotDue) {
					b.Fatal(err)
				}
			}
			each := float64((cpu(b) - before).Microseconds()) / float64(b.N)
			b.ReportMetric(each, "µs-cpu/poll")
			b.ReportMetric(each*projects/300/1e6*100, "%core@10000")
		})
	}
}

// fill makes projects that are not due, each with a key and backups.
func fill(b *testing.B, s *Store, n int) (keys []string) {
	ctx := context.Background()
	for i := range n {
		p, err := s.CreateProject(ctx, Project{Name: fmt.Sprint(i), Schedule: "0 * * * *"}, start)
		if err != nil {
			b.Fatal(err)
		}
		plain, _, err := s.CreateKey(ctx, p.ID, KeyAgent, "", start)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.SetDue(ctx, p.ID, start.Add(time.Hour), start.Add(-time.Hour)); err != nil {
			b.Fatal(err)
		}
		keys = append(keys, plain)
	}
	return keys
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
