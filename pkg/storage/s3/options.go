package s3

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/dbacked/dbacked/pkg/storage"
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
	defaultRegion = "us-east-1"
)

// How parts are protected on their way.
const (
	SHA256 = "sha256" // x-amz-checksum-sha256, which the service keeps
	MD5    = "md5"    // Content-MD5, for services that refuse the other
)

// How the bucket is addressed.
const (
	PathAuto   = "auto"   // by the endpoint: in the host's name at Amazon
	PathAlways = "always" // https://endpoint/bucket/key
	PathNever  = "never"  // https://bucket.endpoint/key
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
	o.PathStyle, o.Checksum = or(o.PathStyle, PathAuto), or(o.Checksum, SHA256)
	if o.MaxParts == 0 {
		o.MaxParts = mostParts
	}
	if o.Stall <= 0 {
		o.Stall = defaultStall
	}
	if o.OrphanAge <= 0 {
		o.OrphanAge = defaultOrphan
	}
	if err := o.validate(); err != nil {
		return o, err
	}
	if o.Region == "" {
		o.Region = o.guessRegion()
	}
	if o.Endpoint == "" {
		o.Endpoint = "https://s3." + o.Region + ".amazonaws.com"
		if strings.HasPrefix(o.Region, "cn-") {
			o.Endpoint += ".cn"
		}
	}
	return o, nil
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

func (o Options) validate() error {
	if err := s3utils.CheckValidBucketName(o.Bucket); err != nil {
		return o.invalid("DBACKED_STORAGE", "bucket %q: %v: write s3://BUCKET/PREFIX", o.Bucket, err)
	}
	if o.Prefix != "" {
		if err := storage.CheckName(o.Prefix); err != nil {
			return o.invalid("DBACKED_STORAGE", "prefix: %v", err)
		}
	}
	if err := o.validateEndpoint(); err != nil {
		return err
	}
	if (o.AccessKey == "") != (o.SecretKey == "") {
		return o.invalid("DBACKED_S3_ACCESS_KEY_ID", "it and DBACKED_S3_SECRET_ACCESS_KEY belong together: set both or none")
	}
	if o.SessionToken != "" && o.AccessKey == "" {
		return o.invalid("DBACKED_S3_SESSION_TOKEN", "it belongs to DBACKED_S3_ACCESS_KEY_ID, which is not set")
	}
	if o.PathStyle != PathAuto && o.PathStyle != PathAlways && o.PathStyle != PathNever {
		return o.invalid("DBACKED_S3_PATH_STYLE", "%q: it may be auto, always or never", o.PathStyle)
	}
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

func (o Options) validateEndpoint() error {
	if o.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(o.fullEndpoint())
	const write = "write https://HOST or https://HOST:PORT"
	switch {
	case err != nil:
		return o.invalid("DBACKED_S3_ENDPOINT", "it is no address: %s", write) // the error would repeat it
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return o.invalid("DBACKED_S3_ENDPOINT", "it holds a user, a query or a fragment: %s", write)
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "", u.Path != "" && u.Path != "/":
		return o.invalid("DBACKED_S3_ENDPOINT", "%q: %s", o.Endpoint, write)
	}
	return nil
}

func (o Options) fullEndpoint() string {
	if strings.Contains(o.Endpoint, "://") {
		return o.Endpoint
	}
	return "https://" + o.Endpoint
}

// host takes the endpoint apart, after validateEndpoint.
func (o Options) host() (host string, secure bool) {
	u, err := url.Parse(o.fullEndpoint())
	if err != nil {
		return o.Endpoint, true
	}
	return u.Host, u.Scheme == "https"
}

// guessRegion avoids asking the service, which is a right of its own.
func (o Options) guessRegion() string {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if region := os.Getenv(name); region != "" {
			return region
		}
	}
	if o.Endpoint != "" {
		if u, err := url.Parse(o.fullEndpoint()); err == nil {
			return or(s3utils.GetRegionFromURL(*u), defaultRegion)
		}
	}
	return defaultRegion
}

func (o Options) lookup() minio.BucketLookupType {
	switch o.PathStyle {
	case PathAlways:
		return minio.BucketLookupPath
	case PathNever:
		return minio.BucketLookupDNS
	default:
		return minio.BucketLookupAuto
	}
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
