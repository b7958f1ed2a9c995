package dbtest

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestWriteOnlyPolicy asks of the documented policy what it allows.
func TestWriteOnlyPolicy(t *testing.T) {
	p := NewPolicy(t, "../../packaging/examples/s3-write-only-policy.json", "BUCKET", "backups", "PREFIX/NAME", "some/prefix/shop")
	const data, manifest, lease = "/backups/some/prefix/shop/1/0000.dbacked", "/backups/some/prefix/shop/1/manifest", "/backups/some/prefix/shop/control/lease"
	ifNew, ifSame := []string{"If-None-Match", "*"}, []string{"If-Match", `"tag"`}
	until := func(days int) string { return time.Now().AddDate(0, 0, days).UTC().Format(time.RFC3339) }
	for _, c := range []struct {
		method, target string
		header         []string
		denied         string
	}{
		{"PUT", data, ifNew, ""},
		{"PUT", data, nil, "s3:PutObject"},
		{"PUT", data, []string{"If-None-Match", `"tag"`}, "s3:PutObject"},
		{"PUT", data, ifSame, "s3:PutObject"},
		{"PUT", manifest, ifSame, "s3:PutObject"},
		{"PUT", lease, ifNew, ""},
		{"PUT", lease, ifSame, ""},
		{"PUT", lease, nil, "s3:PutObject"},
		{"POST", data + "?uploads=", nil, ""},
		{"PUT", data + "?partNumber=1&uploadId=u", nil, ""},
		{"POST", data + "?uploadId=u", ifNew, ""},
		{"POST", data + "?uploadId=u", nil, "s3:PutObject"},
		{"DELETE", data + "?uploadId=u", nil, ""},
		{"DELETE", data, nil, "s3:DeleteObject"},
		{"DELETE", lease, nil, "s3:DeleteObject"},
		{"DELETE", data + "?versionId=v", nil, "s3:DeleteObjectVersion"},
		{"POST", "/backups?delete=", nil, "s3:DeleteObject"},
		{"GET", data, nil, "s3:GetObject"},
		{"HEAD", data, nil, "s3:GetObject"},
		{"GET", manifest, nil, ""},
		{"GET", lease, nil, ""},
		{"GET", manifest + "?versionId=v", nil, "s3:GetObjectVersion"},
		{"GET", "/backups/?list-type=2&prefix=some%2Fprefix%2Fshop%2F", nil, ""},
		{"GET", "/backups/?list-type=2&prefix=some%2Fprefix%2Fshop", nil, "s3:ListBucket"},
		{"GET", "/backups/?list-type=2&prefix=some%2Fprefix%2Fshop2%2F", nil, "s3:ListBucket"},
		{"GET", "/backups/?list-type=2", nil, "s3:ListBucket"},
		{"GET", "/backups/?versions=&prefix=some%2Fprefix%2Fshop%2F", nil, "s3:ListBucketVersions"},
		{"GET", "/backups/?uploads=&prefix=x", nil, ""},
		{"PUT", "/backups/some/prefix/shop2/1/manifest", ifNew, "s3:PutObject"},
		{"PUT", "/other/some/prefix/shop/1/manifest", ifNew, "s3:PutObject"},
		{"PUT", data, append([]string{"X-Amz-Object-Lock-Retain-Until-Date", until(30)}, ifNew...), ""},
		{"PUT", data, append([]string{"X-Amz-Object-Lock-Retain-Until-Date", until(40)}, ifNew...), "s3:PutObjectRetention"},
		{"PUT", data + "?retention=", nil, "s3:PutObjectRetention"},
		{"PUT", data, append([]string{"X-Amz-Copy-Source", "/backups/some/prefix/shop/2/0000.dbacked"}, ifNew...), "s3:GetObject"},
		{"PUT", "/backups?policy=", nil, "PUT bucket"},
	} {
		r := httptest.NewRequest(c.method, c.target, http.NoBody)
		for i := 0; i+1 < len(c.header); i += 2 {
			r.Header.Set(c.header[i], c.header[i+1])
		}
		denied := p.Denied(r)
		if c.denied == "" && denied != "" || c.denied != "" && len(denied) < len(c.denied) || denied[:len(c.denied)] != c.denied {
			t.Errorf("%s %s %q: denied %q, want %q", c.method, c.target, c.header, denied, c.denied)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"a", "a", true},
		{"a", "ab", false},
		{"a*", "a", true},
		{"*", "", true},
		{"a*c", "abcbc", true},
		{"a*c", "abcb", false},
		{"a/*/b", "a/x/y/b", true},
		{"?b", "ab", true},
		{"?b", "b", false},
		{"**", "x", true},
		{"ab", "a", false},
	} {
		if glob(c.pattern, c.text) != c.want {
			t.Errorf("%q, %q: %v", c.pattern, c.text, !c.want)
		}
	}
}
