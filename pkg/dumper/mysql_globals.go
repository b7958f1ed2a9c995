package dumper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// mysqlGlobals is what a backup holds beside the dump. In the file it stands as
// JSON in a comment, for Restore, and below that as SQL, for people.
type mysqlGlobals struct {
	Engine    string         `json:"engine"`
	Server    string         `json:"server"`
	Database  string         `json:"database"`
	Charset   string         `json:"charset"`
	Collation string         `json:"collation"`
	Accounts  []mysqlAccount `json:"accounts"`
}

// mysqlAccount is a user or a role that has to do with the database.
type mysqlAccount struct {
	User     string   `json:"user"`
	Host     string   `json:"host,omitempty"`    // none for a role of MariaDB
	Definer  bool     `json:"definer,omitempty"` // objects run with its rights
	Create   string   `json:"create,omitempty"`  // empty if the server did not tell
	Global   []string `json:"global,omitempty"`  // grants on all databases
	Database []string `json:"on_database,omitempty"`
	Objects  []string `json:"on_objects,omitempty"`
	Roles    []string `json:"roles,omitempty"` // grants of roles
}

// name is how messages and MissingRoles call the account: "app@%".
func (a mysqlAccount) name() string {
	if a.Host == "" {
		return a.User
	}
	return a.User + "@" + a.Host
}

// globalsMark begins the line that Restore reads.
const globalsMark = "-- dbacked globals 1: "

// DumpGlobals writes what a restore needs beside the dump: how the database was
// created, and the accounts that have to do with it, with their grants. Those
// are the definers of its objects, who has rights on it or on something in it,
// and roles between them. The note says whether passwords (as hashes) are in it.
func (m *MySQL) DumpGlobals(ctx context.Context, w io.Writer) (note string, err error) {
	s, err := m.open(ctx, m.conn.Database)
	if err != nil {
		return "", err
	}
	defer s.close()
	g := mysqlGlobals{Engine: s.server.engine, Server: s.server.text, Database: m.conn.Database}
	made, err := s.rows(ctx, "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?", m.conn.Database)
	if err == nil && len(made) == 0 {
		err = errors.New("the server does not show it")
	}
	if err != nil {
		return "", m.explain(fmt.Errorf("looking at database %q: %w", m.conn.Database, err))
	}
	g.Charset, g.Collation = made[0][0], made[0][1]
	g.Accounts, note, err = m.accounts(ctx, s)
	if err != nil {
		return "", m.explain(fmt.Errorf("looking at the accounts of database %q: %w", m.conn.Database, err))
	}
	text, err := g.text(note)
	if err != nil {
		return "", err
	}
	_, err = w.Write(text)
	return note, err
}

// text is the file.
func (g mysqlGlobals) text(note string) ([]byte, error) {
	data, err := json.Marshal(g)
	if err != nil {
		return nil, fmt.Errorf("writing the globals: %w", err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%s\n--\n-- %s\n--\n\n", globalsMark, data, note)
	fmt.Fprintf(&b, "%s;\n", g.createDatabase(g.Database))
	for _, create := range []bool{true, false} {
		for _, a := range g.Accounts {
			if create && a.Create != "" {
				fmt.Fprintf(&b, "%s;\n", ifMissing(a.Create))
			}
			if create {
				continue
			}
			for _, grants := range [][]string{a.Global, a.Database, a.Roles, a.Objects} {
				for _, grant := range grants {
					fmt.Fprintf(&b, "%s;\n", grant)
				}
			}
		}
	}
	return b.Bytes(), nil
}

// readMySQLGlobals reads the first line of such a file; nothing gives nothing.
func readMySQLGlobals(file []byte) (g mysqlGlobals, err error) {
	if len(file) == 0 {
		return g, nil
	}
	line, _, _ := bytes.Cut(file, []byte("\n"))
	data, ok := bytes.CutPrefix(line, []byte(globalsMark))
	if !ok {
		return g, errors.New("the globals of this backup are not those of MySQL or MariaDB")
	}
	if err := json.Unmarshal(data, &g); err != nil {
		return g, fmt.Errorf("the globals of this backup cannot be read: %w", err)
	}
	return g, nil
}

var mysqlCharset = regexp.MustCompile(`\A[A-Za-z0-9_]+\z`)

// createDatabase is the statement that makes a database like the one that was
// dumped, under any name.
func (g mysqlGlobals) createDatabase(name string) string {
	statement := "CREATE DATABASE " + quoteMySQLName(name)
	if mysqlCharset.MatchString(g.Charset) && mysqlCharset.MatchString(g.Collation) {
		statement += " CHARACTER SET " + g.Charset + " COLLATE " + g.Collation
	}
	return statement
}

// ifMissing makes a statement that makes an account harmless where it exists.
func ifMissing(create string) string {
	for _, verb := range []string{"CREATE USER ", "CREATE ROLE "} {
		if rest, ok := strings.CutPrefix(create, verb); ok {
			return verb + "IF NOT EXISTS " + rest
		}
	}
	return create
}
