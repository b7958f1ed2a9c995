// Package pruner deletes the backups that no rule of their project keeps, and removes
// the files of what was deleted, failed, or was lost.
//
//	p := pruner.New(store, files, pruner.Options{Log: log})
//	go p.Run(ctx)
//	handler := server.New(store, files, server.Options{Completed: p.Completed})
//
// # What is deleted
//
// The rules are those of package retention, on the times at which backups were begun, by
// days of the project's time zone. They are applied after each backup that was done, and
// every five minutes. Nothing is deleted of a project without a rule, nor while its last
// backup failed, or was lost; never the newest good one, nor one that somebody keeps.
//
// What is deleted can be undeleted for the grace of its project: until then its files
// are there.
//
// # What is removed
//
// The files of a backup that
//
//   - was deleted, when its grace is over: as long as another good one is there, and, if a
//     rule deleted it, a newer one, with no failure since. Else it is put off;
//   - failed, after 15 minutes;
//   - was lost, after a day in which the service was there: so long its agent may still say
//     that it is done. From the moment that a removal begins it may not.
//
// What a signed address can still bring after that is refused, by a folder, which asks
// before it takes a part, and by a bucket, whose upload is gone. What was on its way at
// that moment is removed a day later.
//
// Files that no record knows are left alone.
//
// Any number of replicas may run this on one database. A removal is claimed by one of
// them, for ten minutes at a time; another goes on with it when that one dies. What could
// not be removed is said in the log once, noted in the record, and tried at each turn.
package pruner

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// Remover is what removes a file, and what is unfinished of it: a files.Store.
type Remover interface {
	Remove(ctx context.Context, r files.Ref, upload string) error
}

// Options sets how often to look. The zero value is ready for use.
type Options struct {
	// Interval is how often to look; 0 means 5 minutes.
	Interval time.Duration
	// Log may be nil.
	Log *zap.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

const (
	defaultInterval = 5 * time.Minute

	// claimLimit is when another replica may go on with a removal, and fileLimit how
	// long a file may take.
	claimLimit = 10 * time.Minute
	fileLimit  = 4 * time.Minute
	noteLimit  = 10 * time.Second

	// batch is how many are read at once, and mostFailures how many may fail in a row
	// before the store is left alone until the next turn.
	batch        = 100
	mostFailures = 3
)

// Pruner deletes and removes.
type Pruner struct {
	records *records.Store
	files   Remover
	options Options

	mu        sync.Mutex
	completed map[string]bool // projects
	poke      chan struct{}
}

// New returns a pruner.
func New(r *records.Store, f Remover, o Options) *Pruner {
	if o.Interval <= 0 {
		o.Interval = defaultInterval
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Pruner{records: r, files: f, options: o, completed: map[string]bool{}, poke: make(chan struct{}, 1)}
}

// Completed says that a backup of a project was done: its rules are applied soon.
func (p *Pruner) Completed(project string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.completed[project] = true
	select {
	case p.poke <- struct{}{}:
	default:
	}
}

func (p *Pruner) take() map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.completed
	p.completed = map[string]bool{}
	return taken
}

// Run deletes and removes until ctx ends. What fails is logged, and tried again.
func (p *Pruner) Run(ctx context.Context) {
	turns := make(chan records.Turn, 1)
	var both sync.WaitGroup
	both.Go(func() { p.watch(ctx, turns) })
	both.Go(func() { // a slow store keeps no rule from being applied
		for {
			select {
			case <-ctx.Done():
				return
			case turn := <-turns:
				p.sweep(ctx, turn)
			}
		}
	})
	both.Wait()
}

// watch applies rules, and hands on the turns that this replica has.
func (p *Pruner) watch(ctx context.Context, turns chan<- records.Turn) {
	ticker := time.NewTicker(p.options.Interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if turn, ok := p.turn(ctx); ok {
			select {
			case turns <- turn:
			default: // it is at it
			}
			p.retainAll(ctx)
		}
		p.wait(ctx, ticker.C)
	}
}

// wait applies the rules of projects that completed a backup, until it is time to look
// at all of them.
func (p *Pruner) wait(ctx context.Context, tick <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			return
		case <-p.poke:
			for project := range p.take() {
				p.retain(ctx, project)
			}
		}
	}
}

func (p *Pruner) turn(ctx context.Context) (records.Turn, bool) {
	turn, ok, err := p.records.TakePruning(ctx, p.options.Interval, p.options.Now())
	if err != nil && ctx.Err() == nil {
		p.options.Log.Error("could not look for what is to be removed", zap.Error(err))
	}
	return turn, ok && err == nil
}
