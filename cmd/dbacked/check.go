package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/storage"
)

type checkCommand struct {
	Name string `arg:"" optional:"" help:"The instance, as in /etc/dbacked/NAME.env."`
	JSON bool   `name:"json" help:"Print JSON, one object a finding."`

	config.CommonFlags
	config.DatabaseFlags
	config.StorageFlags
	config.SealFlags
	config.TimeoutFlags
	runFlags
}

// Help shows examples.
func (*checkCommand) Help() string {
	return `Nothing is written but a probe in the storage, which is removed, and this host's signing key, which is
made on first use. The status is 0 when a backup can work. When an agent of the instance runs, it is asked
too: inside of its sandbox, things may look different.

Examples:
  dbacked check shop
  dbacked check shop --json | jq -r 'select(.level == "fail") | .fix'`
}

func (k *checkCommand) Run(ctx context.Context, a *app) error {
	c, err := a.load(k.Name, config.Flags{
		CommonFlags: k.CommonFlags, DatabaseFlags: k.DatabaseFlags, StorageFlags: k.StorageFlags,
		SealFlags: k.SealFlags, TimeoutFlags: k.TimeoutFlags,
	}, config.NeedDatabase|config.NeedPublicKey|config.NeedStorage)
	if err != nil {
		return err
	}
	failed := 0
	show := func(f dumper.Finding) {
		if f.Level == dumper.Fail {
			failed++
		}
		k.print(a, f)
	}
	findings, err := inspect(ctx, c)
	if err != nil {
		return err
	}
	for _, f := range findings {
		show(f)
	}
	for _, f := range inService(ctx, c, newRunningAgent(k.RunDirectory, c.Instance), findings) {
		show(f)
	}
	if failed > 0 {
		return fmt.Errorf("%d of the findings would make a backup fail", failed)
	}
	return nil
}

func (k *checkCommand) print(a *app, f dumper.Finding) {
	if k.JSON {
		_ = json.NewEncoder(a.out).Encode(f) // a reader that went away has seen enough
		return
	}
	color := map[dumper.Level]string{dumper.OK: green, dumper.Warn: yellow, dumper.Fail: red}[f.Level]
	fmt.Fprintf(a.out, "%s  %s: %s\n", a.paint(color, fmt.Sprintf("%-4s", f.Level)), f.Subject, f.Message)
	if f.Fix != "" {
		fmt.Fprintf(a.out, "      %s\n", f.Fix)
	}
}

func checkKeys(c *config.Config) dumper.Finding {
	keys, err := recipients(c)
	if err != nil {
		return finding("public key", "", "dbacked keygen makes a pair", err)
	}
	message := fmt.Sprintf("RSA, %d bits, ", keys[0].N.BitLen())
	for i, key := range keys {
		if i > 0 {
			message += " and "
		}
		message += encryptor.Fingerprint(key)
	}
	return dumper.Finding{Level: dumper.OK, Subject: "public key", Message: message}
}

// checkPlaces looks at each place.
func checkPlaces(ctx context.Context, c *config.Config) (all []dumper.Finding) {
	for i, s := range c.Places {
		f := checkStorage(ctx, c.At(s))
		if i > 0 && f.Level == dumper.OK {
			if err := sameFolder(c, s); err != nil {
				f = finding(f.Subject, "", "see DBACKED_STORAGE", err)
			}
		}
		if len(c.Places) > 1 {
			f.Subject = fmt.Sprintf("storage, place %d", i+1)
			if f.Level == dumper.Fail {
				f.Message = s.String() + ": " + f.Message
			}
		}
		all = append(all, f)
	}
	return all
}

// checkStorage writes a probe and removes it.
func checkStorage(ctx context.Context, c *config.Config) dumper.Finding {
	const subject, fix = "storage", "see DBACKED_STORAGE"
	store, err := makeStore(c)
	if err != nil {
		return finding(subject, "", fix, err)
	}
	defer func() { _ = store.Close() }()
	probe := catalog.Path(c.Instance, "control", "probe-"+catalog.NewID(time.Now()))
	if err := store.Put(ctx, probe, []byte("a probe of dbacked check; it can be removed\n")); err != nil {
		return finding(subject, "", fix, err)
	}
	if err := keepsFirst(ctx, store, probe); err != nil {
		return dumper.Finding{Level: dumper.Fail, Subject: subject, Message: err.Error(), Fix: "use a service that knows If-None-Match, or one that has been mended to"}
	}
	err = store.Remove(ctx, probe)
	if err != nil && (errors.Is(err, storage.ErrLocked) || errors.Is(err, fs.ErrPermission)) {
		return dumper.Finding{Level: dumper.OK, Subject: subject, Message: c.Storage.String() + " can be written, and nothing there can be removed by this host"}
	}
	return finding(subject, c.Storage.String()+" can be written", fix, err)
}

// keepsFirst says whether the store refuses to write what is there already. A
// service that ignores the condition would let one backup overwrite another, and
// two agents hold one lease.
func keepsFirst(ctx context.Context, store storage.Store, probe string) error {
	err := store.Put(ctx, probe, []byte("another probe, which must be refused\n"))
	if errors.Is(err, storage.ErrExists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("whether it keeps what is there could not be seen: %w", err)
	}
	return errors.New("it overwrites what is there although it was told not to: a backup would not be safe from another")
}

func checkSigner(c *config.Config) dumper.Finding {
	const subject = "signing key"
	signer, err := catalog.LoadOrCreateSigner(c.StateDirectory)
	if err != nil {
		return finding(subject, "", "see DBACKED_STATE_DIRECTORY", err)
	}
	return dumper.Finding{
		Level: dumper.OK, Subject: subject,
		Message: "DBACKED_TRUST=" + signer.Verifier() + " proves this host's backups elsewhere; keep it beside the private key",
	}
}

// finding is ok, or says what err is and what to do.
func finding(subject, good, fix string, err error) dumper.Finding {
	if err == nil {
		return dumper.Finding{Level: dumper.OK, Subject: subject, Message: good}
	}
	var configured *config.Error
	if errors.As(err, &configured) && len(configured.Problems) == 1 {
		err = errors.New(configured.Problems[0])
	}
	return dumper.Finding{Level: dumper.Fail, Subject: subject, Message: err.Error(), Fix: fix}
}
