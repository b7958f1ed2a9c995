package alerts

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/server/records"
)

// Options sets how alerts are looked for, and told. The zero value is ready for use.
type Options struct {
	// SMTP is the server that mails leave by.
	SMTP SMTP
	// Interval is how often to look; 0 means 30 seconds.
	Interval time.Duration
	// Log may be nil.
	Log *zap.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

const (
	defaultInterval = 30 * time.Second

	// workers is how many deliveries a replica makes at once.
	workers = 4
	// sendLimit is how long one may take, and claimLimit when another replica may
	// try it.
	sendLimit  = 20 * time.Second
	claimLimit = 2 * time.Minute
	noteLimit  = 10 * time.Second

	firstWait = time.Minute
	longWait  = 30 * time.Minute
	mostTries = 20
	oldest    = 24 * time.Hour // what is tried again
)

// Runner looks for alerts, and tells them.
type Runner struct {
	records *records.Store
	options Options
	send    *Sender
	ended   map[string]history // by project
}

// history is how a project's backups ended, as long as last is the last of them.
type history struct {
	last records.Backup
	done []records.Backup
}

// New returns a runner.
func New(r *records.Store, o Options) *Runner {
	if o.Interval <= 0 {
		o.Interval = defaultInterval
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Runner{records: r, options: o, send: NewSender(o.SMTP), ended: map[string]history{}}
}

// Run looks and tells until ctx ends. What fails is logged, and tried again.
func (r *Runner) Run(ctx context.Context) {
	poke := make(chan struct{}, 1)
	var both sync.WaitGroup
	both.Go(func() {
		r.each(ctx, nil, func() {
			r.look(ctx)
			select {
			case poke <- struct{}{}:
			default:
			}
		})
	})
	both.Go(func() { r.each(ctx, poke, func() { r.tell(ctx) }) }) // a slow target keeps nobody from looking
	both.Wait()
}

// each calls f now, at each interval, and when it is poked.
func (r *Runner) each(ctx context.Context, poke <-chan struct{}, f func()) {
	ticker := time.NewTicker(r.options.Interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		f()
		select {
		case <-ctx.Done():
		case <-poke:
		case <-ticker.C:
		}
	}
}

// look opens and closes alerts, if it is this replica's turn.
func (r *Runner) look(ctx context.Context) {
	now := r.options.Now()
	turn, ok, err := r.records.TakeTurn(ctx, r.options.Interval, now)
	if err == nil && ok {
		err = r.compare(ctx, turn, now)
	}
	if err != nil && !errors.Is(err, records.ErrTurn) && ctx.Err() == nil {
		r.options.Log.Error("could not look for alerts", zap.Error(err))
	}
}

// compare makes the open alerts those whose conditions hold.
func (r *Runner) compare(ctx context.Context, turn records.Turn, now time.Time) error {
	type name struct{ project, kind, subject string }
	holds := map[name]bool{}
	all, err := r.facts(ctx, turn)
	if err != nil {
		return err
	}
	alerts, err := r.records.OpenAlerts(ctx)
	if err != nil {
		return err
	}
	open := map[name]bool{}
	for _, a := range alerts {
		open[name{a.ProjectID, a.Kind, a.Subject}] = true
	}
	for _, f := range all {
		for _, c := range conditions(f, now) {
			n := name{f.ID, c.kind, c.subject}
			holds[n] = true
			if open[n] || c.unsure {
				continue
			}
			opened, err := r.records.OpenAlert(ctx, turn, records.Alert{ProjectID: f.ID, Kind: c.kind, Subject: c.subject, Text: c.text}, now)
			if err != nil {
				return err
			}
			if opened {
				r.options.Log.Warn("alert", zap.String("project", f.Name), zap.String("kind", c.kind), zap.String("text", c.text))
			}
		}
	}
	for _, a := range alerts {
		if holds[name{a.ProjectID, a.Kind, a.Subject}] {
			continue
		}
		closed, err := r.records.CloseAlert(ctx, turn, a.ID, now)
		if err != nil {
			return err
		}
		if closed {
			r.options.Log.Info("recovered", zap.String("project", a.Project), zap.String("kind", a.Kind))
		}
	}
	return r.records.ForgetAlerts(ctx, now)
}

// facts are of all projects. How backups ended is read only where one ended since.
func (r *Runner) facts(ctx context.Context, turn records.Turn) ([]facts, error) {
	known, err := r.records.KnownOfAll(ctx)
	if err != nil {
		return nil, err
	}
	all, ended := make([]facts, 0, len(known)), make(map[string]history, len(known))
	for _, k := range known {
		h := r.ended[k.ID]
		if h.last.ID != k.LastEnded {
			if h, err = r.history(ctx, k); err != nil {
				return nil, err
			}
		}
		ended[k.ID] = h
		all = append(all, facts{Known: k, last: h.last, done: h.done, since: turn.Since})
	}
	r.ended = ended
	return all, nil
}

func (r *Runner) history(ctx context.Context, k records.Known) (h history, err error) {
	if k.LastEnded == "" {
		return h, nil
	}
	if h.last, err = r.records.Backup(ctx, k.ID, k.LastEnded); errors.Is(err, records.ErrNotFound) {
		return history{}, nil // it was removed since
	} else if err != nil {
		return h, err
	}
	h.done, err = r.records.LastDone(ctx, k.ID, mostSizes+1)
	return h, err
}
