package main

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
	"github.com/dbacked/dbacked/pkg/encryptor"
)

// database is what both engines can do.
type database interface {
	CheckOptions() error
	Describe(ctx context.Context) (dumper.Info, error)
	Dump(ctx context.Context, w io.Writer) error
	DumpGlobals(ctx context.Context, w io.Writer) (note string, err error)
	Check(ctx context.Context) ([]dumper.Finding, error)
	Session(ctx context.Context) (dumper.Session, error)
	State(ctx context.Context) (dumper.State, error)
	MissingRoles(ctx context.Context, globals io.Reader) ([]string, error)
	CreateRoles(ctx context.Context, globals io.Reader, names []string, how dumper.RoleMode) error
	Restore(ctx context.Context, r io.Reader, o dumper.RestoreOptions) error
}

// load reads the configuration and says what is odd about it. From then on, what
// root started acts as the user of the instance.
func (a *app) load(name string, flags config.Flags, need config.Need) (*config.Config, error) {
	c, err := a.loader().Load(name, flags, a.environ, need)
	if err != nil {
		return nil, err
	}
	for _, w := range c.Warnings {
		a.warn(w)
	}
	return c, a.settle(c)
}

func openDatabase(c *config.Config, log *zap.Logger) database {
	d := c.Database
	connection := dumper.Connection{
		Host: d.Host, Port: d.Port, Username: d.Username, Password: d.Password.Reveal(), Database: d.Name,
		TLS: dumper.TLS{Mode: d.TLS.Mode, CA: d.TLS.CA, Cert: d.TLS.Cert, Key: d.TLS.Key},
	}
	limits := dumper.Limits{
		Connect: c.Timeouts.Connect, Lock: c.Timeouts.Lock, Stall: c.Timeouts.Stall,
		Stop: c.Timeouts.Stop / 2, // the other half is for removing what was stored
	}
	tools := dumper.Tools{Path: d.ToolsPath, Environ: c.Environ, Options: d.DumperOptions}
	if d.Type == config.MySQL {
		return dumper.NewMySQL(connection, limits, tools, log)
	}
	return dumper.NewPostgres(connection, limits, tools, log)
}

// recipients parses the public keys that a backup is sealed for.
func recipients(c *config.Config) ([]*rsa.PublicKey, error) {
	keys, err := encryptor.ParsePublicKeys([]byte(c.Keys.PublicKeys))
	if err != nil {
		return nil, configError(c, "DBACKED_PUBLIC_KEY (from %s): %v", c.Source("DBACKED_PUBLIC_KEY"), err)
	}
	return keys, nil
}

// privateKey parses the private key; its passphrase is asked for if it needs
// one and none is configured.
func (a *app) privateKey(ctx context.Context, c *config.Config) (*rsa.PrivateKey, error) {
	key, err := encryptor.ParsePrivateKey([]byte(c.Keys.PrivateKey.Reveal()), func() ([]byte, error) {
		if c.Keys.Passphrase.IsSet() {
			return []byte(c.Keys.Passphrase.Reveal()), nil
		}
		secret, err := a.askSecret(ctx, "Passphrase of the private key: ")
		if errors.Is(err, errNoTerminal) {
			return nil, configError(c, "the private key is encrypted, and there is no terminal to ask for its passphrase: set DBACKED_PRIVATE_KEY_PASSPHRASE_FILE or --passphrase-file")
		}
		return secret, err
	})
	if err != nil {
		return nil, fmt.Errorf("private key (from %s): %w", c.Source("DBACKED_PRIVATE_KEY"), err)
	}
	return key, nil
}

// trust is whose manifests prove a backup's origin: the pinned keys, and on the
// host that makes the backups its own.
func trust(c *config.Config) (catalog.Trust, error) {
	t, err := catalog.ParseTrust(c.Trust)
	if err != nil {
		return nil, configError(c, "DBACKED_TRUST (from %s): %v", c.Source("DBACKED_TRUST"), err)
	}
	own, err := catalog.OwnTrust(c.StateDirectory)
	return append(t, own...), err
}

func configError(c *config.Config, format string, args ...any) error {
	return &config.Error{Instance: c.Instance, Problems: []string{fmt.Sprintf(format, args...)}}
}

// agentID names this installation in manifests: the former agent's id if there
// is one, else one made on first use.
func agentID(c *config.Config) (string, error) {
	if c.AgentID != "" {
		return c.AgentID, nil
	}
	return catalog.LoadOrCreateAgentID(c.StateDirectory)
}
