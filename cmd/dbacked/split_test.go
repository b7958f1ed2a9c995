package main

import (
	"context"
	"crypto/rsa"
	"io"
	"os"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/locker"
	"github.com/dbacked/dbacked/pkg/pipeline"
	"github.com/dbacked/dbacked/pkg/storage/localdir"
)

// putSplit makes a backup of several streams at once, without a database.
func (b *bed) putSplit() *catalog.Manifest {
	b.t.Helper()
	var plan pipeline.Plan
	for _, kind := range []string{catalog.KindGlobals, catalog.KindSchema, catalog.KindData, catalog.KindData, catalog.KindContents} {
		plan.Streams = append(plan.Streams, pipeline.Stream{Kind: kind, Dump: func(_ context.Context, w io.Writer) error {
			_, err := io.WriteString(w, "what is in "+kind)
			return err
		}})
	}
	plan.Jobs = 3
	return b.putPlan(func(context.Context) (pipeline.Plan, error) { return plan, nil })
}

// putPlan makes a backup by a plan.
func (b *bed) putPlan(plan func(ctx context.Context) (pipeline.Plan, error)) *catalog.Manifest {
	b.t.Helper()
	store, err := localdir.Open(b.path("storage"))
	b.must(err)
	defer store.Close()
	signer, err := catalog.LoadOrCreateSigner(b.path("state"))
	b.must(err)
	key, err := encryptor.ParsePrivateKey(testKeys().private, nil)
	b.must(err)
	run := &pipeline.Backup{
		Store: store, Locker: locker.NewFile(b.path("storage/shop/control/lock")), Instance: "shop", Signer: signer,
		Describe: func(_ context.Context, m *catalog.Manifest) error {
			m.Engine, m.ServerVersion, m.ToolVersion, m.Database = "postgresql", "15", "15", "shop"
			return nil
		},
		Plan:       func(ctx context.Context, _ *catalog.Manifest) (pipeline.Plan, error) { return plan(ctx) },
		Recipients: []*rsa.PublicKey{&key.PublicKey}, AgentID: "test", AgentVersion: "1", Log: zap.NewNop(),
	}
	m, err := run.Run(b.t.Context())
	b.must(err)
	return m
}

// TestSplitBackup: what was made by several streams at once is listed and verified
// like any other, and no part of it is taken for the dump.
func TestSplitBackup(t *testing.T) {
	b := newBedOn(t, postgres, &dbtest.Server{Port: 1})
	m := b.putSplit()
	b.run("list", "shop").ok().says(m.ID, "proved")
	b.run("verify", "shop").ok().says(m.ID, "ok", "decrypted, decompressed")
	b.run("restore", "shop", m.ID, "--yes").ends(exitFailure, "the backup's list of tables cannot be read")
	b.run("restore", "shop", m.ID, "--raw-output").ends(exitRefused, "was made in parallel", "restore it into a database")
	damaged := m.Files[3].Name
	path := "storage/shop/" + m.ID + "/" + damaged
	data := b.read(path)
	data[len(data)-1] ^= 1
	b.must(os.Chmod(b.path(path), 0o600))
	b.write(path, data)
	r := b.run("verify", "shop")
	if r.code == exitOK || !strings.Contains(r.out, damaged+" (data)") || strings.Contains(r.out, m.Files[2].Name+" (") {
		t.Errorf("verify of a damaged file: %s", r)
	}
}
