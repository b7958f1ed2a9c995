package pgarchive

import "fmt"

const (
	magic        = "PGDMP"
	formatCustom = 1

	minMinor = 10 // of version 1 of the format, the first that is read
	maxMinor = 16 // and the last
)

func (v *Verifier) readHeader() error {
	s, h := &v.src, &v.header
	var b [len(magic)]byte
	for i := range b { // byte by byte: what is no archive may be shorter
		c, err := s.byte()
		if err != nil {
			return err
		}
		if c != magic[i] {
			return ErrNotArchive
		}
	}
	var version [6]byte // major, minor, revision, sizes of an integer and an offset, format
	if err := s.full(version[:]); err != nil {
		return err
	}
	major, minor := int(version[0]), int(version[1])
	if major != 1 || minor < minMinor || minor > maxMinor {
		return fmt.Errorf("%w: %d.%d; 1.%d to 1.%d are known", ErrUnsupported, major, minor, minMinor, maxMinor)
	}
	s.intSize, s.offsetSize = int(version[3]), int(version[4])
	if s.intSize < 2 || s.intSize > 8 || s.offsetSize < 1 || s.offsetSize > 16 {
		return fmt.Errorf("%w: numbers of %d bytes, offsets of %d", ErrDamaged, s.intSize, s.offsetSize)
	}
	if version[5] != formatCustom {
		return fmt.Errorf("%w: it has format %d", ErrNotArchive, version[5])
	}
	if err := v.readCompression(minor); err != nil {
		return err
	}
	if err := s.ints(7); err != nil { // when it was made
		return err
	}
	for _, field := range []*string{&h.Database, &h.ServerVersion, &h.ToolVersion} {
		text, _, err := s.string(MaxString)
		if err != nil {
			return err
		}
		*field = text
	}
	h.Major, h.Minor, h.Revision = major, minor, int(version[2])
	return nil
}

// readCompression reads the algorithm (since 1.15) or the level of compression.
func (v *Verifier) readCompression(minor int) error {
	if minor >= 15 {
		algorithm, err := v.src.byte()
		v.header.Compressed = algorithm != 0
		return err
	}
	level, err := v.src.int()
	v.header.Compressed = level != 0
	return err
}
