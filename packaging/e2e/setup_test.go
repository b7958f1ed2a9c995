//go:build e2e

package e2e

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Versions of the packages that are installed.
const (
	firstVersion  = "v1.0.0"
	secondVersion = "v1.0.1"
)

// Files of the machine.
const (
	repository = "/srv/repo"
	privateKey = "/root/private.pem"
	passphrase = "/root/passphrase"
	credential = "/etc/credstore/dbacked.b.db-password"
)

// bed is a machine with dbacked and three instances: "a" is a PostgreSQL by peer
// authentication and "b" a MariaDB by a password in a credential, both due each
// minute; "idle" is due once a year. For a while there are two more, in a bucket.
type bed struct {
	*machine
	top        *testing.T // which lasts as long as the machine
	outside    *outside
	outage     *outage
	password   string        // of the account of b in MariaDB
	passphrase string        // of the private key
	waiting    idleness      // of the instance idle, since idleBegins
	first      func() string // folder of the repository with the first version
	next       func() string // and with the second
	clocked    *clocked      // a service with a clock of its own
}

// pack builds the repository of a version, as "make repo" does but for this
// machine's architecture alone, beside whatever else goes on; what it returns waits
// for its folder.
func (m *machine) pack(t *testing.T, version string) (wait func() string) {
	t.Helper()
	dir := filepath.Join(m.temp, version)
	const script = `packaging/packages.sh "$1" "$2" "$(dpkg --print-architecture)" && packaging/repo.sh "$2/repo" "$2"/*.deb`
	cmd := exec.CommandContext(m.packing, "sh", "-euc", script, "sh", version, dir)
	cmd.Dir = "../.."
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	var out []byte
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		out, err = cmd.CombinedOutput()
	}()
	t.Cleanup(func() { <-done })
	return func() string {
		<-done
		if err != nil {
			t.Fatalf("building the packages: %v\n%s", err, out)
		}
		return filepath.Join(dir, "repo")
	}
}

// publish makes a repository what the machine installs from.
func (m *machine) publish(t *testing.T, dir string) {
	t.Helper()
	must(t, os.RemoveAll(m.path(repository)))
	must(t, os.CopyFS(m.path(repository), os.DirFS(dir)))
}

// install installs the package as its documentation says.
func (m *machine) install(t *testing.T) {
	t.Helper()
	m.sudo(t, "install", "-D", "-m", "644", repository+"/dbacked.gpg", "/etc/apt/keyrings/dbacked.gpg")
	m.write(t, "/etc/apt/sources.list.d/dbacked.list", "deb [signed-by=/etc/apt/keyrings/dbacked.gpg] file://"+repository+" stable main\n", 0o644)
	m.sudo(t, "apt", "update")
	m.sudo(t, "apt", "install", "--yes", "dbacked")
	if out := m.run(t, "dbacked", "version"); !strings.Contains(out, firstVersion) {
		t.Errorf("dbacked version: %s", out)
	}
}

// build fills two databases and starts the instances.
func build(t *testing.T) *bed {
	t.Helper()
	b := &bed{machine: newMachine(t, "e2e"), top: t, password: rand.Text(), passphrase: rand.Text()}
	b.first = b.pack(t, firstVersion)
	b.outside = serve(t)
	b.boot(t)
	b.publish(t, b.first())
	b.next = b.pack(t, secondVersion)
	b.buildClocked(t)
	b.machine.install(t)
	b.databases(t)
	b.write(t, passphrase, b.passphrase+"\n", 0o600)
	b.sudo(t, "dbacked", "keygen", "--passphrase-file", passphrase, "--private-key-path", privateKey, "--public-key-path", "/etc/dbacked/public.pem")
	b.write(t, credential, b.password+"\n", 0o600)
	b.instance(t, "a", "pg", "* * * * *")
	b.instance(t, "b", "mysql", "* * * * *")
	b.instance(t, "idle", "pg", "@yearly")
	b.sudo(t, "systemctl", "enable", "--now", "dbacked@a", "dbacked@b", "dbacked@idle")
	return b
}

func (b *bed) instance(t *testing.T, name, engine, schedule string) {
	t.Helper()
	b.write(t, "/etc/dbacked/"+name+".env", fmt.Sprintf(`DBACKED_DB_TYPE=%s
DBACKED_DB_NAME=shop
DBACKED_DB_USERNAME=dbacked
DBACKED_PUBLIC_KEY=/etc/dbacked/public.pem
DBACKED_SCHEDULE="%s"
`, engine, schedule), 0o600)
}

// databases makes a database "shop" in each server, and the account dbacked
// with the rights that a backup takes. MariaDB's is big enough that some of it
// is stored before the dump comes to the table zz, the last one.
func (b *bed) databases(t *testing.T) {
	t.Helper()
	b.postgres(t, "postgres", "CREATE ROLE dbacked LOGIN IN ROLE pg_read_all_data")
	b.postgres(t, "postgres", "CREATE DATABASE shop")
	b.postgres(t, "shop", "CREATE TABLE items AS SELECT n AS id, md5(n::text) AS name FROM generate_series(1, 50000) n")
	statements := fmt.Sprintf(`CREATE DATABASE shop;
USE shop;
CREATE TABLE shop.items (id INT PRIMARY KEY, name VARBINARY(1024));
INSERT INTO shop.items SELECT seq, RANDOM_BYTES(1024) FROM seq_1_to_24000;
CREATE TABLE shop.zz (id INT PRIMARY KEY);
INSERT INTO shop.zz SELECT seq FROM seq_1_to_1000;
CREATE USER dbacked@localhost IDENTIFIED BY '%s';
GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE, LOCK TABLES ON shop.* TO dbacked@localhost;
GRANT SELECT ON mysql.* TO dbacked@localhost;
`, b.password)
	if r := b.feed(t, statements, "mariadb"); r.status != 0 {
		t.Fatalf("mariadb: %s", r.err)
	}
}

// digest tells what is in the database of an instance.
func (b *bed) digest(t *testing.T, instance string) string {
	t.Helper()
	if instance == "a" {
		return b.postgres(t, "shop", digestItems)
	}
	return b.mariadb(t, digestShop("shop"))
}

// digestItems is a query for what is in a database of PostgreSQL, digestShop one for
// a database of MariaDB.
const digestItems = "SELECT count(*), md5(string_agg(id || name, ',' ORDER BY id)) FROM items"

func digestShop(database string) string {
	return strings.ReplaceAll("SELECT COUNT(*), BIT_XOR(CRC32(CONCAT(id, name))) FROM DB.items; SELECT COUNT(*), SUM(id) FROM DB.zz", "DB", database)
}

// hold makes the next backup of an instance stand still in mid-dump, until
// release is called. It returns when a backup stands.
func (b *bed) hold(t *testing.T, instance string) (release func()) {
	t.Helper()
	waiting := b.dumpWaits
	if instance == "b" {
		release = b.session(t, "LOCK TABLES shop.zz WRITE; SELECT 'held';", "mariadb", "--batch", "--skip-column-names", "--unbuffered")
		waiting = func(t *testing.T) string {
			return b.mariadb(t, "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'dbacked' AND state LIKE 'Waiting for table%'")
		}
	} else {
		release = b.lockItems(t)
	}
	eventually(t, instance+" waits for the lock", func() bool {
		if b.status(t, instance).Running == nil {
			b.request(t, instance)
		}
		return waiting(t) == "1"
	})
	return release
}

// lockItems has the dumps of PostgreSQL wait until release is called.
func (b *bed) lockItems(t *testing.T) (release func()) {
	t.Helper()
	return b.session(t, "BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE; SELECT 'held';", slices.Concat(as("postgres"), []string{"psql", "-qAtX", "-d", "shop"})...)
}

// dumpWaits counts the dumps that wait for it.
func (b *bed) dumpWaits(t *testing.T) string {
	t.Helper()
	return b.postgres(t, "postgres", "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND usename = 'dbacked'")
}
