package server

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// FolderOptions lets a folder of files ask whether a part may come, and tell that it
// did. log may be nil; now is the service's clock, and nil is time.Now.
func FolderOptions(r *records.Store, now func() time.Time, log *zap.Logger) files.FolderOptions {
	if now == nil {
		now = time.Now
	}
	return files.FolderOptions{
		Allowed: func(ctx context.Context, f files.Ref, _ files.Part) error {
			return asProblem(r.MayStore(ctx, f.Project, f.Backup))
		},
		Stored: func(ctx context.Context, f files.Ref, p files.Part) error {
			part := records.Part{Number: p.Number, MD5: p.MD5, ETag: p.ETag, Size: p.Size}
			return asProblem(r.PartStored(ctx, f.Project, f.Backup, f.Number, part, now()))
		},
		Now: now, Log: log,
	}
}

// asProblem is what a client is told of an error, if that can do something about it.
func asProblem(err error) error {
	if p := meaning(err); p != nil {
		return p
	}
	return err
}
