package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/agent"
)

// service is a DBacked service of a test's own, with one project.
type service struct {
	b       *bed
	program string
	address string
	cmd     *exec.Cmd
	Key     string `json:"apikey"` // of the agent
}

// buildServer builds the service once.
var buildServer = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "dbacked-server-*")
	if err != nil {
		return "", err
	}
	shared.Cleanup(func() { _ = os.RemoveAll(dir) })
	program := filepath.Join(dir, "dbacked-server")
	build := exec.Command("go", "build", "-trimpath", "-o", program, "../dbacked-server")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make builds it
	out, err := build.CombinedOutput()
	if err != nil {
		err = &exec.Error{Name: "go build: " + string(out), Err: err}
	}
	return program, err
})

// newService starts a service, makes a project with the bed's key in it, and has the
// bed's backups go there. What is to be said of the project follows.
func newService(b *bed, project ...string) *service {
	b.t.Helper()
	program, err := buildServer()
	b.must(err)
	b.must(os.Mkdir(b.path("service"), 0o700))
	s := &service{b: b, program: program, address: "127.0.0.1:0"}
	s.start()
	b.t.Cleanup(s.stop)
	b.must(json.Unmarshal(s.admin(append([]string{"project", "create", "shop", "--json"}, project...)...), s))
	b.configure("DBACKED_STORAGE", "", "DBACKED_APIKEY", s.Key, "DBACKED_API_URL", "http://"+s.address, "DBACKED_POLL_INTERVAL", "1s")
	return s
}

// admin runs a command of the service.
func (s *service) admin(args ...string) []byte {
	s.b.t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(s.program, append(args, "--data", s.b.path("service"))...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.b.t.Fatalf("dbacked-server %q: %v\n%s", args, err, stderr.Bytes())
	}
	return out
}

// start serves, always at the same address.
func (s *service) start() {
	s.b.t.Helper()
	s.cmd = exec.Command(s.program, "serve", "--listen", s.address, "--data", s.b.path("service"))
	log, err := s.cmd.StderrPipe()
	s.b.must(err)
	s.b.must(s.cmd.Start())
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			s.b.t.Fatalf("the service ended before it served: %v", err)
		}
		if _, rest, ok := strings.Cut(line, `"address": "`); ok {
			s.address, _, _ = strings.Cut(rest, `"`)
			break
		}
	}
	go func() { _, _ = lines.WriteTo(new(bytes.Buffer)) }()
}

func (s *service) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// restorer is a copy of the bed with a key that reads.
func (s *service) restorer() *bed {
	s.b.t.Helper()
	var key service
	s.b.must(json.Unmarshal(s.admin("key", "create", "shop", "--kind", "restore", "--json"), &key))
	return s.b.with("DBACKED_APIKEY", key.Key)
}

// TestServiceRoundTrip loses a database whose backup a service keeps, and gets it
// back; the agent's own key reads nothing.
func TestServiceRoundTrip(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(2000) // the sample has roles, which another test makes
		before := b.server.PlainDump(t, b.db)
		s := newService(b, "--public-key", b.path("public.pem"))
		b.run("check", "shop").ok().says("knows the key, of the project shop", "public key")

		id := b.backup()
		b.run("list", "shop").ok().says(id, b.db, "proved")
		if r := b.run("verify", "shop").ends(exitFailure, "is not known", "can only add", "--kind restore"); strings.Contains(r.out, "NOT GOOD") {
			t.Errorf("what cannot be read is called not good: %s", r)
		}
		b.run("verify", "shop", "--listed").ends(exitDamaged)
		b.run("remove", "shop", id, "-y").ends(exitRefused, "backup delete")
		b.run("prune", "shop").ends(exitRefused, "project set")

		r := s.restorer()
		r.run("verify", "shop").ok().says(id, "ok", "decrypted, decompressed")
		b.drop(b.db)
		r.run("restore", "shop", "--last-backup", "--create", "-y").ok(id, "of dump", "is created")
		if after := b.server.PlainDump(t, b.db); after != before {
			t.Errorf("the dumps before (%d bytes) and after (%d bytes) differ", len(before), len(after))
		}
	})
}

// TestServiceAgent: the first backup is made since the service says so, others when
// they are asked for; a service that is away is told of, and comes back.
func TestServiceAgent(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(100)
	s := newService(b, "--schedule", "0 2 * * *", "--timezone", "Europe/Paris")
	m := newManager(t)
	r, running := b.agentOf(m)
	m.hears("STATUS=idle, next backup", ", ok")
	if _, err := running.backup(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := awaits(t, running, "the second backup", func(s agent.Status) bool { return s.Successes == 2 && s.Running == nil })
	if !got.Healthy || got.Schedule != "0 2 * * *" || got.Timezone != "Europe/Paris" || got.Next == nil || time.Until(*got.Next) < time.Second {
		t.Errorf("%+v", got)
	}
	s.stop()
	m.hears("STATUS=asking again", "connection refused")
	if got := awaits(t, running, "the service away", func(s agent.Status) bool { return !s.Healthy }); !strings.Contains(got.Problem, s.address) {
		t.Errorf("it does not say what is away: %s", got.Problem)
	}
	s.start()
	m.hears("STATUS=idle, next backup")
	b.must(r.cmd.Process.Signal(syscall.SIGTERM))
	r.wait().ok(`"event":"backup-proved"`, `"event":"waiting"`, `"event":"recovered"`, `"reason":"due"`, `"reason":"requested"`)
	if ids := b.list(); len(ids) != 2 {
		t.Errorf("listed: %v", ids)
	}
}

// TestServiceTold: what went wrong is told to the service, which gives the backup
// again.
func TestServiceTold(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	s := newService(b)
	b.wrap(postgres.dump, `echo "pg_dump: error: out of ideas" >&2; exit 1`)
	b.run("backup", "shop").ends(exitFailure, "out of ideas")
	if out := s.admin("backup", "list", "shop", "--json"); !bytes.Contains(out, []byte("out of ideas")) || !bytes.Contains(out, []byte(`"failed"`)) {
		t.Errorf("the service says %s", out)
	}
	b.unwrap(postgres.dump)
	if b.backup(); len(b.list()) != 1 {
		t.Errorf("listed: %v", b.list())
	}
}

// TestServiceKey: the project's key is the one that was first seen, until somebody
// here accepts another; a key that is configured goes before it.
func TestServiceKey(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	s := newService(b, "--public-key", b.path("public.pem"))
	b.configure("DBACKED_PUBLIC_KEY", "")
	b.backup()

	b.run("keygen", "--private-key-path", "other.pem", "--public-key-path", "other.pub.pem", "--no-passphrase").ok()
	s.admin("project", "set", "shop", "--public-key", b.path("other.pub.pem"))
	b.run("backup", "shop").ends(exitRefused, "has changed", "dbacked trust shop")
	b.run("check", "shop").ends(exitFailure).says("has changed")
	if len(b.list()) != 1 {
		t.Errorf("listed: %v", b.list())
	}
	b.run("trust", "shop").ends(exitRefused, "until now", "the service says", "add -y")
	b.run("backup", "shop").ends(exitRefused)
	b.run("trust", "shop", "-y").ok("remembered")
	b.run("trust", "shop", "-y").ok("nothing has changed")
	newest := b.backup()

	r := s.restorer()
	r.run("verify", "shop", newest).ends(exitDamaged, "key")
	r.with("DBACKED_PRIVATE_KEY_FILE", b.path("other.pem")).run("verify", "shop", newest).ok().says("decrypted")

	b.configure("DBACKED_PUBLIC_KEY", b.path("public.pem"))
	b.run("backup", "shop").ok("another public key than DBACKED_PUBLIC_KEY")
	b.run("check", "shop").ok().says("has another key")
	r.run("verify", "shop").ok().says("decrypted")
	if out := s.admin("audit", "--json"); !bytes.Contains(out, []byte("key-mismatch")) {
		t.Errorf("the service did not notice: %s", out)
	}
}

// TestServiceWrong: a wrong key, nobody there, and another's answers are told as what
// they are.
func TestServiceWrong(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	s := newService(b)
	b.with("DBACKED_API_URL", "http://"+s.address+"/some/path").run("list", "shop").ends(exitFailure, "not the address of a DBacked service", "DBACKED_API_URL")
	s.restorer().run("backup", "shop").ends(exitFailure, "this key cannot make backups", "kind agent, for DBACKED_APIKEY here")
	s.restorer().run("check", "shop").ends(exitFailure).says("kind restore")
	b.with("DBACKED_APIKEY", "dbk_nobody").run("list", "shop").ends(exitFailure, "does not know the key", "DBACKED_APIKEY")
	b.with("DBACKED_STORAGE", "file:///tmp", "DBACKED_APIKEY", "x").run("list", "shop").ends(exitConfig, "are both given")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	b.must(err)
	nobody := l.Addr().String()
	b.must(l.Close())
	b.with("DBACKED_API_URL", "http://"+nobody).run("list", "shop").ends(exitFailure, nobody, "connection refused")
}

// TestServiceStops: an agent that is stopped in mid-backup says so, and leaves nothing;
// the next one gets the backup at once.
func TestServiceStops(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(3000)
	s := newService(b)
	b.fifo("here")
	b.fifo("go")
	b.wrap(postgres.dump, stages["half through a dump"])
	r, _ := b.agentOf(newManager(t))
	tool := watch(t, atoi(t, r.reached(b.path("here"))))
	b.run("backup", "shop", "--here").ends(exitAgain, "another agent of the project makes one")
	b.must(r.cmd.Process.Signal(syscall.SIGTERM))
	r.wait().ok(`"event":"backup-cancelled"`)
	tool.ends(t)
	if out := s.admin("backup", "list", "shop", "--json"); !bytes.Contains(out, []byte("the agent was stopped")) {
		t.Errorf("the service says %s", out)
	}
	b.unwrap(postgres.dump)
	b.backup()
}

// TestServiceSecrets: neither a key nor a signed address is in what is said, also when
// a download fails.
func TestServiceSecrets(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(1000)
	s := newService(b)
	b.backup()
	r := s.restorer()
	dump := s.largest()
	b.must(os.Truncate(dump, 100))
	cut := r.run("verify", "shop").ends(exitDamaged, "not what was stored")
	b.must(os.Remove(dump))
	gone := r.run("verify", "shop").ends(exitDamaged)
	for _, res := range []*result{cut, gone} {
		for _, secret := range []string{s.Key, r.environ["DBACKED_APIKEY"], "signature", "expires", "/files/"} {
			if strings.Contains(res.out+res.err, secret) {
				t.Errorf("%q is in the output: %s", secret, res)
			}
		}
	}
}

// largest is the largest file that the service stores: a dump.
func (s *service) largest() (path string) {
	s.b.t.Helper()
	var size int64
	s.b.must(filepath.WalkDir(s.b.path("service/files"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > size {
			path, size = p, info.Size()
		}
		return err
	}))
	return path
}
