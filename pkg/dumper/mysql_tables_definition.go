package dumper

import (
	"regexp"
	"strings"
)

// mysqlColumn is a column as a CREATE TABLE defines it.
type mysqlColumn struct {
	name      string
	kind      string // "decimal(10,2) unsigned"; of integers without the width, which says nothing of values
	generated bool
}

// mysqlDefinition is what a CREATE TABLE says.
type mysqlDefinition struct {
	columns []mysqlColumn
	refers  []mysqlReference
}

// mysqlReference is a foreign key.
type mysqlReference struct{ constraint, database, table string }

// mysqlExecuted begins a comment that a server executes.
var mysqlExecuted = regexp.MustCompile(`\A/\*M?!\d*`)

// word is the next token as a server reads it, past what it takes for a comment.
func (l *mysqlLexer) word() string {
	for {
		rest := strings.TrimLeft(l.line[l.at:], " \t\r\n")
		l.at = len(l.line) - len(rest)
		end := 0
		if rest == "" {
			return ""
		}
		switch kind := commentAt([]byte(rest[:min(3, len(rest))])); {
		case kind == inLine:
			end = strings.IndexByte(rest, '\n')
		case mysqlExecuted.MatchString(rest):
			end = len(mysqlExecuted.FindString(rest))
		case kind == inComment:
			if end = strings.Index(rest[2:], "*/"); end >= 0 {
				end += 4
			}
		case strings.HasPrefix(rest, "*/"):
			end = 2
		default:
			token, _ := l.next()
			return token
		}
		if end < 0 {
			end = len(rest)
		}
		l.at += end
	}
}

// name is the next token as the name of an object, and what it is in, if that is
// said: `a`.`b`. Behind is the word that follows.
func (l *mysqlLexer) name() (database, name, behind string) {
	name = unquoteMySQLIdent(l.word())
	behind = l.word()
	if behind == "." {
		database, name = name, unquoteMySQLIdent(l.word())
		behind = l.word()
	}
	return database, name, behind
}

// unquoteMySQLIdent takes the quotes that an sql_mode of ANSI_QUOTES allows, too.
func unquoteMySQLIdent(token string) string {
	if len(token) >= 2 && token[0] == '"' {
		return strings.ReplaceAll(token[1:len(token)-1], `""`, `"`)
	}
	return unquoteMySQLName(token)
}

// defineMySQL reads a CREATE TABLE as servers write it.
func defineMySQL(create string) (d mysqlDefinition) {
	l := &mysqlLexer{line: create}
	for token := l.word(); token != "(" && token != ""; {
		token = l.word()
	}
	for more := true; more; {
		more = d.item(l)
	}
	return d
}

// item reads a column, an index or a constraint, and says whether another follows.
func (d *mysqlDefinition) item(l *mysqlLexer) bool {
	first := l.word()
	var words []string // outside of parentheses, and of a column's type also inside
	constraint := ""
	depth, more := 0, false
	for token := l.word(); token != ""; token = l.word() {
		switch {
		case token == "(":
			depth++
		case token == ")" && depth == 0:
			d.add(first, words)
			return false
		case token == ")":
			depth--
		case token == "," && depth == 0:
			more = true
		case depth == 0 && first == "CONSTRAINT" && constraint == "":
			constraint = unquoteMySQLName(token)
		case depth == 0 && token == "REFERENCES":
			database, table, behind := l.name()
			d.refers = append(d.refers, mysqlReference{constraint, database, table})
			if behind == "(" {
				depth++
			}
		}
		if more {
			break
		}
		words = append(words, token)
	}
	d.add(first, words)
	return more
}

// add notes an item if it is a column, whose name is quoted.
func (d *mysqlDefinition) add(first string, words []string) {
	if len(first) < 2 || first[0] != '`' || len(words) == 0 {
		return
	}
	c := mysqlColumn{name: unquoteMySQLName(first), kind: strings.ToLower(words[0])}
	rest := words[1:]
	if len(rest) > 0 && rest[0] == "(" {
		depth := 0
		whole := strings.HasSuffix(c.kind, "int")
		for i, w := range rest {
			switch w {
			case "(":
				depth++
			case ")":
				depth--
			}
			if !whole {
				c.kind += w
			}
			if depth == 0 {
				rest = rest[i+1:]
				break
			}
		}
	}
	for i, w := range rest {
		if i == 0 && strings.EqualFold(w, "unsigned") {
			c.kind += " unsigned"
		}
		if w == "GENERATED" {
			c.generated = true
		}
	}
	d.columns = append(d.columns, c)
}

// mysqlTrigger is a trigger of a dump.
type mysqlTrigger struct {
	name, table string
	database    string   // that its text says, if it does
	session     []string // statements that set the session as it was made in
	create      string
}

// mysqlMostWords is how many words stand before the name of an object, or of a
// trigger's table.
const mysqlMostWords = 16

// mysqlKind is which kind of object a statement makes that has a body, and the lexer
// behind that word; "" if it is not plain.
func mysqlKind(create string) (kind string, l *mysqlLexer) {
	l = &mysqlLexer{line: create}
	for range mysqlMostWords {
		switch kind := strings.ToUpper(l.word()); kind {
		case "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "PACKAGE", "VIEW":
			return kind, l
		}
	}
	return "", l
}

// tellTrigger reads which table a trigger belongs to, from behind the word TRIGGER. It
// says no if that is not plain.
func tellTrigger(l *mysqlLexer) (t mysqlTrigger, ok bool) {
	at := l.at
	if strings.EqualFold(l.word(), "IF") && strings.EqualFold(l.word(), "NOT") && strings.EqualFold(l.word(), "EXISTS") {
		at = l.at
	}
	l.at = at
	database, name, word := l.name()
	t.create, t.name, t.database = l.line, name, database
	for i := 0; !strings.EqualFold(word, "ON"); i++ {
		if word == "" || i == mysqlMostWords {
			return t, false
		}
		word = l.word()
	}
	database, t.table, word = l.name()
	if database != "" {
		t.database = database
	}
	return t, t.name != "" && t.table != "" && strings.EqualFold(word, "FOR") && strings.EqualFold(l.word(), "EACH") && strings.EqualFold(l.word(), "ROW")
}
