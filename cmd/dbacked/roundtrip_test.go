package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/catalog"
)

// TestRoundTrip loses a database that holds what tools stumble over, and gets
// it back: equal, byte for byte, in a dump as text.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.server.Sample(t, b.db)
		before := b.server.PlainDump(t, b.db)

		id := b.backup()
		b.run("list", "shop").ok().says(id, b.db, "proved")
		b.run("verify", "shop").ok().says(id, "ok", "decrypted, decompressed")
		b.without("DBACKED_PRIVATE_KEY_FILE").run("verify", "shop").ok().says(id, "ok", "not decrypted, since no private key is given")

		b.drop(b.db)
		b.run("restore", "shop", "--last-backup", "--create", "-y").ok(id, "of dump", "is created")
		if after := b.server.PlainDump(t, b.db); after != before {
			t.Errorf("the dumps before (%d bytes) and after (%d bytes) differ", len(before), len(after))
		}

		content := b.plain(b.db)
		t.Run("raw output", func(t *testing.T) { testRawOutput(t, b) })
		t.Run("raw input", func(t *testing.T) { testRawInput(t, b, content) })
		t.Run("legacy", func(t *testing.T) { testLegacyFormat(t, b, content) })
	})
}

// testRawOutput gives the dump to the database's own program.
func testRawOutput(t *testing.T, b *bed) {
	raw := b.run("restore", "shop", "--last-backup", "--raw-output", "-y").ok("whole and authentic").out
	b.write("raw.dump", []byte(raw))
	if b.e == postgres {
		out, err := exec.Command(filepath.Join(b.server.Bin, "pg_restore"), "--list", b.path("raw.dump")).CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("TABLE DATA")) {
			t.Errorf("pg_restore --list: %v\n%.1000s", err, out)
		}
	}
	db := b.byOwnTool(b.path("raw.dump"))
	if b.server.SQL(t, db, b.e.objects) != b.server.SQL(t, b.db, b.e.objects) {
		t.Error("the database's own program read another number of tables")
	}
}

// testRawInput restores one stored file, from a disk and through a pipe.
func testRawInput(t *testing.T, b *bed, before string) {
	f, err := os.Open(b.newest("0001.dbacked"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	args := []string{"restore", "shop", "--raw-input", "--accept-unproved-origin", "-y", "--db-name"}
	fromDisk := b.emptyDatabase()
	b.start(nil, append(args, fromDisk)...).wait().ends(exitDamaged, "standard input")
	b.wantEmpty(fromDisk)
	b.start(f, args[:3]...).wait().ends(exitOrigin, "--accept-unproved-origin")
	if _, err := f.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	b.start(f, append(args, fromDisk)...).wait().ok()

	data, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	fromPipe := b.emptyDatabase()
	b.start(bytes.NewReader(data), append(args, fromPipe)...).wait().ok()
	for _, db := range []string{fromDisk, fromPipe} {
		if b.plain(db) != before {
			t.Errorf("%s differs from what was backed up", db)
		}
	}
	if left, err := os.ReadDir(b.path("tmp")); err != nil || len(left) > 0 {
		t.Errorf("left where the input was kept: %v, %v", left, err)
	}
}

// plain is a dump of a database as text, without its name and without what it
// says of the database as a whole, which a restore into another one leaves as it
// is there.
func (b *bed) plain(db string) string {
	b.t.Helper()
	var text strings.Builder
	for line := range strings.Lines(b.server.PlainDump(b.t, db)) {
		if !strings.HasPrefix(line, "ALTER DATABASE ") && !strings.HasPrefix(line, "-- Dumping ") {
			text.WriteString(line)
		}
	}
	return text.String()
}

// testLegacyFormat makes a backup for the former agent, opens it as that did,
// and restores it.
func testLegacyFormat(t *testing.T, b *bed, before string) {
	b.configure("DBACKED_FORMAT", "legacy")
	defer b.configure("DBACKED_FORMAT", "1")
	id := b.backup()
	dir := filepath.Join(b.path("storage"), "shop", id)
	if got := files(t, dir); len(got) != 2 || !strings.HasPrefix(got[0], "0000.dbacked") {
		t.Fatalf("a legacy backup is %q", got)
	}
	node, err := exec.LookPath("node")
	if err == nil {
		plain, err := exec.Command(node, "--input-type=module", "-e", nodeLegacy, filepath.Join(dir, "0000.dbacked"), b.path("private.pem")).Output()
		if err != nil {
			t.Fatalf("node: %v", err)
		}
		if raw := b.run("restore", "shop", "--raw-output", "-y").ok("not authenticated").out; raw != string(plain) {
			t.Error("what Node's crypto opens is not what dbacked does")
		}
	}
	b.run("verify", "shop", id).ok().says("ok")
	db := b.emptyDatabase()
	b.run("restore", "shop", "-y", "--db-name", db).ok(id)
	if b.plain(db) != before {
		t.Error("a restored legacy backup differs from what was backed up")
	}
}

// nodeLegacy is what the former agent did, in Node's own crypto.
const nodeLegacy = `
import { readFileSync } from 'node:fs';
import { privateDecrypt, createDecipheriv, constants } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
const [file, pem] = process.argv.slice(-2);
const b = readFileSync(file);
if (b.subarray(0, 7).toString() !== 'DBACKED' || b[7] !== 0 || b[8] !== 5) throw new Error('not a legacy file');
const n = b.readUInt32LE(10);
const key = privateDecrypt({ key: readFileSync(pem), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' }, b.subarray(14, 14 + n));
const d = createDecipheriv('aes-256-cbc', key, b.subarray(14 + n, 30 + n));
process.stdout.write(gunzipSync(Buffer.concat([d.update(b.subarray(30 + n)), d.final()])));
`

// newest is the path of a file of the newest backup.
func (b *bed) newest(file string) string {
	b.t.Helper()
	return filepath.Join(b.path("storage"), "shop", b.list()[0], file)
}

// TestLegacyVectors restores the two files that the former agent itself wrote,
// with each wrapping of their key, into real servers.
func TestLegacyVectors(t *testing.T) {
	t.Parallel()
	vectors, err := filepath.Abs("../../pkg/encryptor/testdata/vectors/legacy")
	if err != nil {
		t.Fatal(err)
	}
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.write("passphrase", []byte("correct-horse\n"))
		file := map[string]string{"pg": "pg.dbacked", "mysql": "mysql.dbacked"}[e.kind]
		data, err := os.ReadFile(filepath.Join(vectors, file))
		if err != nil {
			t.Fatal(err)
		}
		want := b.plain(b.byOwnTool(filepath.Join(vectors, strings.TrimSuffix(file, "backed")+"ump")))
		for _, key := range []string{"private.pem", "private_pkcs1_encrypted.pem", "private_pkcs8_encrypted.pem"} {
			db := b.emptyDatabase()
			args := []string{"restore", "shop", "--raw-input", "--accept-unproved-origin", "-y", "--db-name", db, "--private-key-path", filepath.Join(vectors, key)}
			if key != "private.pem" {
				args = append(args, "--passphrase-file", b.path("passphrase"))
			}
			b.without("DBACKED_PRIVATE_KEY_FILE").start(bytes.NewReader(data), args...).wait().ok("not authenticated")
			if got := b.plain(db); got != want {
				t.Errorf("%s: restored\n%s\ninstead of\n%s", key, got, want)
			}
		}
	})
}

// byOwnTool restores a dump by the database's own program into a new database.
func (b *bed) byOwnTool(dump string) (db string) {
	b.t.Helper()
	db = b.emptyDatabase()
	cmd := exec.Command(filepath.Join(b.server.Bin, "pg_restore"), "-h", b.server.Socket, "-p", fmt.Sprint(b.server.Port), "-U", "postgres", "-d", db)
	if b.e == mariadb {
		cmd = exec.Command("mariadb", "--no-defaults", "--socket="+b.server.Socket, "-u", "root", "--max-allowed-packet=1G", db)
	}
	in, err := os.Open(dump)
	b.must(err)
	defer in.Close()
	cmd.Stdin = in
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("%s: %v\n%.1000s", cmd.Path, err, out)
	}
	return db
}

// TestJSON reads what the commands print for programs.
func TestJSON(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	var m catalog.Manifest
	read(t, b.run("backup", "shop", "--json").ok(), &m)
	if m.Instance != "shop" || m.Database != b.db || m.Engine != "postgresql" || len(m.Files) != 2 || m.Files[1].Kind != catalog.KindDump {
		t.Errorf("backup --json: %+v", m)
	}
	var l listed
	read(t, b.run("list", "shop", "--json").ok(), &l)
	if l.ID != m.ID || !l.Proved || l.Error != "" || l.Manifest == nil || l.Manifest.ID != m.ID {
		t.Errorf("list --json: %+v", l)
	}
	var v verified
	read(t, b.run("verify", "shop", "--json").ok(), &v)
	if v.ID != m.ID || !v.OK || !v.Opened || !v.Proved || len(v.Files) != 2 || !v.Files[0].OK {
		t.Errorf("verify --json: %+v", v)
	}
	for line := range strings.Lines(b.run("check", "shop", "--json").ok().out) {
		var f struct{ Level, Subject, Message string }
		if err := json.Unmarshal([]byte(line), &f); err != nil || f.Level != "ok" && f.Level != "warn" || f.Subject == "" || f.Message == "" {
			t.Errorf("check --json: %q: %v", line, err)
		}
	}
}

// read decodes the one JSON value on standard output.
func read(t *testing.T, r *result, v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(r.out))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil || d.More() {
		t.Fatalf("not one JSON value of the known shape: %v: %s", err, r)
	}
}
