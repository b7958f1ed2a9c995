// Package compress makes a dump smaller on its way to the encryptor, and tells
// by the first bytes how a stored dump was compressed.
//
// Everything is part of the stream: memory is bounded, whatever a dump's size,
// and nothing is kept on a disk.
package compress

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The algorithms.
const (
	Zstd = "zstd"
	Gzip = "gzip"
	None = "none"
)

// Levels of zstd, as its own program counts them.
const (
	minLevel = 1 // the fastest, and the default
	maxLevel = 19
)

// Spec says how to compress. Its zero value is zstd at its fastest.
type Spec struct {
	Algorithm string // Zstd, Gzip or None
	Level     int    // of zstd, 1 to 19; 0 is 1

	// Alone says that no other stream is compressed at the same time: zstd then
	// takes two cores for this one, and a sixth more work.
	Alone bool
}

// ParseSpec reads "zstd", "zstd:1" to "zstd:19", "gzip" or "none".
func ParseSpec(text string) (Spec, error) {
	algorithm, level, leveled := strings.Cut(text, ":")
	switch {
	case algorithm == Zstd && !leveled:
		return Spec{Algorithm: Zstd, Level: minLevel}, nil
	case algorithm == Zstd:
		n, err := strconv.Atoi(level)
		if err != nil || n < minLevel || n > maxLevel {
			return Spec{}, fmt.Errorf("%q is no level of zstd: give zstd:%d to zstd:%d", level, minLevel, maxLevel)
		}
		return Spec{Algorithm: Zstd, Level: n}, nil
	case (algorithm == Gzip || algorithm == None) && !leveled:
		return Spec{Algorithm: algorithm}, nil
	}
	return Spec{}, fmt.Errorf("%q is no way to compress: give zstd, zstd:%d to zstd:%d, gzip or none", text, minLevel, maxLevel)
}

// String is what ParseSpec reads.
func (s Spec) String() string {
	if s.Algorithm == Zstd || s.Algorithm == "" {
		return fmt.Sprintf("%s:%d", Zstd, max(s.Level, minLevel))
	}
	return s.Algorithm
}

const (
	// encoderWindow keeps the encoder's heap at 3 MiB at the fastest level, 4 to
	// 7 MiB up to zstd:9, and 37 MiB from zstd:10 on. Dumps repeat themselves
	// within a few rows: more hardly makes them smaller.
	encoderWindow = 1 << 20

	// encoderWorkers, for a stream that is alone, lets a block be searched for matches while the one before
	// is coded and written: on two cores a third faster than without, for 10 to
	// 20 percent more work and 0.5 MiB. (Parallel jobs, WithConcurrentBlocks, are
	// quicker alone, but take 30 MiB and the cores that the dump runs on.)
	encoderWorkers = 2

	// encoderLowMemory would save 1.2 MiB at any level and costs a fifth of the
	// speed, as the window is then moved about.
	encoderLowMemory = false
)

// Writer compresses what is written to it. Exactly one of Close and Abort must
// end it.
type Writer struct {
	w     io.Writer
	close func() error
}

// NewWriter returns a Writer to w. The caller closes w.
func NewWriter(w io.Writer, s Spec) (*Writer, error) {
	switch s.Algorithm {
	case None:
		return &Writer{w: w, close: func() error { return nil }}, nil
	case Gzip:
		z := gzip.NewWriter(w)
		return &Writer{w: z, close: z.Close}, nil
	case Zstd, "":
		z, err := zstd.NewWriter(w,
			zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(max(s.Level, minLevel))),
			zstd.WithWindowSize(encoderWindow),
			zstd.WithEncoderConcurrency(s.workers()),
			zstd.WithLowerEncoderMem(encoderLowMemory),
			zstd.WithZeroFrames(true)) // an empty dump is still a frame
		if err != nil {
			return nil, fmt.Errorf("compressing: %w", err)
		}
		return &Writer{w: z, close: z.Close}, nil
	}
	return nil, fmt.Errorf("compressing: unknown algorithm %q", s.Algorithm)
}

func (s Spec) workers() int {
	if s.Alone {
		return encoderWorkers
	}
	return 1
}

func (w *Writer) Write(p []byte) (int, error) { return w.w.Write(p) }

// ReadFrom compresses all of r.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) {
	if from, ok := w.w.(io.ReaderFrom); ok {
		return from.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{w.w}, r)
}

// Close writes what is still held back and the end of the stream.
func (w *Writer) Close() error { return w.close() }

// Abort frees what the Writer holds, after an error. What was written is no
// whole stream then.
func (w *Writer) Abort() {
	if z, ok := w.w.(*zstd.Encoder); ok {
		z.Reset(io.Discard) // closing alone would end the frame
		_ = z.Close()       // ends the encoder's goroutines
	}
}
