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

// sightings are the agents, keys and tokens that were seen since the last flush.
type sightings struct {
	mu sync.Mutex
	sighted
}

type sighted struct {
	agents       map[[2]string]Agent
	keys, tokens map[string]time.Time
}

func newSightings() *sightings { return &sightings{sighted: nobody()} }

func nobody() sighted {
	return sighted{agents: map[[2]string]Agent{}, keys: map[string]time.Time{}, tokens: map[string]time.Time{}}
}

func (s sighted) empty() bool { return len(s.agents)+len(s.keys)+len(s.tokens) == 0 }

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

// TouchToken notes that a token was used. It is written within half a minute.
func (s *Store) TouchToken(t Token, now time.Time) {
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	s.seen.tokens[t.ID] = now
}

func (s *sightings) take() sighted {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.sighted
	s.sighted = nobody()
	return taken
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
	seen := s.seen.take()
	if seen.empty() {
		return nil
	}
	err := s.tx(ctx, func(t *sql.Tx) error { return writeSeen(ctx, t, seen) })
	if err != nil {
		s.seen.giveBack(seen)
	}
	return err
}

// giveBack is the reverse of take, but for what was seen again meanwhile.
func (s *sightings) giveBack(seen sighted) {
	s.mu.Lock()
	defer s.mu.Unlock()
	giveBack(s.agents, seen.agents)
	giveBack(s.keys, seen.keys)
	giveBack(s.tokens, seen.tokens)
}

func giveBack[K comparable, V any](to, from map[K]V) {
	for k, v := range from {
		if _, again := to[k]; !again {
			to[k] = v
		}
	}
}

// writeSeen goes through the rows in one order, as every replica does, so that two
// do not wait for each other. A replica that is late moves nothing back.
func writeSeen(ctx context.Context, t *sql.Tx, seen sighted) error {
	byName := slices.SortedFunc(maps.Keys(seen.agents), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	for _, name := range byName {
		a := seen.agents[name]
		// The project may have been removed meanwhile.
		if _, err := t.ExecContext(ctx, `INSERT INTO agents (project_id, agent_id, version, last_seen) SELECT id, $2, $3, $4 FROM projects WHERE id = $1
			ON CONFLICT (project_id, agent_id) DO UPDATE SET version = excluded.version,
			last_seen = CASE WHEN excluded.last_seen > agents.last_seen THEN excluded.last_seen ELSE agents.last_seen END`,
			a.ProjectID, a.ID, a.Version, millis(a.LastSeen)); err != nil {
			return err
		}
	}
	for _, of := range []struct {
		table string
		used  map[string]time.Time
	}{{"api_keys", seen.keys}, {"tokens", seen.tokens}} {
		for _, id := range slices.Sorted(maps.Keys(of.used)) {
			if _, err := t.ExecContext(ctx, "UPDATE "+of.table+" SET last_used = $2 WHERE id = $1 AND last_used < $2", id, millis(of.used[id])); err != nil {
				return err
			}
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
