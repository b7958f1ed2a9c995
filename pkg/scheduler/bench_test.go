package scheduler

import (
	"testing"
	"time"
)

func BenchmarkNext(b *testing.B) {
	for _, expr := range []string{"@daily", "*/15 * * * *", "0 0 29 2 */7"} {
		s := mustParse(b, expr, "Europe/Paris")
		now := time.Date(2033, 3, 1, 0, 0, 0, 0, time.UTC)
		b.Run("Next "+expr, func(b *testing.B) {
			for b.Loop() {
				s.Next(now)
			}
		})
		b.Run("Latest "+expr, func(b *testing.B) {
			for b.Loop() {
				s.Latest(now)
			}
		})
	}
}
