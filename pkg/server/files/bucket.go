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
)

// Bucket keeps each file as one object, PREFIX/PROJECT/BACKUP/NUMBER, of a bucket
// of S3. Whoever has a signed address speaks to the service of S3 itself.
type Bucket struct {
	options   BucketOptions
	core      *minio.Core
	transport *http.Transport
}

// OpenBucket checks o. It sends nothing.
func OpenBucket(o BucketOptions) (*Bucket, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	endpoint, err := url.Parse(o.Endpoint)
	if err != nil {
		return nil, errors.New("the endpoint is no address")
	}
	transport, err := o.transport()
	if err != nil {
		return nil, err
	}
	core, err := minio.NewCore(endpoint.Host, &minio.Options{
		Creds: o.credentials(transport), Secure: endpoint.Scheme == "https", Region: o.Region,
		BucketLookup: o.lookup(), Transport: transport, MaxRetries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", o.Bucket, err)
	}
	return &Bucket{options: o, core: core, transport: transport}, nil
}

// Close lets go of the connections that are not in use.
func (b *Bucket) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

func (b *Bucket) key(r Ref) string {
	if b.options.Prefix == "" {
		return r.String()
	}
	return b.options.Prefix + "/" + r.String()
}

// Begin begins an upload of parts. Where it is repeated there are several, which
// Remove takes away.
func (b *Bucket) Begin(ctx context.Context, r Ref) (upload string, err error) {
	if err := r.check(); err != nil {
		return "", err
	}
	err = b.retry(ctx, "begin the upload of", r, func(ctx context.Context) error {
		upload, err = b.core.NewMultipartUpload(ctx, b.options.Bucket, b.key(r), minio.PutObjectOptions{})
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
	u, err := b.core.PresignHeader(ctx, method, b.options.Bucket, b.key(r), valid, query, header)
	if err != nil {
		return "", b.explain("sign an address of", r, err)
	}
	return u.String(), nil
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
	err = b.retry(ctx, "complete", r, func(ctx context.Context) error {
		info, err := b.core.CompleteMultipartUpload(ctx, b.options.Bucket, b.key(r), upload, list, o)
		if badParts(err) {
			err = fmt.Errorf("%w: the service says %s", ErrParts, minio.ToErrorResponse(err).Code)
		}
		w := want
		if err == nil {
			w.tag = quoted(info.ETag) // with encryption it may be of another kind
		} else if !unclear(err) {
			return err
		}
		s, err = b.resolve(ctx, r, w, err)
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
	err = b.retry(ctx, "write", r, func(ctx context.Context) error {
		info, err := b.core.PutObject(ctx, b.options.Bucket, b.key(r), bytes.NewReader(data), want.size, base64.StdEncoding.EncodeToString(sum[:]), "", o)
		w := want
		if err == nil {
			w.tag = quoted(info.ETag)
		} else if !unclear(err) {
			return err
		}
		s, err = b.resolve(ctx, r, w, err)
		return err
	})
	return s, err
}

// wanted is an object that was, or was to be, written.
type wanted struct {
	tag  string
	size int64  // -1 where it is not known
	data []byte // of a small one
}

// resolve looks at what is there after a write whose answer was err.
func (b *Bucket) resolve(ctx context.Context, r Ref, w wanted, err error) (Stored, error) {
	info, statErr := b.core.StatObject(ctx, b.options.Bucket, b.key(r), minio.StatObjectOptions{})
	switch {
	case statErr != nil && missing(statErr) && err == nil:
		return Stored{}, &temporary{errors.New("what was written is not there")}
	case statErr != nil && missing(statErr):
		return Stored{}, fromNothing(err)
	case statErr != nil:
		return Stored{}, statErr
	}
	s := Stored{Size: info.Size, ETag: quoted(info.ETag), Modified: info.LastModified.UTC()}
	same := s.ETag == w.tag && (w.size < 0 || s.Size == w.size)
	if !same && w.data != nil && s.Size == w.size { // encryption makes an ETag of another kind
		there, err := b.read(ctx, r, w.size)
		if err != nil {
			return Stored{}, err
		}
		same = bytes.Equal(there, w.data)
	}
	if !same {
		return Stored{}, fmt.Errorf("%w: it has %d bytes and the ETag %s", ErrConflict, s.Size, clean(s.ETag))
	}
	return s, nil
}

// fromNothing is what an unclear answer means where nothing is there.
func fromNothing(err error) error {
	if errors.Is(err, ErrParts) {
		return err
	}
	response := minio.ToErrorResponse(err)
	if response.Code == minio.NoSuchUpload {
		return fmt.Errorf("%w: the upload is gone: did a rule of the bucket remove it?", ErrNotFound)
	}
	if response.StatusCode == http.StatusNotFound {
		return err
	}
	return &temporary{err}
}

// Read returns a small object.
func (b *Bucket) Read(ctx context.Context, r Ref, limit int64) (data []byte, err error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	err = b.retry(ctx, "read", r, func(ctx context.Context) error {
		data, err = b.read(ctx, r, limit)
		if missing(err) {
			err = ErrNotFound
		}
		return err
	})
	return data, err
}

func (b *Bucket) read(ctx context.Context, r Ref, limit int64) ([]byte, error) {
	body, info, _, err := b.core.GetObject(ctx, b.options.Bucket, b.key(r), minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if info.Size > limit {
		return nil, fmt.Errorf("it has %d bytes, and at most %d are expected", info.Size, limit)
	}
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && int64(len(data)) != info.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, &temporary{err}
	}
	return data, nil
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
		err := b.retry(ctx, "abort the upload of", r, func(ctx context.Context) error {
			err := b.core.AbortMultipartUpload(ctx, b.options.Bucket, b.key(r), id)
			if missing(err) {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return b.retry(ctx, "remove", r, func(ctx context.Context) error {
		err := b.core.RemoveObject(ctx, b.options.Bucket, b.key(r), minio.RemoveObjectOptions{})
		if missing(err) {
			return nil
		}
		return err
	})
}

// uploads are the ids of the object's uploads that are open.
func (b *Bucket) uploads(ctx context.Context, r Ref) (ids []string, err error) {
	key, id := "", ""
	for {
		var page minio.ListMultipartUploadsResult
		err := b.retry(ctx, "list the uploads of", r, func(ctx context.Context) (err error) {
			page, err = b.core.ListMultipartUploads(ctx, b.options.Bucket, b.key(r), key, id, "", 1000)
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
