package s3

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

func TestOptionsThatAreRefused(t *testing.T) {
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o     Options
		words []string
	}{
		{Options{}, []string{"DBACKED_STORAGE", "s3://BUCKET/PREFIX"}},
		{Options{Bucket: "UPPER_case/x"}, []string{"DBACKED_STORAGE", "UPPER_case/x"}},
		{Options{Bucket: "bucket", Prefix: "/a/"}, []string{"DBACKED_STORAGE", "prefix"}},
		{Options{Bucket: "bucket", Endpoint: "ftp://host"}, []string{"DBACKED_S3_ENDPOINT", "ftp://host", "https://HOST"}},
		{Options{Bucket: "bucket", Endpoint: "https://host/path"}, []string{"DBACKED_S3_ENDPOINT"}},
		{Options{Bucket: "bucket", Endpoint: "https://host:port:x"}, []string{"DBACKED_S3_ENDPOINT"}},
		{Options{Bucket: "bucket", AccessKey: "key"}, []string{"DBACKED_S3_ACCESS_KEY_ID", "DBACKED_S3_SECRET_ACCESS_KEY"}},
		{Options{Bucket: "bucket", SessionToken: "token"}, []string{"DBACKED_S3_SESSION_TOKEN"}},
		{Options{Bucket: "bucket", PathStyle: "yes"}, []string{"DBACKED_S3_PATH_STYLE", "yes"}},
		{Options{Bucket: "bucket", Checksum: "crc32"}, []string{"DBACKED_S3_CHECKSUM", "crc32", "md5"}},
		{Options{Bucket: "bucket", MaxParts: 10_001}, []string{"DBACKED_S3_MAX_PARTS", "10001"}},
		{Options{Bucket: "bucket", SSE: "kms"}, []string{"DBACKED_S3_SSE", "aws:kms"}},
		{Options{Bucket: "bucket", Lock: Lock{Mode: "forever", For: time.Hour}}, []string{"DBACKED_S3_OBJECT_LOCK", "compliance:30d"}},
		{Options{Bucket: "bucket", Lock: Lock{Mode: Compliance}}, []string{"DBACKED_S3_OBJECT_LOCK"}},
		{Options{Bucket: "bucket", CAFile: "/none.pem"}, []string{"DBACKED_S3_CA: ", "/none.pem"}},
		{Options{Bucket: "bucket", CAFile: noPEM}, []string{"DBACKED_S3_CA: ", "no certificate"}},
	} {
		_, err := Open(c.o)
		mustHave(t, err, c.words...)
	}
}

func TestEndpointWithASecretIsNotRepeated(t *testing.T) {
	for _, endpoint := range []string{"https://me:hunter2@host", "https://host?X-Amz-Signature=hunter2", "https://me:hunter2@ho st:x"} {
		_, err := Open(Options{Bucket: "bucket", Endpoint: endpoint})
		mustHave(t, err, "DBACKED_S3_ENDPOINT")
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

func TestNameAndLimits(t *testing.T) {
	s := open(t, Options{Bucket: "bucket", Prefix: "a/b"})
	if s.String() != "s3://bucket/a/b" || s.name(s.key("db/x")) != "db/x" {
		t.Errorf("%s: %s", s, s.key("db/x"))
	}
	if want := (storage.Limits{MaxParts: 10_000, MinPart: 5 << 20, MaxPart: 5 << 30}); s.Limits() != want {
		t.Errorf("limits %+v", s.Limits())
	}
}

func TestEncryption(t *testing.T) {
	for sse, want := range map[string]string{"AES256": "AES256", "aws:kms": "aws:kms", "aws:kms:my-key": "aws:kms"} {
		e, err := Options{SSE: sse}.encryption()
		if err != nil {
			t.Fatal(err)
		}
		h := make(map[string][]string)
		e.Marshal(h)
		if h["X-Amz-Server-Side-Encryption"][0] != want {
			t.Errorf("%s: %v", sse, h)
		}
		if key := h["X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"]; (sse == "aws:kms:my-key") != (len(key) == 1 && key[0] == "my-key") {
			t.Errorf("%s: %v", sse, h)
		}
	}
}
