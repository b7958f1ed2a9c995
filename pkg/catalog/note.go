package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// maxManifest bounds a signed manifest, in bytes. One of MaxFiles files has
// room in it.
const maxManifest = 4 << 20

// Encode returns m as a signed note.
func Encode(m *Manifest, signer *Signer) ([]byte, error) {
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("manifest of backup %s: %w", m.ID, err)
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("manifest of backup %s: %w", m.ID, err)
	}
	signed, err := note.Sign(&note.Note{Text: string(text) + "\n"}, signer.signer)
	if err != nil {
		return nil, fmt.Errorf("signing the manifest of backup %s: %w", m.ID, err)
	}
	if len(signed) > maxManifest {
		return nil, fmt.Errorf("manifest of backup %s: it has more than %d bytes", m.ID, maxManifest)
	}
	return signed, nil
}

// Decode reads a manifest of at most 4 MiB. Its second result is nil only if a
// key of trust signed it; else it says why nothing proves its origin, and the
// manifest is what it claims to be, or nil if it cannot be read at all
// ([ErrGarbage]).
func Decode(data []byte, trust Trust) (*Manifest, error) {
	if len(data) > maxManifest {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrGarbage, maxManifest)
	}
	text, proof := open(data, trust)
	m := new(Manifest)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	return m, proof
}

// open returns a note's text and whether it is proved.
func open(data []byte, trust Trust) ([]byte, error) {
	n, err := note.Open(data, trust)
	if err == nil {
		return []byte(n.Text), nil
	}
	if unknown, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		return []byte(unknown.Note.Text), fmt.Errorf("%w (%s)", ErrUntrusted, signedBy(unknown.Note))
	}
	text, signed := data, false
	if i := bytes.LastIndex(data, []byte("\n\n")); i >= 0 {
		// What cannot be read as a signature has been one, if anything stands there.
		text, signed = data[:i+1], len(bytes.TrimSpace(data[i:])) > 0
	}
	if signed {
		return text, ErrAltered
	}
	return text, ErrUnsigned
}

// signedBy names the keys that claim a note.
func signedBy(n *note.Note) string {
	var names []string
	for _, s := range n.UnverifiedSigs {
		names = append(names, fmt.Sprintf("%q", fmt.Sprintf("%s+%08x", s.Name, s.Hash)))
	}
	return strings.Join(names[:min(len(names), 3)], ", ")
}
