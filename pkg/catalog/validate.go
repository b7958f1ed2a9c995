package catalog

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

const (
	maxRecipients = 1_000
	maxText       = 1 << 10 // bytes of a text field
	maxBytes      = 1 << 48 // of a file; so the sum over all files fits an int64
)

var (
	filePattern        = regexp.MustCompile(`^[0-9]{4,6}\.dbacked$`)
	instancePattern    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)
	compressionPattern = regexp.MustCompile(`^[a-z0-9]{1,16}(:[0-9]{1,2})?$`)
	formatPattern      = regexp.MustCompile(`^[01]\.[0-9]{1,3}\.[0-9]{1,3}$`)
	sumPattern         = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

var (
	engines = []string{"postgresql", "mysql", "mariadb"}
	kinds   = []string{KindGlobals, KindDump, KindSchema, KindData, KindContents}
)

// validate checks every field: names of files become paths, sizes are summed,
// texts are printed. Times are not compared with each other, as a clock that
// was set back meanwhile does not make a backup worse.
func (m *Manifest) validate() error {
	switch {
	case m.Version < LayoutFiles || m.Version > LayoutSplit:
		return fmt.Errorf("it has layout version %d, and this dbacked knows %d to %d: use a newer one", m.Version, LayoutFiles, LayoutSplit)
	case !instancePattern.MatchString(m.Instance):
		return fmt.Errorf("%q is no instance's name", m.Instance)
	case !slices.Contains(engines, m.Engine):
		return fmt.Errorf("%q is no database engine that this dbacked knows", m.Engine)
	case !compressionPattern.MatchString(m.Compression):
		return fmt.Errorf("%q is no compression", m.Compression)
	case m.Started.IsZero() || m.Finished.IsZero():
		return errors.New("it does not say when it was made")
	}
	for _, check := range []func() error{m.validateIDs, m.validateTexts, m.validateRecipients, m.validateFiles} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manifest) validateIDs() error {
	if _, err := ParseID(m.ID); err != nil {
		return err
	}
	if m.Previous == "" {
		return nil
	}
	_, err := ParseID(m.Previous)
	return err
}

// validateTexts bounds the texts. A database's name may hold anything, a line
// break too: quote it before it is printed.
func (m *Manifest) validateTexts() error {
	if m.Database == "" || len(m.Database) > maxText {
		return errors.New("it names no database, or one with too long a name")
	}
	for what, text := range map[string]string{
		"server version": m.ServerVersion, "tool version": m.ToolVersion, "agent id": m.AgentID, "agent version": m.AgentVersion,
	} {
		if len(text) > maxText || strings.ContainsFunc(text, unicode.IsControl) {
			return fmt.Errorf("its %s is too long or holds control characters", what)
		}
	}
	return nil
}

func (m *Manifest) validateRecipients() error {
	if len(m.Recipients) == 0 || len(m.Recipients) > maxRecipients {
		return fmt.Errorf("it names %d public keys", len(m.Recipients))
	}
	for _, r := range m.Recipients {
		if !sumPattern.MatchString(r) {
			return fmt.Errorf("%q is no key's fingerprint", r)
		}
	}
	return nil
}

func (m *Manifest) validateFiles() error {
	if len(m.Files) > MaxFiles {
		return fmt.Errorf("it has %d files", len(m.Files))
	}
	seen, streams := map[string]bool{}, map[string]int{}
	for i, f := range m.Files {
		if err := f.validate(i); err != nil {
			return err
		}
		if seen[f.Name] {
			return fmt.Errorf("it has the file %s twice", f.Name)
		}
		if err := m.validateChain(i); err != nil {
			return err
		}
		seen[f.Name] = true
		if !f.Continues {
			streams[f.Kind]++
		}
	}
	return m.validateStreams(streams)
}

// validateStreams checks what the files are together: how many files, or chains
// of them, there are of each kind.
func (m *Manifest) validateStreams(streams map[string]int) error {
	split := streams[KindSchema] + streams[KindData] + streams[KindContents]
	switch {
	case m.Version < LayoutSplit && split > 0:
		return fmt.Errorf("its dump is split, which layout version %d does not know", m.Version)
	case m.Version < LayoutSplit && streams[KindDump] == 0:
		return errors.New("it has no dump among its files")
	case m.Version < LayoutSplit:
		return nil
	case streams[KindDump] > 0:
		return errors.New("it has a whole dump beside one that is split")
	case streams[KindSchema] != 1:
		return fmt.Errorf("its dump is split, and %d files begin a schema instead of one", streams[KindSchema])
	case streams[KindData] == 0:
		return errors.New("its dump is split, and no file holds data")
	case streams[KindContents] > 1 || streams[KindGlobals] > 1:
		return fmt.Errorf("its dump is split, and %d files tell its contents and %d its globals: one of each at most is possible",
			streams[KindContents], streams[KindGlobals])
	}
	return nil
}

// validateChain checks that a file which continues has something to go on from.
func (m *Manifest) validateChain(i int) error {
	f := m.Files[i]
	if !f.Continues {
		return nil
	}
	switch {
	case m.Version < LayoutChains:
		return fmt.Errorf("file %s continues, which layout version %d does not know", f.Name, m.Version)
	case i == 0:
		return fmt.Errorf("file %s continues, and there is none before it", f.Name)
	case f.Kind != m.Files[i-1].Kind || f.Format != m.Files[i-1].Format:
		return fmt.Errorf("file %s continues one of another kind or format", f.Name)
	case strings.HasPrefix(f.Format, "0."):
		return fmt.Errorf("file %s continues, which a legacy file cannot", f.Name)
	case f.PlainBytes != 0:
		return fmt.Errorf("file %s continues, and has a size of its own dump", f.Name)
	}
	return nil
}

func (f *File) validate(order int) error {
	switch {
	case !filePattern.MatchString(f.Name):
		return fmt.Errorf("%q is no file's name", f.Name)
	case f.Order != order:
		return fmt.Errorf("file %s is number %d and says %d", f.Name, order, f.Order)
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("file %s is of an unknown kind, %q", f.Name, f.Kind)
	case !formatPattern.MatchString(f.Format):
		return fmt.Errorf("file %s is of an unknown format, %q", f.Name, f.Format)
	case f.StoredBytes <= 0 || f.StoredBytes > maxBytes || f.PlainBytes < 0 || f.PlainBytes > maxBytes:
		return fmt.Errorf("file %s has a size that cannot be", f.Name)
	case f.Kind != KindGlobals && f.PlainBytes == 0 && !f.Continues:
		return fmt.Errorf("file %s is an empty dump", f.Name)
	case f.split() && strings.HasPrefix(f.Format, "0."):
		return fmt.Errorf("file %s is of a dump that is split, which a legacy file cannot be", f.Name)
	case !sumPattern.MatchString(f.SHA256):
		return fmt.Errorf("file %s has no SHA-256", f.Name)
	}
	return nil
}
