package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
	"github.com/dbacked/dbacked/pkg/encryptor"
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
	return `Nothing is written but a probe in the storage, which is removed where this host may (else
NAME/control/probe stays, and is used again), and this host's signing key, which is made on first use. The status is 0 when a backup can work. When an agent of the instance runs, it is asked
too: inside of its sandbox, things may look different.

Examples:
  dbacked check shop
  dbacked check shop --json | jq -r 'select(.level == "fail") | .fix'`
}

func (k *checkCommand) Run(ctx context.Context, a *app) error {
	c, err := a.load(k.Name, config.Flags{
		CommonFlags: k.CommonFlags, DatabaseFlags: k.DatabaseFlags, StorageFlags: k.StorageFlags,
		SealFlags: k.SealFlags, TimeoutFlags: k.TimeoutFlags,
	}, config.NeedDatabase|config.NeedPublicKey|config.NeedStorage|config.WantRetention)
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
		return finding(subjectKey, "", "dbacked keygen makes a pair", err)
	}
	message := fmt.Sprintf("RSA, %d bits, ", keys[0].N.BitLen())
	for i, key := range keys {
		if i > 0 {
			message += " and "
		}
		message += encryptor.Fingerprint(key)
	}
	return dumper.Finding{Level: dumper.OK, Subject: subjectKey, Message: message}
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
