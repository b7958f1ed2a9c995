package records

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// flushInterval is how long what agents were seen doing stays in memory: a poll
// writes nothing.
const flushInterval = 30 * time.Second

// Agent is one that asked for a project's backups.
type Agent struct {
	ProjectID, ID, Version string
	LastSeen               time.Time
}

// sightings are the agents, and keys, that were seen since the last flush.
type sightings struct {
	mu     sync.Mutex
	agents map[[2]string]Agent
	keys   map[string]time.Time
}

func newSightings() *sightings {
	return &sightings{agents: map[[2]string]Agent{}, keys: map[string]time.Time{}}
}

// Touch notes that an agent of a project was seen, and that its key was used. It is
// written within half a minute.
func (s *Store) Touch(k Key, agentID, version string, now time.Time) {
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	s.seen.keys[k.ID] = now
	if agentID != "" {
		s.seen.agents[[2]string{k.ProjectID, agentID}] = Agent{ProjectID: k.ProjectID, ID: agentID, Version: version, LastSeen: now}
	}
}

func (s *sightings) take() (agents map[[2]string]Agent, keys map[string]time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	agents, keys = s.agents, s.keys
	s.agents, s.keys = map[[2]string]Agent{}, map[string]time.Time{}
	return agents, keys
}

func (s *Store) flushEach(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = s.flush(ctx) // it is seen again, and no more than that is lost
		}
	}
}

func (s *Store) flush(ctx context.Context) error {
	agents, keys := s.seen.take()
	if len(agents) == 0 && len(keys) == 0 {
		return nil
	}
	return s.tx(ctx, func(t *sql.Tx) error {
		for _, a := range agents {
			// The project may have been removed meanwhile.
			if _, err := t.ExecContext(ctx, `INSERT INTO agents (project_id, agent_id, version, last_seen) SELECT id, $2, $3, $4 FROM projects WHERE id = $1
				ON CONFLICT (project_id, agent_id) DO UPDATE SET version = excluded.version, last_seen = excluded.last_seen`,
				a.ProjectID, a.ID, a.Version, millis(a.LastSeen)); err != nil {
				return err
			}
		}
		for id, at := range keys {
			if _, err := t.ExecContext(ctx, "UPDATE api_keys SET last_used = $2 WHERE id = $1", id, millis(at)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Agents are those of a project, the one seen last first.
func (s *Store) Agents(ctx context.Context, projectID string) ([]Agent, error) {
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	return query(ctx, s.db, func(row scanner) (a Agent, err error) {
		var seen int64
		err = row.Scan(&a.ProjectID, &a.ID, &a.Version, &seen)
		a.LastSeen = fromMillis(seen)
		return a, err
	}, "SELECT project_id, agent_id, version, last_seen FROM agents WHERE project_id = $1 ORDER BY last_seen DESC, agent_id", projectID)
}
