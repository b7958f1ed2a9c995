package encryptor

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // only to read old keys
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
)

// Encrypted PKCS#8 (RFC 5958) with PBES2 (RFC 8018). The standard library has
// none; the ready packages know fewer kinds and do not bound their work.

var errEncryption = errors.New("it is encrypted in a way that is not read here; openssl pkcs8 -topk8 -v2 aes-256-cbc rewrites it")

type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2Params struct {
	KDF    pkix.AlgorithmIdentifier
	Cipher pkix.AlgorithmIdentifier
}

// pbes2 is an encrypted key, its parameters checked.
type pbes2 struct {
	kdf    kdf
	cipher pbesCipher
	iv     []byte
	data   []byte
}

// pbesCipher is a block cipher, used in CBC mode.
type pbesCipher struct {
	oid     asn1.ObjectIdentifier
	keySize int
	block   func(key []byte) (cipher.Block, error)
	size    int // of a block
}

func pbesCiphers() []pbesCipher {
	return []pbesCipher{
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, 32, aes.NewCipher, aes.BlockSize},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}, 24, aes.NewCipher, aes.BlockSize},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}, 16, aes.NewCipher, aes.BlockSize},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}, 24, des.NewTripleDESCipher, des.BlockSize},
	}
}

func oidPBES2() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13} }

// parsePBES2 reads an encrypted key without decrypting it, so that what cannot
// be decrypted is said before a passphrase is asked.
func parsePBES2(der []byte) (pbes2, error) {
	var e encryptedKey
	if err := unmarshal(der, &e); err != nil {
		return pbes2{}, fmt.Errorf("read encrypted key: %w", err)
	}
	if !e.Algorithm.Algorithm.Equal(oidPBES2()) {
		return pbes2{}, errEncryption
	}
	var params pbes2Params
	if err := unmarshal(e.Algorithm.Parameters.FullBytes, &params); err != nil {
		return pbes2{}, fmt.Errorf("read encrypted key: %w", err)
	}
	p := pbes2{data: e.Data}
	if err := p.findCipher(params.Cipher); err != nil {
		return pbes2{}, err
	}
	var err error
	p.kdf, err = parseKDF(params.KDF)
	return p, err
}

func (p *pbes2) findCipher(id pkix.AlgorithmIdentifier) error {
	for _, c := range pbesCiphers() {
		if !c.oid.Equal(id.Algorithm) {
			continue
		}
		if err := unmarshal(id.Parameters.FullBytes, &p.iv); err != nil {
			return fmt.Errorf("read encrypted key: %w", err)
		}
		if len(p.iv) != c.size || len(p.data) == 0 || len(p.data)%c.size != 0 {
			return errors.New("the encrypted key is damaged: its sizes do not fit its cipher")
		}
		p.cipher = c
		return nil
	}
	return errEncryption
}

// decrypt returns the key's DER. Padding that is wrong is a wrong passphrase;
// that it is right proves nothing.
func (p *pbes2) decrypt(passphrase []byte) ([]byte, error) {
	key, err := p.kdf.derive(passphrase, p.cipher.keySize)
	if err != nil {
		return nil, err
	}
	block, err := p.cipher.block(key)
	if err != nil {
		return nil, err
	}
	plain := bytes.Clone(p.data)
	cipher.NewCBCDecrypter(block, p.iv).CryptBlocks(plain, plain)
	plain, err = unpad(plain)
	if err != nil {
		return nil, ErrPassphrase
	}
	return plain, nil
}

// encryptPKCS8 encrypts a key's DER.
func encryptPKCS8(der, passphrase []byte) ([]byte, error) {
	random := make([]byte, saltSize+aes.BlockSize)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	salt, iv := random[:saltSize], random[saltSize:]
	kdfID, kdf, err := newPBKDF2(salt)
	if err != nil {
		return nil, err
	}
	c := pbesCiphers()[0]
	key, err := kdf.derive(passphrase, c.keySize)
	if err != nil {
		return nil, err
	}
	block, err := c.block(key)
	if err != nil {
		return nil, err
	}
	pad := c.size - len(der)%c.size
	data := append(bytes.Clone(der), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)

	cipherID, err := algorithm(c.oid, iv)
	if err != nil {
		return nil, err
	}
	id, err := algorithm(oidPBES2(), pbes2Params{KDF: kdfID, Cipher: cipherID})
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(encryptedKey{Algorithm: id, Data: data})
}

// isPKCS8 tells a decrypted key from noise.
func isPKCS8(der []byte) bool {
	var key struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte // attributes may follow, which are not looked at
	}
	return unmarshal(der, &key) == nil
}

func algorithm(oid asn1.ObjectIdentifier, params any) (pkix.AlgorithmIdentifier, error) {
	der, err := asn1.Marshal(params)
	return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: der}}, err
}

// unmarshal reads DER with nothing after it.
func unmarshal(der []byte, to any) error {
	rest, err := asn1.Unmarshal(der, to)
	if err == nil && len(rest) > 0 {
		err = errors.New("bytes after its end")
	}
	return err
}
