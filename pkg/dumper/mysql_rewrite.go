package dumper

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"regexp"
)

// mysqlRewriter changes the few lines of a dump that name what the target has
// under another name:
//
//   - ALTER DATABASE, which dump programs write around a routine that was made
//     under another character set, names the database that was dumped: restored
//     to another one, it would alter the first.
//   - A DEFINER becomes CURRENT_USER, if the objects are to be the account's own.
//
// A USE or CREATE DATABASE of another database, as in a dump of several, is an
// error. Such lines are told by how they begin, and no row's line begins so,
// since dump programs escape the line breaks within data.
type mysqlRewriter struct {
	r        *bufio.Reader
	database string
	noOwner  bool
	out      []byte // changed, still to be read
	line     bool   // the next byte does not begin a line
}

// mysqlLineSize is longer than any name or definer with what stands before it.
const mysqlLineSize = 4 << 10

const mysqlQuoted = "(`(?:[^`\n]|``)*`)"

var (
	mysqlDefiner = regexp.MustCompile("\\A((?:/\\*!5\\d{4} CREATE\\*/ )?/\\*!5\\d{4} DEFINER=|CREATE (?:OR REPLACE )?DEFINER=)" +
		mysqlQuoted + "(?:@" + mysqlQuoted + ")?")
	mysqlAlter = regexp.MustCompile("\\A(ALTER DATABASE )" + mysqlQuoted + " CHARACTER SET ")
	mysqlUse   = regexp.MustCompile("\\A(?:USE|CREATE DATABASE(?: /\\*!32312 IF NOT EXISTS\\*/)?) " + mysqlQuoted)
)

func newMySQLRewriter(r io.Reader, database string, noOwner bool) *mysqlRewriter {
	return &mysqlRewriter{r: bufio.NewReaderSize(r, copySize), database: database, noOwner: noOwner}
}

func (d *mysqlRewriter) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(d.out) > 0 {
			c := copy(p[n:], d.out)
			d.out, n = d.out[c:], n+c
			continue
		}
		if n > 0 && d.r.Buffered() == 0 {
			break // what there is goes on before more is waited for
		}
		if _, err := d.r.Peek(1); err != nil {
			return n, err
		}
		if !d.line {
			if err := d.begin(); err != nil {
				return n, err
			}
			continue
		}
		window, _ := d.r.Peek(d.r.Buffered()) // cannot fail
		c := copy(p[n:], window[:untilLine(window)])
		d.line = window[c-1] != '\n'
		d.r.Discard(c)
		n += c
	}
	return n, nil
}

// untilLine is how much of b comes before a line that could be one to change.
func untilLine(b []byte) int {
	for i := 0; ; {
		end := bytes.IndexByte(b[i:], '\n')
		if end < 0 {
			return len(b)
		}
		if i += end + 1; i == len(b) || suspect(b[i]) {
			return i
		}
	}
}

func suspect(first byte) bool {
	return first == '/' || first == 'A' || first == 'C' || first == 'U'
}

// begin looks at the beginning of a line, of which there is at least one byte.
func (d *mysqlRewriter) begin() error {
	d.line = true
	if first, _ := d.r.Peek(1); !suspect(first[0]) {
		return nil
	}
	head, err := d.r.Peek(mysqlLineSize)
	if err != nil && err != io.EOF && len(head) == 0 {
		return err
	}
	if match := mysqlUse.FindSubmatch(head); match != nil && unquoteMySQLName(string(match[1])) != d.database {
		return fmt.Errorf("the dump is one of several databases: it switches to %.100s, and would write there: restore it by hand", match[1])
	}
	match, by := mysqlAlter.FindSubmatchIndex(head), quoteMySQLName(d.database)
	if match == nil && d.noOwner {
		match, by = mysqlDefiner.FindSubmatchIndex(head), "CURRENT_USER"
		if match != nil {
			match[5] = match[1]
		}
	}
	if match != nil {
		d.out = append(append([]byte{}, head[:match[3]]...), by...)
		d.r.Discard(match[5]) // it was peeked at
	}
	return nil
}
