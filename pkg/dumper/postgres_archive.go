package dumper

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

// pgHeadSize bounds how much of an archive is held to look at its table of
// contents before pg_restore starts.
const pgHeadSize = 4 << 20

// pgArchive is an archive whose head has been read.
type pgArchive struct {
	header   pgarchive.Header
	database pgDatabaseEntries
	locks    int64     // estimate of the locks that one transaction would hold
	filling  int64     // the same, of one that only fills what is there
	whole    bool      // whether the whole table of contents was seen
	head     []byte    // what was read
	rest     io.Reader // what follows that; ends only if the archive is whole
	body     io.Reader // the archive from its first byte; ends as rest does
	copies   []pgCopy  // if held is set: what reads rows into tables
	verifier *pgarchive.Verifier
	held     *pgHeld // if set, takes note of what the archive holds
	each     func(pgarchive.Entry)
}

// pgDatabaseEntries are the entries about the database as such.
type pgDatabaseEntries struct {
	name   string // in the archive
	owner  string
	create string // CREATE DATABASE, or "" in archives of PostgreSQL 10 and older
	more   string // comments, labels and settings
	grants string
}

// openArchive reads the head of an archive. The caller calls close.
func openArchive(r io.Reader) (*pgArchive, error) { return openCounted(r, nil) }

// openCounted is openArchive, with the rows counted that go by.
func openCounted(r io.Reader, held *pgHeld) (*pgArchive, error) {
	return openUpTo(r, held, pgHeadSize, nil)
}

// openUpTo is openCounted, with a bound of its own for the head, and with each
// entry told of, if each is not nil, with what it needs.
func openUpTo(r io.Reader, held *pgHeld, limit int, each func(pgarchive.Entry)) (*pgArchive, error) {
	a := &pgArchive{verifier: pgarchive.NewVerifier(), held: held, each: each}
	a.verifier.KeepDependencies = each != nil
	a.verifier.KeepDefn = func(desc, tag string) bool { return aboutDatabase(desc, tag) }
	a.verifier.OnEntry = a.note
	if held != nil {
		a.verifier.OnBlock = held.block
	}
	head, err := a.readHead(r, limit)
	if err != nil {
		a.close()
		return nil, err
	}
	a.header, _ = a.verifier.Header()
	a.whole = a.verifier.Ready()
	a.head = head
	a.rest = &pgArchiveReader{r: r, v: a.verifier}
	a.body = io.MultiReader(bytes.NewReader(head), a.rest)
	return a, nil
}

// close frees the verifier; the end of body has told its verdict.
func (a *pgArchive) close() { _ = a.verifier.Close() }

// readHead reads until the table of contents ends or is too large.
func (a *pgArchive) readHead(r io.Reader, limit int) ([]byte, error) {
	var head bytes.Buffer
	piece := make([]byte, 32<<10)
	for !a.verifier.Ready() && head.Len() < limit {
		n, err := r.Read(piece)
		head.Write(piece[:n])
		if n > 0 {
			if _, verr := a.verifier.Write(piece[:n]); verr != nil {
				return nil, notAnArchive(head.Bytes(), verr)
			}
		}
		if errors.Is(err, io.EOF) {
			if verr := a.verifier.Close(); verr != nil {
				return nil, fmt.Errorf("reading the dump: %w: %w", ErrIncomplete, verr)
			}
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return head.Bytes(), nil
}

// notAnArchive says what a stream is that is no archive.
func notAnArchive(head []byte, err error) error {
	if !errors.Is(err, pgarchive.ErrNotArchive) {
		return fmt.Errorf("reading the dump: %w", err)
	}
	for begin, what := range map[string]string{
		"-- MySQL dump":        "it is a dump of MySQL: restore it with --db-type mysql",
		"-- MariaDB dump":      "it is a dump of MariaDB: restore it with --db-type mysql",
		"/*M!999999":           "it is a dump of MariaDB: restore it with --db-type mysql",
		"--\n-- PostgreSQL da": "it is a dump of PostgreSQL as plain SQL: feed it to psql --single-transaction",
	} {
		if bytes.HasPrefix(head, []byte(begin)) {
			return fmt.Errorf("%w: %s", ErrWrongEngine, what)
		}
	}
	return fmt.Errorf("%w: it is no archive of pg_dump (%w)", ErrWrongEngine, err)
}

func aboutDatabase(desc, tag string) bool {
	switch desc {
	case "DATABASE", "DATABASE PROPERTIES":
		return true
	case "ACL", "COMMENT", "SECURITY LABEL":
		return strings.HasPrefix(tag, "DATABASE ")
	}
	return false
}

// note looks at one entry of the table of contents.
func (a *pgArchive) note(e pgarchive.Entry) {
	a.locks += pgLocks(e.Desc)
	a.filling += pgFillingLocks(e.Desc)
	if a.held != nil {
		a.held.entry(e)
		a.copies = append(a.copies, pgCopyOf(e)...)
	}
	if a.each != nil {
		a.each(e)
	}
	if !aboutDatabase(e.Desc, e.Tag) {
		return
	}
	d := &a.database
	switch e.Desc {
	case "DATABASE":
		d.name, d.owner, d.create = e.Tag, e.Owner, e.Defn
	case "ACL":
		d.grants += e.Defn + "\n"
	default:
		d.more += e.Defn + "\n"
	}
}

// pgLocks estimates the locks that making an object takes until the transaction
// ends.
func pgLocks(desc string) int64 {
	switch desc {
	case "TABLE", "MATERIALIZED VIEW":
		return 4 // itself, its TOAST table and that one's index, its type
	case "BLOB METADATA":
		return 1000 // that many large objects at most
	case "INDEX", "CONSTRAINT", "SEQUENCE", "VIEW", "BLOB", "FOREIGN TABLE":
		return 1
	}
	return 0
}

// pgFillingLocks is pgLocks for the rows of an object that is there.
func pgFillingLocks(desc string) int64 {
	switch desc {
	case "TABLE DATA":
		return 3 // itself, its TOAST table and that one's index
	case "SEQUENCE SET":
		return 1
	}
	return pgLocks(desc)
}
