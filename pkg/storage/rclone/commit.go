package rclone

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/dbacked/dbacked/pkg/storage"
)

// errNotStored says that what the remote holds is not what was sent.
var errNotStored = errors.New("the remote does not hold what was sent")

// Commit ends the stream, compares what is there with what was sent, and gives it
// its name.
func (w *writer) Commit(ctx context.Context) (storage.Object, error) {
	if err := context.Cause(ctx); err != nil {
		return storage.Object{}, err
	}
	ctx, cancel := w.bind(ctx)
	defer cancel()
	if err := w.enter(); err != nil {
		return storage.Object{}, fmt.Errorf("commit %s: %w", w.store.address(w.name), err)
	}
	o, err := w.commit(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = false
	if err == nil {
		w.ended, w.over = errCommitted, true
	}
	w.turn.Broadcast()
	return o, err
}

// enter takes the stream for Commit: no part follows.
func (w *writer) enter() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended != nil:
		return w.ended
	case w.busy:
		return errors.New("a part is still being written")
	}
	w.busy, w.begun = true, true
	w.ended = errCommitting
	return nil
}

var errCommitting = errors.New("it is being committed, or could not be")

func (w *writer) commit(ctx context.Context) (storage.Object, error) {
	if w.next == 1 { // no part came: an empty object
		if err := w.whole(ctx, nil); err != nil {
			return storage.Object{}, err
		}
	}
	if w.run != nil {
		err := w.close(ctx)
		w.stop()
		if err != nil {
			return storage.Object{}, err
		}
	}
	if err := w.prove(ctx); err != nil {
		return storage.Object{}, err
	}
	return w.publish(ctx)
}

// prove compares the hidden file with what was sent.
func (w *writer) prove(ctx context.Context) error {
	e, err := w.store.stat(ctx, w.temp, w.traits.hash)
	if err != nil {
		return fmt.Errorf("write %s: %w", w.store.address(w.name), err)
	}
	what := fmt.Sprintf("write %s: %v", w.store.address(w.name), errNotStored)
	if e.Size != w.size {
		return fmt.Errorf("%s: %d bytes instead of %d", what, e.Size, w.size)
	}
	// One that has the sums of some files only gives none of this one.
	sum := e.Hashes[w.traits.hash]
	w.unsaid = sum == ""
	if !w.unsaid && sum != w.checksum() {
		return fmt.Errorf("%s: its %s is %s instead of %s", what, w.traits.hash, w.store.clean(sum), w.checksum())
	}
	return nil
}

// publish gives the hidden file its name, if the name is free. In this process one
// does at a time: rclone first looks, then renames.
func (w *writer) publish(ctx context.Context) (o storage.Object, err error) {
	select {
	case w.store.publishing <- struct{}{}:
		defer func() { <-w.store.publishing }()
	case <-ctx.Done():
		return o, context.Cause(ctx)
	}
	if err := w.look(ctx); err != nil {
		return o, err
	}
	err = w.store.options.Backoff.Retry(ctx, func(ctx context.Context) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		w.maybe = true
		_, err := w.store.run(ctx, "moveto", "--retries=1", "--ignore-existing", w.store.target(w.temp), w.store.target(w.name))
		if err != nil {
			err = w.store.failed("commit", w.name, err)
		}
		o, err = w.resolve(ctx, err)
		return err
	})
	return o, err
}

// look makes sure that the name is free where no checksum could tell afterwards
// whose the object is.
func (w *writer) look(ctx context.Context) error {
	if !w.unsaid {
		return nil
	}
	switch _, err := w.store.stat(ctx, w.name, ""); {
	case err == nil:
		return fmt.Errorf("commit %s: %w", w.store.address(w.name), storage.ErrExists)
	case !errors.Is(err, storage.ErrNotFound):
		return err
	}
	w.free = true
	return nil
}

// resolve looks at what renaming, which ended with cause, has led to: its answer
// may be lost, and that of "the name is taken" is none.
func (w *writer) resolve(ctx context.Context, cause error) (storage.Object, error) {
	all, err := w.store.list(ctx, folderOf(w.name), "--files-only")
	if err != nil {
		return storage.Object{}, errors.Join(cause, err)
	}
	var object, hidden *entry
	for i, e := range all {
		switch e.Path {
		case w.name:
			object = &all[i]
		case w.temp:
			hidden = &all[i]
		}
	}
	switch {
	case object != nil && hidden == nil && object.Size == w.size:
		return object.object(w.name), nil
	case object != nil && hidden == nil:
		return storage.Object{}, fmt.Errorf("commit %s: %w: %d bytes instead of %d", w.store.address(w.name), errNotStored, object.Size, w.size)
	case object != nil && cause == nil: // it was there before
		w.maybe = false
		return storage.Object{}, fmt.Errorf("commit %s: %w", w.store.address(w.name), storage.ErrExists)
	case object != nil:
		return w.compare(ctx, cause)
	case cause == nil:
		return storage.Object{}, &storage.TemporaryError{Err: fmt.Errorf("commit %s: %w: it is not listed", w.store.address(w.name), errNotStored)}
	}
	return storage.Object{}, cause
}

// compare is resolve where both names are there after an error: rclone copied and
// could not remove, or the name was taken.
func (w *writer) compare(ctx context.Context, cause error) (storage.Object, error) {
	e, err := w.store.stat(ctx, w.name, w.traits.hash)
	switch {
	case err != nil:
		return storage.Object{}, errors.Join(cause, err)
	case w.made(e):
		return e.object(w.name), w.store.remove(ctx, w.temp)
	default:
		w.maybe = false
		return storage.Object{}, fmt.Errorf("commit %s: %w", w.store.address(w.name), storage.ErrExists)
	}
}

// folderOf is the folder of an object, "" for the root.
func folderOf(name string) string {
	if folder := path.Dir(name); folder != "." {
		return folder
	}
	return ""
}
