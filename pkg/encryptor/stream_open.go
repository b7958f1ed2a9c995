package encryptor

import (
	"fmt"
	"io"
)

// streamOpener opens the chunks of version 1, each in place.
type streamOpener struct {
	stream stream
	blocks blocks
	index  uint64 // of the next chunk
	ended  bool   // the last chunk has been opened
}

func newStreamOpener(r io.Reader, h header, fileKey []byte) (*streamOpener, error) {
	st, err := newStream(h, fileKey)
	if err != nil {
		return nil, err
	}
	return &streamOpener{stream: st, blocks: newBlocks(r, chunkSize+tagSize)}, nil
}

func (o *streamOpener) next() ([]byte, error) {
	if o.ended {
		return nil, io.EOF
	}
	sealed, last, err := o.blocks.next()
	if err != nil {
		return nil, err
	}
	if len(sealed) < tagSize {
		return nil, fmt.Errorf("%w: chunk %d is missing", ErrTruncated, o.index)
	}
	if o.index > maxIndex {
		return nil, fmt.Errorf("%w: more chunks than a file can have", ErrDamaged)
	}
	plain, err := o.open(sealed, last)
	if err != nil {
		return nil, err
	}
	if last && len(plain) == 0 && o.index > 0 {
		return nil, fmt.Errorf("%w: an empty last chunk", ErrDamaged)
	}
	o.index++
	o.ended = last
	return plain, nil
}

func (o *streamOpener) open(sealed []byte, last bool) ([]byte, error) {
	dst := sealed[:0]
	wholeLast := last && len(sealed) == chunkSize+tagSize
	if wholeLast {
		// It may turn out to be a middle chunk after which the file was cut. A
		// failed attempt destroys what is at dst, so keep the chunk.
		dst = make([]byte, 0, chunkSize)
	}
	plain, err := o.stream.open(dst, sealed, o.index, last)
	if err == nil {
		return plain, nil
	}
	if wholeLast {
		if _, err := o.stream.open(dst, sealed, o.index, false); err == nil {
			return nil, fmt.Errorf("%w: the file ends after chunk %d, which is not the last", ErrTruncated, o.index)
		}
	}
	return nil, fmt.Errorf("%w: chunk %d does not authenticate", ErrDamaged, o.index)
}
