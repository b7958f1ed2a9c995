package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
	"github.com/dbacked/dbacked/pkg/locker"
	"github.com/dbacked/dbacked/pkg/storage"
)

const (
	subjectStorage = "storage"
	fixStorage     = "see DBACKED_STORAGE"
	fixConditions  = "use a service that knows If-None-Match and If-Match, or one that has been mended to; or set DBACKED_LOCK=database"
)

// checkPlaces looks at each place.
func checkPlaces(ctx context.Context, c *config.Config) (all []dumper.Finding) {
	for i, s := range c.Places {
		found := checkStorage(ctx, c.At(s))
		if i > 0 {
			if err := sameFolder(c, s); err != nil {
				found = append(found, finding(subjectStorage, "", fixStorage, err))
			}
		}
		for _, f := range found {
			if len(c.Places) > 1 {
				f.Subject = fmt.Sprintf("%s, place %d", f.Subject, i+1)
			}
			if len(c.Places) > 1 && f.Level == dumper.Fail {
				f.Message = s.String() + ": " + f.Message
			}
			all = append(all, f)
		}
	}
	return all
}

// checkStorage writes a probe, and removes it where it may.
func checkStorage(ctx context.Context, c *config.Config) []dumper.Finding {
	store, err := makeStore(c)
	if err != nil {
		return []dumper.Finding{finding(subjectStorage, "", fixStorage, err)}
	}
	defer func() { _ = store.Close() }()
	if p, ok := store.(guarded); ok {
		return (&probing{store: p, config: c, probe: catalog.Path(c.Instance, "control", "probe")}).run(ctx)
	}
	found := []dumper.Finding{checkFolder(ctx, c, store)}
	if s, ok := store.(lacking); ok && found[0].Level != dumper.Fail {
		found = append(found, checkLacks(ctx, c, s)...)
	}
	return found
}

// lacking is a store that cannot do all that the others can.
type lacking interface {
	Lacks(ctx context.Context) ([]string, error)
}

// checkLacks says what a store cannot do, a warning each.
func checkLacks(ctx context.Context, c *config.Config, store lacking) (found []dumper.Finding) {
	lacks, err := store.Lacks(ctx)
	for _, what := range lacks {
		found = append(found, dumper.Finding{Level: dumper.Warn, Subject: subjectStorage, Message: what})
	}
	if err != nil {
		found = append(found, finding(subjectStorage, "", fixStorage, err))
	}
	return found
}

// checkFolder is checkStorage where the same rights go for all that is stored.
func checkFolder(ctx context.Context, c *config.Config, store depot) dumper.Finding {
	probe := catalog.Path(c.Instance, "control", "probe-"+catalog.NewID(time.Now()))
	if err := store.Put(ctx, probe, []byte(probeText)); err != nil {
		return finding(subjectStorage, "", fixStorage, err)
	}
	if err := keepsFirst(ctx, store, probe); err != nil {
		return dumper.Finding{Level: dumper.Fail, Subject: subjectStorage, Message: err.Error(), Fix: fixConditions}
	}
	err := store.Remove(ctx, probe)
	if err != nil && (errors.Is(err, storage.ErrLocked) || errors.Is(err, fs.ErrPermission)) {
		return dumper.Finding{Level: dumper.OK, Subject: subjectStorage, Message: c.Storage.String() + " can be written, and nothing there can be removed by this host"}
	}
	return finding(subjectStorage, c.Storage.String()+" can be written", fixStorage, err)
}

// probeText is what a probe holds.
const probeText = "a probe of dbacked check; it can be removed\n"

var errOverwrites = errors.New("it overwrites what is there although it was told not to: a backup would not be safe from another")

// keepsFirst says whether the store refuses to write what is there already. A
// service that ignores the condition would let one backup overwrite another, and
// two agents hold one lease.
func keepsFirst(ctx context.Context, store storage.Store, probe string) error {
	err := store.Put(ctx, probe, []byte("another probe, which must be refused\n"))
	if errors.Is(err, storage.ErrExists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("whether it keeps what is there could not be seen: %w", err)
	}
	return errOverwrites
}

// checkLock takes the lock that the database keeps; where the storage keeps it,
// its own check has said what there is to say.
func checkLock(ctx context.Context, c *config.Config) []dumper.Finding {
	if c.Lock != config.LockDatabase {
		return nil
	}
	const subject = "lock"
	_, release, err := serverLock(c, zap.NewNop()).Acquire(ctx)
	switch {
	case errors.Is(err, locker.ErrHeld):
		return []dumper.Finding{{Level: dumper.OK, Subject: subject, Message: "a run holds that of the database's server at this moment"}}
	case err != nil:
		return []dumper.Finding{finding(subject, "", "connect to the server itself and not to a pooler, or set DBACKED_LOCK=storage", err)}
	}
	release()
	return []dumper.Finding{{Level: dumper.OK, Subject: subject, Message: "that of the database's server can be taken"}}
}
