package rclone

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

// entry is one line of "rclone lsjson".
type entry struct {
	Path    string
	Size    int64
	ModTime time.Time
	IsDir   bool
	Hashes  map[string]string
}

// listing are the options of what lists: no more calls than need be, and the times
// of the remote where it has its own.
var listing = []string{"lsjson", "--no-mimetype", "--use-server-modtime"}

// stat looks at one object. With a hash's name it asks for that too.
func (s *Store) stat(ctx context.Context, name, hash string) (e entry, err error) {
	args := append(slices.Clone(listing), "--stat")
	if hash != "" {
		args = append(args, "--hash", "--hash-type", hash)
	}
	err = s.options.Backoff.Retry(ctx, func(ctx context.Context) error {
		out, err := s.run(ctx, append(args, s.target(name))...)
		if err != nil {
			return s.failed("look at", name, err)
		}
		if string(bytes.TrimSpace(out)) == "null" { // as some say it
			return fmt.Errorf("look at %s: %w", s.address(name), storage.ErrNotFound)
		}
		return s.understand(out, &e)
	})
	if err == nil && e.IsDir {
		err = fmt.Errorf("look at %s: it is a folder (%w)", s.address(name), storage.ErrNotFound)
	}
	return e, err
}

// list returns what is in a folder, whose name may be empty; nothing, where there
// is none.
func (s *Store) list(ctx context.Context, folder string, more ...string) (all []entry, err error) {
	args := slices.Concat(listing, more, []string{s.target(folder)})
	err = s.options.Backoff.Retry(ctx, func(ctx context.Context) error {
		out, err := s.run(ctx, args...)
		if err == nil {
			return s.understand(out, &all)
		}
		return s.missing(ctx, folder, s.failed("list", folder, err))
	})
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	// Of a file, rclone lists the file: as a folder lists one of its own name.
	if err == nil && folder != "" && len(all) == 1 && all[0].Path == path.Base(folder) {
		switch _, err := s.stat(ctx, folder, ""); {
		case err == nil:
			return nil, nil
		case !errors.Is(err, storage.ErrNotFound):
			return nil, err
		}
	}
	for i := range all {
		all[i].Path = path.Join(folder, all[i].Path)
	}
	return all, err
}

// missing makes sure that a folder which is said not to be there is not: rclone says
// the same, and gives a part of the list, if one below it vanished meanwhile.
func (s *Store) missing(ctx context.Context, folder string, said error) error {
	if !errors.Is(said, storage.ErrNotFound) {
		return said
	}
	out, err := s.run(ctx, append(slices.Clone(listing), "--stat", s.target(folder))...)
	switch {
	case err == nil && string(bytes.TrimSpace(out)) != "null":
		return &storage.TemporaryError{Err: fmt.Errorf("list %s: a folder vanished while it was listed", s.address(folder))}
	case err == nil:
		return said
	}
	return s.failed("list", folder, err)
}

func (s *Store) understand(out []byte, v any) error {
	if err := json.Unmarshal(out, v); err != nil {
		return fmt.Errorf("list %s: rclone's answer is not understood: %w", s, err)
	}
	return nil
}

// walk returns all files whose names begin with prefix, hidden ones too.
func (s *Store) walk(ctx context.Context, prefix string) ([]entry, error) {
	folder := ""
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		if folder = prefix[:i]; storage.CheckName(folder) != nil {
			return nil, fmt.Errorf("list %s: %q is no beginning of an object's name", s, prefix)
		}
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return s.list(ctx, folder, "--recursive", "--files-only", "--fast-list")
}

// List returns the objects whose names begin with prefix. A folder that is not
// there is empty.
func (s *Store) List(ctx context.Context, prefix string) ([]storage.Object, error) {
	entries, err := s.walk(ctx, prefix)
	if err != nil {
		return nil, err
	}
	var objects []storage.Object
	for _, e := range entries {
		if strings.HasPrefix(e.Path, prefix) && storage.CheckName(e.Path) == nil {
			objects = append(objects, e.object(e.Path))
		}
	}
	slices.SortFunc(objects, func(a, b storage.Object) int { return strings.Compare(a.Name, b.Name) })
	return objects, nil
}

func (e entry) object(name string) storage.Object {
	return storage.Object{Name: name, Size: e.Size, Modified: e.ModTime}
}

// Remove removes an object. Folders that it leaves empty go with the next
// RemoveUnfinished.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	return s.remove(ctx, name)
}

// remove is Remove, for hidden files too.
func (s *Store) remove(ctx context.Context, name string) error {
	return s.options.Backoff.Retry(ctx, func(ctx context.Context) error {
		_, err := s.run(ctx, "deletefile", "--retries=1", s.target(name))
		if err == nil {
			return nil
		}
		err = s.failed("remove", name, err)
		// That there is none is not told by every kind of remote in the same way.
		if _, gone := s.stat(ctx, name, ""); errors.Is(err, storage.ErrNotFound) || errors.Is(gone, storage.ErrNotFound) {
			return nil
		}
		return err
	})
}

// Put writes a small object if there is none of that name.
func (s *Store) Put(ctx context.Context, name string, data []byte) error {
	w, err := s.Create(ctx, name)
	if err != nil {
		return err
	}
	if err = s.options.Backoff.Retry(ctx, func(ctx context.Context) error { return w.WritePart(ctx, 1, 0, data) }); err == nil {
		_, err = w.Commit(ctx)
	}
	if err != nil {
		return errors.Join(err, w.Abort(context.WithoutCancel(ctx)))
	}
	return nil
}
