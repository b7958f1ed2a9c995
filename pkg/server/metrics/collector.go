package metrics

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/server/alerts"
	"github.com/dbacked/dbacked/pkg/server/records"
)

const (
	keptFor      = 10 * time.Second // what was read
	countKeptFor = time.Minute      // how many backups there are: each is counted
	readLimit    = 20 * time.Second
)

// facts are what is told of all projects.
type facts struct {
	projects []records.Overview
	alerts   []records.Count
	states   []records.Count
	at       time.Time
	counted  time.Time // when states were
}

// collector reads what is known at each scrape, unless it just did.
type collector struct {
	records *records.Store
	options Options

	mu   sync.Mutex // held while it is read: who comes meanwhile gets the same
	last facts

	up, failures, projects, backups, open           *prometheus.Desc
	started, size, due, late, seen, running, stored *prometheus.Desc
}

func newCollector(r *records.Store, o Options) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	return &collector{
		records: r, options: o,
		up:       desc("database_up", "Whether the database answered; if it did not, nothing is told of projects."),
		failures: desc("database_failures_total", "What the database refused, or did not answer."),
		projects: desc("projects", "How many projects there are."),
		backups:  desc("backups", "How many backups of all projects are in a state.", "state"),
		open:     desc("alerts_open", "How many alerts of a kind are open; none is told of a kind that is not.", "project", "kind"),
		started:  desc("project_last_success_timestamp_seconds", "When the newest backup that was done began: what it holds is that old.", "project"),
		size:     desc("project_last_success_bytes", "What is stored of the newest backup that was done.", "project"),
		due:      desc("project_next_due_timestamp_seconds", "When the next backup is due; in the past, if one is.", "project"),
		late:     desc("project_late", "Whether a backup is late, as alerts say.", "project"),
		seen:     desc("project_agent_last_seen_timestamp_seconds", "When an agent asked for a backup.", "project"),
		running:  desc("project_running", "Whether a backup is under way.", "project"),
		stored:   desc("project_running_stored_bytes", "What the backup under way has stored, as its agent said last.", "project"),
	}
}

// Describe names all there is.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.up, c.failures, c.projects, c.backups, c.open, c.started, c.size, c.due, c.late, c.seen, c.running, c.stored} {
		to <- d
	}
}

// Collect is called at each scrape.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	f, err := c.read()
	if err != nil {
		c.options.Log.Error("the metrics of projects could not be read", zap.Error(err))
	}
	emit(to, c.up, prometheus.GaugeValue, flag(err == nil))
	emit(to, c.failures, prometheus.CounterValue, float64(c.records.Failures()))
	if err != nil {
		return
	}
	emit(to, c.projects, prometheus.GaugeValue, float64(len(f.projects)))
	c.states(to, f.states)
	late := map[string]bool{}
	names := make(map[string]string, len(f.projects))
	for _, p := range f.projects {
		names[p.ID] = p.Name
	}
	for _, a := range f.alerts {
		if a.Kind == alerts.KindLate {
			late[a.ProjectID] = true
		}
		if name, known := names[a.ProjectID]; known { // it may be newer than what was read before
			emit(to, c.open, prometheus.GaugeValue, float64(a.N), name, a.Kind)
		}
	}
	for _, p := range f.projects {
		c.project(to, p, late[p.ID])
	}
}

// states tells of all states, so that a first failure is an increase.
func (c *collector) states(to chan<- prometheus.Metric, all []records.Count) {
	n := map[string]int{records.StateOpen: 0, records.StateCompleting: 0, records.StateDone: 0, records.StateFailed: 0, records.StateLost: 0}
	for _, s := range all {
		n[s.Kind] = s.N
	}
	for state, count := range n {
		emit(to, c.backups, prometheus.GaugeValue, float64(count), state)
	}
}

func (c *collector) project(to chan<- prometheus.Metric, p records.Overview, late bool) {
	gauge := func(d *prometheus.Desc, value float64) { emit(to, d, prometheus.GaugeValue, value, p.Name) }
	if p.Newest.ID != "" {
		gauge(c.started, seconds(p.Newest.Started))
		gauge(c.size, float64(p.Newest.Size))
	}
	if !p.NextDue.IsZero() {
		gauge(c.due, seconds(p.NextDue))
	}
	gauge(c.late, flag(late))
	if !p.LastSeen.IsZero() {
		gauge(c.seen, seconds(p.LastSeen))
	}
	gauge(c.running, flag(p.Active.ID != ""))
	if p.Active.ID != "" {
		gauge(c.stored, float64(p.Active.Progress.StoredBytes))
	}
}

// read reads what is known, or says what was read a moment ago.
func (c *collector) read() (facts, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age := c.options.Now().Sub(c.last.at); age >= 0 && age < keptFor {
		return c.last, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), readLimit)
	defer cancel()
	f := facts{at: c.options.Now()}
	var err error
	if f.projects, err = c.records.Overviews(ctx, "", 0); err != nil {
		return f, err
	}
	if f.alerts, err = c.records.CountOpenAlerts(ctx); err != nil {
		return f, err
	}
	f.states, f.counted = c.last.states, c.last.counted
	if age := f.at.Sub(f.counted); age < 0 || age >= countKeptFor {
		if f.states, err = c.records.CountStates(ctx); err != nil {
			return f, err
		}
		f.counted = f.at
	}
	c.last = f
	return f, nil
}

func emit(to chan<- prometheus.Metric, d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
	for i, label := range labels {
		labels[i] = strings.ToValidUTF8(label, "?")
	}
	m, err := prometheus.NewConstMetric(d, kind, value, labels...)
	if err != nil {
		m = prometheus.NewInvalidMetric(d, err)
	}
	to <- m
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func flag(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
