// Package s3 keeps objects in a bucket of Amazon S3, or of a service that
// speaks its protocol.
//
// An object of less than 5 MiB is written by one request when it is committed;
// a larger one in parts, each with a checksum that the service verifies, which
// become visible by one request at the end. Both requests are conditional
// (If-None-Match: *), so that nothing is ever overwritten. An answer that says
// nothing by itself (412, 409, 404, a connection that broke after the request
// was sent) is resolved by comparing what is there with what was to be written:
// the same is success, nothing there is tried again, something else is
// storage.ErrExists.
//
// Calls are tried again with a growing pause after time-outs, resets, answers
// of 5xx or 429, and requests to slow down, but for [Writer.WritePart]: it
// returns a storage.TemporaryError, and the uploader decides. A connection on
// which no byte moves for Options.Stall counts as failed. A read that breaks
// off goes on where it was, and never mixes two states of an object. Answers of
// 403 and 404 are final, and the error says what to look at.
//
// To write takes no right to read, overwrite or remove what was written:
// s3:PutObject with If-None-Match, s3:ListBucket, and for clearing up
// s3:AbortMultipartUpload and s3:ListBucketMultipartUploads.
//
// Objects under NAME/control/ are the only ones that are replaced (see
// [Store.Replace]), and the only ones that Options.Lock does not protect.
//
// No error holds a secret or the query of an address.
package s3

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

// Store keeps objects under one prefix of one bucket. Its methods may be
// called from several goroutines.
type Store struct {
	options Options
	client  *bucket.Client
	core    *minio.Core // the client's

	// unconditional is set once the service said that it does not know
	// If-None-Match.
	unconditional atomic.Bool

	mu   sync.Mutex
	left []error // why uploads beside stored objects are open; Left takes it
}

var (
	_ storage.Store       = (*Store)(nil)
	_ storage.Cleaner     = (*Store)(nil)
	_ storage.Limited     = (*Store)(nil)
	_ storage.Conditional = (*Store)(nil)
	_ storage.Reclaimer   = (*Store)(nil)
	_ storage.Versioned   = (*Store)(nil)
	_ storage.Untidy      = (*Store)(nil)
	_ storage.Stated      = (*reader)(nil)
)

// Open checks o and makes a store of it. It sends nothing: whether the bucket
// is there, and what may be done in it, the first call tells.
func Open(o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	client, err := bucket.Open(o.bucket())
	if err != nil {
		return nil, err
	}
	return &Store{options: o, client: client, core: client.Core}, nil
}

// Close lets go of the connections that are not in use.
func (s *Store) Close() error {
	s.client.Close()
	return nil
}

// String is the store's address: s3://bucket/prefix.
func (s *Store) String() string { return s.address("") }

// Limits are those of Amazon S3, with Options.MaxParts.
func (s *Store) Limits() storage.Limits {
	return storage.Limits{MaxParts: s.options.MaxParts, MinPart: smallestPart, MaxPart: largestPart}
}

func (s *Store) key(name string) string { return s.client.Key(name) }

func (s *Store) name(key string) string { return s.client.Name(key) }

func (s *Store) address(name string) string { return s.client.Address(name) }

// check refuses a context that ended and a name that no store takes.
func check(ctx context.Context, name string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return storage.CheckName(name)
}
