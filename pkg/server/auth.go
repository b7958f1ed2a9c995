package server

import (
	"errors"
	"net/http"
	"strings"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// own is what a path may say instead of the id of the key's project.
const own = "own"

// caller is whose key a call carries.
type caller struct {
	key     records.Key
	project records.Project
}

// mayRead says whether the key may see and download what was stored.
func (c caller) mayRead() bool { return c.key.Kind == records.KeyRestore || c.project.AgentsRestore }

// mayAdd says whether the key may make backups.
func (c caller) mayAdd() bool { return c.key.Kind == records.KeyAgent }

// action answers a call of a known caller. An error is answered by fail.
type action func(w http.ResponseWriter, r *http.Request, c caller) error

// authorized finds out who calls, and that what is called is the caller's.
func (s *Server) authorized(do action) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := s.caller(r)
		if err == nil {
			if project := r.PathValue("project"); project != "" && project != own && project != c.project.ID {
				err = records.ErrNotFound // whether it exists is not told
			}
			if !isText(r.PathValue("id")) {
				err = records.ErrNotFound
			}
		}
		if err == nil {
			err = do(w, r, c)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

func (s *Server) caller(r *http.Request) (c caller, err error) {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, api.AuthScheme) || strings.TrimSpace(key) == "" {
		return c, problemf(http.StatusUnauthorized, "this call needs a key: Authorization: ApiKey …")
	}
	c.key, c.project, err = s.records.Caller(r.Context(), strings.TrimSpace(key))
	if errors.Is(err, records.ErrNotFound) {
		// Who has a key is never kept waiting: all agents may be behind one proxy.
		if !s.failed.Allow(r, s.options.Now()) {
			return c, problemf(http.StatusTooManyRequests, "too many wrong keys from this address: wait a minute")
		}
		return c, problemf(http.StatusUnauthorized, "the key is not known, or was revoked")
	}
	return c, err
}
