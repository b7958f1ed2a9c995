package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
)

// TestPartAfterRemoval lets a body begin while its part may come, and end after its file
// was removed: it is refused, and leaves nothing.
func TestPartAfterRemoval(t *testing.T) {
	var over atomic.Bool
	asked := make(chan struct{}, 9)
	b := folderBed(t, t.TempDir(), FolderOptions{Allowed: func(context.Context, Ref, Part) error {
		asked <- struct{}{}
		if over.Load() {
			return errors.New("the backup is over")
		}
		return nil
	}})
	data := random(1, 200<<10)
	p := Part{Number: 1, MD5: sum(data), Size: int64(len(data))}
	b.put(t, one, "", 2, []byte("another part"))
	for len(asked) > 0 {
		<-asked
	}
	removed := make(chan struct{})
	body, sends := io.Pipe()
	go func() {
		sends.Write(data[:100<<10])
		<-removed
		sends.Write(data[100<<10:])
		sends.Close()
	}()
	go func() {
		defer close(removed)
		<-asked
		over.Store(true)
		if err := b.Remove(context.WithoutCancel(t.Context()), one, ""); err != nil {
			t.Error(err)
		}
	}()
	a := b.do(t, http.MethodPut, b.partURL(t, one, "", p), body, "Content-MD5", p.MD5)
	a.is(t, b, 409)
	nothing(t, b.dir)
	if _, err := os.Stat(b.dir + "/" + one.Project); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder is left: %v", err)
	}
}
