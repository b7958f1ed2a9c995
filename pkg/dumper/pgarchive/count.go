package pgarchive

import (
	"bytes"
	"fmt"
)

// copyEnd is what pg_dump writes after the rows of a COPY.
const copyEnd = "\\.\n\n\n"

// tally counts the rows of a table. Each row that COPY writes as text ends with a
// line break, and none has another: that holds however the rows are cut into
// pieces. pg_dump up to 18 writes a piece for each row, which is nothing that the
// format promises.
type tally struct {
	lines, bytes int64
	tail         []byte // the last bytes, as many as copyEnd has
	room         [2 * len(copyEnd)]byte
}

func (t *tally) add(p []byte) {
	t.lines += int64(bytes.Count(p, []byte{'\n'}))
	t.bytes += int64(len(p))
	if len(p) > len(copyEnd) {
		p = p[len(p)-len(copyEnd):]
	}
	t.tail = append(append(t.room[:0], t.tail...), p...)
	t.tail = t.tail[max(0, len(t.tail)-len(copyEnd)):]
}

func (t *tally) block(id int, compressed bool) Block {
	if compressed || string(t.tail) != copyEnd {
		return Block{ID: id, Rows: -1, Bytes: t.bytes}
	}
	return Block{ID: id, Rows: t.lines - int64(bytes.Count(t.tail, []byte{'\n'})), Bytes: t.bytes - int64(len(copyEnd))}
}

// countChunks is chunks, with what they hold counted.
func (s *source) countChunks(t *tally) error {
	for {
		n, err := s.int()
		if err != nil || n == 0 {
			return err
		}
		if n < 0 {
			return fmt.Errorf("%w: a piece of data of %d bytes", ErrDamaged, n)
		}
		for n > 0 {
			if err := s.fill(); err != nil {
				return err
			}
			piece := s.p[:min(n, int64(len(s.p)))]
			t.add(piece)
			s.p = s.p[len(piece):]
			n -= int64(len(piece))
		}
	}
}
