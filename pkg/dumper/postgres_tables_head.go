package dumper

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

// errHeadRead ends the reading of a dump of which no more is wanted now.
var errHeadRead = errors.New("the table of contents has been read")

// keepHead keeps the table of contents of an archive, in which all definitions
// are. Of one with all data, no more is read. The caller closes what is kept.
func keepHead(ctx context.Context, from Source, whole bool) (s *pgSchema, entries []pgarchive.Entry, err error) {
	s = &pgSchema{}
	if s.file, err = memfile(nil); err != nil {
		return nil, nil, fmt.Errorf("keeping them in memory: %w", err)
	}
	err = from(ctx, func(_ context.Context, r io.Reader) error {
		entries = nil
		a, err := openUpTo(r, nil, pgSchemaSize, func(e pgarchive.Entry) { entries = append(entries, e) })
		if err != nil {
			return err
		}
		defer a.close()
		if !a.whole {
			return fmt.Errorf("they have more than %d MiB", pgSchemaSize>>20)
		}
		s.archive, s.size = a, a.verifier.HeadSize()
		if _, err := s.file.WriteAt(a.head[:s.size], 0); err != nil {
			return err
		}
		if whole {
			return errHeadRead
		}
		_, err = io.Copy(io.Discard, a.body)
		return err
	})
	if err != nil && !errors.Is(err, errHeadRead) {
		s.close()
		return nil, nil, err
	}
	s.archive.head, s.archive.body = nil, nil
	return s, entries, nil
}
