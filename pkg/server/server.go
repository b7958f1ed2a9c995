// Package server is the DBacked service: it tells agents when a backup is due,
// locks it for the one that makes it, gives out addresses that parts are uploaded
// to, and keeps account of what was stored.
//
//	s := server.New(store, folder, server.Options{Log: log})
//	http.ListenAndServe("127.0.0.1:5000", s)
//
// The protocol is that of package api. Its first half is what agents of 2018 say;
// they are served as they were. The state of a backup, and whose it is, is in
// records; its bytes are in files, which agents reach by addresses that are signed
// and expire.
//
// Every call can be repeated after its answer was lost, with the same outcome.
//
// An agent's key can only add: of what is stored it sees the manifests alone, unless
// its project allows more, and nothing that it says takes away what is done. What belongs to another project is answered like what does
// not exist.
package server

import (
	"context"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/guard"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// Options sets how the service answers. The zero value is ready for use.
type Options struct {
	// PublicURL is how agents reach the service: the beginning of the addresses
	// that it gives out. Empty is what they called it by, the Host of the request.
	PublicURL string
	// Valid is for how long an address can be used. 0 means one hour.
	Valid time.Duration
	// Version is said in /healthz.
	Version string
	// Completed, if it is not nil, is told of each backup that was done, by its
	// project. It is not to wait.
	Completed func(project string)
	// Log may be nil.
	Log *zap.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

const defaultValid = time.Hour

// Server is the service, an http.Handler. It serves nothing below /files/, which is
// a files.Folder's.
type Server struct {
	records *records.Store
	files   files.Store
	options Options
	mux     http.ServeMux
	failed  *guard.Attempts
}

// New joins what is known with where the bytes are.
func New(r *records.Store, f files.Store, o Options) *Server {
	if o.Valid <= 0 {
		o.Valid = defaultValid
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{records: r, files: f, options: o, failed: guard.NewAttempts()}
	s.routes()
	return s
}

func (s *Server) routes() {
	for pattern, action := range map[string]action{
		"GET /projects/own":                                s.project,
		"POST /projects/own/backups":                       s.give,
		"POST /projects/{project}/backups/{id}/status":     s.status,
		"GET /projects/{project}/backups/{id}/downloadUrl": s.downloadURL,
		"POST /projects/{project}/backups/{id}/heartbeat":  s.heartbeat,
		"POST /projects/{project}/backups/{id}/parts":      s.part,
		"POST /projects/{project}/backups/{id}/complete":   s.complete,
		"POST /projects/{project}/backups/{id}/discard":    s.discard,
		"GET /projects/{project}/objects":                  s.objects,
		"GET /projects/{project}/objects/downloadUrl":      s.objectURL,
	} {
		s.mux.HandleFunc(pattern, s.authorized(action))
	}
	s.mux.HandleFunc("GET /healthz", s.health)
	s.mux.HandleFunc("/", s.unknown)
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// health says whether the service can do its work.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	if err := s.records.Ping(ctx); err != nil {
		s.problem(w, r, problemf(http.StatusServiceUnavailable, "the database does not answer"), err)
		return
	}
	answer(w, http.StatusOK, struct {
		Status  string `json:"status"`
		Version string `json:"version"`
	}{"ok", s.options.Version})
}

// base begins the addresses that are given out.
func (s *Server) base(r *http.Request) string {
	if s.options.PublicURL != "" {
		return s.options.PublicURL
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
