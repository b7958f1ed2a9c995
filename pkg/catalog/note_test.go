package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
)

func TestRoundTrip(t *testing.T) {
	s, trust := signer(t)
	want := manifest(id1)
	data := must[[]byte](t)(Encode(want, s))
	// Pinning a key twice, as on the host that makes the backups, is no doubt.
	for _, trust := range []Trust{trust, append(trust, trust...)} {
		got, err := Decode(data, trust)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	if text, _, _ := strings.Cut(string(data), "\n\n"); !json.Valid([]byte(text)) || !strings.Contains(text, `"id": "`+id1+`"`) {
		t.Errorf("not readable without a key:\n%s", data)
	}
	if !strings.Contains(string(data), "\n\n— dbacked ") {
		t.Errorf("not a signed note:\n%s", data)
	}
}

// TestProof forges a manifest in each way and checks which kind of doubt it is.
func TestProof(t *testing.T) {
	s, trust := signer(t)
	other, otherTrust := signer(t)
	good := must[[]byte](t)(Encode(manifest(id1), s))
	text, signature, _ := strings.Cut(string(good), "\n\n")
	foreign := must[[]byte](t)(Encode(manifest(id1), other))
	_, foreignSignature, _ := strings.Cut(string(foreign), "\n\n")
	for name, test := range map[string]struct {
		data  string
		trust Trust
		want  error
	}{
		"good":                      {string(good), trust, nil},
		"good, of two pinned":       {string(good), append(otherTrust, trust...), nil},
		"and signed by another":     {string(good) + foreignSignature, trust, nil},
		"another's first":           {text + "\n\n" + foreignSignature + signature, trust, nil},
		"no key pinned":             {string(good), nil, ErrUntrusted},
		"another's key":             {string(foreign), trust, ErrUntrusted},
		"altered":                   {strings.Replace(string(good), `"storedBytes": 4`, `"storedBytes": 5`, 1), trust, ErrAltered},
		"altered, no key pinned":    {strings.Replace(string(good), `"storedBytes": 4`, `"storedBytes": 5`, 1), nil, ErrUntrusted},
		"spaces added":              {strings.Replace(string(good), `{`, `{ `, 1), trust, ErrAltered},
		"signature cut":             {string(good[:len(good)-9]), trust, ErrAltered},
		"signature garbled":         {text + "\n\n— dbacked !!!!\n", trust, ErrAltered},
		"signature of other text":   {strings.Replace(string(good), id1, id2, 1), trust, ErrAltered},
		"signature removed":         {text + "\n", trust, ErrUnsigned},
		"signature's lines removed": {text + "\n\n", trust, ErrUnsigned},
		"text cut":                  {text[:len(text)-9] + "\n\n" + signature, trust, ErrGarbage},
		"empty":                     {"", trust, ErrGarbage},
		"only a signature":          {"\n\n" + signature, trust, ErrGarbage},
		"not JSON":                  {"hello\n", trust, ErrGarbage},
		"too long":                  {strings.Repeat(" ", maxManifest) + string(good), trust, ErrGarbage},
		"zeros":                     {strings.Repeat("\x00", 500), trust, ErrGarbage},
	} {
		m, err := Decode([]byte(test.data), test.trust)
		if !errors.Is(err, test.want) || (test.want != nil && !errors.Is(err, ErrUnproved)) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if (m == nil) != (test.want == ErrGarbage) {
			t.Errorf("%s: the manifest is %v", name, m)
		}
	}
}

func TestSignedByAnotherKeyOfOneName(t *testing.T) {
	s, trust := signer(t)
	data := must[[]byte](t)(Encode(manifest(id1), s))
	// A key that claims the pinned one's name and hash, but is another.
	_, otherTrust := signer(t)
	lying := anyOf{claims{otherTrust[0], trust[0]}}
	if _, err := Decode(data, Trust{lying}); !errors.Is(err, ErrAltered) {
		t.Errorf("error %v", err)
	}
}

// claims verifies by one key in the name of another.
type claims struct {
	note.Verifier
	as note.Verifier
}

func (c claims) Name() string    { return c.as.Name() }
func (c claims) KeyHash() uint32 { return c.as.KeyHash() }

// TestLaterFields shows what a later version of dbacked may do: add a field
// that may be ignored, and raise the version when it may not.
func TestLaterFields(t *testing.T) {
	s, trust := signer(t)
	text, _, _ := strings.Cut(string(must[[]byte](t)(Encode(manifest(id1), s))), "\n\n")
	sign := func(text string) []byte {
		return must[[]byte](t)(note.Sign(&note.Note{Text: text + "\n"}, s.signer))
	}
	if _, err := Decode(sign(strings.Replace(text, "{", `{"later": [1],`, 1)), trust); err != nil {
		t.Errorf("with a new field: %v", err)
	}
	_, err := Decode(sign(strings.Replace(text, `"version": 1`, `"version": 4`, 1)), trust)
	if !errors.Is(err, ErrGarbage) || !strings.Contains(err.Error(), "use a newer one") {
		t.Errorf("of a new version: %v", err)
	}
	for _, text := range []string{text + "{}", "[" + text + "]", strings.Replace(text, `"order": 1`, `"order": "1"`, 1)} {
		if _, err := Decode(sign(text), trust); !errors.Is(err, ErrGarbage) {
			t.Errorf("%.20q…: %v", text, err)
		}
	}
}

func TestValidation(t *testing.T) {
	s, _ := signer(t)
	for name, change := range map[string]func(*Manifest){
		"version 0":           func(m *Manifest) { m.Version = 0 },
		"no id":               func(m *Manifest) { m.ID = "" },
		"an id that escapes":  func(m *Manifest) { m.ID = "../20261122T215643Z-7f3c2a" },
		"an impossible id":    func(m *Manifest) { m.ID = "20261322T215643Z-7f3c2a" },
		"previous":            func(m *Manifest) { m.Previous = "yesterday" },
		"instance":            func(m *Manifest) { m.Instance = "../x" },
		"instance with slash": func(m *Manifest) { m.Instance = "a/b" },
		"engine":              func(m *Manifest) { m.Engine = "oracle" },
		"no database":         func(m *Manifest) { m.Database = "" },
		"long database":       func(m *Manifest) { m.Database = strings.Repeat("x", 2000) },
		"escape sequence":     func(m *Manifest) { m.ServerVersion = "\x1b[2J" },
		"long agent id":       func(m *Manifest) { m.AgentID = strings.Repeat("x", 2000) },
		"no start":            func(m *Manifest) { m.Started = time.Time{} },
		"compression":         func(m *Manifest) { m.Compression = "zstd; rm" },
		"no recipient":        func(m *Manifest) { m.Recipients = nil },
		"recipient":           func(m *Manifest) { m.Recipients = []string{"me"} },
		"upper case":          func(m *Manifest) { m.Recipients = []string{strings.ToUpper(sum)} },
		"no files":            func(m *Manifest) { m.Files = nil },
		"no dump":             func(m *Manifest) { m.Files = m.Files[:1] },
		"file escapes":        func(m *Manifest) { m.Files[0].Name = "../0000.dbacked" },
		"file is absolute":    func(m *Manifest) { m.Files[0].Name = "/0000.dbacked" },
		"file is hidden":      func(m *Manifest) { m.Files[0].Name = ".dbacked" },
		"file is the note":    func(m *Manifest) { m.Files[0].Name = "manifest" },
		"file twice":          func(m *Manifest) { m.Files[0].Name = m.Files[1].Name },
		"file with NUL":       func(m *Manifest) { m.Files[0].Name = "0000\x00.dbacked" },
		"order":               func(m *Manifest) { m.Files[0].Order = 1 },
		"kind":                func(m *Manifest) { m.Files[0].Kind = "script" },
		"format":              func(m *Manifest) { m.Files[0].Format = "2.0.0" },
		"nothing stored":      func(m *Manifest) { m.Files[0].StoredBytes = 0 },
		"negative":            func(m *Manifest) { m.Files[0].PlainBytes = -1 },
		"sizes that overflow": func(m *Manifest) { m.Files[0].StoredBytes = 1 << 62 },
		"an empty dump":       func(m *Manifest) { m.Files[1].PlainBytes = 0 },
		"no sum":              func(m *Manifest) { m.Files[1].SHA256 = "" },
		"a short sum":         func(m *Manifest) { m.Files[1].SHA256 = sum[:62] },
	} {
		m := manifest(id1)
		change(m)
		if _, err := Encode(m, s); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	back := manifest(id1)
	back.Finished = back.Started.Add(-time.Hour)
	if _, err := Encode(back, s); err != nil {
		t.Errorf("a clock that was set back spoils a backup: %v", err)
	}
}

// FuzzDecode shows that whatever is read as a manifest is valid, that it is
// written and read again as the same, and that nothing is proved that was not
// signed.
func FuzzDecode(f *testing.F) {
	s, trust := fixedSigner(f)
	good := must[[]byte](f)(Encode(manifest(id1), s))
	text, _, _ := bytes.Cut(good, []byte("\n\n"))
	f.Add(good)
	f.Add(text)
	f.Add(good[:len(good)/2])
	f.Add([]byte("{}\n\n— dbacked AAAAAAAA\n"))
	f.Add(bytes.ReplaceAll(good, []byte("0000.dbacked"), []byte("../../x")))
	texts := [][]byte{text}
	for _, m := range []*Manifest{chained(), split()} {
		data := must[[]byte](f)(Encode(m, s))
		text, _, _ := bytes.Cut(data, []byte("\n\n"))
		f.Add(data)
		f.Add(bytes.ReplaceAll(data, []byte(KindSchema), []byte(KindDump)))
		texts = append(texts, text)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, proof := Decode(data, trust)
		if m == nil {
			if !errors.Is(proof, ErrGarbage) {
				t.Fatalf("no manifest, and %v", proof)
			}
			return
		}
		signed := func(text []byte) bool { return bytes.Contains(data, text) }
		if proof == nil && !slices.ContainsFunc(texts, signed) {
			t.Fatalf("proved: %q", data)
		}
		again, err := Encode(m, s)
		if err != nil {
			if len(data) < maxManifest/4 {
				t.Fatal(err)
			}
			return
		}
		if m.Layout() > m.Version {
			t.Fatalf("layout %d was taken for files of layout %d", m.Version, m.Layout())
		}
		got, err := Decode(again, trust)
		if diff := cmp.Diff(m, got); diff != "" || err != nil {
			t.Fatalf("%v %s", err, diff)
		}
	})
}
