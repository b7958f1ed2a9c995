package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/client"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/pipeline"
)

// oldService is a service without capabilities: it keeps one file a backup, and no
// manifest. What it knows of a backup is in its list.
type oldService struct {
	config  *config.Config
	conn    *client.Client
	project api.Project
}

// errNoManifest says why nothing proves the origin of what an old service keeps.
var errNoManifest = fmt.Errorf("%w: the service keeps no manifest, only the file", catalog.ErrUnproved)

// openOld asks a service what it is. It returns nil for any other storage, and for a
// service that is read as any storage is.
func openOld(ctx context.Context, c *config.Config) (*oldService, error) {
	if !c.Storage.IsService() {
		return nil, nil
	}
	conn, err := newClient(c, "")
	if err != nil {
		return nil, err
	}
	project, err := conn.Project(ctx)
	if err == nil && project.Old() {
		return &oldService{c, conn, project}, nil
	}
	_ = conn.Close()
	return nil, err
}

func (o *oldService) close() { _ = o.conn.Close() }

// pick finds a backup by its id or how that begins; the newest when id is empty.
func (o *oldService) pick(id string) (api.Backup, error) {
	var entries []catalog.Entry
	for _, b := range o.project.Backups {
		entries = append(entries, catalog.Entry{ID: b.ID})
	}
	e, err := pick(entries, id, o.config)
	for _, b := range o.project.Backups {
		if err == nil && b.ID == e.ID {
			return b, nil
		}
	}
	return api.Backup{}, err
}

// oldListed is a backup as --json prints it.
type oldListed struct {
	ID       string    `json:"id"`
	Proved   bool      `json:"proved"`           // it never is
	Error    string    `json:"error"`            // why not
	DBType   string    `json:"dbType,omitempty"` // pg or mysql
	Finished time.Time `json:"finished,omitzero"`
	Size     int64     `json:"size,omitempty"` // bytes stored
	Filename string    `json:"filename,omitempty"`
}

func (o *oldService) print(w io.Writer, b api.Backup) error {
	return json.NewEncoder(w).Encode(oldListed{b.ID, false, errNoManifest.Error(), b.DBType, b.FinishedAt.UTC(), b.Size, b.Filename})
}

// printMade prints a backup that was just made; of one that is not listed, its id.
func (o *oldService) printMade(w io.Writer, id string) error {
	for _, b := range o.project.Backups {
		if b.ID == id {
			return o.print(w, b)
		}
	}
	return o.print(w, api.Backup{ID: id})
}

// list prints what the service lists.
func (o *oldService) list(a *app, asJSON bool) error {
	backups := o.project.Backups
	switch {
	case asJSON:
		for _, b := range backups {
			if err := o.print(a.out, b); err != nil {
				return err
			}
		}
		return nil
	case len(backups) == 0:
		a.say("no backups of %s in %s yet: dbacked backup %s", o.config.Instance, o.config.Storage, o.config.Instance)
		return nil
	}
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "BACKUP\tFINISHED\tAGE\tDATABASE\tSTORED\tORIGIN")
	for _, b := range backups {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\tnot proved\n", printable(b.ID), b.FinishedAt.Local().Format(time.DateTime), age(b.FinishedAt), printable(b.DBType), size(b.Size))
	}
	return t.Flush()
}

// oneFile makes of a backup what an old service keeps: the dump alone.
func oneFile(b *dumpRun, conn *client.Client, run *client.Run, log *zap.Logger) {
	var dump []pipeline.Stream
	for _, s := range b.Streams {
		if s.Kind == catalog.KindDump {
			dump = append(dump, s)
		}
	}
	b.Streams, b.Store = dump, conn.OneFile(run)
	b.Plan, b.parallel = nil, nil
	log.Info("the service keeps one file a backup and no manifest: roles are not in it, and nothing there proves who made it")
}

// oldHistory is what an old service knows of its newest backups: not when they began, so
// that is said to be their end, nor how large the dump is.
func oldHistory(project api.Project, n int) []agent.Backup {
	var all []agent.Backup
	for _, b := range project.Backups[:min(n, len(project.Backups))] {
		engine := b.DBType
		if engine == config.Postgres {
			engine = "postgresql"
		}
		all = append(all, agent.Backup{ID: b.ID, Started: b.FinishedAt.UTC(), Finished: b.FinishedAt.UTC(), Engine: engine, StoredBytes: b.Size, Unproved: true})
	}
	return all
}
