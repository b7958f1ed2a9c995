//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Ports of a machine at which another listens.
const (
	herePort     = 5001 // the service, of the machine that it is on
	postgresPort = 15432
	mariadbPort  = 13306
)

// served: this project's agents back up to this project's service, on its machine
// and on another one, its twin.
func served(t *testing.T, b *bed) {
	c := b.clocked
	b.run(t, "systemctl", "stop", "dbacked@a", "dbacked@b") // the databases are for others now
	t.Cleanup(func() { b.run(t, "systemctl", "start", "dbacked@a", "dbacked@b") })
	b.bootTwin(t)
	b.prepareServed(t)
	c.install(t)
	c.here = b.gate(t, "127.0.0.1:"+strconv.Itoa(herePort), b.dialer("127.0.0.1:5000"))
	c.there = c.twin.gate(t, "127.0.0.1:5000", b.dialer("127.0.0.1:5000"))
	for _, step := range []struct {
		name string
		show func(*testing.T, *bed)
	}{
		{"bucket", servedBucket},
		{"folder", servedFolder},
		{"each due time", eachDueTime},
		{"killed", killed},
		{"killed of 2018", killedOf2018},
		{"service away", serviceAway},
	} {
		mark := c.twin.mark(t)
		if !t.Run(step.name, func(t *testing.T) { step.show(t, b) }) {
			t.Logf("in %s the twin's journal said:\n%s", step.name, c.twin.journal.text(mark))
		}
		b.expectProperties(t, serverUnit, "ActiveState=active", "NRestarts=0")
	}
	b.sudo(t, "systemctl", "disable", "--now", "dbacked@orders", "dbacked@stock")
	b.sudo(t, "rm", "/etc/dbacked/orders.env", "/etc/dbacked/stock.env")
}

// bootTwin boots another machine, which has the package, and finds both databases and
// the service on the first.
func (b *bed) bootTwin(t *testing.T) {
	t.Helper()
	m := newMachine(t, "e2e-twin", "postgresql.service", "mariadb.service")
	m.boot(t)
	t.Cleanup(m.kill) // in good order it takes ten seconds, and shows nothing
	b.clocked.twin = m
	m.publish(t, b.first())
	m.install(t)
	for port, to := range map[int]string{postgresPort: "127.0.0.1:5432", mariadbPort: "127.0.0.1:3306"} {
		m.relay(t, "127.0.0.1:"+strconv.Itoa(port), b.dialer(to))
	}
}

// prepareServed makes what the agents need: a small database of MariaDB (that of
// PostgreSQL is), and an account that PostgreSQL knows by a password, too.
func (b *bed) prepareServed(t *testing.T) {
	t.Helper()
	r := b.feed(t, `CREATE DATABASE stock;
CREATE TABLE stock.items AS SELECT * FROM shop.items LIMIT 2000;
CREATE TABLE stock.zz AS SELECT * FROM shop.zz;
GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE, LOCK TABLES ON stock.* TO dbacked@localhost;
`, "mariadb")
	if r.status != 0 {
		t.Fatalf("mariadb: %s", r.err)
	}
	b.postgres(t, "postgres", fmt.Sprintf("ALTER ROLE dbacked PASSWORD '%s'", b.password))
}

// agent configures an agent of the service on a machine, which has of the service
// nothing but a key, and starts it.
func (b *bed) agent(t *testing.T, m *machine, instance, engine, key string) {
	t.Helper()
	address := serverURL
	if m == b.machine && instance == "orders" {
		address = fmt.Sprintf("http://127.0.0.1:%d", herePort)
	}
	env := fmt.Sprintf("DBACKED_DB_TYPE=%s\nDBACKED_DB_NAME=%s\nDBACKED_DB_USERNAME=dbacked\nDBACKED_API_URL=%s\nDBACKED_POLL_INTERVAL=1s\n",
		engine, map[string]string{"pg": "shop", "mysql": "stock"}[engine], address)
	if m != b.machine {
		port := map[string]int{"pg": postgresPort, "mysql": mariadbPort}[engine]
		env += fmt.Sprintf("DBACKED_DB_HOST=127.0.0.1\nDBACKED_DB_PORT=%d\n", port)
	}
	m.write(t, "/etc/dbacked/"+instance+".env", env, 0o600)
	m.write(t, credstore(instance, "apikey"), key+"\n", 0o600)
	m.write(t, credstore(instance, "db-password"), b.password+"\n", 0o600)
	m.sudo(t, "systemctl", "enable", "--now", "dbacked@"+instance)
}

// servedFolder: backups of both engines are made when the project's schedule says,
// and not before; the service keeps them in its folder.
func servedFolder(t *testing.T, b *bed) {
	c := b.clocked
	mark, projects := b.mark(t), map[string]project{}
	for instance, engine := range map[string]string{"orders": "pg", "stock": "mysql"} {
		projects[instance] = c.create(t, instance, "0 2 * * *")
		b.agent(t, b.machine, instance, engine, projects[instance].APIKey)
	}
	for _, instance := range []string{"orders", "stock"} { // the first is due at once
		b.journal.await(t, mark, event(instance, "backup-proved")...)
	}
	due := c.due(t, "orders")
	if due.Hour() != 2 || due.Minute() != 0 || due.Before(time.Now()) {
		t.Fatalf("the next one is due at %s", due)
	}
	eventually(t, "the agent knows when the next one is due", func() bool {
		s := b.status(t, "orders")
		return s.Schedule == "0 2 * * *" && s.Next != nil && s.Next.Equal(due)
	})
	mark = b.mark(t)
	c.set(t, due.Add(-10*time.Minute))
	c.here.awaitQuestions(t, 2)
	if n := b.journal.count(mark, event("orders", "backup-started")...); n != 0 {
		t.Errorf("%d were made before", n)
	}
	c.set(t, due)
	for _, instance := range []string{"orders", "stock"} {
		started := b.journal.await(t, mark, append(event(instance, "backup-started"), "DBACKED_REASON=due")...)
		t.Logf("%s, %s", started, b.journal.await(t, mark, event(instance, "backup-proved")...))
		if files := b.sh(t, "find %s/files -type f -path '*/%s/*'", serverData, projects[instance].ID); files == "" {
			t.Error("the folder of the service holds nothing of it")
		}
		b.expectRestored(t, instance, "")
	}
	if all := c.all(t, "orders"); len(all) != 2 || !all[0].Due.Equal(due) || all[0].State != "done" {
		t.Errorf("the service says %+v", all)
	}
}

// expectRestored restores the newest backup that the service keeps of an instance
// beside its database, with a key that reads, and compares the two.
func (b *bed) expectRestored(t *testing.T, instance, trust string) {
	t.Helper()
	key := "/root/" + instance + ".restore"
	made := b.clocked.admin(t, "key", "create", instance, "--kind", "restore", "--json")
	_, made, _ = strings.Cut(made, `"apikey":`)
	b.write(t, key, strings.Split(made, `"`)[1]+"\n", 0o600)
	pg := strings.Contains(b.read(t, "/etc/dbacked/"+instance+".env"), "DBACKED_DB_TYPE=pg")
	into := strings.ReplaceAll(instance, "-", "_") + "_back"
	args := []string{"--run-as", "root", "--db-username", "root", "--db-host", "/run/mysqld/mysqld.sock"}
	if pg {
		args = []string{"--run-as", "postgres"}
	}
	if trust != "" {
		args = append(args, "--trust", trust)
	}
	b.sudo(t, append([]string{
		"dbacked", "restore", instance, "--last-backup", "--yes", "--create", "--db-name", into, "--apikey-file", key,
		"--private-key-path", privateKey, "--passphrase-file", passphrase,
	}, args...)...)
	got, want := "", ""
	if pg {
		got, want = b.postgres(t, into, digestItems), b.postgres(t, "shop", digestItems)
	} else {
		got, want = b.mariadb(t, digestShop(into)), b.mariadb(t, digestShop("stock"))
	}
	if got != want {
		t.Errorf("restored of %s: %s, not %s", instance, got, want)
	}
}

// serviceAway: while the service is away its agents say so, and once it is back they
// go on by themselves.
func serviceAway(t *testing.T, b *bed) {
	c, mark := b.clocked, b.mark(t)
	there := c.twin.mark(t)
	b.sudo(t, "systemctl", "stop", "dbacked-server.socket")
	for m, mark := range map[*machine]int{b.machine: mark, c.twin: there} {
		m.journal.await(t, mark, event("orders", "waiting")...)
		status := ""
		eventually(t, "systemctl status says it", func() bool {
			status = m.run(t, "systemctl", "status", "dbacked@orders")
			return strings.Contains(status, `Status: "asking again`)
		})
		t.Logf("%s says:\n%s", m.name, firstLines(status, 12))
		if code, body := m.get(t, "orders", "/healthz"); code != 503 {
			t.Errorf("/healthz of orders on %s: %d %s", m.name, code, body)
		}
	}
	waiting := b.journal.await(t, mark, event("stock", "waiting")...)
	if e := waiting["DBACKED_ERROR"]; !strings.Contains(e, serverURL) || !strings.Contains(e, "connection refused") {
		t.Errorf("it does not say what is away: %s %s", waiting, e)
	}
	b.sudo(t, "systemctl", "start", "dbacked-server")
	for m, mark := range map[*machine]int{b.machine: mark, c.twin: there} {
		t.Log(m.journal.await(t, mark, event("orders", "recovered")...))
		eventually(t, "it is well", func() bool {
			code, _ := m.get(t, "orders", "/healthz")
			return code == 200 && strings.HasPrefix(m.property(t, service("orders"), "StatusText"), "idle")
		})
	}
	b.journal.await(t, mark, event("stock", "recovered")...)
}

func firstLines(text string, n int) string {
	lines := strings.SplitAfterN(text, "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], "")
}

// number is what an environment variable says, or else.
func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}
