//go:build e2e

package e2e

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// gate is a proxy before the service, as the documentation wants one, of an agent's
// own. It counts when the agent asks whether a backup is due, and can hold that
// question, so that several agents ask at the same moment.
type gate struct {
	proxy *httputil.ReverseProxy

	mu      sync.Mutex
	shut    chan struct{} // closed when questions pass again; nil while they do
	waiting int           // questions that are held
	asked   int           // questions that came
}

// gate has a machine reach the service at an address.
func (m *machine) gate(t *testing.T, address string, service dial) *gate {
	t.Helper()
	listener, err := m.listen(address)
	must(t, err)
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return service() }}
	g := &gate{proxy: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "service"})
			r.Out.Host = r.In.Host // the addresses that are given out begin with it
		},
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0),
	}}
	server := &http.Server{Handler: g}
	go server.Serve(listener)
	t.Cleanup(func() {
		g.open()
		server.Close()
		transport.CloseIdleConnections()
	})
	return g
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && r.URL.Path == "/projects/own/backups" {
		g.pass()
	}
	g.proxy.ServeHTTP(w, r)
}

// pass returns when questions may pass.
func (g *gate) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	if shut := g.shut; shut != nil {
		g.waiting++
		g.mu.Unlock()
		<-shut
		g.mu.Lock()
		g.waiting--
	}
}

// hold holds the questions that come from now on.
func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		g.shut = make(chan struct{})
	}
}

// open lets those pass that are held, and those that come.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

// holds says whether the agent asks, and is not answered yet.
func (g *gate) holds() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting > 0
}

// awaitQuestions waits until the agent has been answered so many times more: one
// agent asks one question after the other.
func (g *gate) awaitQuestions(t *testing.T, more int) {
	t.Helper()
	count := func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.asked
	}
	before := count()
	eventually(t, "the agent asks again", func() bool { return count() > before+more })
}
