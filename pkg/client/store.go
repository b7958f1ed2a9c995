package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/storage"
)

// Limits of a part: what S3 takes, behind the service, and what the service does.
const (
	mostParts    = 10_000
	smallestPart = 5 << 20
	largestPart  = 512 << 20
)

// manifestBase is how the name of a manifest ends.
const manifestBase = "manifest"

// Store is a storage.Store over the backups of a project. What is written belongs to
// the backup of its run; a manifest that is put makes that done. Removing is only
// possible before; what is done the service itself removes.
type Store struct {
	client  *Client
	project string
	run     *Run // nil: only reads
}

var (
	_ storage.Store   = (*Store)(nil)
	_ storage.Limited = (*Store)(nil)
)

// ErrNoRun says that nothing can be written without a backup that the service gave.
var ErrNoRun = errors.New("the service has given no backup: nothing can be written")

// Store is where the backup of a run is written.
func (c *Client) Store(run *Run) *Store { return &Store{client: c, project: run.ProjectID, run: run} }

// Reader is a Store of the backups of the key's project that only reads.
func (c *Client) Reader() *Store { return &Store{client: c, project: own} }

// own stands for the key's project in a path.
const own = "own"

// Limits are those of a part.
func (s *Store) Limits() storage.Limits { return limits }

var limits = storage.Limits{MaxParts: mostParts, MinPart: smallestPart, MaxPart: largestPart}

// String is the service's address.
func (s *Store) String() string { return s.client.String() }

// check refuses a context that ended and a name that no store takes.
func check(ctx context.Context, name string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return storage.CheckName(name)
}

// agent is what a call says of who asks.
func (s *Store) agent() url.Values {
	q := url.Values{}
	if s.run != nil {
		q.Set("agentId", s.client.options.AgentID)
	}
	return q
}

// Put stores a small object. A manifest ends the backup.
func (s *Store) Put(ctx context.Context, name string, data []byte) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	if s.run == nil {
		return ErrNoRun
	}
	if path.Base(name) == manifestBase {
		return s.run.Done(ctx, name, data)
	}
	w, err := s.Create(ctx, name)
	if err != nil {
		return err
	}
	err = storage.Backoff{Tries: s.client.options.Tries, First: s.client.options.Wait}.Retry(ctx, func(ctx context.Context) error {
		return w.WritePart(ctx, 1, 0, data)
	})
	if err == nil {
		_, err = w.Commit(ctx)
	}
	if err != nil {
		return errors.Join(err, w.Abort(context.WithoutCancel(ctx)))
	}
	return nil
}

// List returns what the key may know of: an agent's, the manifests, and what the
// backup at hand holds.
func (s *Store) List(ctx context.Context, prefix string) ([]storage.Object, error) {
	all, err := s.list(ctx, prefix)
	if err != nil {
		return nil, err
	}
	var objects []storage.Object
	for _, o := range all {
		objects = append(objects, object(o))
	}
	slices.SortFunc(objects, func(a, b storage.Object) int { return strings.Compare(a.Name, b.Name) })
	return objects, nil
}

func object(o api.Object) storage.Object {
	return storage.Object{Name: o.Name, Size: o.Size, Modified: o.Modified}
}

func (s *Store) list(ctx context.Context, prefix string) ([]api.Object, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	q := s.agent()
	q.Set("prefix", prefix)
	var answer api.Objects
	err := s.client.call(ctx, "list the backups of", http.MethodGet, "/projects/"+s.project+"/objects?"+q.Encode(), nil, &answer)
	return answer.Objects, err
}

// Remove takes back what the backup at hand wrote. What is done is
// storage.ErrForbidden.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	all, err := s.list(ctx, name)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(o api.Object) bool { return o.Name == name })
	switch {
	case i < 0:
		return nil
	case s.run == nil || all[i].BackupID != s.run.ID:
		return fmt.Errorf("remove %s from %s: %w: the service itself removes what its retention does not keep", name, s, storage.ErrForbidden)
	}
	return s.discard(ctx, name)
}

func (s *Store) discard(ctx context.Context, name string) error {
	return s.client.call(ctx, "take back a file of", http.MethodPost, s.run.path("discard"), api.DiscardRequest{AgentID: s.client.options.AgentID, File: name}, nil)
}

// Open reads an object from offset. A read that breaks off goes on where it was,
// with a new address if need be, and never in another state of the object.
func (s *Store) Open(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("read %s from %s: offset %d is negative", name, s, offset)
	}
	locate := func(ctx context.Context) (d api.DownloadURL, err error) {
		q := s.agent()
		q.Set("name", name)
		return d, s.client.call(ctx, whereIs, http.MethodGet, "/projects/"+s.project+"/objects/downloadUrl?"+q.Encode(), nil, &d)
	}
	r := &reader{ctx: ctx, client: s.client, name: name, at: offset, locate: locate}
	if err := r.address(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// whereIs is what a reader asks.
const whereIs = "ask where a file is in"
