package catalog

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestIDs(t *testing.T) {
	start := time.Date(2026, 11, 22, 22, 56, 43, 9e8, time.FixedZone("CET", 3600))
	id := NewID(start)
	if !strings.HasPrefix(id, "20261122T215643Z-") || id == NewID(start) {
		t.Errorf("id %s", id)
	}
	if got := must[time.Time](t)(ParseID(id)); !got.Equal(start.Truncate(time.Second)) {
		t.Errorf("it started at %s", got)
	}
	for _, id := range []string{"", "x", id1 + "0", id1[:22], "20261122T215643Z-7F3C2A", "20261322T215643Z-7f3c2a", "20261122T215643Z-7f3c2a\n"} {
		if _, err := ParseID(id); err == nil {
			t.Errorf("%q was taken", id)
		}
	}
}

func TestSignerIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", ".state")
	verifiers := make([]string, 8)
	var all sync.WaitGroup
	for i := range verifiers {
		all.Go(func() {
			if s, err := LoadOrCreateSigner(dir); err != nil {
				t.Error(err)
			} else {
				verifiers[i] = s.Verifier()
			}
		})
	}
	all.Wait()
	for _, v := range verifiers {
		if v == "" || v != verifiers[0] {
			t.Fatalf("several keys: %q", verifiers)
		}
	}
	for name, want := range map[string]os.FileMode{"": 0o700, "signing-key": 0o600, "signing-key.pub": 0o644} {
		if info := must[os.FileInfo](t)(os.Stat(filepath.Join(dir, name))); info.Mode().Perm() != want {
			t.Errorf("%q has mode %v", name, info.Mode())
		}
	}
	if left := must[[]os.DirEntry](t)(os.ReadDir(dir)); len(left) != 2 {
		t.Errorf("in the state folder: %v", left)
	}
}

func TestDamagedSigner(t *testing.T) {
	other, _ := signer(t)
	for name, change := range map[string]func([]byte) []byte{
		"holds no signing key": func([]byte) []byte { return nil },
		"is not the verifier key": func(b []byte) []byte {
			return []byte(strings.Split(string(b), "\n")[0] + "\n" + other.Verifier() + "\n")
		},
		"second line that is not the ver": func(b []byte) []byte { return b[:len(b)-5] },
	} {
		dir := t.TempDir()
		must[*Signer](t)(LoadOrCreateSigner(dir))
		private, _, _ := strings.Cut(string(must[[]byte](t)(os.ReadFile(filepath.Join(dir, signerFile)))), "\n")
		rewrite(t, dir, signerFile, change)
		if _, err := LoadOrCreateSigner(dir); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), private) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSignerOthersMayRead(t *testing.T) {
	dir := t.TempDir()
	must[*Signer](t)(LoadOrCreateSigner(dir))
	ok(t, os.Chmod(filepath.Join(dir, signerFile), 0o640))
	if _, err := LoadOrCreateSigner(dir); err == nil || !strings.Contains(err.Error(), "chmod 0600") {
		t.Errorf("error %v", err)
	}
}

func TestTrust(t *testing.T) {
	dir := t.TempDir()
	if own, err := OwnTrust(dir); len(own) != 0 || err != nil {
		t.Errorf("without a key: %v, %v", own, err)
	}
	s := must[*Signer](t)(LoadOrCreateSigner(dir))
	check := func(what string) {
		t.Helper()
		own := must[Trust](t)(OwnTrust(dir))
		if _, err := Decode(must[[]byte](t)(Encode(manifest(id1), s)), own); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("with the key")
	ok(t, os.Remove(filepath.Join(dir, signerFile)))
	check("with its public half")
	ok(t, os.WriteFile(filepath.Join(dir, signerFile), []byte("PRIVATE+KEY+secret\n"), 0o600))
	if _, err := OwnTrust(dir); err == nil || strings.Contains(err.Error(), "PRIVATE") {
		t.Errorf("with a damaged key: %v", err)
	}
	for _, bad := range []string{"", "dbacked", s.Verifier() + "x", "dbacked+00000000+" + s.Verifier()[17:]} {
		if _, err := ParseTrust([]string{s.Verifier(), bad}); err == nil || !strings.Contains(err.Error(), "dbacked check") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestLast(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	read := func() string { t.Helper(); return must[string](t)(ReadLast(dir)) }
	if got := read(); got != "" {
		t.Errorf("at first: %q", got)
	}
	for _, step := range [][2]string{{id1, id1}, {id2, id2}, {id1, id2}, {"20261123T215643Z-000000", id2}, {"20261123T215643Z-000002", "20261123T215643Z-000002"}} {
		ok(t, WriteLast(dir, step[0]))
		if got := read(); got != step[1] {
			t.Errorf("after %s: %s", step[0], got)
		}
	}
	if err := WriteLast(dir, "x"); err == nil {
		t.Error("what is no id was remembered")
	}
	ok(t, os.WriteFile(filepath.Join(dir, lastFile), []byte("garbage"), 0o600))
	if got := read(); got != "" {
		t.Errorf("of garbage: %q", got)
	}
	ok(t, WriteLast(dir, id1))
	if got := read(); got != id1 {
		t.Errorf("after garbage: %q", got)
	}
}

func TestAgentID(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	id := must[string](t)(LoadOrCreateAgentID(dir))
	if again := must[string](t)(LoadOrCreateAgentID(dir)); id == "" || !cmp.Equal(id, again) {
		t.Errorf("%q, then %q", id, again)
	}
	ok(t, os.Truncate(filepath.Join(dir, agentFile), 0))
	if _, err := LoadOrCreateAgentID(dir); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("of an empty file: %v", err)
	}
	ok(t, os.RemoveAll(dir))
	ok(t, os.WriteFile(dir, nil, 0o600))
	if _, err := LoadOrCreateAgentID(dir); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("where the state folder is a file: %v", err)
	}
}

func TestKeepAgentID(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	for _, id := range []string{"former", "another"} { // the first one stays
		if err := KeepAgentID(dir, id); err != nil {
			t.Fatal(err)
		}
		if got, err := LoadOrCreateAgentID(dir); got != "former" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
}
