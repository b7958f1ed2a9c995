package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/config"
)

// plan is what will be written, settled.
type plan struct {
	env         []byte
	public      []byte            // nil: the key stays where it is
	credentials map[string]string // by their names
	dropIns     map[string]string
	state       string
	shown       []string // lines for people, without secrets
}

// plan makes the files of the answers.
func (w *wizard) plan() (*plan, error) {
	d := w.draft
	p := &plan{credentials: map[string]string{}}
	if w.publicPath == "" && w.publicPEM != "" {
		w.publicPath = filepath.Join(w.configDirectory, d.name+".public.pem")
		p.public = []byte(w.publicPEM)
	}
	d.values["DBACKED_PUBLIC_KEY"] = w.publicPEM
	if d.values["DBACKED_STORAGE"] == fileScheme+stateRoot && !w.keyBelow() {
		delete(d.values, "DBACKED_STORAGE")
	}
	if d.values["DBACKED_API_URL"] == api.DefaultURL {
		delete(d.values, "DBACKED_API_URL")
	}
	c, err := d.load(everything)
	if err != nil {
		return nil, err
	}
	p.dropIns, p.state = dropIns(c), c.StateDirectory
	var out []config.Assignment
	for _, a := range d.assignments() {
		switch {
		case a.Name == "DBACKED_PUBLIC_KEY":
			a.Value = w.publicPath
		case slices.Contains(w.secrets, a.Name):
			p.credentials[secretCredentials()[a.Name]] = a.Value
			continue
		}
		out = append(out, a)
		p.shown = append(p.shown, a.Name+"="+shownValue(a))
	}
	p.env, err = config.EncodeEnv(out)
	return p, err
}

// shownValue is a value without what nobody shall read on a screen.
func shownValue(a config.Assignment) string {
	for _, s := range config.Settings() {
		if s.Variable == a.Name && !s.Secret {
			return printable(a.Value)
		}
	}
	return "…" // a secret, or a variable that is not dbacked's: who knows
}

// agree shows what will be written.
func (w *wizard) agree(ctx context.Context) error {
	p, err := w.plan()
	if err != nil {
		return err
	}
	w.planned = p
	w.say("\n%s:", w.envPath())
	for _, line := range p.shown {
		w.say("    %s", line)
	}
	for name, text := range p.dropIns {
		if text != "" {
			w.say("%s: lets the service at it", strings.Join(w.dropInPaths(name), ", "))
		}
	}
	if w.keyPair != nil {
		w.say("%s: the private key", w.keyPair.path)
	}
	yes, err := w.agrees(ctx, "Write this?")
	if err != nil {
		return err
	}
	if !yes {
		return &refusedError{errors.New("nothing was written")}
	}
	return nil
}

// write keeps the answers; NAME.env, which makes an instance of them, last.
func (w *wizard) write(ctx context.Context) error {
	p := w.planned
	if w.keyPair != nil {
		if err := writeNew(w.keyPair.path, w.keyPair.private, 0o600); err != nil {
			return err
		}
		path := w.keyPair.path
		w.undo.add(path, func(context.Context) error { return removeEmpty(path) })
	}
	if err := w.makeFolders(w.configDirectory); err != nil {
		return err
	}
	if p.public != nil {
		if err := w.replace(w.publicPath, p.public, 0o644); err != nil {
			return err
		}
	}
	for name, text := range p.credentials {
		path := w.credentialPath(name)
		if err := w.makeFolders(filepath.Dir(path)); err != nil {
			return err
		}
		if err := w.replace(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	for name, text := range p.dropIns {
		if err := w.writeDropIn(name, text); err != nil {
			return err
		}
	}
	if err := w.sign(ctx, p.state); err != nil {
		return err
	}
	head := fmt.Sprintf("# Backups of %s, as dbacked init wrote it on %s: see dbacked.env(5).\n# Read by systemd: \"systemctl restart dbacked@%s\" after a change.\n",
		w.draft.name, time.Now().Format(time.DateOnly), w.draft.name)
	if err := w.replaceUnlessNew(w.envPath(), append([]byte(head), p.env...)); err != nil {
		return err
	}
	return w.reread()
}

// reread loads what was written, as a backup will.
func (w *wizard) reread() error {
	loader := config.Loader{Credential: func(_, name string) string {
		path := w.credentialPath(name)
		if _, err := os.Stat(path); err != nil {
			return ""
		}
		return path
	}}
	_, err := loader.Load(w.draft.name, config.Flags{CommonFlags: config.CommonFlags{ConfigDirectory: w.configDirectory}}, plainEnviron(w.environ), everything)
	return err
}

// writeDropIn writes a drop-in, or removes one that is needed no more.
func (w *wizard) writeDropIn(name, text string) error {
	for _, path := range w.dropInPaths(name) {
		old, err := os.ReadFile(path)
		switch {
		case text != "" && (err != nil || strings.HasPrefix(string(old), dropInMark)):
			if err := w.makeFolders(filepath.Dir(path)); err != nil {
				return err
			}
			if err := w.replace(path, []byte(text), 0o644); err != nil {
				return err
			}
		case text != "":
			w.warn(path + " is not init's and stays as it is: see that it has this:\n" + text)
		case strings.HasPrefix(string(old), dropInMark): // of a former storage
			if err := os.Remove(path); err != nil {
				return err
			}
			w.undo.add(path, func(context.Context) error { return place(path, old, 0o644, os.Rename) })
		}
	}
	return nil
}

// sign has the service make its signing key.
func (w *wizard) sign(ctx context.Context, state string) error {
	_, err := os.Stat(state)
	if errors.Is(err, fs.ErrNotExist) {
		if err := w.makeFolders(filepath.Dir(filepath.Dir(state))); err != nil {
			return err
		}
		parent := filepath.Dir(state)
		if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
			if err := w.giveFolder(ctx, parent); err != nil {
				return err
			}
		}
	}
	if err := w.giveFolder(ctx, state); err != nil {
		return err
	}
	w.undoNew(state, "signing-key", "signing-key.pub", "agent-id", "project-key.pem")
	j := w.jobOf("signer")
	j.AgentID, j.PublicKey = w.agentID, w.pin
	if w.pinned != "" && w.pinned != w.pin {
		w.undo.add("the public key of the project in "+state, func(ctx context.Context) error {
			former := w.jobOf("signer")
			former.PublicKey = w.pinned
			_, err := w.as(ctx, w.service, former)
			return err
		})
	}
	result, err := w.as(ctx, w.service, j)
	w.trust = result.Verifier
	return err
}

// undoNew takes back those files of a folder that do not exist yet.
func (w *wizard) undoNew(dir string, names ...string) {
	for _, name := range names {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			w.undo.add(path, func(context.Context) error { return removeEmpty(path) })
		}
	}
}

// report says what is to be kept elsewhere.
func (w *wizard) report(context.Context) error {
	w.good("written: %s", w.envPath())
	if w.keyPair != nil {
		w.say("%s", w.privateWords())
	}
	if w.draft.isService() {
		w.say("\nThe key of this host can only add. Where you restore, take one that reads: dbacked-server key create %s --kind restore", cmp.Or(printable(w.project.Name), "PROJECT"))
	}
	w.say("\nKeep this beside the private key: it proves, where you restore, that a backup is this host's.")
	fmt.Fprintf(w.out, "DBACKED_TRUST=%s\n", w.trust)
	return nil
}
