package dumper

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"regexp"
)

// mysqlStatements cuts a dump into its statements as a client does: what looks like
// a statement or a mark in a string, a name, a comment or a routine's body is none.
//
//	for head, err := s.next(); err == nil; head, err = s.next() {
//		err = s.copy(w)
//	}
type mysqlStatements struct {
	r         *bufio.Reader
	delimiter []byte
	literal   bool // "\" escapes nothing: the session's sql_mode says so
}

const (
	// mysqlStatementHead is how much of a statement is shown: more than the longest
	// name with what stands before it.
	mysqlStatementHead = 4 << 10
	// mysqlLookahead is longer than what begins or ends a comment or a statement.
	mysqlLookahead = 32
)

// What a statement's byte is a part of, when it is neither in quotes, which stand
// for themselves, nor in one of these.
const (
	inCode    = 0
	inComment = '*'
	inLine    = '\n' // a comment to the end of the line
)

var (
	mysqlDelimiter = regexp.MustCompile(`\A(?i:DELIMITER)[ \t]+([^\s]{1,16})[^\n]*\n`)
	mysqlMode      = regexp.MustCompile(`\A(?:/\*!\d+ )?(?i:SET (?:SESSION )?sql_mode)\s*=\s*([^\n]*)\n`)
)

func newMySQLStatements(r io.Reader) *mysqlStatements {
	return &mysqlStatements{r: bufio.NewReaderSize(r, copySize), delimiter: []byte(";")}
}

// next goes to the next statement and shows how it begins; what follows it may be
// seen too. It ends with io.EOF.
func (s *mysqlStatements) next() ([]byte, error) {
	for {
		head, err := s.r.Peek(mysqlStatementHead)
		if len(head) == 0 || err != nil && err != io.EOF {
			return nil, err
		}
		if n := len(head) - len(bytes.TrimLeft(head, " \t\r\n")); n > 0 {
			s.r.Discard(n) // all that is discarded was peeked at
			continue
		}
		if kind := commentAt(head); kind != inCode {
			if err := s.skip(kind); err != nil {
				return nil, err
			}
			continue
		}
		if match := mysqlDelimiter.FindSubmatch(head); match != nil {
			s.delimiter = bytes.Clone(match[1])
			s.r.Discard(len(match[0]))
			continue
		}
		if bytes.HasPrefix(head, s.delimiter) {
			s.r.Discard(len(s.delimiter))
			continue
		}
		if match := mysqlMode.FindSubmatch(head); match != nil {
			s.literal = bytes.Contains(match[1], []byte("NO_BACKSLASH_ESCAPES"))
		}
		return head, nil
	}
}

// special tells whether the delimiter is another than usual, as around what has a
// body of statements.
func (s *mysqlStatements) special() bool { return string(s.delimiter) != ";" }

// copy writes the statement that next showed to w, without its delimiter, and goes
// behind it.
func (s *mysqlStatements) copy(w io.Writer) error {
	state := byte(inCode)
	for {
		window, limit, err := s.window()
		if err == io.EOF {
			err = fmt.Errorf("%w: it ends within a statement", ErrIncomplete)
		}
		if err != nil {
			return err
		}
		n, ended := s.scan(window, limit, &state)
		if _, err := w.Write(window[:n]); err != nil {
			return err
		}
		if ended {
			n += len(s.delimiter)
		}
		s.r.Discard(n)
		if ended {
			return nil
		}
	}
}

// window is what can be looked at, at least one byte, and how far a scan may go in it
// so that it sees what a byte begins.
func (s *mysqlStatements) window() (window []byte, limit int, err error) {
	_, err = s.r.Peek(mysqlLookahead)
	window, _ = s.r.Peek(s.r.Buffered()) // cannot fail
	switch {
	case err == io.EOF && len(window) > 0:
		return window, len(window), nil
	case err != nil:
		return nil, 0, err
	}
	return window, len(window) - mysqlLookahead + 1, nil
}

// scan is how much of b, to the limit or a little more, belongs to the statement, and
// whether it ends there.
func (s *mysqlStatements) scan(b []byte, limit int, state *byte) (n int, ended bool) {
	for i := 0; i < limit; {
		switch *state {
		case inCode:
			c := b[i]
			switch {
			case c == s.delimiter[0] && bytes.HasPrefix(b[i:], s.delimiter):
				return i, true
			case c == '\'' || c == '"' || c == '`':
				*state = c
			case c == '/' || c == '-' || c == '#':
				if *state = commentAt(b[i:]); *state == inComment {
					i++ // "/*/" is no end
				}
			}
			i++
		case inComment:
			if b[i] == '*' && i+1 < len(b) && b[i+1] == '/' {
				*state = inCode
				i++
			}
			i++
		default:
			i += s.quoted(b[i:limit], state)
		}
		n = min(i, len(b))
	}
	return n, false
}

// quoted is how much of b comes before the end of what the state says, with it.
func (s *mysqlStatements) quoted(b []byte, state *byte) int {
	for i, c := range b {
		switch {
		case c == *state:
			*state = inCode
			return i + 1
		case c == '\\' && !s.literal && (*state == '\'' || *state == '"'):
			return i + 2 // it is looked ahead
		}
	}
	return len(b)
}

// skip goes behind a comment.
func (s *mysqlStatements) skip(state byte) error {
	if state == inComment {
		s.r.Discard(2)
	}
	for state != inCode {
		window, limit, err := s.window()
		if err != nil {
			return err
		}
		n := 0
		if i := bytes.IndexByte(window[:limit], '\n'); state == inLine && i >= 0 {
			n, state = i+1, inCode
		} else if i := bytes.Index(window, []byte("*/")); state == inComment && i >= 0 {
			n, state = i+2, inCode
		} else {
			n = limit
		}
		s.r.Discard(n)
	}
	return nil
}

// commentAt is which comment begins there: none of those that a server executes.
func commentAt(b []byte) byte {
	switch {
	case b[0] == '#':
		return inLine
	case bytes.HasPrefix(b, []byte("--")) && (len(b) == 2 || b[2] <= ' '):
		return inLine
	case bytes.HasPrefix(b, []byte("/*")) && !bytes.HasPrefix(b, []byte("/*!")) && !bytes.HasPrefix(b, []byte("/*M!")):
		return inComment
	}
	return inCode
}
