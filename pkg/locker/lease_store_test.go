package locker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

const leaseName = "shop/control/lease"

// What the store of these tests says.
var (
	errNone    = errors.New("there is none")
	errThere   = errors.New("there is one")
	errChanged = errors.New("it is another")
	errNet     = errors.New("the network is down")
)

// memory is an exact store of one object. As in S3 a tag is a hash of what is
// stored, so that the same bytes have the same tag.
type memory struct {
	mu       sync.Mutex
	data     []byte // nil: there is none
	modified time.Time
	offset   time.Duration // of its clock; it may jump
	shown    time.Duration // added to all times it tells: as if everybody else's clock were wrong
	written  []body        // everything that was ever in it
	tags     map[string]int
}

func newMemory() *memory { return &memory{tags: map[string]int{}} }

func (m *memory) now() time.Time { return time.Now().Add(m.offset) }

func (m *memory) jump(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.offset += d
}

func tagOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// version is what the store says of its times, in whole seconds as HTTP does.
func (m *memory) version() Version {
	return Version{tagOf(m.data), m.modified.Add(m.shown).Truncate(time.Second), m.now().Add(m.shown).Truncate(time.Second)}
}

func (m *memory) get() ([]byte, Version, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data == nil {
		return nil, Version{}, errNone
	}
	return m.data, m.version(), nil
}

// put writes data if may allows it.
func (m *memory) put(data []byte, may func() error) (Version, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := may(); err != nil {
		return Version{}, err
	}
	var b body
	_ = json.Unmarshal(data, &b)
	m.data, m.modified = data, m.now()
	m.written = append(m.written, b)
	m.tags[tagOf(data)]++
	return m.version(), nil
}

func (m *memory) putNew(data []byte) (Version, error) {
	return m.put(data, func() error {
		if m.data != nil {
			return errThere
		}
		return nil
	})
}

func (m *memory) replace(data []byte, tag string) (Version, error) {
	return m.put(data, func() error {
		if m.data == nil {
			return errNone
		}
		if tagOf(m.data) != tag {
			return errChanged
		}
		return nil
	})
}

// overwrite is somebody who follows no rules; nil removes the object.
func (m *memory) overwrite(data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data, m.modified = data, m.now()
}

func (m *memory) last() body {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.written[len(m.written)-1]
}

func (m *memory) writtenAt() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.modified
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.written)
}

// fault is what happens to one request.
type fault struct {
	before, after time.Duration // on the way there, and back
	refused       error         // instead of doing it
	lost          error         // instead of the answer
}

// client is how one agent sees the store. A request goes on when its caller has
// given up, as on a network.
type client struct {
	*memory
	mu    sync.Mutex
	plan  func(op string) fault // nil: all is well
	under sync.WaitGroup
}

func (c *client) set(plan func(op string) fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plan = plan
}

func (c *client) fault(op string) fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plan == nil {
		return fault{}
	}
	return c.plan(op)
}

type answer struct {
	data []byte
	v    Version
	err  error
}

func (c *client) do(ctx context.Context, op string, request func() answer) answer {
	f := c.fault(op)
	done := make(chan answer, 1)
	c.under.Go(func() {
		time.Sleep(f.before) // the bubble's time
		if f.refused != nil {
			done <- answer{err: f.refused}
			return
		}
		a := request()
		time.Sleep(f.after)
		if f.lost != nil {
			a = answer{err: f.lost}
		}
		done <- a
	})
	select {
	case a := <-done:
		return a
	case <-ctx.Done():
		return answer{err: ctx.Err()}
	}
}

func (c *client) Get(ctx context.Context, _ string) ([]byte, Version, error) {
	a := c.do(ctx, "get", func() answer {
		data, v, err := c.get()
		return answer{data, v, err}
	})
	return a.data, a.v, a.err
}

func (c *client) PutNew(ctx context.Context, _ string, data []byte) (Version, error) {
	a := c.do(ctx, "new", func() answer {
		v, err := c.putNew(data)
		return answer{v: v, err: err}
	})
	return a.v, a.err
}

func (c *client) Replace(ctx context.Context, _ string, data []byte, tag string) (Version, error) {
	a := c.do(ctx, "replace", func() answer {
		v, err := c.replace(data, tag)
		return answer{v: v, err: err}
	})
	return a.v, a.err
}

// agent is one host with a lease and a clock of its own.
type agent struct {
	*Lease
	*client
	mu     sync.Mutex
	leap   time.Duration // how far its clock leapt, as after a sleep
	rate   float64       // how fast its clock goes
	cancel context.CancelFunc
}

// newAgent returns an agent, to be made inside the bubble: its clock begins then.
func newAgent(t *testing.T, m *memory, owner string) *agent {
	t.Helper()
	a := &agent{client: &client{memory: m}, rate: 1}
	a.Lease = NewLease(a.client, errNone, leaseName, LeaseOptions{Owner: owner})
	start := time.Now()
	a.clock = func() time.Duration {
		a.mu.Lock()
		defer a.mu.Unlock()
		return time.Duration(float64(time.Since(start))*a.rate) + a.leap
	}
	t.Cleanup(a.under.Wait)
	return a
}

// sleepOver is what a process that was stopped, or slept, finds: time has passed,
// and none of its timers has fired yet.
func (a *agent) sleepOver(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leap += d
}

func (a *agent) must(t *testing.T) (context.Context, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	run, release, err := a.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { release(); cancel() })
	return run, release
}

// die is the end of an agent that could say nothing any more.
func (a *agent) die(release func()) {
	a.set(func(string) fault { return fault{refused: errNet} })
	a.cancel()
	release()
}

// once is a plan for the first request of a kind.
func once(op string, f fault) func(string) fault {
	done := false
	return func(got string) fault {
		if got != op || done {
			return fault{}
		}
		done = true
		return f
	}
}

func fails(err error) func(string) fault {
	return func(string) fault { return fault{refused: err} }
}

// weather is a plan with faults of every kind.
func weather(r *rand.Rand) func(string) fault {
	delay := func() time.Duration {
		d := time.Duration(r.ExpFloat64() * float64(200*time.Millisecond))
		if r.IntN(15) == 0 {
			d += time.Duration(r.IntN(200)) * time.Second
		}
		return d
	}
	return func(string) fault {
		f := fault{before: delay(), after: delay()}
		switch r.IntN(10) {
		case 0:
			f.refused = errNet
		case 1, 2:
			f.lost = errNet
		}
		return f
	}
}
