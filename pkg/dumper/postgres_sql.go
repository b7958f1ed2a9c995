package dumper

import "strings"

// pgToken is a piece of an SQL statement.
type pgToken struct {
	start, end int    // where it lies in the text
	text       string // as it is written; of a word in capitals
	name       string // what it names, if it is a word or a quoted name
	quoted     bool   // a quoted name
}

// pgStatement is one statement, without its semicolon.
type pgStatement struct {
	text   string
	tokens []pgToken
}

// word is the text of a token, "" past the end.
func (s *pgStatement) word(i int) string {
	if i >= len(s.tokens) || s.tokens[i].quoted {
		return ""
	}
	return s.tokens[i].text
}

// begins says whether the statement begins with those keywords; * is any token.
func (s *pgStatement) begins(words ...string) bool {
	for i, w := range words {
		if i >= len(s.tokens) || w != "*" && s.word(i) != w {
			return false
		}
	}
	return true
}

// replace is the statement with another name in place of a token.
func (s *pgStatement) replace(i int, name string) string {
	t := s.tokens[i]
	before, after := s.text[:t.start], s.text[t.end:]
	if before != "" && !strings.HasSuffix(before, " ") {
		before += " " // two quotes in a row would be one name
	}
	if after != "" && !strings.HasPrefix(after, " ") {
		after = " " + after
	}
	return before + pgIdent(name) + after
}

// pgStatements splits what pg_dump and pg_dumpall write about databases and roles
// into statements: they hold names, strings, numbers, comments and psql's
// commands, but no bodies of functions.
func pgStatements(sql string) []pgStatement {
	var all []pgStatement
	var current []pgToken
	begin := 0
	for i := 0; i < len(sql); {
		end := pgTokenEnd(sql, i)
		text := sql[i:end]
		switch {
		case text == ";":
			if len(current) > 0 {
				all = append(all, pgStatement{sql[begin:i], current})
			}
			current = nil
		case pgIsBlank(text):
		default:
			if len(current) == 0 {
				begin = i
			}
			current = append(current, pgMakeToken(text, i-begin, end-begin))
		}
		i = end
	}
	if len(current) > 0 {
		all = append(all, pgStatement{sql[begin:], current})
	}
	return all
}

func pgIsBlank(text string) bool {
	return strings.TrimSpace(text) == "" || strings.HasPrefix(text, "--") || strings.HasPrefix(text, "/*") || text[0] == '\\'
}

func pgMakeToken(text string, start, end int) pgToken {
	t := pgToken{start: start, end: end, text: text}
	switch {
	case text[0] == '"':
		t.quoted = true
		t.name = strings.ReplaceAll(strings.TrimSuffix(text[1:], `"`), `""`, `"`)
	case pgIsLetter(text[0]) && !strings.HasSuffix(text, "'"):
		t.name, t.text = strings.ToLower(text), strings.ToUpper(text)
	}
	return t
}

func pgIsLetter(c byte) bool {
	return c == '_' || c >= 0x80 || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// pgTokenEnd is the end of the token that begins at i.
func pgTokenEnd(sql string, i int) int {
	rest := sql[i:]
	switch c := rest[0]; {
	case strings.HasPrefix(rest, "--"), c == '\\':
		return i + pgUntil(rest, "\n")
	case strings.HasPrefix(rest, "/*"):
		return i + pgUntil(rest, "*/")
	case c == '"', c == '\'':
		return i + pgQuotedEnd(rest, c, false)
	case (c == 'E' || c == 'e') && len(rest) > 1 && rest[1] == '\'':
		return i + 1 + pgQuotedEnd(rest[1:], '\'', true)
	case pgIsLetter(c), c >= '0' && c <= '9':
		n := 1
		for n < len(rest) && (pgIsLetter(rest[n]) || rest[n] >= '0' && rest[n] <= '9' || rest[n] == '$') {
			n++
		}
		return i + n
	}
	return i + 1
}

// pgUntil is the length of s up to the end of mark.
func pgUntil(s, mark string) int {
	if n := strings.Index(s, mark); n >= 0 {
		return n + len(mark)
	}
	return len(s)
}

// pgQuotedEnd is the length of the quoted text that s begins with. A quote in it
// is doubled; with escapes, a backslash takes the next character along.
func pgQuotedEnd(s string, quote byte, escapes bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\':
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}
