package client

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/storage"
)

// TestOldBreaksOff breaks a download off, after which its address has expired, and what
// is there is the same, or another, of the same size or not.
func TestOldBreaksOff(t *testing.T) {
	t.Parallel()
	b := newOldBed(t, inFolder)
	c := b.client("a")
	data, others := oldData(), oldData()
	kept := b.backedUp(c, data)
	b.ahead.Add(int64(time.Hour))
	same := b.backedUp(c, others)
	b.ahead.Add(int64(time.Hour))
	shorter := b.backedUp(c, others[:smallestPart])
	for name, test := range map[string]struct {
		then api.Backup
		says string
	}{
		"the same":           {kept, ""},
		"another":            {same, "it changed while it was read"},
		"another, a shorter": {shorter, "it changed while it was read"},
	} {
		t.Run(name, func(t *testing.T) {
			var cut, again atomic.Bool
			arrived := make(chan struct{})
			b.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/downloadUrl") && cut.Load():
					again.Store(true)
					r.URL.Path = strings.Replace(r.URL.Path, kept.ID, test.then.ID, 1)
				case strings.HasPrefix(r.URL.Path, "/files/") && !cut.Swap(true):
					next.ServeHTTP(&cutting{w, 300_000}, r)
					_ = http.NewResponseController(w).Flush()
					<-arrived // a connection that breaks takes along what was not read
					b.ahead.Add(int64(2 * time.Hour))
					panic(http.ErrAbortHandler)
				}
				next.ServeHTTP(w, r)
			})
			defer b.behave(nil)
			r, err := c.Download(kept).Open(t.Context(), 0)
			b.ok(err)
			defer r.Close()
			got := make([]byte, 200_000)
			_, err = io.ReadFull(r, got)
			b.ok(err)
			close(arrived)
			rest, err := io.ReadAll(r)
			got = append(got, rest...)
			if !again.Load() {
				t.Error("no new address was asked for")
			}
			if test.says == "" {
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("read %d bytes, %v", len(got), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.says) || !bytes.HasPrefix(data, got) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
		})
	}
}

// TestOldDownload is the same file each time that it is opened, and of the size that is
// listed.
func TestOldDownload(t *testing.T) {
	t.Parallel()
	b := newOldBed(t, inFolder)
	c := b.client("a")
	kept := b.backedUp(c, []byte("some data"))
	b.ahead.Add(int64(time.Hour))
	other := b.backedUp(c, []byte("more data"))
	d := c.Download(kept)
	b.reads(d, 0, []byte("some data"))
	id := kept.ID
	b.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r.URL.Path = strings.Replace(r.URL.Path, id, other.ID, 1)
		next.ServeHTTP(w, r)
	})
	if _, err := d.Open(t.Context(), 2); !errors.Is(err, errChanged) {
		t.Errorf("error %v", err)
	}
	kept.Size++
	if _, err := c.Download(kept).Open(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "9 bytes are stored, and the service lists it with 10") {
		t.Errorf("error %v", err)
	}
	kept.ID = "../own"
	if _, err := c.Download(kept).Open(t.Context(), 0); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("error %v", err)
	}
}
