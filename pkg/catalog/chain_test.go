package catalog

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
)

// chained is a good manifest whose dump is in three files.
func chained() *Manifest {
	m := manifest(id1)
	m.Version = LayoutChains
	for i := 2; i < 4; i++ {
		m.Files = append(m.Files, File{
			Name: fmt.Sprintf("%04d.dbacked", i), Kind: KindDump, Order: i, Format: "1.0.0", StoredBytes: 5, SHA256: sum, Continues: true,
		})
	}
	return m
}

func TestChainRoundTrip(t *testing.T) {
	s, trust := signer(t)
	want := chained()
	got, err := Decode(must[[]byte](t)(Encode(want, s)), trust)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for i, want := range [][]File{want.Files[:1], want.Files[1:], want.Files[2:], want.Files[3:]} {
		if diff := cmp.Diff(want, got.Chain(got.Files[i])); diff != "" {
			t.Errorf("the chain from %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestChainValidation(t *testing.T) {
	s, trust := signer(t)
	for name, change := range map[string]func(*Manifest){
		"of the first layout": func(m *Manifest) { m.Version = LayoutFiles },
		"the first file":      func(m *Manifest) { m.Files[0].Continues = true },
		"another kind":        func(m *Manifest) { m.Files[1].Continues, m.Files[1].PlainBytes = true, 0 },
		"another format":      func(m *Manifest) { m.Files[2].Format = "1.1.0" },
		"bytes of its own":    func(m *Manifest) { m.Files[2].PlainBytes = 1 },
		"an empty dump":       func(m *Manifest) { m.Files[1].PlainBytes = 0 },
		"not said":            func(m *Manifest) { m.Files[2].Continues = false },
		"legacy": func(m *Manifest) {
			for i := range m.Files {
				m.Files[i].Format = "0.5.0"
			}
		},
	} {
		m := chained()
		change(m)
		if _, err := Encode(m, s); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	// What is read is held to the same.
	text, _, _ := strings.Cut(string(must[[]byte](t)(Encode(chained(), s))), "\n\n")
	data := must[[]byte](t)(note.Sign(&note.Note{Text: strings.Replace(text, `"version": 2`, `"version": 1`, 1) + "\n"}, s.signer))
	if _, err := Decode(data, trust); !errors.Is(err, ErrGarbage) || !strings.Contains(err.Error(), "continues") {
		t.Errorf("error %v", err)
	}
}

// TestLongestManifest shows that as many files as a backup can have are in one.
func TestLongestManifest(t *testing.T) {
	s, trust := signer(t)
	m := chained()
	for i := len(m.Files); i < MaxFiles; i++ {
		m.Files = append(m.Files, File{
			Name: fmt.Sprintf("%06d.dbacked", i), Kind: KindGlobals, Order: i, Format: "1.255.255", StoredBytes: maxBytes, PlainBytes: 0, SHA256: sum,
		})
		m.Files[i].Continues = i > 4
	}
	for len(m.Recipients) < maxRecipients {
		m.Recipients = append(m.Recipients, sum)
	}
	data := must[[]byte](t)(Encode(m, s))
	t.Logf("%d bytes", len(data))
	if _, err := Decode(data, trust); err != nil {
		t.Error(err)
	}
	m.Files = append(m.Files, m.Files[MaxFiles-1])
	if _, err := Encode(m, s); err == nil {
		t.Error("one file more was taken")
	}
}

// TestOldManifest reads a manifest as the first versions wrote it, and writes
// the same: what has no chain is for all readers.
func TestOldManifest(t *testing.T) {
	s, trust := fixedSigner(t)
	old := must[[]byte](t)(os.ReadFile("testdata/manifest-v1"))
	m, err := Decode(old, trust)
	if diff := cmp.Diff(manifest(id1), m); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(string(old), string(must[[]byte](t)(Encode(m, s)))); diff != "" {
		t.Errorf("(-old +new):\n%s", diff)
	}
}
