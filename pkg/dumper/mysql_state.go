package dumper

import (
	"context"
	"fmt"
)

// State says what a restore would meet. Objects counts tables, views, sequences,
// routines, events and triggers that the account may see.
func (m *MySQL) State(ctx context.Context) (State, error) {
	s, err := m.open(ctx, "")
	if err != nil {
		return State{}, err
	}
	defer s.close()
	st, err := m.state(ctx, s)
	if err != nil {
		return State{}, m.explain(fmt.Errorf("looking at database %q: %w", m.conn.Database, err))
	}
	return st, nil
}

func (m *MySQL) state(ctx context.Context, s *mysqlSession) (State, error) {
	st := State{Engine: s.server.engine, ServerVersion: s.server.text}
	found, err := s.column(ctx, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?", m.conn.Database)
	if err != nil || len(found) == 0 {
		return st, err
	}
	st.Exists = true
	for _, q := range []struct{ table, name, schema string }{
		{"TABLES", "TABLE_NAME", "TABLE_SCHEMA"},
		{"ROUTINES", "ROUTINE_NAME", "ROUTINE_SCHEMA"},
		{"EVENTS", "EVENT_NAME", "EVENT_SCHEMA"},
		{"TRIGGERS", "TRIGGER_NAME", "TRIGGER_SCHEMA"},
	} {
		names, err := s.column(ctx, "SELECT "+q.name+" FROM information_schema."+q.table+" WHERE "+q.schema+" = ? ORDER BY 1", m.conn.Database)
		if err != nil {
			return st, err
		}
		st.Objects += len(names)
		if st.Example == "" && len(names) > 0 {
			st.Example = names[0]
		}
	}
	others, err := s.sessions(ctx)
	for _, o := range others {
		if o.database == m.conn.Database {
			st.Sessions++
		}
	}
	return st, err
}
