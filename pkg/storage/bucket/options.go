package bucket

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/dbacked/dbacked/pkg/storage"
)

// How the bucket is addressed.
const (
	PathAuto   = "auto"   // by the endpoint: in the host's name at Amazon
	PathAlways = "always" // https://endpoint/bucket/key
	PathNever  = "never"  // https://bucket.endpoint/key
)

const defaultRegion = "us-east-1"

// Options says where the bucket is, and how it is called. Bucket, Call, Stall and
// Names are needed.
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

	Call    time.Duration   // longest time of one try of a call
	Stall   time.Duration   // longest time without a byte on a connection in use
	Backoff storage.Backoff // of Again and Retry

	Names Names
	// Advise says what to look at after an error, in the words of whoever set
	// the options; "" or a nil Advise says nothing.
	Advise func(*Error) string
}

// Names are what people call the options where they set them, for errors.
type Names struct {
	Storage, Endpoint, PathStyle, CAFile, AccessKey, SecretKey, SessionToken string
}

// invalid says which setting to change.
func invalid(setting, format string, args ...any) error {
	return fmt.Errorf("%s: %s", setting, fmt.Sprintf(format, args...))
}

func (o Options) withDefaults() (Options, error) {
	o.PathStyle = cmp.Or(o.PathStyle, PathAuto)
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

func (o Options) validate() error {
	if err := s3utils.CheckValidBucketName(o.Bucket); err != nil {
		return invalid(o.Names.Storage, "bucket %q: %v: write s3://BUCKET/PREFIX", o.Bucket, err)
	}
	if o.Prefix != "" {
		if err := storage.CheckName(o.Prefix); err != nil {
			return invalid(o.Names.Storage, "prefix: %v", err)
		}
	}
	if err := o.validateEndpoint(); err != nil {
		return err
	}
	if (o.AccessKey == "") != (o.SecretKey == "") {
		return invalid(o.Names.AccessKey, "it and %s belong together: set both or none", o.Names.SecretKey)
	}
	if o.SessionToken != "" && o.AccessKey == "" {
		return invalid(o.Names.SessionToken, "it belongs to %s, which is not set", o.Names.AccessKey)
	}
	if o.PathStyle != PathAuto && o.PathStyle != PathAlways && o.PathStyle != PathNever {
		return invalid(o.Names.PathStyle, "%q: it may be auto, always or never", o.PathStyle)
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
		return invalid(o.Names.Endpoint, "it is no address: %s", write) // the error would repeat it
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return invalid(o.Names.Endpoint, "it holds a user, a query or a fragment: %s", write)
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "", u.Path != "" && u.Path != "/":
		return invalid(o.Names.Endpoint, "%q: %s", o.Endpoint, write)
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
			return cmp.Or(s3utils.GetRegionFromURL(*u), defaultRegion)
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
