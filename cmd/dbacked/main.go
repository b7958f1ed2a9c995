// Command dbacked backs up PostgreSQL and MySQL or MariaDB databases, encrypted,
// and brings them back.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/dbacked/dbacked/pkg/config"
)

// version is set by the build.
var version = "0.0.0-dev"

// commands is the command line.
type commands struct {
	Init    initCommand    `cmd:"" help:"Set up the backups of a database: asks, tries the answers, writes NAME.env."`
	Backup  backupCommand  `cmd:"" help:"Make one backup now."`
	Agent   agentCommand   `cmd:"" aliases:"start-agent" help:"Make backups whenever they are due, for ever."`
	Restore restoreCommand `cmd:"" help:"Bring a backup back into a database."`
	List    listCommand    `cmd:"" help:"List the backups that exist."`
	Verify  verifyCommand  `cmd:"" help:"Read a backup back and compare it with its manifest."`
	Remove  removeCommand  `cmd:"" help:"Remove a backup."`
	Prune   pruneCommand   `cmd:"" help:"Remove the backups that no rule keeps."`
	Trust   trustCommand   `cmd:"" help:"Accept that the service names another public key."`
	Check   checkCommand   `cmd:"" help:"Look for what would make a backup fail."`
	Status  statusCommand  `cmd:"" help:"Show how the instances on this machine are."`
	Keygen  keygenCommand  `cmd:"" help:"Make the key pair that backups are encrypted with."`
	Version versionCommand `cmd:"" help:"Show the version."`

	Completion completionCommand `cmd:"" help:"Print the script that completes commands in a shell."`
	Manual     manualCommand     `cmd:"" hidden:"" help:"Write the manual's pages."`
}

const description = `Encrypted backups of PostgreSQL and MySQL or MariaDB databases, and their restore.

Settings come from flags, the environment (DBACKED_…), /etc/dbacked/NAME.env and
config.json, in this order; NAME is what you call the database.`

func main() { os.Exit(start()) }

// start runs the program that this process is, and returns its exit status.
func start() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], newScreen(os.Stdin, os.Stdout, os.Stderr), os.Environ())
}

// run is the whole program but for the process around it; it returns the exit
// status.
func run(ctx context.Context, args []string, s *screen, environ []string) int {
	a := &app{screen: s, environ: environ}
	err := dispatch(ctx, args, a)
	if err == nil {
		return exitOK
	}
	if errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	if !a.reported {
		s.fail(err)
	}
	return exitStatus(err)
}

func dispatch(ctx context.Context, args []string, a *app) error {
	var c commands
	helped := false
	parser, err := kong.New(&c,
		kong.Name("dbacked"),
		kong.Description(description),
		kong.Writers(a.out, a.err),
		kong.Exit(func(int) { helped = true }), // called after --help; the process ends in main
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ValueFormatter(describeFlag(config.Settings())),
	)
	if err != nil {
		return fmt.Errorf("internal error: %w", err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(config.NormalizeArgs(args))
	if helped {
		return nil
	}
	if err != nil {
		return &usageError{err}
	}
	if parsed.Selected().Name != "agent" { // to which it says to check again
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
		defer stop()
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return parsed.Run(a)
}

// app is what every command gets.
type app struct {
	*screen
	environ []string

	runAs string     // the user to act as; empty: the instance's
	held  []*os.File // kept open until the end

	logged   bool // errors go to a log and not to a screen
	reported bool // the error that ends the command was told already
}

// describeFlag adds a setting's default and its variable to the help of its
// flag.
func describeFlag(settings []config.Setting) kong.HelpValueFormatter {
	return func(v *kong.Value) string {
		for _, s := range settings {
			own := v.HasDefault || v.Flag != nil && len(v.Flag.Xor) > 0 // keygen's, which are no settings
			if v.Flag == nil || own || s.Flag != "--"+v.Flag.Name {
				continue
			}
			if s.Default == "" {
				return fmt.Sprintf("%s ($%s)", v.Help, s.Variable)
			}
			return fmt.Sprintf("%s (default: %s; $%s)", v.Help, s.Default, s.Variable)
		}
		return kong.DefaultHelpValueFormatter(v)
	}
}
