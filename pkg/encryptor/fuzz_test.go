package encryptor_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/dbacked/dbacked/pkg/encryptor"
)

// FuzzReader reads anything as a file: it gives an error of the package or opens,
// never panics, and gives nothing that was not sealed.
func FuzzReader(f *testing.F) {
	key := testKey(f, "small")
	plain := pattern(1000)
	sealed := seal(f, plain, encryptor.WriterOptions{}, &key.PublicKey)
	f.Add(sealed)
	f.Add(sealed[:300])
	f.Add(seal(f, nil, encryptor.WriterOptions{}, &key.PublicKey))
	f.Add(seal(f, plain, encryptor.WriterOptions{Format: encryptor.Legacy}, &key.PublicKey))
	f.Add([]byte("DBACKED\x01\x00\x00\x00\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := encryptor.NewReader(bytes.NewReader(file), key)
		if err != nil {
			known(t, err)
			return
		}
		got, err := io.ReadAll(r)
		known(t, err)
		if r.Format() == encryptor.V1 && len(got) > 0 && !bytes.Equal(got, plain) {
			t.Errorf("%d bytes that nobody sealed", len(got))
		}
	})
}

func known(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, sentinel := range sentinels() {
		if errors.Is(err, sentinel) {
			return
		}
	}
	t.Errorf("unnamed error %v", err)
}

// FuzzHeader reads anything as a header: what parses is what was there, and
// parses again to the same.
func FuzzHeader(f *testing.F) {
	f.Add(readFile(f, "v1", "empty.dbacked"))
	f.Add(readFile(f, "v1", "bad-major-version.dbacked"))
	f.Add(readFile(f, "legacy", "pg.dbacked"))
	f.Add([]byte("DBACKED\x01\x00\x00\x01\x00\x00\x000123456789abcdefg"))
	f.Fuzz(func(t *testing.T, file []byte) {
		raw, format, err := encryptor.ReadHeader(bytes.NewReader(file))
		if err != nil {
			known(t, err)
			return
		}
		if !bytes.HasPrefix(file, raw) || len(raw) > 14+16384+16 {
			t.Errorf("read %x of %x", raw, file)
		}
		again, format2, err := encryptor.ReadHeader(bytes.NewReader(raw))
		if err != nil || format2 != format || !bytes.Equal(again, raw) {
			t.Error(format2, err)
		}
	})
}

// FuzzPrivateKey reads anything as a key: no panic, no long wait.
func FuzzPrivateKey(f *testing.F) {
	for _, name := range []string{"private.pem", "private_pkcs1_encrypted.pem", "private_pkcs8_encrypted.pem", "public.pem"} {
		f.Add(readFile(f, "legacy", name))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := encryptor.ParsePrivateKey(text, given(passphrase))
		if err != nil {
			return
		}
		again, err := encryptor.MarshalPrivateKey(key, nil)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := encryptor.ParsePrivateKey(again, nil); err != nil || !back.Equal(key) {
			t.Error(err)
		}
	})
}
