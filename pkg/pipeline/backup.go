package pipeline

import (
	"context"
	"crypto/rsa"
	"io"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/compress"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/storage"
)

// cleanupTimeout bounds what is done after a run has ended: removing what a
// failed one stored.
const cleanupTimeout = 10 * time.Second

// Locker keeps two runs of one instance apart.
type Locker interface {
	// Acquire returns a context that ends when the lock is lost, and what gives
	// it back.
	Acquire(ctx context.Context) (context.Context, func(), error)
}

// Confirmer is a Locker that may lose the lock some time before the context ends.
type Confirmer interface {
	// Confirm says whether the lock is held at this moment. It is called once,
	// before the manifest is written.
	Confirm(ctx context.Context) error
}

// Lease is a Locker's memory in a store that several machines write to: which
// backup its holder makes, and which those made who died holding it.
type Lease interface {
	Announce(ctx context.Context, backup string) error
	Left() []string
	Cleaned(backups ...string)
}

// Stream is one dump that becomes one file of a backup.
type Stream struct {
	Kind string // catalog.KindDump, catalog.KindGlobals, …

	// Dump writes the dump. It returns nil only if what it wrote is complete.
	Dump func(ctx context.Context, w io.Writer) error

	// Beside says that it takes longer to begin than to dump: of several streams,
	// those go on beside the others, one after the other, and take no job from them.
	Beside bool
}

// Backup is what one backup needs. All fields must be set unless they say
// otherwise.
type Backup struct {
	Store    storage.Store // or several, a storage.Mirrored
	Locker   Locker
	Instance string
	Signer   *catalog.Signer

	// OrphanAge is set where other machines may write to the store; then what is
	// without a manifest is removed only if it is older, or if the Lease, which
	// may be nil, knows that its run is dead. 0, without a Lease: this machine
	// alone writes, and what it finds under the lock belongs to no run that lives.
	Lease     Lease
	OrphanAge time.Duration

	// First names, of several places, the one that the lock is of, whether it
	// takes part or not. In the others what is without a manifest, and of which
	// First knows nothing, is removed only if it is older than OthersAge; 0: 7 days.
	First     string
	OthersAge time.Duration

	// Describe fills in what the manifest says of the database. It is called
	// once, under the lock, before the first dump.
	Describe func(ctx context.Context, m *catalog.Manifest) error
	Streams  []Stream // become files, or chains of files, in this order

	// Plan, if set, says what to dump instead of Streams. It is called once, under
	// the lock, after Describe; where it fails its Close is not called.
	Plan func(ctx context.Context, m *catalog.Manifest) (Plan, error)

	Recipients  []*rsa.PublicKey
	Format      encryptor.Format
	Compression compress.Spec

	// How files are stored. 0: what fits the store, see the uploader's Options.
	StallTimeout   time.Duration   // that a part may take, with all its tries
	UploadBudget   int64           // bytes of parts that are held at once
	UploadParallel int             // parts that are written at once
	UploadRate     int64           // bytes a second, at most
	Backoff        storage.Backoff // when a part is tried again

	AgentID      string
	AgentVersion string
	Progress     *Progress // may be nil
	Log          *zap.Logger
}

// Run makes one backup. It returns the manifest of a backup that was proved:
// each dump was complete, each file was sealed and stored whole, and the
// manifest was written last. On any error nothing of it stays, but for a
// *PartialError, which comes with the manifest: the Store is several places
// ([storage.Mirrored]), and some of them hold it.
func (b *Backup) Run(ctx context.Context) (*catalog.Manifest, error) {
	b.Progress.enter(StageLock)
	ctx, release, err := b.Locker.Acquire(ctx)
	if err != nil {
		return nil, at(StageLock, err)
	}
	defer release()
	defer b.sayLeft()

	b.Progress.enter(StagePrepare)
	m, err := b.prepare(ctx)
	if err != nil {
		return nil, at(StagePrepare, err)
	}
	if err := b.files(ctx, m); err != nil {
		b.discard(ctx, m)
		return nil, err
	}
	b.Progress.enter(StageCommit)
	m.Finished = time.Now().UTC().Truncate(time.Second)
	if err := b.mayCommit(ctx); err != nil {
		b.discard(ctx, m)
		return nil, at(StageCommit, err)
	}
	if err := b.commit(ctx, m); err != nil {
		b.takeBack(ctx, m)
		return nil, at(StageCommit, err)
	}
	return m, b.partial(ctx, m)
}

// mayCommit says whether the run holds its lock yet: one that lost it does not
// commit.
func (b *Backup) mayCommit(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if c, ok := b.Locker.(Confirmer); ok {
		return c.Confirm(ctx)
	}
	return nil
}

// prepare removes what killed runs left and begins the manifest.
func (b *Backup) prepare(ctx context.Context) (*catalog.Manifest, error) {
	if err := b.clean(ctx); err != nil {
		return nil, err
	}
	previous, err := b.newest(ctx)
	if err != nil {
		return nil, err
	}
	started := time.Now().UTC().Truncate(time.Second)
	m := &catalog.Manifest{
		ID:           catalog.NextID(started, previous),
		Previous:     previous,
		Instance:     b.Instance,
		Started:      started,
		AgentID:      b.AgentID,
		AgentVersion: b.AgentVersion,
		Compression:  b.Compression.String(),
	}
	if b.Lease != nil {
		if err := b.Lease.Announce(ctx, m.ID); err != nil {
			return nil, err
		}
	}
	for _, key := range b.Recipients {
		m.Recipients = append(m.Recipients, encryptor.Fingerprint(key))
	}
	return m, b.Describe(ctx, m)
}

// seal compresses and encrypts r into w. The last chunk is sealed only when r
// ended well.
func (b *Backup) seal(w io.Writer, r io.Reader, compression compress.Spec) error {
	enc, err := encryptor.NewWriter(w, b.Recipients, encryptor.WriterOptions{Format: b.Format})
	if err != nil {
		return err
	}
	err = compressTo(enc, r, compression)
	if err != nil {
		enc.Abort(err)
		return err
	}
	return enc.Close()
}

func compressTo(w io.Writer, r io.Reader, spec compress.Spec) error {
	c, err := compress.NewWriter(w, spec)
	if err != nil {
		return err
	}
	if _, err := io.Copy(c, r); err != nil {
		c.Abort()
		return err
	}
	return c.Close()
}

// discard removes the files of a backup that failed.
func (b *Backup) discard(ctx context.Context, m *catalog.Manifest) {
	places := b.places()
	if b.mirrored() != nil {
		places = append(places, b.dropped(ctx)...)
	}
	var removing sync.WaitGroup
	for _, p := range places {
		removing.Go(func() {
			left, cause := b.remove(ctx, p.Store, m)
			if cause == nil {
				return
			}
			what := "files of the failed backup are left; the next run removes them"
			if refused(cause) {
				what = "files of the failed backup are left: they may not be removed"
			}
			b.Log.Warn(what, zap.String("place", p.Name), zap.Strings("files", left), zap.Error(cause))
		})
	}
	removing.Wait()
}

// remove removes from a store what the manifest names, and returns what it could
// not. It has a context of its own, since the run's has often ended.
func (b *Backup) remove(ctx context.Context, store storage.Store, m *catalog.Manifest) (left []string, cause error) {
	if store == nil {
		return nil, nil // it was never open
	}
	var names []string
	for _, f := range m.Files {
		names = append(names, catalog.Path(m.Instance, m.ID, f.Name))
	}
	if b.mirrored() != nil { // where there may be a manifest: that goes first, or all stays
		err := within(context.WithoutCancel(ctx), cleanupTimeout, func(ctx context.Context) error { return catalog.Remove(ctx, store, m.Instance, m.ID) })
		if err != nil {
			return names, err
		}
		return nil, nil
	}
	var mu sync.Mutex
	err := within(context.WithoutCancel(ctx), cleanupTimeout, func(ctx context.Context) error {
		for _, name := range names {
			if err := store.Remove(ctx, name); err != nil {
				mu.Lock()
				left, cause = append(left, name), err
				mu.Unlock()
			}
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	if err != nil {
		return names, err
	}
	return slices.Clone(left), cause
}

// revoke removes a backup whose manifest could not be written for sure: the
// manifest first, as it may be there all the same.
func (b *Backup) revoke(ctx context.Context, m *catalog.Manifest, store storage.Store) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if err := catalog.Remove(ctx, store, m.Instance, m.ID); err != nil {
		b.Log.Warn("the failed backup is left, whole or in part", zap.String("place", store.String()), zap.String("backup", m.ID), zap.Error(err))
	}
}
