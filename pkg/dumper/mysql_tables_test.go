package dumper

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// myTablesSample adds to myOdd what may deceive one who looks for tables: routines and
// triggers with text that looks like rows, data that looks like marks.
const myTablesSample = "SET foreign_key_checks = 0; CREATE TABLE visits (id int PRIMARY KEY AUTO_INCREMENT, s text, UNIQUE KEY k (s(9))); " +
	"INSERT INTO visits VALUES (1, '\\n-- Dumping data for table `node`\\n'), (2, 'INSERT INTO `visits` VALUES (99,''x'');\\n'), (7, ';;\\nDELIMITER ;\\n');" +
	"CREATE TABLE node (id int PRIMARY KEY, up int, CONSTRAINT self FOREIGN KEY (up) REFERENCES node (id)); INSERT INTO node VALUES (1, 2), (2, 1), (3, NULL);" +
	"CREATE TABLE gen (id int PRIMARY KEY, d datetime DEFAULT '2020-01-02 03:04:05', g int GENERATED ALWAYS AS (id * 2) STORED, ts timestamp NULL); INSERT INTO gen (id, ts) VALUES (3, '2020-02-03 04:05:06'), (4, NULL);" +
	"CREATE TABLE `a -- b` (i int PRIMARY KEY); INSERT INTO `a -- b` VALUES (0), (8);" +
	"\nDELIMITER //\nCREATE PROCEDURE p() BEGIN\n/*\nDELIMITER ;\n-- Dumping data for table `visits`\n--\nINSERT INTO `visits` VALUES (98,'comment');\n*/\nINSERT INTO `visits` VALUES (97, 'body');\nSELECT '\nDELIMITER ;\nINSERT INTO `visits` VALUES (96,''string'');\n';\nEND//\n" +
	"CREATE TRIGGER `t``r\n2` AFTER DELETE ON `a -- b` FOR EACH ROW BEGIN\nINSERT INTO `visits` VALUES (95, 'trigger');\nEND//\n" +
	"CREATE TRIGGER tr3 BEFORE UPDATE ON visits FOR EACH ROW SET @a = 'TRIGGER x BEFORE INSERT ON node FOR EACH ROW'//\nDELIMITER ;\n"

// myTablesBed is a database with its parts, and the same in one stream.
type myTablesBed struct {
	server *dbtest.Server
	m      *MySQL
	layout map[string]Parts
	was    string
}

func newMyTablesBed(t *testing.T, server *dbtest.Server, name string) *myTablesBed {
	t.Helper()
	server.SQL(t, "", "CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
	server.SQL(t, name, myOdd)
	server.SQL(t, name, myTablesSample)
	m := mysqlFor(t, server, name)
	s, dumps, err := myTake(t.Context(), m, 3)
	if err != nil {
		t.Fatal(err)
	}
	return &myTablesBed{server, m, map[string]Parts{"parts": mySources(s, dumps), "one stream": WholeDump(mySource(mysqlDump(t, m)))}, server.PlainDump(t, name)}
}

func (b *myTablesBed) sql(t *testing.T, statements string) string {
	t.Helper()
	return b.server.SQL(t, b.m.conn.Database, "SET foreign_key_checks = 0; "+statements)
}

// same wants the database to be what it was.
func (b *myTablesBed) same(t *testing.T, what string) {
	t.Helper()
	if got := b.server.PlainDump(t, b.m.conn.Database); got != b.was {
		t.Errorf("%s: it differs: %s", what, firstDifference(got, b.was))
	}
}

func testMySQLTables(t *testing.T, server *dbtest.Server) {
	b := newMyTablesBed(t, server, "tables")
	names := func(r TableReport) (names []string) {
		for _, table := range r.Tables {
			names = append(names, table.Name)
		}
		return names
	}
	for layout, parts := range b.layout {
		for _, c := range []struct {
			what, before string
			patterns     []string
			force        bool
			tables       []string
		}{
			{
				"made", "DROP TABLE odd, `a``b (VALUES) 'c' \"d\" ünï`, `new\nline`, node, visits, gen, `a -- b`, `empty`",
				[]string{"odd", "\"a`b\"*", "new?line", "node", "visits", "gen", "`a -- b`", "empt*"},
				false,
				[]string{"a -- b", "a`b (VALUES) 'c' \"d\" ünï", "empty", "gen", "new\nline", "node", "odd", "visits"},
			},
			{"filled", "DELETE FROM visits; DELETE FROM node; DELETE FROM gen; DELETE FROM parent", []string{"visits", "gen", "node", "parent"}, false, []string{"gen", "node", "parent", "visits"}},
			{"replaced", "UPDATE gen SET d = NULL; DELETE FROM node LIMIT 1; UPDATE visits SET s = id; INSERT INTO `empty` VALUES (1)", []string{"visits", "gen", "node", "empty"}, true, []string{"empty", "gen", "node", "visits"}},
			{"made and replaced", "DROP TABLE child; DELETE FROM parent WHERE id = 2", []string{"child", "parent"}, true, []string{"child", "parent"}},
		} {
			b.sql(t, c.before)
			report, err := b.m.RestoreTables(t.Context(), parts, c.patterns, TableOptions{Force: c.force})
			if err != nil {
				t.Fatalf("%s, %s: %v", layout, c.what, err)
			}
			if got := names(report); !slices.Equal(got, c.tables) || len(report.LeftOut)+len(report.Notes) > 0 {
				t.Errorf("%s, %s: %+v", layout, c.what, report)
			}
			b.same(t, layout+", "+c.what)
		}
		server.SQL(t, "", "CREATE DATABASE bare CHARACTER SET utf8mb4")
		report, err := mysqlFor(t, server, "bare").RestoreTables(t.Context(), parts, []string{"child", "odd"}, TableOptions{})
		if err != nil || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "of child: it is made, and the table parent") || report.Tables[0].Rows != 3 {
			t.Errorf("%s: %+v, %v", layout, report, err)
		}
		if got := server.SQL(t, "bare", "SELECT COUNT(*) FROM child; SELECT s FROM odd WHERE id = 4; SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'bare'"); got != "3\n\\\\');),(\ntr" {
			t.Errorf("%s: it has %q", layout, got)
		}
		server.SQL(t, "", "DROP DATABASE bare")
	}
	r, err := ReadMySQLTables(bytes.NewReader(mysqlDump(t, b.m)))
	if err != nil || len(r) != len(b.layout["parts"].Contents.Tables) {
		t.Errorf("%+v, %v", r, err)
	}
	for _, table := range r {
		for _, c := range b.layout["parts"].Contents.Tables {
			if c.Table == table.Table && c.Rows != table.Rows {
				t.Errorf("%s has %d rows, and not %d", c.Table, c.Rows, table.Rows)
			}
		}
	}
}

// myRefused has a table for each reason to refuse it.
const myRefused = "CREATE TABLE visits (id int PRIMARY KEY, s text); INSERT INTO visits VALUES (1, 'x'); CREATE VIEW z_view AS SELECT id FROM visits; CREATE TABLE viewed (i int); CREATE TABLE isam (i int);" +
	"CREATE TABLE inserts (i int); CREATE TRIGGER tr BEFORE INSERT ON inserts FOR EACH ROW SET NEW.i = 1; CREATE TABLE deletes (i int); CREATE TRIGGER `t\nr` AFTER DELETE ON deletes FOR EACH ROW SET @a = 1;" +
	"CREATE TABLE named (i int, d int); CREATE TABLE more (i int); CREATE TABLE gen (i int, g int GENERATED ALWAYS AS (i * 2) STORED); CREATE TABLE text_gen (d text, i int, g int GENERATED ALWAYS AS (i * 2) STORED);" +
	"INSERT INTO text_gen (d, i) VALUES ('too long', 1); CREATE TABLE wide (s text); INSERT INTO wide VALUES ('short'), ('too long'); CREATE TABLE lost (i int PRIMARY KEY); INSERT INTO lost VALUES (1); CREATE TABLE node (id int, up int); INSERT INTO node VALUES (1, 2)"

// What cannot be done changes nothing.
func testMySQLTablesRefused(t *testing.T, server *dbtest.Server) {
	server.SQL(t, "", "CREATE DATABASE unfit CHARACTER SET utf8mb4")
	server.SQL(t, "unfit", myRefused)
	m := mysqlFor(t, server, "unfit")
	s, dumps, err := myTake(t.Context(), m, 2)
	if err != nil {
		t.Fatal(err)
	}
	parts, whole := mySources(s, dumps), WholeDump(mySource(mysqlDump(t, m)))
	server.SQL(t, "unfit", "DROP TABLE viewed, lost; CREATE VIEW viewed AS SELECT 1 AS i; ALTER TABLE isam ENGINE = MyISAM; ALTER TABLE named CHANGE d dd int; ALTER TABLE more ADD x int; "+
		"ALTER TABLE gen MODIFY g int; TRUNCATE text_gen; ALTER TABLE text_gen MODIFY d varchar(3); TRUNCATE wide; ALTER TABLE wide MODIFY s varchar(5)")
	was := server.PlainDump(t, "unfit")
	for _, c := range []struct {
		patterns []string
		force    bool
		is       error
		words    []string
	}{
		{[]string{"visits"}, false, ErrHasRows, []string{"visits", "--force"}},
		{[]string{"visit"}, false, ErrNoTable, []string{"there are visits"}},
		{[]string{"z_view"}, false, ErrNoTable, []string{"z_view is a view"}},
		{[]string{"unfit.visits"}, false, nil, []string{"without a database"}},
		{[]string{"viewed"}, true, ErrUnfit, []string{"viewed is a view"}},
		{[]string{"isam"}, false, ErrUnfit, []string{"MyISAM", "ALTER TABLE `isam` ENGINE = InnoDB"}},
		{[]string{"inserts"}, false, ErrUnfit, []string{"trigger tr"}},
		{[]string{"deletes"}, true, ErrUnfit, []string{"trigger t\nr"}},
		{[]string{"named"}, true, ErrUnfit, []string{"column 2 of named is dd, and in the backup d"}},
		{[]string{"more"}, true, ErrUnfit, []string{"column 2 of more is x, and in the backup missing"}},
		{[]string{"gen"}, true, ErrUnfit, []string{"column 2 of gen is g, and in the backup g, which is generated"}},
		{[]string{"text_gen"}, true, nil, map[string][]string{"mariadb": {"exactly the table of the backup"}, "mysql": {"ERROR 1406", "nothing was changed"}}[server.Engine]},
		{[]string{"wide"}, true, nil, []string{"nothing was changed", "ERROR 1406"}},
		{[]string{"lost", "wide"}, false, nil, []string{"nothing was changed", "dropped again", "ERROR 1406"}},
	} {
		for layout, parts := range map[string]Parts{"parts": parts, "one stream": whole} {
			_, err := m.RestoreTables(t.Context(), parts, c.patterns, TableOptions{Force: c.force})
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%s, %s: %v", layout, c.patterns, err)
			}
			wantMySQLError(t, err, c.words...)
		}
	}
	if got := server.PlainDump(t, "unfit"); got != was {
		t.Errorf("the database has changed: %s", firstDifference(got, was))
	}
	server.SQL(t, "", "CREATE USER unfit@'%' IDENTIFIED BY 'pw'; GRANT SELECT, INSERT, DELETE, UPDATE ON unfit.* TO unfit@'%'")
	limited := mysqlFor(t, server, "unfit", as(server, "unfit", "pw"))
	_, err = limited.RestoreTables(t.Context(), parts, []string{"node"}, TableOptions{Force: true})
	wantMySQLError(t, err, "GRANT TRIGGER ON `unfit`.* TO 'unfit'@'%'")
	server.SQL(t, "unfit", "GRANT TRIGGER ON unfit.* TO unfit@'%'; ALTER TABLE node MODIFY up bigint")
	report, err := limited.RestoreTables(t.Context(), parts, []string{"node"}, TableOptions{Force: true})
	if err != nil || !report.Tables[0].Filled || !slices.Equal(report.Notes, []string{"column up of node: it is bigint, and was int"}) {
		t.Errorf("%+v, %v", report, err)
	}
}

// A failure in the middle leaves nothing.
func testMySQLTablesFail(t *testing.T, server *dbtest.Server) {
	const name = "halfway"
	server.SQL(t, "", "CREATE DATABASE halfway")
	server.SQL(t, name, myBig)
	server.SQL(t, name, "CREATE TABLE too LIKE big; INSERT INTO too SELECT * FROM big")
	m := mysqlFor(t, server, name)
	s, dumps, err := myTake(t.Context(), m, 1)
	if err != nil {
		t.Fatal(err)
	}
	whole := mysqlDump(t, m)
	cause := errors.New("the storage failed")
	// broken gives a dump whole at first, and cuts it later.
	broken := func(dump []byte, good int32) Source {
		var calls atomic.Int32
		return func(ctx context.Context, use func(context.Context, io.Reader) error) error {
			if calls.Add(1) <= good {
				return use(ctx, bytes.NewReader(dump))
			}
			return use(ctx, fails(dump[:len(dump)-2000], cause))
		}
	}
	inParts := func(good int32) Parts {
		p := mySources(s, dumps)
		data := dumps[p.Data[0].Name]
		p.Data = []PartSource{{Name: p.Data[0].Name, Source: broken(data, good), Check: mySource(data)}}
		return p
	}
	counted := mySources(s, dumps)
	counted.Contents.Tables = slices.Clone(counted.Contents.Tables)
	for i := range counted.Contents.Tables {
		counted.Contents.Tables[i].Rows++
	}
	server.SQL(t, name, "DROP TABLE big; DELETE FROM too WHERE i > 10")
	was := server.PlainDump(t, name)
	for what, c := range map[string]struct {
		parts Parts
		is    error
	}{
		"parts, while a table is made":      {inParts(0), cause},
		"parts, while a table is filled":    {inParts(1), cause},
		"one stream, while one is planned":  {WholeDump(broken(whole, 0)), cause},
		"one stream, while a table is made": {WholeDump(broken(whole, 1)), cause},
		"one stream, while one is filled":   {WholeDump(broken(whole, 2)), cause},
		"one stream that has no end":        {WholeDump(mySource(whole[:len(whole)-10])), ErrIncomplete},
		"parts that are others":             {counted, ErrOtherRows},
		"parts that were exchanged in time": {exchanged(inParts(9), bytes.Replace(dumps["data-1"], []byte("INSERT INTO `too` VALUES"), []byte("INSERT INTO `too` VALUES (0,''),"), 1)), ErrOtherRows},
	} {
		_, err := m.RestoreTables(t.Context(), c.parts, []string{"big", "too"}, TableOptions{Force: true})
		if !errors.Is(err, c.is) {
			t.Errorf("%s: %v", what, err)
		}
		if got := server.PlainDump(t, name); got != was {
			t.Errorf("%s: the database has changed", what)
		}
	}
	// The client is killed, or the caller gives up.
	killed := mysqlFor(t, server, name, mysqlScript(t, clientProgram(server), "kill -KILL $$"))
	_, err = killed.RestoreTables(t.Context(), mySources(s, dumps), []string{"big"}, TableOptions{})
	wantMySQLError(t, err, "signal 9", "nothing was changed", "dropped again")
	ctx, cancel := context.WithCancelCause(t.Context())
	stops := inParts(9)
	stops.Data[0].Source = func(ctx context.Context, use func(context.Context, io.Reader) error) error {
		cancel(cause)
		return use(ctx, bytes.NewReader(dumps["data-1"]))
	}
	if _, err = m.RestoreTables(ctx, stops, []string{"big"}, TableOptions{}); !errors.Is(err, cause) {
		t.Errorf("interrupted: %v", err)
	}
	if got := server.PlainDump(t, name); got != was {
		t.Error("the database has changed")
	}
	if _, err := m.RestoreTables(t.Context(), mySources(s, dumps), []string{"big", "too"}, TableOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	if got := server.SQL(t, name, "SELECT COUNT(*), SUM(i) FROM big UNION ALL SELECT COUNT(*), SUM(i) FROM too"); got != "1000\t500500\n1000\t500500" {
		t.Errorf("it has %q", got)
	}
}

// exchanged is another part that comes after the first was checked.
func exchanged(p Parts, data []byte) Parts {
	p.Data[0].Source = mySource(data)
	return p
}

// Rows that come in after the plan was made are not mixed with the backup's, and a
// unique index that the backup had not is kept.
func testMySQLTablesLate(t *testing.T, server *dbtest.Server) {
	server.SQL(t, "", "CREATE DATABASE late")
	server.SQL(t, "late", "CREATE TABLE a (i int PRIMARY KEY, j int); INSERT INTO a VALUES (1, 5), (2, 5)")
	m := mysqlFor(t, server, "late")
	parts := WholeDump(mySource(mysqlDump(t, m)))
	server.SQL(t, "late", "DELETE FROM a")
	plan, err := m.PlanTables(t.Context(), parts, []string{"a"}, TableOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	server.SQL(t, "late", "INSERT INTO a VALUES (3, 3)")
	if err := plan.Run(t.Context()); !errors.Is(err, ErrHasRows) {
		t.Errorf("with a row that came in: %v", err)
	}
	server.SQL(t, "late", "CREATE UNIQUE INDEX x ON a (j)")
	_, err = m.RestoreTables(t.Context(), parts, []string{"a"}, TableOptions{Force: true})
	wantMySQLError(t, err, "ERROR 1062", "nothing was changed")
	if got := server.SQL(t, "late", "SELECT * FROM a"); got != "3\t3" {
		t.Errorf("it has %q", got)
	}
}

// Grants on single tables come back with these, and definers are the account's own if
// that is asked for.
func testMySQLTablesGrants(t *testing.T, server *dbtest.Server) {
	server.SQL(t, "", "CREATE DATABASE granted; CREATE USER reader@'%'")
	server.SQL(t, "granted", "CREATE TABLE a (i int); CREATE TABLE b (i int); CREATE DEFINER = reader@'%' TRIGGER tr BEFORE INSERT ON a FOR EACH ROW SET NEW.i = 1; GRANT SELECT ON a TO reader@'%'; GRANT SELECT ON b TO reader@'%'")
	m := mysqlFor(t, server, "granted")
	globals, _ := mysqlGlobalsOf(t, m)
	parts := WholeDump(mySource(mysqlDump(t, m)))
	server.SQL(t, "granted", "REVOKE SELECT ON a FROM reader@'%'; REVOKE SELECT ON b FROM reader@'%'; DROP TABLE a")
	if _, err := m.RestoreTables(t.Context(), parts, []string{"a"}, TableOptions{Globals: globals, NoOwner: true}); err != nil {
		t.Fatal(err)
	}
	got := server.SQL(t, "", "SELECT TABLE_NAME FROM information_schema.TABLE_PRIVILEGES WHERE TABLE_SCHEMA = 'granted'; SELECT DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'granted'")
	if got != "a\nroot@localhost" {
		t.Errorf("it has %q", got)
	}
}
