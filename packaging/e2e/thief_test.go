//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/dbacked/dbacked/pkg/catalog"
)

// dumpFile is the file of a backup that holds the dump.
const dumpFile = "0001.dbacked"

// thief is root of the machine of an instance. All that he has he read there: the
// credentials of the bucket, where that is, and the key that signs backups. He has
// seen three backups.
type thief struct {
	bed                *bed
	instance           string
	first, second      string          // one to be overwritten, one to be removed
	third              string          // to be overwritten with the machine's own key
	key, secret        string          // of the bucket
	guarded, unguarded *minio.Core     // the service under the instance's policy, and as it would be under none
	host, own          *catalog.Signer // the machine's, and one that he made

	stranger, believed string // backups that he made up, signed by his key and by the machine's
}

func (b *bed) rob(t *testing.T, instance, first, second, third string) *thief {
	t.Helper()
	x := &thief{bed: b, instance: instance, first: first, second: second, third: third}
	env := b.read(t, "/etc/dbacked/"+instance+".env")
	setting := func(name string) string {
		_, rest, _ := strings.Cut(env, "\n"+name+"=")
		value, _, _ := strings.Cut(rest, "\n")
		return value
	}
	x.key = strings.TrimSpace(b.read(t, credstore(instance, "s3-access-key-id")))
	x.secret = strings.TrimSpace(b.read(t, credstore(instance, "s3-secret-access-key")))
	endpoint, err := url.Parse(setting("DBACKED_S3_ENDPOINT"))
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(b.read(t, setting("DBACKED_S3_CA"))))
	x.guarded = x.client(t, endpoint.Host, &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(context.Context, string, string) (conn net.Conn, err error) {
			err = b.inside(func() (err error) {
				conn, err = net.Dial("tcp", net.JoinHostPort("127.0.0.1", endpoint.Port()))
				return err
			})
			return conn, err
		},
	})
	x.unguarded = x.client(t, b.outside.Host, &http.Transport{})
	x.host, err = catalog.LoadOrCreateSigner(b.path("/var/lib/dbacked/" + instance + "/.state"))
	must(t, err)
	x.own, err = catalog.LoadOrCreateSigner(t.TempDir())
	must(t, err)
	return x
}

func (x *thief) client(t *testing.T, host string, transport *http.Transport) *minio.Core {
	t.Helper()
	t.Cleanup(transport.CloseIdleConnections)
	c, err := minio.NewCore(host, &minio.Options{
		Creds: credentials.NewStaticV4(x.key, x.secret, ""), Region: "us-east-1", Secure: transport.TLSClientConfig != nil,
		Transport: transport, BucketLookup: minio.BucketLookupPath, MaxRetries: 1,
	})
	must(t, err)
	return c
}

func name(instance, id, file string) string { return prefix + "/" + catalog.Path(instance, id, file) }

func put(c *minio.Core, key string, data []byte, options minio.PutObjectOptions) error {
	sum := md5.Sum(data)
	_, err := c.PutObject(context.Background(), bucket, key, bytes.NewReader(data), int64(len(data)), base64.StdEncoding.EncodeToString(sum[:]), "", options)
	return err
}

// onlyNew is the condition of the write-only policy.
func onlyNew() (o minio.PutObjectOptions) {
	o.SetMatchETagExcept("*")
	return o
}

// ifStill is the condition under which only the lease may be replaced.
func ifStill(tag string) (o minio.PutObjectOptions) {
	o.SetMatchETag(tag)
	return o
}

// try does what the policy is there to refuse, to the first backup: its data, and its
// manifest.
func (x *thief) try(t *testing.T) {
	ctx := context.Background()
	versions := x.bed.outside.versions(t, x.instance)
	for _, file := range []string{dumpFile, "manifest"} {
		key := name(x.instance, x.first, file)
		var there minio.ObjectInfo
		for _, o := range versions {
			if o.Key == key {
				there = o
			}
		}
		junk := bytes.Repeat([]byte("x"), int(there.Size))
		x.refused(t, "write over "+key, "AccessDenied", put(x.guarded, key, junk, minio.PutObjectOptions{}))
		x.refused(t, "write "+key+" if it is not there", "PreconditionFailed", put(x.guarded, key, junk, onlyNew()))
		x.refused(t, "write over "+key+" if it is still that", "AccessDenied", put(x.guarded, key, junk, ifStill(there.ETag)))
		x.refused(t, "write over "+key+" in parts", "AccessDenied", x.inParts(t, key, junk, minio.PutObjectOptions{}))
		x.refused(t, "write "+key+" in parts if it is not there", "PreconditionFailed", x.inParts(t, key, junk, onlyNew()))
		_, err := x.guarded.CopyObject(ctx, bucket, name(x.instance, x.second, "manifest"), bucket, key, nil, minio.CopySrcOptions{Bucket: bucket, Object: name(x.instance, x.second, "manifest")}, minio.PutObjectOptions{})
		x.refused(t, "copy something over "+key, "AccessDenied", err)
		x.refused(t, "remove "+key, "AccessDenied", x.guarded.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{}))
		x.refused(t, "remove the version of "+key, "AccessDenied", x.guarded.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{VersionID: there.VersionID}))
		x.refused(t, "lift the lock of "+key, "AccessDenied", unlock(x.guarded, key, there.VersionID))
	}
	if reading, _, _, err := x.guarded.GetObject(ctx, bucket, name(x.instance, x.first, dumpFile), minio.GetObjectOptions{}); err == nil {
		reading.Close()
		t.Error("data can be read under the write-only policy")
	}
}

// refused compares the error of what must not work.
func (x *thief) refused(t *testing.T, what, code string, err error) {
	t.Helper()
	if got := minio.ToErrorResponse(err).Code; err == nil || got != code {
		t.Errorf("%s: %v (%s), not %s", what, err, got, code)
	}
}

// inParts sends an object as an upload, and takes that back when it cannot be ended.
func (x *thief) inParts(t *testing.T, key string, data []byte, options minio.PutObjectOptions) error {
	t.Helper()
	ctx := context.Background()
	id, err := x.guarded.NewMultipartUpload(ctx, bucket, key, minio.PutObjectOptions{})
	must(t, err)
	part, err := x.guarded.PutObjectPart(ctx, bucket, key, id, 1, bytes.NewReader(data), int64(len(data)), minio.PutObjectPartOptions{})
	must(t, err)
	_, err = x.guarded.CompleteMultipartUpload(ctx, bucket, key, id, []minio.CompletePart{{PartNumber: 1, ETag: part.ETag}}, options)
	must(t, x.guarded.AbortMultipartUpload(ctx, bucket, key, id))
	return err
}

// unlock tries to make a lock end in a minute.
func unlock(c *minio.Core, key, version string) error {
	mode, soon := minio.Governance, time.Now().Add(time.Minute)
	return c.PutObjectRetention(context.Background(), bucket, key, minio.PutObjectRetentionOptions{
		Mode: &mode, RetainUntilDate: &soon, VersionID: version, GovernanceBypass: true,
	})
}

// forge adds two backups that look newer than all others, which the policy allows:
// the one is signed by the thief's key, the other by the machine's. What that has
// signed is believed: from the theft on, nothing but its date tells the one from
// the other.
func (x *thief) forge(t *testing.T) {
	junk := []byte(strings.Repeat("no backup ", 100))
	genuine := x.manifest(t, x.second)
	x.stranger, x.believed = "20991231T235959Z-ffffff", catalog.NewID(time.Now().Add(time.Minute))
	for id, signer := range map[string]*catalog.Signer{x.stranger: x.own, x.believed: x.host} {
		must(t, put(x.guarded, name(x.instance, id, dumpFile), junk, onlyNew()))
		must(t, put(x.guarded, name(x.instance, id, "manifest"), forged(t, *genuine, id, junk, signer), onlyNew()))
	}
}

// manifest reads one, as the policy allows.
func (x *thief) manifest(t *testing.T, id string) *catalog.Manifest {
	t.Helper()
	reading, _, _, err := x.guarded.GetObject(context.Background(), bucket, name(x.instance, id, "manifest"), minio.GetObjectOptions{})
	must(t, err)
	defer reading.Close()
	var text bytes.Buffer
	_, err = text.ReadFrom(reading)
	must(t, err)
	m, _ := catalog.Decode(text.Bytes(), nil)
	if m == nil {
		t.Fatalf("the manifest of %s cannot be read:\n%s", id, &text)
	}
	return m
}

// forged is a manifest which says that data is the dump of a backup.
func forged(t *testing.T, m catalog.Manifest, id string, data []byte, signer *catalog.Signer) []byte {
	t.Helper()
	sum := sha256.Sum256(data)
	m.ID = id
	if start, err := catalog.ParseID(id); err == nil {
		m.Started, m.Finished = start, start
	}
	m.Files = []catalog.File{m.Files[len(m.Files)-1]}
	f := &m.Files[0]
	f.Name, f.Order, f.StoredBytes, f.SHA256 = dumpFile, 0, int64(len(data)), hex.EncodeToString(sum[:])
	note, err := catalog.Encode(&m, signer)
	must(t, err)
	return note
}

// tryUnguarded does what no policy refuses, where there is none: object lock keeps
// what was there from being destroyed, and not from being hidden.
func (x *thief) tryUnguarded(t *testing.T) {
	ctx := context.Background()
	for v, o := range x.bed.outside.versions(t, x.instance) {
		switch strings.Split(v.key, "/")[3] {
		case x.first, x.second, x.third:
			x.refused(t, "remove the version of "+v.key, "AccessDenied", x.unguarded.RemoveObject(ctx, bucket, v.key, minio.RemoveObjectOptions{VersionID: v.id, GovernanceBypass: true}))
			if err := unlock(x.unguarded, v.key, v.id); err == nil {
				t.Errorf("the lock of %s can be lifted", v.key)
			}
		}
		if strings.HasPrefix(v.key, name(x.instance, x.second, "")) {
			must(t, x.unguarded.RemoveObject(ctx, bucket, v.key, minio.RemoveObjectOptions{}))
		}
		for id, signer := range map[string]*catalog.Signer{x.first: x.own, x.third: x.host} {
			if v.key == name(x.instance, id, dumpFile) {
				junk := bytes.Repeat([]byte("x"), int(o.Size))
				must(t, put(x.unguarded, v.key, junk, minio.PutObjectOptions{}))
				must(t, put(x.unguarded, name(x.instance, id, "manifest"), forged(t, *x.manifest(t, id), id, junk, signer), minio.PutObjectOptions{}))
			}
		}
	}
	if err := x.unguarded.SuspendVersioning(ctx, bucket); err == nil {
		t.Error("the bucket can be told to keep no more versions")
	}
}
