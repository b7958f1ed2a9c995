package dumper

import (
	"bytes"
	"io"
	"regexp"
	"strings"

	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

// pgCopy is what an archive reads a table's rows with.
type pgCopy struct {
	table pgTableName
	named string // the table, as the statement names it
	copy  pgarchive.Copy
}

// pgCopyTarget is the table that a COPY statement of pg_dump's names.
var pgCopyTarget = regexp.MustCompile(`\ACOPY (("(?:[^"]|"")+"|[^"\s.(]+)\.("(?:[^"]|"")+"|[^"\s.(]+)) `)

// pgCopyOf is an entry's, if it reads into the table that it belongs to: with
// --load-via-partition-root, that of a partition reads into another.
func pgCopyOf(e pgarchive.Entry) []pgCopy {
	match := pgCopyTarget.FindStringSubmatch(e.Copy.Statement)
	if match == nil || e.Desc != "TABLE DATA" {
		return nil
	}
	unquote := func(name string) string {
		if inner, quoted := strings.CutPrefix(name, `"`); quoted {
			return strings.ReplaceAll(strings.TrimSuffix(inner, `"`), `""`, `"`)
		}
		return name
	}
	table := pgTableName{unquote(match[2]), unquote(match[3])}
	if table != (pgTableName{e.Namespace, e.Tag}) {
		return nil
	}
	return []pgCopy{{table, match[1], e.Copy}}
}

// afresh is the archive, with each of the tables truncated just before its rows come:
// these are tables that this restore has made, and that are empty. In one transaction
// with that, the server puts rows one behind the other. Else it looks for room in the
// pages before, so that their order, which a plain dump shows, is not as it was.
func (a *pgArchive) afresh(made map[pgTableName]bool) io.Reader {
	if !a.whole {
		return a.body
	}
	var texts []pgarchive.Before
	for _, c := range a.copies {
		if made[c.table] {
			texts = append(texts, pgarchive.Before{Copy: c.copy, Text: "TRUNCATE TABLE ONLY " + c.named + ";\n"})
		}
	}
	return io.MultiReader(bytes.NewReader(a.verifier.Rewrite(a.head, texts)), a.rest)
}
