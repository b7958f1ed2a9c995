package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/encryptor"
)

// runTimeout ends a run that hangs.
const runTimeout = 90 * time.Second

// bed is what a test works on: a database, an instance's settings, keys, an
// empty storage.
type bed struct {
	t      *testing.T
	e      *engine
	server *dbtest.Server
	dir    string // has etc/shop.env, storage, state, private.pem, public.pem
	db     string // the database's name, this test's own

	settings map[string]string // of etc/shop.env
	environ  map[string]string // of every run
	program  string            // "": this one, dbacked in the path
	limit    time.Duration     // of a run; 0: runTimeout
}

// keys is a pair of which the private half is also kept encrypted.
type keys struct{ private, public []byte }

var testKeys = sync.OnceValue(makeKeys)

func makeKeys() keys {
	key, err := rsa.GenerateKey(rand.Reader, 2048) // faster to make than keygen's
	if err != nil {
		panic(err)
	}
	private, err := encryptor.MarshalPrivateKey(key, nil)
	if err != nil {
		panic(err)
	}
	return keys{private, encryptor.MarshalPublicKey(&key.PublicKey)}
}

// newBed makes the folders and settings of a test on the shared server.
func newBed(t *testing.T, e *engine) *bed {
	t.Helper()
	s, err := e.start()
	if lacks, ok := errors.AsType[setupLacks](err); ok {
		dbtest.Need(t, "a server", lacks)
	}
	if err != nil {
		t.Fatal(err)
	}
	return newBedOn(t, e, s)
}

func newBedOn(t *testing.T, e *engine, s *dbtest.Server) *bed {
	t.Helper()
	dir, err := os.MkdirTemp("", "dbacked-cmd") // short, and not this user's only
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &bed{t: t, e: e, server: s, dir: dir, db: "db_" + strings.ToLower(rand.Text()[:10])}
	for _, name := range []string{"etc", "storage", "state", "tmp", "tools"} {
		b.must(os.Mkdir(b.path(name), 0o700))
	}
	b.write("private.pem", testKeys().private)
	b.write("public.pem", testKeys().public)
	b.settings = map[string]string{
		"DBACKED_DB_TYPE": e.kind, "DBACKED_DB_HOST": "127.0.0.1", "DBACKED_DB_PORT": fmt.Sprint(s.Port),
		"DBACKED_DB_USERNAME": e.tester, "DBACKED_DB_PASSWORD": password, "DBACKED_DB_NAME": b.db,
		"DBACKED_PUBLIC_KEY": b.path("public.pem"), "DBACKED_STORAGE": "file://" + b.path("storage"),
		"DBACKED_STATE_DIRECTORY": b.path("state"), "DBACKED_TOOLS_PATH": b.path("tools"),
	}
	b.environ = map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": dir, "TMPDIR": b.path("tmp"), "GORACE": "exitcode=88 atexit_sleep_ms=0",
		"DBACKED_CONFIG_DIRECTORY": b.path("etc"), "DBACKED_PRIVATE_KEY_FILE": b.path("private.pem"),
	}
	b.configure()
	return b
}

func (b *bed) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) write(name string, data []byte) {
	b.t.Helper()
	b.must(os.WriteFile(b.path(name), data, 0o600))
}

func (b *bed) read(name string) []byte {
	b.t.Helper()
	data, err := os.ReadFile(b.path(name))
	b.must(err)
	return data
}

// configure writes the settings, with some changed: name, value, name, value.
func (b *bed) configure(changes ...string) {
	b.t.Helper()
	for pair := range slices.Chunk(changes, 2) {
		b.settings[pair[0]] = pair[1]
	}
	var text strings.Builder
	for name, value := range b.settings {
		fmt.Fprintf(&text, "%s='%s'\n", name, value)
	}
	b.write("etc/shop.env", []byte(text.String()))
}

// with is a copy of the bed whose runs have other variables too.
func (b *bed) with(variables ...string) *bed {
	c := *b
	c.environ = map[string]string{}
	for name, value := range b.environ {
		c.environ[name] = value
	}
	for pair := range slices.Chunk(variables, 2) {
		c.environ[pair[0]] = pair[1]
	}
	return &c
}

// without is a copy of the bed whose runs lack a variable.
func (b *bed) without(variable string) *bed {
	c := b.with()
	delete(c.environ, variable)
	return c
}

// small fills the bed's database with two tables of rows each, about 340 bytes a
// row.
func (b *bed) small(rows int) {
	b.t.Helper()
	if b.e == postgres {
		b.server.SQL(b.t, "postgres", "CREATE DATABASE "+b.db)
		b.server.SQL(b.t, b.db, fmt.Sprintf(`CREATE TABLE a AS SELECT i, repeat(md5(i::text), 10) t FROM generate_series(1, %d) i;
			CREATE TABLE b AS SELECT * FROM a; ALTER TABLE b ADD PRIMARY KEY (i)`, rows))
		return
	}
	b.server.SQL(b.t, "", "CREATE DATABASE "+b.db+" CHARACTER SET utf8mb4")
	b.server.SQL(b.t, b.db, fmt.Sprintf(`CREATE TABLE a (i int PRIMARY KEY, t varchar(320)) ENGINE=InnoDB;
		INSERT INTO a SELECT seq, repeat(md5(seq), 10) FROM seq_1_to_%d;
		CREATE TABLE b LIKE a; INSERT INTO b SELECT * FROM a`, rows))
}

// emptyDatabase makes another database.
func (b *bed) emptyDatabase() string {
	b.t.Helper()
	name := b.db + "_" + strings.ToLower(rand.Text()[:6])
	b.server.SQL(b.t, b.e.first, "CREATE DATABASE "+name)
	return name
}

func (b *bed) drop(db string) {
	b.t.Helper()
	b.server.SQL(b.t, b.e.first, "DROP DATABASE "+b.e.quote+db+b.e.quote)
}

// exists says whether the server has a database.
func (b *bed) exists(db string) bool {
	_, err := b.server.TrySQL(db, "SELECT 1")
	return err == nil
}

// wantEmpty fails the test if there is anything in a database.
func (b *bed) wantEmpty(db string) {
	b.t.Helper()
	if n := b.server.SQL(b.t, db, b.e.objects); n != "0" {
		b.t.Errorf("the database %s has %s objects", db, n)
	}
}

// wrap puts a shell script in the place of a tool; "$REAL" in it is the real
// one, and $BED the bed's folder. It answers --version and --help as the real
// one does.
func (b *bed) wrap(tool, script string) {
	b.t.Helper()
	text := fmt.Sprintf("#!/bin/bash\nREAL=%s\nBED=%s\ncase \" $* \" in *' --version '*|*' --help '*) exec \"$REAL\" \"$@\";; esac\n%s\n",
		filepath.Join(b.server.Bin, tool), b.dir, script)
	b.must(os.WriteFile(b.path("tools/"+tool), []byte(text), 0o700))
}

// unwrap lets the real tool work again.
func (b *bed) unwrap(tool string) {
	b.t.Helper()
	b.must(os.Remove(b.path("tools/" + tool)))
}

// stored lists the files in the storage with their sizes, without control/.
func (b *bed) stored() []string {
	b.t.Helper()
	return files(b.t, filepath.Join(strings.TrimPrefix(b.settings["DBACKED_STORAGE"], "file://")))
}

func files(t *testing.T, root string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := strings.CutPrefix(path, root+"/")
		if strings.HasPrefix(name, "shop/control") || path == root || name == "shop" {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() {
			name += "/"
		} else {
			name = fmt.Sprintf("%s %d", name, info.Size())
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// running is a run of dbacked.
type running struct {
	b        *bed
	args     []string
	cmd      *exec.Cmd
	out, err bytes.Buffer
	ended    chan struct{}
	cancel   context.CancelFunc
}

// start begins a run; in may be nil.
func (b *bed) start(in io.Reader, args ...string) *running {
	b.t.Helper()
	r := b.prepare(args...)
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = in, &r.out, &r.err
	r.launch()
	return r
}

// prepare makes a run that is yet to be launched.
func (b *bed) prepare(args ...string) *running {
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(b.limit, runTimeout))
	r := &running{b: b, args: args, cmd: exec.CommandContext(ctx, cmp.Or(b.program, "dbacked"), args...), ended: make(chan struct{}), cancel: cancel}
	for name, value := range b.environ {
		r.cmd.Env = append(r.cmd.Env, name+"="+value)
	}
	r.cmd.WaitDelay = 10 * time.Second
	r.cmd.Dir = b.dir
	return r
}

func (r *running) launch() {
	r.b.t.Helper()
	r.b.must(r.cmd.Start())
	go func() {
		r.cmd.Wait() // the status is in cmd.ProcessState
		close(r.ended)
	}()
	r.b.t.Cleanup(func() {
		r.cancel()
		<-r.ended
	})
}

// wait awaits the end of a run.
func (r *running) wait() *result {
	r.b.t.Helper()
	<-r.ended
	timedOut := r.cmd.ProcessState.ExitCode() == -1 && r.cmd.Err != nil
	r.cancel()
	res := &result{t: r.b.t, args: r.args, code: r.cmd.ProcessState.ExitCode(), out: r.out.String(), err: r.err.String()}
	if timedOut {
		r.b.t.Fatalf("it hangs: %s", res)
	}
	for what, secret := range r.b.secrets() {
		if strings.Contains(res.out+res.err, secret) {
			r.b.t.Errorf("%s is in the output: %s", what, res)
		}
	}
	return res
}

// secrets is what no output and no command line may hold.
func (b *bed) secrets() map[string]string {
	lines := strings.Split(string(testKeys().private), "\n")
	return map[string]string{"the password": password, "the private key": lines[5], "a signed address": "ignature="}
}

func (b *bed) run(args ...string) *result {
	b.t.Helper()
	return b.start(nil, args...).wait()
}

// result is how a run ended.
type result struct {
	t        *testing.T
	args     []string
	code     int
	out, err string
}

func (r *result) String() string {
	return fmt.Sprintf("dbacked %s: exit status %d\n--- standard output\n%.2000q\n--- standard error\n%.4000s---", strings.Join(r.args, " "), r.code, r.out, r.err)
}

// ok wants success, and words on standard error.
func (r *result) ok(words ...string) *result {
	r.t.Helper()
	return r.ends(exitOK, words...)
}

// ends wants an exit status, and words on standard error.
func (r *result) ends(code int, words ...string) *result {
	r.t.Helper()
	if r.code != code {
		r.t.Fatalf("exit status %d instead of %d: %s", r.code, code, r)
	}
	for _, w := range words {
		if !strings.Contains(r.err, w) {
			r.t.Errorf("it does not say %q: %s", w, r)
		}
	}
	return r
}

// says wants words on standard output.
func (r *result) says(words ...string) *result {
	r.t.Helper()
	for _, w := range words {
		if !strings.Contains(r.out, w) {
			r.t.Errorf("standard output does not say %q: %s", w, r)
		}
	}
	return r
}

// backup makes a backup and returns its id.
func (b *bed) backup(args ...string) string {
	b.t.Helper()
	return strings.TrimSpace(b.run(append([]string{"backup", "shop"}, args...)...).ok().out)
}

// list returns the ids that are listed, the newest first.
func (b *bed) list() []string {
	b.t.Helper()
	var ids []string
	for line := range strings.Lines(b.run("list", "shop", "--json").ok().out) {
		_, rest, _ := strings.Cut(line, `"id":"`)
		id, _, _ := strings.Cut(rest, `"`)
		ids = append(ids, id)
	}
	return ids
}
