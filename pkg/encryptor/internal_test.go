package encryptor

import (
	"bytes"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

func smallKey(tb testing.TB) *rsa.PrivateKey {
	tb.Helper()
	text, err := os.ReadFile("testdata/vectors/v1/small.private.pem")
	if err != nil {
		tb.Fatal(err)
	}
	key, err := ParsePrivateKey(text, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// startAt makes a Writer and a Reader that are near the end of the index, where
// no test gets by itself.
func startAt(tb testing.TB, index uint64, w io.Writer) *Writer {
	tb.Helper()
	writer, err := NewWriter(w, []*rsa.PublicKey{&smallKey(tb).PublicKey}, WriterOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	writer.sealer.(*streamSealer).index = index
	return writer
}

func TestIndexHasAnEnd(t *testing.T) {
	key := smallKey(t)
	var file bytes.Buffer
	w := startAt(t, maxIndex-1, &file)
	if _, err := w.ReadFrom(bytes.NewReader(make([]byte, 2*chunkSize))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatalf("the last two chunks there can be: %v", err)
	}
	read := func(index uint64) error {
		r, err := NewReader(bytes.NewReader(file.Bytes()), key)
		if err != nil {
			t.Fatal(err)
		}
		r.opener.(*streamOpener).index = index
		_, err = io.Copy(io.Discard, r)
		return err
	}
	if err := read(maxIndex - 1); err != nil {
		t.Error(err)
	}
	if err := read(maxIndex + 1); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}

	w = startAt(t, maxIndex-1, io.Discard)
	if _, err := w.Write(make([]byte, 2*chunkSize+1)); err == nil {
		if err = w.Close(); err == nil {
			t.Error("sealed more chunks than there can be")
		}
	}
}

func TestHeaderReadsNotAByteMore(t *testing.T) {
	file := append([]byte("DBACKED\x01\x02\x03\x05\x00\x00\x00"), bytes.Repeat([]byte{7}, 5+ivSize+9)...)
	r := bytes.NewReader(file)
	raw, format, err := ReadHeader(r)
	if err != nil || format != V1 || !bytes.Equal(raw, file[:len(file)-9]) || r.Len() != 9 {
		t.Error(raw, format, err, r.Len())
	}
}

func TestFormatNames(t *testing.T) {
	if V1.String() != "1.0.0" || Legacy.String() != "0.5.0" {
		t.Error(V1, Legacy)
	}
}

// A key from elsewhere cannot ask for hours or gigabytes, and cannot panic.
func TestHostileKeyDerivation(t *testing.T) {
	salt := make([]byte, 8)
	for name, params := range map[string]any{
		"iterations":          pbkdf2Params{Salt: salt, Iterations: maxIterations + 1},
		"no iterations":       pbkdf2Params{Salt: salt},
		"negative iterations": pbkdf2Params{Salt: salt, Iterations: -1},
		"salt":                pbkdf2Params{Salt: make([]byte, maxSaltSize+1), Iterations: 1},
		"memory":              scryptParams{Salt: salt, N: 1 << 24, R: 8, P: 1},
		"parallel":            scryptParams{Salt: salt, N: 2, R: 1, P: 1 << 24},
		"work":                scryptParams{Salt: salt, N: 1 << 16, R: 16, P: 1 << 10},
		"overflow":            scryptParams{Salt: salt, N: 1 << 62, R: 1 << 62, P: 1 << 62},
		"zero":                scryptParams{Salt: salt},
		"not a power of two":  scryptParams{Salt: salt, N: 3, R: 1, P: 1},
	} {
		oid := oidPBKDF2()
		if _, ok := params.(scryptParams); ok {
			oid = oidScrypt()
		}
		text := encryptedPEM(t, oid, params, make([]byte, 16), make([]byte, 32))
		start := time.Now()
		_, err := ParsePrivateKey(text, func() ([]byte, error) { return []byte("x"), nil })
		if err == nil || errors.Is(err, ErrPassphrase) || time.Since(start) > 2*time.Second {
			t.Errorf("%s: %v after %v", name, err, time.Since(start))
		}
	}
	for name, sizes := range map[string][2]int{"iv": {8, 32}, "no data": {16, 0}, "half a block": {16, 24}} {
		params := pbkdf2Params{Salt: salt, Iterations: 1}
		text := encryptedPEM(t, oidPBKDF2(), params, make([]byte, sizes[0]), make([]byte, sizes[1]))
		if _, err := ParsePrivateKey(text, func() ([]byte, error) { return []byte("x"), nil }); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func encryptedPEM(tb testing.TB, kdf asn1.ObjectIdentifier, params any, iv, data []byte) []byte {
	tb.Helper()
	kdfID, err := algorithm(kdf, params)
	if err != nil {
		tb.Fatal(err)
	}
	cipherID, err := algorithm(pbesCiphers()[0].oid, iv)
	if err != nil {
		tb.Fatal(err)
	}
	id, err := algorithm(oidPBES2(), pbes2Params{KDF: kdfID, Cipher: cipherID})
	if err != nil {
		tb.Fatal(err)
	}
	der, err := asn1.Marshal(encryptedKey{Algorithm: id, Data: data})
	if err != nil {
		tb.Fatal(err)
	}
	return pemText("ENCRYPTED PRIVATE KEY", der)
}

func pemText(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
