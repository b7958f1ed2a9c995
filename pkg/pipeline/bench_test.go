package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/compress"
	"github.com/dbacked/dbacked/pkg/locker"
	"github.com/dbacked/dbacked/pkg/storage"
)

const benchSize = 512 << 20

// BenchmarkStreams makes a backup of the same bytes in one stream, and in several
// at once: compressed, sealed, and stored in a folder or nowhere. The dump costs
// nothing here, so it shows what dbacked itself can take from a database.
func BenchmarkStreams(b *testing.B) {
	blocks := map[string][]byte{"typical": rows(8 << 20), "incompressible": noise(8 << 20)} // longer than the encoder's window
	for _, data := range []string{"typical", "incompressible"} {
		for _, where := range []string{"nowhere", "folder"} {
			for _, jobs := range []int{1, 2, 4} {
				b.Run(fmt.Sprintf("%s/%s/streams=%d", data, where, jobs), func(b *testing.B) {
					benchStreams(b, blocks[data], where, jobs)
				})
			}
		}
	}
}

func benchStreams(b *testing.B, block []byte, where string, jobs int) {
	bed := newBed(b)
	if where == "nowhere" {
		bed.store = &nowhere{sizes: map[string]int64{}}
	}
	streams := []Stream{{Kind: catalog.KindSchema, Dump: dumpOf([]byte("CREATE TABLE x ();")).Dump}}
	for range jobs {
		streams = append(streams, Stream{Kind: catalog.KindData, Dump: func(_ context.Context, w io.Writer) error {
			var err error
			for left := benchSize / jobs; left > 0 && err == nil; left -= len(block) {
				_, err = io.CopyBuffer(struct{ io.Writer }{w}, bytes.NewReader(block[:min(left, len(block))]), make([]byte, 64<<10))
			}
			return err
		}})
	}
	b.SetBytes(benchSize)
	var cpu time.Duration
	var peak uint64
	for b.Loop() {
		run := bed.planned(Plan{Streams: streams, Jobs: jobs})
		run.Locker = locker.NewFile(filepath.Join(bed.root, "shop/control/lock"))
		run.Compression = compress.Spec{}
		stop := watchMemory(&peak)
		before := cpuTime(b)
		m, err := run.Run(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		cpu += cpuTime(b) - before
		stop()
		b.StopTimer()
		if err := catalog.Remove(b.Context(), bed.store, "shop", m.ID); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(cpu.Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(peak>>20), "peak-MiB")
}

// rows is text as a table has it, which shrinks to about a third.
func rows(n int) []byte {
	words := strings.Fields("paid open shipped returned Berlin Paris Lyon Madrid standard express gift invoice customer order note")
	random := rand.New(rand.NewPCG(1, 1))
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		word := func() string { return words[random.IntN(len(words))] }
		fmt.Fprintf(&b, "%d\t%d\t%s\t%s\t%d.%02d\t2026-%02d-%02d %02d:%02d:%02d\t%s %s %x\n", i, random.IntN(1e6), word(), word(), random.IntN(900), random.IntN(100),
			1+random.IntN(12), 1+random.IntN(28), random.IntN(24), random.IntN(60), random.IntN(60), word(), word(), random.Uint32())
	}
	return b.Bytes()[:n]
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// watchMemory keeps the most memory that the program has from the system.
func watchMemory(peak *uint64) (stop func()) {
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
		for {
			metrics.Read(s)
			*peak = max(*peak, s[0].Value.Uint64()-s[1].Value.Uint64()-s[2].Value.Uint64())
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	return func() {
		close(done)
		watching.Wait()
	}
}

// nowhere is a store that only remembers what it was given.
type nowhere struct {
	mu    sync.Mutex
	sizes map[string]int64
}

func (n *nowhere) String() string { return "nowhere" }

func (n *nowhere) add(name string, bytes int) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sizes[name] += int64(bytes)
	return n.sizes[name]
}

func (n *nowhere) Create(_ context.Context, name string) (storage.Writer, error) {
	return &nowhereWriter{n, name}, nil
}

func (n *nowhere) Put(_ context.Context, name string, data []byte) error {
	n.add(name, len(data))
	return nil
}

func (n *nowhere) Open(context.Context, string, int64) (io.ReadCloser, error) {
	return nil, storage.ErrNotFound
}

func (n *nowhere) List(context.Context, string) ([]storage.Object, error) { return nil, nil }

func (n *nowhere) Remove(context.Context, string) error { return nil }

type nowhereWriter struct {
	*nowhere
	name string
}

func (w *nowhereWriter) WritePart(_ context.Context, _ int, _ int64, p []byte) error {
	w.add(w.name, len(p))
	return nil
}

func (w *nowhereWriter) Commit(context.Context) (storage.Object, error) {
	return storage.Object{Name: w.name, Size: w.add(w.name, 0)}, nil
}

func (w *nowhereWriter) Abort(context.Context) error { return nil }
