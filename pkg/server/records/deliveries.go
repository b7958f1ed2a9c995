package records

import (
	"context"
	"database/sql"
	"time"
)

// What a target is told of an alert.
const (
	EventOpened    = "opened"
	EventRecovered = "recovered"
)

// Delivery is one thing to tell one target.
type Delivery struct {
	Alert  Alert
	Target Target
	Event  string
	Tries  int // this one too
}

// Claim gives a delivery that is to be made now to one of those who ask; until that
// time it is nobody else's. ErrNotFound: there is none. A target is told of an end
// after the beginning.
func (s *Store) Claim(ctx context.Context, until, now time.Time) (d Delivery, err error) {
	var alert, target string
	if err := s.db.QueryRowContext(ctx, "SELECT 1 FROM deliveries WHERE done_at = 0 AND claimed_until <= $1 LIMIT 1", millis(now)).Scan(new(int)); err != nil {
		return d, found(err) // as nearly always, without writing
	}
	skip := ""
	if s.postgres {
		skip = " FOR UPDATE OF d SKIP LOCKED"
	}
	err = s.db.QueryRowContext(ctx, `WITH one AS MATERIALIZED (
			SELECT d.alert_id, d.target_id, d.event FROM deliveries d JOIN targets t ON t.id = d.target_id
			WHERE d.done_at = 0 AND d.claimed_until <= $1 AND t.held_until <= $1 AND (d.event = $3 OR NOT EXISTS (
				SELECT 1 FROM deliveries o WHERE o.alert_id = d.alert_id AND o.target_id = d.target_id AND o.event = $3 AND o.done_at = 0))
			ORDER BY d.claimed_until, d.alert_id LIMIT 1`+skip+`)
		UPDATE deliveries SET claimed_until = $2, tries = tries + 1
		WHERE (alert_id, target_id, event) IN (SELECT alert_id, target_id, event FROM one) AND done_at = 0 AND claimed_until <= $1
		RETURNING alert_id, target_id, event, tries`, millis(now), millis(until), EventOpened).Scan(&alert, &target, &d.Event, &d.Tries)
	if err != nil {
		return d, found(err)
	}
	if d.Target, err = s.Target(ctx, target); err != nil {
		return d, err
	}
	d.Alert, err = scanAlert(s.db.QueryRowContext(ctx, "SELECT "+alertColumns+" FROM alerts a JOIN projects p ON p.id = a.project_id WHERE a.id = $1", alert))
	return d, found(err)
}

// Delivered notes that a delivery was made.
func (s *Store) Delivered(ctx context.Context, d Delivery, now time.Time) error {
	return s.end(ctx, d, false, "", now)
}

// GiveUp notes that a delivery is not tried again.
func (s *Store) GiveUp(ctx context.Context, d Delivery, reason string, now time.Time) error {
	return s.end(ctx, d, true, reason, now)
}

func (s *Store) end(ctx context.Context, d Delivery, gaveUp bool, reason string, now time.Time) error {
	_, err := s.db.ExecContext(ctx, "UPDATE deliveries SET done_at = $5, gave_up = $6, error = $7 WHERE alert_id = $1 AND target_id = $2 AND event = $3 AND tries = $4 AND done_at = 0",
		d.Alert.ID, d.Target.ID, d.Event, d.Tries, millis(now), flag(gaveUp), reason)
	return err
}

// PutOff notes that a delivery was not made, and when it may be tried again. What
// else its target is to be told waits too, until hold: else each of a thousand
// alerts would find out anew that it does not answer.
func (s *Store) PutOff(ctx context.Context, d Delivery, reason string, next, hold time.Time) error {
	return s.tx(ctx, func(t *sql.Tx) error {
		if _, err := t.ExecContext(ctx, "UPDATE deliveries SET claimed_until = $5, error = $6 WHERE alert_id = $1 AND target_id = $2 AND event = $3 AND tries = $4 AND done_at = 0",
			d.Alert.ID, d.Target.ID, d.Event, d.Tries, millis(next), reason); err != nil {
			return err
		}
		_, err := t.ExecContext(ctx, "UPDATE targets SET held_until = $2 WHERE id = $1", d.Target.ID, millis(hold))
		return err
	})
}
