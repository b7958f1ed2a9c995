package files

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

func TestBucketOptionsThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		o    BucketOptions
		word string
	}{
		{BucketOptions{}, "the bucket of files: "},
		{BucketOptions{Bucket: "bucket", Prefix: "a//b"}, "the bucket of files: prefix"},
		{BucketOptions{Bucket: "bucket", Endpoint: "https://me:hunter2@host"}, "the endpoint of S3: "},
		{BucketOptions{Bucket: "bucket", AccessKey: "key"}, "the access key: it and the secret key belong together"},
		{BucketOptions{Bucket: "bucket", PathStyle: "yes"}, "the path style of S3: "},
		{BucketOptions{Bucket: "bucket", CAFile: "/none.pem"}, "certificates for S3: "},
	} {
		_, err := OpenBucket(c.o)
		if err == nil || !strings.HasPrefix(err.Error(), c.word) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
}

// TestNoCredentials signs nothing, and asks for nothing, as nobody.
func TestNoCredentials(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ACCESS_KEY", "AWS_SECRET_KEY"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/none")
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")
	b, err := OpenBucket(BucketOptions{Bucket: "bucket", Endpoint: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if u, err := b.DownloadURL(t.Context(), "", one, time.Hour); u != "" || !errors.Is(err, bucket.ErrNoCredentials) {
		t.Errorf("%q, %v", u, err)
	}
	if _, err := b.Read(t.Context(), one, 10); !errors.Is(err, bucket.ErrNoCredentials) || strings.Contains(err.Error(), "tried") {
		t.Errorf("%v", err)
	}
}
