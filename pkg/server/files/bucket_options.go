package files

import (
	"cmp"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

// BucketOptions says where the bucket is. Only Bucket is needed.
type BucketOptions struct {
	Bucket    string
	Prefix    string // of every key, without slashes at its ends
	Endpoint  string // "https://host:port", as agents reach it; "" is Amazon's of the region
	Region    string // "": AWS_REGION, AWS_DEFAULT_REGION, what the endpoint says, us-east-1
	PathStyle string // bucket.PathAuto (or ""), PathAlways, PathNever
	CAFile    string // certificates, in PEM, that are trusted besides the system's

	// AccessKey, SecretKey and SessionToken are the credentials. Without an AccessKey
	// they come from where Amazon's tools look.
	AccessKey, SecretKey, SessionToken string

	Tries int           // of a call; 0: 5
	Pause time.Duration // the longest before the second try, doubled before each other; 0: 300 ms
	Call  time.Duration // how long one try may take; 0: 1 min
}

// reached are the options by which the bucket is reached.
func (o BucketOptions) reached() bucket.Options {
	call := cmp.Or(max(o.Call, 0), time.Minute)
	return bucket.Options{
		Bucket: o.Bucket, Prefix: o.Prefix, Endpoint: o.Endpoint, Region: o.Region, PathStyle: o.PathStyle, CAFile: o.CAFile,
		AccessKey: o.AccessKey, SecretKey: o.SecretKey, SessionToken: o.SessionToken,
		Call: call, Stall: call, Backoff: storage.Backoff{Tries: cmp.Or(max(o.Tries, 0), 5), First: cmp.Or(max(o.Pause, 0), 300*time.Millisecond)},
		Names: bucket.Names{
			Storage: "the bucket of files", Endpoint: "the endpoint of S3", PathStyle: "the path style of S3", CAFile: "certificates for S3",
			AccessKey: "the access key", SecretKey: "the secret key", SessionToken: "the session token",
		},
	}
}
