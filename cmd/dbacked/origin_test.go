package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/catalog"
)

// spoiled is a storage with two backups, of which somebody spoils the newer.
type spoiled struct {
	*bed
	older, newer string // ids
}

func (s *spoiled) file(id, name string) string { return filepath.Join("copy/shop", id, name) }

// manifest rewrites the newer one's manifest.
func (s *spoiled) manifest(change func([]byte) []byte) {
	s.t.Helper()
	name := s.file(s.newer, "manifest")
	s.write(name, change(s.read(name)))
}

func (s *spoiled) exchange(one, other string) {
	s.t.Helper()
	a, b := s.read(one), s.read(other)
	s.write(one, b)
	s.write(other, a)
}

// resign signs the manifest with the key of another host.
func (s *spoiled) resign(data []byte) []byte {
	s.t.Helper()
	signer, err := catalog.LoadOrCreateSigner(s.t.TempDir())
	s.must(err)
	m, _ := catalog.Decode(data, nil)
	if m == nil {
		s.t.Fatal("the manifest cannot be read")
	}
	signed, err := catalog.Encode(m, signer)
	s.must(err)
	return signed
}

// spoil is a way to spoil the newer of two backups.
type spoil struct {
	name string
	how  func(s *spoiled)
	code int      // of restore and verify
	says []string // by both of them
	list string   // what list says of its origin
}

var spoils = []spoil{
	{"manifest altered", func(s *spoiled) {
		s.manifest(func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"database": "`), []byte(`"database": "\u001b[2J\u202e`), 1)
		})
	}, exitOrigin, []string{"origin not proved", "altered"}, "altered"},
	{"manifest signed by another key", func(s *spoiled) { s.manifest(s.resign) }, exitOrigin, []string{"origin not proved", "a key that is not pinned"}, "not pinned"},
	{"manifest not signed", func(s *spoiled) {
		s.manifest(func(b []byte) []byte { return b[:bytes.LastIndex(b, []byte("\n\n"))+1] })
	}, exitOrigin, []string{"origin not proved", "not signed"}, "not signed"},
	{"manifest of another backup", func(s *spoiled) {
		s.manifest(func([]byte) []byte { return s.read(s.file(s.older, "manifest")) })
	}, exitOrigin, []string{"origin not proved", "belongs to another backup"}, "belongs to another backup"},
	{"manifest is garbage", func(s *spoiled) {
		s.manifest(func(b []byte) []byte { return bytes.Repeat([]byte{0xa7, '\n', 0x1b}, 500) })
	}, exitOrigin, []string{"origin not proved", "cannot be read"}, "cannot be read"},
	{"manifest is empty", func(s *spoiled) { s.manifest(func([]byte) []byte { return nil }) }, exitOrigin, []string{"cannot be read"}, "cannot be read"},
	{"manifest is huge", func(s *spoiled) {
		s.manifest(func(b []byte) []byte { return append(b, bytes.Repeat([]byte("x"), 5<<20)...) })
	}, exitOrigin, []string{"cannot be read", "more than"}, "more than"},
	{"files exchanged between two backups", func(s *spoiled) {
		s.exchange(s.file(s.older, "0001.dbacked"), s.file(s.newer, "0001.dbacked"))
	}, exitDamaged, []string{"0001.dbacked", "differs from its manifest"}, "proved"},
	{"files exchanged within a backup", func(s *spoiled) {
		s.exchange(s.file(s.newer, "0000.dbacked"), s.file(s.newer, "0001.dbacked"))
	}, exitDamaged, []string{"0000.dbacked", "differs from its manifest"}, "proved"},
	{"file missing", func(s *spoiled) { s.must(os.Remove(s.path(s.file(s.newer, "0001.dbacked")))) }, exitDamaged, []string{"0001.dbacked"}, "proved"},
	{"file cut", func(s *spoiled) {
		name := s.file(s.newer, "0001.dbacked")
		data := s.read(name)
		s.write(name, data[:len(data)-17])
	}, exitDamaged, []string{"0001.dbacked", "bytes instead of"}, "proved"},
	{"byte flipped", func(s *spoiled) {
		name := s.file(s.newer, "0001.dbacked")
		data := s.read(name)
		data[len(data)/2] ^= 1
		s.write(name, data)
	}, exitDamaged, []string{"0001.dbacked", "SHA-256"}, "proved"},
	{"globals flipped", func(s *spoiled) {
		name := s.file(s.newer, "0000.dbacked")
		data := s.read(name)
		data[len(data)-1] ^= 1
		s.write(name, data)
	}, exitDamaged, []string{"0000.dbacked", "SHA-256"}, "proved"},
	{"byte added", func(s *spoiled) {
		name := s.file(s.newer, "0001.dbacked")
		s.write(name, append(s.read(name), 0))
	}, exitDamaged, []string{"0001.dbacked", "bytes instead of"}, "proved"},
}

// TestOrigin spoils a backup in every way: verify names it, list shows it, and
// restore refuses it before it has written anything.
func TestOrigin(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(50)
		older := b.backup()
		b.server.SQL(t, b.db, "INSERT INTO a VALUES (1000001, 'new')")
		newer := b.backup()
		target := b.emptyDatabase()
		for _, c := range spoils {
			t.Run(c.name, func(t *testing.T) {
				s := &spoiled{b.with(), older, newer}
				s.t = t
				s.environ["DBACKED_STORAGE"] = "file://" + b.path("copy")
				s.must(os.RemoveAll(b.path("copy")))
				s.must(exec.Command("cp", "-a", b.path("storage"), b.path("copy")).Run())
				c.how(s)
				testSpoiled(s, c, target)
			})
		}
	})
}

func testSpoiled(s *spoiled, c spoil, target string) {
	t := s.t
	verify := s.run("verify", "shop", s.newer).ends(c.code).says(s.newer, "NOT GOOD").says(c.says...)
	if strings.Contains(verify.out, "\x1b") {
		t.Errorf("what a stranger wrote reaches the terminal as it is: %s", verify)
	}
	s.without("DBACKED_PRIVATE_KEY_FILE").run("verify", "shop", s.newer).ends(c.code).says("NOT GOOD").says(c.says...)
	list := s.run("list", "shop").ok()
	if strings.ContainsAny(list.out, "\x1b\u202e") {
		t.Errorf("what a stranger wrote reaches the terminal as it is: %s", list)
	}
	for line := range strings.Lines(list.out) {
		if strings.HasPrefix(line, s.newer) && !strings.Contains(line, c.list) {
			t.Errorf("list says %q, not %q", line, c.list)
		}
	}
	for _, args := range [][]string{{"--last-backup"}, {s.newer}, {s.newer, "--create-roles"}} {
		args = append([]string{"restore", "shop", "-y", "--db-name", target}, args...)
		r := s.run(args...).ends(c.code, c.says...)
		if named := strings.Contains(r.err, "the newest backup whose origin is proved is "+s.older+": dbacked restore shop "+s.older); named != (c.code == exitOrigin && args[5] == "--last-backup") {
			t.Errorf("%v: it names the good one: %v: %s", args, named, r)
		}
	}
	s.wantEmpty(target)
	if c.name == "globals flipped" {
		s.run("restore", "shop", "-y", "--raw-output", s.newer).ok("whole and authentic") // the dump itself is good
	} else if r := s.run("restore", "shop", "-y", "--raw-output", s.newer).ends(c.code); r.out != "" {
		t.Errorf("%d bytes of what is not proved were written", len(r.out))
	}
	s.run("verify", "shop", s.older).ends(map[bool]int{true: exitDamaged}[strings.Contains(c.name, "between")])
}

// TestAcceptedOrigin restores what another host signed: with its key pinned, and
// by a flag that says so.
func TestAcceptedOrigin(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	id := b.backup()
	elsewhere := b.with("DBACKED_STATE_DIRECTORY", b.path("elsewhere"), "DBACKED_DB_NAME", b.emptyDatabase())
	elsewhere.run("list", "shop").ok().says("not pinned")
	elsewhere.run("restore", "shop", "-y").ends(exitOrigin, "DBACKED_TRUST", "--accept-unproved-origin")
	elsewhere.run("restore", "shop", "-y", "--accept-unproved-origin").ok("warning: origin not proved")
	if last, _ := catalog.ReadLast(b.path("elsewhere")); last != "" {
		t.Errorf("a backup whose origin is not proved was remembered: %s", last)
	}
	signer, err := catalog.LoadOrCreateSigner(b.path("state"))
	b.must(err)
	pinned := elsewhere.with("DBACKED_TRUST", signer.Verifier(), "DBACKED_DB_NAME", b.emptyDatabase())
	pinned.run("list", "shop").ok().says("proved")
	pinned.run("restore", "shop", "-y").ok(id)
	if last, _ := catalog.ReadLast(b.path("elsewhere")); last != id {
		t.Errorf("the last backup seen is %q", last)
	}
	// What was restored stays restored where nothing can be remembered.
	b.must(os.Mkdir(b.path("full"), 0o700))
	b.mount("full", "ro")
	r := b.with("DBACKED_STATE_DIRECTORY", b.path("full")+"/state", "DBACKED_TRUST", signer.Verifier(), "DBACKED_DB_NAME", b.emptyDatabase())
	r.run("restore", "shop", "-y").ok("restored into", "warning:")
}

// TestOlderSet shows an older set of backups again, which no signature tells.
func TestOlderSet(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	older := b.backup()
	m := filepath.Join("storage/shop", older, "manifest")
	if !bytes.Contains(b.read(m), []byte(older)) {
		t.Fatal("no manifest")
	}
	seen := "29990101T000000Z-aaaaaa" // the next second, made without waiting for it
	b.must(catalog.WriteLast(b.path("state"), seen))
	b.with("DBACKED_DB_NAME", b.emptyDatabase()).run("restore", "shop", "-y").ok("warning: this host has seen backup "+seen, "an older set is shown", "taken ")
	r := b.run("restore", "shop", "--raw-output", "-y").ok("this host has seen backup")
	if !strings.HasPrefix(r.out, "PGDMP") {
		t.Errorf("standard output begins with %.20q", r.out)
	}
}
