package server

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// longestWord bounds what an agent says of itself.
const longestWord = 200

// give answers POST /projects/own/backups.
func (s *Server) give(w http.ResponseWriter, r *http.Request, c caller) error {
	var ask api.BackupRequest
	if err := read(w, r, &ask); err != nil {
		return err
	}
	if err := words(ask.AgentID, ask.AgentVersion, ask.DBType, ask.RequestID); err != nil {
		return err
	}
	if !c.mayAdd() {
		return coded(api.CodeNoAgent, problemf(http.StatusForbidden, "this key cannot make backups"))
	}
	now := s.options.Now()
	s.records.Touch(c.key, ask.AgentID, ask.AgentVersion, now)
	b, lease, err := s.records.Give(r.Context(), c.project.ID, records.Ask{
		AgentID: ask.AgentID, AgentVersion: ask.AgentVersion, DBType: ask.DBType, RequestID: ask.RequestID, Now: ask.Now,
	}, now)
	if err != nil {
		return err
	}
	var given api.GivenBackup
	given.Backup.ID, given.Backup.ProjectID = b.ID, b.ProjectID
	if ask.RequestID != "" {
		given.LeaseSeconds = int(lease.Seconds())
	}
	answer(w, http.StatusOK, given)
	return nil
}

// words refuses what is too long to be kept, or is no text.
func words(all ...string) error {
	for _, word := range all {
		if len(word) > longestWord {
			return problemf(http.StatusBadRequest, "a field has more than %d bytes", longestWord)
		}
		if !isText(word) {
			return problemf(http.StatusBadRequest, "a field is no text")
		}
	}
	return nil
}

// isText says whether a database takes it.
func isText(word string) bool { return utf8.ValidString(word) && !strings.Contains(word, "\x00") }

// heartbeat answers POST …/heartbeat.
func (s *Server) heartbeat(w http.ResponseWriter, r *http.Request, c caller) error {
	var beat api.Heartbeat
	if err := read(w, r, &beat); err != nil {
		return err
	}
	var progress *records.Progress
	if p := beat.Progress; p != nil {
		if err := words(p.Stage); err != nil {
			return err
		}
		progress = &records.Progress{Stage: p.Stage, PlainBytes: p.PlainBytes, StoredBytes: p.StoredBytes}
	}
	lease, err := s.records.Heartbeat(r.Context(), c.project.ID, r.PathValue("id"), beat.AgentID, progress, s.options.Now())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, api.Lease{LeaseSeconds: int(lease.Seconds())})
	return nil
}
