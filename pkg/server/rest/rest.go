// Package rest is the REST API by which the service is administered, below /api/v1/.
//
//	api := rest.New(store, rest.Options{Sender: sender, Version: "1.0.0", Log: log})
//	mux.Handle("/api/", api)
//
//	curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:5000/api/v1/projects
//
// Each call needs a token (dbacked-server token create); one that is read-only may
// GET. There are no cookies, and no pages of other origins are let in: whatever is
// built on this, such as a dashboard, says the token itself. What is changed is done by
// package admin, as on the command line, and is in the audit log by the token's name.
//
// The API describes itself, to anybody: GET /api/v1/openapi.json, by OpenAPI 3.1. The
// same is kept in packaging/doc/openapi.json.
//
// Errors are those of RFC 9457 (application/problem+json): status, title, detail, and
// for input that is wrong, errors, each with a message and a location such as
// body.schedule. Lists have pages: next is what to say as after to get the next one.
//
// One file is one resource; each registers its operations, see [New].
package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/guard"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// Options sets how the API answers. The zero value is ready for use.
type Options struct {
	// Sender sends the tests of targets; nil can send none.
	Sender admin.Sender
	// Version is the service's.
	Version string
	// Log may be nil.
	Log *zap.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// API is the REST API, an http.Handler of /api/.
type API struct {
	records  *records.Store
	options  Options
	tokens   *guard.Tokens
	huma     huma.API
	mux      *http.ServeMux
	document []byte

	bodyLimit time.Duration // that a body may take
}

// Prefix begins the path of each operation.
const Prefix = "/api/v1"

const documentPath = Prefix + "/openapi.json"

// New serves what a store knows.
func New(r *records.Store, o Options) (*API, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &API{records: r, options: o, tokens: guard.NewTokens(r, o.Now), mux: http.NewServeMux(), bodyLimit: defaultBodyLimit}
	a.huma = humago.New(a.mux, configuration())
	for _, register := range []func(){a.projects, a.keys, a.backups, a.agents, a.alerts, a.targets, a.audit, a.info} {
		register()
	}
	var err error
	if a.document, err = document(a.huma.OpenAPI()); err != nil {
		return nil, err
	}
	a.mux.HandleFunc("GET "+documentPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(a.document) // the client went away
	})
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusNotFound, "there is no "+r.Method+" "+r.URL.Path+": "+documentPath+" says what there is")
	})
	return a, nil
}

// administrator is who calls.
type administrator struct{}

func token(ctx context.Context) records.Token {
	t, _ := ctx.Value(administrator{}).(records.Token)
	return t
}

// as acts for who calls.
func (a *API) as(ctx context.Context) *admin.Admin {
	return admin.New(a.records, admin.TokenActor(token(ctx)), a.options.Now)
}

// register adds an operation. What goes wrong is answered by problem.
func register[I, O any](a *API, op huma.Operation, do func(ctx context.Context, in *I) (*O, error)) {
	op.Path = Prefix + op.Path
	op.BodyReadTimeout = -1 // it was read: see ServeHTTP
	op.MaxBodyBytes = largestBody
	op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusInternalServerError)
	if op.Method != http.MethodGet {
		op.Errors = append(op.Errors, http.StatusForbidden, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := do(ctx, in)
		if err != nil {
			return nil, a.problem(ctx, op, err)
		}
		return out, nil
	})
}

// body is an answer.
type body[T any] struct{ Body T }

func answered[T any](v T) (*body[T], error) { return &body[T]{v}, nil }
