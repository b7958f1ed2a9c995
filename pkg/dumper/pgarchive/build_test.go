package pgarchive

import "bytes"

// build writes archives of any version, as pg_dump does.
type build struct {
	bytes.Buffer
	minor int
}

func (b *build) int(n int) {
	sign := byte(0)
	if n < 0 {
		sign, n = 1, -n
	}
	b.Write([]byte{sign, byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
}

func (b *build) str(s string) {
	b.int(len(s))
	b.WriteString(s)
}

func (b *build) null() { b.int(-1) }

func (b *build) header(entries int) {
	b.WriteString("PGDMP")
	b.Write([]byte{1, byte(b.minor), 0, 4, 8, 1})
	if b.minor >= 15 {
		b.WriteByte(0)
	} else {
		b.int(0)
	}
	for range 7 {
		b.int(3)
	}
	b.str("shop")
	b.str("15.18 (Debian)")
	b.str("15.17")
	b.int(entries)
}

func (b *build) entry(id int, desc, tag, defn string, state byte) {
	b.int(id)
	b.int(0)
	b.str("1259")
	b.str("16384")
	b.str(tag)
	b.str(desc)
	if b.minor >= 11 {
		b.int(2)
	}
	b.str(defn)
	b.str("DROP …")
	b.null()
	b.str("public")
	b.str("")
	if b.minor >= 14 {
		b.str("heap")
	}
	if b.minor >= 16 {
		b.int('r')
	}
	b.str("alice")
	b.str("false")
	b.str("12")
	b.str("13")
	b.null()
	b.WriteByte(state)
	b.Write(make([]byte, 8))
}

func (b *build) chunks(rows ...string) {
	for _, r := range rows {
		b.str(r)
	}
	b.int(0)
}

func (b *build) data(id int, rows ...string) {
	b.WriteByte(blockData)
	b.int(id)
	b.chunks(rows...)
}

// sample has a table with rows, one without any, and large objects.
func sample(minor int) []byte {
	b := &build{minor: minor}
	b.header(4)
	b.entry(5, "TABLE", "orders", "CREATE TABLE …", 3)
	b.entry(70, "TABLE DATA", "orders", "", 1)
	b.entry(71, "TABLE DATA", "empty", "", 2)
	b.entry(90, "BLOBS", "BLOBS", "", 1)
	b.data(70, "1\tone\n", "2\ttwo\n")
	b.data(71)
	b.WriteByte(blockBlobs)
	b.int(90)
	b.int(-5) // a number above 2³¹
	b.chunks("some bytes")
	b.int(77)
	b.chunks()
	b.int(0)
	return b.Bytes()
}
