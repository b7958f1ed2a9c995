package main

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
	"github.com/dbacked/dbacked/pkg/storage"
)

// guarded is a store in which a host may have some rights and not others.
type guarded interface {
	depot
	storage.Conditional
	Overwrite(ctx context.Context, name string, data []byte) error
	Readable(ctx context.Context, name string) error
	Hide(ctx context.Context, name string) error
	TryAbort(ctx context.Context, folder string) error
	TryUpload(ctx context.Context, name string) error
}

// noTag is what no state of an object has.
const noTag = "00000000000000000000000000000000"

// probing tries the rights that a backup needs, and those that it must not need,
// on one object under control/. Where that may not be removed it stays, and is
// replaced the next time.
type probing struct {
	store  guarded
	config *config.Config
	probe  string
}

func (p *probing) run(ctx context.Context) []dumper.Finding {
	conditions, err := p.needed(ctx)
	if err != nil {
		_ = p.away(ctx)
		return []dumper.Finding{finding(subjectStorage, "", fixStorage, err)}
	}
	good := dumper.Finding{Level: dumper.OK, Subject: subjectStorage, Message: p.config.Storage.String() + " can be written"}
	if conditions != nil {
		good = p.unconditional(conditions)
	}
	if good.Level == dumper.Fail {
		_ = p.away(ctx)
		return []dumper.Finding{good}
	}
	return append(append([]dumper.Finding{good}, p.uploads(ctx)...), p.beyond(ctx)...)
}

// uploads tries to begin an upload, and whether what a killed run leaves of one
// could be removed.
func (p *probing) uploads(ctx context.Context) []dumper.Finding {
	err := p.store.TryAbort(ctx, p.probe+"/")
	if errors.Is(err, storage.ErrForbidden) {
		return []dumper.Finding{{
			Level: dumper.Warn, Subject: subjectRights, Message: "what failed runs leave of their uploads stays, and is paid for: " + err.Error(),
			Fix: "give this right, or the bucket a lifecycle rule that aborts incomplete uploads",
		}}
	}
	if err == nil {
		err = p.store.TryUpload(ctx, catalog.Path(p.config.Instance, catalog.NewID(time.Now()), "0000.dbacked"))
	}
	if err != nil {
		return []dumper.Finding{finding(subjectStorage, "", fixStorage, err)}
	}
	return nil
}

// needed does what a backup does. conditions is what the service lacks for a
// lease.
func (p *probing) needed(ctx context.Context) (conditions, err error) {
	data := []byte(probeText + rand.Text() + "\n") // or two states of it would look the same
	_, v, err := p.store.Get(ctx, p.probe)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		_, err = p.store.PutNew(ctx, p.probe, data)
	case err == nil:
		_, err = p.store.Replace(ctx, p.probe, data, v.Tag)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		conditions, err = err, nil
	}
	if err != nil {
		return nil, err
	}
	if conditions == nil {
		if conditions, err = p.keepsOld(ctx); err != nil {
			return nil, err
		}
	}
	return conditions, nil
}

// keepsOld says whether the service heeds the conditions that a lease rests on.
func (p *probing) keepsOld(ctx context.Context) (conditions, err error) {
	if err := keepsFirst(ctx, p.store, p.probe); err != nil {
		if errors.Is(err, errOverwrites) {
			return err, nil
		}
		return nil, err
	}
	_, err = p.store.Replace(ctx, p.probe, []byte(probeText), noTag)
	switch {
	case err == nil:
		return errors.New("it replaces what is there although it is not what it was told to replace: two hosts could hold one lease"), nil
	case errors.Is(err, storage.ErrChanged):
		return nil, nil
	}
	return nil, err
}

// unconditional is what to say of a service that lacks conditions.
func (p *probing) unconditional(why error) dumper.Finding {
	f := dumper.Finding{Level: dumper.Fail, Subject: subjectStorage, Message: why.Error(), Fix: fixConditions}
	if p.config.Lock == config.LockDatabase {
		f.Level, f.Fix = dumper.Warn, "this is all right while every host that backs up "+p.config.Instance+" has DBACKED_LOCK=database and the same database's server"
		f.Message = p.config.Storage.String() + " can be written, but without conditions; the database keeps the lock"
	}
	return f
}

// beyond tries what a host that only makes backups has no need of.
func (p *probing) beyond(ctx context.Context) []dumper.Finding {
	overwrites := p.overwrites(ctx)
	reads := p.reads(ctx)
	removes := p.away(ctx)
	var can, cannot []string
	for _, right := range []struct {
		what string
		err  error
	}{{"overwrite", overwrites}, {"read", reads}, {"remove", removes}} {
		switch {
		case right.err == nil:
			can = append(can, right.what)
		case errors.Is(right.err, storage.ErrForbidden), errors.Is(right.err, storage.ErrLocked):
			cannot = append(cannot, right.what)
		case !errors.Is(right.err, storage.ErrNotFound): // there is nothing to read yet
			return []dumper.Finding{{Level: dumper.Warn, Subject: subjectRights, Message: "what else this host may do could not be seen: " + right.err.Error()}}
		}
	}
	return p.judge(can, cannot)
}

// overwrites says whether something could be overwritten: the probe, without a
// condition, or a file of a backup, with one. The latter is tried on a file that
// does not exist, so that there is nothing to lose.
func (p *probing) overwrites(ctx context.Context) error {
	err := p.store.Overwrite(ctx, p.probe, []byte(probeText))
	if !errors.Is(err, storage.ErrForbidden) {
		return err
	}
	file := catalog.Path(p.config.Instance, catalog.NewID(time.Now()), "0000.dbacked")
	_, replaced := p.store.Replace(ctx, file, []byte(probeText), noTag)
	if errors.Is(replaced, storage.ErrChanged) {
		return nil
	}
	return replaced
}

const (
	subjectRights = "storage rights"
	fixRights     = "s3.md in the documentation has a policy for a host that may only write"
)

// judge says what the rights mean. All of them together are somebody's choice; some
// of them are a policy with a hole.
func (p *probing) judge(can, cannot []string) []dumper.Finding {
	f := dumper.Finding{Level: dumper.OK, Subject: subjectRights}
	switch {
	case len(cannot) == 0:
		f.Message = "this host, and whoever takes it over, can also " + list(can) + " what is stored: " + fixRights
	case len(can) > 0:
		f.Level, f.Fix = dumper.Warn, fixRights
		f.Message = "this host cannot " + list(cannot) + " what is stored, but it can " + list(can) + " it, and so can whoever takes it over"
	default:
		f.Message = "this host may only write: it can neither " + strings.Join(cannot, " nor ") + " what is stored"
	}
	all := []dumper.Finding{f}
	if len(cannot) > 0 && cannot[len(cannot)-1] == "remove" && p.config.Retention.HasRule() {
		all = append(all, dumper.Finding{
			Level: dumper.Warn, Subject: subjectRights, Message: "DBACKED_KEEP_… is set, and this host may remove nothing",
			Fix: "run dbacked prune elsewhere, under a credential of its own, and take DBACKED_KEEP_… out here",
		})
	}
	return all
}

func list(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

// reads says whether a file of a backup could be read; storage.ErrNotFound if
// there is none.
func (p *probing) reads(ctx context.Context) error {
	objects, err := p.store.List(ctx, p.config.Instance+"/")
	if err != nil {
		return err
	}
	for _, o := range objects {
		if strings.HasSuffix(o.Name, ".dbacked") {
			return p.store.Readable(ctx, o.Name)
		}
	}
	return storage.ErrNotFound
}

// away removes the probe if it may, and where old versions of it can be removed,
// those too.
func (p *probing) away(ctx context.Context) error {
	err := p.store.Hide(ctx, p.probe)
	if err == nil {
		_ = p.store.Remove(ctx, p.probe)
	}
	return err
}
