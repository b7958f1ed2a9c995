package catalog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const (
	keyName    = "dbacked"         // in the text of a signature; the key's hash tells instances apart
	signerFile = "signing-key"     // in the state folder, mode 0600
	ownFile    = "signing-key.pub" // its verifier key
)

// Signer signs the manifests of one instance.
type Signer struct {
	signer   note.Signer
	verifier string
}

// Verifier is the text that pins this signer where backups are restored:
// DBACKED_TRUST.
func (s *Signer) Verifier() string { return s.verifier }

// LoadOrCreateSigner returns the signer whose key lies in the state folder dir,
// and makes folder and key on first use, durably. Of several processes that do
// so at once, all get one key. A key that others may read is refused.
func LoadOrCreateSigner(dir string) (*Signer, error) {
	s, err := loadSigner(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeSigner(dir); err != nil {
			return nil, err
		}
		s, err = loadSigner(dir)
	}
	if err != nil {
		return nil, err
	}
	// For people and for restores by somebody else; it can be made again.
	own := filepath.Join(dir, ownFile)
	if text, err := os.ReadFile(own); err == nil && string(text) == s.verifier+"\n" {
		return s, nil
	}
	if err := write(own, s.verifier+"\n", 0o644, os.Rename); err != nil {
		return nil, stateError(err)
	}
	return s, nil
}

func makeSigner(dir string) error {
	if err := makeFolder(dir); err != nil {
		return stateError(err)
	}
	private, public, err := note.GenerateKey(rand.Reader, keyName)
	if err != nil {
		return fmt.Errorf("making a signing key: %w", err)
	}
	err = create(filepath.Join(dir, signerFile), private+"\n"+public+"\n", 0o600)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return stateError(err)
	}
	return nil
}

func loadSigner(dir string) (*Signer, error) {
	path := filepath.Join(dir, signerFile)
	info, err := os.Stat(path)
	if err != nil {
		return nil, stateError(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s may be read or written by others (mode %#o): if nobody did, chmod 0600 it; else remove it, and pin the new key wherever DBACKED_TRUST names the old one", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, stateError(err)
	}
	private, public, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	signer, err := note.NewSigner(private)
	if err != nil {
		return nil, fmt.Errorf("%s holds no signing key: restore it from a copy, or remove it and pin the new key wherever DBACKED_TRUST names the old one", path)
	}
	s := &Signer{signer: signer, verifier: public}
	if !s.fits() {
		return nil, fmt.Errorf("%s has a second line that is not the verifier key of the first: restore it from a copy", path)
	}
	return s, nil
}

// fits says whether the verifier key is the signer's.
func (s *Signer) fits() bool {
	v, err := note.NewVerifier(s.verifier)
	if err != nil {
		return false
	}
	signed, err := note.Sign(&note.Note{Text: "probe\n"}, s.signer)
	if err != nil {
		return false
	}
	_, err = note.Open(signed, Trust{v})
	return err == nil
}
