package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/guard"
)

const (
	largestBody      = 64 << 10
	defaultBodyLimit = 10 * time.Second
	callLimit        = time.Minute // that an answer may take, to make and to send
)

// ServeHTTP lets in who has a token, reads what they say, and answers.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(callLimit + a.bodyLimit))
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	ctx, cancel := context.WithTimeout(r.Context(), callLimit)
	defer cancel()
	if r.URL.Path != documentPath {
		token, err := a.tokens.Check(r)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		if token.ReadOnly && r.Method != http.MethodGet && r.Method != http.MethodHead {
			answer(w, http.StatusForbidden, "this token is read-only: it changes nothing")
			return
		}
		ctx = context.WithValue(ctx, administrator{}, token)
	}
	if !isText(r) {
		answer(w, http.StatusBadRequest, "the address has a byte that is no text")
		return
	}
	text, status, why := a.read(w, r)
	if status != 0 {
		answer(w, status, why)
		return
	}
	call := r.WithContext(ctx)
	call.Body = io.NopCloser(bytes.NewReader(text))
	defer func() {
		r.Pattern = call.Pattern // for who measures
		if reason := recover(); reason != nil {
			a.log(ctx, r.Method, r.URL.Path, fmt.Errorf("panic: %v", reason))
			answer(w, http.StatusInternalServerError, failed)
		}
	}()
	a.mux.ServeHTTP(w, call)
}

// isText says whether a database takes what is in the address.
func isText(r *http.Request) bool {
	text := r.URL.Path
	for name, values := range r.URL.Query() {
		text += name + strings.Join(values, "")
	}
	return utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}

// read reads a body whole. Afterwards nothing of it is waited for: a deadline that
// still ran would end a call that takes longer.
func (a *API) read(w http.ResponseWriter, r *http.Request) (text []byte, status int, why string) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(a.bodyLimit))
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largestBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, http.StatusRequestEntityTooLarge, "the body has more than 64 KiB"
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.Header().Set("Connection", "close")
		return nil, http.StatusRequestTimeout, "the body did not come within " + a.bodyLimit.String()
	}
	if err != nil {
		return nil, http.StatusBadRequest, "the body did not come whole"
	}
	_ = control.SetReadDeadline(time.Time{})
	return text, 0, ""
}

// refuse answers who is not let in.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if refused, ok := errors.AsType[*guard.Refused](err); ok {
		refused.Headers(w.Header())
		answer(w, refused.Status, refused.Message)
		return
	}
	a.log(r.Context(), r.Method, r.URL.Path, err)
	answer(w, http.StatusInternalServerError, failed)
}

const failed = "the service failed; its log says why"

// answer answers with a problem before there is an operation.
func answer(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{Status: status, Title: http.StatusText(status), Detail: detail}) // the client went away
}

// problem is what is answered when an operation did not work.
func (a *API) problem(ctx context.Context, op huma.Operation, err error) error {
	if invalid, ok := errors.AsType[*admin.Invalid](err); ok {
		where := "body."
		if op.Method == http.MethodGet {
			where = "query."
		}
		return huma.Error422UnprocessableEntity(invalid.Message, &huma.ErrorDetail{Message: invalid.Message, Location: where + invalid.Field})
	}
	if missing, ok := errors.AsType[*admin.NotFound](err); ok {
		return huma.Error404NotFound(missing.Error())
	}
	if refused, ok := errors.AsType[*admin.Refused](err); ok {
		return huma.Error409Conflict(refused.Message)
	}
	if not, ok := errors.AsType[*admin.NotSent](err); ok {
		return huma.Error502BadGateway(not.Error())
	}
	a.log(ctx, op.Method, op.Path, err)
	return huma.Error500InternalServerError(failed)
}

// log tells of an error that is the service's own, unless it was no longer waited for.
func (a *API) log(ctx context.Context, method, path string, err error) {
	if !errors.Is(ctx.Err(), context.Canceled) {
		a.options.Log.Error("a call of an administrator failed", zap.String("method", method), zap.String("path", path), zap.Error(err))
	}
}
