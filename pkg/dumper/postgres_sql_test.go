package dumper

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPgStatements(t *testing.T) {
	text := `-- a comment; with a semicolon
\restrict abc; def
SET x = 'it''s;';;
/* CREATE ROLE no; */
CREATE ROLE "a;""b";
COMMENT ON ROLE parent IS E'back\'slash;\\';
ALTER ROLE "x" SET search_path TO 'a', "b;c" -- the end`
	var got []string
	for _, s := range pgStatements(text) {
		got = append(got, s.text)
	}
	want := []string{
		`SET x = 'it''s;'`, `CREATE ROLE "a;""b"`, `COMMENT ON ROLE parent IS E'back\'slash;\\'`, `ALTER ROLE "x" SET search_path TO 'a', "b;c" -- the end`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if name := pgStatements(text)[1].tokens[2].name; name != `a;"b` {
		t.Errorf("%q", name)
	}
}

func TestRenameDatabase(t *testing.T) {
	for sql, want := range map[string]string{
		`ALTER DATABASE shop SET work_mem TO '7MB'`:              `ALTER DATABASE "n""ew" SET work_mem TO '7MB'`,
		`ALTER ROLE database IN DATABASE shop SET x TO 'shop'`:   `ALTER ROLE database IN DATABASE "n""ew" SET x TO 'shop'`,
		`REVOKE CONNECT,TEMPORARY ON DATABASE shop FROM PUBLIC`:  `REVOKE CONNECT,TEMPORARY ON DATABASE "n""ew" FROM PUBLIC`,
		`GRANT ALL ON DATABASE "shop" TO shop WITH GRANT OPTION`: `GRANT ALL ON DATABASE "n""ew" TO shop WITH GRANT OPTION`,
		`COMMENT ON DATABASE shop IS 'DATABASE shop'`:            `COMMENT ON DATABASE "n""ew" IS 'DATABASE shop'`,
		`SECURITY LABEL FOR "ON" ON DATABASE shop IS 'x'`:        `SECURITY LABEL FOR "ON" ON DATABASE "n""ew" IS 'x'`,
		`SET SESSION AUTHORIZATION shop`:                         `SET SESSION AUTHORIZATION shop`,
		`ALTER DATABASE other SET x TO 1`:                        "",
		`DROP DATABASE shop`:                                     "",
		`COPY t FROM PROGRAM 'x'`:                                "",
		`ALTER ROLE x SUPERUSER`:                                 "",
		`GRANT boss TO alice`:                                    "",
		`UPDATE pg_catalog.pg_database SET datname = 'shop'`:     "",
		`SELECT 1`:                  "",
		`ALTER DATABASE`:            "",
		`GRANT CONNECT ON DATABASE`: "",
	} {
		s := pgStatements(sql)
		got, ok := renameDatabase(&s[0], "shop", `n"ew`)
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", sql, got, ok)
		}
	}
}

func FuzzPgStatements(f *testing.F) {
	for _, seed := range []string{`a; "b`, `E'\`, `'it''s'; -- x`, `/* `, "\\x\n;", `"""";`, "GRANT a TO b WITH ADMIN OPTION GRANTED BY c;", "é$1;"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range pgStatements(text) {
			if !strings.Contains(text, s.text) || len(s.tokens) == 0 {
				t.Fatalf("%q is not of %q", s.text, text)
			}
			for i, tok := range s.tokens {
				if piece := s.text[tok.start:tok.end]; piece == "" || piece == ";" {
					t.Fatalf("token %d of %q is %q", i, s.text, piece)
				}
			}
			// A name that replaces a token is read back as that name.
			const odd = `x"; DROP --`
			again := pgStatements(s.replace(0, odd))
			if len(again) == 0 || again[0].tokens[0].name != odd {
				t.Fatalf("%q becomes %q", s.text, s.replace(0, odd))
			}
			renameDatabase(&s, "shop", odd)
			membership4(&s)
		}
	})
}

func membership4(s *pgStatement) {
	if s.begins("GRANT", "*", "TO", "*") {
		membership(s, []string{s.tokens[1].name}, func(string) bool { return true })
	}
}
