package main

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
)

// checker looks, from inside of the service, for what would make a backup fail.
func checker(c *config.Config) agent.Checker {
	return func(ctx context.Context) ([]agent.Finding, error) {
		findings, err := inspect(ctx, c)
		if err != nil {
			return nil, err
		}
		out := make([]agent.Finding, 0, len(findings))
		for _, f := range findings {
			out = append(out, agent.Finding{Level: string(f.Level), Subject: f.Subject, Message: f.Message, Fix: f.Fix})
		}
		return out, nil
	}
}

// inspect looks at all that a backup needs.
func inspect(ctx context.Context, c *config.Config) ([]dumper.Finding, error) {
	db := openDatabase(c, zap.NewNop())
	all := []dumper.Finding{
		{Level: dumper.OK, Subject: "configuration", Message: c.Instance + ", complete"},
		finding("dumper options", "none that would defeat the proof", "see DBACKED_DUMPER_OPTIONS", db.CheckOptions()),
	}
	findings, err := db.Check(ctx)
	if err != nil {
		return nil, err
	}
	all = append(all, findings...)
	if c.Storage.IsService() {
		return append(append(all, checkAPI(ctx, c)...), checkSigner(c)), nil
	}
	all = append(all, checkKeys(c))
	all = append(all, checkPlaces(ctx, c)...)
	all = append(all, checkLock(ctx, c)...)
	return append(all, checkSigner(c)), nil
}

// recheck is what SIGHUP asks for.
func recheck(ctx context.Context, c *config.Config, log *zap.Logger) {
	log.Info("checking again; what is configured was read at the start, and a restart reads it anew")
	findings, err := inspect(ctx, c)
	if err != nil {
		log.Warn("the check was not finished", zap.Error(err))
		return
	}
	bad := 0
	for _, f := range findings {
		switch f.Level {
		case dumper.Fail:
			bad++
			log.Error(fmt.Sprintf("%s: %s; %s", f.Subject, f.Message, f.Fix))
		case dumper.Warn:
			log.Warn(fmt.Sprintf("%s: %s; %s", f.Subject, f.Message, f.Fix))
		}
	}
	log.Info(fmt.Sprintf("checked %d things, %d of them would make a backup fail", len(findings), bad))
}
