package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// awkward are values that a quoting of lesser care would lose.
func awkward() []string {
	return append(seeds(), `s3cr3t-$pa"ss`, `pa$$ "w" \ # and all'`, `\`, `\\\n`, " leading and trailing ", "a\n", "a\\\nb", "\t", "a # b", "; x", "$(id)`id`${HOME}",
		"30 2 * * *", "~/x", "é☃🐘", "-----BEGIN PUBLIC KEY-----\nMIIB+/==\n-----END PUBLIC KEY-----\n", "a\r\nb", "%i%%", "!*?[a]{b}|&<>()", "'")
}

func TestEncodeEnvReadsBack(t *testing.T) {
	for _, value := range awkward() {
		if !systemdUTF8(value) || strings.ContainsRune(value, 0) {
			continue
		}
		want := []Assignment{{"DBACKED_DB_PASSWORD", value}, {"B", "1"}}
		text, err := EncodeEnv(want)
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		entries, notes := parseEnv(text)
		var got []Assignment
		for _, e := range entries {
			got = append(got, Assignment{e.name, e.value})
		}
		if diff := cmp.Diff(want, got); diff != "" || len(checkEnv(text, entries, notes)) > 0 {
			t.Errorf("%q: notes %v, %s", text, notes, diff)
		}
	}
}

// TestEncodeEnvAgreesWithSystemd has systemd's own reader read what was encoded.
func TestEncodeEnvAgreesWithSystemd(t *testing.T) {
	o := newOracle(t)
	for _, value := range awkward() {
		if value == "" || !systemdUTF8(value) || strings.ContainsRune(value, 0) {
			continue
		}
		text, err := EncodeEnv([]Assignment{{"DBACKED_TESTED", value}, {"ZZZ_AFTER", "1"}})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"DBACKED_TESTED": value, "ZZZ_AFTER": "1"}
		if diff := cmp.Diff(want, o.read(t, text)); diff != "" {
			t.Errorf("systemd reads %q (-want +systemd):\n%s", text, diff)
		}
	}
}

func TestEncodeEnvRefusesWhatCannotBeRead(t *testing.T) {
	for _, a := range []Assignment{{"A B", "x"}, {"", "x"}, {"1A", "x"}, {"A", "secret\x00"}, {"A", "secret\xff"}, {"A", "secret\uffff"}} {
		text, err := EncodeEnv([]Assignment{a})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %q, %v", a, text, err)
		}
	}
}

func FuzzEncodeEnv(f *testing.F) {
	for _, value := range awkward() {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		text, err := EncodeEnv([]Assignment{{"A", value}, {"B", "1"}})
		if err != nil {
			return
		}
		path := filepath.Join(t.TempDir(), "x.env")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadEnv(path)
		if len(text) > maxFile {
			return
		}
		if diff := cmp.Diff([]Assignment{{"A", value}, {"B", "1"}}, got); err != nil || diff != "" {
			t.Errorf("%q: %v, %s", text, err, diff)
		}
	})
}

func TestReadEnvTakesTheLast(t *testing.T) {
	path := write(t, "A=1\n# x\nB='2 3'\nA=4\n", 0o600)
	got, err := ReadEnv(path)
	if diff := cmp.Diff([]Assignment{{"B", "2 3"}, {"A", "4"}}, got); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	if _, err := ReadEnv(write(t, "A=1\nsecret text\n", 0o600)); err == nil || !strings.Contains(err.Error(), ":2: ") || strings.Contains(err.Error(), "secret") {
		t.Errorf("a line without an assignment: %v", err)
	}
	if _, err := ReadEnv(path + ".none"); err == nil {
		t.Error("a file that is not there is read")
	}
}

func TestReadFormer(t *testing.T) {
	path := write(t, `{"agentId": "a-1", "dbType": "pg", "dbPort": 5433, "dbPassword": "s$\"x", "daemon": "true", "apikey": "k", "odd": "1"}`, 0o600)
	f, err := ReadFormer(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []Assignment{{varDBType, "pg"}, {varDBPort, "5433"}, {varDBPassword, `s$"x`}, {varAPIKey, "k"}}
	if diff := cmp.Diff(want, f.Settings); diff != "" || f.AgentID != "a-1" {
		t.Errorf("agent %q, %s", f.AgentID, diff)
	}
	wantOne(t, f.Warnings, "odd")
	for _, text := range []string{"[]", `{"dbType": `, `{"dbType": {}}`} {
		if _, err := ReadFormer(write(t, text, 0o600)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
	if _, err := ReadFormer(path + ".none"); err == nil {
		t.Error("a file that is not there is taken")
	}
}

func TestGiven(t *testing.T) {
	got := Flags{
		DatabaseFlags: DatabaseFlags{DBHost: "h", DBPassword: NewSecret("p")},
		SealFlags:     SealFlags{PublicKey: []string{"a", "b"}},
	}.Given()
	want := []Assignment{{varDBHost, "h"}, {varDBPassword, "p"}, {varPublicKey, "a\nb"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPublicKeyPEM(t *testing.T) {
	private, public := keyPEM(t)
	for _, given := range []string{public, write(t, public, 0o644), strings.ReplaceAll(public, "\n", `\n`)} {
		if got, err := PublicKeyPEM(given); err != nil || got != public {
			t.Errorf("%.40q: %q, %v", given, got, err)
		}
	}
	for given, reason := range map[string]string{private: "private key", write(t, private, 0o600): "private key", "/nonexistent/x": "no such file", write(t, "x", 0o600): "no PEM block"} {
		if got, err := PublicKeyPEM(given); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%.40q: %q, %v", given, got, err)
		}
	}
}
