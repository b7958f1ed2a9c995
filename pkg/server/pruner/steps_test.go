package pruner

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// keeps changes the project's rules.
func (b *bed) keeps(change func(p *records.Project)) {
	b.t.Helper()
	change(&b.project)
	b.ok(b.stores[0].UpdateProject(b.t.Context(), b.project))
}

// everywhere does something on all replicas at the same time.
func (b *bed) everywhere(do func(p *Pruner)) {
	var all sync.WaitGroup
	for _, p := range b.pruners {
		all.Go(func() { do(p) })
	}
	all.Wait()
}

func (b *bed) retain() { b.everywhere(func(p *Pruner) { p.retainAll(b.t.Context()) }) }

// sweep lets all replicas sweep, in a turn that begins after no pause.
func (b *bed) sweep() { b.everywhere(func(p *Pruner) { p.sweep(b.t.Context(), records.Turn{}) }) }

// is wants a backup's state and what became of it.
func (b *bed) is(m *made, state, phase string) {
	b.t.Helper()
	got, err := b.stores[0].Backup(b.t.Context(), b.project.ID, m.id)
	b.ok(err)
	if got.State != state || got.Removal.Phase != phase {
		b.t.Errorf("backup %s is %s and %q, not %s and %q", m.id, got.State, got.Removal.Phase, state, phase)
	}
}

// seen wants what a restore key can download: these and no others, the newest first.
func (b *bed) seen(want ...*made) {
	b.t.Helper()
	var own struct{ Backups []struct{ ID string } }
	b.say(b.restore, "GET", "/projects/own", "", &own)
	var ids, wanted []string
	for _, one := range own.Backups {
		ids = append(ids, one.ID)
	}
	for _, m := range want {
		wanted = append(wanted, m.id)
		var at struct{ DownloadURL string }
		if status := b.say(b.restore, "GET", m.path+"/downloadUrl", "", &at); status != http.StatusOK {
			b.t.Errorf("%s cannot be downloaded: %d", m.id, status)
			continue
		}
		r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, at.DownloadURL, nil)
		b.ok(err)
		if status, _, text := b.send(r); status != http.StatusOK || !bytes.Equal(text, m.content) {
			b.t.Errorf("%s: %d %.100s", m.id, status, text)
		}
	}
	if strings.Join(ids, " ") != strings.Join(wanted, " ") {
		b.t.Errorf("there are %q instead of %q", ids, wanted)
	}
	var objects struct{ Objects []struct{ BackupID string } }
	b.say(b.restore, "GET", "/projects/"+b.project.ID+"/objects", "", &objects)
	for _, o := range objects.Objects {
		if !slices.Contains(wanted, o.BackupID) {
			b.t.Errorf("a file of %s is listed", o.BackupID)
		}
	}
	if len(objects.Objects) != len(want) {
		b.t.Errorf("%d files are listed", len(objects.Objects))
	}
}

// unseen wants backups that no key can download.
func (b *bed) unseen(all ...*made) {
	b.t.Helper()
	for _, m := range all {
		if status := b.say(b.restore, "GET", m.path+"/downloadUrl", "", nil); status != http.StatusNotFound {
			b.t.Errorf("%s can be downloaded: %d", m.id, status)
		}
	}
}

// there says whether a backup's file is stored.
func (b *bed) there(m *made) bool {
	b.t.Helper()
	_, err := b.files.Read(context.WithoutCancel(b.t.Context()), files.Ref{Project: b.project.ID, Backup: m.id, Number: 1}, 1<<20)
	if err != nil && !errors.Is(err, files.ErrNotFound) {
		b.t.Fatal(err)
	}
	return err == nil
}

// audited counts what the audit log says of a backup.
func (b *bed) audited(action string, m *made) (n int) {
	b.t.Helper()
	all, err := b.stores[0].AuditLog(b.t.Context(), b.project.ID, 10_000)
	b.ok(err)
	for _, e := range all {
		if e.Action == action && strings.HasPrefix(e.Detail, m.id) {
			n++
		}
	}
	return n
}

// run runs all replicas until stop is called.
func (b *bed) run() (stop func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	var all sync.WaitGroup
	for _, p := range b.pruners {
		all.Go(func() { p.Run(ctx) })
	}
	return func() { cancel(); all.Wait() }
}

// until waits for something that another goroutine brings about.
func (b *bed) until(is func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatal("it does not happen")
		}
	}
}
