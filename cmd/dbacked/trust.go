package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/encryptor"
)

type trustCommand struct {
	Name string `arg:"" help:"The instance, as in /etc/dbacked/NAME.env."`
	Yes  bool   `name:"yes" short:"y" help:"Do not ask."`

	config.CommonFlags
	config.ServiceFlags
}

// Help shows examples.
func (*trustCommand) Help() string {
	return `With a key of the service, and without DBACKED_PUBLIC_KEY, backups are encrypted for the public key that the
project has there. The first one seen is remembered; when it changes, backups stop, since whoever could change
it could read those that come after. This command shows both keys and, if you say so, remembers the new one.
Compare it with the key that you made, on the machine that holds it:

  openssl pkey -in private.pem -pubout -outform DER | sha256sum

Examples:
  dbacked trust shop`
}

func (t *trustCommand) Run(ctx context.Context, a *app) error {
	c, err := a.load(t.Name, config.Flags{CommonFlags: t.CommonFlags, StorageFlags: config.StorageFlags{ServiceFlags: t.ServiceFlags}}, config.NeedStorage)
	if err != nil {
		return err
	}
	if !c.Storage.IsService() {
		return configError(c, "there is no key of the service (DBACKED_APIKEY): the key that backups are encrypted for is DBACKED_PUBLIC_KEY, and nobody else can change it")
	}
	conn, err := newClient(c, "")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	project, err := conn.Project(ctx)
	if err != nil {
		return err
	}
	pinned, err := catalog.PinnedKey(c.StateDirectory)
	if err != nil {
		return err
	}
	return t.accept(ctx, a, c, pinned, project.PublicKey)
}

// accept remembers the key that the service names.
func (t *trustCommand) accept(ctx context.Context, a *app, c *config.Config, pinned, named string) error {
	if named == "" {
		return fmt.Errorf("the project in %s has no public key: give it one there, or set DBACKED_PUBLIC_KEY here", c.Storage)
	}
	if _, err := encryptor.ParsePublicKeys([]byte(named)); err != nil {
		return fmt.Errorf("the public key of the project in %s: %w", c.Storage, err)
	}
	switch {
	case pinned == "":
		a.say("no key was seen yet")
	case keyName(pinned) == keyName(named):
		a.say("nothing has changed: backups of %s are encrypted for %s", c.Instance, keyName(named))
		return nil
	default:
		a.say("until now:        %s", keyName(pinned))
	}
	a.say("the service says: %s", keyName(named))
	if !t.Yes {
		ok, err := a.confirm(ctx, "Encrypt the backups from now on for that key?")
		if errors.Is(err, errNoTerminal) {
			return &refusedError{fmt.Errorf("%w: add -y to accept the key %s", err, keyName(named))}
		}
		if err != nil {
			return err
		}
		if !ok {
			return &refusedError{errors.New("the key stays as it was, and backups stop until that is the project's again")}
		}
	}
	if err := catalog.PinKey(c.StateDirectory, named); err != nil {
		return err
	}
	a.say("remembered: the next backup of %s is encrypted for it", c.Instance)
	return nil
}
