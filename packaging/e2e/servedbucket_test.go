//go:build e2e

package e2e

import (
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// Where the service keeps files in a bucket, as the machines reach it, and which.
const (
	servedEndpoint = "127.0.0.1:9002"
	servedIn       = "served"
)

// servedBucket: backups of both engines, of databases of another machine, are made
// when the project's schedule says, and are uploaded into a bucket of which the agents
// have no credentials.
func servedBucket(t *testing.T, b *bed) {
	c := b.clocked
	b.outside.Bucket(t, servedIn, false)
	for _, m := range []*machine{b.machine, c.twin} {
		m.relay(t, servedEndpoint, func() (net.Conn, error) { return net.Dial("tcp", b.outside.Host) })
	}
	t.Cleanup(func() { b.run(t, "systemctl", "restart", "dbacked-server") }) // with what edit puts back
	b.edit(t, "/etc/dbacked-server/server.env", 0o640, func(env string) string {
		return env + "DBACKED_SERVER_FILES=s3://" + servedIn + "/some/prefix\nDBACKED_SERVER_S3_ENDPOINT=http://" + servedEndpoint +
			"\nAWS_ACCESS_KEY_ID=" + b.outside.AccessKey + "\nAWS_SECRET_ACCESS_KEY=" + b.outside.SecretKey + "\n"
	})
	b.run(t, "systemctl", "restart", "dbacked-server")
	// Behind, so that it can be set forward by a minute and be right: addresses are signed by it.
	c.set(t, time.Now().Add(-90*time.Second))

	mark, projects := c.twin.mark(t), map[string]string{}
	kept := map[string]string{"access key": b.outside.AccessKey, "secret key": b.outside.SecretKey}
	engines := map[string]string{"orders-far": "pg", "stock-far": "mysql"}
	for instance, engine := range engines {
		p := c.create(t, instance, "* * * * *")
		kept["key of "+p.Name] = p.APIKey
		projects[instance] = p.ID
		b.agent(t, c.twin, instance, engine, p.APIKey)
		// Who restores, on the other machine, knows the database and the service.
		env := strings.NewReplacer("DBACKED_DB_HOST", "#", "DBACKED_DB_PORT", "#").Replace(c.twin.read(t, "/etc/dbacked/"+instance+".env"))
		b.write(t, "/etc/dbacked/"+instance+".env", env, 0o600)
	}
	for instance := range engines { // the first is due at once
		c.twin.journal.await(t, mark, event(instance, "backup-proved")...)
	}
	mark = c.twin.mark(t)
	c.set(t, time.Now())
	for instance := range engines {
		started := c.twin.journal.await(t, mark, append(event(instance, "backup-started"), "DBACKED_REASON=due")...)
		t.Logf("%s, %s", started, c.twin.journal.await(t, mark, event(instance, "backup-proved")...))
		c.twin.expectBare(t, instance)
		first := <-b.outside.Client(t).Client.ListObjects(t.Context(), servedIn, minio.ListObjectsOptions{Prefix: "some/prefix/" + projects[instance] + "/", Recursive: true, MaxKeys: 1})
		if first.Err != nil || first.Size == 0 {
			t.Errorf("the bucket holds %+v of it", first)
		}
	}
	c.twin.expectHidden(t, kept)
	b.expectNoFile(t, b.outside.SecretKey)

	c.twin.sudo(t, "systemctl", "disable", "--now", "dbacked@orders-far", "dbacked@stock-far")
	for instance := range engines {
		trust := regexp.MustCompile(`DBACKED_TRUST=(\S+)`).FindStringSubmatch(c.twin.sudo(t, "dbacked", "check", instance))
		if trust == nil {
			t.Fatal("dbacked check tells no key to pin")
		}
		b.expectRestored(t, instance, trust[1])
		b.sudo(t, "rm", "/etc/dbacked/"+instance+".env")
	}
}

// expectBare: an agent of the service is given a password and a key, and of a storage
// nothing.
func (m *machine) expectBare(t *testing.T, instance string) {
	t.Helper()
	pid := m.property(t, service(instance), "MainPID")
	if line := m.read(t, "/proc/"+pid+"/cmdline"); line != "/usr/bin/dbacked\x00agent\x00"+instance+"\x00" {
		t.Errorf("it runs as %q", line)
	}
	for variable := range strings.SplitSeq(m.read(t, "/proc/"+pid+"/environ"), "\x00") {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "AWS_") || strings.Contains(name, "S3") || strings.Contains(name, "STORAGE") || strings.Contains(name, "APIKEY") {
			t.Errorf("%s is in its environment", name)
		}
	}
	if files := m.run(t, "ls", "/run/credentials/"+service(instance)); files != "dbacked."+instance+".apikey\ndbacked."+instance+".db-password\n" {
		t.Errorf("it was given:\n%s", files)
	}
}

// expectNoFile: of the bucket's secret nothing is in a file of the agents' machine; on
// that of the service the same search finds its settings.
func (b *bed) expectNoFile(t *testing.T, secret string) {
	t.Helper()
	const search = "grep -rlsF --devices=skip -f /root/pattern /etc /home /opt /root /run /srv /tmp /usr/local /var | grep -vx /root/pattern"
	for m, settings := range map[*machine]bool{b.machine: true, b.clocked.twin: false} {
		m.write(t, "/root/pattern", secret+"\n", 0o600) // not on a command line
		found := m.try(t, "sh", "-c", search).out
		must(t, os.Remove(m.path("/root/pattern")))
		if settings != strings.Contains(found, "/etc/dbacked-server/server.env\n") || !settings && found != "" {
			t.Errorf("on %s the secret is in:\n%s", m.name, found)
		}
	}
}
