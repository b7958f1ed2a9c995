package files

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/dbtest"
)

// left are the files below a folder.
func left(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func nothing(t *testing.T, dir string) {
	t.Helper()
	if names := left(t, dir); len(names) != 0 {
		t.Errorf("left: %q", names)
	}
}

func TestExpired(t *testing.T) {
	var late atomic.Int64
	b := folderBed(t, t.TempDir(), FolderOptions{Now: func() time.Time { return time.Now().Add(time.Duration(late.Load())) }})
	p := Part{Number: 1, MD5: sum([]byte("x"))}
	u := b.partURL(t, one, "", p)
	down, _ := b.DownloadURL(t.Context(), b.base, one, time.Hour)
	late.Store(int64(time.Hour))
	b.do(t, http.MethodPut, u, strings.NewReader("x"), "Content-MD5", p.MD5).is(t, b, 403)
	b.do(t, http.MethodGet, down, nil).is(t, b, 403)
	late.Store(0)
	b.do(t, http.MethodPut, down, nil).is(t, b, 405)
	for name, altered := range alter(t, down) {
		if a := b.do(t, http.MethodGet, altered, nil); a.status != 403 {
			t.Errorf("%s altered: %d", name, a.status)
		}
	}
	b.do(t, http.MethodGet, b.base+"/files/p/..%2f/1", nil).is(t, b, 404)
	nothing(t, b.dir)
}

func TestHooks(t *testing.T) {
	allowed, stored := errors.New("the lease is another's"), error(nil)
	b := folderBed(t, t.TempDir(), FolderOptions{
		Allowed: func(context.Context, Ref, Part) error { return allowed },
		Stored:  func(_ context.Context, r Ref, p Part) error { return stored },
	})
	p := Part{Number: 1, MD5: sum([]byte("x"))}
	put := func() answer {
		return b.do(t, http.MethodPut, b.partURL(t, one, "", p), strings.NewReader("x"), "Content-MD5", p.MD5)
	}
	a := put()
	a.is(t, b, 409)
	if !bytes.Contains(a.body, []byte(allowed.Error())) {
		t.Errorf("%s", a.body)
	}
	nothing(t, b.dir)
	allowed = &api.Problem{Status: 503, Message: "ask again"}
	put().is(t, b, 503)
	allowed, stored = nil, errors.New("SECRET of the database")
	a = put()
	a.is(t, b, 503)
	if bytes.Contains(a.body, []byte("SECRET")) {
		t.Errorf("%s", a.body)
	}
	stored = nil
	if a := put(); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// zeros is a body that is made while it is sent.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestTooLong(t *testing.T) {
	b := folderBed(t, t.TempDir(), FolderOptions{MaxPart: 1 << 20})
	p := Part{Number: 1, MD5: sum([]byte("x"))}
	u := b.partURL(t, one, "", p)
	b.do(t, http.MethodPut, u, io.LimitReader(zeros{}, 101<<20), "Content-MD5", p.MD5).is(t, b, 413) // chunked
	b.do(t, http.MethodPut, u, bytes.NewReader(make([]byte, 101<<20)), "Content-MD5", p.MD5).is(t, b, 413)
	nothing(t, b.dir)
}

// raw sends the beginning of a PUT by a connection of its own.
func raw(t *testing.T, address, md5 string, length int, body string) net.Conn {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nContent-MD5: %s\r\nContent-Length: %d\r\n\r\n%s", u.RequestURI(), md5, length, body)
	return conn
}

func TestStalled(t *testing.T) {
	b := folderBed(t, t.TempDir(), FolderOptions{StallTimeout: 200 * time.Millisecond})
	p := Part{Number: 1, MD5: sum([]byte("x")), Size: 1000}
	conn := raw(t, b.partURL(t, one, "", p), p.MD5, 1000, "half")
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, " 408 ") {
		t.Errorf("%q, %v", line, err)
	}
	nothing(t, b.dir)
}

// TestMemory puts a part of 256 MiB, and reads it.
func TestMemory(t *testing.T) {
	b := folderBed(t, t.TempDir(), FolderOptions{})
	const size = 256 << 20
	h := md5Of(io.LimitReader(zeros{}, size))
	p := Part{Number: 1, MD5: h, Size: size}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, b.partURL(t, one, "", p), io.LimitReader(zeros{}, size))
	r.ContentLength = size
	r.Header.Set("Content-MD5", h)
	began := time.Now()
	response, err := b.client.Do(r)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	response.Body.Close()
	took := time.Since(began)
	p.ETag = response.Header.Get("ETag")
	b.complete(t, one, "", []Part{p})
	u, _ := b.DownloadURL(t.Context(), b.base, one, time.Hour)
	response, err = b.client.Get(u)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := io.Copy(io.Discard, response.Body)
	response.Body.Close()
	runtime.ReadMemStats(&after)
	allocated := (after.TotalAlloc - before.TotalAlloc) >> 10
	t.Logf("%d MiB up in %v and down: %d KiB allocated, client and server", n>>20, took, allocated)
	if n != size || allocated > 4<<10 {
		t.Errorf("%d bytes, %d KiB", n, allocated)
	}
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	dbtest.Need(t, "mounting a tmpfs", unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"))
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	b := folderBed(t, dir, FolderOptions{})
	data := random(1, 3<<20)
	p := Part{Number: 1, MD5: sum(data), Size: int64(len(data))}
	b.do(t, http.MethodPut, b.partURL(t, one, "", p), bytes.NewReader(data), "Content-MD5", p.MD5).is(t, b, 507)
	if _, err := b.Put(t.Context(), one, data); err == nil {
		t.Error("put on a full disk")
	}
	nothing(t, dir)
	b.put(t, one, "", 1, data[:1<<20]) // there is room again
}

// TestCutDownload goes on after a connection that broke.
func TestCutDownload(t *testing.T) {
	b := folderBed(t, t.TempDir(), FolderOptions{})
	b.least = 1 << 20
	upload, parts, data := b.three(t, one)
	stored := b.complete(t, one, upload, parts)
	u, _ := b.DownloadURL(t.Context(), b.base, one, time.Hour)
	response, err := b.client.Get(u)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 1<<20+12345)
	if _, err := io.ReadFull(response.Body, got); err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	a := b.get(t, one, "Range", fmt.Sprintf("bytes=%d-", len(got)), "If-Range", stored.ETag, "If-Match", stored.ETag)
	if a.status != 206 || !bytes.Equal(append(got, a.body...), data) {
		t.Errorf("%d, %d bytes", a.status, len(a.body))
	}
	second := filepath.Join(b.dir, partPath(one, 2, bare(parts[1].ETag)))
	for _, harm := range []func() error{func() error { return os.Truncate(second, 99) }, func() error { return os.Remove(second) }} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		if a := b.get(t, one); a.status != http.StatusGone {
			t.Errorf("of a file that lost bytes: %d, %d bytes", a.status, len(a.body))
		}
	}
}

const childDir = "FILES_TEST_CHILD_DIR"

// TestChild is the server that TestKilled kills.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return // only works in a process that TestKilled starts
	}
	b := folderBed(t, dir, FolderOptions{})
	fmt.Println(b.base)
	os.Stdin.Read(make([]byte, 1)) // until it is killed
}

func TestKilled(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	stdin, _ := cmd.StdinPipe()
	defer stdin.Close()
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	b := folderBed(t, dir, FolderOptions{})
	b.base = strings.TrimSpace(line)
	data := random(1, 1<<20)
	p := Part{Number: 1, MD5: sum(data), Size: int64(len(data))}
	raw(t, b.partURL(t, one, "", p), p.MD5, len(data), string(data[:len(data)/2]))
	deadline := time.Now().Add(10 * time.Second)
	for written := int64(0); written < int64(len(data)/4); {
		names, _ := filepath.Glob(dir + "/.tmp/*")
		for _, name := range names {
			if info, err := os.Stat(name); err == nil {
				written = info.Size()
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the child writes nothing")
		}
		runtime.Gosched()
	}
	cmd.Process.Kill()
	cmd.Wait()
	names := left(t, dir)
	if len(names) != 1 || !strings.HasPrefix(names[0], ".tmp/") {
		t.Fatalf("left: %q", names)
	}
	if _, err := b.Complete(t.Context(), one, "", []Part{{Number: 1, ETag: hexTag(data)}}); !errors.Is(err, ErrParts) {
		t.Error(err)
	}
	folderBed(t, dir, FolderOptions{}) // it may be of another server that lives
	if len(left(t, dir)) != 1 {
		t.Error("a young file was removed")
	}
	old := time.Now().Add(-25 * time.Hour)
	os.Chtimes(filepath.Join(dir, names[0]), old, old)
	folderBed(t, dir, FolderOptions{})
	nothing(t, dir)
}

func FuzzAddress(f *testing.F) {
	good := address{ref: one, part: 3, expires: 1 << 40, md5: "1B2M2Y8AsgTpgAmY7PhCfg", size: 5}
	f.Add(strings.TrimPrefix(good.url("", secret), ""))
	f.Add("/files/a/b/0?expires=1&signature=00")
	f.Add("/files/../b/01/parts/1?")
	f.Fuzz(func(t *testing.T, text string) {
		path, query, _ := strings.Cut(text, "?")
		a, ok := parsePath(path)
		if !ok {
			return
		}
		if a.path() != path || a.ref.check() != nil || strings.Contains(path, "..") {
			t.Fatalf("%q is taken for %+v", path, a)
		}
		if a.verify(query, secret, time.Unix(0, 0)) == nil {
			if b := a.url("", secret); a != good || len(b) != len(text) {
				t.Fatalf("%q was not signed", text)
			}
		}
	})
}
