package config

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mangled are ways in which PEM arrives.
func mangled(text string) map[string]string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return map[string]string{
		"as is": text, "no end of line": strings.TrimSpace(text), "CRLF": strings.ReplaceAll(text, "\n", "\r\n"),
		`literal \n`: strings.ReplaceAll(text, "\n", `\n`), `literal \r\n`: strings.ReplaceAll(text, "\n", `\r\n`),
		"blanks": strings.Join(lines, " "), "tabs": strings.Join(lines, "\t"), "indented": "  " + strings.Join(lines, "\n  "),
		"nothing between": strings.ReplaceAll(strings.Join(lines, ""), "-----MII", "----- MII"), "text around": "Bag\n" + text + "junk",
	}
}

func TestPEMIsRepaired(t *testing.T) {
	private, public := keyPEM(t)
	for name, text := range mangled(public) {
		c := mustLoad(t, setup{need: all, environ: with(minimal(t), varPublicKey, text)})
		if c.Keys.PublicKeys != public {
			t.Errorf("%s: got %q, want %q", name, c.Keys.PublicKeys, public)
		}
	}
	for name, text := range mangled(private) {
		c := mustLoad(t, setup{need: NeedPrivateKey, environ: map[string]string{varPrivateKey: text}})
		if c.Keys.PrivateKey.Reveal() != private {
			t.Errorf("%s: the private key changed", name)
		}
	}
}

// TestOldEncryptedPEMIsRepaired: its headers must stay lines, or openssl takes them for base64.
func TestOldEncryptedPEMIsRepaired(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	out, err := exec.Command("openssl", "genrsa", "-traditional", "-aes256", "-passout", "pass:pp", "-out", path, "1024").CombinedOutput()
	if err != nil {
		if os.Getenv("DBACKED_TEST_NO_SKIP") == "1" {
			t.Fatalf("openssl: %v: %s", err, out)
		}
		t.Skipf("openssl: %v: %s", err, out)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), "Proc-Type: 4,ENCRYPTED\nDEK-Info: ") {
		t.Fatalf("not the old form: %s", raw)
	}
	for name, text := range mangled(string(raw)) {
		if name == "nothing between" {
			continue // the headers cannot be told apart then
		}
		repaired, err := repairPEM(text)
		if err != nil || repaired != string(raw) {
			t.Errorf("%s: %v, got %s", name, err, repaired)
		}
	}
}

func TestPublicKeys(t *testing.T) {
	a, b, c := publicPEM(t), publicPEM(t), publicPEM(t)
	flags := Flags{SealFlags: SealFlags{PublicKey: []string{write(t, a+b, 0o644), c}}}
	got := mustLoad(t, setup{need: all, environ: minimal(t), flags: flags})
	if got.Keys.PublicKeys != a+b+c || got.Source("public-key") != "--public-key" || len(got.Warnings) != 0 {
		t.Errorf("%q from %s, %q", got.Keys.PublicKeys, got.Source("public-key"), got.Warnings)
	}
	got = mustLoad(t, setup{need: all, environ: with(minimal(t), varPublicKey, ""), envFile: "DBACKED_PUBLIC_KEY=\"" + a + b + "\"\n"})
	if got.Keys.PublicKeys != a+b {
		t.Errorf("%q", got.Keys.PublicKeys)
	}
	private, _ := keyPEM(t)
	for _, text := range []string{private, write(t, a+private, 0o600)} {
		wrong := problems(t, setup{need: all, environ: with(minimal(t), varPublicKey, text)})
		wantOne(t, wrong, "holds a private key, which must not be on the machine that makes backups")
	}
}

func TestPrivateKey(t *testing.T) {
	private, _ := keyPEM(t)
	path, pass := write(t, private, 0o600), write(t, "pp\n", 0o600)
	flags := Flags{OpenFlags: OpenFlags{PrivateKeyPath: path, PassphraseFile: pass}}
	for name, s := range map[string]setup{
		"flags":       {flags: flags},
		"environment": {environ: map[string]string{varPrivateKey: private, varPassphrase: "pp"}},
		"path":        {environ: map[string]string{varPrivateKey: path, varPassphrase: "pp"}},
		"files":       {envFile: "DBACKED_PRIVATE_KEY_FILE=" + path + "\nDBACKED_PRIVATE_KEY_PASSPHRASE_FILE=" + pass + "\n"},
	} {
		s.need = NeedPrivateKey
		c := mustLoad(t, s)
		if c.Keys.PrivateKey.Reveal() != private || c.Keys.Passphrase.Reveal() != "pp" || len(c.Warnings) != 0 {
			t.Errorf("%s: %+v", name, c)
		}
	}
	t.Chdir(filepath.Dir(path))
	c := mustLoad(t, setup{need: NeedPrivateKey, environ: map[string]string{varPrivateKey: "file"}})
	if c.Keys.PrivateKey.Reveal() != private {
		t.Error("a relative path in the environment was not read")
	}
	both := map[string]string{varPrivateKey: private, varPrivateKey + fileSuffix: path}
	got := problems(t, setup{need: NeedPrivateKey, environ: both})
	wantOne(t, got, "DBACKED_PRIVATE_KEY and DBACKED_PRIVATE_KEY_FILE (--private-key-path) are both given")
	if len(got) != 1 {
		t.Errorf("%q", got)
	}
	got = problems(t, setup{need: NeedPrivateKey})
	wantOne(t, got, "DBACKED_PRIVATE_KEY_FILE (--private-key-path) or DBACKED_PRIVATE_KEY is missing")
	got = problems(t, setup{need: NeedPrivateKey, flags: Flags{OpenFlags: OpenFlags{PrivateKeyPath: private}}})
	wantOne(t, got, "takes a file's path, not the key")
}

func FuzzRepairPEM(f *testing.F) {
	for _, text := range mangled("-----BEGIN PUBLIC KEY-----\nMIIBaGVsbG8=\n-----END PUBLIC KEY-----\n") {
		f.Add(text)
	}
	f.Add("-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\naGVsbG8=\n-----END A-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		once, err := repairPEM(text)
		if err != nil {
			return
		}
		twice, err := repairPEM(once)
		if err != nil || once != twice {
			t.Errorf("%q became %q, then %q, %v", text, once, twice, err)
		}
	})
}
