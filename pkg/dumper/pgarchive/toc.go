package pgarchive

import (
	"fmt"
	"math/bits"
	"strconv"
)

const (
	maxID     = 1 << 26 // of an entry: 8 MiB of bits
	maxNamed  = 1 << 20 // bytes of names that are kept
	noData    = 3       // state of an offset: the entry has no data
	maxOffset = 2       // the other states are 1 and 2
)

func (v *Verifier) readTOC() error {
	n, err := v.src.int()
	if err != nil {
		return err
	}
	if n < 0 {
		return fmt.Errorf("%w: a table of contents of %d entries", ErrDamaged, n)
	}
	for range n {
		e, err := v.readEntry()
		if err != nil {
			return err
		}
		v.entries++
		if e.HasData {
			if err := v.toc.expect(&e); err != nil {
				return err
			}
		}
		if v.OnEntry != nil {
			v.OnEntry(e)
		}
	}
	return nil
}

// readEntry reads one entry. Its fields follow each other without any mark; some
// came in with a later version of the format.
func (v *Verifier) readEntry() (e Entry, err error) {
	s := &v.src
	id, err := s.int()
	if err != nil {
		return e, err
	}
	if id <= 0 || id > maxID {
		return e, fmt.Errorf("%w: an entry with the number %d", ErrDamaged, id)
	}
	e.ID = int(id)
	if err := s.ints(1); err != nil { // whether pg_dump had a function to dump it
		return e, err
	}
	if err := s.strings(2); err != nil { // the object's identity in the catalog
		return e, err
	}
	if e.Tag, _, err = s.string(MaxString); err != nil {
		return e, err
	}
	if e.Desc, _, err = s.string(MaxString); err != nil {
		return e, err
	}
	if err := v.readStatements(&e); err != nil {
		return e, err
	}
	if e.Dependencies, err = v.readDependencies(); err != nil {
		return e, err
	}
	e.HasData, err = v.readOffset()
	return e, err
}

// readStatements reads the section, the statements, and where the object lives.
func (v *Verifier) readStatements(e *Entry) (err error) {
	s, minor := &v.src, v.header.Minor
	if minor >= 11 { // section
		if err := s.ints(1); err != nil {
			return err
		}
	}
	limit := 0
	if v.KeepDefn != nil && v.KeepDefn(e.Desc, e.Tag) {
		limit = MaxDefn
	}
	if e.Defn, _, err = s.string(limit); err != nil {
		return err
	}
	if err := s.strings(1); err != nil { // the statement to drop it
		return err
	}
	e.Copy.at = v.position()
	if e.Copy.Statement, _, err = s.string(MaxString); err != nil {
		return err
	}
	if e.Namespace, _, err = s.string(MaxString); err != nil {
		return err
	}
	if err := s.strings(1); err != nil { // tablespace
		return err
	}
	if minor >= 14 { // access method
		if err := s.strings(1); err != nil {
			return err
		}
	}
	if minor >= 16 { // kind of relation
		if err := s.ints(1); err != nil {
			return err
		}
	}
	if e.Owner, _, err = s.string(MaxString); err != nil {
		return err
	}
	return s.strings(1) // WITH OIDS
}

// readDependencies reads the numbers of other entries, up to a null string, and
// keeps them if they are wanted.
func (v *Verifier) readDependencies() (ids []int, err error) {
	limit := 0
	if v.KeepDependencies {
		limit = MaxString
	}
	for {
		text, null, err := v.src.string(limit)
		if err != nil || null {
			return ids, err
		}
		if !v.KeepDependencies {
			continue
		}
		id, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("%w: a dependency on %q, which is no number", ErrDamaged, text)
		}
		ids = append(ids, id)
	}
}

// readOffset reads where in a file the data would be, if the entry has any.
func (v *Verifier) readOffset() (hasData bool, err error) {
	state, err := v.src.byte()
	if err != nil {
		return false, err
	}
	if state != noData && (state == 0 || state > maxOffset) {
		return false, fmt.Errorf("%w: an offset of state %d", ErrDamaged, state)
	}
	return state != noData, v.src.skip(int64(v.src.offsetSize))
}

// ledger knows which entries still wait for their data.
type ledger struct {
	due   []uint64 // one bit by number
	count int      // of entries with data
	left  int      // of those, without it so far
	named []named  // in order, as far as memory goes
	kept  int      // bytes in named
}

type named struct {
	id   int
	name string
}

func (l *ledger) expect(e *Entry) error {
	word, bit := e.ID/64, uint64(1)<<(e.ID%64)
	if word >= len(l.due) {
		l.due = append(l.due, make([]uint64, word+1-len(l.due))...)
	}
	if l.due[word]&bit != 0 {
		return fmt.Errorf("%w: two entries with the number %d", ErrDamaged, e.ID)
	}
	l.due[word] |= bit
	l.count++
	l.left++
	name := e.name()
	if cost := len(name) + 32; l.kept+cost <= maxNamed {
		l.named = append(l.named, named{e.ID, name})
		l.kept += cost
	}
	return nil
}

// settle notes that an entry has its data; false if it should not have any more.
func (l *ledger) settle(id int64) bool {
	word, bit := id/64, uint64(1)<<(id%64)
	if id <= 0 || word >= int64(len(l.due)) || l.due[word]&bit == 0 {
		return false
	}
	l.due[word] &^= bit
	l.left--
	return true
}

// first is the name of the first entry that waits for its data.
func (l *ledger) first() string {
	for _, n := range l.named {
		if l.due[n.id/64]&(1<<(n.id%64)) != 0 {
			return n.name
		}
	}
	for i, word := range l.due {
		if word != 0 {
			return fmt.Sprintf("entry %d", i*64+bits.TrailingZeros64(word))
		}
	}
	return ""
}

// name is what the entry of a number is called.
func (l *ledger) name(id int64) string {
	for _, n := range l.named {
		if int64(n.id) == id {
			return n.name
		}
	}
	return fmt.Sprintf("entry %d", id)
}
