package files

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/api"
)

// ServeHTTP answers the signed addresses, below /files/: PUT of a part, GET of a
// file. Errors are an api.Problem: 403 for an address that is over or altered, 400
// for a body that is not the part, 408 for one that stalls, 413 for one that is too
// long, 409 where the part is not taken any more, 404, 405, 507 on a full disk.
func (f *Folder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, ok := parsePath(r.URL.EscapedPath())
	if !ok {
		refuse(w, http.StatusNotFound, "there is nothing at this address")
		return
	}
	if r.Method != a.method() {
		w.Header().Set("Allow", a.method())
		refuse(w, http.StatusMethodNotAllowed, "the address is for "+a.method()+" only")
		return
	}
	if err := a.verify(r.URL.RawQuery, f.secret, f.options.Now()); err != nil {
		refuse(w, http.StatusForbidden, err.Error())
		return
	}
	if a.part == 0 {
		f.get(w, r, a.ref)
		return
	}
	if err := f.put(w, r, a); err != nil {
		f.answer(w, r, a, err)
	}
}

func refuse(w http.ResponseWriter, status int, message string) {
	writeProblem(w, &api.Problem{Status: status, Message: message})
}

func problem(status int, message string) error { return &api.Problem{Status: status, Message: message} }

func writeProblem(w http.ResponseWriter, p *api.Problem) {
	data, err := json.Marshal(struct {
		Status  int    `json:"status"`
		Message string `json:"message"`
		Details any    `json:"details"`
	}{p.Status, p.Message, p.Details})
	if err != nil {
		data = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(data)
}

// answer tells a client why its part was not stored, as far as it may know.
func (f *Folder) answer(w http.ResponseWriter, r *http.Request, a address, err error) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(f.options.StallTimeout))
	var p *api.Problem
	if errors.As(err, &p) && p.Status >= 400 && p.Status <= 599 {
		writeProblem(w, p)
		return
	}
	if !errors.Is(err, context.Canceled) || r.Context().Err() == nil {
		f.options.Log.Error("a part could not be stored", zap.Stringer("file", a.ref), zap.Int("part", a.part), zap.Error(err))
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		refuse(w, http.StatusInsufficientStorage, "the server's disk is full")
		return
	}
	refuse(w, http.StatusInternalServerError, "the server could not store the part: its log says why")
}

// get sends a file.
func (f *Folder) get(w http.ResponseWriter, r *http.Request, ref Ref) {
	m, err := f.manifest(ref)
	if errors.Is(err, ErrNotFound) {
		refuse(w, http.StatusNotFound, ErrNotFound.Error())
		return
	}
	if err != nil {
		f.options.Log.Error("a file could not be read", zap.Stringer("file", ref), zap.Error(err))
		refuse(w, http.StatusInternalServerError, "the server could not read the file: its log says why")
		return
	}
	if err := f.whole(ref, m); err != nil { // said before anything is sent, or it would look like a bad line
		f.options.Log.Error("a file is damaged", zap.Stringer("file", ref), zap.Error(err))
		refuse(w, http.StatusGone, "a part of the file is missing on the server, or is not what was stored: its log says which")
		return
	}
	s := f.stream(ref, m)
	defer func() { _ = s.Close() }() // it was only read
	h := w.Header()
	h.Set("ETag", m.ETag)
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "private, no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(&slowWriter{ResponseWriter: w, controller: http.NewResponseController(w), limit: f.options.StallTimeout}, r, "", m.Modified, s)
	if s.err != nil { // the client sees that the answer is too short
		f.options.Log.Error("a file could not be read", zap.Stringer("file", ref), zap.Error(s.err))
	}
}

// slowWriter gives up on a client that takes nothing, and says in JSON what
// http.ServeContent says in text.
type slowWriter struct {
	http.ResponseWriter
	controller *http.ResponseController
	limit      time.Duration
	refused    bool
}

func (w *slowWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *slowWriter) WriteHeader(status int) {
	switch status {
	case http.StatusPreconditionFailed:
		w.refuse(status, "the file is another than the one that was asked for")
	case http.StatusRequestedRangeNotSatisfiable:
		w.refuse(status, "the file has no such range")
	default:
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *slowWriter) refuse(status int, message string) {
	w.refused = true
	refuse(w.ResponseWriter, status, message)
}

func (w *slowWriter) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	if err := w.controller.SetWriteDeadline(time.Now().Add(w.limit)); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}
