package catalog

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// split is a good manifest of a dump in several streams, one of them a chain.
func split() *Manifest {
	m := manifest(id1)
	m.Version, m.Files = LayoutSplit, nil
	for i, kind := range []string{KindGlobals, KindSchema, KindData, KindData, KindData, KindContents} {
		f := File{Name: fmt.Sprintf("%04d.dbacked", i), Kind: kind, Order: i, Format: "1.0.0", StoredBytes: 5, PlainBytes: 10, SHA256: sum}
		if i == 4 {
			f.Continues, f.PlainBytes = true, 0
		}
		m.Files = append(m.Files, f)
	}
	// The streams were written at once: names are in the order in which the files
	// were begun, and the manifest's order is another.
	m.Files[4].Name, m.Files[5].Name = m.Files[5].Name, m.Files[4].Name
	return m
}

func TestSplitRoundTrip(t *testing.T) {
	s, trust := signer(t)
	want := split()
	got, err := Decode(must[[]byte](t)(Encode(want, s)), trust)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(want.Files[3:5], got.Chain(got.Files[3])); diff != "" {
		t.Errorf("the chain (-want +got):\n%s", diff)
	}
}

// lacking removes the files of a kind.
func lacking(kind string) func(*Manifest) {
	return func(m *Manifest) {
		m.Files = slices.DeleteFunc(m.Files, func(f File) bool { return f.Kind == kind })
		reorder(m)
	}
}

func reorder(m *Manifest) {
	for i := range m.Files {
		m.Files[i].Order = i
	}
}

// add appends a file of a kind.
func add(kind string) func(*Manifest) {
	return func(m *Manifest) {
		m.Files = append(m.Files, File{Name: "0100.dbacked", Kind: kind, Order: len(m.Files), Format: "1.0.0", StoredBytes: 5, PlainBytes: 9, SHA256: sum})
	}
}

func TestSplitValidation(t *testing.T) {
	s, _ := signer(t)
	for name, change := range map[string]func(*Manifest){
		"of the first layout":    func(m *Manifest) { m.Version = LayoutFiles },
		"of the second layout":   func(m *Manifest) { m.Version = LayoutChains },
		"of a later layout":      func(m *Manifest) { m.Version = LayoutSplit + 1 },
		"no schema":              lacking(KindSchema),
		"no data":                lacking(KindData),
		"two schemas":            add(KindSchema),
		"two contents":           add(KindContents),
		"two globals":            add(KindGlobals),
		"a dump too":             add(KindDump),
		"a dump instead":         func(m *Manifest) { lacking(KindData)(m); add(KindDump)(m) },
		"an unknown kind":        add("index"),
		"an empty schema":        func(m *Manifest) { m.Files[1].PlainBytes = 0 },
		"empty data":             func(m *Manifest) { m.Files[2].PlainBytes = 0 },
		"empty contents":         func(m *Manifest) { m.Files[5].PlainBytes = 0 },
		"legacy":                 func(m *Manifest) { m.Files[2].Format = "0.5.0" },
		"a chain that is broken": func(m *Manifest) { m.Files[4], m.Files[5] = m.Files[5], m.Files[4]; reorder(m) },
		"a chain of two kinds":   func(m *Manifest) { m.Files[2].Continues, m.Files[2].PlainBytes = true, 0 },
	} {
		m := split()
		change(m)
		if _, err := Encode(m, s); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for name, change := range map[string]func(*Manifest){
		"no globals":        lacking(KindGlobals),
		"no contents":       lacking(KindContents),
		"more data":         add(KindData),
		"a chain of schema": func(m *Manifest) { m.Files[2].Kind, m.Files[2].Continues, m.Files[2].PlainBytes = KindSchema, true, 0 },
	} {
		m := split()
		change(m)
		if _, err := Encode(m, s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLayout shows that each manifest has the first layout that can tell it.
func TestLayout(t *testing.T) {
	for want, m := range map[int]*Manifest{LayoutFiles: manifest(id1), LayoutChains: chained(), LayoutSplit: split()} {
		if got := m.Layout(); got != want {
			t.Errorf("layout %d instead of %d", got, want)
		}
	}
}

// TestSplitManifestStays reads a manifest as it was first written.
func TestSplitManifestStays(t *testing.T) {
	s, trust := fixedSigner(t)
	written := must[[]byte](t)(os.ReadFile("testdata/manifest-v3"))
	m, err := Decode(written, trust)
	if diff := cmp.Diff(split(), m); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(string(written), string(must[[]byte](t)(Encode(m, s)))); diff != "" {
		t.Errorf("(-old +new):\n%s", diff)
	}
}
