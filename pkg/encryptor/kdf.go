package encryptor

import (
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // only to read old keys
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"hash"

	"golang.org/x/crypto/scrypt"
)

// What is written, and bounds on what is read: a key from elsewhere must not
// take minutes or gigabytes to be refused.
const (
	saltSize         = 16
	pbkdf2Iterations = 600_000
	maxIterations    = 10_000_000
	maxScryptMemory  = 256 << 20
	maxScryptWork    = 1 << 25 // N·r·p; openssl's default is 2^17
	maxSaltSize      = 1024
)

// kdf derives a cipher's key from a passphrase.
type kdf interface {
	derive(passphrase []byte, size int) ([]byte, error)
}

func oidPBKDF2() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12} }
func oidScrypt() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11} }

// oidHMAC is the identifier of HMAC with a hash: with 9, SHA-256.
func oidHMAC(n int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 2, n} }

func parseKDF(id pkix.AlgorithmIdentifier) (kdf, error) {
	switch {
	case id.Algorithm.Equal(oidPBKDF2()):
		return parsePBKDF2(id.Parameters.FullBytes)
	case id.Algorithm.Equal(oidScrypt()):
		return parseScrypt(id.Parameters.FullBytes)
	}
	return nil, errEncryption
}

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeySize    int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

func newPBKDF2(salt []byte) (pkix.AlgorithmIdentifier, kdf, error) {
	p := pbkdf2Params{
		Salt: salt, Iterations: pbkdf2Iterations,
		PRF: pkix.AlgorithmIdentifier{Algorithm: oidHMAC(9), Parameters: asn1.NullRawValue},
	}
	id, err := algorithm(oidPBKDF2(), p)
	return id, p, err
}

func parsePBKDF2(der []byte) (kdf, error) {
	var p pbkdf2Params
	if err := unmarshal(der, &p); err != nil {
		return nil, fmt.Errorf("read encrypted key: %w", err)
	}
	if p.Iterations < 1 || p.Iterations > maxIterations || len(p.Salt) > maxSaltSize {
		return nil, fmt.Errorf("it asks for %d iterations of PBKDF2: at most %d are made", p.Iterations, maxIterations)
	}
	if p.hash() == nil {
		return nil, errEncryption
	}
	return p, nil
}

func (p pbkdf2Params) hash() func() hash.Hash {
	if len(p.PRF.Algorithm) == 0 {
		return sha1.New
	}
	hashes := map[int]func() hash.Hash{
		7: sha1.New, 8: sha256.New224, 9: sha256.New,
		10: sha512.New384, 11: sha512.New, 12: sha512.New512_224, 13: sha512.New512_256,
	}
	for n, h := range hashes {
		if p.PRF.Algorithm.Equal(oidHMAC(n)) {
			return h
		}
	}
	return nil
}

func (p pbkdf2Params) derive(passphrase []byte, size int) ([]byte, error) {
	return pbkdf2.Key(p.hash(), string(passphrase), p.Salt, p.Iterations, size)
}

type scryptParams struct {
	Salt    []byte
	N, R, P int
	KeySize int `asn1:"optional"`
}

func parseScrypt(der []byte) (kdf, error) {
	var p scryptParams
	if err := unmarshal(der, &p); err != nil {
		return nil, fmt.Errorf("read encrypted key: %w", err)
	}
	if !p.bounded() {
		return nil, fmt.Errorf("it asks for scrypt with N=%d, r=%d, p=%d: at most %d MiB of memory are used for it", p.N, p.R, p.P, maxScryptMemory>>20)
	}
	return p, nil
}

func (p scryptParams) bounded() bool {
	const most = 1 << 24 // keeps the products below from overflowing
	if min(p.N, p.R, p.P) < 1 || max(p.N, p.R, p.P) > most || len(p.Salt) > maxSaltSize {
		return false
	}
	return int64(p.N)*int64(p.R) <= maxScryptMemory/128 && int64(p.R)*int64(p.P) <= maxScryptMemory/128 &&
		int64(p.N)*int64(p.R) <= maxScryptWork/int64(p.P)
}

func (p scryptParams) derive(passphrase []byte, size int) ([]byte, error) {
	return scrypt.Key(passphrase, p.Salt, p.N, p.R, p.P, size)
}
