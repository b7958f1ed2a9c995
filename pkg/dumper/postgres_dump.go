package dumper

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

// Dump writes the database to w as an archive in pg_dump's custom format, in
// pieces of up to 128 KiB. It returns nil only if pg_dump exited with status 0
// and every entry of the archive's table of contents that has data had all of
// it; ErrIncomplete, if pg_dump ended well but the archive did not.
func (p *Postgres) Dump(ctx context.Context, w io.Writer) error {
	if err := p.CheckOptions(); err != nil {
		return err
	}
	db, err := p.connect(ctx, p.conn.Database)
	if err != nil {
		return err
	}
	release, name := db.release, db.name
	db.close()
	found, err := p.dumpTool(ctx, release)
	if err != nil {
		return err
	}
	return p.dump(ctx, found, name, nil, pgarchive.NewVerifier(), w)
}

// dump runs a pg_dump with more arguments, and closes the verifier.
func (p *Postgres) dump(ctx context.Context, found pgTool, name string, more []string, v *pgarchive.Verifier, w io.Writer) error {
	defer func() { _ = v.Close() }()
	conninfo := p.toolConninfo(name, pgApplication)
	if p.limits.Stall > 0 && found.release >= 1200 {
		conninfo.add("tcp_user_timeout", fmt.Sprint(p.limits.Stall.Milliseconds()))
	}
	args := []string{"--format=custom", "--compress=0", "--no-password"}
	if p.limits.Lock > 0 {
		args = append(args, fmt.Sprintf("--lock-wait-timeout=%d", p.limits.Lock.Milliseconds()))
	}
	args = append(append(args, p.tools.Options...), more...)
	t, err := p.tool(found.path, append(args, "--dbname="+conninfo.String())...)
	if err != nil {
		return err
	}
	t.stall = p.limits.Stall
	if err := t.output(ctx, &pgTee{v: v, w: w}); err != nil {
		return p.explainDump(ctx, err)
	}
	if err := v.Close(); err != nil {
		return fmt.Errorf("%s exited with status 0, but %w: %w", found.path, ErrIncomplete, err)
	}
	return nil
}

// tool prepares a program: with a clean environment, and the password by a
// descriptor.
func (p *Postgres) tool(path string, args ...string) (*tool, error) {
	secret, err := p.passfile()
	if err != nil {
		return nil, err
	}
	return &tool{path: path, args: args, env: p.environ(), secret: secret, password: p.conn.Password, stop: p.limits.Stop}, nil
}

// pgTee passes an archive on and verifies it on the way.
type pgTee struct {
	v *pgarchive.Verifier
	w io.Writer
}

func (t *pgTee) Write(b []byte) (int, error) {
	if _, err := t.v.Write(b); err != nil {
		return 0, fmt.Errorf("what pg_dump wrote cannot be a dump: %w: %w", ErrIncomplete, err)
	}
	return t.w.Write(b)
}

// pgArchiveReader passes an archive on and ends only if it is whole.
type pgArchiveReader struct {
	r io.Reader
	v *pgarchive.Verifier
}

func (a *pgArchiveReader) Read(b []byte) (int, error) {
	n, err := a.r.Read(b)
	if n > 0 {
		if _, verr := a.v.Write(b[:n]); verr != nil {
			return 0, fmt.Errorf("reading the dump: %w", verr)
		}
	}
	if errors.Is(err, io.EOF) {
		if verr := a.v.Close(); verr != nil {
			return n, fmt.Errorf("reading the dump: %w: %w", ErrIncomplete, verr)
		}
		return n, io.EOF
	}
	return n, err
}
