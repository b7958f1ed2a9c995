package dumper

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// checkLimit is how many findings of one kind are listed one by one.
const checkLimit = 50

// Check looks at what a backup needs, with the rules of the dump itself. It
// writes nothing. Its error says that it was interrupted; all else are findings.
func (m *MySQL) Check(ctx context.Context) ([]Finding, error) {
	out := m.checkOptions()
	s, err := m.open(ctx, m.conn.Database)
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	if err != nil {
		return append(out, Finding{Level: Fail, Subject: "connection", Message: err.Error()}), nil
	}
	defer s.close()
	out = append(out, Finding{Level: OK, Subject: "connection", Message: fmt.Sprintf("%s at %s as %s", s.server, m.where(), s.server.account)})
	t, err := m.dumpTool(ctx, s.server)
	if err != nil {
		out = append(out, Finding{Level: Fail, Subject: "tool", Message: err.Error()})
	} else {
		out = append(out, m.checkTool(ctx, s, t)...)
	}
	for _, look := range []func(context.Context, *mysqlSession) ([]Finding, error){
		m.checkRights, m.checkTables, m.checkEngines, m.checkViews, m.checkRoutines, m.checkLabels, m.checkPacket,
	} {
		found, err := look(ctx, s)
		if ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
		if err != nil {
			found = append(found, Finding{Level: Fail, Subject: "database " + m.conn.Database, Message: m.explain(err).Error()})
		}
		out = append(out, found...)
	}
	return out, nil
}

// checkOptions looks at the options for the dump program.
func (m *MySQL) checkOptions() []Finding {
	if err := m.CheckOptions(); err != nil {
		return []Finding{{Level: Fail, Subject: "dumper options", Message: err.Error(), Fix: "take it out of DBACKED_DUMPER_OPTIONS"}}
	}
	var out []Finding
	for _, kind := range []string{"routines", "triggers", "events"} {
		if m.leftOut(kind) {
			out = append(out, Finding{Level: Warn, Subject: "dumper options", Message: kind + " are left out of the backup, as the options say"})
		}
	}
	for _, o := range m.tools.Options {
		name, value, _ := strings.Cut(strings.TrimPrefix(o, "--"), "=")
		if plain, off := mysqlOptionForm(name, value); !off && (plain == "no-data" || strings.HasPrefix(plain, "ignore-") || plain == "no-data-med") {
			out = append(out, Finding{Level: Warn, Subject: "dumper options", Message: "a part of the database is left out of the backup, as " + o + " says"})
		}
	}
	return out
}

// checkTool looks at the dump program against the server.
func (m *MySQL) checkTool(ctx context.Context, s *mysqlSession, t mysqlTool) []Finding {
	out := []Finding{{Level: OK, Subject: "tool", Message: fmt.Sprintf("%s for %s", t, s.server)}}
	if t.maria && !s.server.maria() {
		out[0] = Finding{
			Level: Warn, Subject: "tool", Message: fmt.Sprintf("%s for %s: it is made for another brand", t, s.server),
			Fix: "install the package mysql-client (or mysql-client-core) of MySQL " + s.server.version.String() + " or newer",
		}
	}
	broken, err := m.brokenFor(ctx, s, t)
	if err == nil {
		out = append(out, broken...)
		var timeout []Finding
		timeout, err = m.checkTimeout(ctx, s, t)
		out = append(out, timeout...)
	}
	masking, merr := m.knows(ctx, t.path, "masking-policies")
	if err == nil {
		err = merr
	}
	if masking && !s.readsPolicies(ctx) {
		out = append(out, Finding{
			Level: Warn, Subject: "masking policies", Message: "the account may not read them, so that they are left out of the backup, if there are any",
			Fix: fmt.Sprintf("GRANT SELECT ON mysql.column_masking_policy TO %s;", quoteMySQLAccount(s.server.account)),
		})
	}
	if err != nil {
		out = append(out, Finding{Level: Fail, Subject: "tool", Message: m.explain(err).Error()})
	}
	return out
}

// shortPause is how long an upload could well pause.
const shortPause = 600

// checkTimeout looks at how long the server waits for a reader that pauses.
func (m *MySQL) checkTimeout(ctx context.Context, s *mysqlSession, t mysqlTool) ([]Finding, error) {
	raised, err := m.knows(ctx, t.path, "init-command")
	if err != nil {
		return nil, err
	}
	f := Finding{Level: OK, Subject: "net_write_timeout", Message: "the dump program raises it for its session"}
	if !raised {
		value, err := s.column(ctx, "SELECT @@global.net_write_timeout")
		if err != nil {
			return nil, err
		}
		f.Message = fmt.Sprintf("the server gives up on a dump that pauses for %s s", value[0])
		if seconds, _ := strconv.Atoi(value[0]); seconds < shortPause {
			f.Level = Warn
			f.Message += ", when the storage is slow, and this program cannot raise it"
			f.Fix = fmt.Sprintf("SET GLOBAL net_write_timeout = %d; and in the server's configuration", shortPause)
		}
	}
	return []Finding{f}, nil
}

// checkPacket says how long a row may be to come back into a server like this.
func (m *MySQL) checkPacket(ctx context.Context, s *mysqlSession) ([]Finding, error) {
	value, err := s.column(ctx, "SELECT @@global.max_allowed_packet")
	if err != nil {
		return nil, err
	}
	size, err := strconv.ParseInt(value[0], 10, 64)
	if err != nil {
		return nil, err
	}
	return []Finding{{Level: OK, Subject: "max_allowed_packet", Message: fmt.Sprintf(
		"a row whose statement is longer than %d MiB (binary data counts twice) needs a higher value in the server it is restored to", size>>20)}}, nil
}

// list names up to checkLimit things, each a finding, and counts the others.
func list(names []string, one func(name string) Finding) []Finding {
	var out []Finding
	for i, name := range names {
		if i == checkLimit {
			f := one("")
			return append(out, Finding{Level: f.Level, Subject: "others", Message: fmt.Sprintf("and %d more like it", len(names)-i)})
		}
		out = append(out, one(name))
	}
	return out
}
