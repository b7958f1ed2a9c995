package pgarchive

import (
	"fmt"
	"iter"
)

// Verifier is an io.WriteCloser that an archive is written to, in pieces of any
// size. The zero value is not ready: use NewVerifier. It is used by one
// goroutine at a time, and must be closed, also after an error.
type Verifier struct {
	// OnEntry, if not nil, is called for every entry of the table of contents,
	// in order. Set it before the first Write.
	OnEntry func(Entry)

	// KeepDefn, if not nil, says whether OnEntry wants the definition of the
	// entry of that description and tag. Set it before the first Write.
	KeepDefn func(desc, tag string) bool

	// KeepDependencies has OnEntry get what each entry needs. Some of that may not
	// be in the archive. Set it before the first Write.
	KeepDependencies bool

	// OnBlock, if not nil, is called at the end of each block of a table's data,
	// with what was counted in it. Set it before the first Write.
	OnBlock func(Block)

	header  Header
	ready   bool // the table of contents has been read
	entries int  // in the table of contents
	head    int64
	toc     ledger

	src  source
	size int                     // of the current piece of input
	step func() (struct{}, bool) // runs the walker until it needs more input
	stop func()
	err  error
	done bool
}

// NewVerifier returns a Verifier for one archive.
func NewVerifier() *Verifier {
	v := &Verifier{}
	// The walker is a coroutine, so that the format can be read from top to
	// bottom in plain code while the input comes in pieces. Changing over costs
	// a fraction of a microsecond, and no other thread takes part.
	v.step, v.stop = iter.Pull(func(yield func(struct{}) bool) {
		v.src.more = func() bool { return !v.src.end && yield(struct{}{}) }
		v.err = v.walk()
	})
	return v
}

// Write takes the next piece of the archive. It fails as soon as the piece
// cannot be part of one; it keeps nothing of p.
func (v *Verifier) Write(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	if v.done {
		return 0, fmt.Errorf("%w: data after its end", ErrDamaged)
	}
	v.src.p, v.size = p, len(p)
	v.step()
	v.src.read += int64(len(p))
	v.src.p = nil
	if v.err != nil {
		return 0, v.err
	}
	return len(p), nil
}

// Close says that the archive has ended. It returns nil only if it is whole, and
// the same each time that it is called.
func (v *Verifier) Close() error {
	if !v.done {
		v.done = true
		v.src.end = true
		if v.err == nil {
			v.step()
		}
		v.stop()
	}
	return v.err
}

// Header is what the archive says about itself; ok says whether it has been
// read.
func (v *Verifier) Header() (h Header, ok bool) { return v.header, v.header.Major > 0 }

// Ready says whether the whole table of contents has been read.
func (v *Verifier) Ready() bool { return v.ready }

// HeadSize is the number of bytes up to the end of the table of contents, once
// that has been read: by themselves they are an archive that holds no data.
func (v *Verifier) HeadSize() int64 { return v.head }

// Entries is the number of entries that the table of contents has.
func (v *Verifier) Entries() int { return v.entries }

// walk reads the archive. It returns nil only at the end of a whole one.
func (v *Verifier) walk() error {
	if err := v.readHeader(); err != nil {
		return v.explain(err, "its header")
	}
	if err := v.readTOC(); err != nil {
		return v.explain(err, "its table of contents")
	}
	v.ready = true
	v.head = v.position()
	return v.readBlocks()
}

// position is how much of the archive has been read.
func (v *Verifier) position() int64 { return v.src.read + int64(v.size-len(v.src.p)) }

// explain says where an archive ended that ended too early.
func (v *Verifier) explain(err error, where string) error {
	if err != errEnd {
		return err
	}
	if v.src.total() == 0 {
		return fmt.Errorf("%w: it is empty", ErrIncomplete)
	}
	return fmt.Errorf("%w: it ends after %d bytes, within %s", ErrIncomplete, v.src.total(), where)
}
