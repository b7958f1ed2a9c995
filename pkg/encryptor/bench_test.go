package encryptor_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"io"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/encryptor"
)

const (
	chunkSize  = 1 << 20
	benchBytes = 128 << 20
	benchRuns  = 21
)

// BenchmarkSeal compares a Writer with the standard library's AES-GCM over the
// same chunks, both on one core, and then with all cores. Runs alternate, so that
// both see the same machine; what is reported are medians of the ratios of
// neighbouring runs.
//
//	ratio      speed of the Writer, given the same chunks, ÷ speed of AES-GCM, one core
//	pieces     the same, in pieces of 128 KiB, which are copied
//	readfrom   the same, by ReadFrom, the source's copy included
//	all-cores  speed of the Writer on all cores ÷ speed of AES-GCM on one
func BenchmarkSeal(b *testing.B) {
	plain := pattern(32 << 20)
	key := testKey(b, "a")
	cores := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(cores)
	var raw, chunks, pieces, readFrom, all []float64
	for b.Loop() {
		for range benchRuns {
			runtime.GOMAXPROCS(1)
			base := timed(func() { sealRaw(b, plain) })
			raw = append(raw, base)
			chunks = append(chunks, base/timed(func() { sealWrite(b, key, plain, chunkSize) }))
			pieces = append(pieces, base/timed(func() { sealWrite(b, key, plain, 128<<10) }))
			readFrom = append(readFrom, base/timed(func() { sealReadFrom(b, key, plain) }))
			runtime.GOMAXPROCS(cores)
			all = append(all, base/timed(func() { sealWrite(b, key, plain, len(plain)) }))
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(benchBytes/median(raw)/1e6, "MB/s-aesgcm")
	b.ReportMetric(median(chunks), "ratio")
	b.ReportMetric(median(pieces), "pieces")
	b.ReportMetric(median(readFrom), "readfrom")
	b.ReportMetric(median(all), "all-cores")
}

// BenchmarkOpen reports how fast a Reader opens what was sealed.
func BenchmarkOpen(b *testing.B) {
	key := testKey(b, "a")
	sealed := seal(b, pattern(32<<20), encryptor.WriterOptions{}, &key.PublicKey)
	b.SetBytes(int64(len(sealed)))
	for b.Loop() {
		r, err := encryptor.NewReader(bytes.NewReader(sealed), key)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func timed(f func()) float64 {
	runtime.GC()
	start := time.Now()
	f()
	return time.Since(start).Seconds()
}

func median(s []float64) float64 {
	s = slices.Sorted(slices.Values(s))
	return s[len(s)/2]
}

// sealRaw seals benchBytes, chunk by chunk from memory into one buffer.
func sealRaw(tb testing.TB, plain []byte) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		tb.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		tb.Fatal(err)
	}
	nonce, aad := make([]byte, aead.NonceSize()), make([]byte, 542)
	dst := make([]byte, 0, chunkSize+aead.Overhead())
	for done := 0; done < benchBytes; {
		for rest := plain; len(rest) > 0; rest = rest[chunkSize:] {
			aead.Seal(dst, nonce, rest[:chunkSize], aad)
			done += chunkSize
		}
	}
}

func sealReadFrom(tb testing.TB, key *rsa.PrivateKey, plain []byte) {
	w, err := encryptor.NewWriter(io.Discard, []*rsa.PublicKey{&key.PublicKey}, encryptor.WriterOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.ReadFrom(&repeated{plain: plain, left: benchBytes}); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
}

func sealWrite(tb testing.TB, key *rsa.PrivateKey, plain []byte, piece int) {
	w, err := encryptor.NewWriter(io.Discard, []*rsa.PublicKey{&key.PublicKey}, encryptor.WriterOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	for done := 0; done < benchBytes; done += piece {
		at := done % len(plain)
		if _, err := w.Write(plain[at : at+piece]); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
}

// repeated reads plain again and again.
type repeated struct {
	plain []byte
	at    int
	left  int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.left)], r.plain[r.at:])
	r.at = (r.at + n) % len(r.plain)
	r.left -= n
	return n, nil
}
