package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/encryptor"
)

// keyBelow says whether a key of a service may stand below NAME.env, in a credential or
// in the former agent's config.json: it would apply if NAME.env named no storage.
func (w *wizard) keyBelow() bool {
	for _, path := range []string{w.credentialPath("apikey"), filepath.Join(w.configDirectory, "config.json")} {
		if _, err := os.Lstat(path); err == nil {
			return true
		}
	}
	return false
}

// apikeyQuestion asks for the key of a service.
func (w *wizard) apikeyQuestion() question {
	d := w.draft
	return question{
		variable: "DBACKED_APIKEY", text: "Key of the project there", secret: true, check: given("a key of the project"),
		skip:  func() bool { return !d.isService() || d.values["DBACKED_APIKEY_FILE"] != "" },
		clean: strings.TrimSpace,
	}
}

// tryService asks the service for the project of the key, and shows it.
func (w *wizard) tryService(ctx context.Context) error {
	d := w.draft
	w.project = api.Project{}
	for _, variable := range config.DecidedByService() {
		if d.values[variable] != "" {
			w.warn(settingOf(variable) + " is left out: the project of the service says when backups are made, and which are kept")
		}
		delete(d.values, variable)
	}
	c, err := d.load(config.NeedStorage)
	if err != nil {
		return err
	}
	for _, text := range c.Warnings {
		w.warn(text)
	}
	conn, err := newClient(c, "")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	project, err := conn.Project(ctx)
	if err == nil {
		err = makesBackups(project)
	}
	if err != nil {
		if !w.flags.SkipChecks || ctx.Err() != nil {
			return err
		}
		w.warn(err.Error())
		return nil
	}
	w.project = project
	w.good("%s", describeProject(c, project))
	for _, f := range checkCapabilities(project) {
		w.warn(f.Message)
	}
	return nil
}

// projectKey takes the public key of the project, if it has one and none is given
// here. It is remembered at the end, so that another one is refused.
func (w *wizard) projectKey(ctx context.Context) (taken bool, err error) {
	named := w.project.PublicKey
	if named == "" || w.draft.values["DBACKED_PUBLIC_KEY"] != "" {
		return false, nil
	}
	keys, err := encryptor.ParsePublicKeys([]byte(named))
	if err != nil {
		w.warn("the public key of the project cannot be used: " + err.Error())
		return false, nil
	}
	c, err := w.draft.load(config.NeedInstance)
	if err != nil {
		return false, err
	}
	pinned, err := catalog.PinnedKey(c.StateDirectory)
	if err != nil {
		return false, err
	}
	w.say("  the project has a public key: RSA, %d bits, %s", keys[0].N.BitLen(), keyName(named))
	if pinned != "" && keyName(pinned) != keyName(named) {
		if err := w.acceptChange(ctx, pinned, named); err != nil {
			return false, err
		}
	}
	yes, err := w.agrees(ctx, "Encrypt for it? Whoever holds its private key can read the backups. (n: for another)")
	if err != nil || !yes {
		return false, err
	}
	w.pin, w.pinned = named, pinned
	return true, nil
}

// acceptChange asks whether a key is meant that is not the one seen before.
func (w *wizard) acceptChange(ctx context.Context, pinned, named string) error {
	change := &keyChangedError{instance: w.draft.name, pinned: keyName(pinned), named: keyName(named)}
	if !w.asked {
		return &refusedError{fmt.Errorf("%w; or give --public-key", change)}
	}
	yes, err := w.confirm(ctx, fmt.Sprintf("Backups of %s were encrypted for another one until now, %s. Is the change meant?", w.draft.name, keyName(pinned)))
	if err == nil && !yes {
		err = &refusedError{errors.New("then nothing is changed: see who gave the project that key")}
	}
	return err
}

// compareKeys says that the key given here is not the project's.
func (w *wizard) compareKeys() {
	keys, err := encryptor.ParsePublicKeys([]byte(w.publicPEM))
	if err == nil && w.project.PublicKey != "" && !holds(keys, w.project.PublicKey) {
		w.warn("the project has another public key, " + keyName(w.project.PublicKey) + "; this one is used, and the service tells its owner that they differ")
	}
}
