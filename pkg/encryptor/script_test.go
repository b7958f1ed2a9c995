package encryptor_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/encryptor"
)

// The script that opens backups without dbacked, by Debian's own Python.
const (
	script = "../../packaging/open-backup.py"
	python = "/usr/bin/python3"
)

// needPython skips where Python has no cryptography.
func needPython(t *testing.T) {
	t.Helper()
	err := exec.Command(python, "-c", "import cryptography").Run()
	if err == nil {
		return
	}
	if os.Getenv("DBACKED_TEST_NO_SKIP") == "1" {
		t.Fatalf("apt-get install python3-cryptography: %v", err)
	}
	t.Skipf("python3-cryptography: %v", err)
}

// runScript returns the script's output and what it said, with its exit status.
func runScript(t *testing.T, stdin io.Reader, args ...string) (out []byte, said string, status int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(python, append([]string{script}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return stdout.Bytes(), stderr.String(), cmd.ProcessState.ExitCode()
}

func TestScriptOpensVectors(t *testing.T) {
	needPython(t)
	for _, v := range index(t) {
		t.Run(v.File, func(t *testing.T) {
			t.Parallel()
			out, said, status := runScript(t, nil, filepath.Join(vectors, "v1", v.PrivateKey), filepath.Join(vectors, "v1", v.File))
			if v.Error == "" {
				v.check(t, out, nil)
				if status != 0 || said != "" {
					t.Error(status, said)
				}
				return
			}
			if status != 1 || !strings.HasPrefix(said, "open-backup: "+v.Error) {
				t.Errorf("exit status %d, want %s: %s", status, v.Error, said)
			}
		})
	}
}

func TestScriptOpensLegacyVectors(t *testing.T) {
	needPython(t)
	secret := inFile(t, []byte(passphrase+"\n"))
	for _, key := range []string{"private.pem", "private_pkcs1_encrypted.pem", "private_pkcs8_encrypted.pem"} {
		for _, name := range []string{"pg", "mysql"} {
			file := readFile(t, "legacy", name+".dbacked")
			out, said, status := runScript(t, bytes.NewReader(file), "--passphrase-file", secret, filepath.Join(vectors, "legacy", key))
			if status != 0 || !strings.HasPrefix(said, "warning: ") {
				t.Fatal(key, name, status, said)
			}
			z, err := gzip.NewReader(bytes.NewReader(out))
			if err != nil {
				t.Fatal(err)
			}
			if dump, err := io.ReadAll(z); err != nil || !bytes.Equal(dump, readFile(t, "legacy", name+".dump")) {
				t.Error(key, name, len(dump), err)
			}
		}
	}
}

func TestScriptOpensWhatIsSealed(t *testing.T) {
	needPython(t)
	key := testKey(t, "small")
	for _, format := range []encryptor.Format{encryptor.V1, encryptor.Legacy} {
		for _, n := range []int{0, 1, 16, chunkSize - 1, chunkSize, chunkSize + 1, 2 * chunkSize, 2*chunkSize + 5} {
			t.Run(fmt.Sprint(format, n), func(t *testing.T) {
				t.Parallel()
				sealed := seal(t, pattern(n), encryptor.WriterOptions{Format: format}, &key.PublicKey)
				out, said, status := runScript(t, bytes.NewReader(sealed), filepath.Join(vectors, "v1", "small.private.pem"))
				if status != 0 || !bytes.Equal(out, pattern(n)) {
					t.Error(len(out), said, status)
				}
				_, said, status = runScript(t, bytes.NewReader(sealed[:len(sealed)-1]), filepath.Join(vectors, "v1", "small.private.pem"))
				if status != 1 || said == "" {
					t.Error("cut by a byte:", status, said)
				}
			})
		}
	}
}

// The keys that keygen writes open with the script, and a wrong passphrase is
// told from damage.
func TestScriptReadsEncryptedKeys(t *testing.T) {
	needPython(t)
	key := testKey(t, "small")
	text, err := encryptor.MarshalPrivateKey(key, []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	keyFile := inFile(t, text)
	sealed := seal(t, pattern(100), encryptor.WriterOptions{}, &key.PublicKey)
	out, said, status := runScript(t, bytes.NewReader(sealed), "--passphrase-file", inFile(t, []byte(passphrase)), keyFile)
	if status != 0 || !bytes.Equal(out, pattern(100)) {
		t.Error(status, said)
	}
	out, said, status = runScript(t, bytes.NewReader(sealed), "--passphrase-file", inFile(t, []byte("wrong")), keyFile)
	if status != 1 || len(out) > 0 || !strings.Contains(said, "wrong passphrase") {
		t.Error(status, said)
	}
	_, said, status = runScript(t, bytes.NewReader(sealed), filepath.Join(vectors, "v1", "a.public.pem"))
	if status != 1 || strings.Contains(said, "Traceback") {
		t.Error(status, said)
	}
}
