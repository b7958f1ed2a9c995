package dumper

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
)

// mysqlStream is a dump on its way back into a server.
//
// It begins only if the data begins as a dump of MySQL or MariaDB, and it ends
// with io.EOF only behind the closing line: a client that is fed by it is killed
// before it could take a cut dump for a whole one. The line by which newer
// programs of MariaDB put their client into its sandbox is left out, since other
// clients stumble over it.
type mysqlStream struct {
	r    io.Reader
	size int64
	end  mysqlEnd
	err  error // how it ended
}

// newMySQLStream reads the beginning of a dump.
func newMySQLStream(r io.Reader) (*mysqlStream, error) {
	buffered := bufio.NewReaderSize(r, copySize)
	head, err := buffered.Peek(mysqlHeadSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the dump: %w", err)
	}
	if !mysqlHead.Match(head) {
		return nil, fmt.Errorf("%w: %s", ErrWrongEngine, notMySQL(head))
	}
	if line := mysqlSandbox.Find(head); line != nil {
		buffered.Discard(len(line)) // it was peeked at
	}
	return &mysqlStream{r: buffered}, nil
}

var mysqlSandbox = regexp.MustCompile(`\A/\*M?!999999\\-[^\n]*\n`)

func notMySQL(head []byte) string {
	switch {
	case len(head) == 0:
		return "the dump is empty"
	case len(head) >= 5 && string(head[:5]) == "PGDMP":
		return "this is a PostgreSQL archive, and cannot be restored to MySQL or MariaDB: give the backup's own --db-type"
	}
	return "this is no dump of MySQL or MariaDB: it does not begin with their line \"-- MySQL dump\" or \"-- MariaDB dump\""
}

func (s *mysqlStream) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	s.end.see(p[:n])
	s.size += int64(n)
	if err == io.EOF && !s.end.closed() {
		err = fmt.Errorf("%w: it ends after %d bytes without the closing line \"-- Dump completed\"", ErrIncomplete, s.size)
	}
	s.err = err
	return n, err
}
