package s3

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

// What Amazon S3 takes; services that speak its protocol take no less.
const (
	smallestPart = 5 << 20
	largestPart  = 5 << 30
	mostParts    = 10_000
)

const (
	defaultStall  = 30 * time.Second
	defaultOrphan = 7 * 24 * time.Hour

	// callLimit bounds one try of a call that moves little data. It is long, as a
	// service may take minutes to join thousands of parts.
	callLimit = 5 * time.Minute
)

// How parts are protected on their way.
const (
	SHA256 = "sha256" // x-amz-checksum-sha256, which the service keeps
	MD5    = "md5"    // Content-MD5, for services that refuse the other
)

// How the bucket is addressed.
const (
	PathAuto   = bucket.PathAuto   // by the endpoint: in the host's name at Amazon
	PathAlways = bucket.PathAlways // https://endpoint/bucket/key
	PathNever  = bucket.PathNever  // https://bucket.endpoint/key
)

// Modes of object lock.
const (
	Compliance = "compliance" // nobody can shorten or lift it
	Governance = "governance" // who has a special right can
)

// Lock says how long each object but those under NAME/control/ can neither be
// removed nor changed. The bucket must have been made with object lock.
type Lock struct {
	Mode string        // Compliance or Governance; "" means none
	For  time.Duration // from when the object is begun
}

// Options says where the objects are, and how they are kept. Only Bucket is
// needed.
type Options struct {
	Bucket    string
	Prefix    string // of every key, without slashes at its ends
	Endpoint  string // "https://host:port", or only the host; "" is Amazon's of the region
	Region    string // "": AWS_REGION, AWS_DEFAULT_REGION, what the endpoint says, us-east-1
	PathStyle string // PathAuto (or ""), PathAlways, PathNever
	CAFile    string // certificates, in PEM, that are trusted besides the system's

	// AccessKey, SecretKey and SessionToken are the credentials. Without an
	// AccessKey they come from where Amazon's tools look: the environment, the
	// shared file, a web identity, the container's or the machine's metadata.
	AccessKey, SecretKey, SessionToken string

	SSE          string // "", "AES256", "aws:kms" or "aws:kms:KEY"
	StorageClass string // "" is the bucket's default
	Checksum     string // SHA256 (or "") or MD5
	MaxParts     int    // of an object; 0 means 10 000
	Lock         Lock

	Stall     time.Duration   // longest time without a byte on a connection in use; 0 means 30 s
	OrphanAge time.Duration   // what RemoveUnfinished leaves alone; 0 means 7 days
	Backoff   storage.Backoff // of all calls but WritePart
}

// invalid says which setting to change.
func (o Options) invalid(setting, format string, args ...any) error {
	return fmt.Errorf("%s: %s", setting, fmt.Sprintf(format, args...))
}

func (o Options) withDefaults() (Options, error) {
	o.Checksum = cmp.Or(o.Checksum, SHA256)
	if o.MaxParts == 0 {
		o.MaxParts = mostParts
	}
	if o.Stall <= 0 {
		o.Stall = defaultStall
	}
	if o.OrphanAge <= 0 {
		o.OrphanAge = defaultOrphan
	}
	return o, o.validate()
}

// bucket are the options that say where the bucket is, and how it is called.
func (o Options) bucket() bucket.Options {
	return bucket.Options{
		Bucket: o.Bucket, Prefix: o.Prefix, Endpoint: o.Endpoint, Region: o.Region, PathStyle: o.PathStyle, CAFile: o.CAFile,
		AccessKey: o.AccessKey, SecretKey: o.SecretKey, SessionToken: o.SessionToken,
		Call: callLimit, Stall: o.Stall, Backoff: o.Backoff, Advise: o.advise,
		Names: bucket.Names{
			Storage: "DBACKED_STORAGE", Endpoint: "DBACKED_S3_ENDPOINT", PathStyle: "DBACKED_S3_PATH_STYLE", CAFile: "DBACKED_S3_CA",
			AccessKey: "DBACKED_S3_ACCESS_KEY_ID", SecretKey: "DBACKED_S3_SECRET_ACCESS_KEY", SessionToken: "DBACKED_S3_SESSION_TOKEN",
		},
	}
}

// validate checks what the bucket's client does not.
func (o Options) validate() error {
	if o.Checksum != SHA256 && o.Checksum != MD5 {
		return o.invalid("DBACKED_S3_CHECKSUM", "%q: it may be sha256 or md5", o.Checksum)
	}
	if o.MaxParts < 1 || o.MaxParts > mostParts {
		return o.invalid("DBACKED_S3_MAX_PARTS", "%d: it may be 1 to %d", o.MaxParts, mostParts)
	}
	if _, err := o.encryption(); err != nil {
		return err
	}
	switch {
	case o.Lock == Lock{}:
	case o.Lock.Mode != Compliance && o.Lock.Mode != Governance, o.Lock.For <= 0:
		return o.invalid("DBACKED_S3_OBJECT_LOCK", "%q for %v: write compliance:30d or governance:30d", o.Lock.Mode, o.Lock.For)
	}
	return nil
}

func (o Options) encryption() (encrypt.ServerSide, error) {
	kind, key, _ := strings.Cut(strings.TrimPrefix(o.SSE, "aws:"), ":")
	switch {
	case o.SSE == "":
		return nil, nil
	case o.SSE == "AES256":
		return encrypt.NewSSE(), nil
	case kind == "kms" && strings.HasPrefix(o.SSE, "aws:"):
		return encrypt.NewSSEKMS(key, nil)
	}
	return nil, o.invalid("DBACKED_S3_SSE", "%q: it may be AES256, aws:kms or aws:kms:KEY", o.SSE)
}
