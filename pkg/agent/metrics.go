package agent

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dbacked/dbacked/pkg/pipeline"
)

// The label of the instance is not called "instance": Prometheus gives that name
// to the target. Each metric has it, so that those of several instances can lie
// in one file.
const nameLabel = "name"

// stages are shown even while nothing happens in them, so that a first failure
// is an increase.
var stages = []string{pipeline.StageLock, pipeline.StagePrepare, pipeline.StageDump, pipeline.StageCommit}

// metrics serves a status to Prometheus. Nothing is counted here: each scrape
// reads the status.
func metrics(s Source) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{s})
	// Renamed and labelled too: what else is in that file may have a process_….
	name := prometheus.Labels{nameLabel: strings.ToValidUTF8(s.Status().Instance, "?")}
	prometheus.WrapRegistererWith(name, registry).MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{Namespace: "dbacked"}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		DisableCompression:  true, // an agent that idles should stay small
		MaxRequestsInFlight: 4,
		Timeout:             exchangeLimit / 2,
	})
}

// collector turns a status into metrics.
type collector struct{ source Source }

// Describe says nothing, which makes the collector an unchecked one: which
// metrics there are depends on what there is to tell.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect is called at each scrape.
func (c collector) Collect(to chan<- prometheus.Metric) {
	s := c.source.Status()
	e := emitter{to, s.Instance}
	e.gauge("dbacked_healthy", "Whether the newest proved backup is as it should be.", flag(s.Healthy))
	e.counter("dbacked_attempts_total", "Runs that began since the agent started.", s.Attempts)
	e.counter("dbacked_backups_total", "Proved backups since the agent started.", s.Successes)
	e.counter("dbacked_partial_total", "Backups since the agent started that were proved, but not in every place.", s.Partials)
	e.counter("dbacked_lock_waits_total", "Runs given up since another one held the lock.", s.LockWaits)
	e.counter("dbacked_blocked_sessions_total", "Times since the agent started that another session waited behind the locks of a dump.", s.BlockedSessions)
	e.failures(s)
	e.running(s)
	if s.Next != nil {
		e.gauge("dbacked_next_run_timestamp_seconds", "When the next run is planned.", seconds(*s.Next))
	}
	if attempt := lastAttempt(s); !attempt.IsZero() {
		e.gauge("dbacked_last_attempt_timestamp_seconds", "When the last run began.", seconds(attempt))
	}
	e.newest(s)
	for _, p := range s.Places {
		e.gauge("dbacked_place_healthy", "Whether one of several places could be read.", flag(p.Error == ""), "place", p.Storage)
		if p.Newest != nil {
			e.gauge("dbacked_place_last_success_timestamp_seconds", "When the newest proved backup began that this place holds.", seconds(p.Newest.Started), "place", p.Storage)
		}
	}
}

type emitter struct {
	to   chan<- prometheus.Metric
	name string
}

func (e emitter) gauge(name, help string, value float64, labels ...string) {
	e.emit(prometheus.GaugeValue, name, help, value, labels)
}

func (e emitter) counter(name, help string, value uint64, labels ...string) {
	e.emit(prometheus.CounterValue, name, help, float64(value), labels)
}

// emit sends one metric; labels are names and values in turn.
func (e emitter) emit(kind prometheus.ValueType, name, help string, value float64, labels []string) {
	names, values := []string{nameLabel}, []string{e.name}
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	for i, value := range values {
		values[i] = strings.ToValidUTF8(value, "?")
	}
	desc := prometheus.NewDesc(name, help, names, nil)
	m, err := prometheus.NewConstMetric(desc, kind, value, values...)
	if err != nil {
		m = prometheus.NewInvalidMetric(desc, err)
	}
	e.to <- m
}

func (e emitter) failures(s Status) {
	const name, help = "dbacked_failures_total", "Runs that failed since the agent started, by the stage in which they did."
	known := map[string]bool{}
	for _, stage := range stages {
		known[stage] = true
		e.counter(name, help, s.Failures[stage], "stage", stage)
	}
	for stage, n := range s.Failures {
		if !known[stage] {
			e.counter(name, help, n, "stage", stage)
		}
	}
}

func (e emitter) running(s Status) {
	r := Running{}
	if s.Running != nil {
		r = *s.Running
	}
	for _, stage := range stages {
		e.gauge("dbacked_running", "Whether a run is in this stage now.", flag(r.Stage == stage), "stage", stage)
	}
	e.gauge("dbacked_running_plain_bytes", "What the dump programs of the run at hand have written.", float64(r.PlainBytes))
	e.gauge("dbacked_snapshot_age_seconds", "Age of the snapshot that the dumps of the run at hand share; 0 without one.", float64(r.SnapshotSeconds))
	e.gauge("dbacked_running_stored_bytes", "What the run at hand has stored.", float64(r.StoredBytes))
}

// newest describes the newest proved backup, and the agent.
func (e emitter) newest(s Status) {
	engine, server := "", ""
	if b := s.Newest; b != nil {
		engine, server = b.Engine, b.ServerVersion
		e.gauge("dbacked_last_success_timestamp_seconds", "When the newest proved backup began: what it holds is that old.", seconds(b.Started))
		if !b.Unproved {
			e.gauge("dbacked_last_duration_seconds", "How long the newest proved backup took.", b.Finished.Sub(b.Started).Seconds())
			e.gauge("dbacked_last_plain_bytes", "Size of the newest proved backup's dump.", float64(b.PlainBytes))
		}
		e.gauge("dbacked_last_stored_bytes", "What is stored of the newest proved backup.", float64(b.StoredBytes))
	}
	e.gauge("dbacked_info", "The agent, and the server of the newest proved backup; always 1.", 1,
		"version", s.AgentVersion, "engine", engine, "server_version", server)
}

func lastAttempt(s Status) time.Time {
	switch {
	case s.Running != nil:
		return s.Running.Started
	case len(s.Runs) > 0:
		return s.Runs[0].Started
	}
	return time.Time{}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func flag(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
