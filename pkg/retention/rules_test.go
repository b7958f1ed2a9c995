package retention

import (
	"testing"
	"time"
)

func TestLong(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 24 * time.Hour: "1d", 36 * time.Hour: "1d12h", 90 * time.Minute: "1h30m", 24*time.Hour + time.Second: "1d1s", 10 * time.Second: "10s", 30 * time.Minute: "30m",
	} {
		if got := Long(d); got != want {
			t.Errorf("%v is %q", d, got)
		}
	}
}
