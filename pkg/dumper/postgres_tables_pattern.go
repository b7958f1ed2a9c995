package dumper

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

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
	expressions, plain, err := namePattern(text, `"`, strings.ToLower)
	if err != nil {
		return p, err
	}
	p, err = pgPatternOf(text, expressions)
	p.plain = plain
	return p, err
}

func pgPatternOf(text string, expressions []string) (p pgPattern, err error) {
	p.text = text
	if len(expressions) > 2 || slices.Contains(expressions, "") {
		return p, fmt.Errorf(`%q is no table: write schema.table, with names that hold dots in quotes, as in '"my.schema"."my.table"'`, text)
	}
	all := make([]*regexp.Regexp, len(expressions))
	for i, e := range expressions {
		if all[i], err = compileName(text, e); err != nil {
			return p, err
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
	names := make([]knownName, len(all))
	for i, n := range all {
		names[i] = knownName{n.table, n.String()}
	}
	return noTable(p.text, p.plain, names)
}
