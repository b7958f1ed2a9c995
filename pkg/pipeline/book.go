package pipeline

import (
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/uploader"
)

// book is the files that a run began, by the streams that they are of: several
// streams may be written at once.
type book struct {
	mu      sync.Mutex
	begun   int
	streams [][]*catalog.File // in the plan's order
	left    []*leftFile
}

// leftFile is a file of which something could not be removed after a failure.
type leftFile struct {
	name string
	err  *uploader.LeftError
}

func newBook(streams int) *book { return &book{streams: make([][]*catalog.File, streams)} }

// inOrder returns all files as the manifest has them: those of a stream follow
// each other, whenever they were written. It is called when no stream goes on.
func (b *book) inOrder() (all []catalog.File) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, files := range b.streams {
		for _, f := range files {
			f.Order = len(all)
			all = append(all, *f)
		}
	}
	return all
}

// chapter is the part of a book that is of one stream. Who writes that fills in
// its files.
type chapter struct {
	*book
	stream int
	folder string // of the backup
}

// begin adds a file to the stream's, with a name that no other has; not if the
// backup has as many as it can.
func (c chapter) begin(f catalog.File) (*catalog.File, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun == catalog.MaxFiles {
		return nil, false
	}
	f.Name = fmt.Sprintf("%04d.dbacked", c.begun)
	c.begun++
	c.streams[c.stream] = append(c.streams[c.stream], &f)
	return &f, true
}

// head is the first file of the stream.
func (c chapter) head() *catalog.File {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams[c.stream][0]
}

// failed notes of a file that could not be stored whether something of it is left.
func (c chapter) failed(name string, err error) {
	left, ok := errors.AsType[*uploader.LeftError](err)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = append(c.left, &leftFile{name, left})
}

// sayLeft says of what files something is left, unless the error of the run says
// so: that is the first of all, and others may have failed because of it.
func (b *book) sayLeft(log *zap.Logger, said error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.left {
		if !errors.Is(said, f.err) {
			log.Warn("what was written of a file of the failed backup could not be removed; a later run removes it", zap.String("file", f.name), zap.Error(f.err.Removal))
		}
	}
}
