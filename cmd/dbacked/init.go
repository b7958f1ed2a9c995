package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/config"
)

type initCommand struct {
	Name string `arg:"" optional:"" help:"What to call the instance: it becomes /etc/dbacked/NAME.env."`

	Yes        bool  `name:"yes" short:"y" help:"Ask nothing: agree, and take the default of what no flag says."`
	Force      bool  `name:"force" help:"Write NAME.env anew where there is one; what it sets and no flag says stays."`
	SkipChecks bool  `name:"skip-checks" help:"Go on although the database or the storage cannot be used as it is."`
	Enable     *bool `name:"enable" negatable:"" help:"Start the instance's service, now and at boot."`

	Import string `name:"import" placeholder:"FILE" help:"Take the answers from a config.json of the former agent."`

	CreateUser           bool   `name:"create-user" group:"Database" help:"Make the database's user, with no more rights than a backup needs."`
	AdminUsername        string `name:"admin-username" group:"Database" placeholder:"USER" help:"Administrator who makes that user (as root on a local socket: postgres, or root)."`
	AdminPasswordFile    string `name:"admin-password-file" group:"Database" placeholder:"FILE" help:"File that holds the administrator's password."`
	PasswordAsCredential bool   `name:"password-as-credential" group:"Database" help:"Keep the password, and the key of a service, in /etc/credstore instead of NAME.env."`

	NewPrivateKey  string `name:"new-private-key" group:"Encryption" placeholder:"FILE" help:"Make a key pair, and put the private key there."`
	PassphraseFile string `name:"passphrase-file" group:"Encryption" placeholder:"FILE" xor:"passphrase" help:"File that holds the passphrase of the new private key, instead of a question for it."`
	NoPassphrase   bool   `name:"no-passphrase" group:"Encryption" xor:"passphrase" help:"Leave the new private key unencrypted: whoever reads the file can read every backup."`

	ServiceUser string `name:"service-user" placeholder:"USER" help:"User that the service runs as (dbacked)."`
	Root        string `name:"root" hidden:"" placeholder:"DIR" help:"Folder that stands for / where files are written."`
	Job         bool   `name:"job" hidden:"" help:"Do one thing, told on standard input, as the user that this process is."`

	config.CommonFlags
	config.DatabaseFlags
	config.StorageFlags
	config.SealFlags
	config.TimeoutFlags
	config.ScheduleFlags
}

// Help shows examples.
func (*initCommand) Help() string {
	return `Asks what a backup needs to know, tries each answer, and writes /etc/dbacked/NAME.env. Every answer is a
flag too. Until the end nothing is kept: Ctrl-C takes back what was made.

Examples:
  sudo dbacked init shop
  sudo dbacked init shop --db-type pg --db-name shop --create-user --new-private-key /root/shop.pem \
      --passphrase-file passphrase.txt --yes
  sudo dbacked init shop --force --yes --schedule '30 2 * * *'
  sudo dbacked init shop --api-url https://backups.example.org --apikey-file key.txt --db-type pg --db-name shop \
      --create-user --yes
  sudo dbacked init old --import /etc/dbacked/config.json`
}

func (i *initCommand) Run(ctx context.Context, a *app) error {
	if i.Job {
		return doJob(ctx, a)
	}
	w, err := newWizard(i, a)
	if err != nil {
		return err
	}
	err = w.run(ctx)
	if err != nil {
		w.undo.all(a)
	}
	return err
}

// wizard is one run of init.
type wizard struct {
	*app
	flags *initCommand
	asked bool // whether there is somebody to ask

	draft   *draft
	service *identity // who the service runs as; nil: whoever runs this
	undo    undoing

	configDirectory string
	unitDirectory   string
	agentID         string // of the former agent
	admin           *admin
	keyPair         *keyPair // one that this run makes
	publicPEM       string
	publicPath      string
	planned         *plan
	trust           string // the verifier key of this host

	project     api.Project // of the key of a service; empty without one
	pin, pinned string      // the project's public key, if backups are encrypted for it, and the one that was before
	secrets     []string    // variables that are credentials, and not in NAME.env
}

func newWizard(i *initCommand, a *app) (*wizard, error) {
	w := &wizard{
		app: a, flags: i, asked: a.asks && !i.Yes,
		configDirectory: filepath.Join(i.Root, "/etc/dbacked"), unitDirectory: filepath.Join(i.Root, "/etc/systemd/system"),
	}
	for _, directory := range []string{valueOf(a.environ, "DBACKED_CONFIG_DIRECTORY"), i.ConfigDirectory} {
		if directory != "" {
			w.configDirectory = directory
		}
	}
	var err error
	if w.configDirectory, err = filepath.Abs(w.configDirectory); err != nil {
		return nil, err
	}
	if len(i.PublicKey) > 0 && i.NewPrivateKey != "" {
		return nil, &usageError{errors.New("--new-private-key makes a pair, and --public-key is of one that exists: give one of them")}
	}
	if w.service, err = serviceUser(i.ServiceUser); err != nil {
		return nil, err
	}
	if i.PasswordAsCredential {
		w.secrets = slices.Collect(maps.Keys(secretCredentials()))
	}
	w.draft, err = newDraft(i, a.environ)
	return w, err
}

// run asks, tries, and writes.
func (w *wizard) run(ctx context.Context) error {
	if err := w.begin(); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		w.former, w.name, w.present, w.complete,
		w.server, w.account, w.storage, w.key, w.schedule,
		w.agree, w.write, w.report,
	} {
		if err := step(ctx); err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	w.undo.keep()
	return w.enable(ctx)
}

// begin sees that what is asked for can be written at the end.
func (w *wizard) begin() error {
	if err := w.draft.wrong(); err != nil {
		return err
	}
	directory := nearestFolder(w.configDirectory)
	probe, err := os.CreateTemp(directory, ".dbacked-init-*")
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("%s cannot be written: run this as root (sudo dbacked init): %w", directory, os.ErrPermission)
		}
		return fmt.Errorf("%s cannot be written: %w", directory, err)
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	if w.flags.DBPassword.IsSet() {
		w.warn("--db-password is visible to every user of this machine in ps: better use --db-password-file")
	}
	if w.flags.APIKey.IsSet() {
		w.warn("--apikey is visible to every user of this machine in ps: better use --apikey-file")
	}
	if w.service == nil && os.Geteuid() == 0 {
		w.warn("there is no user " + unitUser + ", as whom the service runs (the package makes it): all is tried as root")
	}
	if w.asked {
		w.say("This asks what a backup needs to know, tries each answer, and writes a file in %s.", w.configDirectory)
		w.say("Enter takes what stands in [brackets]. Until the end nothing is kept; Ctrl-C leaves.\n")
	}
	return nil
}

// nearestFolder is dir, or the folder above it that exists.
func nearestFolder(dir string) string {
	for {
		if info, err := os.Stat(dir); err == nil && info.IsDir() || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}
