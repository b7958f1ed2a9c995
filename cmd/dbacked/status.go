package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/config"
)

type statusCommand struct {
	Name  string `arg:"" optional:"" help:"The instance; all of them when it is left out."`
	JSON  bool   `name:"json" xor:"form" help:"Print JSON, one array."`
	Watch bool   `name:"watch" xor:"form" help:"Look again every 2 seconds, on a terminal, until Ctrl-C."`
	Check bool   `name:"check" xor:"form" help:"Print only what is not healthy, and exit with 1 if anything is."`

	ConfigDirectory string `name:"config-directory" placeholder:"DIR" help:"Folder of NAME.env and config.json."`
	runFlags
}

// Help shows examples.
func (*statusCommand) Help() string {
	return `Shown are the instances with an env file and those with a running agent. Nothing is started by looking.
An agent's socket is open to root and to the group dbacked.

Examples:
  sudo dbacked status
  sudo dbacked status shop --json | jq -r '.[].newest.id'
  sudo dbacked status --watch
  dbacked status --check shop || mail -s "backups of shop" root`
}

// watchEvery is the time between two looks.
const watchEvery = 2 * time.Second

// configDirectoryVariable is what moves /etc/dbacked. Of the settings only this
// one matters here, and a wrong one elsewhere shall not hide how things are.
const configDirectoryVariable = "DBACKED_CONFIG_DIRECTORY"

func (k *statusCommand) Run(ctx context.Context, a *app) error {
	if k.Name != "" && !config.ValidName(k.Name) {
		return &usageError{fmt.Errorf("%q cannot be the name of an instance", k.Name)}
	}
	if k.Watch {
		return k.watch(ctx, a)
	}
	all, err := k.look(ctx, a)
	switch {
	case err != nil:
		return err
	case k.JSON:
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	case k.Check:
		return checkHealth(a, all)
	case len(all) == 0:
		a.say("no instance is set up on this machine: sudo dbacked init NAME asks what is needed and writes %s/NAME.env", k.directory(a))
		return nil
	}
	_, err = fmt.Fprint(a.out, statusTable(a.screen, all, time.Now()))
	return err
}

// look finds the instances and asks each how it is.
func (k *statusCommand) look(ctx context.Context, a *app) ([]seen, error) {
	names := []string{k.Name}
	if k.Name == "" {
		var err error
		if names, err = findInstances(k.directory(a), k.RunDirectory); err != nil {
			return nil, err
		}
	} else if err := mustExist(k.Name, k.directory(a), k.RunDirectory); err != nil {
		return nil, err
	}
	return lookAt(ctx, k.RunDirectory, names), nil
}

func (k *statusCommand) directory(a *app) string {
	if k.ConfigDirectory != "" {
		return k.ConfigDirectory
	}
	for _, assignment := range a.environ {
		if value, ok := strings.CutPrefix(assignment, configDirectoryVariable+"="); ok && value != "" {
			return value
		}
	}
	for _, s := range config.Settings() {
		if s.Variable == configDirectoryVariable {
			return s.Default
		}
	}
	return ""
}

// watch shows the table until ctx ends.
func (k *statusCommand) watch(ctx context.Context, a *app) error {
	if !a.shown {
		return &usageError{errors.New("--watch rewrites a terminal, and standard output is none: --json is for programs")}
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	fmt.Fprint(a.out, clearScreen)
	for {
		all, err := k.look(ctx, a)
		if ctx.Err() != nil {
			return nil // that is how a watch ends
		}
		if err != nil {
			return err
		}
		text := "no instance is set up on this machine\n"
		if len(all) > 0 {
			text = statusTable(a.screen, all, time.Now())
		}
		fmt.Fprint(a.out, cursorHome+strings.ReplaceAll(text, "\n", clearLine+"\n")+clearBelow)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// What moves about on a terminal.
const (
	clearScreen = "\x1b[2J"
	cursorHome  = "\x1b[H"
	clearLine   = "\x1b[K" // from the cursor on
	clearBelow  = "\x1b[J"
)

// checkHealth prints a line for each instance that is not healthy.
func checkHealth(a *app, all []seen) error {
	if len(all) == 0 {
		return errors.New("nothing is backed up: there is no instance on this machine")
	}
	bad := 0
	for _, s := range all {
		if s.Healthy {
			continue
		}
		bad++
		fmt.Fprintf(a.out, "%s: %s: %s\n", s.Instance, s.State, printable(strings.Join(strings.Fields(s.Problem), " ")))
	}
	switch {
	case bad == 0:
		return nil
	case len(all) == 1:
		return fmt.Errorf("%s is not healthy", all[0].Instance)
	}
	return fmt.Errorf("%d of %d instances are not healthy", bad, len(all))
}
