package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Trust is the verifier keys whose signature proves a backup's origin. One key
// may be in it several times.
type Trust []note.Verifier

// ParseTrust reads verifier keys ("dbacked+7f3c2a01+Ab…").
func ParseTrust(keys []string) (Trust, error) {
	var t Trust
	for _, text := range keys {
		v, err := note.NewVerifier(text)
		if err != nil {
			return nil, fmt.Errorf("%q is no verifier key: one looks like dbacked+7f3c2a01+AbC…, and dbacked check prints it on the host that makes the backups", text)
		}
		t = append(t, v)
	}
	return t, nil
}

// OwnTrust is the key of this host's own instance, if the state folder dir has
// one that this user may read.
func OwnTrust(dir string) (Trust, error) {
	for _, name := range []string{signerFile, ownFile} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err != nil {
			return nil, stateError(err)
		}
		lines := strings.Fields(string(text))
		if len(lines) == 0 {
			continue
		}
		t, err := ParseTrust(lines[len(lines)-1:])
		if err != nil {
			// The line may be a private key: it is not shown.
			return nil, fmt.Errorf("%s holds no verifier key: restore it from a copy", filepath.Join(dir, name))
		}
		return t, nil
	}
	return nil, nil
}

// Verifier finds the keys of a name and hash; it makes Trust a note.Verifiers
// that does not mind a key being pinned twice.
func (t Trust) Verifier(name string, hash uint32) (note.Verifier, error) {
	var found anyOf
	for _, v := range t {
		if v.Name() == name && v.KeyHash() == hash {
			found = append(found, v)
		}
	}
	if len(found) == 0 {
		return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
	}
	return found, nil
}

// anyOf is keys of one name and hash, at least one.
type anyOf []note.Verifier

func (a anyOf) Name() string    { return a[0].Name() }
func (a anyOf) KeyHash() uint32 { return a[0].KeyHash() }

func (a anyOf) Verify(msg, sig []byte) bool {
	for _, v := range a {
		if v.Verify(msg, sig) {
			return true
		}
	}
	return false
}
