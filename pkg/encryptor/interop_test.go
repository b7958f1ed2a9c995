package encryptor_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/dbacked/dbacked/pkg/encryptor"
)

// Files that a Writer makes open with an implementation that shares nothing
// with it.
func TestNodeOpensWhatIsSealed(t *testing.T) {
	tool(t, "node")
	a, b := testKey(t, "a"), testKey(t, "b")
	script := filepath.Join(vectors, "v1.mjs")
	check := func(t *testing.T, sealed, plain []byte, key string) {
		t.Helper()
		got, err := run(t, nil, "node", script, "open", inFile(t, sealed), filepath.Join(vectors, "v1", key+".private.pem"))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("key %s: %d bytes of %d, %v", key, len(got), len(plain), err)
		}
	}
	for _, n := range boundaries() {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			plain := pattern(n)
			check(t, seal(t, plain, encryptor.WriterOptions{}, &a.PublicKey), plain, "a")
			if n%chunkSize <= 1 {
				// One worker seals straight from what is written.
				check(t, seal(t, plain, encryptor.WriterOptions{Workers: 1}, &a.PublicKey), plain, "a")
				two := seal(t, plain, encryptor.WriterOptions{}, &a.PublicKey, &b.PublicKey)
				check(t, two, plain, "a")
				check(t, two, plain, "b")
			}
		})
	}
}

// And the other way round.
func TestOpensWhatNodeSealed(t *testing.T) {
	tool(t, "node")
	for _, n := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 2*chunkSize + 5} {
		sealed, err := run(t, pattern(n), "node", filepath.Join(vectors, "v1.mjs"), "seal",
			filepath.Join(vectors, "v1", "a.public.pem"), filepath.Join(vectors, "v1", "b.public.pem"))
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"a", "b"} {
			if plain, err := open(sealed, testKey(t, key)); err != nil || !bytes.Equal(plain, pattern(n)) {
				t.Errorf("%d bytes for %s: %v", n, key, err)
			}
		}
	}
}

// nodeLegacy is what the first agent did, in Node's own crypto.
const nodeLegacy = `
const crypto = require('crypto'), fs = require('fs'), zlib = require('zlib');
const file = fs.readFileSync(process.argv[1]), L = file.readUInt32LE(10);
if (file.subarray(0, 10).toString('latin1') !== 'DBACKED\x00\x05\x00') throw new Error('header');
const key = crypto.privateDecrypt(fs.readFileSync(process.argv[2]), file.subarray(14, 14 + L));
const d = crypto.createDecipheriv('aes-256-cbc', key, file.subarray(14 + L, 30 + L));
process.stdout.write(zlib.gunzipSync(Buffer.concat([d.update(file.subarray(30 + L)), d.final()])));
`

func TestNodeOpensLegacy(t *testing.T) {
	tool(t, "node")
	key := testKey(t, "a")
	for _, n := range boundaries() {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			var zipped bytes.Buffer
			z := gzip.NewWriter(&zipped)
			if _, err := z.Write(pattern(n)); err != nil {
				t.Fatal(err)
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			sealed := seal(t, zipped.Bytes(), encryptor.WriterOptions{Format: encryptor.Legacy}, &key.PublicKey)
			got, err := run(t, nil, "node", "-e", nodeLegacy, inFile(t, sealed), filepath.Join(vectors, "v1", "a.private.pem"))
			if err != nil || !bytes.Equal(got, pattern(n)) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}
