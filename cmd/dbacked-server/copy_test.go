package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRestoredCopy copies a service as its documentation says, while an agent uploads
// and between the two steps, and serves the copy from another folder.
func TestRestoredCopy(t *testing.T) {
	t.Parallel()
	data, copied := filepath.Join(t.TempDir(), "data"), t.TempDir()
	shop := create(t, data, "shop")
	late := create(t, data, "late")
	var restore struct{ APIKey string }
	must(t, json.Unmarshal(ok(t, "key", "create", "shop", "--kind", "restore", "--json", "--data", data), &restore))
	url, _, _ := serve(t, data)
	content := make([]byte, 6<<20)
	_, _ = rand.Read(content)
	path := upload(t, url, shop, content)

	must(t, os.WriteFile(filepath.Join(copied, databaseName), ok(t, "copy", "--data", data), 0o600))
	upload(t, url, late, content) // its files are in the copy, and the database knows nothing of them
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", filepath.Join(data, "files"), copied).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	if left, err := filepath.Glob(filepath.Join(data, ".copy-*")); err != nil || len(left) > 0 {
		t.Errorf("copy left %q: %v", left, err)
	}

	url, _, _ = serve(t, copied)
	if got := download(t, url, restore.APIKey, path); !bytes.Equal(got, content) {
		t.Errorf("the copy gives %d bytes that are not the %d that were stored", len(got), len(content))
	}
	upload(t, url, late, content) // what is superfluous is in nobody's way
}

// TestCopySaysWhatItCannot wants reasons, and nothing written.
func TestCopySaysWhatItCannot(t *testing.T) {
	t.Parallel()
	cmd := program(t, "copy", "--data", "/nonexistent/folder")
	if out, err := cmd.Output(); err == nil || len(out) > 0 {
		t.Errorf("a folder that does not exist: %v, %d bytes", err, len(out))
	}
	var out, stderr strings.Builder
	k := copyCommand{dataFlags{Data: t.TempDir(), Database: "postgres://nobody@127.0.0.1:1/none"}}
	if err := k.Run(t.Context(), &app{out: &out, err: &stderr}); err == nil || !strings.Contains(err.Error(), "pg_dump") || out.Len() > 0 {
		t.Errorf("PostgreSQL: %v, %d bytes", err, out.Len())
	}
}
