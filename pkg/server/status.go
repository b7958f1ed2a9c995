package server

import (
	"net/http"
	"strings"

	"github.com/dbacked/dbacked/pkg/api"
)

// status answers POST …/status, by which agents of 2018 say all there is to say of
// a backup.
func (s *Server) status(w http.ResponseWriter, r *http.Request, c caller) error {
	var st api.Status
	if err := read(w, r, &st); err != nil {
		return err
	}
	if !c.mayAdd() {
		return coded(api.CodeNoAgent, problemf(http.StatusForbidden, "this key cannot make backups"))
	}
	id := r.PathValue("id")
	switch st.Status {
	case api.StatusInProgress:
		return s.partOf(w, r, c, id, api.PartRequest{AgentID: st.AgentID, File: onlyFile, PartNumber: st.PartNumber, Hash: st.Hash})
	case api.StatusDone:
		return s.done(w, r, c, id, st)
	case api.StatusError:
		if err := s.records.Fail(r.Context(), c.project.ID, id, st.AgentID, short(st.Error), s.options.Now()); err != nil {
			return err
		}
		answer(w, http.StatusOK, nothing)
		return nil
	}
	return problemf(http.StatusBadRequest, "the status %.40q is none: IN_PROGRESS, DONE and ERROR are", st.Status)
}

// longestError is what is kept of what an agent says went wrong.
const longestError = 4 << 10

// short is the end of a text, where it says why.
func short(text string) string {
	if len(text) > longestError {
		text = "…" + text[len(text)-longestError:]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "?")
}
