package s3

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

// Error says what failed on which object, what the service answered, and what to
// do. It wraps storage.ErrNotFound, ErrLocked and ErrForbidden.
type Error = bucket.Error

// advise says what to look at after an error.
func (o Options) advise(e *Error) string {
	if e.Status == 0 && e.Code == "" {
		return connectionAdvice(e.Err)
	}
	switch e.Code {
	case minio.NoSuchBucket:
		return fmt.Sprintf("make the bucket %s, or correct DBACKED_STORAGE, DBACKED_S3_ENDPOINT or DBACKED_S3_REGION", o.Bucket)
	case "InvalidAccessKeyId":
		return "the service does not know this access key: look at DBACKED_S3_ACCESS_KEY_ID and DBACKED_S3_ENDPOINT"
	case "SignatureDoesNotMatch":
		return "the secret does not belong to the access key: look at DBACKED_S3_SECRET_ACCESS_KEY, and at proxies that change requests"
	case "RequestTimeTooSkewed":
		return "this machine's clock is wrong: set it (timedatectl status)"
	case "ExpiredToken", "InvalidToken":
		return "the credentials are of limited time, and it is over: look at where they come from, or at DBACKED_S3_SESSION_TOKEN"
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "InvalidRegion", "IllegalLocationConstraintException":
		if e.Region != "" {
			return "the bucket is elsewhere: set DBACKED_S3_REGION=" + e.Region
		}
		return "the bucket is elsewhere: look at DBACKED_S3_REGION and DBACKED_S3_ENDPOINT"
	case "NoSuchUpload":
		return "the upload is gone: did a lifecycle rule of the bucket, or another program, remove it?"
	case "EntityTooSmall":
		return "the service wants larger parts"
	case "InvalidStorageClass":
		return "look at DBACKED_S3_STORAGE_CLASS"
	}
	return statusAdvice(e)
}

func statusAdvice(e *Error) string {
	switch {
	case errors.Is(e.Err, storage.ErrLocked):
		return "object lock protects it until its time is over"
	case e.Status == http.StatusForbidden:
		return fmt.Sprintf("these credentials lack the right %s on it, or a policy of the bucket denies it", right(e.Doing))
	case e.Status == http.StatusMovedPermanently, e.Status == http.StatusTemporaryRedirect:
		return "the bucket is elsewhere: look at DBACKED_S3_REGION and DBACKED_S3_ENDPOINT"
	case errors.Is(e.Err, errors.ErrUnsupported):
		return "the service cannot do this: look at DBACKED_S3_CHECKSUM, _SSE, _STORAGE_CLASS and _OBJECT_LOCK"
	case e.Status == http.StatusBadRequest && e.Code == "InvalidRequest":
		return "did the bucket's settings change (object lock, encryption)? Some services refuse DBACKED_S3_CHECKSUM=sha256: try md5"
	}
	return ""
}

// right is the permission that an action needs, by Amazon's names.
func right(doing string) string {
	for _, r := range []struct{ doing, right string }{
		{"list the uploads", "s3:ListBucketMultipartUploads"},
		{"list the versions", "s3:ListBucketVersions"},
		{"list", "s3:ListBucket"},
		{"read a version", "s3:GetObjectVersion"},
		{"read the lock", "s3:GetObjectVersion and s3:GetObjectRetention"},
		{"read", "s3:GetObject"},
		{"remove a version", "s3:DeleteObjectVersion"},
		{"remove", "s3:DeleteObject"},
		{"abort", "s3:AbortMultipartUpload"},
	} {
		if strings.HasPrefix(doing, r.doing) {
			return r.right
		}
	}
	return "s3:PutObject (with object lock s3:PutObjectRetention, with aws:kms kms:GenerateDataKey and kms:Decrypt)"
}

// connectionAdvice says what to look at when there was no answer.
func connectionAdvice(err error) string {
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.Is(err, bucket.ErrNoCredentials):
		return ""
	case errors.As(err, &unknown):
		return "set DBACKED_S3_CA to the file of the authority's certificate"
	case errors.As(err, &name):
		return "look at DBACKED_S3_ENDPOINT; where the bucket is part of the host's name, try DBACKED_S3_PATH_STYLE=always"
	case bucket.NotTLS(err):
		return "write http:// in DBACKED_S3_ENDPOINT if the service is to be used without encryption"
	case errors.As(err, &dns), errors.Is(err, syscall.ECONNREFUSED):
		return "look at DBACKED_S3_ENDPOINT, and at the network"
	}
	return ""
}
