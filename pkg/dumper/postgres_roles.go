package dumper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.uber.org/zap"
)

// MissingRoles are the roles that the backup's objects need and the target's
// server lacks, sorted. Globals is what DumpGlobals wrote; of a file without its
// first line, every role counts.
func (p *Postgres) MissingRoles(ctx context.Context, globals io.Reader) ([]string, error) {
	text, err := readGlobals(globals)
	if err != nil {
		return nil, err
	}
	needed, err := pgNeeded(text)
	if err != nil {
		return nil, err
	}
	if len(needed) == 0 {
		return nil, nil
	}
	db, err := p.connectMaintenance(ctx)
	if err != nil {
		return nil, err
	}
	defer db.close()
	there, err := db.roles(ctx)
	if err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(needed, func(name string) bool { return slices.Contains(there, name) })
	slices.Sort(missing)
	return slices.Compact(missing), nil
}

// readGlobals reads a globals file, up to its limit.
func readGlobals(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, pgGlobalsLimit+1))
	if err != nil {
		return "", fmt.Errorf("reading the backup's globals: %w", err)
	}
	if len(text) > pgGlobalsLimit {
		return "", fmt.Errorf("the backup's globals have more than %d MiB", pgGlobalsLimit>>20)
	}
	return string(text), nil
}

// pgNeeded are the roles that a globals file says are needed.
func pgNeeded(text string) (names []string, err error) {
	line, _, _ := strings.Cut(text, "\n")
	if list, ok := strings.CutPrefix(line, pgRolesLine); ok {
		if err := json.Unmarshal([]byte(list), &names); err != nil {
			return nil, fmt.Errorf("the first line of the backup's globals: %w", err)
		}
		return names, nil
	}
	for _, s := range pgStatements(text) {
		if s.begins("CREATE", "ROLE", "*") {
			names = append(names, s.tokens[2].name)
		}
	}
	return names, nil
}

// CreateRoles makes roles on the target's server, all or none. RolesNoLogin makes
// them without login, password or rights, for objects to belong to; RolesFull
// makes them as the globals have them, with attributes, passwords, settings and
// those memberships whose both sides are there.
func (p *Postgres) CreateRoles(ctx context.Context, globals io.Reader, names []string, how RoleMode) error {
	text, err := readGlobals(globals)
	if err != nil {
		return err
	}
	db, err := p.connectMaintenance(ctx)
	if err != nil {
		return err
	}
	defer db.close()
	statements, err := roleStatements(ctx, db, text, names, how)
	if err != nil {
		return err
	}
	tx, err := db.Begin(ctx)
	if err != nil {
		return fmt.Errorf("making roles: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	for _, s := range statements {
		if _, err := tx.Exec(ctx, s); err != nil {
			// Not the statement itself: it may hold a password.
			return fmt.Errorf("making the roles %s: %w; no role was made: make them yourself, or restore with --no-owner --no-privileges", pgList(names, 10), err)
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("making roles: %w", err)
	}
	p.log.Info("roles made", zap.Strings("roles", names))
	return nil
}

// roleStatements are what makes the roles.
func roleStatements(ctx context.Context, db *pgDB, text string, names []string, how RoleMode) ([]string, error) {
	var statements []string
	if how == RolesNoLogin {
		for _, name := range names {
			statements = append(statements, "CREATE ROLE "+pgIdent(name)+" NOLOGIN")
		}
		return statements, nil
	}
	there, err := db.roles(ctx)
	if err != nil {
		return nil, err
	}
	known := func(name string) bool { return slices.Contains(names, name) || slices.Contains(there, name) }
	made := map[string]bool{}
	for _, s := range pgStatements(text) {
		switch {
		case s.begins("CREATE", "ROLE", "*"):
			if name := s.tokens[2].name; slices.Contains(names, name) {
				made[name] = true
				statements = append(statements, s.text)
			}
		case s.begins("ALTER", "ROLE", "*"), s.begins("COMMENT", "ON", "ROLE", "*"):
			at := 2
			if s.begins("COMMENT") {
				at = 3
			}
			if slices.Contains(names, s.tokens[at].name) {
				statements = append(statements, s.text)
			}
		case s.begins("GRANT", "*", "TO", "*"):
			if sql, ok := membership(&s, names, known); ok {
				statements = append(statements, sql)
			}
		}
	}
	for _, name := range names {
		if !made[name] {
			return nil, errors.New("the backup's globals do not hold the role " + pgName(name) + ": make it yourself, or make the roles without login")
		}
	}
	return statements, nil
}

// membership is a GRANT of a role to a new one, or of a new one. The grantor is
// left out if it is not there.
func membership(s *pgStatement, names []string, known func(string) bool) (string, bool) {
	role, member := s.tokens[1].name, s.tokens[3].name
	if !known(role) || !known(member) || !slices.Contains(names, role) && !slices.Contains(names, member) {
		return "", false
	}
	last := 3
	if s.word(4) == "WITH" {
		for last = 4; last+1 < len(s.tokens) && s.word(last+1) != "GRANTED"; {
			last++
		}
	}
	return s.text[:s.tokens[last].end], true
}
