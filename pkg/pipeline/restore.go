package pipeline

import (
	"bytes"
	"context"
	"crypto/rsa"
	"io"

	"github.com/dbacked/dbacked/pkg/compress"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/storage"
)

// Restore is what bringing one file back needs.
type Restore struct {
	File Sealed
	Key  *rsa.PrivateKey

	// Proved says that the file's SHA256 comes from a manifest whose origin is
	// proved.
	Proved bool

	// Whole says that the target cannot undo what it was given, so that all of
	// the file must be known to be good before the first byte is.
	Whole bool

	// Target takes the dump. It must not take an error of r for its end.
	Target func(ctx context.Context, r io.Reader) error

	Progress *Progress // may be nil

	// Memory, if set, keeps a file that is small enough between the two readings,
	// encrypted as it is, so that the store is read once.
	Memory *Memory

	// Displaced, if set, is told of each file of which an older version is read,
	// since the newest is not what the manifest says: before the target gets
	// anything.
	Displaced func(d *storage.Displaced)

	forget func() // what Memory keeps
}

// Run brings the file back. The file is read twice: first it is compared with
// what the manifest says, since a dump runs as SQL and must be known to come
// from this agent before any of it does; then it is opened and given to the
// target. Where the store keeps older versions and the newest is not what the
// manifest says, one that is takes its place ([Sealed.Displaced]). Both passes
// read the same version, or at least the same file: the second goes on behind the
// header that the first one saw, and whoever exchanges what follows would need
// the key that this header seals.
func (r *Restore) Run(ctx context.Context) error {
	r.forget = r.Memory.keep(&r.File)
	defer r.forget()
	header, format, err := r.check(ctx)
	if err != nil {
		return at(StageVerify, err)
	}
	if format == encryptor.Legacy || (r.Whole && !r.Proved) {
		r.Progress.restart(StageVerify, r.File.totalStored())
		if err := r.decrypt(ctx, io.Discard, header); err != nil {
			return at(StageVerify, err)
		}
	}
	r.Progress.restart(StageRestore, r.File.totalStored())
	return r.feed(ctx, header)
}

// check compares the stored file with its manifest, if there is one, and
// returns its header.
func (r *Restore) check(ctx context.Context) ([]byte, encryptor.Format, error) {
	r.Progress.restart(StageVerify, r.File.totalStored())
	in := r.File.read(ctx, 0, r.Progress.addStored)
	defer in.close()
	if r.File.SHA256 == "" {
		header, format, err := encryptor.ReadHeader(in)
		return header, format, r.File.named(err)
	}
	good := 0
	in.judge = func(err error) error {
		if err == nil {
			good++
		}
		return err
	}
	header, format, err := encryptor.ReadHeader(in)
	if _, differs := io.Copy(io.Discard, in); differs != nil {
		return r.mend(ctx, good, differs)
	}
	return header, format, r.File.named(err)
}

// mend is check after one of the files was found to differ, by cause, behind so
// many good ones: older versions may be what the manifest says.
func (r *Restore) mend(ctx context.Context, good int, cause error) ([]byte, encryptor.Format, error) {
	r.forget() // it may be what differs
	r.Progress.restart(StageVerify, r.File.totalStored())
	for _, f := range r.File.files()[good:] {
		if cause == nil {
			cause = f.compareStored(ctx, r.Progress.addStored)
		}
		if cause != nil {
			cause = f.settle(ctx, cause, r.Progress.addStored)
		}
		if cause != nil {
			return nil, 0, cause
		}
	}
	for _, d := range r.File.Displaced() {
		if r.Displaced != nil {
			r.Displaced(d)
		}
	}
	in := r.File.read(ctx, 0, func(int64) {})
	defer in.close()
	header, format, err := encryptor.ReadHeader(in)
	return header, format, r.File.named(err)
}

// feed opens the file and gives what is in it to the target.
func (r *Restore) feed(ctx context.Context, header []byte) error {
	plain, open := io.Pipe()
	return run(ctx,
		func(ctx context.Context) error {
			err := guard(StageDecrypt, func() error { return r.decrypt(ctx, open, header) })
			open.CloseWithError(err)
			return err
		},
		func(ctx context.Context) error {
			err := guard(StageRestore, func() error { return r.Target(ctx, plain) })
			plain.CloseWithError(err)
			return err
		})
}

// decrypt writes to w what the file holds.
func (r *Restore) decrypt(ctx context.Context, w io.Writer, header []byte) error {
	rest := r.File.read(ctx, int64(len(header)), r.Progress.addStored)
	defer rest.close()
	n, err := Open(w, io.MultiReader(bytes.NewReader(header), rest), r.Key, r.Progress)
	if err != nil {
		return r.File.named(err)
	}
	return r.File.comparePlain(n)
}

// Open decrypts and decompresses r into w and returns how many bytes it wrote.
// It returns nil only if all of r was authentic and whole.
func Open(w io.Writer, r io.Reader, key *rsa.PrivateKey, progress *Progress) (int64, error) {
	dec, err := encryptor.NewReader(r, key)
	if err != nil {
		return 0, err
	}
	defer func() { _ = dec.Close() }()
	plain, err := compress.NewReader(dec)
	if err != nil {
		return 0, err
	}
	defer func() { _ = plain.Close() }()
	out := &counter{w: w, count: progress.addPlain}
	_, err = io.Copy(out, plain)
	return out.n, err
}

// countingReader counts what is read, and ends when its context does.
type countingReader struct {
	ctx   context.Context
	r     io.Reader
	count func(int64)
}

func (c *countingReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.count(int64(n))
	return n, err
}
