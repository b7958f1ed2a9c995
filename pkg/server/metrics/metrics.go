// Package metrics tells Prometheus how the service is, and its projects.
//
//	m := metrics.New(store, metrics.Options{Version: "1.0.0"})
//	mux.Handle("GET /metrics", m.Handler())
//	server := http.Server{Handler: m.Measure(mux)}
//
// Who asks needs a token, as for package rest; one that is read-only is enough.
//
//	scrape_configs:
//	  - job_name: dbacked-server
//	    authorization: {credentials_file: /etc/prometheus/dbacked-server.token}
//	    static_configs: [{targets: ["127.0.0.1:5000"]}]
//
// There are at most seven series for a project, and one more for each kind of alert
// that is open; agents, keys and backups have none of their own. What is told of
// projects is read by three queries, however many there are, and kept for ten seconds;
// backups are counted each minute.
// Replicas all tell the same of projects, and each its own of calls.
package metrics

import (
	"errors"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/server/guard"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// Options sets what is told, and to whom. The zero value is ready for use.
type Options struct {
	// Public lets in who has no token.
	Public bool
	// Version is the service's.
	Version string
	// Log may be nil.
	Log *zap.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Metrics measures calls, and tells of them and of projects.
type Metrics struct {
	options  Options
	tokens   *guard.Tokens
	scrape   http.Handler
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

const (
	namespace   = "dbacked_server"
	mostScrapes = 4           // at once
	sendLimit   = time.Minute // that a scrape may take to be taken
)

// New tells of what a store knows.
func New(r *records.Store, o Options) *Metrics {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Metrics{
		options: o,
		tokens:  guard.NewTokens(r, o.Now),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "requests_total", Help: "Calls that were answered, by route and class of status.",
		}, []string{"route", "class"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "request_duration_seconds", Help: "How long calls took, by route.",
			Buckets: []float64{0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120},
		}, []string{"route"}),
	}
	info := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "The service that runs; always 1.",
		ConstLabels: prometheus.Labels{"version": o.Version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.calls, m.duration, info, newCollector(r, o),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{Namespace: namespace}))
	m.scrape = promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: mostScrapes, ErrorHandling: promhttp.ContinueOnError,
	})
	return m
}

// Handler answers GET /metrics.
func (m *Metrics) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.SetWriteDeadline(time.Now().Add(sendLimit))
		defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
		if m.options.Public {
			m.scrape.ServeHTTP(w, r)
			return
		}
		_, err := m.tokens.Check(r)
		if err == nil {
			m.scrape.ServeHTTP(w, r)
			return
		}
		if refused, ok := errors.AsType[*guard.Refused](err); ok {
			refused.Headers(w.Header())
			http.Error(w, refused.Message, refused.Status)
			return
		}
		m.options.Log.Error("a scrape failed", zap.Error(err))
		http.Error(w, "the service failed; its log says why", http.StatusInternalServerError)
	})
}
