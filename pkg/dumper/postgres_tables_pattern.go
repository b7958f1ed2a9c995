package dumper

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"

	"github.com/agnivade/levenshtein"
)

// ErrNoTable says that a backup has no table of a name.
var ErrNoTable = errors.New("no such table in the backup")

// pgPattern names tables.
type pgPattern struct {
	text          string
	schema, table *regexp.Regexp // schema is nil for any
	plain         string         // the table without what quotes or stands for more
}

type pgPatternList []pgPattern

// pgPatterns reads patterns as psql does: a name folds to small letters unless it is
// quoted, and outside quotes * is any text and ? any character.
func pgPatterns(texts []string) (list pgPatternList, err error) {
	for _, text := range texts {
		pattern, err := pgReadPattern(text)
		if err != nil {
			return nil, err
		}
		list = append(list, pattern)
	}
	return list, nil
}

func pgReadPattern(text string) (p pgPattern, err error) {
	expressions, plain, quoted := []string{""}, "", false
	for i := 0; i < len(text); i++ {
		c, last := text[i:i+1], &expressions[len(expressions)-1]
		switch {
		case c == `"` && quoted && strings.HasPrefix(text[i+1:], `"`):
			i++
		case c == `"`:
			quoted = !quoted
			continue
		case quoted:
		case c == ".":
			expressions, plain = append(expressions, ""), ""
			continue
		case c == "*":
			*last += ".*"
			continue
		case c == "?":
			*last += "."
			continue
		case c[0] < 0x80:
			c = strings.ToLower(c)
		}
		*last += pgLiteralByte(c)
		plain += c
	}
	if quoted {
		return p, fmt.Errorf("the table %s begins a quote that does not end", text)
	}
	p, err = pgPatternOf(text, expressions)
	p.plain = plain
	return p, err
}

// pgLiteralByte is a byte of a name in a regular expression: those of one character
// must stay together.
func pgLiteralByte(c string) string {
	if c[0] >= 0x80 {
		return c
	}
	return regexp.QuoteMeta(c)
}

func pgPatternOf(text string, expressions []string) (p pgPattern, err error) {
	p.text = text
	if len(expressions) > 2 || slices.Contains(expressions, "") {
		return p, fmt.Errorf(`%q is no table: write schema.table, with names that hold dots in quotes, as in '"my.schema"."my.table"'`, text)
	}
	all := make([]*regexp.Regexp, len(expressions))
	for i, e := range expressions {
		if all[i], err = regexp.Compile("(?s)^" + e + "$"); err != nil {
			return p, fmt.Errorf("%q is no table: %w", text, err)
		}
	}
	p.table = all[len(all)-1]
	if len(all) == 2 {
		p.schema = all[0]
	}
	return p, nil
}

func (p pgPattern) matches(n pgTableName) bool {
	return p.table.MatchString(n.table) && (p.schema == nil || p.schema.MatchString(n.schema))
}

// choose finds the tables that the patterns name, each of which must name one.
func (list pgPatternList) choose(c Contents, entries []pgarchive.Entry) ([]pgTableName, error) {
	there := map[pgTableName]bool{}
	for _, t := range c.Tables {
		there[pgTableName{t.Schema, t.Table}] = true
	}
	for _, e := range entries {
		if e.Desc == "TABLE" || e.Desc == "TABLE DATA" {
			there[pgTableName{e.Namespace, e.Tag}] = true
		}
	}
	all := pgSorted(there)
	chosen := map[pgTableName]bool{}
	for _, p := range list {
		found := false
		for _, n := range all {
			if p.matches(n) {
				chosen[n], found = true, true
			}
		}
		if !found {
			return nil, p.missing(all)
		}
	}
	return pgSorted(chosen), nil
}

func pgSorted(names map[pgTableName]bool) []pgTableName {
	var all []pgTableName
	for n := range names {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b pgTableName) int {
		return cmp.Or(strings.Compare(a.schema, b.schema), strings.Compare(a.table, b.table))
	})
	return all
}

// missing says that no table matches, and which are called alike.
func (p pgPattern) missing(all []pgTableName) error {
	var near []string
	for _, n := range all {
		name := strings.ToLower(n.table)
		if plain := strings.ToLower(p.plain); len(near) < pgNamed && plain != "" &&
			(strings.Contains(name, plain) || strings.Contains(plain, name) || levenshtein.ComputeDistance(name, plain) <= 2) {
			near = append(near, n.String())
		}
	}
	if len(near) == 0 {
		return fmt.Errorf("%w: nothing matches %s, of %d tables; dbacked list NAME BACKUP --tables shows them", ErrNoTable, p.text, len(all))
	}
	return fmt.Errorf("%w: nothing matches %s; there are %s", ErrNoTable, p.text, strings.Join(near, ", "))
}
