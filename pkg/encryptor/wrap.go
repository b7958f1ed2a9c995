package encryptor

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // what version 0 of the format prescribes
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
)

// minKeyBits is the least size of a key that a file is sealed for.
const minKeyBits = 2048

// oaepHash is the hash of RSA-OAEP, both of its uses, in a format.
func oaepHash(f Format) hash.Hash {
	if f == Legacy {
		return sha1.New() //nolint:gosec // OAEP does not need collision resistance
	}
	return sha256.New()
}

// wrapKey encrypts a file's key for each recipient.
func wrapKey(f Format, fileKey []byte, recipients []*rsa.PublicKey) ([]byte, error) {
	var field []byte
	for _, r := range recipients {
		wrapped, err := rsa.EncryptOAEP(oaepHash(f), rand.Reader, r, fileKey, nil)
		if err != nil {
			return nil, fmt.Errorf("encrypt the file's key for %s: %w", Fingerprint(r), err)
		}
		field = append(field, wrapped...)
	}
	return field, nil
}

// unwrapKey finds the file's key in the header: the first slice of the size of
// the private key's modulus that opens to 32 bytes.
func unwrapKey(h header, key *rsa.PrivateKey) ([]byte, error) {
	if h.format == V1 && key.N.BitLen() < minKeyBits {
		return nil, fmt.Errorf("%w: it has %d bits, and no file of this version is sealed for less than %d", ErrWrongKey, key.N.BitLen(), minKeyBits)
	}
	field, size := h.keyField(), key.Size()
	if len(field)%size != 0 {
		return nil, fmt.Errorf("%w: the file was sealed for keys of another size than its %d bits", ErrWrongKey, key.N.BitLen())
	}
	for ; len(field) > 0; field = field[size:] {
		fileKey, err := rsa.DecryptOAEP(oaepHash(h.format), nil, key, field[:size], nil)
		if err == nil && len(fileKey) == fileKeySize {
			return fileKey, nil
		}
	}
	return nil, fmt.Errorf("%w: the file was sealed for another one", ErrWrongKey)
}

// checkRecipients refuses keys that no reader of the format would find.
func checkRecipients(f Format, recipients []*rsa.PublicKey) error {
	if len(recipients) == 0 {
		return errors.New("no public key to encrypt for: give at least one")
	}
	if f == Legacy && len(recipients) != 1 {
		return fmt.Errorf("%d public keys: a file of the legacy format has exactly one recipient", len(recipients))
	}
	for _, r := range recipients {
		if r == nil {
			return errors.New("a public key is nil")
		}
		if bits := r.N.BitLen(); bits < minKeyBits {
			return fmt.Errorf("public key %s has %d bits: at least %d are needed", Fingerprint(r), bits, minKeyBits)
		}
		if r.Size() != recipients[0].Size() {
			return fmt.Errorf("public keys of %d and %d bits: all recipients of a file need keys of one size", recipients[0].N.BitLen(), r.N.BitLen())
		}
	}
	return nil
}
