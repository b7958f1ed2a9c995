package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/encryptor"
)

// keyPair is one that this run makes.
type keyPair struct {
	private   []byte // PEM
	path      string // where it goes
	encrypted bool
}

// key settles the public key, or makes a pair.
func (w *wizard) key(ctx context.Context) error {
	d := w.draft
	if d.isService() {
		defer w.compareKeys()
	}
	if w.flags.NewPrivateKey != "" {
		return w.makeKeys(ctx)
	}
	if taken, err := w.projectKey(ctx); taken || err != nil {
		return err
	}
	return w.group(ctx, func(ctx context.Context) error {
		if d.values["DBACKED_PUBLIC_KEY"] == "" {
			if !w.asked {
				return &usageError{errors.New("the project of the service has no public key, and none is given here: --public-key (or --new-private-key) is missing")}
			}
			return w.makeKeys(ctx)
		}
		return w.readKey(d.values["DBACKED_PUBLIC_KEY"])
	}, question{
		variable: "DBACKED_PUBLIC_KEY", text: "Public key that encrypts, a PEM file (Enter makes a new pair)", clean: expand,
	})
}

// readKey takes a public key that exists.
func (w *wizard) readKey(given string) error {
	text, err := config.PublicKeyPEM(given)
	if err != nil {
		return err
	}
	keys, err := encryptor.ParsePublicKeys([]byte(text))
	if err != nil {
		return err
	}
	if w.draft.values["DBACKED_FORMAT"] == config.FormatLegacy && len(keys) > 1 {
		return errors.New("the former format takes exactly one public key")
	}
	w.publicPEM = text
	if filepath.IsAbs(given) && filepath.Dir(given) == w.configDirectory {
		w.publicPath = given // it is where the service can read it
	}
	for _, k := range keys {
		w.good("RSA, %d bits, %s", k.N.BitLen(), encryptor.Fingerprint(k))
	}
	return nil
}

// makeKeys makes a pair; it is written at the end.
func (w *wizard) makeKeys(ctx context.Context) error {
	path, err := w.privatePath(ctx)
	if err != nil {
		return err
	}
	k := keygenCommand{PassphraseFile: w.flags.PassphraseFile, NoPassphrase: w.flags.NoPassphrase}
	passphrase, err := k.passphrase(ctx, w.app)
	if err != nil {
		return err
	}
	w.say("  making an RSA key of 4096 bits …")
	key, private, err := makePair(passphrase)
	if err != nil {
		return err
	}
	w.keyPair = &keyPair{private: private, path: path, encrypted: len(passphrase) > 0}
	w.publicPEM = string(encryptor.MarshalPublicKey(&key.PublicKey))
	w.good("%s", encryptor.Fingerprint(&key.PublicKey))
	return nil
}

// privatePath settles where the new private key goes.
func (w *wizard) privatePath(ctx context.Context) (string, error) {
	typed := w.flags.NewPrivateKey
	for {
		if typed == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				home, _ = os.Getwd()
			}
			proposal := filepath.Join(home, "dbacked-"+w.draft.name+"-private.pem")
			if typed, err = w.ask(ctx, prompt("Where to put the private key, until you take it away from this machine", proposal)); err != nil {
				return "", err
			}
			if typed == "" {
				typed = proposal
			}
		}
		path, err := filepath.Abs(expand(typed))
		if err == nil {
			err = canBeMade(path)
		}
		if err == nil || !w.asked {
			return path, err
		}
		w.no(err)
		typed = ""
	}
}

// canBeMade sees that a file does not exist, and that it could.
func canBeMade(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return alreadyThere(path)
	}
	probe, err := os.CreateTemp(filepath.Dir(path), ".dbacked-init-*")
	if err != nil {
		return fmt.Errorf("no file can be made in %s: %w", filepath.Dir(path), errors.Unwrap(err))
	}
	_ = probe.Close()
	return os.Remove(probe.Name())
}

// privateWords say what the private key is, loudly.
func (w *wizard) privateWords() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nIMPORTANT: nothing but %s opens the backups of %s.\n", w.keyPair.path, w.draft.name)
	if !w.keyPair.encrypted {
		b.WriteString("It is NOT encrypted: whoever reads it can read every backup.\n")
	} else {
		b.WriteString("Without it and its passphrase no backup can be read, by anybody.\n")
	}
	b.WriteString("Copy it to a safe place that is not this machine, with the line DBACKED_TRUST= below, and delete it here.")
	return b.String()
}
