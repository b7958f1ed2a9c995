package files

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// BucketOptions says where a Bucket is. Only Bucket is needed.
type BucketOptions struct {
	Bucket, Prefix string
	Endpoint       string // https://host:port, as agents reach it too; "" is Amazon's
	Region         string

	// AccessKey and SecretKey are the credentials; without, they come from where
	// Amazon's tools look.
	AccessKey, SecretKey string
}

// Bucket keeps files in a bucket of S3. Agents reach it by addresses that the
// service signs.
type Bucket struct {
	options BucketOptions
	core    *minio.Core
}

var _ Store = (*Bucket)(nil)

// tries is how often a request is sent whose answer does not come.
const tries = 5

// OpenBucket makes a Bucket of o. It sends nothing.
func OpenBucket(o BucketOptions) (*Bucket, error) {
	endpoint := o.Endpoint
	if endpoint == "" {
		endpoint = "https://s3.amazonaws.com"
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the endpoint of the bucket %s is no https://host", o.Bucket)
	}
	creds := credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{}})
	if o.AccessKey != "" {
		creds = credentials.NewStaticV4(o.AccessKey, o.SecretKey, "")
	}
	region := o.Region
	if region == "" {
		region = "us-east-1"
	}
	core, err := minio.NewCore(u.Host, &minio.Options{Creds: creds, Secure: u.Scheme == "https", Region: region, MaxRetries: 1})
	if err != nil {
		return nil, fmt.Errorf("the bucket %s: %w", o.Bucket, err)
	}
	return &Bucket{options: o, core: core}, nil
}

func (b *Bucket) key(r Ref) string { return strings.TrimPrefix(b.options.Prefix+"/"+r.String(), "/") }

// Begin begins an upload.
func (b *Bucket) Begin(ctx context.Context, r Ref) (upload string, err error) {
	if err := r.check(); err != nil {
		return "", err
	}
	err = again(ctx, func() error {
		upload, err = b.core.NewMultipartUpload(ctx, b.options.Bucket, b.key(r), minio.PutObjectOptions{})
		return err
	})
	return upload, err
}

// PartURL is an address of the bucket's service, bound to the part's MD5.
func (b *Bucket) PartURL(ctx context.Context, _ string, r Ref, upload string, p Part, valid time.Duration) (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	q := url.Values{"partNumber": {strconv.Itoa(p.Number)}, "uploadId": {upload}}
	u, err := b.core.PresignHeader(ctx, http.MethodPut, b.options.Bucket, b.key(r), valid, q, http.Header{"Content-Md5": {p.MD5}})
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// Complete joins the parts, if the file is not there yet. An answer that says
// nothing by itself is resolved by looking at what is there.
func (b *Bucket) Complete(ctx context.Context, r Ref, upload string, parts []Part) (s Stored, err error) {
	if err := errors.Join(r.check(), order(parts)); err != nil {
		return s, err
	}
	etag, err := joined(parts)
	if err != nil {
		return s, err
	}
	list := make([]minio.CompletePart, len(parts))
	for i, p := range parts {
		list[i] = minio.CompletePart{PartNumber: p.Number, ETag: p.ETag}
	}
	var o minio.PutObjectOptions
	o.SetMatchETagExcept("*")
	err = again(ctx, func() error {
		_, err := b.core.CompleteMultipartUpload(ctx, b.options.Bucket, b.key(r), upload, list, o)
		there, look := b.look(ctx, r)
		switch {
		case look == nil && there.ETag != etag:
			return fmt.Errorf("%w: %s", ErrConflict, r)
		case look == nil:
			s = there
			return nil
		case err == nil: // another completes it at this moment
			return fmt.Errorf("the upload of %s was completed, and is not there: %v", r, look)
		}
		if code := minio.ToErrorResponse(err).Code; code == "InvalidPart" || code == "InvalidPartOrder" || code == "EntityTooSmall" || code == "NoSuchUpload" {
			return fmt.Errorf("%w (%s)", ErrParts, code)
		}
		return err
	})
	return s, err
}

// look asks what is there.
func (b *Bucket) look(ctx context.Context, r Ref) (s Stored, err error) {
	err = again(ctx, func() error {
		info, err := b.core.StatObject(ctx, b.options.Bucket, b.key(r), minio.StatObjectOptions{})
		s = Stored{Size: info.Size, ETag: `"` + strings.Trim(info.ETag, `"`) + `"`, Modified: info.LastModified}
		return err
	})
	if minio.ToErrorResponse(err).StatusCode == http.StatusNotFound {
		err = fmt.Errorf("%w: %s", ErrNotFound, r)
	}
	return s, err
}

// Put stores a small file, if there is none.
func (b *Bucket) Put(ctx context.Context, r Ref, data []byte) (s Stored, err error) {
	if err := r.check(); err != nil {
		return s, err
	}
	sum := md5.Sum(data)
	o := minio.PutObjectOptions{SendContentMd5: true, DisableMultipart: true}
	o.SetMatchETagExcept("*")
	err = again(ctx, func() error {
		_, err := b.core.Client.PutObject(ctx, b.options.Bucket, b.key(r), bytes.NewReader(data), int64(len(data)), o)
		if err == nil {
			return nil
		}
		if there, look := b.look(ctx, r); look == nil {
			if there.ETag != etagOf(sum[:]) {
				return ErrConflict
			}
			return nil
		}
		return err
	})
	if err != nil {
		return s, err
	}
	return b.look(ctx, r)
}

// DownloadURL is an address of the bucket's service.
func (b *Bucket) DownloadURL(ctx context.Context, _ string, r Ref, valid time.Duration) (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	u, err := b.core.PresignedGetObject(ctx, b.options.Bucket, b.key(r), valid, nil)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// Remove removes the file, and its upload.
func (b *Bucket) Remove(ctx context.Context, r Ref, upload string) error {
	if err := r.check(); err != nil {
		return err
	}
	return again(ctx, func() error {
		if upload != "" {
			err := b.core.AbortMultipartUpload(ctx, b.options.Bucket, b.key(r), upload)
			if err != nil && minio.ToErrorResponse(err).StatusCode != http.StatusNotFound {
				return err
			}
		}
		return b.core.RemoveObject(ctx, b.options.Bucket, b.key(r), minio.RemoveObjectOptions{})
	})
}

// again calls f until it works, or says something that will not change.
func again(ctx context.Context, f func() error) (err error) {
	for try := range tries {
		if err = f(); err == nil || ctx.Err() != nil {
			return err
		}
		status := minio.ToErrorResponse(err).StatusCode
		if errors.Is(err, ErrParts) || errors.Is(err, ErrConflict) || 400 <= status && status < 500 && status != http.StatusConflict && status != http.StatusTooManyRequests {
			return err
		}
		timer := time.NewTimer(100 * time.Millisecond << try)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
	return err
}
