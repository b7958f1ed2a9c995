package files

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

var file = Ref{Project: "0192-a", Backup: "20261126T120000Z-abcdef", Number: 1}

// TestUpload uploads parts out of order and again, completes them twice, and reads
// them in ranges.
func TestUpload(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		upload, data := b.begin(file), pieces()
		parts := make([]Part, 3)
		for _, i := range []int{2, 0, 1, 0} {
			parts[i] = b.put(file, upload, i+1, data[i])
		}
		whole := bytes.Join(data, nil)
		first, err := b.Complete(t.Context(), file, upload, parts)
		b.ok(err)
		again, err := b.Complete(t.Context(), file, upload, parts)
		b.ok(err)
		if first != again || first.Size != int64(len(whole)) || !strings.HasSuffix(first.ETag, `-3"`) {
			t.Errorf("%+v, then %+v", first, again)
		}
		b.holds(file, whole)
		url, err := b.DownloadURL(t.Context(), b.base, file, valid)
		b.ok(err)
		middle := b.send(http.MethodGet, url, nil, "Range", fmt.Sprintf("bytes=%d-%d", 5<<20-3, 5<<20+2), "If-Match", first.ETag)
		if middle.status != http.StatusPartialContent || string(middle.body) != "babcdc" {
			t.Errorf("%d: %q", middle.status, middle.body)
		}
		if got := b.send(http.MethodGet, url, nil, "Range", "bytes=5-", "If-Match", `"another"`); got.status != http.StatusPreconditionFailed {
			t.Errorf("another state: %d", got.status)
		}
		b.ok(b.Remove(t.Context(), file, upload))
		b.ok(b.Remove(t.Context(), file, upload))
		if got := b.send(http.MethodGet, url, nil); got.status != http.StatusNotFound {
			t.Errorf("removed: %d", got.status)
		}
	})
}

// TestWrongParts completes what is not there.
func TestWrongParts(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		upload, data := b.begin(file), pieces()
		parts := []Part{b.put(file, upload, 1, data[0]), b.put(file, upload, 2, data[1]), b.put(file, upload, 3, data[2])}
		for name, wrong := range map[string]func(p []Part) []Part{
			"none":         func([]Part) []Part { return nil },
			"one too many": func(p []Part) []Part { return append(p, Part{Number: 4, ETag: p[0].ETag}) },
			"exchanged":    func(p []Part) []Part { p[0].ETag, p[1].ETag = p[1].ETag, p[0].ETag; return p },
			"out of order": func(p []Part) []Part { return []Part{p[1], p[0], p[2]} },
			"a hole":       func(p []Part) []Part { return []Part{p[0], p[2]} },
			"no ETag":      func(p []Part) []Part { p[2].ETag = ""; return p },
			"another ETag": func(p []Part) []Part { p[2].ETag = `"00000000000000000000000000000000"`; return p },
		} {
			if _, err := b.Complete(t.Context(), file, upload, wrong(slices.Clone(parts))); !errors.Is(err, ErrParts) {
				t.Errorf("%s: %v", name, err)
			}
		}
		url, err := b.DownloadURL(t.Context(), b.base, file, valid)
		b.ok(err)
		if got := b.send(http.MethodGet, url, nil); got.status != http.StatusNotFound {
			t.Errorf("it can be read before it is complete: %d", got.status)
		}
		stored, err := b.Complete(t.Context(), file, upload, parts)
		b.ok(err)
		if _, err := b.Complete(t.Context(), file, upload, parts[:2]); !errors.Is(err, ErrConflict) && !errors.Is(err, ErrParts) {
			t.Errorf("other parts afterwards: %v", err)
		}
		if again, err := b.Complete(t.Context(), file, upload, parts); err != nil || again != stored {
			t.Errorf("%+v, %v", again, err)
		}
		b.holds(file, bytes.Join(data, nil))
	})
}

// TestRacingCompletes completes one file eight times at once.
func TestRacingCompletes(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		upload := b.begin(file)
		parts := []Part{b.put(file, upload, 1, []byte("small"))}
		var all sync.WaitGroup
		stored := make([]Stored, 8)
		for i := range stored {
			all.Go(func() {
				var err error
				if stored[i], err = b.Complete(t.Context(), file, upload, parts); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, s := range stored {
			if s.ETag != stored[0].ETag || s.Size != 5 {
				t.Errorf("%+v", stored)
			}
		}
		b.holds(file, []byte("small"))
	})
}

func TestPut(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		stored, err := b.Put(t.Context(), file, []byte("a manifest"))
		b.ok(err)
		again, err := b.Put(t.Context(), file, []byte("a manifest"))
		b.ok(err)
		if stored != again || stored.Size != 10 {
			t.Errorf("%+v, then %+v", stored, again)
		}
		if _, err := b.Put(t.Context(), file, []byte("another")); !errors.Is(err, ErrConflict) {
			t.Errorf("written over: %v", err)
		}
		b.holds(file, []byte("a manifest"))
	})
}

// TestNoPaths refuses names that could lead elsewhere.
func TestNoPaths(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		for _, r := range []Ref{{}, {"..", "b", 1}, {"a", "../b", 1}, {"a", "b", 0}, {"a/b", "c", 1}, {"a", "", 1}, {".a", "b", 1}, {"a", "b\x00", 1}, {"a", strings.Repeat("b", 101), 1}} {
			_, begin := b.Begin(t.Context(), r)
			_, part := b.PartURL(t.Context(), b.base, r, "u", Part{Number: 1, MD5: sum(nil)}, valid)
			_, complete := b.Complete(t.Context(), r, "u", []Part{{Number: 1, ETag: `"00000000000000000000000000000000"`}})
			_, put := b.Put(t.Context(), r, nil)
			_, down := b.DownloadURL(t.Context(), b.base, r, valid)
			for _, err := range []error{begin, part, complete, put, down, b.Remove(t.Context(), r, "u")} {
				if !errors.Is(err, ErrNotFound) {
					t.Errorf("%+v: %v", r, err)
				}
			}
		}
	})
}

// TestBoundToMD5 sends something else to the address of a part.
func TestBoundToMD5(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		upload := b.begin(file)
		url := b.address(file, upload, 1, []byte("this"))
		for name, sent := range map[string]struct{ body, md5 string }{
			"another body":     {"that", sum([]byte("this"))},
			"another MD5":      {"that", sum([]byte("that"))},
			"none":             {"this", ""},
			"a shorter body":   {"thi", sum([]byte("this"))},
			"a longer body":    {"thisx", sum([]byte("this"))},
			"an MD5 of no use": {"this", "x"},
		} {
			headers := []string{"Content-MD5", sent.md5}
			if sent.md5 == "" {
				headers = nil
			}
			if got := b.send(http.MethodPut, url, strings.NewReader(sent.body), headers...); got.status < 400 || got.status >= 500 {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
		}
		if _, err := b.Complete(t.Context(), file, upload, []Part{{Number: 1, ETag: etagOf(md5Must(t, sum([]byte("this"))))}}); !errors.Is(err, ErrParts) {
			t.Errorf("something was stored: %v", err)
		}
	})
}

func md5Must(t *testing.T, text string) []byte {
	t.Helper()
	sum, err := md5Of(text)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}
