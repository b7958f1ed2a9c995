package encryptor_test

import (
	"bytes"
	"crypto/rsa"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/dbacked/dbacked/pkg/encryptor"
)

func Example() {
	text, err := os.ReadFile("testdata/vectors/v1/a.private.pem")
	if err != nil {
		log.Fatal(err)
	}
	key, err := encryptor.ParsePrivateKey(text, nil)
	if err != nil {
		log.Fatal(err)
	}

	var file bytes.Buffer
	w, err := encryptor.NewWriter(&file, []*rsa.PublicKey{&key.PublicKey}, encryptor.WriterOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(w, strings.NewReader("the dump")); err != nil {
		w.Abort(err) // leaves a file that no reader takes for a whole one
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	r, err := encryptor.NewReader(&file, key)
	if err != nil {
		log.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		log.Fatal(err) // plain is then the start of the dump, and no more
	}
	fmt.Printf("%s\n", plain)
	// Output: the dump
}
