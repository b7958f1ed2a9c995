package encryptor_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/encryptor"
)

// vector is a line of v1/index.json.
type vector struct {
	File            string
	PrivateKey      string
	PlaintextBytes  int
	PlaintextSHA256 string
	Error           string
}

func index(tb testing.TB) []vector {
	tb.Helper()
	var all []vector
	if err := json.Unmarshal(readFile(tb, "v1", "index.json"), &all); err != nil {
		tb.Fatal(err)
	}
	if len(all) < 28 {
		tb.Fatalf("only %d vectors", len(all))
	}
	return all
}

// sentinels are the errors by the names that the vectors give them.
func sentinels() map[string]error {
	return map[string]error{
		"truncated":           encryptor.ErrTruncated,
		"damaged":             encryptor.ErrDamaged,
		"wrong private key":   encryptor.ErrWrongKey,
		"unsupported version": encryptor.ErrUnsupported,
		"not a dbacked file":  encryptor.ErrNotDbacked,
	}
}

// check says whether what a reader gave is what the vector wants, and that its
// error is no other one of the package's.
func (v vector) check(t *testing.T, plain []byte, err error) {
	t.Helper()
	if v.Error == "" {
		sum := sha256.Sum256(plain)
		if err != nil || hex.EncodeToString(sum[:]) != v.PlaintextSHA256 || len(plain) != v.PlaintextBytes {
			t.Errorf("got %d bytes, %x, %v", len(plain), sum, err)
		}
		return
	}
	for name, sentinel := range sentinels() {
		if errors.Is(err, sentinel) != (name == v.Error) {
			t.Errorf("want %s, got %v", v.Error, err)
		}
	}
}

func TestVectors(t *testing.T) {
	for _, v := range index(t) {
		t.Run(v.File, func(t *testing.T) {
			file := readFile(t, "v1", v.File)
			key, err := encryptor.ParsePrivateKey(readFile(t, "v1", v.PrivateKey), nil)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := open(file, key)
			v.check(t, plain, err)

			// The same, by WriteTo from a source that gives its end with its data.
			r, err := encryptor.NewReader(iotest.DataErrReader(bytes.NewReader(file)), key)
			var out bytes.Buffer
			if err == nil {
				_, err = r.WriteTo(&out)
			}
			v.check(t, out.Bytes(), err)
		})
	}
}

func TestLegacyVectors(t *testing.T) {
	keys := []string{"private.pem", "private_pkcs1_encrypted.pem", "private_pkcs8_encrypted.pem"}
	for _, name := range []string{"pg", "mysql"} {
		for _, keyFile := range keys {
			t.Run(filepath.Join(name, keyFile), func(t *testing.T) {
				key, err := encryptor.ParsePrivateKey(readFile(t, "legacy", keyFile), func() ([]byte, error) {
					return []byte("correct-horse"), nil
				})
				if err != nil {
					t.Fatal(err)
				}
				r, err := encryptor.NewReader(bytes.NewReader(readFile(t, "legacy", name+".dbacked")), key)
				if err != nil {
					t.Fatal(err)
				}
				if r.Format() != encryptor.Legacy {
					t.Errorf("format %v", r.Format())
				}
				z, err := gzip.NewReader(r)
				if err != nil {
					t.Fatal(err)
				}
				dump, err := io.ReadAll(z)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(readFile(t, "legacy", name+".dump"), dump); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// The key of the legacy vectors in its public form is the same key.
func TestLegacyVectorsPublicKey(t *testing.T) {
	private, err := encryptor.ParsePrivateKey(readFile(t, "legacy", "private.pem"), nil)
	if err != nil {
		t.Fatal(err)
	}
	public, err := encryptor.ParsePublicKeys(readFile(t, "legacy", "public.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if !public[0].Equal(&private.PublicKey) {
		t.Error("another key")
	}
}
