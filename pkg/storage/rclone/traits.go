package rclone

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// traits is what a remote can do.
type traits struct {
	streams bool   // takes a stream of unknown length
	renames bool   // moves or copies by itself
	folders bool   // keeps folders that are empty
	hash    string // the checksum that it keeps, "" if none is known here
}

// features is what "rclone backend features" prints.
type features struct {
	Hashes   []string
	Features struct{ PutStream, Move, Copy, CanHaveEmptyDirectories bool }
}

// hashes are those that the standard library has, by rclone's names, the best
// first.
var hashes = []struct {
	name string
	make func() hash.Hash
}{{"sha256", sha256.New}, {"sha1", sha1.New}, {"md5", md5.New}}

// ask returns what the remote can do, which is asked once.
func (s *Store) ask(ctx context.Context) (*traits, error) {
	select {
	case t := <-s.traits:
		var err error
		if t == nil {
			t, err = s.askAnew(ctx)
		}
		s.traits <- t
		return t, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s *Store) askAnew(ctx context.Context) (t *traits, err error) {
	err = s.options.Backoff.Retry(ctx, func(ctx context.Context) error {
		const what = "ask what is possible in"
		out, err := s.run(ctx, "backend", "features", s.target(""))
		if err != nil {
			return s.failed(what, "", err)
		}
		var f features
		if err := json.Unmarshal(out, &f); err != nil {
			return fmt.Errorf("%s %s: rclone's answer is not understood: %w", what, s, err)
		}
		t = f.traits()
		return nil
	})
	return t, err
}

func (f features) traits() *traits {
	t := &traits{streams: f.Features.PutStream, renames: f.Features.Move || f.Features.Copy, folders: f.Features.CanHaveEmptyDirectories}
	for _, h := range hashes {
		if t.hash == "" && slices.Contains(f.Hashes, h.name) {
			t.hash = h.name
		}
	}
	return t
}

// newHash is the checksum that the remote keeps, nil if none is known here.
func (t *traits) newHash() hash.Hash {
	for _, h := range hashes {
		if h.name == t.hash {
			return h.make()
		}
	}
	return nil
}

// Lacks says, a sentence each, what is less here than in a bucket of S3: what
// holds for everything that rclone reaches, then what holds for this remote.
func (s *Store) Lacks(ctx context.Context) ([]string, error) {
	t, err := s.ask(ctx)
	if err != nil {
		return nil, err
	}
	all := []string{
		"rclone cannot write on a condition: another machine could overwrite what is there, and a lock in the storage is not possible (one machine per instance, or DBACKED_LOCK=database)",
		"rclone shows no earlier versions and protects none: who may write here may remove",
		"the parts of a file go one after another, and a file that breaks off is not resumed",
	}
	if !t.streams {
		all = append(all, "this remote takes no stream: a backup is many files of one part each (DBACKED_UPLOAD_MEMORY makes them larger)")
	}
	if t.hash == "" {
		all = append(all, "this remote keeps no checksum that is known here: what it stored is compared by its size alone; run dbacked verify now and then")
	}
	if len(s.refused) > 0 {
		all = append(all, "rclone is not given "+strings.Join(s.refused, ", ")+": these could let it leave out files or answer otherwise; what it may be given is in rclone.md")
	}
	if !t.renames {
		return all, s.cannotRename()
	}
	return all, nil
}

func (s *Store) cannotRename() error {
	return fmt.Errorf("%s can neither move nor copy by itself, so a file could not appear whole: take another kind of remote", s)
}
