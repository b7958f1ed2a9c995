package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/dbtest"
)

// TestOlderVersions is what somebody does who holds the credentials of a host that
// backs up into a bucket with object lock: write over what is there, remove it, add
// a backup of his own. What was there stays, in older versions, and is found.
func TestOlderVersions(t *testing.T) {
	t.Parallel()
	s := dbtest.S3(t)
	s.Bucket(t, "backups", true)
	b := newBed(t, postgres)
	b.small(3000)
	b.bucket(s, s.Endpoint)
	b.settings["DBACKED_S3_OBJECT_LOCK"] = "governance:1d"
	b.configure("DBACKED_STORAGE", "s3://backups/safe")
	first, second, third := b.backup(), b.backup(), b.backup()
	b.run("verify", "shop", "--all").ok()
	keys, _ := keysIn(t, s)
	ctx, client := context.Background(), s.Client(t).Client

	overwrite := func(key, text string) {
		t.Helper()
		if _, err := client.PutObject(ctx, "backups", key, strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{SendContentMd5: true}); err != nil {
			t.Fatal(err)
		}
	}
	read := func(key string) string {
		t.Helper()
		o, err := client.GetObject(ctx, "backups", key, minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if _, err := text.ReadFrom(o); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	genuine := read("safe/shop/" + first + "/manifest")
	b.signedAgain("safe/shop/"+third+"/", read, overwrite)
	for _, key := range keys {
		switch id := strings.Split(key, "/")[2]; {
		case id == first && strings.HasSuffix(key, "0001.dbacked"):
			overwrite(key, strings.Repeat("x", len(read(key)))) // as long as the good one
		case id == first && strings.HasSuffix(key, "manifest"):
			overwrite(key, "nothing")
		case id == second && strings.HasSuffix(key, "manifest"):
			overwrite(key, genuine) // signed, and of another backup
		case id == second:
			if err := client.RemoveObject(ctx, "backups", key, minio.RemoveObjectOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := client.RemoveObject(ctx, "backups", "safe/shop/"+first+"/manifest", minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	overwrite("safe/shop/20991231T235959Z-ffffff/manifest", genuine)

	listed := b.run("list", "shop").ok()
	listed.says(second, "manifest was overwritten on", "version of")
	b.run("verify", "shop", second).ends(exitFailure, "only in older versions").says("0001.dbacked was removed")
	count := "SELECT count(*) || md5(string_agg(a::text, ',' ORDER BY a::text)) FROM a"
	want := b.server.SQL(t, b.db, count)
	b.run("verify", "shop", third).ends(exitFailure, "only in older versions").says("manifest was overwritten", "0001.dbacked was overwritten")
	for id, saw := range map[string]string{first: "0001.dbacked was overwritten", second: "0001.dbacked was removed", third: "0001.dbacked was overwritten"} {
		into := b.emptyDatabase()
		r := b.run("restore", "shop", id, "-y", "--db-name", into).ok()
		if !strings.Contains(r.err, "manifest was") || !strings.Contains(r.err, saw) {
			t.Errorf("it does not say what it saw: %s", r)
		}
		if got := b.server.SQL(t, into, count); got != want {
			t.Errorf("restored %s instead of %s", got, want)
		}
	}
	b.run("prune", "shop", "--keep-last", "1", "--keep-minimum", "0s").ends(exitRefused, "")
	if after, _ := keysIn(t, s); len(after) == 0 {
		t.Error("a prune removed what was tampered with")
	}
}

// signedAgain is what somebody does who has the host's signing key too: a backup
// that is there becomes another one, of which the signature is good.
func (b *bed) signedAgain(folder string, read func(key string) string, overwrite func(key, text string)) {
	b.t.Helper()
	signer, err := catalog.LoadOrCreateSigner(b.path("state"))
	b.must(err)
	m, _ := catalog.Decode([]byte(read(folder+"manifest")), nil)
	f := &m.Files[len(m.Files)-1]
	junk := strings.Repeat("x", int(f.StoredBytes))
	f.SHA256 = fmt.Sprintf("%x", sha256.Sum256([]byte(junk)))
	manifest, err := catalog.Encode(m, signer)
	b.must(err)
	overwrite(folder+f.Name, junk)
	overwrite(folder+"manifest", string(manifest))
}
