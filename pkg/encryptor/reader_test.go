package encryptor_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/dbacked/dbacked/pkg/encryptor"
)

// A file cut anywhere is refused, and gives no byte of a chunk that is not whole.
func TestCutAnywhere(t *testing.T) {
	key := testKey(t, "a")
	plain := pattern(2*chunkSize + 5)
	sealed := seal(t, plain, encryptor.WriterOptions{}, &key.PublicKey)
	chunk := func(i int) int { return headerSize + i*(chunkSize+tagSize) }
	for _, c := range []struct {
		at    int
		whole int // chunks that come out
		want  error
	}{
		{0, 0, encryptor.ErrTruncated},
		{6, 0, encryptor.ErrTruncated},
		{13, 0, encryptor.ErrTruncated},
		{14, 0, encryptor.ErrTruncated},
		{headerSize - 1, 0, encryptor.ErrTruncated},
		{headerSize, 0, encryptor.ErrTruncated},
		{headerSize + 15, 0, encryptor.ErrTruncated},
		{headerSize + 16, 0, encryptor.ErrDamaged},
		{headerSize + 1000, 0, encryptor.ErrDamaged},
		{chunk(1) - 1, 0, encryptor.ErrDamaged},
		{chunk(1), 0, encryptor.ErrTruncated},
		{chunk(1) + 1, 1, encryptor.ErrTruncated},
		{chunk(1) + 15, 1, encryptor.ErrTruncated},
		{chunk(1) + 16, 1, encryptor.ErrDamaged},
		{chunk(2) - 1, 1, encryptor.ErrDamaged},
		{chunk(2), 1, encryptor.ErrTruncated},
		{chunk(2) + 1, 2, encryptor.ErrTruncated},
		{chunk(2) + 15, 2, encryptor.ErrTruncated},
		{chunk(2) + 16, 2, encryptor.ErrDamaged},
		{len(sealed) - 1, 2, encryptor.ErrDamaged},
	} {
		got, err := open(sealed[:c.at], key)
		if !errors.Is(err, c.want) {
			t.Errorf("cut at %d: %v, want %v", c.at, err, c.want)
		}
		if !bytes.Equal(got, plain[:c.whole*chunkSize]) {
			t.Errorf("cut at %d: %d bytes came out", c.at, len(got))
		}
	}
}

// A byte flipped anywhere is noticed, before its chunk comes out.
func TestFlippedBytes(t *testing.T) {
	key := testKey(t, "small")
	const header = 14 + 256 + 16
	plain := pattern(chunkSize + 100)
	sealed := seal(t, plain, encryptor.WriterOptions{}, &key.PublicKey)
	want := func(at int) []error {
		switch {
		case at < 7:
			return []error{encryptor.ErrNotDbacked}
		case at == 7: // to major 0: a legacy file whose key does not open
			return []error{encryptor.ErrWrongKey}
		case at < 10:
			return []error{encryptor.ErrDamaged}
		case at < 14: // the length of the key field
			return []error{encryptor.ErrDamaged, encryptor.ErrWrongKey, encryptor.ErrTruncated}
		case at < 14+256:
			return []error{encryptor.ErrWrongKey}
		}
		return []error{encryptor.ErrDamaged}
	}
	for at := 0; at < len(sealed); at += step(at, header, len(sealed)) {
		flipped := bytes.Clone(sealed)
		flipped[at] ^= 1
		got, err := open(flipped, key)
		if !slices.ContainsFunc(want(at), func(w error) bool { return errors.Is(err, w) }) {
			t.Errorf("byte %d: %v", at, err)
		}
		if len(got) > 0 && (at < header+chunkSize || !bytes.Equal(got, plain[:chunkSize])) {
			t.Errorf("byte %d: %d bytes came out", at, len(got))
		}
	}
}

// step goes through the header and the end byte by byte, and quickly between.
func step(at, header, size int) int {
	if at < header+20 || at > size-130 {
		return 1
	}
	return min(99_991, size-130-at+1)
}

func TestOrderOfErrors(t *testing.T) {
	key := testKey(t, "a")
	head := func(s string, n int) []byte { return append([]byte(s), make([]byte, n)...) }
	for name, c := range map[string]struct {
		file []byte
		want error
	}{
		"empty":                           {nil, encryptor.ErrTruncated},
		"13 bytes, wrong magic":           {head("NOTDBACKED", 3), encryptor.ErrTruncated},
		"14 bytes, wrong magic":           {head("NOTDBACKED", 4), encryptor.ErrNotDbacked},
		"wrong magic and major":           {head("DBACKEE\x09", 20), encryptor.ErrNotDbacked},
		"wrong major, length 0":           {head("DBACKED\x02", 6), encryptor.ErrUnsupported},
		"major 255":                       {head("DBACKED\xff", 600), encryptor.ErrUnsupported},
		"length 0, nothing after":         {head("DBACKED\x01", 6), encryptor.ErrDamaged},
		"length 0, legacy":                {head("DBACKED\x00", 6), encryptor.ErrDamaged},
		"length 16385":                    {[]byte("DBACKED\x01\x00\x00\x01\x40\x00\x00"), encryptor.ErrDamaged},
		"length 16384, nothing after":     {[]byte("DBACKED\x01\x00\x00\x00\x40\x00\x00"), encryptor.ErrTruncated},
		"key field of another size":       {append([]byte("DBACKED\x01\x00\x00\x01\x00\x00\x00"), make([]byte, 17)...), encryptor.ErrWrongKey},
		"key field of 0 bytes' worth key": {append([]byte("DBACKED\x01\x00\x00\x00\x02\x00\x00"), make([]byte, 512+16)...), encryptor.ErrWrongKey},
	} {
		_, err := encryptor.NewReader(bytes.NewReader(c.file), key)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := encryptor.NewReader(bytes.NewReader(nil), nil); err == nil {
		t.Error("opened without a key")
	}
}

// An error of the source is that error, and never one of the file's.
func TestSourceErrors(t *testing.T) {
	key := testKey(t, "small")
	for _, format := range []encryptor.Format{encryptor.V1, encryptor.Legacy} {
		sealed := seal(t, pattern(chunkSize+10), encryptor.WriterOptions{Format: format}, &key.PublicKey)
		for _, cause := range []error{errors.New("connection reset"), io.ErrUnexpectedEOF} {
			for _, at := range []int{0, 5, 14, 100, 286, 1000, 286 + chunkSize + 16, len(sealed) - 1, len(sealed)} {
				r, err := encryptor.NewReader(io.MultiReader(bytes.NewReader(sealed[:at]), iotest.ErrReader(cause)), key)
				if err == nil {
					_, err = io.ReadAll(r)
				}
				if !errors.Is(err, cause) {
					t.Errorf("%v, at %d: %v", format, at, err)
				}
				for name, sentinel := range sentinels() {
					if errors.Is(err, sentinel) {
						t.Errorf("%v, at %d: passes for %s", format, at, name)
					}
				}
			}
		}
	}
}

func TestErrorsStay(t *testing.T) {
	key := testKey(t, "a")
	sealed := seal(t, pattern(2*chunkSize+5), encryptor.WriterOptions{}, &key.PublicKey)
	sealed[headerSize+chunkSize+tagSize+3] ^= 1 // in the second chunk
	r, err := encryptor.NewReader(bytes.NewReader(sealed), key)
	if err != nil {
		t.Fatal(err)
	}
	plain, first := io.ReadAll(r)
	if len(plain) != chunkSize || !errors.Is(first, encryptor.ErrDamaged) {
		t.Fatal(len(plain), first)
	}
	for range 3 {
		if n, err := r.Read(make([]byte, 10)); n != 0 || err != first {
			t.Error(n, err)
		}
		if n, err := r.WriteTo(io.Discard); n != 0 || err != first {
			t.Error(n, err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Read(make([]byte, 10)); err != first {
		t.Error(err)
	}
}

func TestReaderClose(t *testing.T) {
	key := testKey(t, "small")
	r, err := encryptor.NewReader(bytes.NewReader(seal(t, pattern(100), encryptor.WriterOptions{}, &key.PublicKey)), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 10)); n != 0 || err == nil || err == io.EOF {
		t.Error(n, err)
	}
}

// A sink that fails is reported, and nothing is lost silently after it.
func TestWriteToFailingSink(t *testing.T) {
	key, cause := testKey(t, "small"), errors.New("psql is gone")
	sealed := seal(t, pattern(3*chunkSize), encryptor.WriterOptions{}, &key.PublicKey)
	r, err := encryptor.NewReader(bytes.NewReader(sealed), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.WriteTo(&brokenWriter{left: chunkSize, err: cause}); !errors.Is(err, cause) {
		t.Error(err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, cause) {
		t.Error(err)
	}
}

func TestReaderIsAReader(t *testing.T) {
	key := testKey(t, "small")
	plain := pattern(chunkSize + 3)
	for _, format := range []encryptor.Format{encryptor.V1, encryptor.Legacy} {
		r, err := encryptor.NewReader(bytes.NewReader(seal(t, plain, encryptor.WriterOptions{Format: format}, &key.PublicKey)), key)
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(r, plain); err != nil {
			t.Error(err)
		}
	}
}

func TestLegacyDamage(t *testing.T) {
	key := testKey(t, "small")
	const header = 14 + 256 + 16
	sealed := seal(t, pattern(100), encryptor.WriterOptions{Format: encryptor.Legacy}, &key.PublicKey)
	for at, want := range map[int]error{
		13:               encryptor.ErrTruncated,
		header - 1:       encryptor.ErrTruncated,
		header:           encryptor.ErrTruncated,
		header + 1:       encryptor.ErrTruncated,
		len(sealed) - 1:  encryptor.ErrTruncated,
		len(sealed) - 16: encryptor.ErrDamaged, // byte 95 of the pattern is no padding
	} {
		if _, err := open(sealed[:at], key); !errors.Is(err, want) {
			t.Errorf("cut at %d: %v, want %v", at, err, want)
		}
	}
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-17] ^= 0x80 // the last byte of the padding, by way of the chain
	if _, err := open(flipped, key); !errors.Is(err, encryptor.ErrDamaged) {
		t.Error(err)
	}
}
