package scheduler

import (
	"fmt"
	"testing"
	"time"
)

func TestDelay(t *testing.T) {
	due := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	for _, limit := range []time.Duration{0, -time.Hour} {
		if d := Delay("shop", due, limit); d != 0 {
			t.Errorf("limit %s: %s", limit, d)
		}
	}
	if d := Delay("shop", due, time.Hour); d != Delay("shop", due.In(time.FixedZone("", 3600)), time.Hour) {
		t.Error("the same time in another zone has another delay")
	}
	var quarters [4]int
	seen := map[time.Duration]bool{}
	for i := range 1000 {
		d := Delay(fmt.Sprint("instance ", i%10), due.AddDate(0, 0, i/10), time.Hour)
		if d < 0 || d >= time.Hour {
			t.Fatalf("%s is not within the hour", d)
		}
		quarters[d/(15*time.Minute)]++
		seen[d] = true
	}
	for i, n := range quarters {
		if n < 200 || n > 300 {
			t.Errorf("%d of 1000 delays are in quarter %d", n, i)
		}
	}
	if len(seen) != 1000 {
		t.Errorf("%d of 1000 delays differ", len(seen))
	}
}

func TestBackoff(t *testing.T) {
	for failures, minutes := range []int{1, 2, 4, 8, 16, 32, 60, 60, 60} {
		base := time.Duration(minutes) * time.Minute
		least, most := base*8/10, min(base*12/10, time.Hour)
		low, high := most, least
		for range 1000 {
			wait := backoff(failures)
			low, high = min(low, wait), max(high, wait)
		}
		if low < least || high > most {
			t.Errorf("after %d failures: %s to %s", failures, low, high)
		}
		if room := (most - least) / 10; low > least+room || high < most-room {
			t.Errorf("after %d failures: only %s to %s", failures, low, high)
		}
	}
	if wait := backoff(1 << 40); wait > time.Hour || wait < 48*time.Minute {
		t.Errorf("after very many failures: %s", wait)
	}
}
