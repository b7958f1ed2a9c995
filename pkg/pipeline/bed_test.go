package pipeline

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/locker"
	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/localdir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is a store in a folder, and keys.
type bed struct {
	t      testing.TB
	root   string
	store  storage.Store
	signer *catalog.Signer
	key    *rsa.PrivateKey
}

func newBed(t testing.TB) *bed {
	t.Helper()
	root := t.TempDir()
	store, err := localdir.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	signer, err := catalog.LoadOrCreateSigner(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../encryptor/testdata/vectors/v1/small.private.pem")
	if err != nil {
		t.Fatal(err)
	}
	key, err := encryptor.ParsePrivateKey(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &bed{t: t, root: root, store: store, signer: signer, key: key}
}

// backup is a run whose dumps are the given streams.
func (b *bed) backup(streams ...Stream) *Backup {
	return &Backup{
		Store: b.store, Locker: locker.NewFile(filepath.Join(b.root, "shop/control/lock")), Instance: "shop", Signer: b.signer,
		Describe: func(_ context.Context, m *catalog.Manifest) error {
			m.Engine, m.ServerVersion, m.ToolVersion, m.Database = "postgresql", "15", "15", "shop"
			return nil
		},
		Streams: streams, Recipients: []*rsa.PublicKey{&b.key.PublicKey},
		AgentID: "test", AgentVersion: "1", Progress: new(Progress), Log: zap.NewNop(),
	}
}

// made runs a backup of one dump that must end well.
func (b *bed) made(plain []byte) *catalog.Manifest {
	b.t.Helper()
	m, err := b.backup(dumpOf(plain)).Run(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// dumpOf is a dump of known bytes.
func dumpOf(plain []byte) Stream {
	return Stream{Kind: catalog.KindDump, Dump: func(_ context.Context, w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(plain))
		return err
	}}
}

// ids lists the backups there are.
func (b *bed) ids() []string {
	b.t.Helper()
	entries, err := catalog.List(b.t.Context(), b.store, "shop", catalog.Trust{})
	if err != nil {
		b.t.Fatal(err)
	}
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	return ids
}

// nothingLeft fails the test if the store holds more than the lock.
func (b *bed) nothingLeft() {
	b.t.Helper()
	err := filepath.WalkDir(b.root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Base(path) != "lock" {
			b.t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// path of a backup's first file.
func (b *bed) path(m *catalog.Manifest) string {
	return filepath.Join(b.root, "shop", m.ID, m.Files[0].Name)
}

// restore is the restore of a backup's first file.
func (b *bed) restore(m *catalog.Manifest, target func(context.Context, io.Reader) error) *Restore {
	return &Restore{File: SealedFile(b.store, m, m.Files[0]), Key: b.key, Proved: true, Target: target, Progress: new(Progress)}
}

// into collects what a restore gives.
func into(buf *bytes.Buffer) func(context.Context, io.Reader) error {
	return func(_ context.Context, r io.Reader) error {
		_, err := io.Copy(buf, r)
		return err
	}
}

// noise is n bytes that do not compress.
func noise(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	p := make([]byte, n)
	r.Read(p)
	return p
}

// wantStage fails the test unless err is of that stage and is cause.
func wantStage(t *testing.T, err error, stage string, cause error) {
	t.Helper()
	var se *StageError
	if !errors.As(err, &se) || se.Stage != stage || !errors.Is(err, cause) {
		t.Errorf("error is %v, want %s: %v", err, stage, cause)
	}
}
