package files

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// FolderOptions sets how a Folder answers. The zero value allows all that is signed.
type FolderOptions struct {
	// Allowed is asked before a part is taken; its error is answered.
	Allowed func(ctx context.Context, r Ref, p Part) error
	// Stored is told of a part before the upload is answered.
	Stored func(ctx context.Context, r Ref, p Part) error
	// MaxPart is the most bytes of a part; 0 means 512 MiB.
	MaxPart int64
	// Stall is how long an upload or a download may make no progress; 0 means 2
	// minutes.
	Stall time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

const (
	defaultMaxPart = 512 << 20
	defaultStall   = 2 * time.Minute

	// completeName is the file that says of which parts a file is.
	completeName = "complete"
	// tempPrefix begins the names of what is not whole.
	tempPrefix = ".tmp-"
	// tempAge is from when on such a thing belongs to no live process.
	tempAge = 24 * time.Hour
)

// Folder keeps each part as a file of its own, PROJECT/BACKUP/FILE/00001, beside
// "complete", which names them. It serves its addresses itself.
type Folder struct {
	root    *os.Root
	secret  []byte
	options FolderOptions
}

var _ Store = (*Folder)(nil)

// OpenFolder opens a folder, which it makes, and removes what killed processes left
// half written. secret signs the addresses.
func OpenFolder(dir string, secret []byte, o FolderOptions) (*Folder, error) {
	if len(secret) < 16 {
		return nil, errors.New("the secret that signs addresses is too short")
	}
	if o.MaxPart <= 0 {
		o.MaxPart = defaultMaxPart
	}
	if o.Stall <= 0 {
		o.Stall = defaultStall
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the folder of files: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("the folder of files: %w", err)
	}
	f := &Folder{root: root, secret: secret, options: o}
	if err := f.sweep(); err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("the folder of files: %w", err)
	}
	return f, nil
}

// Close lets go of the folder.
func (f *Folder) Close() error { return f.root.Close() }

// sweep removes what killed processes left half written.
func (f *Folder) sweep() error {
	return fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasPrefix(d.Name(), tempPrefix) {
			return err
		}
		if info, err := d.Info(); err == nil && time.Since(info.ModTime()) > tempAge {
			return f.root.Remove(name)
		}
		return nil
	})
}

func (r Ref) folder() string { return path.Join(r.Project, r.Backup, strconv.Itoa(r.Number)) }

func (r Ref) part(number int) string { return path.Join(r.folder(), fmt.Sprintf("%05d", number)) }

// Begin needs nothing: the folder is made for the first part.
func (f *Folder) Begin(_ context.Context, r Ref) (string, error) { return "", r.check() }

// index is what "complete" holds.
type index struct {
	ETag     string    `json:"etag"`
	Modified time.Time `json:"modified"`
	Parts    []int64   `json:"parts"` // their sizes
}

func (x index) stored() Stored {
	s := Stored{ETag: x.ETag, Modified: x.Modified}
	for _, size := range x.Parts {
		s.Size += size
	}
	return s
}

// Complete compares each part with what the client says, and then names them.
func (f *Folder) Complete(_ context.Context, r Ref, _ string, parts []Part) (Stored, error) {
	if err := errors.Join(r.check(), order(parts)); err != nil {
		return Stored{}, err
	}
	etag, err := joined(parts)
	if err != nil {
		return Stored{}, err
	}
	x := index{ETag: etag, Modified: f.options.Now().UTC().Truncate(time.Second)}
	for _, p := range parts {
		size, err := f.holds(r, p)
		if err != nil {
			return Stored{}, err
		}
		x.Parts = append(x.Parts, size)
	}
	return f.name(r, x)
}

// holds compares a part with its ETag, which is in its name's extended form: the
// file beside it. It returns the part's size.
func (f *Folder) holds(r Ref, p Part) (int64, error) {
	info, err := f.root.Stat(r.part(p.Number))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%w: part %d", ErrParts, p.Number)
	}
	if err != nil {
		return 0, err
	}
	sum, err := f.root.ReadFile(r.part(p.Number) + sumSuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if string(sum) != strings.Trim(p.ETag, `"`) {
		return 0, fmt.Errorf("%w: part %d has the ETag %q", ErrParts, p.Number, sum)
	}
	return info.Size(), nil
}

// name writes "complete", if there is none.
func (f *Folder) name(r Ref, x index) (Stored, error) {
	text, err := json.Marshal(x)
	if err != nil {
		return Stored{}, err
	}
	err = f.write(r.folder(), completeName, text, false)
	if errors.Is(err, fs.ErrExist) {
		before, err := f.index(r)
		switch {
		case err != nil:
			return Stored{}, err
		case before.ETag != x.ETag:
			return Stored{}, ErrConflict
		}
		return before.stored(), nil
	}
	return x.stored(), err
}

func (f *Folder) index(r Ref) (x index, err error) {
	text, err := f.root.ReadFile(path.Join(r.folder(), completeName))
	if errors.Is(err, fs.ErrNotExist) {
		return x, fmt.Errorf("%w: %s", ErrNotFound, r)
	}
	if err != nil {
		return x, err
	}
	return x, json.Unmarshal(text, &x)
}

// Put stores a file of one part.
func (f *Folder) Put(_ context.Context, r Ref, data []byte) (Stored, error) {
	if err := r.check(); err != nil {
		return Stored{}, err
	}
	sum := md5.Sum(data)
	x := index{ETag: etagOf(sum[:]), Modified: f.options.Now().UTC().Truncate(time.Second), Parts: []int64{int64(len(data))}}
	if before, err := f.index(r); err == nil {
		if before.ETag != x.ETag {
			return Stored{}, ErrConflict
		}
		return before.stored(), nil
	}
	if err := f.root.MkdirAll(r.folder(), 0o700); err != nil {
		return Stored{}, err
	}
	if err := f.write(r.folder(), path.Base(r.part(1)), data, true); err != nil {
		return Stored{}, err
	}
	return f.name(r, x)
}

// Remove removes all of a file, "complete" first, and the folders that this leaves
// empty.
func (f *Folder) Remove(_ context.Context, r Ref, _ string) error {
	if err := r.check(); err != nil {
		return err
	}
	if err := f.root.Remove(path.Join(r.folder(), completeName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := f.root.RemoveAll(r.folder()); err != nil {
		return err
	}
	for _, folder := range []string{path.Join(r.Project, r.Backup), r.Project} {
		_ = f.root.Remove(folder) // one that is not empty stays
	}
	return nil
}

// write writes a small file durably: whole or not at all.
func (f *Folder) write(folder, name string, data []byte, replace bool) error {
	temp := path.Join(folder, tempPrefix+rand.Text())
	file, err := f.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = f.publish(folder, path.Base(temp), name, replace)
	}
	if err != nil {
		_ = f.root.Remove(temp)
	}
	return err
}

// publish gives a file that is whole its name, durably.
func (f *Folder) publish(folder, temp, name string, replace bool) error {
	dir, err := f.root.Open(folder)
	if err != nil {
		return err
	}
	defer dir.Close()
	flags := uint(unix.RENAME_NOREPLACE)
	if replace {
		flags = 0
	}
	if err := unix.Renameat2(int(dir.Fd()), temp, int(dir.Fd()), name, flags); err != nil {
		return &fs.PathError{Op: "rename", Path: path.Join(folder, name), Err: err}
	}
	if err := dir.Sync(); err != nil {
		return err
	}
	return f.syncAbove(folder)
}

// syncAbove makes the folders durable that a new one lies in.
func (f *Folder) syncAbove(folder string) error {
	for folder != "." {
		folder = path.Dir(folder)
		dir, err := f.root.Open(folder)
		if err != nil {
			return err
		}
		err = dir.Sync()
		dir.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
