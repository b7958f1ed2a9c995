package files

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// How the bucket is addressed.
const (
	PathAuto   = "auto"   // by the endpoint: in the host's name at Amazon
	PathAlways = "always" // https://endpoint/bucket/key
	PathNever  = "never"  // https://bucket.endpoint/key
)

// BucketOptions says where the bucket is. Only Bucket is needed.
type BucketOptions struct {
	Bucket    string
	Prefix    string // of every key, without slashes at its ends
	Endpoint  string // "https://host:port", as agents reach it; "" is Amazon's of the region
	Region    string // "": AWS_REGION, AWS_DEFAULT_REGION, what the endpoint says, us-east-1
	PathStyle string // PathAuto (or ""), PathAlways, PathNever
	CAFile    string // certificates, in PEM, that are trusted besides the system's

	// AccessKey, SecretKey and SessionToken are the credentials. Without an AccessKey
	// they come from where Amazon's tools look.
	AccessKey, SecretKey, SessionToken string

	Tries int           // of a call; 0: 5
	Pause time.Duration // before the second try, doubled before each other; 0: 200 ms
	Call  time.Duration // how long one try may take; 0: 1 min
}

func (o BucketOptions) withDefaults() (BucketOptions, error) {
	if err := s3utils.CheckValidBucketName(o.Bucket); err != nil {
		return o, fmt.Errorf("bucket %q: %w", o.Bucket, err)
	}
	if o.Prefix != "" {
		for element := range strings.SplitSeq(o.Prefix, "/") {
			if element == "" || element[0] == '.' {
				return o, fmt.Errorf("prefix %q: an element of it is empty or begins with a dot", o.Prefix)
			}
		}
	}
	if (o.AccessKey == "") != (o.SecretKey == "") {
		return o, errors.New("an access key and its secret belong together: give both or none")
	}
	switch o.PathStyle {
	case "", PathAuto, PathAlways, PathNever:
	default:
		return o, fmt.Errorf("path style %q: it may be auto, always or never", o.PathStyle)
	}
	if o.Tries <= 0 {
		o.Tries = 5
	}
	if o.Pause <= 0 {
		o.Pause = 200 * time.Millisecond
	}
	if o.Call <= 0 {
		o.Call = time.Minute
	}
	return o.withEndpoint()
}

func (o BucketOptions) withEndpoint() (BucketOptions, error) {
	if o.Endpoint != "" && !strings.Contains(o.Endpoint, "://") {
		o.Endpoint = "https://" + o.Endpoint
	}
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return o, errors.New("the endpoint of S3 is no address: write https://HOST or https://HOST:PORT") // it may hold a secret
	}
	if o.Endpoint != "" && (u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		return o, fmt.Errorf("the endpoint %q of S3: write https://HOST or https://HOST:PORT", o.Endpoint)
	}
	// A known region avoids asking the service, which is a right of its own.
	for _, region := range []string{os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), s3utils.GetRegionFromURL(*u), "us-east-1"} {
		if o.Region == "" {
			o.Region = region
		}
	}
	if o.Endpoint == "" {
		o.Endpoint = "https://s3." + o.Region + ".amazonaws.com"
		if strings.HasPrefix(o.Region, "cn-") {
			o.Endpoint += ".cn"
		}
	}
	return o, nil
}

func (o BucketOptions) lookup() minio.BucketLookupType {
	switch o.PathStyle {
	case PathAlways:
		return minio.BucketLookupPath
	case PathNever:
		return minio.BucketLookupDNS
	default:
		return minio.BucketLookupAuto
	}
}

func (o BucketOptions) credentials(transport *http.Transport) *credentials.Credentials {
	if o.AccessKey != "" {
		return credentials.NewStaticV4(o.AccessKey, o.SecretKey, o.SessionToken)
	}
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{},
		&credentials.FileAWSCredentials{},
		&credentials.IAM{Client: &http.Client{Timeout: 5 * time.Second, Transport: transport}, Region: o.Region},
	})
}

func (o BucketOptions) transport() (*http.Transport, error) {
	const connect = 15 * time.Second
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("certificates for S3: %w", err)
		}
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("certificates for S3: %s holds none in PEM", o.CAFile)
		}
	}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: connect}).DialContext,
		TLSClientConfig: config, TLSHandshakeTimeout: connect, MaxIdleConnsPerHost: 16, IdleConnTimeout: connect,
		ExpectContinueTimeout: time.Second, DisableCompression: true,
	}, nil
}
