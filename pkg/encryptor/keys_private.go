package encryptor

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// generatedKeyBits is the size of the keys that GenerateKey makes.
const generatedKeyBits = 4096

// GenerateKey makes an RSA key of 4096 bits. It takes a second or so.
func GenerateKey() (*rsa.PrivateKey, error) {
	return rsa.GenerateKey(rand.Reader, generatedKeyBits)
}

// MarshalPrivateKey writes a private key as PEM that openssl reads: PKCS#8,
// encrypted with the passphrase (PBKDF2-HMAC-SHA256 with 600 000 iterations,
// AES-256-CBC). With an empty passphrase the key is written as it is.
func MarshalPrivateKey(key *rsa.PrivateKey, passphrase []byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write private key: %w", err)
	}
	if len(passphrase) == 0 {
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
	}
	if der, err = encryptPKCS8(der, passphrase); err != nil {
		return nil, fmt.Errorf("encrypt private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}), nil
}

// ParsePrivateKey reads the first private key in PEM text: PKCS#1 or PKCS#8,
// plain or encrypted, as openssl writes them. Of the encryptions it knows the
// old PEM one ("Proc-Type: 4,ENCRYPTED") and PBES2 with PBKDF2 or scrypt.
//
// passphrase is called once, and only if the key is encrypted; it may be nil.
// The passphrase is taken as it stands, a line end included. A wrong or missing
// one gives ErrPassphrase; an error of passphrase's own is returned wrapped.
func ParsePrivateKey(text []byte, passphrase func() ([]byte, error)) (*rsa.PrivateKey, error) {
	if len(text) > maxPEMSize {
		return nil, fmt.Errorf("private key: %d bytes are too many for PEM", len(text))
	}
	block, err := privateBlock(text)
	if err != nil {
		return nil, err
	}
	key, err := parsePrivateBlock(block, passphrase)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	if bits := key.N.BitLen(); bits > maxKeyBits {
		return nil, fmt.Errorf("private key: %d bits are too many: at most %d", bits, maxKeyBits)
	}
	return key, nil
}

// privateBlock finds the first block that holds a private key.
func privateBlock(text []byte) (*pem.Block, error) {
	var other string
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return block, nil
		}
		other = block.Type
	}
	if other != "" {
		return nil, fmt.Errorf("private key: what was given is a %s: give the private key", other)
	}
	return nil, errors.New("private key: no PEM block (-----BEGIN … PRIVATE KEY-----) in what was given")
}

func parsePrivateBlock(block *pem.Block, passphrase func() ([]byte, error)) (*rsa.PrivateKey, error) {
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY":
		return parseEncryptedPKCS8(block.Bytes, passphrase)
	case block.Type == "PRIVATE KEY":
		return parsePKCS8(block.Bytes)
	case block.Type != "RSA PRIVATE KEY":
		return nil, fmt.Errorf("%s is a kind that is not read here: give an RSA key as openssl writes it", block.Type)
	case x509.IsEncryptedPEMBlock(block): //nolint:staticcheck // old keys are like that
		return parseEncryptedPKCS1(block, passphrase)
	default:
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	}
}

func parsePKCS8(der []byte) (*rsa.PrivateKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it is a %T: an RSA key is needed", parsed)
	}
	return key, nil
}

func parseEncryptedPKCS1(block *pem.Block, passphrase func() ([]byte, error)) (*rsa.PrivateKey, error) {
	secret, err := ask(passphrase)
	if err != nil {
		return nil, err
	}
	der, err := x509.DecryptPEMBlock(block, secret) //nolint:staticcheck // see above
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, err
	}
	// One wrong passphrase in 256 gets past the padding, and gives noise.
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	return nil, ErrPassphrase
}

func parseEncryptedPKCS8(der []byte, passphrase func() ([]byte, error)) (*rsa.PrivateKey, error) {
	e, err := parsePBES2(der)
	if err != nil {
		return nil, err
	}
	secret, err := ask(passphrase)
	if err != nil {
		return nil, err
	}
	plain, err := e.decrypt(secret)
	if err != nil {
		return nil, err
	}
	if !isPKCS8(plain) {
		return nil, ErrPassphrase
	}
	return parsePKCS8(plain)
}

func ask(passphrase func() ([]byte, error)) ([]byte, error) {
	if passphrase == nil {
		return nil, fmt.Errorf("%w: it is encrypted and no passphrase was given", ErrPassphrase)
	}
	secret, err := passphrase()
	if err != nil {
		return nil, fmt.Errorf("ask for its passphrase: %w", err)
	}
	return secret, nil
}
