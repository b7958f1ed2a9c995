package files

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAlteredAddress alters each thing that an address says.
func TestAlteredAddress(t *testing.T) {
	b := newFolder(t, FolderOptions{})
	data := []byte("this")
	part := b.address(file, "", 1, data)
	u, err := url.Parse(part)
	b.ok(err)
	alter := func(change func(u *url.URL, q url.Values)) string {
		other := *u
		q := other.Query()
		change(&other, q)
		other.RawQuery = q.Encode()
		return other.String()
	}
	b.put(file, "", 2, data)
	for name, one := range map[string]struct{ method, url string }{
		"another part":    {http.MethodPut, alter(func(u *url.URL, _ url.Values) { u.Path += "0" })},
		"another file":    {http.MethodPut, alter(func(u *url.URL, _ url.Values) { u.Path = strings.Replace(u.Path, "/1/", "/2/", 1) })},
		"another backup":  {http.MethodPut, alter(func(u *url.URL, _ url.Values) { u.Path = strings.Replace(u.Path, "abcdef", "abcdee", 1) })},
		"another project": {http.MethodPut, alter(func(u *url.URL, _ url.Values) { u.Path = strings.Replace(u.Path, "0192", "0193", 1) })},
		"dots":            {http.MethodPut, alter(func(u *url.URL, _ url.Values) { u.Path = "/files/../../etc/1/parts/1" })},
		"later":           {http.MethodPut, alter(func(_ *url.URL, q url.Values) { q.Set("expires", "99999999999") })},
		"larger":          {http.MethodPut, alter(func(_ *url.URL, q url.Values) { q.Set("size", "5") })},
		"another MD5":     {http.MethodPut, alter(func(_ *url.URL, q url.Values) { q.Set("md5", "eA") })},
		"no signature":    {http.MethodPut, alter(func(_ *url.URL, q url.Values) { q.Del("signature") })},
		"half of one":     {http.MethodPut, alter(func(_ *url.URL, q url.Values) { q.Set("signature", q.Get("signature")[:32]) })},
		"another method":  {http.MethodGet, part},
		"to remove it":    {http.MethodDelete, part},
	} {
		if got := b.send(one.method, one.url, bytes.NewReader(data), "Content-MD5", sum(data)); got.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	b.ahead.Store(int64(valid + 2*time.Second))
	if got := b.send(http.MethodPut, part, bytes.NewReader(data), "Content-MD5", sum(data)); got.status != http.StatusForbidden || !strings.Contains(string(got.body), "expired") {
		t.Errorf("expired: %d %s", got.status, got.body)
	}
	if names := files(t, b.dir); len(names) != 2 { // part 2, and its sum
		t.Errorf("there is %q", names)
	}
}

// files are all below a folder.
func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestHooks refuses a part when the service does not want it, and when it cannot
// note it.
func TestHooks(t *testing.T) {
	var allowed, stored error
	var told []Part
	b := newFolder(t, FolderOptions{
		Allowed: func(context.Context, Ref, Part) error { return allowed },
		Stored:  func(_ context.Context, _ Ref, p Part) error { told = append(told, p); return stored },
	})
	data := []byte("this")
	try := func() answer {
		return b.send(http.MethodPut, b.address(file, "", 1, data), bytes.NewReader(data), "Content-MD5", sum(data))
	}
	allowed = errors.New("the backup is over")
	if got := try(); got.status != http.StatusConflict || !strings.Contains(string(got.body), "is over") || len(files(t, b.dir)) > 0 {
		t.Errorf("%d %s", got.status, got.body)
	}
	allowed, stored = nil, errors.New("the database is away")
	if got := try(); got.status != http.StatusConflict {
		t.Errorf("%d %s", got.status, got.body)
	}
	stored = nil
	got := try()
	if want := (Part{Number: 1, MD5: sum(data), ETag: got.header.Get("ETag"), Size: 4}); got.status != http.StatusOK || len(told) != 2 || told[1] != want {
		t.Errorf("%d, told %+v", got.status, told)
	}
	_, err := b.Complete(t.Context(), file, "", told[1:])
	b.ok(err)
	if got := try(); got.status != http.StatusOK || got.header.Get("ETag") != told[1].ETag {
		t.Errorf("the same once more: %d", got.status)
	}
	data = []byte("that")
	if got := try(); got.status != http.StatusConflict {
		t.Errorf("another one into a complete file: %d", got.status)
	}
	b.holds(file, []byte("this"))
}

// TestSlowBody sends half of a part, and no more.
func TestSlowBody(t *testing.T) {
	b := newFolder(t, FolderOptions{Stall: 100 * time.Millisecond})
	data := bytes.Repeat([]byte("x"), 1000)
	r, w := io.Pipe()
	defer w.Close()
	go w.Write(data[:500])
	if got := b.send(http.MethodPut, b.address(file, "", 1, data), r, "Content-MD5", sum(data)); got.status != http.StatusRequestTimeout {
		t.Errorf("%d %s", got.status, got.body)
	}
	if left := files(t, b.dir); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// TestLargePart bounds a part, and the memory that one takes.
func TestLargePart(t *testing.T) {
	b := newFolder(t, FolderOptions{MaxPart: 64 << 20})
	if _, err := b.PartURL(t.Context(), b.base, file, "", Part{Number: 1, MD5: sum(nil), Size: 64<<20 + 1}, valid); !errors.Is(err, ErrParts) {
		t.Errorf("error %v", err)
	}
	url, err := b.PartURL(t.Context(), b.base, file, "", Part{Number: 1, MD5: sum(nil)}, valid) // an old agent says no size
	b.ok(err)
	long := io.MultiReader(io.LimitReader(zeros{}, 100<<20)) // of no known length
	if got := b.send(http.MethodPut, url, long, "Content-MD5", sum(nil)); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", got.status, got.body)
	}
	if left := files(t, b.dir); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	data := bytes.Repeat([]byte("x"), 64<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.put(file, "", 1, data)
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 8 {
		t.Errorf("%d MiB were allocated for a part of 64", took)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestDiskFull stores more than there is room for.
func TestDiskFull(t *testing.T) {
	b := newFolder(t, FolderOptions{})
	if err := unix.Mount("tmpfs", b.dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("this test needs the right to mount: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(b.dir, unix.MNT_DETACH) })
	f, err := OpenFolder(b.dir, secret, FolderOptions{})
	b.ok(err)
	defer f.Close()
	b.Store.(*Folder).root = f.root
	data := bytes.Repeat([]byte("x"), 2<<20)
	r, err := http.NewRequest(http.MethodPut, b.address(file, "", 1, data), bytes.NewReader(data))
	b.ok(err)
	r.Header.Set("Content-MD5", sum(data))
	if got, err := http.DefaultTransport.RoundTrip(r); err == nil { // else it was cut off
		got.Body.Close()
		if got.StatusCode != http.StatusInternalServerError {
			t.Errorf("%d", got.StatusCode)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if left := files(t, b.dir); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// TestSweep removes what killed processes left, once it is old.
func TestSweep(t *testing.T) {
	b := newFolder(t, FolderOptions{})
	b.put(file, "", 1, []byte("x"))
	folder := filepath.Join(b.dir, file.folder())
	for name, age := range map[string]time.Duration{tempPrefix + "OLD": 25 * time.Hour, tempPrefix + "YOUNG": time.Hour} {
		path := filepath.Join(folder, name)
		b.ok(os.WriteFile(path, nil, 0o600))
		at := time.Now().Add(-age)
		b.ok(os.Chtimes(path, at, at))
	}
	f, err := OpenFolder(b.dir, secret, FolderOptions{})
	b.ok(err)
	f.Close()
	if got := files(t, b.dir); !slices.Equal(got, []string{tempPrefix + "YOUNG", "00001", "00001.md5"}) {
		t.Errorf("there is %q", got)
	}
}

// FuzzParse shows that no path leads out of the folder.
func FuzzParse(f *testing.F) {
	for _, path := range []string{"/files/a/b/1/parts/1", "/files/a/b/1", "/files/../b/1", "/files/a/b/-1", "/files/a//1"} {
		f.Add(path, "expires=1&md5=eA&size=1")
	}
	f.Fuzz(func(t *testing.T, path, query string) {
		q, _ := url.ParseQuery(query)
		a, err := parse(http.MethodPut, path, q)
		if err != nil {
			return
		}
		if name := a.ref.part(max(a.part, 1)); !filepath.IsLocal(name) || strings.Count(name, "/") != 3 {
			t.Errorf("%q leads to %q", path, name)
		}
	})
}
