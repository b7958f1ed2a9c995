package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
	"github.com/dbacked/dbacked/pkg/storage"
)

// complete answers POST …/complete: one of several files is whole.
func (s *Server) complete(w http.ResponseWriter, r *http.Request, c caller) error {
	var q api.CompleteRequest
	if err := read(w, r, &q); err != nil {
		return err
	}
	if q.As == "" {
		q.As = q.File
	}
	if err := storage.CheckName(q.As); err != nil {
		return problemf(http.StatusBadRequest, "as: %v", err)
	}
	f, err := s.join(r.Context(), c, r.PathValue("id"), q)
	if err != nil {
		return err
	}
	if f.Size != q.Size {
		return problemf(http.StatusBadRequest, "the file has %d bytes, not %d", f.Size, q.Size)
	}
	answer(w, http.StatusOK, api.CompletedFile{File: object(f)})
	return nil
}

// join makes one file of its parts.
func (s *Server) join(ctx context.Context, c caller, id string, q api.CompleteRequest) (records.File, error) {
	f, err := s.records.File(ctx, c.project.ID, id, q.File)
	if errors.Is(err, records.ErrNotFound) { // it may have its name already
		f, err = s.records.File(ctx, c.project.ID, id, q.As)
	}
	if err != nil {
		return f, err
	}
	etags := q.PartsETag
	if len(etags) == 0 {
		return f, problemf(http.StatusBadRequest, "no part is named")
	}
	asked := make(map[int]records.Part, len(f.Parts))
	for _, p := range f.Parts {
		asked[p.Number] = p
	}
	parts := make([]files.Part, len(etags))
	f.Parts = f.Parts[:0]
	for i, etag := range etags {
		p, ok := asked[i+1]
		if !ok {
			return f, problemf(http.StatusBadRequest, "part %d of %d is missing: no address was asked for it", i+1, len(etags))
		}
		p.ETag = etag
		parts[i] = files.Part{Number: p.Number, MD5: p.MD5, ETag: etag, Size: p.Size}
		f.Parts = append(f.Parts, p)
	}
	stored, err := s.files.Complete(ctx, ref(f), f.Upload, parts)
	if err != nil {
		return f, err
	}
	f.Size, f.ETag, f.Modified = stored.Size, stored.ETag, stored.Modified
	f.Name = q.As
	return f, s.records.CompleteFile(ctx, f, q.AgentID, q.As)
}

// discard answers POST …/discard: a file of a backup that is not done is taken back.
func (s *Server) discard(w http.ResponseWriter, r *http.Request, c caller) error {
	var q api.DiscardRequest
	if err := read(w, r, &q); err != nil {
		return err
	}
	f, found, err := s.records.Discard(r.Context(), c.project.ID, r.PathValue("id"), q.AgentID, q.File, s.options.Now())
	if err != nil {
		return err
	}
	if found {
		if err := s.files.Remove(r.Context(), ref(f), f.Upload); err != nil {
			return err
		}
	}
	answer(w, http.StatusOK, nothing)
	return nil
}

func object(f records.File) api.Object {
	return api.Object{Name: f.Name, Size: f.Size, Modified: f.Modified.UTC(), ETag: f.ETag, BackupID: f.BackupID}
}
