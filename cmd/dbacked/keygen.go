package main

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/dbacked/dbacked/pkg/encryptor"
)

type keygenCommand struct {
	PrivateKeyPath string `name:"private-key-path" placeholder:"FILE" default:"dbacked-private.pem" help:"Where the private key goes (${default})."`
	PublicKeyPath  string `name:"public-key-path" placeholder:"FILE" default:"dbacked-public.pem" help:"Where the public key goes (${default})."`
	PassphraseFile string `name:"passphrase-file" placeholder:"FILE" xor:"passphrase" help:"File that holds the passphrase, instead of a question for it."`
	NoPassphrase   bool   `name:"no-passphrase" xor:"passphrase" help:"Leave the private key unencrypted: whoever reads the file can read every backup."`
}

// Help shows examples.
func (*keygenCommand) Help() string {
	return `The public key goes to the machine that makes backups (DBACKED_PUBLIC_KEY); the private key opens
them and belongs somewhere else. Without it no backup can be read, by anybody.

Examples:
  dbacked keygen
  dbacked keygen --passphrase-file passphrase.txt --private-key-path shop.pem --public-key-path shop.pub.pem`
}

func (k *keygenCommand) Run(ctx context.Context, a *app) error {
	for _, path := range []string{k.PrivateKeyPath, k.PublicKeyPath} {
		if _, err := os.Lstat(path); err == nil {
			return alreadyThere(path)
		}
	}
	passphrase, err := k.passphrase(ctx, a)
	if err != nil {
		return err
	}
	a.say("making an RSA key of 4096 bits …")
	key, private, err := makePair(passphrase)
	if err != nil {
		return err
	}
	if err := writeNew(k.PrivateKeyPath, private, 0o600); err != nil {
		return err
	}
	if err := writeNew(k.PublicKeyPath, encryptor.MarshalPublicKey(&key.PublicKey), 0o644); err != nil {
		os.Remove(k.PrivateKeyPath) // half a pair would only be in the way of the next try
		return err
	}
	if len(passphrase) == 0 {
		a.warn("the private key is NOT encrypted: whoever reads " + k.PrivateKeyPath + " can read every backup")
	}
	a.say("private key: %s  keep it, and its passphrase, away from this machine: nothing else opens the backups", k.PrivateKeyPath)
	a.say("public key:  %s  set DBACKED_PUBLIC_KEY to its path", k.PublicKeyPath)
	a.say("fingerprint: %s", encryptor.Fingerprint(&key.PublicKey))
	return nil
}

// passphrase returns what the private key is encrypted with; empty for nothing.
func (k *keygenCommand) passphrase(ctx context.Context, a *app) ([]byte, error) {
	switch {
	case k.NoPassphrase:
		return nil, nil
	case k.PassphraseFile != "":
		return passphraseFrom(k.PassphraseFile)
	case !a.asks:
		return nil, &usageError{fmt.Errorf("%w for a passphrase: use --passphrase-file, or --no-passphrase", errNoTerminal)}
	}
	for {
		first, err := a.askSecret(ctx, "Passphrase for the private key: ")
		if err != nil {
			return nil, err
		}
		if len(first) == 0 {
			a.say("an empty passphrase protects nothing; --no-passphrase makes a key without one")
			continue
		}
		second, err := a.askSecret(ctx, "Once more: ")
		if err != nil {
			return nil, err
		}
		if bytes.Equal(first, second) {
			return first, nil
		}
		a.say("the two differ; try again")
	}
}

// maxPassphrase bounds a passphrase file.
const maxPassphrase = 64 << 10

func passphraseFrom(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("passphrase: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPassphrase+1))
	if err != nil {
		return nil, fmt.Errorf("passphrase: %w", err)
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	switch {
	case len(text) > maxPassphrase:
		return nil, fmt.Errorf("passphrase: %s has more than %d bytes", path, maxPassphrase)
	case len(text) == 0:
		return nil, fmt.Errorf("passphrase: %s is empty; --no-passphrase makes a key without one", path)
	}
	return text, nil
}

// writeNew writes a file that must not exist yet.
func writeNew(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if errors.Is(err, fs.ErrExist) {
		return alreadyThere(path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(path)
	}
	return err
}

func alreadyThere(path string) error {
	return &refusedError{fmt.Errorf("%s exists already, and a key is never overwritten: move it away or choose another path", path)}
}

// makePair makes a key, and its PEM, which is encrypted unless the passphrase is
// empty.
func makePair(passphrase []byte) (key *rsa.PrivateKey, private []byte, err error) {
	if key, err = encryptor.GenerateKey(); err != nil {
		return nil, nil, err
	}
	private, err = encryptor.MarshalPrivateKey(key, passphrase)
	return key, private, err
}
