package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// bodyLimit is how long the body of a call may take.
const bodyLimit = 10 * time.Second

// largestBody bounds what a call may send: the ETags of 10 000 parts are 400 KB.
const largestBody = 1 << 20

func problemf(status int, format string, args ...any) *api.Problem {
	return &api.Problem{Status: status, Message: fmt.Sprintf(format, args...)}
}

// coded is a problem that programs tell apart.
func coded(code string, p *api.Problem) *api.Problem {
	p.Code = code
	return p
}

// read decodes a call's body. Fields that are not known are left alone: agents may
// be newer.
func read(w http.ResponseWriter, r *http.Request, v any) error {
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(bodyLimit)); err != nil {
		return err
	}
	body := http.MaxBytesReader(w, r.Body, largestBody)
	decoder := json.NewDecoder(body)
	err := decoder.Decode(v)
	if err == nil {
		_, err = decoder.Token()
	}
	if too, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problemf(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", too.Limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.Header().Set("Connection", "close")
		return problemf(http.StatusRequestTimeout, "the body did not come within %s", bodyLimit)
	}
	if err == io.EOF {
		return control.SetReadDeadline(time.Time{}) // the next call has its own
	}
	return problemf(http.StatusBadRequest, "the body is not the JSON of this call")
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client went away
}

// nothing is the answer that has nothing to say.
var nothing = struct{}{}

// known are the errors of records and files that a client can do something about.
var known = []struct {
	err     error
	status  int
	code    string
	message string
}{
	{records.ErrNotFound, http.StatusNotFound, "", "there is no such backup"},
	{records.ErrNotDue, http.StatusConflict, api.CodeNotDue, api.NoBackupNeeded},
	{records.ErrLost, http.StatusConflict, api.CodeLost, "this backup is over, or was given to another agent"},
	{records.ErrConflict, http.StatusConflict, api.CodeConflict, "it was said to be done before, and differently"},
	{files.ErrConflict, http.StatusConflict, api.CodeConflict, "it was said to be done before, and differently"},
	{files.ErrParts, http.StatusBadRequest, "", "a part is missing, or has another ETag"},
}

// meaning is what a client is told of an error, nil if that is the service's own.
func meaning(err error) *api.Problem {
	if p, ok := errors.AsType[*api.Problem](err); ok {
		return p
	}
	for _, k := range known {
		if errors.Is(err, k.err) {
			return &api.Problem{Status: k.status, Message: k.message, Code: k.code}
		}
	}
	return nil
}

// fail answers with what an error means.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if p := meaning(err); p != nil {
		s.problem(w, r, p, nil)
		return
	}
	s.problem(w, r, problemf(http.StatusInternalServerError, "the service failed; its log says why"), err)
}

// problem answers that it did not work. The cause, which may be nil, is for the log
// alone.
func (s *Server) problem(w http.ResponseWriter, r *http.Request, p *api.Problem, cause error) {
	if cause != nil && r.Context().Err() == nil {
		s.options.Log.Error("a call failed", zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Error(cause))
	}
	if p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "30")
	}
	answer(w, p.Status, p)
}

func (s *Server) unknown(w http.ResponseWriter, r *http.Request) {
	s.problem(w, r, coded(api.CodeNoCall, problemf(http.StatusNotFound, "there is no %s %s", r.Method, r.URL.Path)), nil)
}
