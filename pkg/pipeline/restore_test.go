package pipeline

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"testing/iotest"

	"github.com/dbacked/dbacked/pkg/encryptor"
)

// untouched is a target that must not be given anything.
func untouched(t *testing.T) func(context.Context, io.Reader) error {
	return func(context.Context, io.Reader) error {
		t.Error("the target was touched")
		return nil
	}
}

// change rewrites a stored file.
func change(t *testing.T, path string, how func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, how(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

var damages = map[string]func([]byte) []byte{
	"cut":         func(p []byte) []byte { return p[:len(p)-1] },
	"cut to half": func(p []byte) []byte { return p[:len(p)/2] },
	"longer":      func(p []byte) []byte { return append(p, 0) },
	"flipped":     func(p []byte) []byte { p[len(p)-100] ^= 1; return p },
	"header":      func(p []byte) []byte { p[20] ^= 1; return p },
	"no header":   func([]byte) []byte { return []byte("something else") },
	"empty":       func([]byte) []byte { return nil },
}

func TestDamageNeverReachesTheTarget(t *testing.T) {
	for name, how := range damages {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			m := b.made(noise(3 << 20))
			change(t, b.path(m), how)
			if err := b.restore(m, untouched(t)).Run(t.Context()); !errors.Is(err, ErrDiffers) {
				t.Errorf("restore says %v", err)
			}
			for _, v := range []*Verify{{Store: b.store}, {Store: b.store, Key: b.key}} {
				checked, err := v.Run(t.Context(), m)
				if err != nil || !errors.Is(checked[0].Err, ErrDiffers) {
					t.Errorf("verify says %v, %v", checked, err)
				}
			}
		})
	}
}

func TestExchangedFilesAreSeen(t *testing.T) {
	b := newBed(t)
	first, second := b.made(noise(1000)), b.made(noise(2000))
	data, err := os.ReadFile(b.path(first))
	if err != nil {
		t.Fatal(err)
	}
	change(t, b.path(second), func([]byte) []byte { return data })
	if err := b.restore(second, untouched(t)).Run(t.Context()); !errors.Is(err, ErrDiffers) {
		t.Errorf("restore says %v", err)
	}
}

func TestVerifyGood(t *testing.T) {
	b := newBed(t)
	m := b.made(noise(3 << 20))
	for _, v := range []*Verify{{Store: b.store}, {Store: b.store, Key: b.key, Progress: new(Progress)}} {
		checked, err := v.Run(t.Context(), m)
		if err != nil || checked[0].Err != nil || checked[0].Opened != (v.Key != nil) {
			t.Errorf("verify says %+v, %v", checked, err)
		}
	}
}

// exchange opens good the first time and bad afterwards, as somebody would who
// can write to the store and knows that restores read twice.
func exchange(good, bad []byte) func(context.Context, int64) (io.ReadCloser, error) {
	opened := 0
	return func(_ context.Context, offset int64) (io.ReadCloser, error) {
		opened++
		data := bad
		if opened == 1 {
			data = good
		}
		return io.NopCloser(bytes.NewReader(data[min(offset, int64(len(data))):])), nil
	}
}

func TestFileExchangedBetweenTheTwoReadings(t *testing.T) {
	b := newBed(t)
	m, other := b.made([]byte("SELECT 'good'")), b.made([]byte("SELECT 'evil'"))
	good, err := os.ReadFile(b.path(m))
	if err != nil {
		t.Fatal(err)
	}
	bad, err := os.ReadFile(b.path(other))
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	r := b.restore(m, into(&got))
	r.File.Open = exchange(good, bad)
	if err := r.Run(t.Context()); !errors.Is(err, encryptor.ErrDamaged) || got.Len() != 0 {
		t.Errorf("%q came out, %v", &got, err)
	}
}

func TestTargetSeesTheErrorNotTheEnd(t *testing.T) {
	b := newBed(t)
	m := b.made(noise(5 << 20))
	whole, err := os.ReadFile(b.path(m))
	if err != nil {
		t.Fatal(err)
	}
	var seen error
	r := b.restore(m, func(_ context.Context, r io.Reader) error {
		_, seen = io.Copy(io.Discard, r)
		return seen
	})
	r.File.Open = exchange(whole, whole[:len(whole)-1])
	if err := r.Run(t.Context()); !errors.Is(err, encryptor.ErrDamaged) || seen == nil {
		t.Errorf("error is %v, and the target saw %v", err, seen)
	}
}

func TestTargetThatStopsEarlyFails(t *testing.T) {
	b := newBed(t)
	m := b.made(noise(5 << 20))
	err := b.restore(m, func(context.Context, io.Reader) error { return nil }).Run(t.Context())
	if err == nil {
		t.Error("a target that read nothing restored it all")
	}
	err = b.restore(m, func(_ context.Context, r io.Reader) error {
		io.CopyN(io.Discard, r, 10)
		return errBroken
	}).Run(t.Context())
	wantStage(t, err, StageRestore, errBroken)
}

func TestManifestThatLiesAboutTheDump(t *testing.T) {
	b := newBed(t)
	m := b.made(noise(1000))
	m.Files[0].PlainBytes++
	if err := b.restore(m, into(new(bytes.Buffer))).Run(t.Context()); !errors.Is(err, ErrDiffers) {
		t.Errorf("restore says %v", err)
	}
	checked, err := (&Verify{Store: b.store, Key: b.key}).Run(t.Context(), m)
	if err != nil || !errors.Is(checked[0].Err, ErrDiffers) {
		t.Errorf("verify says %v, %v", checked, err)
	}
}

// unproved is a restore of a file that no manifest speaks of.
func unproved(b *bed, data []byte, whole bool, target func(context.Context, io.Reader) error) *Restore {
	return &Restore{File: FromFile("standard input", bytes.NewReader(data)), Key: b.key, Whole: whole, Target: target}
}

func TestUnprovedFile(t *testing.T) {
	b := newBed(t)
	m := b.made(noise(3 << 20))
	good, err := os.ReadFile(b.path(m))
	if err != nil {
		t.Fatal(err)
	}
	var back bytes.Buffer
	if err := unproved(b, good, true, into(&back)).Run(t.Context()); err != nil || !bytes.Equal(back.Bytes(), noise(3<<20)) {
		t.Errorf("%d bytes came back, %v", back.Len(), err)
	}
	for name, how := range damages {
		bad := how(bytes.Clone(good))
		if err := unproved(b, bad, true, untouched(t)).Run(t.Context()); err == nil {
			t.Errorf("%s: a target that cannot undo: no error", name)
		}
		if err := unproved(b, bad, false, into(new(bytes.Buffer))).Run(t.Context()); err == nil {
			t.Errorf("%s: a target that can undo: no error", name)
		}
	}
}

func TestOnceAndSpool(t *testing.T) {
	b := newBed(t)
	m := b.made(noise(3 << 20))
	data, err := os.ReadFile(b.path(m))
	if err != nil {
		t.Fatal(err)
	}
	in := bytes.NewReader(data)
	header, _, err := encryptor.ReadHeader(in)
	if err != nil {
		t.Fatal(err)
	}
	var back bytes.Buffer
	r := &Restore{File: Once("standard input", header, in), Key: b.key, Target: into(&back)}
	if err := r.Run(t.Context()); err != nil || back.Len() != 3<<20 {
		t.Errorf("once: %d bytes came back, %v", back.Len(), err)
	}
	if err := r.Run(t.Context()); !errors.Is(err, errOnce) {
		t.Errorf("twice: %v", err)
	}

	dir := t.TempDir()
	spooled, closeSpool, err := Spool(t.Context(), "standard input", dir, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer closeSpool()
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("the spool has a name: %v, %v", names, err)
	}
	back.Reset()
	r = &Restore{File: spooled, Key: b.key, Whole: true, Target: into(&back)}
	if err := r.Run(t.Context()); err != nil || back.Len() != 3<<20 {
		t.Errorf("spooled: %d bytes came back, %v", back.Len(), err)
	}
	if _, _, err := Spool(t.Context(), "standard input", dir, iotest.ErrReader(errBroken)); !errors.Is(err, errBroken) {
		t.Errorf("a broken input: %v", err)
	}
}

func TestMissingFileIsNamed(t *testing.T) {
	b := newBed(t)
	m := b.made(noise(10))
	if err := os.Remove(b.path(m)); err != nil {
		t.Fatal(err)
	}
	checked, err := (&Verify{Store: b.store}).Run(t.Context(), m)
	if err != nil || checked[0].Err == nil {
		t.Errorf("verify says %v, %v", checked, err)
	}
	if err := b.restore(m, untouched(t)).Run(t.Context()); err == nil {
		t.Error("restore says nothing")
	}
}

func TestCancelledRestore(t *testing.T) {
	b := newBed(t)
	m := b.made(noise(9 << 20))
	ctx, cancel := context.WithCancel(t.Context())
	err := b.restore(m, func(ctx context.Context, r io.Reader) error {
		io.CopyN(io.Discard, r, 1<<20)
		cancel()
		_, err := io.Copy(io.Discard, r)
		return err
	}).Run(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if _, err := (&Verify{Store: b.store}).Run(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("verify: %v", err)
	}
}
