package dumper

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestMySQLTriggers(t *testing.T) {
	for create, want := range map[string]string{
		"/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER tr BEFORE INSERT ON odd FOR EACH ROW SET NEW.s = 'x' */":            "tr on odd",
		"/*!50003 CREATE*/ /*!50017 DEFINER=CURRENT_USER*/ /*!50003 TRIGGER `a``b` AFTER DELETE ON `x y` FOR EACH ROW BEGIN END */":                   "a`b on x y",
		"CREATE DEFINER=`TRIGGER`@`%` TRIGGER IF NOT EXISTS shop.tr /* ON a */ BEFORE -- ON b\nUPDATE # ON c\nON\n`shop`.`d` FOR EACH ROW SET @a = 1": "tr on d in shop",
		"create trigger \"q\"\"q\" before update on \"T\" for each row set @a = 1":                                                                    "q\"q on T",
		"CREATE TRIGGER tr BEFORE INSERT ON odd SET NEW.s = 1":                                                                                        "none",
		"CREATE TRIGGER tr /* BEFORE INSERT ON odd FOR EACH ROW SET NEW.s = 1":                                                                        "none",
		"CREATE DEFINER=`a`@`b` PROCEDURE `p`() SELECT 'TRIGGER tr ON a FOR EACH ROW'":                                                                "PROCEDURE",
		"CREATE DEFINER=`a`@`b` EVENT `p` ON SCHEDULE EVERY 1 DAY DO CREATE TRIGGER":                                                                  "EVENT",
		"SELECT 1": "",
	} {
		got, l := mysqlKind(create)
		if got == "TRIGGER" {
			tr, ok := tellTrigger(l)
			got = tr.name + " on " + tr.table
			if tr.database != "" {
				got += " in " + tr.database
			}
			if !ok {
				got = "none"
			}
		}
		if got != want {
			t.Errorf("%s is %q", create, got)
		}
	}
}

func TestMySQLDefinition(t *testing.T) {
	d := defineMySQL("CREATE TABLE `a(``b` (\n  `i` int(11) unsigned NOT NULL AUTO_INCREMENT,\n  `x,)` decimal(10,2) DEFAULT 1.00 COMMENT 'it''s, ) REFERENCES `no` (\\'\\\\',\n" +
		"  `e` enum('a,)','b(') DEFAULT NULL,\n  `g` int GENERATED ALWAYS AS ((`i` + 1)) STORED /*!80023 INVISIBLE */,\n  `new\nline` geometry /*!80003 SRID 4326 */,\n  PRIMARY KEY (`i`),\n  KEY `k` (`e`(3),`g` DESC),\n" +
		"  CONSTRAINT `self` FOREIGN KEY (`i`, `g`) REFERENCES `p``q` (`a`, `b`) ON DELETE CASCADE,\n  CONSTRAINT `far` FOREIGN KEY (`i`) REFERENCES `other`.`t` (`a`),\n  CONSTRAINT `c` CHECK ((`i` > 0))\n) ENGINE=InnoDB COMMENT='(`z` int)'")
	want := []mysqlColumn{{"i", "int unsigned", false}, {"x,)", "decimal(10,2)", false}, {"e", "enum('a,)','b(')", false}, {"g", "int", true}, {"new\nline", "geometry", false}}
	if !slices.Equal(d.columns, want) {
		t.Errorf("the columns are %+v", d.columns)
	}
	if refers := []mysqlReference{{"self", "", "p`q"}, {"far", "other", "t"}}; !slices.Equal(d.refers, refers) {
		t.Errorf("it refers to %+v", d.refers)
	}
}

func TestMySQLStatements(t *testing.T) {
	const dump = "-- MySQL dump ;\n\n/* ; */ # ;\n/*!40101 SET NAMES utf8 */;\nINSERT INTO `a;` VALUES ('\\';','/*'),\n(\"--\",1-- ;\n);\n" +
		"DELIMITER ;;\nCREATE PROCEDURE p() BEGIN SELECT ';;', `;;`; /* ;;\nDELIMITER ; */ -- ;;\nEND ;;\n/*!50003 SET sql_mode = 'NO_BACKSLASH_ESCAPES' */ ;;\nSELECT '\\' ;;\nDELIMITER ;\nSELECT/*/ ; */1;\n--"
	want := []string{
		"/*!40101 SET NAMES utf8 */", "INSERT INTO `a;` VALUES ('\\';','/*'),\n(\"--\",1-- ;\n)", "CREATE PROCEDURE p() BEGIN SELECT ';;', `;;`; /* ;;\nDELIMITER ; */ -- ;;\nEND ",
		"/*!50003 SET sql_mode = 'NO_BACKSLASH_ESCAPES' */ ", "SELECT '\\' ", "SELECT/*/ ; */1",
	}
	for what, r := range myReaders(dump) {
		s := newMySQLStatements(r)
		var got []string
		_, err := s.next()
		for ; err == nil; _, err = s.next() {
			var b strings.Builder
			if err := s.copy(&b); err != nil {
				t.Fatal(err)
			}
			got = append(got, b.String())
		}
		if err != io.EOF || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %q", what, err, got)
		}
	}
	for _, cut := range []string{"SELECT 1", "SELECT '", "SELECT ';"} {
		s := newMySQLStatements(strings.NewReader(cut))
		if _, err := s.next(); err != nil {
			t.Fatal(err)
		}
		if err := s.copy(io.Discard); !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s: %v", cut, err)
		}
	}
}

// myReaders read a text in pieces of any length.
func myReaders(text string) map[string]io.Reader {
	return map[string]io.Reader{
		"whole": strings.NewReader(text), "bytes": iotest.OneByteReader(strings.NewReader(text)), "halves": iotest.HalfReader(strings.NewReader(text)),
		"with EOF": iotest.DataErrReader(strings.NewReader(text)),
	}
}

// FuzzMySQLPick wants the statements of one table out of a dump, whatever its name, its
// values and what is around them.
func FuzzMySQLPick(f *testing.F) {
	f.Add("visits", "x", "INSERT INTO `visits` VALUES (1);\n")
	f.Add("a`b'\"\n-- x", "\\';\n-- Dumping data for table `visits`\n", "*/;;\nDELIMITER ;\n")
	f.Add("VALUES (", "'),('", "\\")
	f.Add("/*", "/*!", "--\n#")
	f.Fuzz(func(t *testing.T, name, value, other string) {
		if name == "" || len(name) > 200 || strings.ContainsRune(name, 0) {
			return
		}
		text := func(s string) string {
			return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(s) + "'"
		}
		quoted := quoteMySQLName(name)
		first := "INSERT INTO " + quoted + " VALUES\n(1," + text(value) + "),\n(2,'''');\n"
		second := "INSERT INTO " + quoted + " (`" + "V``" + "`) VALUES (" + text(other) + ");\n"
		body := strings.ReplaceAll(other, "*/", "")
		dump := "-- MySQL dump 10.13\n/*!40101 SET NAMES utf8mb4 */;\nDROP TABLE IF EXISTS " + quoted + ";\nCREATE TABLE " + quoted + " (\n  `i` text COMMENT " + text(other) + "\n);\nLOCK TABLES " + quoted + " WRITE;\n" +
			first + "/*!40000 ALTER TABLE " + quoted + " ENABLE KEYS */;\nINSERT INTO " + quoteMySQLName(name+"2") + " VALUES (" + text(value) + ");\n" +
			"DELIMITER ;;\nCREATE PROCEDURE p() BEGIN /* " + body + " */ SELECT " + text(value) + "; " + strings.TrimSuffix(first, "\n") + " END ;;\nDELIMITER ;\n" + second + "\n-- Dump completed\n"
		for what, r := range myReaders(dump) {
			var got bytes.Buffer
			rows, err := pickRows(r, map[string]bool{name: true}, func(string) string { return "" }, &got)
			if err != nil || got.String() != first+second {
				t.Fatalf("%s: %v, %q instead of %q", what, err, got.String(), first+second)
			}
			if held := rows.tables[name]; held == nil || held.rows != 3 {
				t.Fatalf("%s: counted %+v", what, held)
			}
		}
	})
}
