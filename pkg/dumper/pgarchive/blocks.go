package pgarchive

import (
	"encoding/binary"
	"fmt"
)

// Kinds of blocks.
const (
	blockData  = 1 // of one table
	blockBlobs = 3 // of large objects: each with its number, then a zero
)

// readBlocks reads the blocks of data, up to the end of input.
func (v *Verifier) readBlocks() error {
	s := &v.src
	for {
		kind, err := s.byte()
		if err == errEnd {
			return v.balance()
		}
		if err != nil {
			return err
		}
		if kind != blockData && kind != blockBlobs {
			return fmt.Errorf("%w: a block of the kind %d", ErrDamaged, kind)
		}
		id, err := s.int()
		if err != nil {
			return v.explain(err, "the head of a block of data")
		}
		if !v.toc.settle(id) {
			return fmt.Errorf("%w: a block for entry %d, which has none or had it already", ErrDamaged, id)
		}
		if kind == blockData {
			err = v.readTable(id)
		} else {
			err = s.blobs()
		}
		if err != nil {
			return v.explain(err, "the data of "+v.toc.name(id))
		}
	}
}

// readTable reads the data of a table.
func (v *Verifier) readTable(id int64) error {
	if v.OnBlock == nil {
		return v.src.chunks()
	}
	var t tally
	if err := v.src.countChunks(&t); err != nil {
		return err
	}
	v.OnBlock(t.block(int(id), v.header.Compressed))
	return nil
}

// balance says whether all data has come.
func (v *Verifier) balance() error {
	if v.toc.left == 0 {
		return nil
	}
	return fmt.Errorf("%w: it ends after %d bytes, where the data of %d of %d entries is missing; the first is %s",
		ErrIncomplete, v.src.total(), v.toc.left, v.toc.count, v.toc.first())
}

// blobs passes over large objects.
func (s *source) blobs() error {
	for {
		oid, err := s.int()
		if err != nil || oid == 0 {
			return err
		}
		if err := s.chunks(); err != nil {
			return err
		}
	}
}

// chunks passes over data, which comes in pieces that begin with their length; a
// length of zero ends it. pg_dump writes a piece for each row, so this loop is
// where the time goes.
func (s *source) chunks() error {
	for {
		if s.intSize == 4 {
			p := s.p
			for len(p) >= 5 {
				n := int64(binary.LittleEndian.Uint32(p[1:]))
				if n == 0 || p[0] != 0 || n > int64(len(p)-5) {
					break
				}
				p = p[5+n:]
			}
			s.p = p
		}
		n, err := s.int()
		if err != nil || n == 0 {
			return err
		}
		if n < 0 {
			return fmt.Errorf("%w: a piece of data of %d bytes", ErrDamaged, n)
		}
		if err := s.skip(n); err != nil {
			return err
		}
	}
}
