package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dbacked/dbacked/pkg/storage"
)

// mostTried is how many older versions of a manifest are read, the oldest first:
// a manifest is written once, so the first one is the good one, and what others
// put over it comes after.
const mostTried = 30

// shelf is the manifests of one instance.
type shelf struct {
	store    storage.Store
	instance string
	trust    Trust

	blind error // why older versions cannot be looked at, once that is known
}

func (s *shelf) name(id string) string { return Path(s.instance, id, manifestName) }

// load reads a backup's manifest. Where the newest version of it is none that is
// proved and the store keeps older ones, the one that is proved is taken.
func (s *shelf) load(ctx context.Context, id string) (Entry, error) {
	if _, err := ParseID(id); err != nil {
		return Entry{ID: id}, fmt.Errorf("%w: %w", ErrNoBackup, err)
	}
	data, err := readManifest(s.store.Open(ctx, s.name(id), 0))
	if errors.Is(err, storage.ErrNotFound) {
		return Entry{ID: id}, fmt.Errorf("%w %s of %s in %s", ErrNoBackup, id, s.instance, s.store)
	}
	e := Entry{ID: id}
	if err == nil {
		e = s.decode(id, data)
	}
	if err == nil && e.Proof == nil || temporary(err) || context.Cause(ctx) != nil {
		return e, err
	}
	good, note := s.older(ctx, id)
	if good != nil {
		return *good, nil
	}
	switch {
	case note == nil, err != nil && errors.Is(note, errNeverGood):
	case err != nil:
		err = fmt.Errorf("%w; %w", err, note)
	default:
		e.Proof = fmt.Errorf("%w; %w", e.Proof, note)
	}
	return e, err
}

// decode makes an entry of what lies in the place of a manifest.
func (s *shelf) decode(id string, data []byte) Entry {
	e := Entry{ID: id}
	e.Manifest, e.Proof = Decode(data, s.trust)
	if m := e.Manifest; m != nil && (m.ID != id || m.Instance != s.instance) {
		misplaced := fmt.Errorf("%w, %s of %s", ErrMisplaced, m.ID, m.Instance)
		if e.Proof != nil {
			misplaced = fmt.Errorf("%w; and %w", misplaced, e.Proof)
		}
		e.Proof, m.ID, m.Instance = misplaced, id, s.instance
	}
	return e
}

// errNeverGood is said of what was added, and not written over a good manifest.
var errNeverGood = errors.New("no older version of it is a good one either, so it hides none: whoever put it there added it")

// older looks for an older version of a manifest that is proved. Without one,
// note says what was found, as far as that tells anything: errNeverGood, or why
// not all could be looked at.
func (s *shelf) older(ctx context.Context, id string) (good *Entry, note error) {
	store, ok := s.store.(storage.Versioned)
	if !ok || len(s.trust) == 0 { // without a key nothing tells a good one
		return nil, nil
	}
	var versions []storage.ObjectVersion
	if s.blind == nil {
		versions, s.blind = store.Versions(ctx, s.name(id))
	}
	if s.blind != nil {
		return nil, unseen(s.blind)
	}
	good, err := s.among(ctx, store, id, versions)
	switch {
	case good != nil:
		return good, nil
	case err == nil && len(versions) > 0 && versions[0].Kept():
		return nil, errNeverGood
	}
	return nil, unseen(err)
}

// unseen is what is said where older versions could not be looked at. That the
// service has none is no error.
func unseen(err error) error {
	if err == nil || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return fmt.Errorf("older versions could not be looked at: %w", err)
}

// among finds the version of a manifest, other than the newest, that is proved.
func (s *shelf) among(ctx context.Context, store storage.Versioned, id string, versions []storage.ObjectVersion) (good *Entry, unread error) {
	tried := 0
	for _, v := range slices.Backward(versions) {
		if v.Latest || v.Removed || v.Size > maxManifest {
			continue
		}
		if tried++; tried > mostTried {
			break
		}
		data, err := readManifest(store.OpenVersion(ctx, v.Name, v.ID, 0))
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		if err != nil {
			unread = err
			continue
		}
		if e := s.decode(id, data); e.Proof == nil {
			e.Displaced = &storage.Displaced{Name: v.Name, Newest: versions[0], Good: v}
			return &e, nil
		}
	}
	return nil, unread
}

// readManifest reads no more than what tells that a manifest is too long.
func readManifest(r io.ReadCloser, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return io.ReadAll(io.LimitReader(r, maxManifest+1))
}

// temporary tells a store that does not answer: it will not say more of older
// versions.
func temporary(err error) bool {
	_, ok := errors.AsType[*storage.TemporaryError](err)
	return ok
}

// Removed returns the backups that somebody removed from a store that keeps what
// was there, the newest first: those whose ids begin with prefix, and of which a
// version of the manifest is proved. They can be restored like any other.
func Removed(ctx context.Context, store storage.Store, instance string, trust Trust, prefix string) ([]Entry, error) {
	if strings.Trim(prefix, "0123456789abcdefTZ-") != "" {
		return nil, nil
	}
	s := shelf{store: store, instance: instance, trust: trust}
	return s.removed(ctx, prefix, "")
}

// RemovedAfter returns those of Removed that are newer than the backup of a
// manifest, or all without one. It is one request to a bucket in which all is
// well. That they are newer their ids say, and the store's dates: a backup of a
// clock that was ahead, removed long ago, is none.
func RemovedAfter(ctx context.Context, store storage.Store, instance string, trust Trust, newest *Manifest) ([]Entry, error) {
	s := shelf{store: store, instance: instance, trust: trust}
	if newest == nil {
		return s.removed(ctx, "", "")
	}
	entries, err := s.removed(ctx, "", newest.ID)
	return slices.DeleteFunc(entries, func(e Entry) bool { return e.Displaced.Good.Modified.Before(newest.Finished) }), err // both in seconds
}

// centuries are how the ids of years that a clock may show begin. To list no more
// than them leaves out control/, with each version of the lease.
var centuries = []string{"1", "2"}

// removed lists versions: those of ids that begin with prefix and come after the
// id after.
func (s *shelf) removed(ctx context.Context, prefix, after string) ([]Entry, error) {
	store, ok := s.store.(storage.Versioned)
	if !ok || len(s.trust) == 0 {
		return nil, nil
	}
	prefixes := centuries
	if prefix != "" {
		prefixes = []string{prefix}
	}
	marker := ""
	if after != "" {
		marker = s.name(after)
	}
	var entries []Entry
	for _, p := range prefixes {
		if prefix == "" && after != "" && p < after[:1] {
			continue
		}
		all, err := store.VersionsUnder(ctx, s.instance+"/"+p, marker, func(name string) bool { return s.id(name) != "" })
		if errors.Is(err, errors.ErrUnsupported) {
			return nil, nil
		}
		if err != nil {
			return nil, unseen(err)
		}
		found, err := s.hidden(ctx, store, all)
		if err != nil {
			return nil, err
		}
		entries = append(entries, found...)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(b.ID, a.ID) })
	return entries, nil
}

// id is the backup whose manifest has this name, "" if it is none.
func (s *shelf) id(name string) string {
	id, file, _ := strings.Cut(strings.TrimPrefix(name, s.instance+"/"), "/")
	if _, err := ParseID(id); err != nil || file != manifestName {
		return ""
	}
	return id
}

// hidden are the backups of which only a removal hides a manifest that is proved.
func (s *shelf) hidden(ctx context.Context, store storage.Versioned, all map[string][]storage.ObjectVersion) ([]Entry, error) {
	var entries []Entry
	for name, versions := range all {
		if !versions[0].Removed {
			continue
		}
		e, err := s.among(ctx, store, s.id(name), versions)
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		if e == nil && err != nil {
			return nil, unseen(err)
		}
		if e != nil {
			entries = append(entries, *e)
		}
	}
	return entries, nil
}

// buried tells whether the store keeps a manifest of a backup that has none to be
// seen: somebody removed it, and its files are needed to bring it back.
func (s *shelf) buried(ctx context.Context, id string) bool {
	store, ok := s.store.(storage.Versioned)
	if !ok {
		return false
	}
	versions, err := store.Versions(ctx, s.name(id))
	return temporary(err) || slices.ContainsFunc(versions, func(v storage.ObjectVersion) bool { return !v.Removed })
}
