package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Source is what the handler shows: an [Agent].
type Source interface {
	// Status says what goes on now.
	Status() Status
	// Request asks for a backup, and returns the number of the run that makes it.
	Request() (uint64, error)
}

// Checker looks, inside the agent's sandbox, for what would make a backup fail.
type Checker func(ctx context.Context) ([]Finding, error)

// Finding is one thing that a Checker looked at.
type Finding struct {
	Level   string `json:"level"` // ok, warn or fail
	Subject string `json:"subject"`
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"` // what to do about it
}

// The server's limits. A scraper that hangs keeps nothing for long.
const (
	headerLimit    = 5 * time.Second
	exchangeLimit  = 20 * time.Second
	keepAliveLimit = time.Minute
	headerBytes    = 16 << 10
	checkLimit     = 2 * time.Minute
)

// NewServer returns a server with limits. It serves what one agent says of
// itself, so it needs few and small requests.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerLimit,
		ReadTimeout:       exchangeLimit,
		WriteTimeout:      exchangeLimit,
		IdleTimeout:       keepAliveLimit,
		MaxHeaderBytes:    headerBytes,
	}
}

// NewHandler serves what an agent says of itself:
//
//	GET  /         a page for people
//	GET  /status   Status as JSON
//	GET  /metrics  the same for Prometheus
//	GET  /healthz  200 when healthy, else 503 and why
//	POST /backup   asks for a backup: 202 {"run": 3}
//	POST /check    the findings of check, as a JSON array
//
// The two POSTs are answered on a unix socket only, where the file's permissions
// say who may ask. Without a check there is no /check.
func NewHandler(s Source, check Checker) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page(s))
	mux.Handle("GET /metrics", metrics(s))
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, s.Status())
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { health(w, s.Status()) })
	mux.Handle("POST /backup", onSocket(func(w http.ResponseWriter, _ *http.Request) { request(w, s) }))
	if check != nil {
		mux.Handle("POST /check", onSocket(func(w http.ResponseWriter, r *http.Request) { examine(w, r, check) }))
	}
	return guarded(http.NewCrossOriginProtection().Handler(mux))
}

// guarded keeps what is shown from being framed, cached, or sent elsewhere.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", strictPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// onSocket lets only those in who came by a unix socket, as the descriptor
// itself tells.
func onSocket(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, ok := r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr); !ok {
			http.Error(w, "only on the unix socket, for example: curl --unix-socket /run/dbacked/NAME.sock -X POST http://localhost"+r.URL.Path, http.StatusForbidden)
			return
		}
		next(w, r)
	}
}

func health(w http.ResponseWriter, s Status) {
	if s.Healthy {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "ok")
		return
	}
	http.Error(w, s.Problem, http.StatusServiceUnavailable)
}

func request(w http.ResponseWriter, s Source) {
	number, err := s.Request()
	if err != nil { // it is stopping
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	answer(w, http.StatusAccepted, map[string]uint64{"run": number})
}

func examine(w http.ResponseWriter, r *http.Request, check Checker) {
	// A check connects to a database, which may take longer than an answer
	// otherwise does. A writer without deadlines has none to raise.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(checkLimit + exchangeLimit))
	ctx, cancel := context.WithTimeout(r.Context(), checkLimit)
	defer cancel()
	findings, err := check(ctx)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if findings == nil {
		findings = []Finding{} // an array, also when there is nothing in it
	}
	answer(w, http.StatusOK, findings)
}

func answer(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(value) // who asked may have gone away
}
