package rclone

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/storagetest"
)

// serve runs "rclone serve KIND" over the bed's folder, and returns its port.
func (b *bed) serve(t *testing.T, kind string, args ...string) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.Command("rclone", append([]string{"serve", kind, "--addr", address, "--config", b.config, "--vfs-cache-mode=off"}, append(args, b.dir)...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for deadline := time.Now().Add(time.Minute); ; {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			_, port, _ = net.SplitHostPort(address)
			return port
		}
		if time.Now().After(deadline) {
			t.Fatalf("rclone serve %s: %v: %s", kind, err, said.String())
		}
		<-time.After(20 * time.Millisecond)
	}
}

// obscured is a password as rclone's configuration holds it.
func obscured(t *testing.T, password string) string {
	t.Helper()
	hidden, err := exec.Command("rclone", "obscure", password).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(hidden))
}

// webdav is a remote that takes no stream and keeps no checksum.
func (b *bed) webdav(t *testing.T) Options {
	t.Helper()
	port := b.serve(t, "webdav", "--user", "somebody", "--pass", "hunter22")
	b.remote(t, "dav", "type = webdav", "url = http://127.0.0.1:"+port, "vendor = other", "user = somebody", "pass = "+obscured(t, "hunter22"))
	return b.options("dav:")
}

// TestStoreWithoutStreams is the suite on a remote that needs to know a file's
// length beforehand.
func TestStoreWithoutStreams(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storage.Store {
		b := newBed(t)
		s := open(t, b.webdav(t))
		if limits := s.Limits(); limits.MaxParts != 1 {
			t.Fatalf("its limits are %+v", limits)
		}
		return filled{scripted(t, s, breakable), b}
	}, storagetest.PartsInAnyOrder, storagetest.SeveralParts)
}

// TestRemotes stores an object of several parts in remotes of other kinds, and
// says what they lack.
func TestRemotes(t *testing.T) {
	t.Parallel()
	for kind, test := range map[string]struct {
		remote func(t *testing.T, b *bed) Options
		lacks  []string
	}{
		"sftp": {func(t *testing.T, b *bed) Options {
			port := b.serve(t, "sftp", "--user", "somebody", "--pass", "hunter22")
			b.remote(t, "far", "type = sftp", "host = 127.0.0.1", "port = "+port, "user = somebody", "pass = "+obscured(t, "hunter22"), "md5sum_command = md5sum", "sha1sum_command = sha1sum", "shell_type = unix")
			return b.options("far:/sub folder")
		}, nil},
		"crypt": {func(t *testing.T, b *bed) Options {
			b.remote(t, "far", "type = crypt", "remote = "+b.dir, "password = "+obscured(t, "a password"))
			return b.options("far:x")
		}, []string{"no checksum"}},
		"webdav": {func(t *testing.T, b *bed) Options { return b.webdav(t) }, []string{"no stream", "no checksum"}},
	} {
		t.Run(kind, func(t *testing.T) {
			b := newBed(t)
			s := open(t, test.remote(t, b))
			lacks, err := s.Lacks(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(lacks) != 3+len(test.lacks) {
				t.Errorf("it lacks %q", lacks)
			}
			for i, want := range test.lacks {
				if !strings.Contains(lacks[3+i], want) {
					t.Errorf("it lacks %q instead of %q", lacks[3+i], want)
				}
			}
			roundTrip(t, s)
		})
	}
}

func roundTrip(t *testing.T, s *Store) {
	t.Helper()
	var sent []byte
	w, err := s.Create(t.Context(), "db/1/0000.dbacked")
	if err != nil {
		t.Fatal(err)
	}
	for number := 1; number <= min(3, s.Limits().MaxParts); number++ {
		part := bytes.Repeat([]byte{byte(number)}, 1<<20+number)
		if err := w.WritePart(t.Context(), number, int64(len(sent)), part); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, part...)
	}
	o, err := w.Commit(t.Context())
	if err != nil || o.Size != int64(len(sent)) || time.Since(o.Modified).Abs() > time.Hour {
		t.Fatalf("%+v, %v", o, err)
	}
	if err := s.Put(t.Context(), "db/1/0000.dbacked", []byte("another")); !errors.Is(err, storage.ErrExists) {
		t.Errorf("written over: %v", err)
	}
	for _, offset := range []int64{0, 1<<20 + 7} {
		r, err := s.Open(t.Context(), "db/1/0000.dbacked", offset)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, sent[min(offset, int64(len(sent))):]) {
			t.Errorf("from %d: %d bytes, %v", offset, len(got), err)
		}
		r.Close()
	}
	objects, err := s.List(t.Context(), "db/")
	if err != nil || len(objects) != 1 {
		t.Errorf("it lists %v, %v", objects, err)
	}
	if err := s.Remove(t.Context(), "db/1/0000.dbacked"); err != nil {
		t.Error(err)
	}
	if _, err := s.RemoveAbandoned(t.Context(), "db/", 0); err != nil {
		t.Error(err)
	}
	if _, err := s.Open(t.Context(), "db/1/0000.dbacked", 0); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("removed: %v", err)
	}
}
