package rclone

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSecrets looks for what is secret in errors and on command lines.
func TestSecrets(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	o := b.options("far:")
	o.Backoff.Tries = 1
	o.Environ = append(o.Environ, "RCLONE_CONFIG_FAR_TYPE=webdav", "RCLONE_CONFIG_FAR_URL=http://me:hunter4@127.0.0.1:1/x?sig=hunter3", "RCLONE_CONFIG_FAR_PASS="+obscured(t, "hunter22"), "RCLONE_VERBOSE=3", "RCLONE_LOW_LEVEL_RETRIES=1")
	s := scripted(t, open(t, o), `echo "$@" >>"${program%/*}/lines"`)
	err := s.Put(t.Context(), "x", []byte("y"))
	if err == nil {
		t.Fatal("it was stored")
	}
	lines, readErr := os.ReadFile(filepath.Join(filepath.Dir(s.program), "lines"))
	if readErr != nil {
		t.Fatal(readErr)
	}
	for _, text := range []string{err.Error(), string(lines)} {
		if strings.Contains(text, "hunter") || strings.Contains(text, obscured(t, "hunter22")[:22]) {
			t.Errorf("a secret is in %q", text)
		}
	}
	got := s.clean("2026/11/26 11:35:00 ERROR : : Put \"https://me:hunter4@h/x?sig=1\": s3cr3t refused\n2026/11/26 11:35:00 ERROR : : Put \"https://me:hunter4@h/x?sig=1\": s3cr3t refused\n")
	if got != `Put "https://…@h/x?…": s3cr3t refused` {
		t.Errorf("cleaned: %q", got)
	}
}

func TestNoSuchRemote(t *testing.T) {
	b := newBed(t)
	s := open(t, b.options("elsewhere:x"))
	if _, err := s.List(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "listremotes") {
		t.Errorf("error %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Open(b.options("store:")); !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "install") {
		t.Errorf("error %v", err)
	}
}

func TestCheckRemote(t *testing.T) {
	for _, text := range []string{"nas:", "nas:x/y z", "my remote-1:/abs/path", "é:x"} {
		if err := CheckRemote(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "nas", ":sftp,host=x:", ":local:/x", "nas,pass=x:y", "-nas:x", " nas:x", "nas :x", "--config=x:y", "nas:a/../b", "nas:./a", "nas:a\nb"} {
		if err := CheckRemote(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// TestOtherOptions sets options of rclone that would make objects disappear, in the
// environment.
func TestOtherOptions(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	o := b.options("store:")
	options := []string{
		"RCLONE_MAX_SIZE=2b", "RCLONE_MIN_AGE=1d", "RCLONE_EXCLUDE=*", "RCLONE_MAX_DEPTH=1", "RCLONE_DIRS_ONLY=true", "RCLONE_COUNT=2",
		"RCLONE_DISCARD=true", "RCLONE_ERROR_ON_NO_TRANSFER=true", "RCLONE_MAX_DELETE=0", "RCLONE_ENCRYPTED=true", "RCLONE_DUMP=headers",
		"RCLONE_DRY_RUN=true", "RCLONE_MAX_TRANSFER=1b",
	}
	o.Environ = append(o.Environ, options...)
	o.Environ = append(o.Environ, "RCLONE_BWLIMIT=100M", "RCLONE_LOCAL_NO_CHECK_UPDATED=true")
	s := open(t, o)
	roundTrip(t, s)
	for _, name := range []string{"RCLONE_BWLIMIT=100M", "RCLONE_LOCAL_NO_CHECK_UPDATED=true"} {
		if !slices.Contains(s.environ, name) {
			t.Errorf("%s is kept from rclone", name)
		}
	}
	lacks, err := s.Lacks(t.Context())
	if err != nil || len(lacks) != 4 || !strings.Contains(lacks[3], "RCLONE_MAX_SIZE, RCLONE_MIN_AGE") {
		t.Errorf("it lacks %q, %v", lacks, err)
	}
}

// TestConfiguration gives rclone configurations that it cannot read: it neither asks
// nor shows what is in them.
func TestConfiguration(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"a password is needed": {"RCLONE_ENCRYPT_V0:\nYWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5eg==\n", "RCLONE_CONFIG_PASS"},
		"not understood":       {"[store]\nhunter22\n", "could not parse line"},
	} {
		b := newBed(t)
		if err := os.WriteFile(b.config, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := open(t, b.options("store:")).List(t.Context(), "")
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
