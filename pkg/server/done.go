package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/server/records"
	"github.com/dbacked/dbacked/pkg/storage"
)

const (
	// doneWait is how long a DONE waits for another of the same backup.
	doneWait = 30 * time.Second
	doneLook = 100 * time.Millisecond

	// doneLimit is how long a DONE may take once it was begun: its client going
	// away does not end it.
	doneLimit = 2 * time.Minute

	largestManifest = 512 << 10
)

// done answers DONE. Whoever says the same again gets the same answer.
func (s *Server) done(w http.ResponseWriter, r *http.Request, c caller, id string, st api.Status) error {
	if err := checkDone(st); err != nil {
		return err
	}
	deadline := time.Now().Add(doneWait)
	for {
		verdict, b, err := s.records.BeginDone(r.Context(), c.project.ID, id, st.AgentID, fingerprint(st), s.options.Now())
		switch {
		case err != nil:
			return err
		case verdict == records.DoneNow:
			if err := s.finish(r.Context(), c, b, st); err != nil {
				return err
			}
			answer(w, http.StatusOK, nothing)
			return nil
		case verdict == records.DoneBefore:
			answer(w, http.StatusOK, nothing)
			return nil
		case time.Now().After(deadline):
			return problemf(http.StatusServiceUnavailable, "this backup is being completed: ask again")
		}
		select {
		case <-r.Context().Done():
			return r.Context().Err()
		case <-time.After(doneLook):
		}
	}
}

func checkDone(st api.Status) error {
	switch {
	case st.Manifest == "" && len(st.PartsETag) == 0:
		return problemf(http.StatusBadRequest, "DONE names no part")
	case st.Manifest != "" && len(st.PartsETag) > 0:
		return problemf(http.StatusBadRequest, "DONE has a manifest and parts: the files of a manifest are completed one by one")
	case len(st.PartsETag) > mostParts:
		return problemf(http.StatusBadRequest, "DONE names more than %d parts", mostParts)
	case len(st.Manifest) > largestManifest:
		return problemf(http.StatusRequestEntityTooLarge, "the manifest has more than %d bytes", largestManifest)
	}
	if st.Manifest != "" {
		if err := storage.CheckName(st.ManifestName); err != nil {
			return problemf(http.StatusBadRequest, "manifestName: %v", err)
		}
	}
	return words(st.Hash)
}

// fingerprint tells one DONE from another.
func fingerprint(st api.Status) string {
	text, _ := json.Marshal([]any{st.PartsETag, st.Hash, st.PublicKey, st.Manifest, st.ManifestName}) // strings can be encoded
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// finish does what DONE says. Once begun, it does not end with the call.
func (s *Server) finish(ctx context.Context, c caller, b records.Backup, st api.Status) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), doneLimit)
	defer cancel()
	size, err := s.store(ctx, c, b, st)
	if err != nil {
		if giveUp := s.records.GiveUpDone(ctx, b); giveUp != nil {
			s.options.Log.Error("a backup stays half completed for a while", zap.String("backup", b.ID), zap.Error(giveUp))
		}
		return err
	}
	b.Size, b.Hash, b.PublicKey = size, st.Hash, short(st.PublicKey)
	if err := s.records.EndDone(ctx, b, s.options.Now()); err != nil {
		return err
	}
	if s.options.Completed != nil {
		s.options.Completed(b.ProjectID)
	}
	if st.PublicKey != "" && c.project.PublicKey != "" && !sameKey(st.PublicKey, c.project.PublicKey) {
		s.options.Log.Warn("a backup was made with another key than the project's", zap.String("project", c.project.Name), zap.String("backup", b.ID))
		return s.records.Audit(ctx, "agent "+b.AgentID, "key-mismatch", c.project.ID, "backup "+b.ID, s.options.Now())
	}
	return nil
}

// store completes the one file, or, where the files are complete, keeps their
// manifest. It returns how much the backup holds.
func (s *Server) store(ctx context.Context, c caller, b records.Backup, st api.Status) (size int64, err error) {
	if st.Manifest == "" {
		f, err := s.join(ctx, c, b.ID, api.CompleteRequest{AgentID: st.AgentID, File: onlyFile, As: onlyFile, PartsETag: st.PartsETag})
		return f.Size, err
	}
	all, err := s.records.Files(ctx, c.project.ID, b.ID)
	if err != nil {
		return 0, err
	}
	for _, f := range all {
		if !f.Complete && f.Name != st.ManifestName {
			return 0, problemf(http.StatusBadRequest, "the file %s is not complete", f.Name)
		}
		if f.Name != st.ManifestName {
			size += f.Size
		}
	}
	if size == 0 {
		return 0, problemf(http.StatusBadRequest, "the backup has no file")
	}
	return size, s.keepManifest(ctx, b, st)
}

func (s *Server) keepManifest(ctx context.Context, b records.Backup, st api.Status) error {
	f, err := s.records.AddFile(ctx, b, st.ManifestName)
	if err != nil {
		return err
	}
	stored, err := s.files.Put(ctx, ref(f), []byte(st.Manifest))
	if err != nil {
		return err
	}
	f.Size, f.ETag, f.Modified = stored.Size, stored.ETag, stored.Modified
	return s.records.CompleteFile(ctx, f, b.AgentID, f.Name)
}
