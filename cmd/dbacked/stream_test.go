package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/pipeline"
)

const (
	// streamMiB is how long the stream is, unless DBACKED_TEST_STREAM_MIB says
	// another number, as make storm does.
	streamMiB = 250
	// streamParts is how many parts of a file the service takes.
	streamParts = 20
	// partLatency is how long each part is on its way, so that all that may be in
	// flight are.
	partLatency = 150 * time.Millisecond
	// streamParallel is how many parts are in flight, and partsMeet how long the
	// first ones wait for each other at the most.
	streamParallel = 4
	partsMeet      = time.Minute
	// streamPeak is the most memory, in bytes, of which either process may have
	// had pages.
	streamPeak = 160 << 20
)

// randomStream is what the stream holds: nothing that could be compressed.
func randomStream(mib int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{4}), mib<<20)
}

// backupOfAStream is a program: dbacked backup, wired as that is, of a stream in
// the place of a database. It prints the manifest's id.
func backupOfAStream() int {
	err := func() error {
		mib, err := strconv.ParseInt(os.Getenv("TEST_STREAM_MIB"), 10, 64)
		if err != nil {
			return err
		}
		a := &app{screen: newScreen(os.Stdin, os.Stdout, os.Stderr), environ: os.Environ()}
		c, err := a.load("shop", config.Flags{}, config.NeedDatabase|config.NeedPublicKey|config.NeedStorage)
		if err != nil {
			return err
		}
		run, closeStore, err := a.newBackup(c, zap.NewNop())
		if err != nil {
			return err
		}
		defer closeStore()
		run.Describe = func(_ context.Context, m *catalog.Manifest) error {
			m.Engine, m.ServerVersion, m.ToolVersion, m.Database = "postgresql", "15", "15", "stream"
			return nil
		}
		run.Plan = nil // there is no server to ask for sizes
		run.Streams = []pipeline.Stream{{Kind: catalog.KindDump, Dump: func(_ context.Context, w io.Writer) error {
			_, err := io.Copy(w, randomStream(mib))
			return err
		}}}
		m, err := run.Run(context.Background())
		if err == nil {
			fmt.Println(m.ID)
		}
		return err
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailure
	}
	return exitOK
}

// TestLongStream backs up a stream that is much longer than one file can be on
// its service, and gets it back equal, in little memory.
func TestLongStream(t *testing.T) {
	mib, measured := int64(streamMiB), false
	if text := os.Getenv("DBACKED_TEST_STREAM_MIB"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatalf("DBACKED_TEST_STREAM_MIB: %v", err)
		}
		mib, measured = n, true
	} else {
		t.Parallel()
	}
	s := dbtest.S3(t)
	s.Bucket(t, "backups", false)
	endpoint, most := fewParts(t, s)
	b := newBed(t, postgres)
	b.limit = 10 * time.Minute
	b.bucket(s, endpoint)
	b.configure("DBACKED_S3_MAX_PARTS", fmt.Sprint(streamParts))
	if !measured {
		b.configure("DBACKED_UPLOAD_MEMORY", "30MiB") // parts of 5 MiB: files of 100
	}

	began := time.Now()
	writer := b.with("TEST_STREAM_MIB", fmt.Sprint(mib))
	writer.program = "dbacked-stream"
	r := writer.start(nil)
	written := peak(t, r)
	id := strings.TrimSpace(r.wait().ok().out)
	took := time.Since(began)

	began = time.Now()
	got := &sink{sum: sha256.New()}
	r = b.prepare("restore", "shop", id, "-y", "--raw-output")
	r.cmd.Stdout, r.cmd.Stderr = got, &r.err
	r.launch()
	read := peak(t, r)
	r.wait().ok()

	want := sha256.New()
	if _, err := io.Copy(want, randomStream(mib)); err != nil {
		t.Fatal(err)
	}
	if got.size != mib<<20 || !bytes.Equal(got.sum.Sum(nil), want.Sum(nil)) {
		t.Errorf("%d bytes came back, with the hash %s instead of %s", got.size, hex.EncodeToString(got.sum.Sum(nil)), hex.EncodeToString(want.Sum(nil)))
	}
	keys, uploads := keysIn(t, s)
	if least := int(mib<<20/(streamParts*11<<20)) + 1; len(keys) < least || uploads > 0 {
		t.Errorf("there are %d files and %d uploads: %q", len(keys), uploads, keys)
	}
	t.Logf("%d MiB in %d files of %d parts, %d parts in flight: written in %s with %d MiB at most, read in %s with %d MiB at most",
		mib, len(keys)-1, streamParts, most(), took.Round(time.Second), written()>>20, time.Since(began).Round(time.Second), read()>>20)
	if most() != streamParallel {
		t.Errorf("%d parts were in flight", most())
	}
	if measured && max(written(), read()) >= streamPeak { // with the race detector it is more
		t.Errorf("more memory than %d MiB", streamPeak>>20)
	}
}

// sink keeps nothing of what comes but its hash.
type sink struct {
	sum  hash.Hash
	size int64
}

func (s *sink) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	return s.sum.Write(p)
}

// fewParts is the service as one that takes few parts of a file, and how many
// parts were on their way to it at once.
func fewParts(t *testing.T, s *dbtest.S3Server) (endpoint string, most func() int64) {
	t.Helper()
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	t.Cleanup(transport.CloseIdleConnections)
	forward := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
	}}
	var now, highest atomic.Int64
	all := make(chan struct{}) // closed once as many parts are in flight as there can be
	var once sync.Once
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if number := r.URL.Query().Get("partNumber"); number != "" {
			if n, err := strconv.Atoi(number); err != nil || n > streamParts {
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, "<Error><Code>InvalidArgument</Code><Message>Part number must be at most 20</Message></Error>")
				return
			}
			n := now.Add(1)
			defer now.Add(-1)
			for h := highest.Load(); n > h && !highest.CompareAndSwap(h, n); h = highest.Load() {
			}
			if n == streamParallel {
				once.Do(func() { close(all) })
			}
			select { // the first ones wait for each other, however slow the machine is
			case <-all:
				<-time.After(partLatency)
			case <-time.After(partsMeet):
				once.Do(func() { close(all) })
			}
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL, highest.Load
}

// peak watches the most memory of which a process had pages, until it ends. What
// the kernel says at a process's end would count this one's, before the exec.
func peak(t *testing.T, r *running) (bytes func() int64) {
	t.Helper()
	path := filepath.Join("/proc", fmt.Sprint(r.cmd.Process.Pid), "status")
	highest := make(chan int64, 1)
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		var most int64
		for {
			select {
			case <-r.ended:
				highest <- most
				return
			case <-tick.C:
			}
			text, _ := os.ReadFile(path)
			_, rest, _ := strings.Cut(string(text), "VmHWM:")
			var kib int64
			if n, _ := fmt.Sscan(rest, &kib); n == 1 {
				most = max(most, kib<<10)
			}
		}
	}()
	return func() int64 {
		n := <-highest
		highest <- n
		return n
	}
}
