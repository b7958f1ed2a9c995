package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"syscall"

	"github.com/dbacked/dbacked/pkg/agent"
)

// runFlags say where systemd puts the agents' sockets.
type runFlags struct {
	RunDirectory string `name:"run-directory" hidden:"" default:"/run/dbacked" help:"Folder of the agents' sockets."`
}

// maxAnswer bounds what is read of an agent's answer, in bytes.
const maxAnswer = 4 << 20

// errNotRunning says that no agent of an instance listens.
var errNotRunning = errors.New("no agent of this instance is running")

// runningAgent speaks with an agent over its socket.
type runningAgent struct {
	instance string
	client   *http.Client
}

// newRunningAgent returns the agent of an instance, whether it runs or not.
func newRunningAgent(directory, instance string) *runningAgent {
	path := filepath.Join(directory, instance+".sock")
	return &runningAgent{instance: instance, client: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}}
}

// status asks what the agent is doing.
func (r *runningAgent) status(ctx context.Context) (s agent.Status, err error) {
	return s, r.call(ctx, http.MethodGet, "/status", &s)
}

// backup asks for a backup, and returns the number of the run that makes it.
func (r *runningAgent) backup(ctx context.Context) (uint64, error) {
	var run struct {
		Run uint64 `json:"run"`
	}
	return run.Run, r.call(ctx, http.MethodPost, "/backup", &run)
}

// check asks for what the agent sees from inside of its sandbox.
func (r *runningAgent) check(ctx context.Context) (all []agent.Finding, err error) {
	return all, r.call(ctx, http.MethodPost, "/check", &all)
}

func (r *runningAgent) call(ctx context.Context, method, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+r.instance+path, nil)
	if err != nil {
		return err
	}
	response, err := r.client.Do(request)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return errNotRunning
	case err != nil:
		return fmt.Errorf("asking the agent of %s: %w", r.instance, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("asking the agent of %s: %w", r.instance, err)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("the agent of %s answers %s: %s", r.instance, response.Status, printable(string(body)))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the agent of %s answers what is no answer: %w", r.instance, err)
	}
	return nil
}
