//go:build e2e

package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// credstore is where systemd finds a credential of an instance.
func credstore(instance, name string) string {
	return "/etc/credstore/dbacked." + instance + "." + name
}

// bucketBegins starts two more instances: "vault" is the PostgreSQL of a, in a bucket
// alone, "both" a MariaDB in a folder and the bucket at once. Each has the documented
// rights of a host that may only write, and locks what it wrote.
func bucketBegins(t *testing.T, b *bed) {
	b.write(t, "/etc/hosts", b.read(t, "/etc/hosts")+"127.0.0.1 "+serviceName+"\n", 0o644)
	vault, both := b.admit(t, "vault", 9000), b.admit(t, "both", 9001)
	b.write(t, serviceCA, vault.authority(), 0o644)
	b.prepareBoth(t)
	for instance, how := range map[string]struct{ engine, database, storage string }{
		"vault": {"pg", "shop", inBucket},
		"both":  {"mysql", "ledger", "file://" + folder + "," + inBucket},
	} {
		b.instance(t, instance, how.engine, "@yearly")
		env := "/etc/dbacked/" + instance + ".env"
		b.write(t, env, strings.Replace(b.read(t, env), "=shop", "="+how.database, 1)+"DBACKED_STORAGE="+how.storage+
			"\nDBACKED_S3_ENDPOINT="+b.outside.doors[instance].endpoint()+
			"\nDBACKED_S3_CA="+serviceCA+
			"\nDBACKED_S3_OBJECT_LOCK=compliance:1d\n", 0o600)
		b.write(t, credstore(instance, "s3-access-key-id"), b.outside.AccessKey+"\n", 0o600)
		b.write(t, credstore(instance, "s3-secret-access-key"), b.outside.SecretKey+"\n", 0o600)
	}
	mark := b.mark(t)
	b.sudo(t, "systemctl", "enable", "--now", "dbacked@vault", "dbacked@both")
	for _, instance := range []string{"vault", "both"} {
		b.journal.await(t, mark, append(event(instance, "backup-started"), "DBACKED_REASON=due")...)
		proved := b.journal.await(t, mark, event(instance, "backup-proved")...)
		t.Logf("%s: %s", instance, proved)
		if list := b.sudo(t, "dbacked", "list", instance); !strings.Contains(list, proved["DBACKED_BACKUP_ID"]) {
			t.Errorf("%s was proved and is not in the list:\n%s", proved["DBACKED_BACKUP_ID"], list)
		}
		b.expectWell(t, instance, mark)
	}
	b.expectBoth(t)

	b.outage = b.cut(t, both)
}

// expectWell: a host that may only write asks for no more, has nothing to complain
// of, and says how it is.
func (b *bed) expectWell(t *testing.T, instance string, mark int) {
	t.Helper()
	if n := b.outside.doors[instance].denied(); n != 0 {
		t.Errorf("%s asked %d times for what it may not do", instance, n)
	}
	entries, _, _ := b.journal.since(mark)
	for _, e := range entries {
		if e["DBACKED_INSTANCE"] == instance && e["PRIORITY"] < "5" {
			t.Errorf("%s complains: %s %s", instance, e, e["DBACKED_ERROR"])
		}
	}
	s := b.status(t, instance)
	if !s.Healthy || s.Newest == nil || !strings.Contains(s.Storage, inBucket) {
		t.Errorf("%+v", s)
	}
	b.expectProperties(t, service(instance), "ActiveState=active", "SubState=running", "NRestarts=0", "UnitFileState=enabled")
	if table := b.sudo(t, "dbacked", "status", instance); !strings.Contains(table, instance+"  ") || !strings.Contains(table, "idle") {
		t.Errorf("dbacked status says:\n%s", table)
	}
}

// vault: backups under the write-only policy and object lock outlive root of the
// machine that made them.
func vault(t *testing.T, b *bed) {
	mark := b.mark(t)
	first := b.status(t, "vault").Newest.ID
	second, third := strings.TrimSpace(b.sudo(t, "dbacked", "backup", "vault")), strings.TrimSpace(b.sudo(t, "dbacked", "backup", "vault"))
	b.journal.await(t, mark, append(event("vault", "backup-proved"), "DBACKED_BACKUP_ID="+third)...)
	b.expectWell(t, "vault", mark)
	for v := range b.outside.versions(t, "vault") {
		o, err := b.outside.Client(t).StatObject(t.Context(), bucket, v.key, minio.StatObjectOptions{VersionID: v.id})
		must(t, err)
		until, _ := time.Parse(time.RFC3339, o.Metadata.Get("X-Amz-Object-Lock-Retain-Until-Date"))
		if mode := o.Metadata.Get("X-Amz-Object-Lock-Mode"); mode != "COMPLIANCE" || time.Until(until) < 23*time.Hour {
			t.Errorf("%s is locked by %q until %v", v.key, mode, until)
		}
	}
	check := b.sudo(t, "dbacked", "check", "vault")
	if !strings.Contains(check, "this host may only write: it can neither overwrite nor read nor remove") {
		t.Errorf("dbacked check says:\n%s", check)
	}
	trust := regexp.MustCompile(`DBACKED_TRUST=(\S+)`).FindStringSubmatch(check)
	if trust == nil {
		t.Fatalf("dbacked check tells no key to pin:\n%s", check)
	}
	e := b.elsewhere(t, trust[1])

	before := b.outside.versions(t, "vault")
	x := b.rob(t, "vault", first, second, third)
	x.try(t)
	x.forge(t)
	added := b.outside.versions(t, "vault")
	for v := range before {
		if _, kept := added[v]; !kept {
			t.Errorf("%s is gone", v.key)
		}
	}
	for v := range added {
		id := strings.Split(v.key, "/")[3]
		if _, old := before[v]; !old && id != x.stranger && id != x.believed {
			t.Errorf("%s was written over", v.key)
		}
	}
	e.expectForged(t, x)
	x.tryUnguarded(t)
	e.expectFound(t, x, b.digest(t, "a"))
}
