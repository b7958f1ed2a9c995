package dbtest

import (
	"cmp"
	"encoding/xml"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Fault is what a FaultProxy does to one request; the zero value does nothing
// to it. The first one that is set counts, but Delay, which comes before it.
type Fault struct {
	Name  string // what Done counts it under
	Delay time.Duration

	Status     int    // answered instead of asking the service
	Code       string // in that answer's XML; "" for an answer without a body
	Message    string // in that answer's XML; "" says that it is the plan's
	RetryAfter string // in that answer

	Reset      bool // the connection is reset, nothing was done
	Deaf       bool // nothing of the request is read
	Stall      bool // the request is read, and nothing comes
	LoseAnswer bool // the service did it; the connection is reset

	Truncate bool // the service gets half of the request's body
	Corrupt  bool // the service gets a body with one byte flipped

	CutAnswer   bool // the connection is reset half-way through the answer's body
	StallAnswer bool // nothing comes after half of the answer's body

	HideMissing bool // an answer of 404 becomes AccessDenied
}

// Plan says what to do to a request.
type Plan func(r *http.Request) Fault

// FaultProxy is a network and a service that fail, in front of a real service
// of HTTP. It keeps the Host header, so signatures stay good.
type FaultProxy struct {
	Endpoint string // http://127.0.0.1:PORT

	target    string
	transport *http.Transport
	over      chan struct{}

	mu   sync.Mutex
	plan Plan
	done map[string]int
}

// NewFaultProxy starts a proxy to target ("127.0.0.1:PORT"), which ends with
// the test.
func NewFaultProxy(t testing.TB, target string, plan Plan) *FaultProxy {
	t.Helper()
	p := &FaultProxy{
		target: target, transport: &http.Transport{DisableCompression: true}, over: make(chan struct{}),
		plan: plan, done: make(map[string]int),
	}
	server := httptest.NewServer(p)
	p.Endpoint = server.URL
	t.Cleanup(func() {
		close(p.over)
		server.CloseClientConnections()
		server.Close()
		p.transport.CloseIdleConnections()
	})
	return p
}

// SetPlan changes the plan for the requests to come.
func (p *FaultProxy) SetPlan(plan Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan = plan
}

// Done counts, by their names, the faults that were done.
func (p *FaultProxy) Done() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.done)
}

func (p *FaultProxy) fault(r *http.Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.plan(r)
	if f.Name != "" {
		p.done[f.Name]++
	}
	return f
}

func (p *FaultProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := p.fault(r)
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-p.over:
		}
	}
	switch {
	case f.Status != 0:
		refuse(w, r, f)
	case f.Reset:
		reset(w)
	case f.Deaf:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			<-p.over
			conn.Close()
		}
	case f.Stall:
		io.Copy(io.Discard, r.Body)
		p.wait(r)
	default:
		p.forward(w, r, f)
	}
}

// wait ends when the client has gone.
func (p *FaultProxy) wait(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-p.over:
	}
}

func refuse(w http.ResponseWriter, r *http.Request, f Fault) {
	io.Copy(io.Discard, r.Body)
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	w.WriteHeader(f.Status)
	if f.Code == "" {
		return
	}
	io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n<Error><Code>"+f.Code+"</Code><Message>")
	xml.EscapeText(w, []byte(cmp.Or(f.Message, "by the plan")))
	io.WriteString(w, "</Message></Error>")
}

// reset closes the connection in a way that the client cannot take for an end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

func (p *FaultProxy) forward(w http.ResponseWriter, r *http.Request, f Fault) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", p.target, ""
	if r.ContentLength == 0 {
		out.Body = nil
	}
	if f.Truncate && r.ContentLength > 0 {
		out.ContentLength = r.ContentLength / 2
		out.Body = io.NopCloser(io.LimitReader(r.Body, out.ContentLength))
	}
	if f.Corrupt && r.ContentLength > 0 {
		out.Body = io.NopCloser(&corrupter{r.Body, r.ContentLength / 2})
	}
	answer, err := p.transport.RoundTrip(out)
	if err != nil {
		reset(w)
		return
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, r.Body)
	if f.LoseAnswer {
		io.Copy(io.Discard, answer.Body)
		reset(w)
		return
	}
	if f.HideMissing && answer.StatusCode == http.StatusNotFound {
		refuse(w, r, Fault{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Access Denied"})
		return
	}
	maps.Copy(w.Header(), answer.Header)
	w.WriteHeader(answer.StatusCode)
	if !f.CutAnswer && !f.StallAnswer {
		io.Copy(w, answer.Body)
		return
	}
	io.CopyN(w, answer.Body, answer.ContentLength/2)
	http.NewResponseController(w).Flush()
	if f.StallAnswer {
		p.wait(r)
	}
	reset(w)
}

// corrupter flips a bit of one byte.
type corrupter struct {
	io.Reader
	at int64 // bytes until then; negative after it
}

func (c *corrupter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if c.at >= 0 && c.at < int64(n) {
		b[c.at] ^= 1
	}
	c.at -= int64(n)
	return n, err
}

// Seeded does something to about one request in every, chosen by seed: the same
// for the same requests in the same order.
func Seeded(seed uint64, every int) Plan {
	random := rand.New(rand.NewPCG(seed, 0))
	faults := []Fault{
		{Name: "delay", Delay: 20 * time.Millisecond},
		{Name: "500", Status: 500, Code: "InternalError"},
		{Name: "503", Status: 503, Code: "SlowDown", RetryAfter: "0"},
		{Name: "429", Status: 429},
		{Name: "409", Status: 409, Code: "ConditionalRequestConflict"},
		{Name: "reset", Reset: true},
		{Name: "stall", Stall: true},
		{Name: "lost answer", LoseAnswer: true},
		{Name: "truncated", Truncate: true},
		{Name: "corrupted", Corrupt: true},
		{Name: "cut answer", CutAnswer: true},
		{Name: "stalled answer", StallAnswer: true},
	}
	return func(*http.Request) Fault { // under the proxy's lock
		if random.IntN(every) != 0 {
			return Fault{}
		}
		return faults[random.IntN(len(faults))]
	}
}
