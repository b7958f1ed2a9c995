package files

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// manifest is what a file named complete holds.
type manifest struct {
	Parts    []partEntry `json:"parts"`
	Size     int64       `json:"size"`
	ETag     string      `json:"etag"` // with its quotes
	Modified time.Time   `json:"modified"`
}

type partEntry struct {
	MD5  string `json:"md5"` // hex
	Size int64  `json:"size"`
}

func (m manifest) stored() Stored { return Stored{Size: m.Size, ETag: m.ETag, Modified: m.Modified} }

func (m manifest) has(part int, sum string) bool {
	return part <= len(m.Parts) && m.Parts[part-1].MD5 == sum
}

// same compares what files are made of.
func (m manifest) same(other manifest) bool {
	return m.ETag == other.ETag && slices.EqualFunc(m.Parts, other.Parts, func(a, b partEntry) bool { return a.MD5 == b.MD5 })
}

// manifest is ErrNotFound of a file that is not complete.
func (f *Folder) manifest(r Ref) (m manifest, err error) {
	data, err := f.root.ReadFile(completePath(r))
	if errors.Is(err, fs.ErrNotExist) {
		return m, ErrNotFound
	}
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%s is damaged: %w", completePath(r), err)
	}
	for _, p := range m.Parts {
		if !isSum(p.MD5) || p.Size < 0 {
			return m, fmt.Errorf("%s is damaged", completePath(r))
		}
	}
	return m, nil
}

// Complete makes a file of the parts that are there.
func (f *Folder) Complete(ctx context.Context, r Ref, _ string, parts []Part) (Stored, error) {
	if err := errors.Join(context.Cause(ctx), r.check()); err != nil {
		return Stored{}, err
	}
	if err := checkOrder(r, parts); err != nil {
		return Stored{}, err
	}
	m := manifest{Parts: make([]partEntry, len(parts))}
	tags := make([]string, len(parts))
	for i, p := range parts {
		tags[i] = bare(p.ETag)
		if sum, err := p.sum(); !isSum(tags[i]) || p.MD5 != "" && (err != nil || sum != tags[i]) {
			return Stored{}, fmt.Errorf("complete %v: %w: the ETag of part %d is another", r, ErrParts, p.Number)
		}
		m.Parts[i] = partEntry{MD5: tags[i], Size: p.Size}
	}
	m.ETag = joined(tags)
	unlock, err := f.lock(r, false)
	if errors.Is(err, fs.ErrNotExist) {
		return Stored{}, fmt.Errorf("complete %v: %w: no part is there", r, ErrParts)
	}
	if err != nil {
		return Stored{}, fmt.Errorf("complete %v: %w", r, err)
	}
	defer unlock()
	return f.finish(r, m)
}

// finish writes what a file is made of, under its lock, unless that was done before.
func (f *Folder) finish(r Ref, m manifest) (Stored, error) {
	there, err := f.manifest(r)
	switch {
	case err == nil && there.same(m):
		return there.stored(), f.syncFolders(r.String())
	case err == nil:
		return Stored{}, fmt.Errorf("complete %v: %w", r, ErrConflict)
	case !errors.Is(err, ErrNotFound):
		return Stored{}, fmt.Errorf("complete %v: %w", r, err)
	}
	for i := range m.Parts {
		p := &m.Parts[i]
		info, err := f.root.Lstat(partPath(r, i+1, p.MD5))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return Stored{}, fmt.Errorf("complete %v: %w: part %d is missing, or has another ETag", r, ErrParts, i+1)
		case err != nil:
			return Stored{}, fmt.Errorf("complete %v: %w", r, err)
		case p.Size != 0 && p.Size != info.Size():
			return Stored{}, fmt.Errorf("complete %v: %w: part %d has %d bytes instead of %d", r, ErrParts, i+1, info.Size(), p.Size)
		}
		p.Size = info.Size()
		m.Size += p.Size
	}
	m.Modified = f.options.Now().UTC().Truncate(time.Second)
	if err := f.write(r, m); err != nil {
		return Stored{}, fmt.Errorf("complete %v: %w", r, err)
	}
	f.tidy(r, m)
	return m.stored(), nil
}

// tidy removes parts that the file is not made of.
func (f *Folder) tidy(r Ref, m manifest) {
	keep := make(map[string]bool, len(m.Parts))
	for i, p := range m.Parts {
		keep[partName(i+1, p.MD5)] = true
	}
	f.sweep(r, func(name string) bool { return !keep[name] })
}

// write makes the file visible, if none is.
func (f *Folder) write(r Ref, m manifest) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	file, temp, discard, err := f.temp()
	if err != nil {
		return err
	}
	defer discard()
	if _, err := file.Write(data); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := f.syncFolders(r.String()); err != nil { // the parts before what names them
		return err
	}
	if err := f.root.Link(temp, completePath(r)); err != nil { // never over another
		return err
	}
	return f.syncFolders(r.String())
}

// Put makes a file of one part.
func (f *Folder) Put(ctx context.Context, r Ref, data []byte) (Stored, error) {
	if err := errors.Join(context.Cause(ctx), r.check()); err != nil {
		return Stored{}, err
	}
	sum := fmt.Sprintf("%x", md5.Sum(data))
	file, temp, discard, err := f.temp()
	if err != nil {
		return Stored{}, fmt.Errorf("write %v: %w", r, err)
	}
	defer discard()
	if _, err := file.Write(data); err != nil {
		return Stored{}, fmt.Errorf("write %v: %w", r, err)
	}
	if err := file.Sync(); err != nil {
		return Stored{}, fmt.Errorf("write %v: %w", r, err)
	}
	unlock, err := f.lock(r, true)
	if err != nil {
		return Stored{}, fmt.Errorf("write %v: %w", r, err)
	}
	defer unlock()
	if _, err := f.manifest(r); errors.Is(err, ErrNotFound) {
		if err := f.root.Rename(temp, partPath(r, 1, sum)); err != nil {
			return Stored{}, fmt.Errorf("write %v: %w", r, err)
		}
	}
	return f.finish(r, manifest{Parts: []partEntry{{MD5: sum}}, ETag: quoted(sum)})
}
