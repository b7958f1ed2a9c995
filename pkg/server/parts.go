package server

import (
	"crypto/md5"
	"encoding/base64"
	"net/http"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
	"github.com/dbacked/dbacked/pkg/storage"
)

const (
	// onlyFile is what the one file of an agent of 2018 is called.
	onlyFile = "backup"

	mostParts   = 10_000
	largestPart = 512 << 20
)

// part answers POST …/parts.
func (s *Server) part(w http.ResponseWriter, r *http.Request, c caller) error {
	var p api.PartRequest
	if err := read(w, r, &p); err != nil {
		return err
	}
	if !c.mayAdd() {
		return coded(api.CodeNoAgent, problemf(http.StatusForbidden, "this key cannot make backups"))
	}
	if p.Size < 0 || p.Size > largestPart {
		return problemf(http.StatusBadRequest, "a part has up to %d bytes", largestPart)
	}
	return s.partOf(w, r, c, r.PathValue("id"), p)
}

// partOf gives the address of a part.
func (s *Server) partOf(w http.ResponseWriter, r *http.Request, c caller, id string, p api.PartRequest) error {
	sum, err := base64.StdEncoding.DecodeString(p.Hash)
	switch {
	case p.PartNumber < 1 || p.PartNumber > mostParts:
		return problemf(http.StatusBadRequest, "parts are numbered from 1 to %d", mostParts)
	case err != nil || len(sum) != md5.Size:
		return problemf(http.StatusBadRequest, "hash is not an MD5 in base64")
	}
	if err := storage.CheckName(p.File); err != nil {
		return problemf(http.StatusBadRequest, "file: %v", err)
	}
	part := records.Part{Number: p.PartNumber, MD5: p.Hash, Size: p.Size}
	f, err := s.records.AskPart(r.Context(), c.project.ID, id, p.AgentID, p.File, part, s.options.Now())
	if err != nil {
		return err
	}
	if f.Upload == "" {
		upload, err := s.files.Begin(r.Context(), ref(f))
		if err != nil {
			return err
		}
		if upload != "" {
			if f, err = s.records.SetUpload(r.Context(), f, upload); err != nil {
				return err
			}
		}
	}
	url, err := s.files.PartURL(r.Context(), s.base(r), ref(f), f.Upload, files.Part{Number: part.Number, MD5: part.MD5, Size: part.Size}, s.options.Valid)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, api.PartURL{PartUploadURL: url})
	return nil
}

// ref is where the bytes of a file are.
func ref(f records.File) files.Ref {
	return files.Ref{Project: f.ProjectID, Backup: f.BackupID, Number: f.Number}
}
