package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/dbacked/dbacked/pkg/api"
)

// Download is the one file of a backup that an old service lists. It can be read as
// often as one likes: each time it is the same, by the ETag and the size of the first
// answer, or an error.
type Download struct {
	client *Client
	backup api.Backup

	mu    sync.Mutex
	known bool
	size  int64
	etag  string
}

// Download is a backup of the list in api.Project. Nothing is asked before Open.
func (c *Client) Download(b api.Backup) *Download { return &Download{client: c, backup: b} }

// Open reads the file from offset, as Open of a Store does: a read that breaks off goes
// on, with a new address if need be.
func (d *Download) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	r := &reader{ctx: ctx, client: d.client, name: "backup " + d.backup.ID, at: offset, locate: d.locate, pin: d.pin}
	if err := r.address(ctx); err != nil {
		return nil, err
	}
	err := r.again(func() error {
		if r.body != nil {
			return nil
		}
		return r.begin()
	})
	if err != nil {
		r.end()
		return nil, err
	}
	return r, nil
}

func (d *Download) locate(ctx context.Context) (answer api.DownloadURL, err error) {
	b := d.backup
	return answer, d.client.call(ctx, whereIs, http.MethodGet, "/projects/"+url.PathEscape(b.ProjectID)+"/backups/"+url.PathEscape(b.ID)+"/downloadUrl", nil, &answer)
}

// pin remembers what the first answer says of the file, and compares the others with it.
func (d *Download) pin(got *http.Response, at int64) (size int64, etag string, err error) {
	size, etag, err = stated(got, at)
	if err != nil {
		return 0, "", fmt.Errorf("read backup %s: %w", d.backup.ID, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.known && (size != d.size || etag != d.etag):
		return d.size, d.etag, fmt.Errorf("read backup %s: %w", d.backup.ID, errChanged)
	case d.backup.Size != 0 && size != d.backup.Size:
		return 0, "", fmt.Errorf("read backup %s: %d bytes are stored, and the service lists it with %d", d.backup.ID, size, d.backup.Size)
	}
	d.known, d.size, d.etag = true, size, etag
	return size, etag, nil
}

// stated is what an answer says of the whole file that it is a part of.
func stated(got *http.Response, at int64) (size int64, etag string, err error) {
	size, etag = got.ContentLength, got.Header.Get("ETag")
	if got.StatusCode == http.StatusPartialContent {
		var from, to int64
		text := strings.ToLower(got.Header.Get("Content-Range"))
		if n, _ := fmt.Sscanf(text, "bytes %d-%d/%d", &from, &to, &size); n != 3 || from != at || to < from || size <= to {
			return 0, "", fmt.Errorf("what was asked for from byte %d on was answered with the range %.80q", at, text)
		}
	}
	if size < 0 {
		return 0, "", errors.New("its size is not told")
	}
	return size, etag, nil
}
