package records

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
)

// File is one of a backup's.
type File struct {
	ProjectID, BackupID, Name string
	Number                    int    // from 1, in its backup
	Upload                    string // what a bucket calls the upload
	Complete                  bool
	Size                      int64
	ETag                      string
	Modified                  time.Time
	Parts                     []Part // only of File

	State, AgentID string // of its backup; only of Files and Objects
}

// Part is one of a file's.
type Part struct {
	Number int
	MD5    string // base64
	ETag   string // with its quotes; "" until it is stored, if the service stores it
	Size   int64  // 0: not said
}

const fileColumns = "f.project_id, f.backup_id, f.name, f.number, f.upload, f.complete, f.size, f.etag, f.modified"

func scanFile(row scanner, more ...any) (f File, err error) {
	var complete int
	var modified int64
	err = row.Scan(append([]any{&f.ProjectID, &f.BackupID, &f.Name, &f.Number, &f.Upload, &complete, &f.Size, &f.ETag, &modified}, more...)...)
	f.Complete, f.Modified = complete != 0, fromMillis(modified)
	return f, found(err)
}

// rowQuerier is a database, or a transaction.
type rowQuerier interface {
	querier
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func fileNamed(ctx context.Context, t rowQuerier, projectID, id, name string) (File, error) {
	return scanFile(t.QueryRowContext(ctx, "SELECT "+fileColumns+" FROM files f WHERE f.project_id = $1 AND f.backup_id = $2 AND f.name = $3", projectID, id, name))
}

// AskPart notes that an agent is to upload a part, and returns its file, which is
// made for its first one. A part may be asked for again until the file is complete.
func (s *Store) AskPart(ctx context.Context, projectID, id, agentID, file string, p Part, now time.Time) (f File, err error) {
	err = s.open(ctx, projectID, id, agentID, now, func(t *sql.Tx, b Backup) error {
		if f, err = s.fileFor(ctx, t, b, file); err != nil {
			return err
		}
		if f.Complete {
			return ErrConflict
		}
		if !b.asked {
			if _, err := t.ExecContext(ctx, "UPDATE backups SET asked = 1 WHERE project_id = $1 AND id = $2", projectID, id); err != nil {
				return err
			}
		}
		return putPart(ctx, t, f, p)
	})
	return f, err
}

// fileFor is the file of that name, made if there is none.
func (s *Store) fileFor(ctx context.Context, t *sql.Tx, b Backup, name string) (File, error) {
	f, err := fileNamed(ctx, t, b.ProjectID, b.ID, name)
	if err != ErrNotFound {
		return f, err
	}
	f = File{ProjectID: b.ProjectID, BackupID: b.ID, Name: name}
	if err := t.QueryRowContext(ctx, "UPDATE backups SET files = files + 1 WHERE project_id = $1 AND id = $2 RETURNING files", b.ProjectID, b.ID).Scan(&f.Number); err != nil {
		return f, err
	}
	_, err = t.ExecContext(ctx, "INSERT INTO files (project_id, backup_id, number, name, upload, complete, size, etag, modified) VALUES ($1, $2, $3, $4, '', 0, 0, '', 0)",
		f.ProjectID, f.BackupID, f.Number, f.Name)
	return f, err
}

func putPart(ctx context.Context, t *sql.Tx, f File, p Part) error {
	_, err := t.ExecContext(ctx, `INSERT INTO parts (project_id, backup_id, file, number, md5, size, etag) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (project_id, backup_id, file, number) DO UPDATE SET md5 = excluded.md5, size = excluded.size, etag = excluded.etag`,
		f.ProjectID, f.BackupID, f.Number, p.Number, p.MD5, p.Size, p.ETag)
	return err
}

// SetUpload notes what a bucket calls the upload of a file. The first one counts.
func (s *Store) SetUpload(ctx context.Context, f File, upload string) (File, error) {
	err := s.tx(ctx, func(t *sql.Tx) (err error) {
		if _, err = t.ExecContext(ctx, "UPDATE files SET upload = $4 WHERE project_id = $1 AND backup_id = $2 AND number = $3 AND upload = ''",
			f.ProjectID, f.BackupID, f.Number, upload); err != nil {
			return err
		}
		f, err = fileNamed(ctx, t, f.ProjectID, f.BackupID, f.Name)
		return err
	})
	return f, err
}

// PartStored notes what the service itself stored. It renews the lease.
func (s *Store) PartStored(ctx context.Context, projectID, id string, file int, p Part, now time.Time) error {
	return s.change(ctx, projectID, id, func(t *sql.Tx, _ Project, b Backup) error {
		if b.State != StateOpen {
			return ErrLost
		}
		if _, err := t.ExecContext(ctx, "UPDATE backups SET lease_until = $3 WHERE project_id = $1 AND id = $2", projectID, id, millis(now.Add(s.lease(b)))); err != nil {
			return err
		}
		return affected(t.ExecContext(ctx, `UPDATE parts SET etag = $5, size = $6 WHERE project_id = $1 AND backup_id = $2 AND file = $3 AND number = $4`,
			projectID, id, file, p.Number, p.ETag, p.Size))
	})
}

// File finds a file, with its parts in their order.
func (s *Store) File(ctx context.Context, projectID, id, name string) (File, error) {
	f, err := fileNamed(ctx, s.db, projectID, id, name)
	if err != nil {
		return f, err
	}
	f.Parts, err = query(ctx, s.db, func(row scanner) (p Part, err error) {
		err = row.Scan(&p.Number, &p.MD5, &p.Size, &p.ETag)
		return p, err
	}, "SELECT number, md5, size, etag FROM parts WHERE project_id = $1 AND backup_id = $2 AND file = $3 ORDER BY number", projectID, id, f.Number)
	return f, err
}

// CompleteFile notes that a file is whole, by its Number: its Size, ETag and
// Modified, and the name that it gets. The same again is nothing; ErrConflict: it is
// complete, and another, or the name is taken.
func (s *Store) CompleteFile(ctx context.Context, f File, agentID, name string) error {
	return s.change(ctx, f.ProjectID, f.BackupID, func(t *sql.Tx, _ Project, b Backup) error {
		is, err := scanFile(t.QueryRowContext(ctx, "SELECT "+fileColumns+" FROM files f WHERE f.project_id = $1 AND f.backup_id = $2 AND f.number = $3", f.ProjectID, f.BackupID, f.Number))
		switch {
		case err != nil:
			return err
		case is.Complete && is.ETag == f.ETag && is.Size == f.Size && is.Name == name:
			return nil
		case is.Complete:
			return ErrConflict
		case b.AgentID != agentID || b.State != StateOpen && b.State != StateCompleting:
			return ErrLost
		}
		if taken, err := nameTaken(ctx, t, f, name); err != nil || taken {
			return errors.Join(err, ErrConflict)
		}
		_, err = t.ExecContext(ctx, "UPDATE files SET complete = 1, size = $4, etag = $5, modified = $6, name = $7 WHERE project_id = $1 AND backup_id = $2 AND number = $3",
			f.ProjectID, f.BackupID, f.Number, f.Size, f.ETag, millis(f.Modified), name)
		return err
	})
}

// nameTaken says whether another file of the backup has a name, or, of names with a
// folder, any complete one of the project: what is there is never overwritten, nor
// hidden. (The one file of an agent of 2018 has none.)
func nameTaken(ctx context.Context, t *sql.Tx, f File, name string) (bool, error) {
	var others int
	query := "SELECT count(*) FROM files WHERE project_id = $1 AND name = $2 AND ((backup_id = $3 AND number <> $4) OR (backup_id <> $3 AND complete = 1 AND $5 = 1))"
	err := t.QueryRowContext(ctx, query, f.ProjectID, name, f.BackupID, f.Number, flag(strings.Contains(name, "/"))).Scan(&others)
	return others > 0, err
}

// AddFile makes the file of a manifest in a backup that is being completed.
func (s *Store) AddFile(ctx context.Context, b Backup, name string) (f File, err error) {
	err = s.change(ctx, b.ProjectID, b.ID, func(t *sql.Tx, _ Project, b Backup) error {
		if b.State != StateCompleting {
			return ErrLost
		}
		f, err = s.fileFor(ctx, t, b, name)
		return err
	})
	return f, err
}

// Discard forgets a file of an open backup, and returns what is to be removed;
// false: there was none.
func (s *Store) Discard(ctx context.Context, projectID, id, agentID, file string, now time.Time) (f File, found bool, err error) {
	err = s.open(ctx, projectID, id, agentID, now, func(t *sql.Tx, _ Backup) error {
		if f, err = fileNamed(ctx, t, projectID, id, file); err != nil {
			return err
		}
		_, err = t.ExecContext(ctx, "DELETE FROM files WHERE project_id = $1 AND backup_id = $2 AND number = $3", projectID, id, f.Number)
		return err
	})
	if err == ErrNotFound && f.Name == "" {
		_, known := s.Backup(ctx, projectID, id)
		return f, false, known
	}
	return f, err == nil, err
}

// Files are all of a backup, complete or not, in their order.
func (s *Store) Files(ctx context.Context, projectID, id string) ([]File, error) {
	return query(ctx, s.db, scanOwned, "SELECT "+fileColumns+", b.state, b.agent_id FROM files f JOIN backups b ON b.project_id = f.project_id AND b.id = f.backup_id"+
		" WHERE f.project_id = $1 AND f.backup_id = $2 ORDER BY f.number", projectID, id)
}

// mostObjects bounds a listing.
const mostObjects = 100_000

// Objects are the complete files of a project's backups that are done and not deleted,
// or open, by their names, which begin with prefix.
func (s *Store) Objects(ctx context.Context, projectID, prefix string) ([]File, error) {
	escape := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
	all, err := query(ctx, s.db, scanOwned, "SELECT "+fileColumns+", b.state, b.agent_id FROM files f JOIN backups b ON b.project_id = f.project_id AND b.id = f.backup_id"+
		` WHERE f.project_id = $1 AND f.complete = 1 AND b.state IN ('open', 'completing', 'done') AND b.removal = '' AND f.name LIKE $2 ESCAPE '\' ORDER BY f.name LIMIT $3`,
		projectID, escape.Replace(prefix)+"%", mostObjects)
	// SQLite's LIKE knows no case.
	kept := all[:0]
	for _, f := range all {
		if strings.HasPrefix(f.Name, prefix) {
			kept = append(kept, f)
		}
	}
	return kept, err
}

func scanOwned(row scanner) (File, error) {
	var state, agent string
	f, err := scanFile(row, &state, &agent)
	f.State, f.AgentID = state, agent
	return f, err
}
