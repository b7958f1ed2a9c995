package encryptor_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/dbacked/dbacked/pkg/encryptor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	vectors    = "testdata/vectors"
	headerSize = 14 + 512 + 16 // with one recipient of 4096 bits
	tagSize    = 16
)

// boundaries are plaintext sizes around every edge of the format.
func boundaries() []int {
	sizes := []int{0, 1, 15, 16, 17, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1000, 3 * chunkSize, 3*chunkSize + 1}
	for chunks := 1; chunks <= 2; chunks++ {
		for _, d := range []int{-17, -16, -1, 0, 1, 15, 16, 17} {
			sizes = append(sizes, chunks*chunkSize+d)
		}
	}
	return sizes
}

// pattern is the plaintext of the vectors: see v1.mjs. It is not to be written to.
func pattern(n int) []byte {
	if all := longPattern(); n <= len(all) {
		return all[:n:n]
	}
	return makePattern(n)
}

var longPattern = sync.OnceValue(func() []byte { return makePattern(32 << 20) })

func makePattern(n int) []byte {
	out := make([]byte, 0, n+32)
	for i := uint32(0); len(out) < n; i++ {
		sum := sha256.Sum256(binary.LittleEndian.AppendUint32([]byte("dbacked"), i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

func readFile(tb testing.TB, elem ...string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{vectors}, elem...)...))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// testKey is a key of the vectors: a and b have 4096 bits, small has 2048.
func testKey(tb testing.TB, name string) *rsa.PrivateKey {
	tb.Helper()
	key, err := encryptor.ParsePrivateKey(readFile(tb, "v1", name+".private.pem"), nil)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func seal(tb testing.TB, plain []byte, o encryptor.WriterOptions, to ...*rsa.PublicKey) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := encryptor.NewWriter(&out, to, o)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func open(sealed []byte, key *rsa.PrivateKey) ([]byte, error) {
	r, err := encryptor.NewReader(bytes.NewReader(sealed), key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// tool finds a program that a test needs. Without it the test is skipped, or
// fails where nothing may be skipped.
func tool(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("DBACKED_TEST_NO_SKIP") == "1" {
		tb.Fatalf("needed here: %v", err)
	}
	tb.Skipf("%v", err)
	return ""
}

// run runs a program with a file's worth of input and returns its output.
func run(tb testing.TB, stdin []byte, name string, args ...string) ([]byte, error) {
	tb.Helper()
	var out, stderr bytes.Buffer
	cmd := exec.Command(tool(tb, name), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &stderr
	err := cmd.Run()
	if stderr.Len() > 0 {
		tb.Logf("%s: %s", filepath.Base(name), bytes.TrimSpace(stderr.Bytes()))
	}
	return out.Bytes(), err
}

// inFile keeps bytes in a file for a program that wants one.
func inFile(tb testing.TB, b []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "file")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}
