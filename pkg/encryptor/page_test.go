package encryptor_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/dbacked/dbacked/pkg/encryptor"
)

// The commands of the page on opening a backup without dbacked do what it says.
const page = "../../packaging/doc/open-without-dbacked.md"

// pageCode returns the commands of the page's section that holds a text.
func pageCode(t *testing.T, holding string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for paragraph := range strings.SplitSeq(string(text), "\n\n") {
		if strings.HasPrefix(paragraph, "    ") && strings.Contains(paragraph, holding) {
			return strings.ReplaceAll("\n"+paragraph, "\n    ", "\n")
		}
	}
	t.Fatalf("the page has no commands with %q", holding)
	return ""
}

// pageBackup makes a folder as the page describes, and returns the key that its
// manifest is signed by.
func pageBackup(t *testing.T) (dir, verifier string) {
	t.Helper()
	dir = t.TempDir()
	private, verifier, err := note.GenerateKey(rand.Reader, "dbacked")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	key := testKey(t, "small")
	packed, err := run(t, pattern(chunkSize), "zstd", "-c")
	if err != nil {
		t.Fatal(err)
	}
	file := seal(t, packed, encryptor.WriterOptions{}, &key.PublicKey)
	manifest := fmt.Sprintf("{\n  \"files\": [\n    {\"name\": \"0001.dbacked\", \"sha256\": \"%x\"}\n  ]\n}\n", sha256.Sum256(file))
	signed, err := note.Sign(&note.Note{Text: manifest}, signer)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"0001.dbacked": file, "manifest": signed} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, verifier
}

// bash runs commands in dir, with the script on the path as the page has it.
func bash(t *testing.T, dir, commands string) (string, error) {
	t.Helper()
	where, err := filepath.Abs(filepath.Dir(script))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tool(t, "bash"), "-o", "pipefail", "-c", commands)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+where+":/usr/bin:/bin")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestPage(t *testing.T) {
	needPython(t)
	tool(t, "zstd")
	dir, verifier := pageBackup(t)
	keyFile, err := filepath.Abs(filepath.Join(vectors, "v1", "small.private.pem"))
	if err != nil {
		t.Fatal(err)
	}
	sums := pageCode(t, "sha256sum --check")
	signature := strings.ReplaceAll(pageCode(t, "signature is good"), "dbacked+1234abcd+Ab…", verifier)
	whole := strings.ReplaceAll(pageCode(t, "zstd -t"), "key.pem", keyFile)
	check := func(commands, want string, good bool) {
		t.Helper()
		out, err := bash(t, dir, commands)
		if (err == nil) != good || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", commands, err, out)
		}
	}
	check(sums, "0001.dbacked: OK", true)
	check(signature, "signature is good", true)
	check(whole, "whole", true)
	check(strings.ReplaceAll(signature, verifier, strings.Replace(verifier, "+", "+0", 1)), "origin not proved", false)

	// One byte less in the file, one digit more in the manifest.
	change := func(name string, f func([]byte) []byte) {
		path := filepath.Join(dir, name)
		old, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f(old), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	change("0001.dbacked", func(b []byte) []byte { return b[:len(b)-1] })
	check(sums, "0001.dbacked: FAILED", false)
	check(whole, "damaged", false)
	change("manifest", func(b []byte) []byte { return bytes.Replace(b, []byte("0001"), []byte("00011"), 1) })
	check(signature, "InvalidSignature", false)
}
