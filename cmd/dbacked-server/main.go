// Command dbacked-server is the DBacked service: it tells agents when a backup is
// due, and keeps what they upload.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/alecthomas/kong"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// version is set by the build.
var version = "0.0.0-dev"

// Exit statuses.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// commands is the command line.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Serve agents, until told to stop."`
	Project projectCommand `cmd:"" help:"Projects: one for each database that is backed up."`
	Key     keyCommand     `cmd:"" help:"Keys: of agents, which can only add, and for restores."`
	Token   tokenCommand   `cmd:"" help:"Tokens: of administrators, for the REST API and the metrics."`
	Backup  backupCommand  `cmd:"" help:"Backups that are stored, or under way."`
	Agent   agentCommand   `cmd:"" help:"Agents that were seen."`
	Alert   alertCommand   `cmd:"" help:"Alerts: what is wrong, and who is told."`
	Audit   auditCommand   `cmd:"" help:"Who did what."`
	Copy    copyCommand    `cmd:"" help:"Write a copy of the database, for a backup of the service itself."`
	Version versionCommand `cmd:"" help:"Show the version."`
}

const description = `The DBacked service: it tells agents when a backup is due, gives it to one of them, and keeps what they upload.

  dbacked-server project create shop --public-key public.pem --schedule '0 2 * * *'
  dbacked-server serve --listen 127.0.0.1:5000`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// app is what every command gets.
type app struct {
	out, err io.Writer
	actor    string // who this is, before root acts as another
}

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, out, stderr io.Writer) (status int) {
	a := &app{out: out, err: stderr, actor: actor()}
	err := settings(settingsFile, args)
	if err == nil {
		err = dispatch(ctx, args, a)
	}
	switch _, usage := errors.AsType[*kong.ParseError](err); {
	case err == nil:
		return exitOK
	case usage:
		status = exitUsage
	default:
		status = exitFailure
	}
	fmt.Fprintf(stderr, "dbacked-server: %v%s\n", err, hint(err))
	return status
}

// hint says where to look for what there is.
func hint(err error) string {
	kind := ""
	if missing, ok := errors.AsType[*admin.NotFound](err); ok {
		kind = missing.Kind
	}
	if refused, ok := errors.AsType[*admin.Refused](err); ok {
		kind = refused.Kind
	}
	list, ok := map[string]string{
		admin.KindProject: "project list", admin.KindKey: "key list PROJECT", admin.KindBackup: "backup list PROJECT",
		admin.KindTarget: "alert target list", admin.KindToken: "token list",
	}[kind]
	if !ok {
		return ""
	}
	return ": dbacked-server " + list
}

// as acts for who this is.
func (a *app) as(r *records.Store) *admin.Admin { return admin.New(r, a.actor, time.Now) }

// printable is what an agent said of itself, fit for a terminal.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, text)
}

func dispatch(ctx context.Context, args []string, a *app) error {
	var c commands
	helped := false
	parser, err := kong.New(&c,
		kong.Name("dbacked-server"),
		kong.Description(description),
		kong.Writers(a.out, a.err),
		kong.Exit(func(int) { helped = true }), // called after --help; the process ends in main
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	if err != nil {
		return fmt.Errorf("internal error: %w", err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if helped {
		return nil
	}
	if err != nil {
		return err
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return parsed.Run(a)
}

// print prints a value as JSON, or what text writes into a table.
func (a *app) print(asJSON bool, v any, text func(w io.Writer)) error {
	if asJSON {
		return json.NewEncoder(a.out).Encode(v)
	}
	table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	text(table)
	return table.Flush()
}

// list prints values as JSON, an object a line, or what text writes into a table.
func list[T, S any](a *app, asJSON bool, all []T, shown func(T) S, text func(w io.Writer)) error {
	if !asJSON {
		return a.print(false, nil, text)
	}
	for _, one := range all {
		if err := a.print(true, shown(one), nil); err != nil {
			return err
		}
	}
	return nil
}

type versionCommand struct{}

func (versionCommand) Run(a *app) error {
	_, err := fmt.Fprintln(a.out, version)
	return err
}
