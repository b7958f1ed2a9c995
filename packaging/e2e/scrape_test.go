//go:build e2e

package e2e

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// scrape asks an instance for its metrics, again and again. What it returns waits
// until that many more requests were refused, and tells how many were answered
// and refused.
func (m *machine) scrape(instance string) (end func(more int64) (answered, refused int64)) {
	var yes, no, wanted atomic.Int64
	wanted.Store(-1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		client := m.client(instance)
		for wanted.Load() < 0 || no.Load() < wanted.Load() {
			response, err := client.Get("http://localhost/metrics")
			if err != nil {
				no.Add(1)
				continue
			}
			response.Body.Close()
			yes.Add(1)
		}
	}()
	return func(more int64) (answered, refused int64) {
		wanted.Store(no.Load() + more)
		<-done
		return yes.Load(), no.Load()
	}
}

// socketSurvives: the socket outlives the process, whether that is restarted or
// killed: not one of the requests that go on all the time is refused.
func socketSurvives(t *testing.T, b *bed) {
	// Not thirty seconds: those are waited for elsewhere.
	b.configure(t, service("a"), "[Service]\nRestartSec=1s\n")
	restarted := b.storm(t, "a", func() { b.run(t, "systemctl", "restart", "dbacked@a") })
	if restarted.cut > 0 {
		t.Errorf("a restart in good order cut %d answers", restarted.cut)
	}
	killed := b.storm(t, "a", func() {
		before := b.property(t, service("a"), "MainPID")
		b.run(t, "systemctl", "kill", "--kill-whom=main", "--signal=SIGKILL", "dbacked@a")
		eventually(t, "there is a new process", func() bool {
			pid := b.property(t, service("a"), "MainPID")
			return pid != "0" && pid != before
		})
	})
	if killed.cut > stormClients {
		t.Errorf("the death of the process cut %d answers, more than it was giving", killed.cut)
	}
	b.expectProperties(t, service("a"), "ActiveState=active")
}

const (
	stormSize    = 500 // requests at least, of each of the two storms
	stormClients = 4
)

// tally counts how requests ended.
type tally struct{ answered, refused, cut int64 }

// storm sends requests while something happens, half of them before.
func (b *bed) storm(t *testing.T, instance string, happen func()) tally {
	t.Helper()
	var answered, refused, cut, sent atomic.Int64
	begun, over := make(chan struct{}), make(chan struct{})
	var clients sync.WaitGroup
	for range stormClients {
		clients.Go(func() {
			client := b.client(instance)
			for finished := false; !finished; {
				switch n := sent.Add(1); {
				case n == stormSize/2:
					close(begun)
				case n >= stormSize:
					select {
					case <-over:
						finished = true // after this last one
					default:
					}
				}
				switch failure := askOnce(client); {
				case failure == nil:
					answered.Add(1)
				case isRefusal(failure):
					refused.Add(1)
				default:
					cut.Add(1)
					t.Log(failure)
				}
			}
		})
	}
	<-begun
	happen()
	close(over)
	clients.Wait()
	counts := tally{answered.Load(), refused.Load(), cut.Load()}
	t.Logf("%d answered, %d refused, %d cut", counts.answered, counts.refused, counts.cut)
	if counts.refused > 0 {
		t.Errorf("%d of %d requests were refused", counts.refused, sent.Load())
	}
	return counts
}

func askOnce(client *http.Client) error {
	response, err := client.Get("http://localhost/healthz")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func isRefusal(err error) bool {
	failure, ok := errors.AsType[*net.OpError](err)
	return ok && failure.Op == "dial"
}
