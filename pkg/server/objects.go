package server

import (
	"net/http"
	"path"
	"strings"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// manifestBase is how the name of a manifest ends: what it says is no secret.
const manifestBase = "manifest"

// visible says whether a caller may know of a file.
func visible(c caller, agent string, f records.File) bool {
	if f.State != records.StateDone {
		return c.mayAdd() && agent != "" && f.AgentID == agent
	}
	return c.mayRead() || path.Base(f.Name) == manifestBase
}

// readable says whether a caller may download it.
func readable(c caller, f records.File) bool { return c.mayRead() || path.Base(f.Name) == manifestBase }

// objects answers GET /projects/{project}/objects.
func (s *Server) objects(w http.ResponseWriter, r *http.Request, c caller) error {
	q := r.URL.Query()
	if !isText(q.Get("prefix")) {
		return problemf(http.StatusBadRequest, "prefix is no text")
	}
	all, err := s.records.Objects(r.Context(), c.project.ID, q.Get("prefix"))
	if err != nil {
		return err
	}
	list := api.Objects{Objects: []api.Object{}}
	for _, f := range all {
		if visible(c, q.Get("agentId"), f) {
			list.Objects = append(list.Objects, object(f))
		}
	}
	answer(w, http.StatusOK, list)
	return nil
}

// objectURL answers GET /projects/{project}/objects/downloadUrl.
func (s *Server) objectURL(w http.ResponseWriter, r *http.Request, c caller) error {
	name := r.URL.Query().Get("name")
	if !isText(name) {
		return records.ErrNotFound
	}
	all, err := s.records.Objects(r.Context(), c.project.ID, name)
	if err != nil {
		return err
	}
	for _, f := range all {
		if f.Name != name || !visible(c, r.URL.Query().Get("agentId"), f) && !hidden(c, f) {
			continue
		}
		if !readable(c, f) {
			return coded(api.CodeAddsOnly, problemf(http.StatusForbidden, "this key can only add: a restore key reads what was stored"))
		}
		return s.giveURL(w, r, f)
	}
	return records.ErrNotFound
}

// hidden says whether a file is there that an agent's key may not read.
func hidden(c caller, f records.File) bool { return f.State == records.StateDone && !c.mayRead() }

// downloadURL answers GET …/downloadUrl, of a backup of one file.
func (s *Server) downloadURL(w http.ResponseWriter, r *http.Request, c caller) error {
	b, err := s.records.Backup(r.Context(), c.project.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	if !c.mayRead() {
		return coded(api.CodeAddsOnly, problemf(http.StatusForbidden, "this key can only add: a restore key reads what was stored"))
	}
	if b.State != records.StateDone {
		return problemf(http.StatusNotFound, "this backup is not done")
	}
	if b.Removal.Phase != "" {
		return problemf(http.StatusNotFound, "this backup was deleted")
	}
	all, err := s.records.Files(r.Context(), c.project.ID, b.ID)
	if err != nil {
		return err
	}
	if len(all) != 1 {
		return problemf(http.StatusConflict, "this backup has several files, which only a newer agent can restore")
	}
	return s.giveURL(w, r, all[0])
}

func (s *Server) giveURL(w http.ResponseWriter, r *http.Request, f records.File) error {
	url, err := s.files.DownloadURL(r.Context(), s.base(r), ref(f), s.options.Valid)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, api.DownloadURL{DownloadURL: url, Size: f.Size, ETag: f.ETag})
	return nil
}

// sameKey compares two keys in PEM by their bodies.
func sameKey(a, b string) bool {
	return strings.Join(strings.Fields(a), "") == strings.Join(strings.Fields(b), "")
}
