package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"

	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
)

func (w *wizard) tryStorage(ctx context.Context) error {
	mark := w.undo.mark()
	err := w.makeStorage(ctx)
	if err == nil {
		err = w.probeStorage(ctx)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	if w.flags.SkipChecks {
		w.warn(err.Error())
		return nil
	}
	w.undo.back(w.app, mark)
	return err
}

func (w *wizard) probeStorage(ctx context.Context) error {
	result, err := w.as(ctx, w.service, w.jobOf("storage"))
	if err != nil {
		return err
	}
	for _, f := range result.Findings {
		if f.Level == dumper.Fail {
			return errors.New(f.Message)
		}
		w.good("%s, by %s", f.Message, name(w.service))
	}
	return nil
}

// makeStorage makes what is missing of the folder, and the instance's own in it.
func (w *wizard) makeStorage(ctx context.Context) error {
	c, err := w.draft.load(config.NeedStorage)
	if err != nil {
		return err
	}
	if len(c.Places) > 1 {
		return fmt.Errorf("init sets up one place: give the first, and add the others to %s.env afterwards; dbacked check looks at each", w.draft.name)
	}
	if c.Storage.Scheme != config.SchemeFile {
		for _, f := range checkStorage(ctx, c) {
			if f.Level == dumper.Fail {
				return errors.New(f.Message)
			}
			w.good("%s", f.Message)
		}
		return nil
	}
	path := c.Storage.Path
	own := filepath.Join(path, w.draft.name)
	if strings.ContainsFunc(path, unicode.IsControl) {
		return errors.New("a folder whose name has control characters cannot be told to systemd: take another")
	}
	if strings.HasPrefix(path, stateRoot+"/") && path != own && !strings.HasPrefix(path, filepath.Join(stateRoot, w.draft.name)+"/") {
		return fmt.Errorf("the service sees of %s only its own folder: take %s itself, or a folder elsewhere", stateRoot, stateRoot)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && path != stateRoot {
		yes, err := w.agrees(ctx, path+" does not exist (if it is a disk, mount that first). Make it?")
		if err != nil {
			return err
		}
		if !yes {
			return fmt.Errorf("%s does not exist", path)
		}
	}
	if err := w.makeFolders(path); err != nil {
		return err
	}
	if err := w.openFolder(ctx, path); err != nil {
		return err
	}
	return w.giveFolder(ctx, own)
}

// openFolder gives the service a folder that it could not enter, if nobody has
// anything else in there.
func (w *wizard) openFolder(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil || w.service == nil || info.Mode().Perm()&0o005 == 0o005 {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	entries, err := os.ReadDir(path)
	if err != nil || !ok || int(stat.Uid) == w.service.uid {
		return err
	}
	for _, e := range entries {
		if e.Name() != w.draft.name {
			return nil // the probe says what comes of it
		}
	}
	yes, err := w.agrees(ctx, fmt.Sprintf("%s cannot enter %s, where nothing else lies. Give it to %s?", w.service.name, path, w.service.name))
	if err != nil || !yes {
		return err
	}
	w.undo.add("the owner of "+path, func(context.Context) error { return os.Chown(path, int(stat.Uid), int(stat.Gid)) })
	return os.Chown(path, w.service.uid, w.service.gid)
}

// makeFolders makes a folder and those above it that are missing, root's.
func (w *wizard) makeFolders(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := w.makeFolders(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	w.undo.add("the folder "+path, func(context.Context) error { return removeEmpty(path) })
	return nil
}

// giveFolder makes a folder for the service alone, or gives it one that exists.
func (w *wizard) giveFolder(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(path, 0o700); err != nil {
			return err
		}
		w.undo.add("the folder "+path, func(context.Context) error { return removeEmpty(filepath.Join(path, "control"), path) })
		return w.chown(path)
	}
	if err != nil || w.service == nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == w.service.uid || !info.IsDir() {
		return nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		yes, err := w.agrees(ctx, fmt.Sprintf("%s belongs to another user (%d). Give it, and all that is in it, to %s?", path, stat.Uid, w.service.name))
		if err != nil || !yes {
			return err // the probe says what comes of it
		}
	}
	return w.chownAll(path)
}

// removeEmpty removes folders in which nothing is; those that are gone are
// gone.
func removeEmpty(paths ...string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (w *wizard) chown(path string) error {
	if w.service == nil {
		return nil
	}
	return os.Lchown(path, w.service.uid, w.service.gid)
}

// chownAll gives a folder and what is in it to the service; links are not
// followed.
func (w *wizard) chownAll(path string) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	type former struct {
		file     string
		uid, gid int
	}
	var all []former
	w.undo.add("the owner of "+path, func(context.Context) error {
		root, err := os.OpenRoot(path)
		if err != nil {
			return err
		}
		defer func() { _ = root.Close() }()
		for _, f := range all {
			if err := root.Lchown(f.file, f.uid, f.gid); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
	return fs.WalkDir(root.FS(), ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			all = append(all, former{file, int(stat.Uid), int(stat.Gid)})
		}
		return root.Lchown(file, w.service.uid, w.service.gid)
	})
}
