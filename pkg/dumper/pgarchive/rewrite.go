package pgarchive

import "encoding/binary"

// Before is a text that comes before a statement of an archive.
type Before struct {
	Copy Copy
	Text string
}

// Rewrite returns the head of the archive, up to HeadSize and what follows, with texts
// before some of its entries' statements, which are in the order of the entries. It may
// be called once the head is Ready; what follows the head need not be changed.
func (v *Verifier) Rewrite(head []byte, texts []Before) []byte {
	var out []byte
	done := int64(0)
	for _, t := range texts {
		at, size := t.Copy.at, int64(v.src.intSize)
		var length [8]byte
		copy(length[:], head[at+1:at+1+size])
		binary.LittleEndian.PutUint64(length[:], binary.LittleEndian.Uint64(length[:])+uint64(len(t.Text)))
		out = append(out, head[done:at+1]...) // with the sign
		out = append(out, length[:size]...)
		out = append(out, t.Text...)
		done = at + 1 + size
	}
	return append(out, head[done:]...)
}
