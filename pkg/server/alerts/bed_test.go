package alerts

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/server/records"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is when a test begins; backups are due at each full hour.
var start = time.Date(2026, 11, 26, 12, 30, 0, 0, time.UTC)

// bed is a service of several replicas, whose clock a test moves.
type bed struct {
	t       *testing.T
	dsn     string
	clock   atomic.Int64
	smtp    SMTP
	stores  []*records.Store
	runners []*Runner
	keys    map[string]records.Key // of an agent, by project
	log     *observer.ObservedLogs
	core    *zap.Logger
}

// onEach runs a test on each kind of database, on so many replicas.
func onEach(t *testing.T, replicas int, test func(t *testing.T, b *bed)) {
	t.Parallel()
	s := dbtest.Postgres(t, "max_connections=100")
	for kind, dsn := range map[string]string{
		"sqlite":     "sqlite:" + filepath.Join(t.TempDir(), "server.db"),
		"postgresql": fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres?sslmode=disable", s.User, s.Port),
	} {
		t.Run(kind, func(t *testing.T) {
			b := &bed{t: t, dsn: dsn, keys: map[string]records.Key{}}
			b.clock.Store(start.UnixNano())
			core, log := observer.New(zap.DebugLevel)
			b.core, b.log = zap.New(core), log
			b.open(replicas)
			t.Cleanup(b.close)
			test(t, b)
		})
	}
}

func (b *bed) now() time.Time { return time.Unix(0, b.clock.Load()).UTC() }

func (b *bed) open(replicas int) {
	b.t.Helper()
	for range replicas {
		s, err := records.Open(b.t.Context(), b.dsn, records.Options{Next: func(_ records.Project, after time.Time) time.Time {
			return after.Truncate(time.Hour).Add(time.Hour)
		}})
		b.ok(err)
		b.stores = append(b.stores, s)
		b.runners = append(b.runners, New(s, Options{SMTP: b.smtp, Log: b.core, Now: b.now}))
	}
}

func (b *bed) close() {
	for _, s := range b.stores {
		b.ok(s.Close())
	}
	b.stores, b.runners = nil, nil
}

func (b *bed) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// look lets all replicas look and tell, at the same time.
func (b *bed) look() {
	var all sync.WaitGroup
	for _, r := range b.runners {
		all.Go(func() {
			r.look(b.t.Context())
			r.tell(b.t.Context())
		})
	}
	all.Wait()
	for _, r := range b.runners {
		r.tell(b.t.Context())
	}
}

// until lets time pass, in which replicas look every five minutes.
func (b *bed) until(at time.Time) {
	b.t.Helper()
	for b.now().Before(at) {
		b.clock.Store(min(b.now().Add(5*time.Minute).UnixNano(), at.UnixNano()))
		b.look()
	}
}

func (b *bed) project(name string) records.Project {
	b.t.Helper()
	p, err := b.stores[0].CreateProject(b.t.Context(), records.Project{Name: name, PublicKey: "right", Schedule: "0 * * * *", Zone: "UTC"}, b.now())
	b.ok(err)
	_, b.keys[p.ID], err = b.stores[0].CreateKey(b.t.Context(), p.ID, records.KeyAgent, "", b.now())
	b.ok(err)
	return p
}

// speaks lets a project's agent ask.
func (b *bed) speaks(p records.Project) {
	b.t.Helper()
	b.stores[0].Touch(b.keys[p.ID], "agent", "1", b.now())
	_, err := b.stores[0].Agents(b.t.Context(), p.ID) // writes it
	b.ok(err)
}

func (b *bed) given(p records.Project) records.Backup {
	b.t.Helper()
	b.speaks(p)
	given, _, err := b.stores[0].Give(b.t.Context(), p.ID, records.Ask{AgentID: "agent", RequestID: b.now().String()}, b.now())
	b.ok(err)
	return given
}

// backup makes one.
func (b *bed) backup(p records.Project, size int64, key string) {
	b.t.Helper()
	ctx, given := b.t.Context(), b.given(p)
	_, begun, err := b.stores[0].BeginDone(ctx, p.ID, given.ID, "agent", "all", b.now())
	b.ok(err)
	begun.Size, begun.PublicKey = size, key
	b.ok(b.stores[0].EndDone(ctx, begun, b.now()))
}

func (b *bed) fails(p records.Project, why string) {
	b.t.Helper()
	given := b.given(p)
	b.ok(b.stores[0].Fail(b.t.Context(), p.ID, given.ID, "agent", why, b.now()))
}

// target adds one of all projects.
func (b *bed) target(kind, config string) records.Target {
	b.t.Helper()
	t, err := b.stores[0].AddTarget(b.t.Context(), records.Target{Kind: kind, Config: config}, b.now())
	b.ok(err)
	return t
}

// hook is a webhook's receiver.
type hook struct {
	url    string
	mu     sync.Mutex
	bodies []string
	signed []string
	answer func(n int, w http.ResponseWriter) // of the nth call, from 0; nil: 200
}

func newHook(t *testing.T) *hook {
	h := &hook{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s, %v, %v", r.Method, r.Header, err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.bodies, h.signed = append(h.bodies, string(body)), append(h.signed, r.Header.Get(Webhook))
		if h.answer != nil {
			h.answer(len(h.bodies)-1, w)
		}
	}))
	t.Cleanup(s.Close)
	h.url = s.URL
	return h
}

func (h *hook) calls() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.bodies...)
}

// post is a mail server, which takes what it is sent.
type post struct {
	t        *testing.T
	listener net.Listener
	tls      *tls.Config // for STARTTLS; nil: it cannot
	password string      // of the user "dbacked"; "": it does not ask

	mu    sync.Mutex
	mails []*mail.Message
	texts []string
	to    []string
	busy  sync.WaitGroup
}

func newPost(t *testing.T, tls *tls.Config, password string) *post {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &post{t: t, listener: l, tls: tls, password: password}
	p.busy.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.busy.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.busy.Wait()
	})
	return p
}

func (p *post) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

func (p *post) serve(c net.Conn) {
	defer func() { c.Close() }()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	in := bufio.NewReader(c)
	say := func(line string) { fmt.Fprint(c, line, "\r\n") }
	say("220 test ESMTP")
	secure, known := false, p.password == ""
	var to []string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verb = strings.ToUpper(verb); {
		case verb == "EHLO" || verb == "HELO":
			say("250-test")
			if p.tls != nil && !secure {
				say("250-STARTTLS")
			} else if p.password != "" {
				say("250-AUTH PLAIN")
			}
			say("250 8BITMIME")
		case verb == "STARTTLS" && p.tls != nil:
			say("220 go on")
			c = tls.Server(c, p.tls)
			in, secure = bufio.NewReader(c), true
		case verb == "AUTH":
			if known = rest == "PLAIN "+plain("dbacked", p.password); known {
				say("235 welcome")
			} else {
				say("535 wrong: " + rest)
			}
		case !known:
			say("530 who are you")
		case verb == "RCPT":
			to = append(to, rest)
			say("250 ok")
		case verb == "DATA":
			say("354 go on")
			p.take(in, to)
			to = nil
			say("250 taken")
		case verb == "QUIT":
			return // without a word: it has what it took
		default:
			say("250 ok")
		}
	}
}

// take reads a mail up to the dot that ends it.
func (p *post) take(in *bufio.Reader, to []string) {
	var text strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			p.t.Errorf("a mail ended early: %v", err)
			return
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(strings.TrimPrefix(line, "."))
	}
	m, err := mail.ReadMessage(strings.NewReader(text.String()))
	if err != nil {
		p.t.Errorf("%v in %s", err, text.String())
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mails, p.texts, p.to = append(p.mails, m), append(p.texts, text.String()), append(p.to, to...)
}

func (p *post) subjects() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.mails {
		all = append(all, m.Header.Get("Subject"))
	}
	return all
}
