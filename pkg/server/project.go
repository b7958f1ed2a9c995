package server

import (
	"net/http"

	"github.com/dbacked/dbacked/pkg/api"
)

// capabilities are what this service has beside what agents of 2018 know.
var capabilities = []string{
	api.CapabilityFiles, api.CapabilityManifests, api.CapabilityHeartbeats, api.CapabilityProgress, api.CapabilityRequestIDs,
	api.CapabilityNow, api.CapabilityOwn,
}

// mostBackups bounds what a project's answer lists.
const mostBackups = 1000

// project answers GET /projects/own.
func (s *Server) project(w http.ResponseWriter, r *http.Request, c caller) error {
	p := api.Project{
		ID: c.project.ID, PublicKey: c.project.PublicKey, Backups: []api.Backup{},
		Capabilities: capabilities, Name: c.project.Name, Schedule: c.project.Schedule, Timezone: c.project.Zone, KeyKind: c.key.Kind,
	}
	if due := c.project.NextDue.UTC(); !c.project.NextDue.IsZero() {
		p.NextDue = &due
	}
	if c.mayRead() {
		backups, err := s.records.Stored(r.Context(), c.project.ID, mostBackups)
		if err != nil {
			return err
		}
		for _, b := range backups {
			p.Backups = append(p.Backups, api.Backup{
				ID: b.ID, ProjectID: b.ProjectID, DBType: b.DBType, FinishedAt: b.Finished.UTC(), Size: b.Size,
				Filename: c.project.Name + "-" + b.ID + ".dbacked",
			})
		}
	}
	answer(w, http.StatusOK, p)
	return nil
}
