package dumper

import (
	"context"
	"errors"
	"regexp"
	"strings"
)

// mysqlGrant is one line of SHOW GRANTS.
type mysqlGrant struct {
	revoke     bool
	privileges []string // "SELECT", "SHOW VIEW"; those on columns only are left out
	database   string   // a pattern when object is "*"; "*" for all
	object     string   // "*" for all
	role       bool     // a role is granted, not privileges
	onRoutine  bool     // object is a routine

	line string
	db   [2]int // where database lies in line, quotes included
	end  int    // of the account that it is granted to, in line
}

// errNotGrant says that a line of SHOW GRANTS is of another kind: a PROXY, a
// default role.
var errNotGrant = errors.New("not a grant of privileges")

// mysqlToken is a word, a quoted name, a group in parentheses, or one sign.
var mysqlToken = regexp.MustCompile("\\A(?:`(?:[^`]|``)*`|'(?:[^'\\\\]|''|\\\\.)*'|\"(?:[^\"]|\"\")*\"|[A-Za-z0-9_$\\x80-\\xff]+|\\s+|.)")

type mysqlLexer struct {
	line string
	at   int
}

// next is the next token that is no space, and where it begins; "" at the end.
func (l *mysqlLexer) next() (token string, start int) {
	for l.at < len(l.line) {
		t := mysqlToken.FindString(l.line[l.at:])
		if t == "" { // a line break
			l.at++
			continue
		}
		start = l.at
		l.at += len(t)
		if strings.TrimSpace(t) != "" {
			return t, start
		}
	}
	return "", l.at
}

// parseMySQLGrant reads a line of SHOW GRANTS.
func parseMySQLGrant(line string) (mysqlGrant, error) {
	l := &mysqlLexer{line: line}
	verb, _ := l.next()
	g := mysqlGrant{line: line, revoke: verb == "REVOKE"}
	if verb != "GRANT" && !g.revoke {
		return g, errNotGrant
	}
	if err := g.parseWhat(l); err != nil {
		return g, err
	}
	if !g.role {
		if err := g.parseOn(l); err != nil {
			return g, err
		}
	}
	if account, _ := l.next(); account == "" {
		return g, errNotGrant
	}
	g.end = l.at
	if at, _ := l.next(); at == "@" {
		l.next()
		g.end = l.at
	}
	return g, nil
}

// parseWhat reads the privileges, or the role, up to ON or TO.
func (g *mysqlGrant) parseWhat(l *mysqlLexer) error {
	var words []string
	columns := false
	add := func() {
		if len(words) > 0 && !columns {
			g.privileges = append(g.privileges, strings.Join(words, " "))
		}
		words, columns = nil, false
	}
	for depth := 0; ; {
		token, _ := l.next()
		switch {
		case token == "":
			return errNotGrant
		case token == "(":
			depth++
			columns = true
		case token == ")":
			depth--
		case depth > 0:
		case token == ",":
			add()
		case token == "ON":
			add()
			if len(g.privileges) > 0 && g.privileges[0] == "PROXY" {
				return errNotGrant
			}
			return nil
		case token == "TO" && !g.revoke:
			g.role = true
			return nil
		default:
			words = append(words, token)
		}
	}
}

// parseOn reads what the privileges are on, and the TO or FROM behind it.
func (g *mysqlGrant) parseOn(l *mysqlLexer) error {
	token, start := l.next()
	switch token {
	case "TABLE":
		token, start = l.next()
	case "PROCEDURE", "FUNCTION", "PACKAGE", "LIBRARY":
		g.onRoutine = true
		if token, start = l.next(); token == "BODY" {
			token, start = l.next()
		}
	}
	g.database, g.db = unquoteMySQLName(token), [2]int{start, l.at}
	if dot, _ := l.next(); dot != "." {
		return errNotGrant
	}
	token, _ = l.next()
	g.object = unquoteMySQLName(token)
	if to, _ := l.next(); to != "TO" && to != "FROM" {
		return errNotGrant
	}
	return nil
}

func unquoteMySQLName(token string) string {
	if len(token) < 2 || token[0] != '`' {
		return token
	}
	return strings.ReplaceAll(token[1:len(token)-1], "``", "`")
}

// touches says whether the grant is on a database or on something in it.
func (g mysqlGrant) touches(database string, fold bool) bool {
	if g.role || g.database == "*" {
		return false
	}
	if fold {
		database = strings.ToLower(database)
	}
	if g.object == "*" && !g.onRoutine {
		return g.database == database || matchMySQLPattern(g.database, database)
	}
	return g.database == database
}

// matchMySQLPattern is LIKE with "\" as its escape.
func matchMySQLPattern(pattern, s string) bool {
	re := strings.Builder{}
	re.WriteString(`(?s)\A`)
	escaped := false
	for _, r := range pattern {
		switch {
		case escaped:
			re.WriteString(regexp.QuoteMeta(string(r)))
			escaped = false
		case r == '\\':
			escaped = true
		case r == '%':
			re.WriteString(".*")
		case r == '_':
			re.WriteString(".")
		default:
			re.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	re.WriteString(`\z`)
	compiled, err := regexp.Compile(re.String())
	return err == nil && compiled.MatchString(s)
}

// mysqlRights are an account's rights on the whole of a database.
type mysqlRights map[string]bool

// has says whether one of some privileges is held.
func (r mysqlRights) has(any ...string) bool {
	for _, p := range any {
		if r[p] || r["ALL PRIVILEGES"] || r["ALL"] {
			return true
		}
	}
	return false
}

// rightsOn gathers the rights that lines of SHOW GRANTS give on a database:
// the global ones, less those revoked for it, and its own.
func rightsOn(grants []mysqlGrant, database string, fold bool) mysqlRights {
	rights := mysqlRights{}
	for _, g := range grants {
		if !g.role && !g.revoke && g.database == "*" {
			for _, p := range g.privileges {
				rights[p] = true
			}
		}
	}
	for _, g := range grants {
		if g.revoke && g.touches(database, fold) {
			for _, p := range g.privileges {
				delete(rights, p)
			}
		}
	}
	for _, g := range grants {
		if !g.revoke && g.object == "*" && g.touches(database, fold) {
			for _, p := range g.privileges {
				rights[p] = true
			}
		}
	}
	return rights
}

// grants are the account's own, those of its active roles among them.
func (s *mysqlSession) grants(ctx context.Context) ([]mysqlGrant, error) {
	lines, err := s.column(ctx, "SHOW GRANTS")
	if err != nil {
		return nil, err
	}
	var out []mysqlGrant
	for _, line := range lines {
		if g, err := parseMySQLGrant(line); err == nil {
			out = append(out, g)
		}
	}
	return out, nil
}
