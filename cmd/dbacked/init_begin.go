package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dbacked/dbacked/pkg/config"
)

// former takes answers from the former agent's config.json, if that is wanted.
func (w *wizard) former(ctx context.Context) error {
	path := w.flags.Import
	if path == "" {
		path = filepath.Join(w.configDirectory, "config.json")
		if _, err := os.Stat(path); err != nil || !w.asked {
			return nil
		}
		yes, err := w.agrees(ctx, path+" is of the former agent: take its answers?")
		if err != nil || !yes {
			return err
		}
	}
	f, err := config.ReadFormer(path)
	if err != nil {
		return w.draft.problemIs(err.Error())
	}
	for _, text := range f.Warnings {
		w.warn(text)
	}
	w.agentID = f.AgentID
	w.draft.take(f.Settings)
	w.good("%d answers taken from %s", len(f.Settings), path)
	return nil
}

// name settles what the instance is called.
func (w *wizard) name(ctx context.Context) error {
	d := w.draft
	proposal := d.values["DBACKED_DB_NAME"]
	if !config.ValidName(proposal) {
		proposal = ""
	}
	for d.name == "" && w.asked {
		typed, err := w.ask(ctx, prompt("What to call these backups, as in \"shop\"", proposal))
		if err != nil {
			return err
		}
		if typed == "" {
			typed = proposal
		}
		if !config.ValidName(typed) {
			w.no(errors.New("a name is a letter or digit, then at most 62 letters, digits, dots, dashes or underscores"))
			continue
		}
		d.name = typed
	}
	if d.name == "" {
		d.name = proposal
	}
	return nil
}

func (w *wizard) envPath() string { return filepath.Join(w.configDirectory, w.draft.name+".env") }

// present sees to a NAME.env that is there already: what it sets is proposed.
func (w *wizard) present(ctx context.Context) error {
	path := w.envPath()
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) || w.draft.name == "" {
		return nil
	}
	if !w.flags.Force {
		if !w.asked {
			return &refusedError{fmt.Errorf("%s exists already: --force writes it anew, and keeps of it what no flag says", path)}
		}
		yes, err := w.confirm(ctx, path+" exists already. Go through its answers, and write it anew?")
		if err != nil {
			return err
		}
		if !yes {
			return &refusedError{fmt.Errorf("%s stays as it is", path)}
		}
	}
	w.flags.Force = true
	assignments, err := config.ReadEnv(path)
	if err != nil {
		return err
	}
	w.draft.take(assignments)
	return w.presentCredentials()
}

// secretCredentials are the credentials that init writes, by the variables that they
// stand for.
func secretCredentials() map[string]string {
	return map[string]string{"DBACKED_DB_PASSWORD": "db-password", "DBACKED_APIKEY": "apikey"}
}

// presentCredentials takes the secrets of an instance that has them as credentials.
func (w *wizard) presentCredentials() error {
	d := w.draft
	for variable, name := range secretCredentials() {
		text, err := os.ReadFile(w.credentialPath(name))
		if errors.Is(err, fs.ErrNotExist) || d.values[variable] != "" || variable == "DBACKED_APIKEY" && d.values["DBACKED_STORAGE"] != "" {
			continue
		}
		if err != nil {
			return err
		}
		w.secrets = append(w.secrets, variable)
		d.offer(variable, strings.TrimSuffix(string(text), "\n"))
	}
	return nil
}

func (w *wizard) credentialPath(name string) string {
	return filepath.Join("/", w.flags.Root, "/etc/credstore", config.CredentialName(w.draft.name, name))
}

// complete says which flags are missing when there is nobody to ask.
func (w *wizard) complete(context.Context) error {
	if w.asked {
		return nil
	}
	d, f := w.draft, w.flags
	var missing []string
	for _, need := range []struct {
		has  bool
		flag string
	}{
		{d.name != "", "NAME"},
		{d.values["DBACKED_DB_TYPE"] != "", "--db-type"},
		{d.values["DBACKED_DB_NAME"] != "", "--db-name"},
		{d.values["DBACKED_DB_USERNAME"] != "" || f.CreateUser, "--db-username (or --create-user)"},
		{!d.isService() || d.values["DBACKED_APIKEY"]+d.values["DBACKED_APIKEY_FILE"] != "", "--apikey-file"},
		{d.values["DBACKED_PUBLIC_KEY"] != "" || f.NewPrivateKey != "" || d.isService(), "--public-key (or --new-private-key)"},
		{f.NewPrivateKey == "" || f.PassphraseFile != "" || f.NoPassphrase, "--passphrase-file (or --no-passphrase)"},
		{f.Yes, "--yes"},
	} {
		if !need.has {
			missing = append(missing, need.flag)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	reason := "there is no terminal to ask on"
	if f.Yes {
		reason = "--yes asks nothing"
	}
	return &usageError{fmt.Errorf("%s, and this is missing: %s", reason, strings.Join(missing, ", "))}
}
