package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseEnv(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"plain", "A=b", "A=b"},
		{"no newline, CRLF and blank lines", "A=1\r\n\r\n\n  B=2\r\nC=3", "A=1|B=2|C=3"},
		{"a lone carriage return ends a line", "A=1\rB=2", "A=1|B=2"},
		{"blanks around names and values", "  A \t=  b c \t \nB=", "A=b c|B="},
		{"comments", "#A=1\n;B=2\n  # C=3\nD=4#5;6\n", "D=4#5;6"},
		{"comment that ends in a backslash ends", "# a\\\nB=1\n", "B=1"},
		{"nothing expanded", "A=$HOME ${HOME} $$ `id` $(id) ~ *", "A=$HOME ${HOME} $$ `id` $(id) ~ *"},
		{"equals signs", "A==b=c=", "A==b=c="},
		{"single quotes keep all", `A='a\n"$b" #c '`, `A=a\n"$b" #c `},
		{"single quotes span lines", "A='a\nb\\\n c'", "A=a\nb\\\n c"},
		{"double quotes", `A="\"\\\` + "`" + `\$\n\x"`, "A=\"\\`$\\n\\x"},
		{"double quotes span and continue lines", "A=\"a\nb\\\nc\\\r\nd\"", "A=a\nbc\\\r\nd"},
		{"quotes are joined", `A="a " 'b '  c d  `, "A=a b c d"},
		{"quotes inside are text", `A=a"b"'c'`, `A=a"b"'c'`},
		{"backslash keeps the next", `A=\a\\\"\'\ \#\n`, `A=a\"' #n`},
		{"backslash keeps a trailing blank", `A=a\ ` + "\nB=1", "A=a |B=1"},
		{"continued line", "A=a \\\n  b\nB=1", "A=a   b|B=1"},
		{"continued before the value", "A=\\\n  b", "A=  b"},
		{"continued by CR alone", "A=a\\\r\nB=1", "A=a|B=1"},
		{"cut in an escape", `A=a \`, "A=a "},
		{"cut in quotes", "A=\"a \nB=1", "A=a \nB=1"},
		{"cut in quotes after a backslash", `A="a \`, "A=a "},
		{"line without equals", "A\nB=1\nC", "B=1"},
		{"empty name", "=a=b\n", "=a=b"},
		{"twice", "A=1\nA=2", "A=1|A=2"},
		{"value ends, the next begins clean", "A=abc \nB=\nC=\"\"\n", "A=abc|B=|C="},
		{"nothing", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			entries, _ := parseEnv([]byte(test.text))
			var got []string
			for _, e := range entries {
				got = append(got, e.name+"="+e.value)
			}
			if diff := cmp.Diff(test.want, strings.Join(got, "|")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseEnvLines(t *testing.T) {
	entries, _ := parseEnv([]byte("#\r\n\r\nA='1\n2'\nB=1\\\n2\n\n# x\nC=3"))
	for i, want := range []int{3, 5, 9} {
		if entries[i].line != want {
			t.Errorf("%s: line %d, want %d", entries[i].name, entries[i].line, want)
		}
	}
}

func TestNotesOnEnvFiles(t *testing.T) {
	for _, test := range []struct {
		text  string
		line  int
		fatal bool
		says  string
	}{
		{"A=1\nB\nC=2", 2, true, `no "="`},
		{"A=1\nB", 2, true, `no "="`},
		{"\nexport A=1", 2, true, "shell's"},
		{"\xef\xbb\xbfA=1", 1, true, "byte order mark"},
		{"DBACKED-DB=1", 1, true, `"DBACKED-DB" is no name`},
		{"1A=1", 1, true, "no name for a variable"},
		{"A=1\n\nB=\"a\nC=2\n", 3, true, "never closed"},
		{"A='", 1, true, "never closed"},
		{"A=\"b\\", 1, true, "never closed"},
		{"A=\xff", 1, true, "UTF-8"},
		{"A=\ufffe", 1, true, "UTF-8"},
		{"A=1\nB=a\x00b", 2, true, "NUL"},
		{"A=secret # mine", 1, false, `the "#" is part of the value`},
		{`A="secret" # mine`, 1, false, `the "#" is part of the value`},
		{"# a\\\nA=1", 1, false, "systemd before 254"},
		{"A=1\nB=2\nA=3", 3, false, "already set in line 1"},
	} {
		entries, notes := parseEnv([]byte(test.text))
		notes = checkEnv([]byte(test.text), entries, notes)
		if len(notes) != 1 {
			t.Errorf("%q: notes %v, want one", test.text, notes)
			continue
		}
		n := notes[0]
		if n.line != test.line || n.fatal != test.fatal || !strings.Contains(n.text, test.says) {
			t.Errorf("%q: got %+v, want line %d, fatal %v, %q", test.text, n, test.line, test.fatal, test.says)
		}
	}
	for _, clean := range []string{"A='a # b'", `A="a # b"`, "A=a#b", "A=a \\# b", "# a\n; b\nA=1\nB=2"} {
		entries, notes := parseEnv([]byte(clean))
		if notes = checkEnv([]byte(clean), entries, notes); len(notes) != 0 {
			t.Errorf("%q: unexpected %v", clean, notes)
		}
	}
}

// TestNotesHoldNoSecrets: the tail of a key or password of several lines without quotes is a "name" to the parser.
func TestNotesHoldNoSecrets(t *testing.T) {
	text := "A=-----BEGIN PRIVATE KEY-----\nhunter2hunter2==\nhunter2\nB=\"hunter2\nC=hunter2\xff"
	entries, notes := parseEnv([]byte(text))
	for _, n := range checkEnv([]byte(text), entries, notes) {
		if strings.Contains(n.text, "hunter2") {
			t.Errorf("leaks: %s", n.text)
		}
	}
}
