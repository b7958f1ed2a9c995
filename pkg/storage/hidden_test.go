package storage_test

import (
	"path"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/storage"
)

func TestHiddenFiles(t *testing.T) {
	for _, name := range []string{"a", "db/1/0000.dbacked", "db/1/a.tmp-b", "db/" + strings.Repeat("x", 200)} {
		file := storage.HiddenName(name)
		if got, ok := storage.HiddenObject(file, name[:1]); !ok || got != name {
			t.Errorf("%s: %q, %v", file, got, ok)
		}
		if path.Dir(file) != path.Dir(name) || len(path.Base(file)) > 255 || storage.CheckName(file) == nil || storage.HiddenName(name) == file {
			t.Errorf("%s for %s", file, name)
		}
		if _, ok := storage.HiddenObject(file, "other"); ok {
			t.Errorf("%s is under a prefix that it does not have", file)
		}
	}
	random := strings.Repeat("A", 26)
	for _, file := range []string{
		"", "db/0000", "db/.hidden", "db/.state.tmp-123", "db/.x.tmp-" + random[1:], "db/.x.tmp-" + random + "A",
		"db/.x.tmp-" + random[1:] + "a", "db/.x.tmp-" + random[1:] + "1", "db/x.tmp-" + random, "db/..tmp-" + random[1:], "db/.tmp-" + random, "db/.tmp/" + random,
	} {
		if name, ok := storage.HiddenObject(file, ""); ok {
			t.Errorf("%s is taken for a hidden file of %q", file, name)
		}
	}
}
