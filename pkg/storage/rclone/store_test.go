package rclone

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/storagetest"
)

// filled is a store whose folder the test can reach: a Put takes four runs of
// rclone.
type filled struct {
	*Store
	bed *bed
}

func (s filled) Fill(t *testing.T, names []string, data []byte) {
	for _, name := range names {
		path := filepath.Join(s.bed.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// BreakRead lets the next "rclone cat" end after some of the data.
func (s filled) BreakRead() { arm(s.Store, "break") }

// breakable is rclone, whose next read can be broken.
const breakable = `
if [ "$1" = cat ] && armed break; then
	rclone "$@" | head -c 300000
	echo "read: connection reset by peer" >&2
	exit 1
fi`

func TestStore(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storage.Store {
		b := newBed(t)
		return filled{scripted(t, open(t, b.options("store:")), breakable), b}
	}, storagetest.PartsInAnyOrder)
}
