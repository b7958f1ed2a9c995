package dumper

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// myDumpParts dumps all parts at once and closes the snapshot.
func myDumpParts(s *MySQLSnapshot) (map[string][]byte, error) {
	dumps := map[string]*bytes.Buffer{}
	for _, part := range s.Parts() {
		dumps[part.Name] = &bytes.Buffer{}
	}
	var workers sync.WaitGroup
	errs := make([]error, len(s.Parts()))
	for i, part := range s.Parts() {
		workers.Go(func() { errs[i] = s.Dump(context.Background(), part, dumps[part.Name]) })
	}
	workers.Wait()
	closed := s.Close()
	for _, err := range append(errs, closed) {
		if err != nil {
			return nil, err
		}
	}
	out := map[string][]byte{}
	for name, b := range dumps {
		out[name] = b.Bytes()
	}
	return out, nil
}

// myTake takes a snapshot and dumps its parts.
func myTake(ctx context.Context, m *MySQL, jobs int) (*MySQLSnapshot, map[string][]byte, error) {
	s, err := m.Snapshot(ctx, SnapshotOptions{Jobs: jobs})
	if err != nil {
		return nil, nil, err
	}
	dumps, err := myDumpParts(s)
	return s, dumps, err
}

// mySource is a part in memory.
func mySource(b []byte) Source {
	return func(ctx context.Context, use func(context.Context, io.Reader) error) error {
		return use(ctx, bytes.NewReader(b))
	}
}

// mySources are parts in memory, as a restore reads them.
func mySources(s *MySQLSnapshot, dumps map[string][]byte) (p Parts) {
	p.Contents.Tables = s.Contents()
	for _, part := range s.Parts() {
		if part.Definitions {
			p.Schema = mySource(dumps[part.Name])
			continue
		}
		p.Contents.Parts = append(p.Contents.Parts, part.Name)
		p.Data = append(p.Data, PartSource{Name: part.Name, Source: mySource(dumps[part.Name])})
	}
	return p
}

// myOdd has what is easily taken for something else: strings that look like a dump's own, and
// names of every kind.
const myOdd = "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY, p int, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE);" +
	"INSERT INTO parent VALUES (1),(2),(3); INSERT INTO child VALUES (1,1),(2,3),(3,NULL);" +
	"CREATE TABLE odd (id int PRIMARY KEY, s text, b blob, g int GENERATED ALWAYS AS (id * 2) STORED, v int GENERATED ALWAYS AS (id + 1) VIRTUAL);" +
	"INSERT INTO odd (id, s, b) VALUES (1, '\\n-- Dumping data for table `parent`\\n', X'00275C2829'), (2, ''''')),(1,''(;\\\\', NULL), (3, '\\nINSERT INTO `parent` VALUES (1);\\n', ''), (4, '\\\\\\');),(', X'0A');" +
	"CREATE TABLE `a``b (VALUES) 'c' \"d\" ünï` (`V``(` int, `x,)` text); INSERT INTO `a``b (VALUES) 'c' \"d\" ünï` VALUES (1, 'VALUES (1)'), (2, ';');" +
	"CREATE TABLE `new\nline` (i int); INSERT INTO `new\nline` VALUES (1), (2);" +
	"CREATE TABLE `empty` (i int); CREATE TABLE `-t` (i int); INSERT INTO `-t` VALUES (5); CREATE TABLE `t%` (i int);" +
	"CREATE FUNCTION four(i int) RETURNS int DETERMINISTIC RETURN i * 4;" +
	"CREATE VIEW z_view AS SELECT id, four(id) AS d FROM odd; CREATE VIEW a_view AS SELECT * FROM z_view;" +
	"CREATE TRIGGER tr BEFORE INSERT ON odd FOR EACH ROW SET NEW.s = 'by the trigger';" +
	"CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DO DELETE FROM child"

func testMySQLParts(t *testing.T, server *dbtest.Server) {
	server.SQL(t, "", "CREATE DATABASE parts CHARACTER SET utf8mb4")
	server.SQL(t, "parts", myOdd)
	m := mysqlFor(t, server, "parts")
	s, dumps, err := myTake(t.Context(), m, 3)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.Parts()); n != 4 {
		t.Errorf("%d parts", n)
	}
	for _, c := range s.Contents() {
		if got := server.SQL(t, "parts", "SELECT COUNT(*) = "+fmt.Sprint(c.Rows)+" FROM "+quoteMySQLName(c.Table)); got != "1" {
			t.Errorf("of %q %d rows were counted, which are not all", c.Table, c.Rows)
		}
	}
	before := server.PlainDump(t, "parts")
	globals, _ := mysqlGlobalsOf(t, m)
	to := mysqlFor(t, server, "parts_copy")
	if err := to.RestoreParts(t.Context(), mySources(s, dumps), 3, RestoreOptions{Create: true, Globals: globals}); err != nil {
		t.Fatal(err)
	}
	after := strings.ReplaceAll(server.PlainDump(t, "parts_copy"), "database 'parts_copy'", "database 'parts'")
	if before != after {
		t.Errorf("the copy differs: %s", firstDifference(after, before))
	}
	if err := to.RestoreParts(t.Context(), mySources(s, dumps), 2, RestoreOptions{Clean: true}); err != nil {
		t.Fatal(err)
	}
	if again := strings.ReplaceAll(server.PlainDump(t, "parts_copy"), "database 'parts_copy'", "database 'parts'"); again != before {
		t.Errorf("restored over it, the copy differs: %s", firstDifference(again, before))
	}

	other := mySources(s, dumps)
	other.Contents.Tables[0].Rows++
	wantMySQLError(t, mysqlFor(t, server, "parts_other").RestoreParts(t.Context(), other, 2, RestoreOptions{Create: true}), "what came back is not", "nothing was changed")
	wantMySQLError(t, mysqlFor(t, server, "parts_other").RestoreParts(t.Context(), func() Parts {
		p := mySources(s, dumps)
		p.Contents.Tables = append(p.Contents.Tables, TableContent{Table: "gone", Part: "data-1"})
		return p
	}(), 2, RestoreOptions{Create: true}), "the table gone is not in its part")
}
