package bucket

import (
	"strings"
	"testing"
)

func TestWhereABucketIs(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	for _, c := range []struct{ endpoint, region, wantRegion, wantEndpoint string }{
		{"", "", "us-east-1", "https://s3.us-east-1.amazonaws.com"},
		{"", "eu-west-3", "eu-west-3", "https://s3.eu-west-3.amazonaws.com"},
		{"", "cn-north-1", "cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn"},
		{"https://s3.eu-west-1.amazonaws.com", "", "eu-west-1", "https://s3.eu-west-1.amazonaws.com"},
		{"minio.example.org:9000", "", "us-east-1", "minio.example.org:9000"},
	} {
		o, err := Options{Bucket: "bucket", Endpoint: c.endpoint, Region: c.region}.withDefaults()
		if err != nil || o.Region != c.wantRegion || o.Endpoint != c.wantEndpoint {
			t.Errorf("%q %q: %q %q, %v", c.endpoint, c.region, o.Region, o.Endpoint, err)
		}
	}
	t.Setenv("AWS_REGION", "ap-south-1")
	c, err := Open(Options{Bucket: "bucket", Prefix: "a/b"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.options.Region != "ap-south-1" {
		t.Errorf("region %q", c.options.Region)
	}
	if c.Address("") != "s3://bucket/a/b" || c.Address("db/x") != "s3://bucket/a/b/db/x" || c.Key("db/x") != "a/b/db/x" || c.Name(c.Key("db/x")) != "db/x" {
		t.Errorf("%s: %s", c.Address(""), c.Key("db/x"))
	}
}

func TestHosts(t *testing.T) {
	for endpoint, want := range map[string]string{"host:9000": "host:9000", "http://host": "host", "https://host/": "host"} {
		host, secure := Options{Endpoint: endpoint}.host()
		if host != want || secure != !strings.HasPrefix(endpoint, "http:") {
			t.Errorf("%s: %s, %v", endpoint, host, secure)
		}
	}
}
