package encryptor_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/encryptor"
)

const passphrase = "correct-horse"

func given(s string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(s), nil }
}

// What MarshalPrivateKey writes is read by openssl and by ourselves.
func TestOpensslReadsPrivateKeys(t *testing.T) {
	key := testKey(t, "small")
	for _, secret := range []string{passphrase, "é ü\t☃", ""} {
		text, err := encryptor.MarshalPrivateKey(key, []byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		if encrypted := bytes.Contains(text, []byte("ENCRYPTED")); encrypted != (secret != "") {
			t.Errorf("encrypted: %v with passphrase %q", encrypted, secret)
		}
		public, err := run(t, text, "openssl", "pkey", "-passin", "pass:"+secret, "-pubout")
		if err != nil || !bytes.Equal(public, encryptor.MarshalPublicKey(&key.PublicKey)) {
			t.Errorf("openssl: %v\n%s", err, public)
		}
		back, err := encryptor.ParsePrivateKey(text, given(secret))
		if err != nil || !back.Equal(key) {
			t.Error(err)
		}
	}
}

// What openssl writes, in every way that its users meet, is read by us.
func TestReadsOpensslKeys(t *testing.T) {
	key := testKey(t, "small")
	plain, err := encryptor.MarshalPrivateKey(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"pkcs8 -topk8 -passout pass:correct-horse",
		"pkcs8 -topk8 -v2 aes-128-cbc -passout pass:correct-horse",
		"pkcs8 -topk8 -v2 aes-192-cbc -v2prf hmacWithSHA1 -passout pass:correct-horse",
		"pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA224 -passout pass:correct-horse",
		"pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA384 -iter 5000 -passout pass:correct-horse",
		"pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA512 -passout pass:correct-horse",
		"pkcs8 -topk8 -v2 des3 -passout pass:correct-horse",
		"pkcs8 -topk8 -scrypt -passout pass:correct-horse",
		"pkcs8 -topk8 -scrypt -scrypt_N 1024 -scrypt_r 4 -scrypt_p 2 -passout pass:correct-horse",
		"rsa -traditional -aes256 -passout pass:correct-horse",
		"rsa -traditional -aes128 -passout pass:correct-horse",
		"rsa -traditional -des3 -passout pass:correct-horse",
		"rsa -traditional",
		"rsa -aes256 -passout pass:correct-horse",
		"pkcs8 -topk8 -nocrypt",
		"pkey -text", // with text before the block
	} {
		t.Run(args, func(t *testing.T) {
			text, err := run(t, plain, "openssl", strings.Fields(args)...)
			if err != nil {
				t.Fatal(err)
			}
			asked := 0
			got, err := encryptor.ParsePrivateKey(text, func() ([]byte, error) { asked++; return []byte(passphrase), nil })
			if err != nil || !got.Equal(key) {
				t.Fatal(err)
			}
			encrypted := strings.Contains(args, "passout")
			if (asked == 1) != encrypted || asked > 1 {
				t.Errorf("asked %d times", asked)
			}
			if !encrypted {
				return
			}
			for _, wrong := range []func() ([]byte, error){nil, given("correct-hors"), given("")} {
				if _, err := encryptor.ParsePrivateKey(text, wrong); !errors.Is(err, encryptor.ErrPassphrase) {
					t.Errorf("wrong passphrase: %v", err)
				}
			}
		})
	}
}

// Wrong passphrases whose padding happens to fit are wrong passphrases too: one
// in 256 is, so some of these are.
func TestWrongPassphraseNeverGivesAnotherError(t *testing.T) {
	for _, name := range []string{"private_pkcs1_encrypted.pem", "private_pkcs8_encrypted.pem"} {
		text := readFile(t, "legacy", name)
		for i := range 1500 {
			_, err := encryptor.ParsePrivateKey(text, given(strings.Repeat("x", i+1)))
			if !errors.Is(err, encryptor.ErrPassphrase) {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

func TestPassphraseErrorIsKept(t *testing.T) {
	cause := errors.New("no terminal to ask on")
	_, err := encryptor.ParsePrivateKey(readFile(t, "legacy", "private_pkcs8_encrypted.pem"), func() ([]byte, error) { return nil, cause })
	if !errors.Is(err, cause) {
		t.Error(err)
	}
}

func TestPrivateKeysThatAreNone(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	for want, text := range map[string][]byte{
		"no PEM block":    []byte("hello"),
		"give the priv":   readFile(t, "legacy", "public.pem"),
		"OPENSSH PRIVATE": pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: []byte{1}}),
		"an RSA key is":   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"private key: ":   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der[:50]}),
		"too many":        bytes.Repeat([]byte{'\n'}, 1<<20),
		"encrypted key":   pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}),
	} {
		if _, err := encryptor.ParsePrivateKey(text, given("x")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	pbe1, err := run(t, readFile(t, "legacy", "private.pem"), "openssl", "pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES", "-passout", "pass:x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := encryptor.ParsePrivateKey(pbe1, given("x")); err == nil || !strings.Contains(err.Error(), "openssl pkcs8 -topk8") {
		t.Error(err)
	}
}

func TestPublicKeys(t *testing.T) {
	a, b := &testKey(t, "a").PublicKey, &testKey(t, "b").PublicKey
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(b)})
	text := append([]byte("# mine\n"), encryptor.MarshalPublicKey(a)...)
	text = append(append(text, pkcs1...), certificate(t, testKey(t, "a"))...)
	keys, err := encryptor.ParsePublicKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 3 || !keys[0].Equal(a) || !keys[1].Equal(b) || !keys[2].Equal(a) {
		t.Error(len(keys))
	}
	if got := readFile(t, "v1", "a.public.pem"); !bytes.Equal(got, encryptor.MarshalPublicKey(a)) {
		t.Errorf("node wrote it as\n%s", got)
	}
}

func certificate(tb testing.TB, key *rsa.PrivateKey) []byte {
	tb.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestPublicKeysThatAreNone(t *testing.T) {
	public := func(key any) []byte {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tiny, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	huge := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 20000), E: 65537}
	huge.N.Add(huge.N, big.NewInt(1))
	for want, text := range map[string][]byte{
		"no PEM block":  []byte("/etc/dbacked/key.pem"),
		"private key":   readFile(t, "v1", "a.private.pem"),
		"RSA key is":    public(&curve.PublicKey),
		"at least 2048": public(&tiny.PublicKey),
		"one size":      append(readFile(t, "v1", "a.public.pem"), readFile(t, "legacy", "public.pem")...),
		"type":          pem.EncodeToMemory(&pem.Block{Type: "PGP PUBLIC KEY", Bytes: []byte{1}}),
		"read PUBLIC":   pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{1}}),
		"bits are too":  public(huge),
		"too many":      bytes.Repeat([]byte{'\n'}, 1<<20),
	} {
		if _, err := encryptor.ParsePublicKeys(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func TestFingerprint(t *testing.T) {
	key := &testKey(t, "a").PublicKey
	der, err := run(t, encryptor.MarshalPublicKey(key), "openssl", "pkey", "-pubin", "-outform", "DER")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := run(t, der, "sha256sum")
	if err != nil || !strings.HasPrefix(string(sum), encryptor.Fingerprint(key)+" ") {
		t.Errorf("%s, %v", sum, err)
	}
}

func TestGenerateKey(t *testing.T) {
	key, err := encryptor.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if key.N.BitLen() != 4096 || key.Validate() != nil {
		t.Error(key.N.BitLen())
	}
}
