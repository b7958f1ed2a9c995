package records

import (
	"context"
	"math"
	"time"
)

// Overview is how a project is, at one look.
type Overview struct {
	Project
	LastSeen   time.Time // when an agent asked for a backup; zero if none ever did
	Newest     Summary   // the newest that is done and not deleted; without an ID if none is
	Active     Summary   // the one that holds the lock; without an ID if none does
	OpenAlerts int
}

// Summary is a backup in short.
type Summary struct {
	ID                string
	Started, Finished time.Time // Finished is zero until it is
	Size              int64
	Progress          Progress
}

// Overviews are those of the projects whose names come after one, by their names, up
// to limit; 0 is no limit. It is one query however many there are.
func (s *Store) Overviews(ctx context.Context, after string, limit int) ([]Overview, error) {
	if limit <= 0 {
		limit = math.MaxInt32
	}
	return query(ctx, s.db, scanOverview, overviewQuery+" WHERE p.name > $2 ORDER BY p.name LIMIT $3", StateDone, after, limit)
}

// Overview is that of one project.
func (s *Store) Overview(ctx context.Context, id string) (Overview, error) {
	return scanOverview(s.db.QueryRowContext(ctx, overviewQuery+" WHERE p.id = $2", StateDone, id))
}

const overviewQuery = "SELECT " + projectColumns + `,
	COALESCE((SELECT max(a.last_seen) FROM agents a WHERE a.project_id = p.id), 0),
	(SELECT count(*) FROM alerts a WHERE a.project_id = p.id AND a.closed = 0),
	COALESCE(n.id, ''), COALESCE(n.started, 0), COALESCE(n.finished, 0), COALESCE(n.size, 0),
	COALESCE(c.id, ''), COALESCE(c.started, 0), COALESCE(c.stage, ''), COALESCE(c.plain_bytes, 0), COALESCE(c.stored_bytes, 0)
	FROM projects p LEFT JOIN backups c ON c.project_id = p.id AND c.id = p.active
	LEFT JOIN backups n ON n.project_id = p.id AND n.id = (
		SELECT e.id FROM backups e WHERE e.project_id = p.id AND e.state = $1 AND e.removal = '' ORDER BY e.started DESC, e.id DESC LIMIT 1)`

func scanOverview(row scanner) (o Overview, err error) {
	var seen, started, finished, begun int64
	n, c := &o.Newest, &o.Active
	p, err := scanProject(row, &seen, &o.OpenAlerts, &n.ID, &started, &finished, &n.Size,
		&c.ID, &begun, &c.Progress.Stage, &c.Progress.PlainBytes, &c.Progress.StoredBytes)
	o.Project, o.LastSeen = p, fromMillis(seen)
	n.Started, n.Finished, c.Started = fromMillis(started), fromMillis(finished), fromMillis(begun)
	return o, err
}

// Count is how many there are of something.
type Count struct {
	ProjectID, Kind string
	N               int
}

// CountStates counts the backups of all projects by their states, which are Kind.
func (s *Store) CountStates(ctx context.Context) ([]Count, error) {
	return query(ctx, s.db, func(row scanner) (c Count, err error) {
		err = row.Scan(&c.Kind, &c.N)
		return c, err
	}, "SELECT state, count(*) FROM backups GROUP BY state")
}

// CountOpenAlerts counts the alerts that are open, by project and kind.
func (s *Store) CountOpenAlerts(ctx context.Context) ([]Count, error) {
	return query(ctx, s.db, func(row scanner) (c Count, err error) {
		err = row.Scan(&c.ProjectID, &c.Kind, &c.N)
		return c, err
	}, "SELECT project_id, kind, count(*) FROM alerts WHERE closed = 0 GROUP BY project_id, kind")
}
