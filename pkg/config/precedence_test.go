package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// setFlag puts text into the field of a setting, as kong would.
func setFlag(flags *Flags, s Setting, text string) {
	field := reflect.ValueOf(flags).Elem().FieldByIndex(s.index)
	switch field.Interface().(type) {
	case Secret:
		field.Set(reflect.ValueOf(NewSecret(text)))
	case []string:
		field.Set(reflect.ValueOf([]string{text}))
	default:
		field.SetString(text)
	}
}

// TestPrecedence gives every setting in every mix of the four places, and looks at what applies and its source.
func TestPrecedence(t *testing.T) {
	for _, s := range Settings() {
		if s.Variable == varConfigDirectory {
			continue
		}
		for mix := range 1 << origins {
			t.Run(fmt.Sprintf("%s/%04b", s.Variable, mix), func(t *testing.T) { checkMix(t, s, mix) })
		}
	}
}

func checkMix(t *testing.T, s Setting, mix int) {
	l := newLoader(0)
	var flags Flags
	want, source := "", "default"
	prefer := func(at origin, text, from string) string {
		if mix&(1<<at) == 0 {
			return ""
		}
		want, source = text, from
		return text
	}
	// From the lowest to the highest, so that the last one that is given is what must apply.
	if text := prefer(fromJSON, "json", "/c/config.json"); text != "" && s.JSONKey != "" {
		l.readJSON("/c/config.json", []byte(`{"`+s.JSONKey+`": "`+text+`"}`))
	} else {
		want, source = "", "default"
	}
	if text := prefer(fromEnvFile, "file", "/c/shop.env:2"); text != "" {
		l.readEnvFile("/c/shop.env", []byte("\n"+s.Variable+"="+text))
	}
	if text := prefer(fromEnvironment, "environment", "environment"); text != "" {
		l.readEnvironment([]string{s.Variable + "=" + text})
	}
	if s.Flag != "" {
		if text := prefer(fromFlags, "flag", s.Flag); text != "" {
			setFlag(&flags, s, text)
			l.readFlags(flags)
		}
	}
	g, _ := l.get(s.Variable)
	if len(l.problems) > 0 {
		t.Fatal(l.problems)
	}
	if g.text() != want || l.config.Source(s.Variable) != source {
		t.Errorf("got %q from %q, want %q from %q", g.text(), l.config.Source(s.Variable), want, source)
	}
}

// TestPrecedenceEndToEnd does it once through real files.
func TestPrecedenceEndToEnd(t *testing.T) {
	s := setup{
		need:    NeedDatabase,
		flags:   Flags{DatabaseFlags: DatabaseFlags{DBHost: "flag.example"}},
		environ: map[string]string{varDBHost: "env.example", varDBPort: "1001", varDBUsername: ""},
		envFile: "# c\nDBACKED_DB_HOST=file.example\nDBACKED_DB_PORT=1002\nDBACKED_DB_USERNAME=file-user\n",
		json:    `{"dbHost":"json.example","dbPort":1003,"dbUsername":"json-user","dbName":"json-name","dbType":"mysql"}`,
	}
	c, folder, err := s.load(t)
	if err != nil {
		t.Fatal(err)
	}
	d := c.Database
	got := fmt.Sprintf("%s %d %s %s %s", d.Host, d.Port, d.Username, d.Name, d.Type)
	if want := "flag.example 1001 file-user json-name mysql"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for name, want := range map[string]string{
		"--db-host": "--db-host", "db-port": "environment", varDBUsername: folder + "/shop.env:4",
		"db-name": folder + "/config.json", "db-tls-mode": "default", "no-such": "default",
	} {
		if c.Source(name) != want {
			t.Errorf("source of %s is %q, want %q", name, c.Source(name), want)
		}
	}
}

func TestLastOfTwiceApplies(t *testing.T) {
	l := newLoader(0)
	l.readEnvironment([]string{varDBHost + "=a", varDBHost + "=b", "X", "=C:=D"})
	l.readEnvFile("f", []byte(varDBPort+"=1\n"+varDBPort+"=2\n"))
	host, _ := l.get(varDBHost)
	port, _ := l.get(varDBPort)
	if host.text() != "b" || port.text() != "2" {
		t.Errorf("host %q, port %q", host.text(), port.text())
	}
}

func TestEnvironForTools(t *testing.T) {
	c := mustLoad(t, setup{
		environ: map[string]string{"PATH": "/bin", "PGAPPNAME": "real", "DBACKED_DB_PASSWORD": "hunter2", "DBACKED_TEST_X": "1"},
		envFile: "PGAPPNAME=file\nPGSSLCRL=/crl\nHTTPS_PROXY=\"http://u:hunter2@p\"\nDBACKED_DB_HOST=h\nPGSSLCRL=/crl2\nEMPTY=\nDBACKED_TEST_Y=1\n",
	})
	want := Environ{"PATH=/bin", "PGAPPNAME=real", "PGSSLCRL=/crl2", "HTTPS_PROXY=http://u:hunter2@p", "EMPTY="}
	if diff := cmp.Diff([]string(want), []string(c.Environ)); diff != "" {
		t.Error(diff)
	}
	printed := fmt.Sprintf("%v %+v %#v %s %q", c, c, *c, c.Environ, c.Environ)
	if strings.Contains(printed, "hunter2") || !strings.Contains(printed, "HTTPS_PROXY") {
		t.Errorf("printed: %s", printed)
	}
}
