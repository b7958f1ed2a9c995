package dumper

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/agnivade/levenshtein"
)

// ErrNoTable says that a backup has no table of a name.
var ErrNoTable = errors.New("no such table in the backup")

// namePattern reads a pattern as regular expressions, one for each name between
// dots. Inside a pair of one of the quotes a character stands for itself; outside, *
// is any text, ? any character, and ASCII letters are folded. Plain is the last name
// without what quotes or stands for more.
func namePattern(text, quotes string, fold func(string) string) (expressions []string, plain string, err error) {
	expressions = []string{""}
	quote := ""
	for i := 0; i < len(text); i++ {
		c, last := text[i:i+1], &expressions[len(expressions)-1]
		switch {
		case c == quote && strings.HasPrefix(text[i+1:], c):
			i++
		case c == quote:
			quote = ""
			continue
		case quote != "":
		case strings.Contains(quotes, c):
			quote = c
			continue
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
			c = fold(c)
		}
		*last += literalByte(c)
		plain += c
	}
	if quote != "" {
		return nil, "", fmt.Errorf("the table %s begins a quote that does not end", text)
	}
	return expressions, plain, nil
}

// literalByte is a byte of a name in a regular expression: those of one character
// must stay together.
func literalByte(c string) string {
	if c[0] >= 0x80 {
		return c
	}
	return regexp.QuoteMeta(c)
}

// compileName makes an expression of namePattern match whole names.
func compileName(text, expression string) (*regexp.Regexp, error) {
	e, err := regexp.Compile("(?s)^" + expression + "$")
	if err != nil {
		return nil, fmt.Errorf("%q is no table: %w", text, err)
	}
	return e, nil
}

// knownName is the name of a table that a backup has.
type knownName struct{ name, shown string }

// maxNear is how many names an error says.
const maxNear = 20

// noTable says that no table matches, and which are called alike.
func noTable(text, plain string, all []knownName) error {
	var near []string
	plain = strings.ToLower(plain)
	for _, n := range all {
		name := strings.ToLower(n.name)
		if len(near) < maxNear && plain != "" &&
			(strings.Contains(name, plain) || strings.Contains(plain, name) || levenshtein.ComputeDistance(name, plain) <= 2) {
			near = append(near, n.shown)
		}
	}
	if len(near) == 0 {
		return fmt.Errorf("%w: nothing matches %s, of %d tables; dbacked list NAME BACKUP --tables shows them", ErrNoTable, text, len(all))
	}
	return fmt.Errorf("%w: nothing matches %s; there are %s", ErrNoTable, text, strings.Join(near, ", "))
}
