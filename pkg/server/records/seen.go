package records

import (
	"context"
	"database/sql"
	"maps"
	"slices"
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

// flush writes what was seen since the last time. What could not be written is
// written the next time.
func (s *Store) flush(ctx context.Context) error {
	agents, keys := s.seen.take()
	if len(agents) == 0 && len(keys) == 0 {
		return nil
	}
	err := s.tx(ctx, func(t *sql.Tx) error { return writeSeen(ctx, t, agents, keys) })
	if err != nil {
		s.seen.giveBack(agents, keys)
	}
	return err
}

// giveBack is the reverse of take, but for what was seen again meanwhile.
func (s *sightings) giveBack(agents map[[2]string]Agent, keys map[string]time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, a := range agents {
		if _, again := s.agents[k]; !again {
			s.agents[k] = a
		}
	}
	for k, at := range keys {
		if _, again := s.keys[k]; !again {
			s.keys[k] = at
		}
	}
}

// writeSeen goes through the rows in one order, as every replica does, so that two
// do not wait for each other. A replica that is late moves nothing back.
func writeSeen(ctx context.Context, t *sql.Tx, agents map[[2]string]Agent, keys map[string]time.Time) error {
	byName := slices.SortedFunc(maps.Keys(agents), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	for _, name := range byName {
		a := agents[name]
		// The project may have been removed meanwhile.
		if _, err := t.ExecContext(ctx, `INSERT INTO agents (project_id, agent_id, version, last_seen) SELECT id, $2, $3, $4 FROM projects WHERE id = $1
			ON CONFLICT (project_id, agent_id) DO UPDATE SET version = excluded.version,
			last_seen = CASE WHEN excluded.last_seen > agents.last_seen THEN excluded.last_seen ELSE agents.last_seen END`,
			a.ProjectID, a.ID, a.Version, millis(a.LastSeen)); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		if _, err := t.ExecContext(ctx, "UPDATE api_keys SET last_used = $2 WHERE id = $1 AND last_used < $2", id, millis(keys[id])); err != nil {
			return err
		}
	}
	return nil
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
