package dumper

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// LockError says that a dump waited too long for a lock.
type LockError struct {
	Limit     time.Duration
	Statement string // the dump's statement that waits
}

func (e *LockError) Error() string {
	return fmt.Sprintf("the dump waited %s for a lock, at %q: a migration or another change of that table holds it; "+
		"see SHOW FULL PROCESSLIST on the server, run again when it is done, or raise DBACKED_LOCK_TIMEOUT", e.Limit, e.Statement)
}

// watchLocks ends the dump by cancel when its session waits for a table's lock
// for longer than the limit. MariaDB's program cannot be told to give up, and
// the server's own limit is a day or a year.
func (m *MySQL) watchLocks(ctx context.Context, s *mysqlSession, cancel context.CancelCauseFunc) {
	if m.limits.Lock <= 0 {
		return
	}
	tick := time.NewTicker(max(50*time.Millisecond, min(5*time.Second, m.limits.Lock/4)))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		sessions, err := s.sessions(ctx)
		if err != nil {
			return // the dump's own connection says what is wrong
		}
		for _, o := range sessions {
			// Newer than this connection, by the same account: the dump's.
			if o.newer && o.user == m.username() && o.database == m.conn.Database && o.waits && o.time >= m.limits.Lock {
				cancel(&LockError{Limit: m.limits.Lock, Statement: fmt.Sprintf("%.200s", o.statement)})
				return
			}
		}
	}
}

// mysqlOther is another session on the server.
type mysqlOther struct {
	user, database, statement string
	newer                     bool // than the asking one
	works                     bool // a statement runs
	waits                     bool // for a lock of a table
	time                      time.Duration
}

// sessions lists the other sessions that the account may see: its own at least.
func (s *mysqlSession) sessions(ctx context.Context) ([]mysqlOther, error) {
	columns, rows, err := s.table(ctx, "SHOW FULL PROCESSLIST")
	if err != nil {
		return nil, err
	}
	own, err := s.column(ctx, "SELECT connection_id()")
	if err != nil {
		return nil, err
	}
	ownID, _ := strconv.ParseInt(own[0], 10, 64) // a number by its definition
	var others []mysqlOther
	for _, row := range rows {
		cell := map[string]string{}
		for i, c := range columns {
			cell[strings.ToLower(c)] = row[i]
		}
		id, _ := strconv.ParseInt(cell["id"], 10, 64)
		if id == ownID {
			continue
		}
		seconds, _ := strconv.ParseFloat(cell["time"], 64)
		others = append(others, mysqlOther{
			user: cell["user"], database: cell["db"], statement: cell["info"], newer: id > ownID,
			works: cell["command"] != "Sleep" && cell["command"] != "Daemon",
			waits: strings.HasPrefix(cell["state"], "Waiting for table"),
			time:  time.Duration(seconds * float64(time.Second)),
		})
	}
	return others, nil
}
