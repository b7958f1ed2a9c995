package storage_test

import (
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/storage"
)

func TestNamesThatAreTaken(t *testing.T) {
	for _, name := range []string{
		"a", "mydb/20261122T215643Z-7f3c2a/0000.dbacked", `we ird"s $HOME 'x'`, "emoji 🐘/é",
		"a..b", "-rf", strings.Repeat("x", 200), "a/b.c",
	} {
		if err := storage.CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	for _, name := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".hidden", "a/.state/key",
		"a\x00b", "a\nb", "a\\b", "a\xffb", "a\x7f", strings.Repeat("x", 201), strings.Repeat("abc/", 256) + "x",
	} {
		if err := storage.CheckName(name); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}

// FuzzCheckName shows that no name that is taken can leave the folder it is
// joined to.
func FuzzCheckName(f *testing.F) {
	for _, name := range []string{"a/b", "../a", "a//b", ".x", "a/..", "é/🐘"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if storage.CheckName(name) != nil {
			return
		}
		if strings.Contains("/"+name+"/", "/../") || strings.HasPrefix(name, "/") || strings.Contains(name, "\x00") {
			t.Errorf("%q was taken", name)
		}
	})
}
