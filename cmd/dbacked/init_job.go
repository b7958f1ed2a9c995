package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"syscall"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
)

// job is what init has another process of this program do, since it must be
// done as another user: to reach the database as the service will, to be an
// administrator of a socket. It goes through a pipe, so that its secrets are
// seen nowhere.
type job struct {
	Do       string   `json:"do"` // database, storage, signer or sql
	Instance string   `json:"instance"`
	Environ  []string `json:"environ"`

	AgentID   string `json:"agentID,omitempty"`   // signer: of the former agent
	PublicKey string `json:"publicKey,omitempty"` // signer: to be remembered, of a project

	Engine     string   `json:"engine,omitempty"` // sql
	Statements []string `json:"statements,omitempty"`
}

// done is what came of a job.
type done struct {
	Findings []dumper.Finding `json:"findings,omitempty"`
	Verifier string           `json:"verifier,omitempty"`
	Rows     [][]string       `json:"rows,omitempty"`
	Error    string           `json:"error,omitempty"`
}

// maxJob bounds what is read from the other process.
const maxJob = 64 << 20

// doJob is the other process.
func doJob(ctx context.Context, a *app) error {
	var j job
	if err := json.NewDecoder(io.LimitReader(a.in, maxJob)).Decode(&j); err != nil {
		return &usageError{fmt.Errorf("--job is dbacked init's own: %w", err)}
	}
	result, err := j.do(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		result.Error = err.Error()
	}
	return json.NewEncoder(a.out).Encode(result)
}

func (j *job) do(ctx context.Context) (done, error) {
	need := map[string]config.Need{
		"database": config.NeedDatabase, "sql": config.NeedDatabase, "storage": config.NeedStorage, "signer": config.NeedInstance,
	}[j.Do]
	c, err := config.Load(j.Instance, config.Flags{}, j.Environ, need)
	if err != nil {
		if wrong, ok := errors.AsType[*config.Error](err); ok {
			err = errors.New(strings.Join(wrong.Problems, "; "))
		}
		return done{}, err
	}
	switch j.Do {
	case "database":
		findings, err := openDatabase(c, zap.NewNop()).Check(ctx)
		return done{Findings: findings}, err
	case "storage":
		return done{Findings: checkStorage(ctx, c)}, nil
	case "sql":
		rows, err := runSQL(ctx, c, j.Statements)
		return done{Rows: rows}, err
	case "signer":
		return j.sign(c)
	}
	return done{}, fmt.Errorf("no such job: %q", j.Do)
}

func (j *job) sign(c *config.Config) (done, error) {
	signer, err := catalog.LoadOrCreateSigner(c.StateDirectory)
	if err != nil {
		return done{}, err
	}
	if j.AgentID != "" {
		err = catalog.KeepAgentID(c.StateDirectory, j.AgentID)
	}
	if err == nil && j.PublicKey != "" {
		err = catalog.PinKey(c.StateDirectory, j.PublicKey)
	}
	return done{Verifier: signer.Verifier()}, err
}

// as has a job done by another user; nil is this process's own.
func (w *wizard) as(ctx context.Context, who *identity, j job) (done, error) {
	input, err := json.Marshal(j)
	if err != nil {
		return done{}, err
	}
	// The program by the name that a user can follow who may not enter its folder.
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "init", "--job")
	cmd.Args[0] = "dbacked"
	cmd.Stdin = bytes.NewReader(input)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.Dir = "/"
	cmd.Env = plainEnviron(w.environ)
	// Not the terminal's: a Ctrl-C ends it by ctx, after this process.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if who != nil {
		cmd.Env = who.environ(cmd.Env)
		if os.Geteuid() == 0 {
			cmd.SysProcAttr.Credential = who.credential()
		}
	}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return done{}, context.Cause(ctx)
		}
		return done{}, fmt.Errorf("running dbacked as %s: %w: %s", name(who), err, bytes.TrimSpace(said.Bytes()))
	}
	var result done
	if err := json.Unmarshal(out.Bytes(), &result); err != nil {
		return done{}, fmt.Errorf("running dbacked as %s: %w", name(who), err)
	}
	if result.Error != "" {
		return result, errors.New(result.Error)
	}
	return result, nil
}

func name(who *identity) string {
	if who == nil {
		return "this user"
	}
	return who.name
}

func (i *identity) credential() *syscall.Credential {
	c := &syscall.Credential{Uid: uint32(i.uid), Gid: uint32(i.gid)}
	for _, g := range i.groups {
		c.Groups = append(c.Groups, uint32(g))
	}
	return c
}

// plainEnviron is what of this environment the service would have too: neither
// settings nor what tools would take for their own.
func plainEnviron(environ []string) []string {
	var plain []string
	for _, assignment := range environ {
		name, _, _ := strings.Cut(assignment, "=")
		switch name {
		case "PATH", "TZ", "LANG", "LC_ALL", "TMPDIR", "GORACE", "GOCOVERDIR":
			plain = append(plain, assignment)
		}
	}
	return plain
}

// jobOf is a job on the draft.
func (w *wizard) jobOf(do string) job {
	return job{Do: do, Instance: w.draft.name, Environ: append(w.draft.environ(), plainEnviron(w.environ)...)}
}

// serviceUser is who the service runs as; nil when this process is not root, or
// dbacked is not installed as a service.
func serviceUser(wanted string) (*identity, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if wanted == "" {
		who, err := lookUp(user.Lookup(unitUser))
		if err != nil {
			return nil, nil
		}
		return who, nil
	}
	who, err := lookUp(user.Lookup(wanted))
	if err != nil {
		return nil, &usageError{fmt.Errorf("--service-user: %w", err)}
	}
	return who, nil
}
