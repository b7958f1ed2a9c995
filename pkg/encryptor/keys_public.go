package encryptor

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Bounds on what is read as a key, so that a hostile file cannot hold a program
// up. The largest modulus is what a key field can hold one ciphertext of, and
// then some: 16 384 bits.
const (
	maxPEMSize = 256 << 10
	maxKeyBits = 16384
)

// ParsePublicKeys reads one or several public keys from PEM: "PUBLIC KEY" (SPKI,
// what openssl writes), "RSA PUBLIC KEY" (PKCS#1) and "CERTIFICATE" blocks. All
// must be RSA keys of one size, of at least 2048 bits. Text around the blocks is
// ignored. A private key among them is refused: it has no place on the machine
// that makes backups.
func ParsePublicKeys(text []byte) ([]*rsa.PublicKey, error) {
	if len(text) > maxPEMSize {
		return nil, fmt.Errorf("public key: %d bytes are too many for PEM", len(text))
	}
	var keys []*rsa.PublicKey
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		key, err := parsePublicBlock(block)
		if err != nil {
			return nil, fmt.Errorf("public key %d: %w", len(keys)+1, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("public key: no PEM block (-----BEGIN PUBLIC KEY-----) in what was given")
	}
	return keys, checkRecipients(V1, keys)
}

func parsePublicBlock(block *pem.Block) (*rsa.PublicKey, error) {
	if strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return nil, errors.New("this is a private key: give the public one (openssl pkey -pubout writes it)")
	}
	var parsed any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		parsed, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		parsed, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			parsed = cert.PublicKey
		}
	default:
		return nil, fmt.Errorf("a PEM block of type %q is none: PUBLIC KEY is", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", block.Type, err)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("it is a key for %T: an RSA key is needed (dbacked keygen makes one)", parsed)
	}
	if bits := key.N.BitLen(); bits > maxKeyBits {
		return nil, fmt.Errorf("%d bits are too many: at most %d", bits, maxKeyBits)
	}
	return key, nil
}

// MarshalPublicKey writes a public key as PEM that openssl reads ("PUBLIC KEY",
// SPKI).
func MarshalPublicKey(key *rsa.PublicKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki(key)})
}

// Fingerprint names a public key: the SHA-256 of its SPKI DER in hex, which
// openssl pkey -pubin -outform DER | sha256sum gives too.
func Fingerprint(key *rsa.PublicKey) string {
	sum := sha256.Sum256(spki(key))
	return hex.EncodeToString(sum[:])
}

// spki encodes a public key. For RSA keys that cannot fail.
func spki(key *rsa.PublicKey) []byte {
	der, _ := x509.MarshalPKIXPublicKey(key)
	return der
}
