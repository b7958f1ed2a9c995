package encryptor

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
)

// Sizes of the format, in bytes.
const (
	magic       = "DBACKED"
	fixedSize   = 14 // magic, version, length of the key field
	ivSize      = 16
	maxKeyField = 16384
	fileKeySize = 32 // AES-256
)

// Format is the way in which a file's payload is sealed.
type Format int

const (
	// V1 is authenticated, in chunks; see the package's documentation.
	V1 Format = iota
	// Legacy is what the first agents wrote. It is not authenticated.
	Legacy
)

// String returns the version that a file of this format carries: "1.0.0" or
// "0.5.0".
func (f Format) String() string {
	v := f.version()
	return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2])
}

func (f Format) version() [3]byte {
	if f == Legacy {
		return [3]byte{0, 5, 0}
	}
	return [3]byte{1, 0, 0}
}

// header is the start of a file, up to the payload.
type header struct {
	raw    []byte // all of it; the additional data of every chunk
	format Format
}

// keyField holds the file's key, once for each recipient.
func (h header) keyField() []byte { return h.raw[fixedSize : len(h.raw)-ivSize] }

func (h header) iv() []byte { return h.raw[len(h.raw)-ivSize:] }

// newHeader makes the header of a new file, with a fresh random IV.
func newHeader(f Format, keyField []byte) (header, error) {
	if len(keyField) > maxKeyField {
		return header{}, fmt.Errorf("too many recipients: their keys take %d bytes of at most %d; seal for fewer", len(keyField), maxKeyField)
	}
	version := f.version()
	raw := append([]byte(magic), version[:]...)
	raw = binary.LittleEndian.AppendUint32(raw, uint32(len(keyField)))
	raw = append(raw, keyField...)
	raw = append(raw, make([]byte, ivSize)...)
	h := header{raw: raw, format: f}
	_, err := rand.Read(h.iv())
	return h, err
}

// ReadHeader reads the header of a file, and not a byte more: r is left at the
// payload. It returns the header as it stands (at most 16 414 bytes), which two
// passes over one file can compare, and the file's format. It proves nothing:
// in version 1 a changed header shows when the payload is opened.
func ReadHeader(r io.Reader) (raw []byte, format Format, err error) {
	h, err := readHeader(r)
	return h.raw, h.format, err
}

func readHeader(r io.Reader) (header, error) {
	raw := make([]byte, fixedSize)
	if n, err := readFull(r, raw); err == io.EOF {
		return header{}, fmt.Errorf("%w: %d bytes are no whole header", ErrTruncated, n)
	} else if err != nil {
		return header{}, err
	}
	if string(raw[:len(magic)]) != magic {
		return header{}, fmt.Errorf("%w: it does not begin with %s", ErrNotDbacked, magic)
	}
	format, err := formatOf(raw[7])
	if err != nil {
		return header{}, err
	}
	length := binary.LittleEndian.Uint32(raw[10:])
	if length < 1 || length > maxKeyField {
		return header{}, fmt.Errorf("%w: a key field of %d bytes", ErrDamaged, length)
	}
	raw = append(raw, make([]byte, int(length)+ivSize)...)
	if n, err := readFull(r, raw[fixedSize:]); err == io.EOF {
		return header{}, fmt.Errorf("%w: the file ends after %d bytes of a header of %d", ErrTruncated, fixedSize+n, len(raw))
	} else if err != nil {
		return header{}, err
	}
	return header{raw: raw, format: format}, nil
}

func formatOf(major byte) (Format, error) {
	switch major {
	case 0:
		return Legacy, nil
	case 1:
		return V1, nil
	}
	return 0, fmt.Errorf("%w %d: this program reads files of versions 0 and 1; use a newer one", ErrUnsupported, major)
}
