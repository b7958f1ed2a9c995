package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/storage"
)

// Run is a backup that the service gave to this agent.
type Run struct {
	ID, ProjectID string

	// PublicKey (PEM) is told with the end of a good backup: which key was used. It is
	// set before anything is written; "" tells nothing.
	PublicKey string

	client *Client
	old    bool
	ctx    context.Context // ends when the backup is lost
	end    context.CancelCauseFunc
	beats  sync.WaitGroup

	mu     sync.Mutex
	done   bool
	report func() api.Progress
}

// errEnded is why a run's context ends when all went well.
var errEnded = errors.New("the run is over")

// endLimit is how long it may take to tell the service of an end.
const endLimit = 30 * time.Second

// Ask asks for a backup that is due. ErrNotDue: there is nothing to do. Whoever gets
// one calls End, and works within Context. The context here is for the question alone.
// It is tried three times at most; whoever asks again after that, by the same client,
// asks the same question.
func (c *Client) Ask(ctx context.Context) (*Run, error) { return c.ask(ctx, false) }

// AskNow asks for a backup also when none is due. ErrNotDue: another agent makes one,
// or the service does not know such wishes, as an old one.
func (c *Client) AskNow(ctx context.Context) (*Run, error) { return c.ask(ctx, true) }

func (c *Client) ask(ctx context.Context, now bool) (*Run, error) {
	if c.kind.Load() == kindUnknown { // an old one might refuse what it does not know
		if _, err := c.Project(ctx); err != nil {
			return nil, err
		}
	}
	old := c.Old()
	var given api.GivenBackup
	ask := api.BackupRequest{AgentID: c.options.AgentID, AgentVersion: c.options.Version, DBType: c.options.DBType}
	if !old {
		ask.RequestID, ask.Now = c.question(), now
	}
	err := c.call(ctx, "ask for a backup of", http.MethodPost, pathAsk, ask, &given)
	if temporary := (*storage.TemporaryError)(nil); err == nil || ctx.Err() == nil && !errors.As(err, &temporary) {
		c.answered()
	}
	if err != nil {
		return nil, err
	}
	r := &Run{ID: given.Backup.ID, ProjectID: given.Backup.ProjectID, client: c}
	if r.ID == "" || r.ProjectID == "" {
		return nil, fmt.Errorf("ask for a backup of %s: it gave one without an id", c)
	}
	r.old = old || given.LeaseSeconds <= 0
	r.ctx, r.end = context.WithCancelCause(context.WithoutCancel(ctx))
	if !r.old {
		r.beats.Go(func() { r.beat(time.Duration(given.LeaseSeconds) * time.Second) })
	}
	return r, nil
}

// Old says that the service gave the backup without a lease that is renewed, as it did
// in 2018: it is written by OneFile.
func (r *Run) Old() bool { return r.old }

const pathAsk = "/projects/own/backups"

// question is the id of the question at hand: of the last one, as long as that got no
// answer. What the service may have given is so given again.
func (c *Client) question() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.request == "" {
		c.request = rand.Text()
	}
	return c.request
}

func (c *Client) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.request = ""
}

// Context ends with ErrLost as its cause when the service gave the backup to another
// agent, or could not be told for a whole lease that this one lives. It outlives the
// context of Ask.
func (r *Run) Context() context.Context { return r.ctx }

// Report has each heartbeat say how far the backup is.
func (r *Run) Report(progress func() api.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report = progress
}

// beat renews the lease, three times within each.
func (r *Run) beat(lease time.Duration) {
	ticker := time.NewTicker(lease / 3)
	defer ticker.Stop()
	until := time.Now().Add(lease)
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-ticker.C:
		}
		sent := time.Now()
		err := r.renew(lease / 3)
		switch {
		case err == nil:
			until = sent.Add(lease)
		case errors.Is(err, ErrLost):
			r.end(err)
			return
		case time.Now().After(until.Add(-lease / 3)):
			r.end(fmt.Errorf("%w: it could not be told that this agent lives: %w", ErrLost, err))
			return
		}
	}
}

func (r *Run) renew(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(r.ctx, limit)
	defer cancel()
	r.mu.Lock()
	report := r.report
	r.mu.Unlock()
	beat := api.Heartbeat{AgentID: r.client.options.AgentID}
	if report != nil {
		p := report()
		beat.Progress = &p
	}
	return r.client.call(ctx, "renew the lease of a backup of", http.MethodPost, r.path("heartbeat"), beat, nil)
}

// Confirm says whether the backup is this agent's at this moment. An old service does
// not tell.
func (r *Run) Confirm(ctx context.Context) error {
	if r.old {
		return nil
	}
	return r.client.call(ctx, "confirm the lease of a backup of", http.MethodPost, r.path("heartbeat"), api.Heartbeat{AgentID: r.client.options.AgentID}, nil)
}

func (r *Run) path(what string) string {
	return "/projects/" + r.ProjectID + "/backups/" + r.ID + "/" + what
}

// Done ends the backup as the only success there is: with its manifest, which is an
// object of that name.
func (r *Run) Done(ctx context.Context, name string, manifest []byte) error {
	st := api.Status{Status: api.StatusDone, AgentID: r.client.options.AgentID, Manifest: string(manifest), ManifestName: name, PublicKey: r.PublicKey}
	err := r.status(ctx, "complete a backup of", st)
	if err == nil {
		r.wasDone()
	}
	return err
}

// status says how the backup is.
func (r *Run) status(ctx context.Context, what string, st api.Status) error {
	return r.client.call(ctx, what, http.MethodPost, r.path("status"), st, nil)
}

// wasDone makes End say nothing.
func (r *Run) wasDone() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = true
}

// End gives the backup back, unless it is done, and says why. It may be called
// again, and after the end of its context.
func (r *Run) End(why error) error {
	r.mu.Lock()
	done := r.done
	r.done = true
	r.mu.Unlock()
	r.end(errEnded)
	r.beats.Wait()
	if done {
		return nil
	}
	text := "the run ended without a backup; the agent's log says why"
	if why != nil {
		text = why.Error()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), endLimit)
	defer cancel()
	st := api.Status{Status: api.StatusError, AgentID: r.client.options.AgentID, Error: text}
	err := r.status(ctx, "give back a backup of", st)
	if errors.Is(err, ErrLost) {
		return nil
	}
	return err
}
