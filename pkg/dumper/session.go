package dumper

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Session is one connection to the server, with the settings of the dumps, that
// is not opened again when it breaks: what the server keeps for a session, such as
// a lock, goes with it.
type Session interface {
	// Ask runs a statement that gives one row of one column, and returns that as
	// text, "" for NULL. It is called by one goroutine at a time.
	Ask(ctx context.Context, statement string) (string, error)
	Close() error
}

// Session opens one to the database.
func (p *Postgres) Session(ctx context.Context) (Session, error) {
	db, err := p.connect(ctx, p.conn.Database)
	if err != nil {
		return nil, err
	}
	return pgSession{db}, nil
}

type pgSession struct{ db *pgDB }

func (s pgSession) Ask(ctx context.Context, statement string) (string, error) {
	var cell *string
	if err := s.db.QueryRow(ctx, statement).Scan(&cell); err != nil || cell == nil {
		return "", err
	}
	return *cell, nil
}

func (s pgSession) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.db.Close(ctx)
}

// Session opens one to the server, in the database if there is one.
func (m *MySQL) Session(ctx context.Context) (Session, error) {
	s, err := m.open(ctx, m.conn.Database)
	if err != nil {
		return nil, err
	}
	conn, err := s.db.Conn(ctx) // the one that open made: no other is put in its place
	if err != nil {
		s.close()
		return nil, m.explain(err)
	}
	return myOwnSession{conn, s.db}, nil
}

type myOwnSession struct {
	conn *sql.Conn
	db   *sql.DB
}

func (s myOwnSession) Ask(ctx context.Context, statement string) (string, error) {
	var cell sql.NullString
	err := s.conn.QueryRowContext(ctx, statement).Scan(&cell)
	return cell.String, err
}

func (s myOwnSession) Close() error { return errors.Join(s.conn.Close(), s.db.Close()) }
