package files

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

// Bucket keeps each file as one object, PREFIX/PROJECT/BACKUP/NUMBER, of a bucket
// of S3. Whoever has a signed address speaks to the service of S3 itself.
type Bucket struct {
	bucket string
	client *bucket.Client
}

// OpenBucket checks o. It sends nothing.
func OpenBucket(o BucketOptions) (*Bucket, error) {
	client, err := bucket.Open(o.reached())
	if err != nil {
		return nil, err
	}
	return &Bucket{bucket: o.Bucket, client: client}, nil
}

// Close lets go of the connections that are not in use.
func (b *Bucket) Close() error {
	b.client.Close()
	return nil
}

func (b *Bucket) key(r Ref) string { return b.client.Key(r.String()) }

// Begin begins an upload of parts. Where it is repeated there are several, which
// Remove takes away.
func (b *Bucket) Begin(ctx context.Context, r Ref) (upload string, err error) {
	if err := r.check(); err != nil {
		return "", err
	}
	_, err = b.client.Retry(ctx, "begin the upload of", r.String(), func(ctx context.Context) error {
		upload, err = b.client.Core.NewMultipartUpload(ctx, b.bucket, b.key(r), minio.PutObjectOptions{})
		if err == nil && upload == "" {
			err = errors.New("the service gave the upload no id")
		}
		return err
	})
	return upload, err
}

// PartURL is bound to the part's MD5, and to its size where it is known: whoever
// puts the part must send both, as Content-MD5 and Content-Length. base is not used.
func (b *Bucket) PartURL(ctx context.Context, _ string, r Ref, upload string, p Part, valid time.Duration) (string, error) {
	if err := errors.Join(r.check(), p.check()); err != nil {
		return "", err
	}
	if upload == "" {
		return "", fmt.Errorf("part %d of %v: its upload was not begun", p.Number, r)
	}
	query := url.Values{"partNumber": {strconv.Itoa(p.Number)}, "uploadId": {upload}}
	header := http.Header{"Content-Md5": {p.MD5}}
	if p.Size > 0 {
		header.Set("Content-Length", strconv.FormatInt(p.Size, 10))
	}
	return b.presign(ctx, http.MethodPut, r, query, header, valid)
}

// DownloadURL is an address of the service. base is not used.
func (b *Bucket) DownloadURL(ctx context.Context, _ string, r Ref, valid time.Duration) (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	return b.presign(ctx, http.MethodGet, r, nil, nil, valid)
}

func (b *Bucket) presign(ctx context.Context, method string, r Ref, query url.Values, header http.Header, valid time.Duration) (string, error) {
	var signed string
	_, err := b.client.Try(ctx, "sign an address of", r.String(), func(ctx context.Context) error {
		u, err := b.client.Core.PresignHeader(ctx, method, b.bucket, b.key(r), valid, query, header)
		if err == nil {
			signed = u.String()
		}
		return err
	})
	return signed, err
}

// Complete joins the parts. An answer that says nothing by itself is resolved by
// comparing what is there with what was to be.
func (b *Bucket) Complete(ctx context.Context, r Ref, upload string, parts []Part) (s Stored, err error) {
	if err := r.check(); err != nil {
		return s, err
	}
	if err := checkOrder(r, parts); err != nil {
		return s, err
	}
	list := make([]minio.CompletePart, len(parts))
	var want wanted
	tags := make([]string, len(parts))
	for i, p := range parts {
		tags[i] = bare(p.ETag)
		list[i] = minio.CompletePart{PartNumber: p.Number, ETag: tags[i]}
		if p.Size == 0 {
			want.size = -1
		} else if want.size >= 0 {
			want.size += p.Size
		}
	}
	want.tag = joined(tags)
	var o minio.PutObjectOptions
	o.SetMatchETagExcept("*")
	err = b.client.Again(ctx, func(ctx context.Context) error {
		var info minio.UploadInfo
		_, err := b.client.Try(ctx, "complete", r.String(), func(ctx context.Context) (err error) {
			info, err = b.client.Core.CompleteMultipartUpload(ctx, b.bucket, b.key(r), upload, list, o)
			return err
		})
		// A service may say of a file that is complete that its parts are bad.
		if err != nil && !badParts(err) && !bucket.Unclear(err) {
			return err
		}
		s, err = b.resolve(ctx, r, want.answered(info), err)
		return err
	})
	return s, err
}

// Put writes an object, unless another is there.
func (b *Bucket) Put(ctx context.Context, r Ref, data []byte) (s Stored, err error) {
	if err := r.check(); err != nil {
		return s, err
	}
	sum := md5.Sum(data)
	want := wanted{size: int64(len(data)), tag: fmt.Sprintf(`"%x"`, sum), data: data}
	o := minio.PutObjectOptions{DisableContentSha256: true}
	o.SetMatchETagExcept("*")
	err = b.client.Again(ctx, func(ctx context.Context) error {
		var info minio.UploadInfo
		_, err := b.client.Try(ctx, "write", r.String(), func(ctx context.Context) (err error) {
			info, err = b.client.Core.PutObject(ctx, b.bucket, b.key(r), bytes.NewReader(data), want.size, base64.StdEncoding.EncodeToString(sum[:]), "", o)
			return err
		})
		if err != nil && !bucket.Unclear(err) {
			return err
		}
		s, err = b.resolve(ctx, r, want.answered(info), err)
		return err
	})
	return s, err
}

// Read returns a small object.
func (b *Bucket) Read(ctx context.Context, r Ref, limit int64) (data []byte, err error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	err = b.client.Again(ctx, func(ctx context.Context) (err error) {
		data, err = b.read(ctx, r, limit)
		return err
	})
	if missing(err) {
		return nil, fmt.Errorf("read %s: %w", b.client.Address(r.String()), ErrNotFound)
	}
	return data, err
}

// read reads a small object once.
func (b *Bucket) read(ctx context.Context, r Ref, limit int64) (data []byte, err error) {
	var size int64
	_, err = b.client.Try(ctx, "read", r.String(), func(ctx context.Context) error {
		body, info, _, err := b.client.Core.GetObject(ctx, b.bucket, b.key(r), minio.GetObjectOptions{})
		if err != nil {
			return err
		}
		defer body.Close()
		if size = info.Size; size > limit {
			return nil
		}
		data, err = io.ReadAll(io.LimitReader(body, limit+1))
		if err == nil && int64(len(data)) != size {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
	if err == nil && size > limit {
		return nil, fmt.Errorf("read %s: it has %d bytes, and at most %d are expected", b.client.Address(r.String()), size, limit)
	}
	return data, err
}

// Remove aborts every upload of the object, and removes the object.
func (b *Bucket) Remove(ctx context.Context, r Ref, upload string) error {
	if err := r.check(); err != nil {
		return err
	}
	uploads, err := b.uploads(ctx, r)
	if err != nil {
		return err
	}
	if upload != "" {
		uploads = append(uploads, upload)
	}
	for _, id := range uploads {
		_, err := b.client.Retry(ctx, "abort the upload of", r.String(), func(ctx context.Context) error {
			return b.client.Core.AbortMultipartUpload(ctx, b.bucket, b.key(r), id)
		})
		if err != nil && !missing(err) {
			return err
		}
	}
	_, err = b.client.Retry(ctx, "remove", r.String(), func(ctx context.Context) error {
		return b.client.Core.RemoveObject(ctx, b.bucket, b.key(r), minio.RemoveObjectOptions{})
	})
	if missing(err) {
		return nil
	}
	return err
}

// uploads are the ids of the object's uploads that are open.
func (b *Bucket) uploads(ctx context.Context, r Ref) (ids []string, err error) {
	key, id := "", ""
	for {
		var page minio.ListMultipartUploadsResult
		_, err := b.client.Retry(ctx, "list the uploads of", r.String(), func(ctx context.Context) (err error) {
			page, err = b.client.Core.ListMultipartUploads(ctx, b.bucket, b.key(r), key, id, "", 1000)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, u := range page.Uploads {
			if u.Key == b.key(r) { // and not 10 where 1 is asked for
				ids = append(ids, u.UploadID)
			}
		}
		if !page.IsTruncated || page.NextKeyMarker == key && page.NextUploadIDMarker == id {
			return ids, nil
		}
		key, id = page.NextKeyMarker, page.NextUploadIDMarker
	}
}
